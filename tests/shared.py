"""The folder of real footage and weights: FERRARI_SHARED names it, else it lies beside the
repository.
"""

import os
from pathlib import Path

from tests.settings import ROOT

#: Absolute; it need not be there. An empty variable names none.
SHARED = (ROOT / (os.environ.get("FERRARI_SHARED") or "../shared")).resolve()


def shared(name: str) -> Path:
    """A file or folder of it, by its path in it; the test is skipped if it is not there."""
    import pytest  # here: bench asks for SHARED, and runs without pytest

    path = SHARED / name
    if not path.exists():
        pytest.skip(f"no {path}; set FERRARI_SHARED")
    return path
