"""Plain and slow versions to hold the fast ones against: which frames, which boxes, which alpha."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ferrari.images.repeats import compare_luma, luma_delta


def chosen(path: str | Path, settings: Mapping, threads: int) -> Iterator:
    """The PyAV frames that sampling and the drop of repeats leave, every frame being decoded.

    The first frame of each 1/`fps` slot after the first frame; of those, each that does not repeat
    the last one kept, by the stage's own judgement and bounds. `settings` is the `extract` section.
    """
    fps = settings["fps"]
    rate, slot, start, last = Fraction(fps).limit_denominator(10_000), -1, None, None
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.thread_count = "AUTO", threads
        for frame in container.decode(stream):
            time_s = frame.pts * frame.time_base
            start = time_s if start is None else start
            if int((time_s - start) * rate) <= slot:
                continue
            slot = int((time_s - start) * rate)
            small = compare_luma(_luma(frame))
            if luma_delta(small, last).is_repeat(settings):
                continue
            last = small
            yield frame


def _luma(frame) -> np.ndarray:
    if frame.format.name.startswith("yuv") and frame.format.components[0].bits == 8:
        plane = frame.planes[0]
        luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        return luma[: frame.height, : frame.width]
    return frame.to_ndarray(format="gray")


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes (x1, y1, x2, y2)."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    shared = wide * high
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def same_boxes(
    ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]], least: float = 0.98
) -> bool:
    """True if there are as many boxes, and each of ours has one of theirs of its own."""
    left = list(theirs)
    for box in ours:
        best = max(left, key=lambda other: iou(box, other), default=None)
        if best is None or iou(box, best) <= least:
            return False
        left.remove(best)
    return not left


def matte_error(alpha_u8: np.ndarray, truth_u8: np.ndarray) -> tuple[float, float]:
    """Sum of absolute differences (in thousands) and mean squared error, alpha in 0..1."""
    delta = (alpha_u8.astype(np.float64) - truth_u8.astype(np.float64)) / 255
    return float(np.abs(delta).sum()) / 1000, float((delta**2).mean())
