"""Single corruptions of a finished dataset, drawn from a seed, each of which can be undone."""

from __future__ import annotations

import csv
import io
import os
import random
from collections.abc import Callable
from pathlib import Path

MISSING = object()


class Changes:
    """Changes to files below a folder; `undo` puts everything back, hard links included."""

    def __init__(self, folder: Path, aside: Path) -> None:
        self.folder, self._aside = folder, aside
        self._undo: list[Callable[[], object]] = []

    def write(self, path: str, data: bytes) -> None:
        """Replace a file's content in place, or add a file."""
        file = self.folder / path
        if file.exists():
            before = file.read_bytes()
            self._undo.append(lambda: file.write_bytes(before))
        else:
            for folder in reversed([p for p in file.parents if not p.exists()]):
                folder.mkdir()
                self._undo.append(folder.rmdir)
            self._undo.append(file.unlink)
        file.write_bytes(data)

    def delete(self, path: str) -> None:
        """Take a file away."""
        kept = self._aside / str(len(self._undo))
        os.rename(self.folder / path, kept)
        self._undo.append(lambda: os.rename(kept, self.folder / path))

    def made(self, path: str) -> Path:
        """A path that the test makes itself, and that `undo` removes."""
        file = self.folder / path
        self._undo.append(lambda: file.unlink(missing_ok=True))
        return file

    def undo(self) -> None:
        """Put everything back, the last change first."""
        while self._undo:
            self._undo.pop()()


def files(folder: Path, pattern: str) -> list[str]:
    """Files below `folder` that match, sorted, so that a seed picks the same one."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.glob(pattern) if p.is_file())


def flip(*patterns: str) -> Callable[[Changes, random.Random], str]:
    """One bit of one of the files that match a pattern."""

    def corrupt(changes: Changes, draw: random.Random) -> str:
        found = [f for pattern in patterns for f in files(changes.folder, pattern)]
        path = draw.choice([f for f in found if (changes.folder / f).stat().st_size])
        data = bytearray((changes.folder / path).read_bytes())
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        changes.write(path, bytes(data))
        return path

    return corrupt


def delete(pattern: str) -> Callable[[Changes, random.Random], str]:
    """One of the files that match the pattern is gone."""

    def corrupt(changes: Changes, draw: random.Random) -> str:
        path = draw.choice(files(changes.folder, pattern))
        changes.delete(path)
        return path

    return corrupt


def change_cell(pattern: str) -> Callable[[Changes, random.Random], str]:
    """One cell of a table gets what another row of the column holds, or a figure off by one."""

    def corrupt(changes: Changes, draw: random.Random) -> str:
        path = draw.choice(_tables_with_rows(changes.folder, pattern))
        rows = _rows(changes.folder / path)
        line = draw.randrange(1, len(rows))
        column = draw.choice([n for n, cell in enumerate(rows[line]) if cell])
        cell = rows[line][column]
        others = sorted({row[column] for row in rows[1:]} - {cell})
        if cell.isdigit():
            others.append(str(int(cell) + 1))
        rows[line][column] = draw.choice(others or [cell.swapcase(), cell + "0"])
        if rows[line][column] == cell:
            rows[line][column] += "0"
        changes.write(path, _text(rows))
        return path

    return corrupt


def drop_row(pattern: str) -> Callable[[Changes, random.Random], str]:
    """One row of a table is gone."""

    def corrupt(changes: Changes, draw: random.Random) -> str:
        path = draw.choice(_tables_with_rows(changes.folder, pattern))
        rows = _rows(changes.folder / path)
        del rows[draw.randrange(1, len(rows))]
        changes.write(path, _text(rows))
        return path

    return corrupt


def add_file(changes: Changes, draw: random.Random) -> str:
    """A file that nothing lists, some of them under names that look like the pipeline's."""
    neighbour = draw.choice([p for p in files(changes.folder, "**/*") if "00_raw" not in p])
    name = draw.choice(["notes.txt", "IMG_0001.png", ".hidden", f"copy-{Path(neighbour).name}"])
    path = (Path(neighbour).parent / name).as_posix()
    changes.write(path, (changes.folder / neighbour).read_bytes())
    return path


def _rows(table: Path) -> list[list[str]]:
    with open(table, newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def _tables_with_rows(folder: Path, pattern: str) -> list[str]:
    return [path for path in files(folder, pattern) if len(_rows(folder / path)) > 1]


def _text(rows: list[list[str]]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode()


#: Twenty-one kinds; with five seeds each, more than a hundred corruptions.
KINDS = {
    "bit-frame": flip("01_extracted_frames/*/*.webp"),
    "bit-film": flip("01_extracted_frames/*.mkv"),
    "bit-crop": flip("02_yolo_crops/*/*.png"),
    "bit-cutout": flip("03_masked_subjects/*/*.png"),
    "bit-image": flip("04_augmented/*/*.png"),
    "bit-mask": flip("04_augmented/*/mask/*.png"),
    "bit-packaged": flip("05_final_training/*/**/*.png"),
    "bit-caption": flip("05_final_training/kohya/img/*/*.txt"),
    "bit-metadata": flip(
        "croissant.json", "05_final_training/*/*.t*", "05_final_training/*/train/*.jsonl"
    ),
    "bit-scene": flip("environments/*.png"),
    "bit-table": flip("**/*.csv"),
    "bit-stamp": flip("stamps/**/*.json"),
    "bit-raw": flip("00_raw_videos/*"),
    "cell-clip": change_cell("0*/**/*-*.csv"),
    "cell-whole-set": change_cell("*.csv"),
    "cell-package": change_cell("05_final_training/*.csv"),
    "row": drop_row("**/*.csv"),
    "gone-file": delete("0[1-5]*/*/**/*.*[!v]"),
    "gone-table": delete("**/*.csv"),
    "gone-stamp": delete("stamps/**/*.json"),
    "extra-file": add_file,
}
