"""The folder of raw clips: which of its entries count as clips, and what is left out by name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ferrari.common.errors import FerrariError
from ferrari.ledger.item_ids import video_id
from ferrari.ledger.left_out import LeftOut, why_left_out

_VIDEO_ENDINGS = {
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".mxf", ".ts", ".webm", ".wmv"),
}
#: Endings of files that are named as film; what cameras call proxies and thumbnails is none.
_FILM_ENDINGS = _VIDEO_ENDINGS | {
    *(".3g2", ".3gpp", ".asf", ".divx", ".dv", ".f4v", ".gxf", ".h264", ".h265", ".hevc", ".insv"),
    *(".ivf", ".m1v", ".m2t", ".m2v", ".mj2", ".mod", ".mpe", ".nut", ".ogm", ".ogv", ".qt", ".rm"),
    *(".rmvb", ".tod", ".vob", ".y4m", ".360"),
}


class DuplicateIdError(FerrariError, ValueError):
    """Two raw files got the same id (a collision of 40 bits of SHA-256)."""


@dataclass
class RawFolder:
    """The contents of the folder of raw clips; all paths are relative to it.

    `videos` maps ids to paths, sorted by id. Folders in `left_out` are not searched: a NAS's
    snapshots may hold a hundred times the clips.
    """

    videos: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, LeftOut] = field(default_factory=dict)


def look_through(raw_folder: str | os.PathLike, ignore: Sequence[str] = ()) -> RawFolder:
    """The clips of the raw folder, and what is left out of it by name.

    Every entry that is not a folder counts as a clip, whatever its extension: stage 0 decides
    whether it is a video. Three kinds of folder count too, since they would otherwise be passed
    over silently: a link to a folder (not followed, it may be a loop), a folder that cannot be
    read, and an empty folder with a video's extension. Left out are system files and folders
    (`foreign_files.system_pattern`) and what matches a pattern of `ignore`
    (`left_out.matching_pattern`). Raises OSError if `raw_folder` itself cannot be read.
    """
    raw_folder = os.fspath(raw_folder)
    seen = RawFolder()
    found: dict[str, str] = {}
    for path in _entries(raw_folder, ignore, seen.left_out):
        relative = os.path.relpath(path, raw_folder)
        video = video_id(relative)
        if video in found:
            raise DuplicateIdError(
                f"{relative!r} and {found[video]!r} both get the id {video}; rename one of them"
            )
        found[video] = relative
    seen.videos = dict(sorted(found.items()))
    seen.left_out = dict(sorted(seen.left_out.items()))
    return seen


def named_as_film(videos: Mapping[str, str]) -> list[str]:
    """Those of `videos` (id: path) with a video's extension; all of them if none has one.

    Stage 0 examines every file. What is drawn before that, to represent the whole set, is drawn
    from these: photos and texts beside the clips would only take up places.
    """
    return [video for video, file in videos.items() if is_named_as_film(file)] or list(videos)


def is_named_as_film(file: str) -> bool:
    """True if a file has a video's extension."""
    return os.path.splitext(file)[1].lower() in _FILM_ENDINGS


def _entries(raw_folder: str, ignore: Sequence[str], left_out: dict[str, LeftOut]) -> Iterator[str]:
    """Paths of what counts as a clip, in no order; adds the rest to `left_out`."""
    closed: list[OSError] = []

    def clips_of(folder: str, names: list[str], are_folders: bool) -> list[str]:
        within = os.path.relpath(folder, raw_folder)
        prefix = "" if within == os.curdir else f"{within}/"
        clips = []
        for name in names:
            why = why_left_out(prefix + name, are_folders, ignore)
            if why:
                left_out[prefix + name] = why
            else:
                clips.append(name)
        return clips

    for folder, subfolders, files in os.walk(raw_folder, onerror=closed.append):
        entries = [os.path.join(folder, name) for name in clips_of(folder, files, False)]
        inner = clips_of(folder, subfolders, True)
        links = [name for name in inner if os.path.islink(os.path.join(folder, name))]
        subfolders[:] = [name for name in inner if name not in links]
        yield from entries
        yield from (os.path.join(folder, name) for name in links)
        empty = not entries and not inner and folder != raw_folder
        if empty and os.path.splitext(folder)[1].lower() in _VIDEO_ENDINGS:
            yield folder
    for error in closed:
        if error.filename == raw_folder:
            raise error
        yield error.filename
