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
SHOWN = ("live", "poster", "mirror")
VIEWS = ("front", "three-quarter", "profile", "back")
#: Degrees of yaw, to either side, at which one view ends and the next begins.
VIEW_ENDS_DEG = (25.0, 60.0, 110.0)


@dataclass(frozen=True)
class FigureSpec:
    """One figure: who it is (`seed`), how it is framed, where it stands and how it moves.

    `x` is the centre of the body as a share of the frame's width; `scale` multiplies the height
    that the framing gives; `sway` is the share of the width by which it wanders; `blend` (0..1)
    pulls the clothes' colours towards the scene's mean colour.

    With an `identity` it is a person: that seed gives the face, the skin, the hair and the build,
    and `outfit` (None: `seed`) the clothes. Without one, all of it comes from `seed`.

    `yaw_deg` is how it is turned as the clip begins (0 faces the viewer, 180 shows its back; None:
    as the motion has it) and `turn_deg_s` how fast it turns from there on; `travel` how far it
    moves to the right in a second, in widths of the frame.

    `shown`: "live", or as a "poster" (a picture that does not move) or in a "mirror" within
    `panel`, whose left, top, right and bottom are shares of the frame; `x` and `scale` then are
    meant within the panel.
    """

    seed: int
    framing: str = "full"
    motion: str = "walk"
    x: float = 0.5
    scale: float = 1.0
    sway: float = 0.08
    blend: float = 0.0
    identity: int | None = None
    outfit: int | None = None
    yaw_deg: float | None = None
    turn_deg_s: float = 0.0
    travel: float = 0.0
    shown: str = "live"
    panel: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


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
        values["figures"] = tuple(
            FigureSpec(**{**figure, **_panel_of(figure)}) for figure in values["figures"]
        )
        values["scenes"] = tuple(values["scenes"])
        values["cuts"] = tuple(values["cuts"])
        values["frozen_runs"] = tuple((first, count) for first, count in values["frozen_runs"])
        return cls(**values)


def _panel_of(figure: dict[str, Any]) -> dict[str, Any]:
    return {"panel": tuple(figure["panel"])} if "panel" in figure else {}


@dataclass(frozen=True)
class PersonTruth:
    """A figure in a drawn frame, in its pixels.

    `figure` is its place in the clip's `figures`; `identity` and `shown` are its own. `yaw_deg` is
    -180 to 180, 0 for who faces the viewer and more than 0 for who looks to the picture's right;
    `view` one of VIEWS. `alpha_u8` (HxW) is its mask less what stands before it, `box_xyxy` the
    tight box of that, `visible_share` how much of the mask is left. `face_xyxy` is the box of the
    face, from forehead to chin and ear to ear, and `landmarks_xy` (5, 2) float32 the person's right
    eye, left eye, tip of the nose, right and left corner of the mouth, hidden ones too; both are
    None where the face is turned away from the viewer. `face_share` is how much of the face's box
    nothing covers, and that lies in the frame.
    """

    figure: int
    identity: int | None
    shown: str
    yaw_deg: float
    view: str
    alpha_u8: np.ndarray
    box_xyxy: tuple[int, int, int, int]
    visible_share: float
    face_xyxy: tuple[float, float, float, float] | None = None
    landmarks_xy: np.ndarray | None = None
    face_share: float = 0.0

    @property
    def face_px(self) -> float:
        """The shorter side of the face's box; 0 without a face."""
        if self.face_xyxy is None:
            return 0.0
        x1, y1, x2, y2 = self.face_xyxy
        return min(x2 - x1, y2 - y1)


def view_of(yaw_deg: float) -> str:
    """The view (one of VIEWS) of who is turned by that much."""
    turned = abs((yaw_deg + 180) % 360 - 180)
    return VIEWS[int(np.searchsorted(VIEW_ENDS_DEG, turned, side="right"))]


@dataclass(frozen=True)
class Rendered:
    """A drawn frame with its truth.

    `frame_rgb` is uint8 HxWx3; `alpha_u8` uint8 HxW, the union of all figures with a soft edge;
    `box_xyxy` the tight box around `alpha_u8` >= 128 in pixels (right and bottom exclusive) or
    None; `duplicate_of` the index of the frame that this one repeats, or None; `alphas_u8` and
    `boxes_xyxy` one entry a figure that is visible, each less what stands before it; `people` says
    more of the same figures.
    """

    frame_rgb: np.ndarray
    alpha_u8: np.ndarray
    box_xyxy: tuple[int, int, int, int] | None
    duplicate_of: int | None
    alphas_u8: tuple[np.ndarray, ...] = ()
    boxes_xyxy: tuple[tuple[int, int, int, int], ...] = ()
    people: tuple[PersonTruth, ...] = ()


def tight_box(alpha_u8: np.ndarray, level: int = 128) -> tuple[int, int, int, int] | None:
    """The smallest box (x0, y0, x1, y1; last two exclusive) with all alpha >= level, or None."""
    solid = alpha_u8 >= level
    columns = np.flatnonzero(solid.any(axis=0))
    if columns.size == 0:
        return None
    rows = np.flatnonzero(solid.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
