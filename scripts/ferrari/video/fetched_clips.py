"""A raw clip as a local file: itself, or a copy fetched from its bucket.

A clip of a bucket is fetched by the job that needs it, into a folder of its own below the dataset,
and gone when the job is. Stage 0 hands a clip that it takes on to stage 1, so that it is paid for
once; no more than MOST_WAITING bytes wait for that, and what does not fit is fetched again.

A clip that could not be fetched has a row that says so, and a note here. Snakemake takes a table
that is there for done, and the object need not change for its fault to go away: by the note the
next run tries again (`failures`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ferrari.common.atomic_files import sha256_file
from ferrari.storage import buckets

#: Below the dataset, in the folder that is no part of it; the same disk, so that links are cheap.
FOLDER = Path(".snakemake/fetched")
_FAILURES = Path(".snakemake/not_fetched")
MOST_WAITING = 10 << 30


@dataclass
class ClipAtHand:
    """A clip's file on the disk; `etag` is its object's where it was fetched now, else empty.

    Set `hand_on` for the file to wait for the next job of the clip. A clip that was not fetched
    needs no such thing.
    """

    path: str
    etag: str = ""
    hand_on: bool = False


@contextlib.contextmanager
def at_hand(
    raw: str, video: str, dataset: str | os.PathLike, sha256: str = ""
) -> Iterator[ClipAtHand]:
    """The file of a raw clip, for as long as the block lasts.

    `raw` is a path, which is given back, or an address. Of that the object is fetched, unless a
    file of the digest `sha256` was handed on. Raises ObjectError or BucketError where it cannot be.
    """
    if not buckets.is_address(raw):
        yield ClipAtHand(raw)
        return
    with _scratch(dataset) as scratch:
        file = scratch / _name(raw, video)
        _take(Path(dataset) / FOLDER / file.name, file)
        if sha256 and file.exists() and sha256_file(file) == sha256:
            clip = ClipAtHand(str(file))
        else:
            clip = ClipAtHand(str(file), buckets.fetch(raw, file).etag)
        yield clip
        if clip.hand_on:
            _leave(file, Path(dataset) / FOLDER)


def let_go(raw: str, video: str, dataset: str | os.PathLike) -> None:
    """Remove what was handed on of a clip that the next job does not need."""
    if buckets.is_address(raw):
        (Path(dataset) / FOLDER / _name(raw, video)).unlink(missing_ok=True)


def note_failure(video: str, dataset: str | os.PathLike) -> None:
    """Note that a clip could not be fetched, now."""
    note = Path(dataset) / _FAILURES / video
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()
    os.utime(note)


def forget_failure(video: str, dataset: str | os.PathLike) -> None:
    """Take away the note on a clip, which could be fetched."""
    (Path(dataset) / _FAILURES / video).unlink(missing_ok=True)


def failures(dataset: str | os.PathLike) -> dict[str, str]:
    """By id of each clip that could not be fetched, what its state has to say for it to be tried
    again: when it was tried last.
    """
    folder = Path(dataset) / _FAILURES
    if not folder.is_dir():
        return {}
    found = {}
    for note in folder.iterdir():
        # A job on another machine reads the workflow anew, while one that fetched its clip forgets.
        with contextlib.suppress(FileNotFoundError):
            found[note.name] = f", not fetched at {note.stat().st_mtime_ns} ns"
    return found


def clear(dataset: str | os.PathLike) -> None:
    """Remove what killed jobs left, and what waits for nobody; when no job of the set runs."""
    shutil.rmtree(Path(dataset) / FOLDER, ignore_errors=True)


@contextlib.contextmanager
def _scratch(dataset: str | os.PathLike) -> Iterator[Path]:
    folder = Path(dataset) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="job-", dir=folder) as scratch:
        yield Path(scratch)


def _name(raw: str, video: str) -> str:
    """The clip's id, and the ending of its own name, by which some formats are told."""
    ending = "".join(c for c in Path(raw).suffix if c.isascii() and (c.isalnum() or c == "."))
    return f"{video}{ending[:10]}"


def _take(waiting: Path, file: Path) -> None:
    """Take a file that waits, if one does, for this job alone: no two jobs get the same one."""
    with contextlib.suppress(FileNotFoundError):
        waiting.rename(file)


def _leave(file: Path, folder: Path) -> None:
    size = file.stat().st_size
    for other in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another job has just taken it
            size += other.stat().st_size if other.is_file() else 0
    if size <= MOST_WAITING:
        file.rename(folder / file.name)
