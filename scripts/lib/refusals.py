"""Where refused things go: bad_videos/<REASON>/ and bad_frames/<video>/<REASON>/, never away."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from scripts.lib.files import link_or_copy, write_bytes
from scripts.lib.names import video_id

BAD_VIDEOS = "bad_videos"
BAD_FRAMES = "bad_frames"


def refuse_video(raw: str | os.PathLike, file: str, reason: str, dataset: str | os.PathLike) -> str:
    """Put a link to (or a copy of) a refused raw file under its reason; the path below `dataset`.

    The name is the video's id and the file's own suffix, so that no raw name has to be trusted.
    What is no readable regular file gets no copy, and the empty string is returned.
    """
    if not os.path.isfile(raw) or not os.access(raw, os.R_OK):
        return ""
    suffix = "".join(c for c in Path(file).suffix.lower() if c.isalnum() or c == ".")[:10]
    relative = Path(BAD_VIDEOS) / reason / f"{video_id(file)}{suffix}"
    link_or_copy(raw, Path(dataset) / relative)
    return relative.as_posix()


def clear_frames(video: str, reasons: tuple[str, ...], dataset: str | os.PathLike) -> None:
    """Remove what an earlier run of one stage put under its reasons for this video."""
    for reason in reasons:
        shutil.rmtree(Path(dataset) / BAD_FRAMES / video / reason, ignore_errors=True)


def refuse_frame(
    name: str, data: bytes, video: str, reason: str, dataset: str | os.PathLike
) -> str:
    """Write a refused frame's or crop's image file under its reason; the path below `dataset`."""
    relative = Path(BAD_FRAMES) / video / reason / name
    write_bytes(Path(dataset) / relative, data, durable=False)
    return relative.as_posix()
