"""The final check of an image and its mask: both files are read again and compared with their
row.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ferrari.common.atomic_files import sha256_bytes
from ferrari.images import image_files
from ferrari.ledger.reasons import MASK_MISMATCH, SHA_MISMATCH, UNREADABLE_IMAGE

Fault = tuple[str, str]  # reason and detail, as a row's `reason` and `value`


def file_fault(image_path: Path, mask_path: Path, line: Mapping[str, str]) -> Fault | None:
    """What is wrong with an image (RGB) and its mask (grey, 255 = subject), or None.

    `line` is the ledger's row with sha256, mask_sha256, width and height. Both files must be
    there, decode, have the row's digests and size, and the mask must not be empty.
    """
    image, fault = _opened(image_path, line["sha256"], "image")
    if fault:
        return fault
    if image.ndim != 3 or image.shape[2] != 3:
        return UNREADABLE_IMAGE, f"shape {image.shape} is not RGB"
    size = (int(line["height"]), int(line["width"]))
    if image.shape[:2] != size:
        return UNREADABLE_IMAGE, f"size {image.shape[:2]}, the row says {size}"
    mask, fault = _opened(mask_path, line["mask_sha256"], "mask")
    if fault:
        reason, detail = fault
        return (MASK_MISMATCH if reason == UNREADABLE_IMAGE else reason), detail
    if mask.ndim != 2:
        return MASK_MISMATCH, "the mask is not grey"
    if mask.shape != size:
        return MASK_MISMATCH, f"mask {mask.shape}, image {size}"
    return None if mask.any() else (MASK_MISMATCH, "the mask is empty")


def _opened(path: Path, sha256: str, what: str) -> tuple[np.ndarray, Fault | None]:
    """The decoded file, or what is wrong with it. The detail holds no path and no address."""
    nothing = np.empty(0, dtype=np.uint8)
    try:
        data = path.read_bytes()
    except OSError as error:
        return nothing, (UNREADABLE_IMAGE, f"{what}: {type(error).__name__}")
    if sha256_bytes(data) != sha256:
        return nothing, (SHA_MISMATCH, what)
    try:
        return image_files.decode(data, what), None
    except image_files.ImageReadError as error:
        return nothing, (UNREADABLE_IMAGE, f"{what}: {type(error.__cause__ or error).__name__}")
