"""Which frames a sampler on the pts clock takes from a clip, and which are planted repeats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np

from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec

DELTA_WIDTH_PX = 256


def sample_times(times_s: Sequence[Fraction], fps: float) -> list[int]:
    """Indices of the frames taken at `fps` from frames at `times_s` (ascending, exact seconds).

    The first frame with t >= next_t is taken; next_t starts at the first frame's t0 and is then
    t0 + (floor((t - t0) * fps) + 1) / fps, so that a gap is not filled with stale samples.
    """
    rate, taken, next_t = Fraction(fps), [], None
    for index, t in enumerate(times_s):
        if next_t is None or t >= next_t:
            taken.append(index)
            next_t = times_s[0] + (math.floor((t - times_s[0]) * rate) + 1) / rate
    return taken


def truth_for_sampling(spec: ClipSpec, fps: float) -> list[tuple[int, bool]]:
    """(frame index, is a planted duplicate of the last kept sample) for each sample at `fps`."""
    times = [Fraction(k) / Fraction(spec.fps) for k in range(spec.n_frames)]
    truth, kept_source = [], None
    for index in sample_times(times, fps):
        duplicate = spec.source_of(index) == kept_source
        truth.append((index, duplicate))
        kept_source = spec.source_of(index)
    return truth


def luma_delta(a_rgb: np.ndarray, b_rgb: np.ndarray) -> float:
    """Mean absolute BT.709 luma difference (0..255) of two RGB frames, first shrunk to 256 wide."""
    small = []
    for frame_rgb in (a_rgb, b_rgb):
        luma = frame_rgb.astype(np.float32) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
        height = round(luma.shape[0] * DELTA_WIDTH_PX / luma.shape[1])
        small.append(cv2.resize(luma, (DELTA_WIDTH_PX, height), interpolation=cv2.INTER_AREA))
    return float(np.abs(small[0] - small[1]).mean())


def least_move(spec: ClipSpec, fps: float) -> float:
    """The smallest `luma_delta` between two kept samples in a row at `fps`; infinite with one."""
    kept = [index for index, duplicate in truth_for_sampling(spec, fps) if not duplicate]
    frames = [render_frame(spec, index).frame_rgb for index in kept]
    moves = [luma_delta(a, b) for a, b in pairwise(frames)]
    return min(moves, default=math.inf)
