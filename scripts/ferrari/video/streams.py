"""Which of a file's video streams is used, as players choose it, and why the others are not."""

from __future__ import annotations

import re

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from ferrari.video.clip_verdicts import OTHER_FILM

#: Tracks that go with a film and are none, by what the file says of them.
_NO_FILM = {
    Disposition.attached_pic: "a cover picture",
    Disposition.still_image: "a still picture",
    Disposition.timed_thumbnails: "thumbnails",
    Disposition.dependent: "a part of another picture",
}
_DUMPED = re.compile(r"Stream #\d+:(\d+)[^\n]*?: Video: none \(([^/)]+?) ?/")
_FILM = re.compile(r"Stream #\d+:(\d+)[^\n]*?: Video: (\w+)")


def main_video(container: InputContainer) -> VideoStream | None:
    """The video track to use: FFmpeg's choice, which goes by the default flag as players do.

    Covers, stills, thumbnails, parts of pictures, and tracks that FFmpeg has no decoder for are
    left out; without such a choice it is the largest of the default tracks.
    """
    tracks = [stream for stream in container.streams.video if not why_not(stream)]
    moving = [stream for stream in tracks if stream.frames != 1] or tracks
    best = container.streams.best("video")
    if best in moving:
        return best
    return max(moving, key=lambda s: (_is_default(s), _area(s), -s.index), default=None)


def why_not(stream: VideoStream) -> str:
    """Why a video track cannot be the film, "" if it can."""
    said = next((why for flag, why in _NO_FILM.items() if stream.disposition & flag), "")
    return said or ("" if decodes(stream) else "FFmpeg has no decoder for it")


def decodes(stream: VideoStream) -> bool:
    """Whether FFmpeg has a decoder for it; PyAV's stream has no size or codec where it has none."""
    return stream.codec_context is not None


def passed_over(container: InputContainer, chosen: VideoStream | None) -> str:
    """The video tracks that are not `chosen`, each with the reason."""
    others = [stream for stream in container.streams.video if stream is not chosen]
    letters = four_letters(container) if not all(map(decodes, others)) else {}
    return "; ".join(f"{_named(s, letters)}: {_passed_for(s, chosen)}" for s in others)


def begun_late(container: InputContainer) -> str:
    """The video tracks that FFmpeg met only after it had opened the file, once all of it is read.

    PyAV knows nothing of them. A transport stream may have some, where two were joined.
    """
    late = [
        f"track {index} ({codec}): {OTHER_FILM}, begun on the way"
        for index, codec in _FILM.findall(_dumped(container))
        if int(index) >= len(container.streams)
    ]
    return "; ".join(late)


def four_letters(container: InputContainer) -> dict[int, str]:
    """The code (mostly four letters) of each video codec that FFmpeg does not know, by track."""
    return {int(index): letters.strip() for index, letters in _DUMPED.findall(_dumped(container))}


def _dumped(container: InputContainer) -> str:
    """What FFmpeg's own programs print of a file."""
    av.logging.set_level(av.logging.INFO)  # what FFmpeg writes of a file is written as a log
    try:
        written: str = container.dumps_format()  # type: ignore[attr-defined]  # not in the stub
    finally:
        av.logging.restore_default_callback()
        av.logging.set_libav_level(av.logging.FATAL)
    return written


def _passed_for(stream: VideoStream, chosen: VideoStream | None) -> str:
    why = why_not(stream)
    if why or chosen is None:
        return why
    if stream.frames == 1 != chosen.frames:
        return "a still picture"
    if _is_default(chosen) and not _is_default(stream):
        return f"{OTHER_FILM}, not the default one"
    return f"{OTHER_FILM}; players show track {chosen.index}"


def _named(stream: VideoStream, letters: dict[int, str]) -> str:
    if not decodes(stream):
        return f"track {stream.index} ({letters.get(stream.index, 'unknown')})"
    codec = stream.codec_context.name
    return f"track {stream.index} ({codec} {stream.width}x{stream.height})"


def _is_default(stream: VideoStream) -> bool:
    return bool(stream.disposition & Disposition.default)


def _area(stream: VideoStream) -> int:
    return (stream.width or 0) * (stream.height or 0)
