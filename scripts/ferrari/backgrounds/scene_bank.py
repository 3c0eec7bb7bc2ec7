"""The bank of scenes: which clips lend one, and how the subject is removed from a clip's scene.

The clips that lend a scene are drawn once and written down (pinned), so that a clip added later
changes no picture made before. To remove the subject, the box of every detection is widened and
counts as unknown; it is then filled from the rest by push-pull. No pixel inside a box takes part in
any sum, so nothing of a subject can be in the plate.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageOps

from ferrari.common.seeds import ranked
from ferrari.common.settings import SettingsError
from ferrari.images.image_files import ImageReadError
from ferrari.ledger.item_ids import find_videos
from ferrari.ledger.reasons import NO_SUBJECT
from ferrari.ledger.tables import read_table, write_table

PLATE_SIDE = 640  # px; longer side of a plate, enough for something that will be blurred
MIN_SCENE = 0.25  # share of the frame that must be scene
BOX_MARGIN = 0.15  # of the box's longer side, on each side: hair, hands, shadow, codec ringing
MAX_CONFIDENCE = 0.1  # a frame without a detection is empty only if nothing came near one
#: Pixels of the largest picture of a user's that is decoded; some files unpack to gigabytes.
MAX_PICTURE_PIXELS = 64_000_000
Box = tuple[float, float, float, float]


class PictureTooLargeError(ImageReadError):
    """A picture of more than MAX_PICTURE_PIXELS; `megapixels` where its header could be read."""

    def __init__(self, message: str, megapixels: float | None = None) -> None:
        super().__init__(message, megapixels)
        self.message, self.megapixels = message, megapixels

    def __str__(self) -> str:
        return self.message


def pinned_clips(
    pinned_csv: str | os.PathLike, videos: Iterable[str], seed: int, count: int
) -> list[str]:
    """Ids of the clips that lend a scene, sorted; writes nothing.

    The list in `pinned_csv` if there is one, less the clips that are gone; else the first
    `count` of `videos` in an order of their hashes.
    """
    videos = set(videos)
    if Path(pinned_csv).exists():
        return sorted(videos & {line["video"] for line in read_table(pinned_csv)})
    return sorted(ranked(videos, seed, "", "environments")[:count])


def pin(pinned_csv: str | os.PathLike, clips: Iterable[str]) -> None:
    """Write the drawn clips down, unless that was done before."""
    if not Path(pinned_csv).exists():
        write_table(pinned_csv, ["video"], [{"video": clip} for clip in clips])


def pictures(folder: str | os.PathLike) -> dict[str, str]:
    """Ids and relative paths of the files in the user's folder of backgrounds, sorted by id."""
    if not Path(folder).is_dir():
        raise SettingsError(
            f"augment.environment_folder: {os.fspath(folder)!r} is not a folder; "
            "correct the path, or set it to null to use scenes of other clips"
        )
    return find_videos(folder)


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """HxWx3 uint8 RGB of a user's picture, upright (EXIF), transparency on mid grey.

    Raises PictureTooLargeError by the size in its header, before it is unpacked, and
    ImageReadError for anything else that cannot be read.
    """
    try:
        with _regular(path) as stream, _opened(stream) as picture:
            _refuse_bomb(path, picture.size)
            picture.draft("RGB", (2 * PLATE_SIDE, 2 * PLATE_SIDE))
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
        return Image.open(stream)


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


def hidden_boxes(rows: Iterable[Mapping[str, str]]) -> dict[str, list[Box] | None]:
    """For each frame of a clip's table of detections, the boxes that hide its scene (frame px).

    Every detection counts, whoever it shows. None where the frame cannot be trusted: the
    detector saw no subject but came near one (best confidence >= 0.1, or unknown), or failed.
    """
    boxes: dict[str, list[Box] | None] = {}
    for line in rows:
        frame = line["parent"]
        known = boxes.setdefault(frame, [])
        if known is None:
            continue
        corners = [line[key] for key in ("x1", "y1", "x2", "y2")]
        if all(corners):
            x1, y1, x2, y2 = (round(float(corner), 2) for corner in corners)  # as boxes of crops
            known.append((x1, y1, x2, y2))
        elif line["reason"] != NO_SUBJECT or not _nothing_near(line["value"]):
            boxes[frame] = None
    return boxes


def _nothing_near(confidence: str) -> bool:
    return confidence != "" and float(confidence) < MAX_CONFIDENCE


