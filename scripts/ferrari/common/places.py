"""Where the project's own files are: no other module navigates upwards from its own folder."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

#: The folder that holds the Snakefile.
ROOT = Path(__file__).resolve().parents[3]
#: The folder to put on Python's path, so that `ferrari` and the stages are found.
SCRIPTS = ROOT / "scripts"


def as_typed(work: str | os.PathLike) -> str:
    """What has to be added to a make command so that it works on the set in the folder `work`: "
    WORK=folder", or nothing for the set in the checkout.
    """
    folder = Path(work).resolve()
    return "" if folder == ROOT else f" WORK={shlex.quote(str(folder))}"
