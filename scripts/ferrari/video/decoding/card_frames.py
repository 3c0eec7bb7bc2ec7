"""Frames that a card decoded: they stay in its memory until somebody wants their pixels."""

from __future__ import annotations

from av import VideoFormat, VideoFrame

from ferrari.video.decoding.base import DecoderUnavailableError
from ferrari.video.decoding.conversion import converted

#: What NVDEC writes -> the planes in which FFmpeg's own decoders give the same picture. Both hold
#: the same numbers: chroma is taken apart, and levels that lie in the high bits are moved down.
_PLANAR = {
    **{"nv12": "yuv420p", "p010le": "yuv420p10le", "p012le": "yuv420p12le"},
    **{"nv16": "yuv422p", "p210le": "yuv422p10le", "p212le": "yuv422p12le"},
    **{"yuv444p": "yuv444p", "yuv444p10msble": "yuv444p10le", "yuv444p12msble": "yuv444p12le"},
}
#: Of levels in the high bits of 16, the form alone does not tell how many bits they have.
_BY_DEPTH = {"p016le": "yuv420p{}le", "p216le": "yuv422p{}le", "yuv444p16le": "yuv444p{}le"}


def on_host(frame: VideoFrame, coded: str) -> VideoFrame:
    """The frame in ordinary memory, in the format that the CPU's decoder would give it.

    `coded` is the pixel format of the stream as its container tells it. A frame that is there
    already is returned as it is. Raises DecoderUnavailableError for a form that is not known here.
    """
    if frame.sw_format is None:
        return frame
    name = frame.sw_format.name
    wanted = _PLANAR.get(name)
    if name in _BY_DEPTH:
        wanted = _BY_DEPTH[name].format(VideoFormat(coded).components[0].bits)
    if wanted is None:
        raise DecoderUnavailableError(f"the card gives its frames as {name}")
    return converted(frame, wanted)
