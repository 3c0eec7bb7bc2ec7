"""Where the project's own files lie: no other module counts folders upwards from its own."""

from __future__ import annotations

from pathlib import Path

#: The folder that holds the Snakefile.
ROOT = Path(__file__).resolve().parents[3]
#: The folder to put on Python's path, so that `ferrari` and the stages are found.
SCRIPTS = ROOT / "scripts"
