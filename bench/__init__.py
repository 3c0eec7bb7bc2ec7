"""Side-by-side benchmarks: the pipeline against what a user would chain by hand, and its floors."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))  # where `ferrari` lies
