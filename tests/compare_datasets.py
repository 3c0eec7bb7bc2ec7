"""Compares two datasets file by file: `python -m tests.compare_datasets DATASET OTHER`.

For changes that must change no output, such as code that moves: stamps may differ in what names the
code (`code`, and `stamp_sha256` over it), everything else has the same bytes. Prints each
difference, or how many files were compared; exits with 1 if there is a difference.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

#: What a stamp says of the code that wrote its table.
OF_THE_CODE = ("code", "stamp_sha256")


def differences(one: Path, other: Path) -> Iterator[str]:
    """A line for each file that only one of two datasets has, or that differs."""
    names = files(one), files(other)
    for name in sorted(names[0] ^ names[1]):
        yield f"only in {one if name in names[0] else other}: {name}"
    for name in sorted(names[0] & names[1]):
        if content(one, name) != content(other, name):
            yield f"differs: {name}"


def unlike(part: Path, whole: Path) -> list[str]:
    """The files of a dataset that is not finished which the finished one does not have, or has with
    other bytes.
    """
    there = files(whole)
    return [
        name
        for name in sorted(files(part))
        if name not in there or content(part, name) != content(whole, name)
    ]


def files(dataset: Path) -> set[str]:
    """Paths of all files below a dataset, relative to it, but for locks and the like."""
    found = (path.relative_to(dataset) for path in dataset.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if ".snakemake" not in path.parts}


def content(dataset: Path, name: str) -> str:
    """The SHA-256 of a file; of a stamp without what names the code."""
    data = (dataset / name).read_bytes()
    if name.startswith("stamps/"):
        stamp = json.loads(data)
        data = json.dumps({k: v for k, v in stamp.items() if k not in OF_THE_CODE}).encode()
    return hashlib.sha256(data).hexdigest()


def main(one: Path, other: Path) -> int:
    """Print what differs; the exit status."""
    found = list(differences(one, other))
    print("\n".join(found) or f"no difference in {len(files(one))} files")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
