"""Conversions that stay set up give what one that is set up anew gives, whatever came before."""

from __future__ import annotations

import numpy as np
import pytest
from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from ferrari.video.decoding import conversion

BT709 = {"src_colorspace": Colorspace.ITU709, "dst_colorspace": Colorspace.ITU709}
LIMITED = {"src_color_range": ColorRange.MPEG}
SHRUNK = {"dst_color_range": ColorRange.MPEG, "interpolation": Interpolation.AREA}


def noise(pixels: str, width: int, height: int, seed: int) -> VideoFrame:
    """A frame of that format, its planes filled to their last byte."""
    rng, frame = np.random.default_rng(seed), VideoFrame(width, height, pixels)
    for plane in frame.planes:
        plane.update(rng.integers(0, 256, plane.buffer_size, np.uint8).tobytes())
    return frame


@pytest.mark.parametrize(("width", "height"), [(64, 48), (333, 187)])
@pytest.mark.parametrize(
    ("pixels", "to", "how"),
    [
        ("yuv420p", "rgb24", {**BT709, **LIMITED}),
        ("nv12", "rgb24", {**BT709, **LIMITED}),
        ("yuv420p10le", "gbrp16le", {**BT709, **LIMITED}),
        ("yuv422p10le", "gray", {}),
        ("yuv444p", "yuv444p16le", {**BT709, **LIMITED, **SHRUNK}),
    ],
)
def test_what_came_before_does_not_show(width, height, pixels, to, how):
    third = (width // 3, height // 3)
    for size in (None, third):
        for seed in range(3):
            frame = noise(pixels, width, height, seed)
            kept = conversion.converted(frame, to, size, **how).to_ndarray()
            wide, high = size or (width, height)
            anew = VideoReformatter().reformat(frame, wide, high, to, threads=1, **how)
            np.testing.assert_array_equal(kept, anew.to_ndarray())


def test_a_conversion_is_set_up_once_a_thread_and_only_so_many_stay():
    conversion._converter.cache_clear()
    for seed in range(4):
        conversion.converted(noise("yuv420p", 64, 48, seed), "rgb24", **BT709)
    assert conversion._converter.cache_info().misses == 1
    for width in range(64, 64 + 2 * 40, 2):
        conversion.converted(noise("yuv420p", width, 48, 0), "rgb24", **BT709)
    assert conversion._converter.cache_info().currsize == conversion._SET_UP
