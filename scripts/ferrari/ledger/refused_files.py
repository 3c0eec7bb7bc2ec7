"""Copies of refused files: in bad_videos/<REASON>/ and bad_frames/<video>/<REASON>/."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from ferrari.common.atomic_files import clear_leftovers, link_or_copy, sha256_bytes, write_bytes
from ferrari.ledger.item_ids import parse, video_id

BAD_VIDEOS = "bad_videos"
BAD_FRAMES = "bad_frames"


def refuse_video(raw: str | os.PathLike, file: str, reason: str, dataset: str | os.PathLike) -> str:
    """Link (or copy) a refused raw file to its reason's folder; returns the path below `dataset`.

    The name is the video's id and the file's own suffix, so that no raw name has to be trusted.
    Anything but a readable regular file is not copied, and the empty string is returned.
    """
    if not os.path.isfile(raw) or not os.access(raw, os.R_OK):
        return ""
    suffix = "".join(c for c in Path(file).suffix.lower() if c.isalnum() or c == ".")[:10]
    relative = Path(BAD_VIDEOS) / reason / f"{video_id(file)}{suffix}"
    clear_leftovers(Path(dataset) / relative)
    if os.path.getsize(raw):
        link_or_copy(raw, Path(dataset) / relative)
    else:  # files of /proc and the like have size 0, and reading one may never end
        write_bytes(Path(dataset) / relative, b"")
    return relative.as_posix()


def clear_video(video: str, reasons: Iterable[str], dataset: str | os.PathLike) -> None:
    """Remove a clip's copies that an earlier run made under `reasons`, whatever their suffix."""
    for reason in reasons:
        for file in (Path(dataset) / BAD_VIDEOS / reason).glob(f"{video}*"):
            if file.name.partition(".")[0] == video:
                file.unlink()


def clear_frames(
    video: str,
    reasons: tuple[str, ...],
    dataset: str | os.PathLike,
    kind: str = "",
    keep: frozenset[str] = frozenset(),
) -> None:
    """Remove what an earlier run of one stage put under its reasons for this video.

    If two stages share a reason, `kind` tells their files apart (the kind of items that they are
    named after, see `item_ids.Item`). Files named in `keep` (paths below the dataset) stay.
    """
    for reason in reasons:
        folder = Path(dataset) / BAD_FRAMES / video / reason
        for file in folder.glob("*"):
            item = parse(file.stem)
            ours = not kind or (item is not None and item.kind == kind)
            if ours and file.is_file() and file.relative_to(dataset).as_posix() not in keep:
                file.unlink()
        if not any(folder.glob("*")):
            shutil.rmtree(folder, ignore_errors=True)


def refuse_frame(
    name: str, data: bytes, video: str, reason: str, dataset: str | os.PathLike
) -> str:
    """Write a refused frame's or crop's image file under its reason; the path below `dataset`."""
    relative = Path(BAD_FRAMES) / video / reason / name
    write_bytes(Path(dataset) / relative, data, durable=False)
    return relative.as_posix()


def refuse_frame_file(
    path: Path, name: str, video: str, reason: str, dataset: str | os.PathLike
) -> dict[str, str]:
    """Copy the file of a refused frame; the row's `path` and `sha256`, of the copy.

    Both are empty if the file is gone or empty.
    """
    data = path.read_bytes() if path.is_file() else b""
    if not data:
        return {"path": "", "sha256": ""}
    where = refuse_frame(name, data, video, reason, dataset)
    return {"path": where, "sha256": sha256_bytes(data)}
