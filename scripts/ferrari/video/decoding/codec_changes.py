"""Does a stream keep its codec? That of a transport stream may change where two were joined.

A clip is decoded by the codec that it starts with. FFmpeg's demuxer goes on with the new one and
says nothing. Its parser is closed, and the frame that the parser held is in no packet.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from av import Packet, VideoStream
from av.bitstream import BitStreamFilterContext
from av.error import FFmpegError

from ferrari.video.containers import container_of
from ferrari.video.decoding.ffmpeg_log import unheard

#: Filters that take one codec and no other: PyAV does not tell the codec that a demuxer is at.
_TAKES = {
    **{"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"},
    **{"mpeg2video": "mpeg2_metadata", "mpeg4": "mpeg4_unpack_bframes"},
}


class CodecWatch:
    """Within `Complaints`: ask `is_other` once for each packet of the stream, when it was read."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self.codec = stream.codec_context.codec.canonical_name
        in_transport = "mpegts" in container_of(stream).format.name
        self._filter = _TAKES.get(self.codec, "") if in_transport else ""
        if self._refused():  # known by another name from the start: it cannot be watched
            self._filter = ""
        self._was_refused = self._was_other = False

    def is_other(self, packet: Packet) -> bool:
        """Whether the packet, just read, is of a codec that the stream did not start with.

        Where the first codec comes back, the first packet still has the other's data, and those
        behind it are its rest until one has a time.
        """
        refused = self._refused()
        rest = self._was_other and (self._was_refused or packet.pts is None)
        self._was_refused, self._was_other = refused, refused or rest
        return self._was_other

    def _refused(self) -> bool:
        if not self._filter:
            return False
        try:
            with unheard():
                BitStreamFilterContext(self._filter, self._stream)
        except FFmpegError:
            return True
        return False


def time_of_the_dropped(pts: Sequence[int], usual: Fraction) -> int | None:
    """When the frame that no packet holds was shown, in units of `pts`; None if that has no times.

    `pts` are of the frames around it in the order shown. It lies in the first hole between them, or
    behind them all. The step from frame to frame is the least between them; `usual` for a lone one.
    """
    steps = [b - a for a, b in pairwise(pts)]
    step = min((step for step in steps if step > 0), default=round(usual))
    holes = (a for a, b in pairwise(pts) if 2 * (b - a) > 3 * step)
    last = next(holes, pts[-1] if pts else None)
    return None if last is None else last + step