def scene_weight(size_hw: tuple[int, int], boxes: Sequence[Box]) -> np.ndarray:
    """HxW float32: 0 inside every box, widened by 15 % of its longer side, and 1 elsewhere."""
    weight = np.ones(size_hw, dtype=np.float32)
    for x1, y1, x2, y2 in boxes:
        margin = BOX_MARGIN * max(x2 - x1, y2 - y1)
        top, left = max(0, int(np.floor(y1 - margin))), max(0, int(np.floor(x1 - margin)))
        bottom, right = max(0, int(np.ceil(y2 + margin))), max(0, int(np.ceil(x2 + margin)))
        weight[top:bottom, left:right] = 0
    return weight


def best_frames(
    frames: Iterable[Mapping[str, str]], boxes: Mapping[str, list[Box] | None]
) -> list[tuple[float, Mapping[str, str]]]:
    """(share of scene, frame's row), best first: most scene, among equals (1 %) the sharpest."""
    found = []
    for line in frames:
        known = boxes.get(line["item"])
        if known is None:
            continue
        share = _scene_share((int(line["height"]), int(line["width"])), known)
        found.append((share, line))
    found.sort(key=lambda pair: pair[1]["item"])
    found.sort(key=lambda p: (round(p[0], 2), float(p[1]["sharpness"] or 0)), reverse=True)
    return found


def _scene_share(size_hw: tuple[int, int], boxes: Sequence[Box]) -> float:
    """Mean of `scene_weight`, taken at the size of a plate."""
    small = _plate_size(size_hw, PLATE_SIDE)
    scale_x, scale_y = small[1] / size_hw[1], small[0] / size_hw[0]
    scaled = [(x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y) for x1, y1, x2, y2 in boxes]
    return float(scene_weight(small, scaled).mean())


def shrink(image_rgb: np.ndarray, side: int = PLATE_SIDE) -> np.ndarray:
    """HxWx3 uint8, made smaller so that the longer side is at most `side` px."""
    return _resize(image_rgb, _plate_size(image_rgb.shape[:2], side))


def plate(frame_rgb: np.ndarray, weight: np.ndarray, side: int = PLATE_SIDE) -> np.ndarray:
    """The scene (HxWx3 uint8, longer side <= `side`), filled in where `weight` (HxW) is 0.

    Push-pull (Gortler et al., "The Lumigraph", 1996): the known pixels, each weighted, are summed
    into ever smaller pictures, from which the holes are then filled, coarse to fine. Raises
    ValueError if no pixel is known.
    """
    if not weight.any():
        raise ValueError("the whole frame is hidden, there is no scene to fill from")
    size_hw = _plate_size(frame_rgb.shape[:2], side)
    summed = _resize(frame_rgb * weight[..., None], size_hw)
    known = _resize(weight, size_hw)
    pyramid = [(summed, known)]
    while max(known.shape) > 1:
        half = tuple((length + 1) // 2 for length in known.shape)
        summed, known = _resize(summed, half), _resize(known, half)
        pyramid.append((summed, known))
    filled = summed / np.maximum(known, 1e-20)[..., None]
    for summed, known in reversed(pyramid[:-1]):
        coarse = cv2.resize(filled, known.shape[::-1], interpolation=cv2.INTER_LINEAR)
        coarse = cv2.GaussianBlur(coarse, (5, 5), 1.2)  # or the lattice of each level shows
        own = summed / np.maximum(known, 1e-20)[..., None]
        trust = np.minimum(known, 1)[..., None]
        filled = np.where(trust > 0, trust * own + (1 - trust) * coarse, coarse)
    return np.clip(filled + 0.5, 0, 255).astype(np.uint8)


def _plate_size(size_hw: tuple[int, int], side: int) -> tuple[int, int]:
    factor = min(1.0, side / max(size_hw))
    return max(1, round(size_hw[0] * factor)), max(1, round(size_hw[1] * factor))


def _resize(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    return cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_AREA)


def foreign(
    bank: Iterable[Mapping[str, str]], video: str, raw_sha256: str
) -> list[Mapping[str, str]]:
    """The kept scenes that `video` may stand in: none of its own, nor of a copy of the clip."""
    usable = [line for line in bank if line["outcome"] == "kept"]
    own = {line["sha256"] for line in usable if line["video"] == video}
    return [
        line
        for line in usable
        if line["sha256"] not in own
        and (not line["raw_sha256"] or line["raw_sha256"] != raw_sha256)
    ]


def frames_by_video(tables: Iterable[str | os.PathLike]) -> dict[str, Path]:
    """Tables by the video that they belong to (the file's stem); two of one video raise."""
    found: dict[str, list[Path]] = defaultdict(list)
    for table in tables:
        found[Path(table).stem].append(Path(table))
    twice = [video for video, paths in found.items() if len(paths) > 1]
    if twice:
        raise ValueError(f"more than one table of the videos {twice[:5]}")
    return {video: paths[0] for video, paths in sorted(found.items())}
