"""A program in Snakemake's place, for commands that start Snakemake."""

from __future__ import annotations

from pathlib import Path


def snakemake(folder: Path, code: str) -> str:
    """Write the module `snakemake` that runs `code`; the folder, below `folder`, for PYTHONPATH."""
    package = folder / "modules/snakemake"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(code)
    return str(package.parent)
