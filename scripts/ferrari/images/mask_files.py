"""Mask images made by people and their programs, converted to grey PNGs of 8 bits."""

from __future__ import annotations

import numpy as np

from ferrari.images import image_files
from ferrari.images.image_files import ImageReadError

#: Pixels of a mask at most: more than any crop has.
MOST = 100_000_000
_HEAD = 24  # bytes of a PNG up to its size


def grey_png(data: bytes, name: str = "the mask") -> bytes:
    """A mask as a PNG of 8 bits and one channel, from any PNG that contains only grey: brushes in
    web pages and image editors write RGBA. The same mask gives the same bytes.

    Raises ImageReadError for a file that is not a PNG, has colours or a transparent pixel, or is
    too large.
    """
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < _HEAD:
        raise ImageReadError(f"{name} is no PNG")
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    if width * height > MOST:
        raise ImageReadError(f"{name} has {width}x{height} px, and no crop is so large")
    pixels = image_files.decode(data, name)
    if pixels.ndim == 3 and pixels.shape[2] == 4 and (pixels[..., 3] != 255).any():
        raise ImageReadError(
            f"{name} has transparent pixels; a mask is grey: white is the subject, black is not"
        )
    if pixels.ndim == 3:
        grey = pixels[..., 0]
        if (pixels[..., :3] != grey[..., None]).any():
            raise ImageReadError(
                f"{name} has colours; a mask is grey: white is the subject, black is not"
            )
        pixels = grey
    return image_files.encode_png(np.ascontiguousarray(pixels))
