"""The bank of scenes: how the subject is removed from a scene, and which clips may use which scene.

Which clips lend a scene is drawn once (`ledger.pinned_clips`). To remove the subject, the box of
every detection, and of whom the detector hardly sees beside it, is widened and counts as unknown;
it is then filled in from the rest by push-pull. No pixel inside a box takes part in any sum, so
nothing of a subject can be in the plate.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from ferrari.images import hardly_seen, user_pictures
from ferrari.images.boxes import Box
from ferrari.images.user_pictures import fitted_size, resized
from ferrari.ledger.reasons import NO_SUBJECT

PLATE_SIDE = 640  # px; longer side of a plate, enough for something that will be blurred
MIN_SCENE = 0.25  # share of the frame that must be scene
BOX_MARGIN = 0.15  # of the box's longer side, on each side: hair, hands, shadow, codec ringing
MAX_CONFIDENCE = 0.1  # a frame without a detection is empty only if nothing came near one


def pictures(folder: str | os.PathLike) -> dict[str, str]:
    """Ids and relative paths of the files in the user's folder of backgrounds, sorted by id."""
    return user_pictures.find(
        folder, "augment.environment_folder", "set it to null to use scenes of other clips"
    )


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """A user's picture at the size of a plate: HxWx3 uint8 RGB, see `user_pictures.read`."""
    return user_pictures.shrink(user_pictures.read(path, 2 * PLATE_SIDE), PLATE_SIDE)


def hidden_boxes(rows: Iterable[Mapping[str, str]]) -> dict[str, list[Box] | None]:
    """For each frame of a clip's table of detections, the boxes that hide its scene (frame px).

    Every detection counts, whoever it shows, and so does whom the detector hardly sees within one
    (`images.hardly_seen`). None for a frame that cannot be trusted: the detector found no subject
    but came close to it (best confidence >= 0.1, or unknown), or failed.
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
            known += [(x1, y1, x2, y2), *hardly_seen.read(line["hardly_seen"])]
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
    """Mean of `scene_weight`, taken at the size of a plate, with the digits of its row."""
    small = fitted_size(size_hw, PLATE_SIDE)
    scale_x, scale_y = small[1] / size_hw[1], small[0] / size_hw[0]
    scaled = [(x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y) for x1, y1, x2, y2 in boxes]
    return round(float(scene_weight(small, scaled).mean()), 4)


def plate(frame_rgb: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The scene (HxWx3 uint8, longer side <= PLATE_SIDE), filled in where `weight` (HxW) is 0.

    Push-pull (Gortler et al., "The Lumigraph", 1996): the known pixels, each weighted, are summed
    into ever smaller pictures, from which the holes are then filled, coarse to fine. Raises
    ValueError if no pixel is known.
    """
    if not weight.any():
        raise ValueError("the whole frame is hidden, there is no scene to fill from")
    size_hw = fitted_size(frame_rgb.shape[:2], PLATE_SIDE)
    summed = resized(frame_rgb * weight[..., None], size_hw)
    known = resized(weight, size_hw)
    pyramid = [(summed, known)]
    while max(known.shape) > 1:
        half = tuple((length + 1) // 2 for length in known.shape)
        summed, known = resized(summed, half), resized(known, half)
        pyramid.append((summed, known))
    filled = summed / np.maximum(known, 1e-20)[..., None]
    for summed, known in reversed(pyramid[:-1]):
        coarse = cv2.resize(filled, known.shape[::-1], interpolation=cv2.INTER_LINEAR)
        coarse = cv2.GaussianBlur(coarse, (5, 5), 1.2)  # or the lattice of each level shows
        own = summed / np.maximum(known, 1e-20)[..., None]
        trust = np.minimum(known, 1)[..., None]
        filled = np.where(trust > 0, trust * own + (1 - trust) * coarse, coarse)
    return np.clip(filled + 0.5, 0, 255).astype(np.uint8)


def foreign(
    bank: Iterable[Mapping[str, str]], video: str, raw_sha256: str
) -> list[Mapping[str, str]]:
    """The kept scenes that `video` may use: not its own, and not that of a copy of the clip."""
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
