"""Files of the raw folder whose names say that they are not clips: system files, and files that
match the user's patterns (`intake.ignore`). Each has a row in videos.csv with its reason.

A deleted file in a NAS's recycle bin, or the NAS's preview of a clip, decodes like any clip; only
its path shows that nobody put it there. Such files get no job, and no copy in `bad_videos/`, which
would double a full recycle bin. Only their names and sizes are read.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from ferrari.common.foreign_files import system_pattern
from ferrari.ledger.reasons import IGNORED, SYSTEM_FILE

#: Files of one folder that get a row each; a fuller folder gets one for the whole of it.
MOST_LISTED = 1000


@dataclass(frozen=True)
class LeftOut:
    """Why a file or folder of the raw folder is not a clip: a reason of the ledger, and the
    pattern.

    `pattern` is the system's name for it, or the user's pattern that it matches.
    """

    reason: str
    pattern: str
    folder: bool


def matching_pattern(relative: str, patterns: Iterable[str]) -> str:
    """The first of the user's patterns that a path below the raw folder matches; else empty.

    A pattern with a slash is matched against the whole path, one without against the last name
    only: `*.lrv`, `Proxy`, `2019/*/rushes`. `*` stands for any characters (slashes too), `?` for
    one, `[ab]` for one of several. Case is ignored, since cameras write capitals.
    """
    path = relative.lower()
    name = path.rpartition("/")[2]
    for pattern in patterns:
        wanted = pattern.lower().strip("/")
        if fnmatch.fnmatchcase(path if "/" in wanted else name, wanted):
            return pattern
    return ""


def why_left_out(relative: str, folder: bool, ignore: Sequence[str]) -> LeftOut | None:
    """Why a path below the raw folder is not a clip, by its name; None if it may be one."""
    if pattern := system_pattern(relative.rpartition("/")[2], folder):
        return LeftOut(SYSTEM_FILE, pattern, folder)
    if ignore and (pattern := matching_pattern(relative, ignore)):
        return LeftOut(IGNORED, pattern, folder)
    return None


class Names(Protocol):
    """What there is below the place of raw clips; paths are below it."""

    def files_below(self, path: str) -> Iterator[str]:
        """The files in a folder, in no order."""
        ...

    def size(self, path: str) -> int | str:
        """Bytes of a file; empty where they cannot be told."""
        ...


def listed(
    names: Names, left_out: Mapping[str, LeftOut]
) -> Iterator[tuple[str, LeftOut, str, int | str]]:
    """(path, why, detail, bytes) of each file that is left out; paths are below the raw folder.

    The files of a folder come one by one. A folder with more than MOST_LISTED files is a single
    entry, whose path ends in a slash and whose bytes are empty. Counting stops there, since
    snapshots may hold millions.
    """
    for path, why in left_out.items():
        if not why.folder:
            yield path, why, _detail(why, path), names.size(path)
            continue
        files = list(islice(names.files_below(path), MOST_LISTED + 1))
        if len(files) > MOST_LISTED:
            yield f"{path}/", why, f"{_detail(why, path)}; more than {MOST_LISTED:,} files", ""
        else:
            for file in sorted(files):
                yield file, why, _detail(why, path), names.size(file)


def _detail(why: LeftOut, path: str) -> str:
    if why.reason == IGNORED:
        return f"matches the pattern {why.pattern!r} of intake.ignore"
    if why.folder:
        return f"lies in {path}, a folder of the system or of a NAS by its name"
    return "a file of the system by its name"


class FolderNames:
    """Names and sizes below a folder of a disk."""

    def __init__(self, raw_folder: str | os.PathLike) -> None:
        self._raw_folder = raw_folder

    def files_below(self, path: str) -> Iterator[str]:
        """Paths (below the raw folder) of the files in a folder; links to folders are not
        followed.
        """
        top = os.path.join(self._raw_folder, path)
        if os.path.islink(top):
            yield path
            return
        for folder, _, names in os.walk(top):
            for name in names:
                yield os.path.relpath(os.path.join(folder, name), self._raw_folder)

    def size(self, path: str) -> int | str:
        try:
            return os.lstat(os.path.join(self._raw_folder, path)).st_size
        except OSError:
            return ""
