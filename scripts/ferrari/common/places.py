"""Where the project's own files lie: the one place that counts folders upwards."""

from __future__ import annotations

from pathlib import Path

#: The folder that holds the Snakefile.
ROOT = Path(__file__).resolve().parents[3]
#: What goes on the path so that `ferrari` and the stages are found.
SCRIPTS = ROOT / "scripts"
