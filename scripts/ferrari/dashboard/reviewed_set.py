"""The set that is served: its paths, its settings, and what may be done with it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ReviewedSet:
    """One set of clips and what was made of it. All paths are absolute; `raw` may be an address.

    `config_files` are the settings files that a run of it gets, in their order; `who` is the name
    that decisions are written under.
    """

    work: Path
    dataset: Path
    qc: Path
    raw: str | os.PathLike
    config_files: tuple[Path, ...]
    cores: int
    who: str
    may_start_runs: bool = True
