"""The tests, and what they share; `python -m tests.<name>` runs one of its tools."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))  # where `ferrari` lies
