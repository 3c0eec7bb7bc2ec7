"""What a synthetic clip is: plain frozen data that JSON can hold, so a clip can be drawn again.

Every random choice of the drawing modules is seeded from these values alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

FRAMINGS = ("full", "half", "close")
MOTIONS = ("walk", "wave", "turn", "dance", "stand")
SCENES = ("room", "outdoor", "gallery", "street", "noise", "bokeh")


@dataclass(frozen=True)
class FigureSpec:
    """One figure: who it is (`seed`), how it is framed, where it stands and how it moves.

    `x` is the centre of the body as a share of the frame's width; `scale` multiplies the height
    that the framing gives; `sway` is the share of the width by which it wanders; `blend` (0..1)
    pulls the clothes' colours towards the scene's mean colour.
    """

    seed: int
    framing: str = "full"
    motion: str = "walk"
    x: float = 0.5
    scale: float = 1.0
    sway: float = 0.08
    blend: float = 0.0


@dataclass(frozen=True)
class ClipSpec:
    """One clip: size in pixels, rate, frames, scenes, cuts, frozen runs, figures and encoding.

    `cuts` are the indices of the first frame after each hard cut; shot `k` shows `scenes[k % len]`.
    `frozen_runs` are `(first, count)`: frames first+1 .. first+count-1 repeat frame `first`.
    `pan_px_s` is the camera's drift in pixels a second; `light` the swing of the exposure (0..1).
    """

    seed: int
    width: int = 854
    height: int = 480
    fps: str = "25"
    n_frames: int = 100
    scenes: tuple[str, ...] = ("room",)
    cuts: tuple[int, ...] = ()
    frozen_runs: tuple[tuple[int, int], ...] = ()
    figures: tuple[FigureSpec, ...] = field(default_factory=lambda: (FigureSpec(seed=0),))
    pan_px_s: float = 170.0
    light: float = 0.12
    noise: float = 3.0
    gop: int = 48
    b_frames: int = 2
    crf: int = 20

    def source_of(self, frame_index: int) -> int:
        """The frame whose pixels frame `frame_index` shows: itself, unless within a frozen run."""
        for first, count in self.frozen_runs:
            if first < frame_index < first + count:
                return first
        return frame_index

    def shot_of(self, frame_index: int) -> int:
        """Number of cuts at or before the frame."""
        return sum(cut <= frame_index for cut in self.cuts)

    def time_s(self, frame_index: int) -> float:
        """Presentation time of a frame, in seconds from the clip's start."""
        return float(Fraction(frame_index) / Fraction(self.fps))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; `ClipSpec.from_json` gives back an equal spec."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ClipSpec:
        """The spec that `to_json` wrote."""
        values = dict(data)
        values["figures"] = tuple(FigureSpec(**figure) for figure in values["figures"])
        values["scenes"] = tuple(values["scenes"])
        values["cuts"] = tuple(values["cuts"])
        values["frozen_runs"] = tuple((first, count) for first, count in values["frozen_runs"])
        return cls(**values)


@dataclass(frozen=True)
class Rendered:
    """A drawn frame with its truth.

    `frame_rgb` is uint8 HxWx3; `alpha_u8` uint8 HxW, the union of all figures with a soft edge;
    `box_xyxy` the tight box around `alpha_u8` >= 128 in pixels (right and bottom exclusive) or
    None; `duplicate_of` the index of the frame that this one repeats, or None; `alphas_u8` and
    `boxes_xyxy` one entry a figure that is visible, each less what stands before it.
    """

    frame_rgb: np.ndarray
    alpha_u8: np.ndarray
    box_xyxy: tuple[int, int, int, int] | None
    duplicate_of: int | None
    alphas_u8: tuple[np.ndarray, ...] = ()
    boxes_xyxy: tuple[tuple[int, int, int, int], ...] = ()


def tight_box(alpha_u8: np.ndarray, level: int = 128) -> tuple[int, int, int, int] | None:
    """The smallest box (x0, y0, x1, y1; last two exclusive) with all alpha >= level, or None."""
    solid = alpha_u8 >= level
    columns = np.flatnonzero(solid.any(axis=0))
    if columns.size == 0:
        return None
    rows = np.flatnonzero(solid.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
