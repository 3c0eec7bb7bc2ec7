"""`snakemake --lint` on the workflow as a fresh clone has it: default settings, no clips.

    python -m tests.lint_workflow

Prints what Snakemake says and exits with its status: 0 if there is nothing to say.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def lint() -> subprocess.CompletedProcess[str]:
    """Run the linter in an empty folder; stdout and stderr together in `stdout`."""
    with tempfile.TemporaryDirectory() as scratch:
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--lint"],
            cwd=scratch,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


if __name__ == "__main__":
    done = lint()
    print(done.stdout[-4000:])
    sys.exit(done.returncode)
