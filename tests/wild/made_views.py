"""Views of clips made by hand, for tests: sound ones, to which each test does one thing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import cv2
import numpy as np

from ferrari.ledger.columns import KEPT, QUARANTINED
from ferrari.ledger.reasons import OK
from tests.wild.comparing import Clip
from tests.wild.ffmpeg_view import FfmpegView, Packet, ShownFrame
from tests.wild.our_view import OurPicture, OurView

FPS = 25
NEW, OLD = (9, 0, 2), (5, 1, 9)

#: Gives the picture for a frame, options of the scale filter, and a filter in front.
Draw = Callable[[ShownFrame, str, str], np.ndarray | None]


def scene(seed: int = 1, width: int = 96, height: int = 64) -> np.ndarray:
    """HxWx3 uint8 RGB with areas and edges of many colours."""
    small = np.random.default_rng(seed).integers(70, 180, (height // 8, width // 8, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@dataclass
class Answers:
    """Answers as ffmpeg would."""

    draw: Draw
    sar: Fraction | None = None
    told: Sequence[Packet] = ()

    def picture(self, frame: ShownFrame, scale: str = "", first: str = "") -> np.ndarray | None:
        """See `comparing.Asked`."""
        return self.draw(frame, scale, first)

    def aspect(self, frame: ShownFrame) -> Fraction | None:
        """See `comparing.Asked`."""
        return self.sar

    def packets(self) -> list[Packet]:
        """See `comparing.Asked`."""
        return list(self.told)


def shown(number: int, picture_rgb: np.ndarray, **changed) -> ShownFrame:
    """ffmpeg's frame `number` of a clip of 25 a second."""
    high, wide = picture_rgb.shape[:2]
    frame = ShownFrame(
        number=number,
        pts=number * 512,
        time_s=Fraction(number, FPS),
        duration_s=Fraction(1, FPS),
        width=wide,
        height=high,
        sar=Fraction(1),
        pixel_format="yuv420p",
        interlaced=False,
        color_range="tv",
        matrix="bt709",
        primaries="bt709",
        transfer="bt709",
    )
    return replace(frame, **changed)


def row(number: int, **changed: str) -> dict[str, str]:
    """Stage 1's row of frame `number`."""
    return {
        "item": f"clip-f{number:06d}",
        "outcome": KEPT,
        "reason": OK,
        "frame": str(number),
        "pts": str(number * 512),
        "time_s": str(round(number / FPS, 6)),
        "interlaced": "0",
        "transfer": "sdr",
        "detail": "",
        "value": "",
    } | changed


@dataclass
class Made:
    """A clip of `count` frames of which both see the same; a test changes what it wants."""

    count: int = 10
    ours_rgb: np.ndarray = field(default_factory=scene)
    theirs_rgb: np.ndarray | None = None
    probe: dict[str, str] = field(default_factory=dict)
    rows: Sequence[dict[str, str]] | None = None
    lost: Sequence[dict[str, str]] = ()
    rejection: dict[str, str] | None = None
    frames: Sequence[ShownFrame] | None = None
    version: tuple[int, ...] = NEW
    format: str = "mov,mp4,m4a,3gp,3g2,mj2"
    header: str = ""
    stream: str = "Video: h264 (High), yuv420p(tv, bt709), 96x64, 25 fps"
    complaints: Sequence[str] = ()
    draw: Draw | None = None
    sar: Fraction | None = None
    packets: Sequence[Packet] = ()
    lossy_rgb: np.ndarray | None = None

    def clip(self) -> Clip:
        """Both views."""
        theirs_rgb = self.ours_rgb if self.theirs_rgb is None else self.theirs_rgb
        frames = self.frames
        if frames is None:
            frames = [shown(number, theirs_rgb) for number in range(self.count)]
        rows = [row(number) for number in range(self.count)] if self.rows is None else self.rows
        theirs = FfmpegView(
            self.version,
            self.format,
            self.header,
            {0: self.stream},
            0,
            list(frames),
            list(self.complaints),
        )
        draw = self.draw or (lambda frame, scale, first: theirs_rgb)
        return Clip("clip", self._ours(rows), theirs, Answers(draw, self.sar, self.packets))

    def _ours(self, rows: Sequence[dict[str, str]]) -> OurView:
        high, wide = self.ours_rgb.shape[:2]
        probe = {
            "outcome": KEPT,
            "reason": OK,
            "detail": "",
            "value": "",
            "threshold": "",
            "frames": str(self.count),
            "duration_s": str(self.count / FPS),
            "largest_gap_s": "0",
            "width": str(wide),
            "height": str(high),
        } | self.probe
        if probe["outcome"] != KEPT or self.rejection:
            return OurView(probe, rejection=self.rejection)
        kept = [row for row in rows if row["outcome"] == KEPT]
        places = sorted({0, len(kept) // 2, len(kept) - 1})
        pictures = [OurPicture(kept[place], self.ours_rgb) for place in places]
        lossy = None if self.lossy_rgb is None else OurPicture(kept[0], self.lossy_rgb)
        return OurView(probe, list(rows), list(self.lost), None, pictures, lossy)


def refused(reason: str, detail: str = "", **changed: str) -> dict[str, str]:
    """The cells of a probe row that refuses a clip."""
    return {"outcome": QUARANTINED, "reason": reason, "detail": detail} | changed


def lost_span(start_s: float, end_s: float) -> dict[str, str]:
    """Stage 1's row of a lost span."""
    told = f"from {start_s:.3f} s to {end_s:.3f} s, by the times of its frames; first error: x"
    changed = {"item": "clip-l000", "frame": "", "pts": "", "outcome": QUARANTINED}
    return row(0, **changed, reason="LOST_SPAN", detail=told, value=str(end_s - start_s))
