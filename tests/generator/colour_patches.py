"""Clips of one known picture in any colours: flat patches, coded without loss, with tags.

All that is done to the numbers stands in `write_patches`, and none of it is the library's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

#: sRGB: red, green, blue, yellow, white, black, skin and grey.
PATCHES = np.array(
    [
        *((200, 40, 40), (40, 160, 60), (40, 60, 190), (220, 200, 60)),
        *((235, 235, 235), (20, 20, 20), (224, 172, 140), (128, 128, 128)),
    ]
)
SIDE, HEIGHT = 32, 96  # px of a patch; they stand side by side
#: Weights of red and blue in luma (H.273, table 4).
LUMA = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 6: (0.299, 0.114), 7: (0.212, 0.087)}
LUMA |= {2: LUMA[6], 5: LUMA[6], 9: (0.2627, 0.0593)}


@dataclass(frozen=True)
class Tags:
    """H.273 codes; 2 is unspecified. `range`: 0 unspecified, 1 limited, 2 full."""

    matrix: int = 1
    range: int = 1
    transfer: int = 2
    primaries: int = 2


def write_patches(
    path: Path,
    signal: np.ndarray,
    tags: Tags,
    pix_fmt: str = "yuv420p",
    matrix: int | None = None,
    full: bool | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """A clip of three frames in Matroska, FFV1 or HEVC without loss; returns the path.

    `signal` is R'G'B' 0..1 of each patch (8x3) as the tags have it. `matrix` and `full` say how it
    is coded where the tags do not.
    """
    matrix = tags.matrix if matrix is None else matrix
    full = tags.range == 2 if full is None else full
    depth = 10 if "10" in pix_fmt else 8
    planes = _coded(signal, matrix, full, depth, pix_fmt)
    with av.open(str(path), "w", format="matroska") as container:
        container.metadata.update(metadata or {})
        lossless = {"x265-params": "lossless=1:log-level=error:pools=1:frame-threads=1"}
        codec, options = ("libx265", lossless) if pix_fmt == "gbrp" else ("ffv1", {})
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = SIDE * len(signal), HEIGHT, pix_fmt
        context = stream.codec_context
        context.colorspace, context.color_range = tags.matrix, tags.range
        context.color_trc, context.color_primaries = tags.transfer, tags.primaries
        for number in range(3):
            frame = _frame(planes, pix_fmt)
            frame.colorspace, frame.color_range, frame.pts = tags.matrix, tags.range, number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def measured(picture: np.ndarray) -> np.ndarray:
    """8x3: the mean of each patch's middle in a picture of them."""
    middles = [picture[8 : HEIGHT - 8, SIDE * i + 8 : SIDE * (i + 1) - 8] for i in range(8)]
    return np.array([middle.reshape(-1, 3).mean(axis=0) for middle in middles])


def _coded(
    signal: np.ndarray, matrix: int, full: bool, depth: int, pix_fmt: str
) -> list[np.ndarray]:
    """A number for each patch and plane, in the order in which FFmpeg has the planes."""
    unit = 1 << (depth - 8)
    most = (1 << depth) - 1
    low, high = (0, most) if full else (16 * unit, 235 * unit)
    red, green, blue = signal.T
    if pix_fmt.startswith("gbrp"):
        return [np.rint(low + (high - low) * colour) for colour in (green, blue, red)]
    if matrix == 8:  # YCgCo
        luma, first = green / 2 + (red + blue) / 4, green / 2 - (red + blue) / 4
        second = (red - blue) / 2
    else:
        of_red, of_blue = LUMA[matrix]
        luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
        first = (blue - luma) / (2 * (1 - of_blue))
        second = (red - luma) / (2 * (1 - of_red))
    planes = [np.rint(low + (high - low) * luma)]
    if not pix_fmt.startswith("gray"):
        span = most if full else 224 * unit
        planes += [np.rint(128 * unit + span * part) for part in (first, second)]
    return [np.clip(plane, 0, most) for plane in planes]


def _frame(planes: list[np.ndarray], pix_fmt: str) -> av.VideoFrame:
    frame = av.VideoFrame(SIDE * len(planes[0]), HEIGHT, pix_fmt)
    deep = np.uint16 if "10" in pix_fmt else np.uint8
    for plane, levels in zip(frame.planes, planes, strict=True):
        row = np.zeros(plane.line_size // np.dtype(deep).itemsize, deep)
        row[: plane.width] = np.repeat(levels, plane.width // len(levels)).astype(deep)
        plane.update(np.tile(row, plane.height).tobytes())
    return frame
