"""Hugging Face imagefolder: images in a metadata file. Read in the loader's code, and run."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from ferrari.linting.findings import Finding, Trap
from ferrari.linting.training_folder import fault_of, images_below, json_lines, unreadable

NO_ROW = Trap(
    "imagefolder/image-without-row",
    "no row of {metadata} names it: it is left out without a word",
    "add its row, or remove it",
)

ROW_WITHOUT = Trap(
    "imagefolder/row-without-image",
    "a row names {name}, which is not there: loading succeeds, and reading that row fails",
    "add the file, or remove the row",
)

AS_CLASSES = Trap(
    "imagefolder/folders-as-classes",
    "there is no metadata.jsonl: the loader makes class labels {labels} of the folders, and reads "
    "no caption",
    "write metadata.jsonl with file_name and text beside the images",
)

UNREADABLE = unreadable("imagefolder")


class ImageFolder:
    """Hugging Face imagefolder: `metadata.jsonl` or `.csv` beside images."""

    NAME = "imagefolder"

    @staticmethod
    def is_here(folder: Path) -> bool:
        """True if the folder holds metadata."""
        return any(True for _ in _metadata(folder))

    @staticmethod
    def lint(folder: Path) -> Iterator[Finding]:
        """All findings of a folder."""
        tables = list(_metadata(folder))
        if not tables:
            labels = sorted({image.parent.name for image in images_below(folder)})
            yield AS_CLASSES.found(".", labels=labels[:5])
        for table in tables:
            yield from _rows(folder, table)


def _metadata(folder: Path) -> Iterator[Path]:
    for name in ("metadata.jsonl", "metadata.csv"):
        yield from sorted(p for at in ("", "*/", "*/*/") for p in folder.glob(f"{at}{name}"))


def _rows(folder: Path, table: Path) -> Iterator[Finding]:
    if why := fault_of(table):
        yield UNREADABLE.found(table.relative_to(folder), why=why)
        return
    named = set()
    for row in _read_rows(table):
        files = [value for key, value in row.items() if key and key.endswith("file_name") and value]
        for name in files:
            path = table.parent / str(name)
            named.add(path)
            if not path.is_file():
                yield ROW_WITHOUT.found(table.relative_to(folder), name=name)
    for image in images_below(table.parent):
        if image not in named:
            metadata = table.relative_to(folder).as_posix()
            yield NO_ROW.found(image.relative_to(folder), metadata=metadata)


def _read_rows(table: Path) -> Iterator[Mapping]:
    if table.suffix == ".csv":
        with open(table, encoding="utf-8", newline="") as stream:
            yield from csv.DictReader(stream)
    else:
        yield from (row for row in json_lines(table) if isinstance(row, Mapping))
