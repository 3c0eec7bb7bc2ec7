"""Files on the disk: hashed in threads, each inode once; and files that no table lists."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath

from ferrari.captions.overrides import PLACE as OVERRIDES_CSV
from ferrari.common.foreign_files import is_desktop_file, is_leftover, is_trainer_file
from ferrari.common.progress import Progress
from ferrari.ledger.stages import (
    FINAL,
    PINNED_CSV,
    RAW,
    REFUSED_REFERENCES_CSV,
    SUBJECT_PINNED_CSV,
)
from ferrari.review.contract import MASKS
from ferrari.review.decision_table import PLACE as DECISIONS_CSV
from ferrari.review.writing import TORN_PLACE
from ferrari.verification.findings import Findings, Layout

_PIECE = 1 << 20
_CHUNK = 64  # files in a task: hashing a small one costs less than handing it to a thread
_KNOWN = frozenset(
    {
        *(PINNED_CSV, SUBJECT_PINNED_CSV, REFUSED_REFERENCES_CSV, OVERRIDES_CSV, DECISIONS_CSV),
        TORN_PLACE,
        "sample_test.mp4",
    }
)
Look = tuple[str, str]  # (SHA-256, "") or ("", why there is none)


class Hasher:
    """SHA-256 of files in a pool of threads; hard links of one file are read once."""

    def __init__(self) -> None:
        self._workers = len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self._workers)
        self._linked: dict[int, bytes] = {}
        self._progress = Progress("files read again")
        self.bytes = 0

    def __enter__(self) -> Hasher:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def look(self, path: str | os.PathLike) -> Look:
        """(SHA-256, '') of one file, or ('', why there is none)."""
        look, read = self._look(path)
        self.bytes += read
        return look

    def looks(self, paths: Sequence[str | os.PathLike]) -> Iterator[Look]:
        """`look` at each path, in threads; the answers in order."""
        size = max(1, min(_CHUNK, len(paths) // (4 * self._workers)))
        chunks = [paths[start : start + size] for start in range(0, len(paths), size)]
        for found in self._pool.map(self._chunk, chunks):
            for look, read in found:
                self.bytes += read
                yield look
            self._progress.step(len(found))

    def _chunk(self, paths: Sequence[str | os.PathLike]) -> list[tuple[Look, int]]:
        return [self._look(path) for path in paths]

    def _look(self, path: str | os.PathLike) -> tuple[Look, int]:
        """A file's `Look` and how many bytes were read; never blocks on a FIFO."""
        try:
            with open(path, "rb", buffering=0, opener=_opener) as stream:
                seen = os.fstat(stream.fileno())
                if not stat.S_ISREG(seen.st_mode):
                    return ("", "is no regular file"), 0
                inode = (seen.st_dev << 64) | seen.st_ino
                if seen.st_nlink > 1 and inode in self._linked:
                    return (self._linked[inode].hex(), ""), 0
                digest = hashlib.sha256()
                while piece := stream.read(_PIECE):
                    digest.update(piece)
        except FileNotFoundError:
            return ("", "is not there"), 0
        except OSError as error:
            return ("", f"cannot be read: {error.strerror}"), 0
        if seen.st_nlink > 1:
            self._linked[inode] = digest.digest()
        return (digest.hexdigest(), ""), seen.st_size


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def is_below(path: str) -> bool:
    """True for a relative path that stays in the folder it is relative to."""
    parts = PurePath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\0" not in path


def compare(
    layout: Layout, hasher: Hasher, findings: Findings, listed: Mapping[str, str], video: str = ""
) -> None:
    """Report which `listed` files (path below the dataset: SHA-256) are missing or differ."""
    inside = [path for path in listed if is_below(path)]
    for path in listed.keys() - set(inside):
        findings.add("files_present", path, "leads out of the dataset's folder", video)
    findings.looked("files_present", len(listed))
    findings.looked("files_unchanged", len(inside))
    root = f"{layout.dataset}/"
    for path, (digest, why) in zip(
        inside, hasher.looks([root + path for path in inside]), strict=True
    ):
        if why:
            findings.add("files_present", path, why, video)
        elif digest != listed[path]:
            why = f"its SHA-256 begins {digest[:12]}, the row's {listed[path][:12]}"
            findings.add("files_unchanged", path, why, video)


def walk(root: Path, folder: str, prune: Collection[str] = ()) -> Iterator[str]:
    """Paths below `root` of all files in `folder`, at any depth, in a fixed order.

    Folders of `prune` are left out. The folder of a killed job counts as one path and is not
    entered. A link to a folder is followed only at the top (a stage moved to another disk).
    """
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            entries = sorted(os.scandir(root / here), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:  # a folder that cannot be read: yield the folder itself
            yield here
            continue
        folders = []
        for entry in entries:
            path = f"{here}/{entry.name}" if here else entry.name
            if path in prune:
                continue
            if is_leftover(entry.name) or not entry.is_dir(follow_symlinks=not here):
                yield path
            else:
                folders.append(path)
        waiting.extend(reversed(folders))


def sweep(
    layout: Layout,
    findings: Findings,
    folder: str,
    listed: Collection[str],
    prune: Collection[str] = (),
    video: str = "",
) -> None:
    """Report the files in `folder` (below the dataset) that are not `listed`."""
    total = 0
    for path in walk(layout.dataset, folder, prune):
        total += 1
        if path in listed or _is_known(path):
            continue
        parts = PurePath(path).parts
        if any(map(is_leftover, parts)):
            findings.add("no_leftovers", path, "an unfinished file of a killed job")
        elif _is_trainers(layout, parts):
            findings.add("trainer_files", path, "left by a trainer")
        elif is_desktop_file(parts[-1]):
            findings.add("desktop_files", path, "left by a desktop")
        else:
            findings.add("no_unlisted_files", path, "no row and no stamp lists it", video)
    findings.looked("no_unlisted_files", total)


def _is_known(path: str) -> bool:
    # Of mended masks those too that no row in force names: they may be taken up again.
    mended = path.startswith(f"{MASKS}/") and path.endswith(".png")
    return mended or path in _KNOWN or PurePath(path).name.startswith(".snakemake")


def _is_trainers(layout: Layout, parts: Sequence[str]) -> bool:
    in_package = len(parts) > 2 and parts[0] == FINAL and parts[1] in layout.formats
    return in_package and is_trainer_file(PurePath(*parts[2:]))


def pruned(layout: Layout, swept: Iterable[str]) -> set[str]:
    """Folders to leave out of the sweep over the whole dataset."""
    outside = {os.path.relpath(path, layout.dataset) for path in layout.not_ours}
    return {*swept, *outside, RAW, ".snakemake"}
