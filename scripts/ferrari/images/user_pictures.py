"""Pictures from a user's folder, as backgrounds or references: files of any kind and size."""

from __future__ import annotations

import os
import stat
import warnings
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ferrari.common import near_paths
from ferrari.common.settings import SettingsError
from ferrari.images.image_files import ImageReadError
from ferrari.ledger.raw_folder import look_through

#: Pixels of the largest picture that is decoded; some files unpack to gigabytes.
MAX_PICTURE_PIXELS = 64_000_000


class PictureTooLargeError(ImageReadError):
    """A picture of more than MAX_PICTURE_PIXELS; `megapixels` where its header could be read."""

    def __init__(self, message: str, megapixels: float | None = None) -> None:
        super().__init__(message, megapixels)
        self.message, self.megapixels = message, megapixels

    def __str__(self) -> str:
        return self.message


def find(folder: str | os.PathLike, setting: str, otherwise: str) -> dict[str, str]:
    """Ids and relative paths of the files in a folder, sorted by id; those of systems left out.

    Raises SettingsError where there is no folder: `setting` names it, `otherwise` says what to do
    instead of correcting the path.
    """
    if not Path(folder).is_dir():
        is_file = "a file and no folder" if Path(folder).exists() else "not there"
        raise SettingsError(
            f"{setting}: the folder {near_paths.told(folder)} is {is_file}; correct the path, or "
            f"{otherwise}.{near_paths.hint(folder)}"
        )
    return look_through(folder).videos


def find_some(folder: str | os.PathLike, setting: str, otherwise: str) -> dict[str, str]:
    """As `find`; SettingsError for a folder without a file, too."""
    found = find(folder, setting, otherwise)
    if not found:
        raise SettingsError(
            f"{setting}: the folder {near_paths.told(folder)} holds no file; put pictures there, "
            f"or {otherwise}"
        )
    return found


def read(path: str | os.PathLike, side: int) -> np.ndarray:
    """HxWx3 uint8 RGB of a picture, upright (EXIF), transparency on mid grey.

    A JPEG whose longer side is more than twice `side` px may come at half of its size or less, but
    never below `side`. Raises PictureTooLargeError by the size in its header, before it is
    unpacked, and ImageReadError for anything else that cannot be read.
    """
    try:
        with _regular(path) as stream, _opened(stream) as picture:
            _refuse_bomb(path, picture.size)
            picture.draft("RGB", (side, side))
            upright = ImageOps.exif_transpose(picture).convert("RGBA")
            plain = Image.new("RGBA", upright.size, (128, 128, 128, 255))
            return np.asarray(Image.alpha_composite(plain, upright).convert("RGB"))
    except Image.DecompressionBombError as error:
        raise PictureTooLargeError(f"{path} is too large to be unpacked: {error}") from error
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, ImageReadError):
            raise
        raise ImageReadError(f"{path} is no picture that can be read: {error}") from error


def _opened(stream: BinaryIO) -> Image.Image:
    """Pillow only warns of a picture below twice its own limit; the bound that counts is ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            return Image.open(stream)
        except UnidentifiedImageError as error:
            # Pillow names the stream, and so a number that is another one in each run.
            raise ValueError("it is of no format that is known") from error


def _regular(path: str | os.PathLike) -> BinaryIO:
    """Open a file without ever waiting for one (a FIFO waits for its writer)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("it is no regular file")
    return os.fdopen(descriptor, "rb")


def _refuse_bomb(path: str | os.PathLike, size_wh: tuple[int, int]) -> None:
    width, height = size_wh
    if width * height > MAX_PICTURE_PIXELS:
        raise PictureTooLargeError(
            f"{path} is {width}x{height}: more than {MAX_PICTURE_PIXELS / 1e6:g} million pixels",
            width * height / 1e6,
        )


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """HxW or HxWxC, scaled down so that the longer side is at most `side` px; never enlarged."""
    return resized(image, fitted_size(image.shape[:2], side))


def fitted_size(size_hw: tuple[int, ...], side: int) -> tuple[int, int]:
    """Height and width of what `shrink` makes of a picture of `size_hw`."""
    factor = min(1.0, side / max(size_hw))
    return max(1, round(size_hw[0] * factor)), max(1, round(size_hw[1] * factor))


def resized(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """An image at another size; each pixel the mean of those that it covers (area)."""
    return cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_AREA)
