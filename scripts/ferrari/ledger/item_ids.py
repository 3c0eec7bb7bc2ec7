"""Ids of videos and items: safe in a path, a URL, a wildcard and a trainer's folder; stable.

A video's id is a slug of its file name plus ten hex digits of the SHA-256 of its path relative to
the raw folder. It depends on nothing but that path, so it stays when other clips come or go, and
two files that share a stem, or differ in case or Unicode form, get different ids. Ids hold only
`a-z 0-9 -`: no dot (WebDataset cuts a key at the first one), no underscore (kohya strips the last
four of five from a name and looks there for a caption). An item's id says what it came from:
`parse` reads it back.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ferrari.common.errors import FerrariError
from ferrari.ledger import item_ids
from ferrari.ledger.left_out import LeftOut, why_left_out

VIDEO_ID = r"[a-z0-9][a-z0-9-]*-[0-9a-f]{10}"
_SLUG_CHARS = 40

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


def slug(text: str) -> str:
    """ASCII slug of at most 40 characters from `a-z 0-9 -`; 'clip' where nothing is left."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")
    return words[:_SLUG_CHARS].strip("-") or "clip"


def video_id(relative_path: str) -> str:
    """The id of the raw file at `relative_path` (below the raw folder, `/` between parts)."""
    digest = hashlib.sha256(os.fsencode(relative_path)).hexdigest()[:10]
    return f"{slug(Path(relative_path).stem)}-{digest}"


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


def frame_item(video: str, ordinal: int) -> str:
    """Id of the `ordinal`-th sampled frame of a video."""
    return f"{video}-f{ordinal:06d}"


def lost_item(video: str, ordinal: int) -> str:
    """Id of the `ordinal`-th stretch of a video that gave no usable frame."""
    return f"{video}-lost{ordinal:03d}"


def detection_item(frame: str, ordinal: int) -> str:
    """Id of the `ordinal`-th detection in a frame."""
    return f"{frame}-d{ordinal}"


def crop_item(frame: str, ordinal: int) -> str:
    """Id of the crop of the `ordinal`-th detection in a frame."""
    return f"{frame}-p{ordinal}"


def variant_item(crop: str, variant: int) -> str:
    """Id of the `variant`-th augmentation of a cut-out."""
    return f"{crop}-v{variant}"


_FRAME = "-(?:f[0-9]{6,}|lost[0-9]{3,})"  # a frame, or a stretch that gave none
_ITEM = re.compile(rf"(({item_ids.VIDEO_ID}){_FRAME})(?:-([dp])([0-9]+))?(-v[0-9]+)?")
_BELOW = rf"(?:{_FRAME})?(?:-[dp][0-9]+)?(?:-v[0-9]+)?".encode()


@dataclass(frozen=True)
class Item:
    """A parsed id: its own and its ancestors' ids; levels below its own are empty."""

    video: str
    frame: str = ""
    detection: str = ""
    crop: str = ""
    variant: str = ""

    @property
    def id(self) -> str:
        """The item's own id: that of the lowest level that is set."""
        return self.variant or self.crop or self.detection or self.frame or self.video

    @property
    def kind(self) -> str:
        """What it is: clip, frame, detection, crop or image."""
        level = sum(bool(part) for part in (self.frame, self.detection, self.crop, self.variant))
        return ("clip", "frame", "detection", "crop", "image")[level]

    def below(self) -> bytes:
        """A pattern (for a full match) of the item's id and of the ids of everything made from it.

        One clip's id may be the beginning of another's, so only ordinals may follow. A detection's
        crop has the detection's number, but does not begin with its id.
        """
        own = re.escape(self.id.encode())
        if self.kind != "detection":
            return own + _BELOW
        frame, _, ordinal = self.detection.rpartition("-d")
        crop = re.escape(crop_item(frame, int(ordinal)).encode())
        return b"(?:%s|%s(?:-v[0-9]+)?)" % (own, crop)

    def at(self, stage: str) -> str:
        """The id of the item's row, or its ancestor's, in a stage's table; else empty."""
        level = {"probe": self.video, "extract": self.frame, "detect": self.detection}
        level |= {"crop": self.crop, "mask": self.crop}
        return level.get(stage, self.variant)


def parse(text: str) -> Item | None:
    """The item that an id names; None if it is not the id of a frame, a detection, a crop or an
    image.

    A crop has the number of its detection.
    """
    found = _ITEM.fullmatch(text)
    if not found:
        return None
    frame, video, kind, ordinal, variant = found.groups()
    if variant and kind != "p":
        return None
    detection = f"{frame}-d{ordinal}" if kind else ""
    crop = f"{frame}-p{ordinal}" if kind == "p" else ""
    return Item(video, frame, detection, crop, crop + variant if variant else "")


def frame_of(text: str) -> str:
    """The id of the frame that an item comes from; empty for a clip, or what is no item."""
    item = parse(text)
    return item.frame if item else ""


def clip_of(text: str) -> str:
    """The id of the clip that an item comes from; a clip's own id is given back."""
    item = parse(text)
    return item.video if item else text
