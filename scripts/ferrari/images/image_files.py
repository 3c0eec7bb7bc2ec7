"""Image files: each is read back after it is written, before a row says that it exists.

Arrays are uint8 in RGB or RGBA order throughout the project.
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ferrari.common.atomic_files import sha256_bytes, write_bytes
from ferrari.common.errors import FerrariError
from ferrari.images import png

_WEBP_HEAD = 30  # bytes of a lossy WebP up to its size
_WEBP_METHOD = 2  # takes 0.4 times as long as Pillow's default 4 at equal size


class ImageReadError(FerrariError, ValueError):
    """A file is not an image that can be decoded to its last pixel."""


def encode_png(image: np.ndarray) -> bytes:
    """Lossless PNG of HxW (grey), HxWx3 (RGB) or HxWx4 (RGBA, straight alpha) uint8."""
    return png.encode(image)


def encode_webp(frame_rgb: np.ndarray, quality: int) -> bytes:
    """WebP of an HxWx3 uint8 RGB image; quality 1..100, or 101 for lossless."""
    stream = io.BytesIO()
    lossless = quality > 100
    Image.fromarray(frame_rgb).save(
        stream, "WEBP", quality=min(quality, 100), method=_WEBP_METHOD, lossless=lossless
    )
    return stream.getvalue()


def decode(data: bytes, name: str = "image") -> np.ndarray:
    """HxW, HxWx3 (RGB) or HxWx4 (RGBA) uint8 from an encoded image; raises ImageReadError."""
    if _webp_shape(data, name):  # the same pixels as Pillow's in three quarters of its time
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        if decoded is not None:
            return decoded
    if (ours := _png(data)) is not None:
        return ours
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            mode = picture.mode if picture.mode in ("L", "RGB", "RGBA") else "RGB"
            return np.asarray(picture.convert(mode))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageReadError(f"{name} cannot be decoded: {error}") from error


def _png(data: bytes) -> np.ndarray | None:
    """The pixels of a PNG as this module writes it; None for any other, a damaged or huge one."""
    height, width = png.size_of(data) or (0, 0)
    if not 0 < height * width <= (Image.MAX_IMAGE_PIXELS or 0):
        return None
    try:
        return png.decode(data)
    except png.PngError:  # what Pillow makes of it, and says of it, is what counts
        return None


def read(path: str | os.PathLike) -> np.ndarray:
    """`decode` for a file."""
    return decode(Path(path).read_bytes(), name=str(path))


def verified_bytes(path: str | os.PathLike, sha256: str, name: str = "") -> bytes:
    """A file's content, after checking it against its row.

    Raises ImageReadError, which calls the file `name` (its path by default), if it is missing or is
    not what the row's SHA-256 says.
    """
    name = name or str(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageReadError(f"{name} cannot be read: {error.strerror}") from error
    if sha256_bytes(data) != sha256:
        raise ImageReadError(f"{name} is not the file that its row describes (SHA-256 differs)")
    return data


def read_verified(path: str | os.PathLike, sha256: str, name: str = "") -> np.ndarray:
    """`decode` of `verified_bytes`; raises ImageReadError also if it cannot be decoded."""
    return decode(verified_bytes(path, sha256, name), name or str(path))


def write_checked(path: str | os.PathLike, data: bytes, shape: tuple[int, ...]) -> str:
    """Write an encoded image, read it back from the disk and return its SHA-256.

    Raises ImageReadError if the file on the disk differs from `data`, or is no image of `shape`
    (HxW or HxWxC): then the row must not say kept. A lossy WebP is checked by its structure, down
    to the size of each part; a PNG by its checksums and sizes (`png.shape_of`); other images are
    decoded.
    """
    write_bytes(path, data, durable=False)
    on_disk = Path(path).read_bytes()
    if on_disk != data:
        raise ImageReadError(f"{path}: what was read back is not what was written; check the disk")
    got = _webp_shape(on_disk, str(path)) or _png_shape(on_disk, str(path))
    got = got or decode(on_disk, name=str(path)).shape
    if got != tuple(shape):
        raise ImageReadError(f"{path}: decodes to shape {got}, expected {tuple(shape)}")
    return sha256_bytes(on_disk)


def _webp_shape(data: bytes, name: str) -> tuple[int, int, int] | None:
    """(H, W, 3) of a plain lossy WebP whose parts fill it exactly (RFC 9649 2.5, RFC 6386 9.1).

    None for anything else; raises ImageReadError where a part is cut off or is no picture.
    """
    if data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8 ":
        return None
    if len(data) < _WEBP_HEAD:
        raise ImageReadError(f"{name} is cut off, or is no WebP picture")
    riff, chunk = struct.unpack_from("<I", data, 4)[0], struct.unpack_from("<I", data, 16)[0]
    whole = riff == len(data) - 8 and chunk + chunk % 2 == len(data) - 20 and chunk > 10
    tag = int.from_bytes(data[20:23], "little")
    shown_key = tag & 1 == 0 and tag >> 4 & 1 == 1 and data[23:26] == b"\x9d\x01\x2a"
    if not (whole and shown_key and (tag >> 5) + 10 < chunk):
        raise ImageReadError(f"{name} is cut off, or is no WebP picture")
    width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, 26))
    return height, width, 3


def _png_shape(data: bytes, name: str) -> tuple[int, ...] | None:
    try:
        return png.shape_of(data)
    except png.PngError as error:
        raise ImageReadError(f"{name} {error}") from error
