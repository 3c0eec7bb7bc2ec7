"""A finished set grown to many clips: each new one is a copy, under a name of its own, of one that
was really processed. So that what reads the whole set has the tables and pictures of so many.

A copy's pictures are hard links, or 10,000 clips would be gigabytes. Digests in its tables are its
own all the same, as those of other footage would be, or its images would be dropped as repeats. So
a report finds that files are not the bytes of their rows, which changes nothing about its size.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ferrari.ledger import item_ids
from ferrari.ledger.stages import RAW

#: Columns of tables that are digests of files.
_DIGESTS = ("sha256", "mask_sha256")
#: A file system allows so many links to a file, less some.
_LINKS = 60_000


def grow(dataset: Path, copies: int, first: int = 0) -> None:
    """Add `copies` clips to a finished `dataset`, numbered from `first` on."""
    raw = dataset / RAW
    seeds = {item_ids.video_id(file): file for file in sorted(os.listdir(raw))
             if not file.startswith("copy_")}  # fmt: skip
    own = {video: list(_files_of(dataset, video)) for video in seeds}
    for number in range(first, first + copies):
        video, file = list(seeds.items())[number % len(seeds)]
        name = f"copy_{number:06d}{Path(file).suffix}"
        _link(raw / file, raw / name)
        new = item_ids.video_id(name)
        for path in own[video]:
            to = dataset / str(path).replace(video, new)
            to.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".csv":
                text = (dataset / path).read_text(encoding="utf-8")
                to.write_text(_renamed(text, {video: new, file: name}), encoding="utf-8")
            else:
                _link(dataset / path, to)
    now = time.time_ns()  # all of one age: whoever goes by times has nothing to do for a clip
    for folder, _, files in os.walk(dataset):
        if Path(folder) == raw:  # of clips it is asked when they changed: they would be read again
            continue
        for name in files:
            os.utime(Path(folder) / name, ns=(now, now))


def _files_of(dataset: Path, video: str) -> Iterator[Path]:
    """Paths, below `dataset`, of all that is named after a clip, except what becomes of it in
    packages, and what only a job of the clip reads.
    """
    for folder, _, files in os.walk(dataset):
        within = Path(folder).relative_to(dataset)
        if within.parts[:1] in (("stamps",), (RAW,)):
            continue
        for name in files:
            parts = (*within.parts, name)
            if any(part == video or part.startswith(f"{video}.") for part in parts):
                yield within / name


def _renamed(text: str, names: dict[str, str]) -> str:
    """A table of another clip: its names, and other digests."""
    for old, new in names.items():
        text = text.replace(old, new)
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or not set(_DIGESTS) & set(rows[0]):
        return text
    for row in rows:
        for column in set(_DIGESTS) & set(row):
            if row[column]:
                row[column] = hashlib.sha256(f"{row['item']} {column}".encode()).hexdigest()
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _link(source: Path, to: Path) -> None:
    """A hard link; where the file has as many as it may, a copy that takes its place as source."""
    if source.stat().st_nlink < _LINKS:
        os.link(source, to)
        return
    to.write_bytes(source.read_bytes())
    source.unlink()
    os.link(to, source)
