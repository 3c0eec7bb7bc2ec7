"""Where the project's own files lie: no other module counts folders upwards from its own."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

#: The folder that holds the Snakefile.
ROOT = Path(__file__).resolve().parents[3]
#: The folder to put on Python's path, so that `ferrari` and the stages are found.
SCRIPTS = ROOT / "scripts"


def as_typed(work: str | os.PathLike) -> str:
    """What a make command about the set in the folder `work` needs at its end to be typed as it is
    told: " WORK=folder", or nothing where the set is in the checkout, in which one types it.
    """
    folder = Path(work).resolve()
    return "" if folder == ROOT else f" WORK={shlex.quote(str(folder))}"
