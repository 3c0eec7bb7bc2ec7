"""Who the subject is, in words: `<dataset>/subject/who.json`, beside the template."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ferrari.common.atomic_files import write_text
from ferrari.ledger.tables import LedgerError


@dataclass(frozen=True)
class Told:
    """What is told of the answer.

    `mode` is the subject's (`subject.modes`); `named`: there is somebody; `alone`: nobody else is
    in the clips that voted. `said` is a sentence; `why` names what stood against an answer.
    `voters` are the clips that voted, `gone` those that voted and no longer exist.
    """

    mode: str = ""
    named: bool = False
    alone: bool = False
    said: str = ""
    why: str = ""
    voters: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def write(path: str | os.PathLike, told: Told) -> None:
    """Write the answer."""
    write_text(path, json.dumps(asdict(told), indent=1, ensure_ascii=False) + "\n")


def read(path: str | os.PathLike) -> Told:
    """The answer. Raises LedgerError if the file is not what `write` writes."""
    try:
        told = json.loads(Path(path).read_bytes())
        return Told(
            mode=str(told["mode"]),
            named=bool(told["named"]),
            alone=bool(told["alone"]),
            said=str(told["said"]),
            why=str(told["why"]),
            voters=tuple(map(str, told["voters"])),
            gone=tuple(map(str, told["gone"])),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise LedgerError(
            f"{path}: not the answer that names the subject ({error}); delete it, and the next run "
            "makes it anew"
        ) from error
