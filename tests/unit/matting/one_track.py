"""Cut-outs of one track on the disk: a body that walks, and a stand beside it that is nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ferrari.common.atomic_files import sha256_bytes
from ferrari.images import image_files
from ferrari.ledger import stages, tables
from ferrari.ledger.item_ids import crop_item, detection_item, frame_item, video_id

NAME = "walk.mp4"
VIDEO = video_id(NAME)
CROPS = [crop_item(frame_item(VIDEO, n), 0) for n in range(5)]
#: Of every crop, in px.
HEIGHT, WIDTH = 100, 80


def body(left: int, holder: bool = True) -> np.ndarray:
    """A 100x80 alpha: a body from column `left` on, with the stand beside it."""
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[10:95, left : left + 30] = 255
    if holder:
        alpha[60:95, left + 30 : left + 36] = 255
    return alpha


def alpha_of(number: int, holder: bool = True) -> np.ndarray:
    """The alpha of a crop by its number: the body moves 2 px a frame."""
    return body(20 + 2 * number, holder)


def write(dataset: Path) -> None:
    """Five crops and their cut-outs, with tables; the last one is of another track."""
    rows: dict[str, list] = {"crop": [], "mask": []}
    for number, crop in enumerate(CROPS):
        window = {"crop_x1": 100, "crop_y1": 50, "crop_x2": 180, "crop_y2": 150}
        box = {"x1": 120 + 2 * number, "y1": 60, "x2": 156 + 2 * number, "y2": 145}
        known = {"outcome": "kept", "track": 7 if number < 4 else 8}
        parent = detection_item(frame_item(VIDEO, number), 0)
        alpha = alpha_of(number)
        image_rgb = np.dstack([alpha // 3 + 60, alpha // 2 + 80, np.full_like(alpha, 110)])
        file = _save(dataset, f"02_yolo_crops/{VIDEO}/{crop}.png", image_rgb)
        rows["crop"].append(
            tables.row("crop", item=crop, parent=parent, **known, **file, **window, **box)
        )
        path = f"03_masked_subjects/{VIDEO}/{crop}.png"
        file = _save(dataset, path, np.dstack([image_rgb, alpha]))
        rows["mask"].append(tables.row("mask", item=crop, parent=crop, outcome="kept", **file))
    for stage, lines in rows.items():
        tables.write_stage(dataset / stages.table(stage, VIDEO), stage, lines)


def _save(dataset: Path, path: str, picture: np.ndarray) -> dict[str, str]:
    data = image_files.encode_png(picture)
    (dataset / path).parent.mkdir(parents=True, exist_ok=True)
    (dataset / path).write_bytes(data)
    return {"path": path, "sha256": sha256_bytes(data)}
