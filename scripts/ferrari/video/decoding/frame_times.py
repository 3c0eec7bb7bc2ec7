"""When a frame is shown, where the container knows only when its packets are decoded (AVI)."""

from __future__ import annotations


class FrameTimes:
    """Each frame's presentation time, or its packet's decoding time if those are more in order.

    Call it for every frame in the order shown. The rule is FFmpeg's `best_effort_timestamp`
    (libavcodec/decode.c), so that frames have the times that its own programs and players give.
    """

    def __init__(self) -> None:
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._faulty_pts = self._faulty_dts = 0

    def of(self, pts: int | None, dts: int | None) -> int | None:
        """The time to use, in the units of both; None if both are missing."""
        if dts is not None:
            self._faulty_dts += self._last_dts is not None and dts <= self._last_dts
            self._last_dts = dts
        elif pts is not None:
            self._last_dts = pts
        if pts is not None:
            self._faulty_pts += self._last_pts is not None and pts <= self._last_pts
            self._last_pts = pts
        elif dts is not None:
            self._last_pts = dts
        if pts is not None and (dts is None or self._faulty_pts <= self._faulty_dts):
            return pts
        return dts
