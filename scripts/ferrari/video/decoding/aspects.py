"""The sample aspect ratio of each frame of a stream: it may change on the way."""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction

from av import VideoStream

from ferrari.video.containers import aspect_of, declared_aspect
from ferrari.video.decoding.ffmpeg_log import unheard
from ferrari.video.orientation import sane_aspect


class Aspects:
    """Tells it within reason (see `sane_aspect`).

    A container that declares one is believed, as FFmpeg and players do. Else it is what the frame's
    own data says, and that may change on the way: `changed` is asked after each packet.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._latest = stream.codec_context.sample_aspect_ratio
        self._from_packet = [0]
        self._aspects = [aspect_of(stream)]

    def changed(self, packet: int) -> bool:
        """Note what the decoder says after it took packet `packet`; True if frames now differ."""
        latest = self._stream.codec_context.sample_aspect_ratio
        if latest == self._latest:
            return False
        self._latest = latest
        with unheard():
            declared = declared_aspect(self._stream)
        if declared:
            return False
        self._from_packet.append(packet)
        self._aspects.append(sane_aspect(latest))
        return True

    def of(self, packet: int | None) -> Fraction:
        """Of the frame made from that packet; the latest, where that is not known."""
        if packet is None:
            return self._aspects[-1]
        return self._aspects[bisect_right(self._from_packet, packet) - 1]
