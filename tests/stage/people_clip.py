"""The frames of a clip, and the two halves of stage 2 run on them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ferrari.images import image_files
from ferrari.images.boxes import Detection
from ferrari.ledger import item_ids, stages, tables
from ferrari.provenance.reuse import NOTHING, Earlier
from tests.settings import section

detect_video = importlib.import_module("02_detect_people").detect_video
crop_video = importlib.import_module("02_yolo_crop").crop_video
VIDEO = "clip-0123456789"
WIDTH, HEIGHT = 320, 240
LARGE = Detection((20.4, 10.2, 220.6, 230.9), 0.8, "person")
SMALL = Detection((240.0, 50.0, 310.0, 200.0), 0.9, "person")


def picture(ordinal: int) -> np.ndarray:
    """The pixels of a clip's frame."""
    return np.random.default_rng(ordinal).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@dataclass
class Clip:
    """Frames of one clip in a dataset, and the stages run on them."""

    dataset: Path
    digests: dict[str, dict[str, str]] = field(default_factory=dict)  # by stage

    def table(self, stage: str) -> Path:
        return self.dataset / stages.table(stage, VIDEO)

    def rows(self, stage: str) -> list[dict[str, str]]:
        return tables.read_stage(self.table(stage), stage)

    def write(self, count: int, draw=picture) -> None:
        """Write the frames and their table; one frame more was dropped."""
        rows = []
        for ordinal in range(count):
            item = item_ids.frame_item(VIDEO, ordinal)
            frame = draw(ordinal)
            path = f"{stages.FOLDERS['extract']}/{VIDEO}/{item}.webp"
            data = image_files.encode_webp(frame, 101)
            digest = image_files.write_checked(self.dataset / path, data, frame.shape)
            about = {"outcome": "kept", "path": path, "sha256": digest}
            about |= {"width": WIDTH, "height": HEIGHT}
            rows.append(tables.row("extract", item=item, parent=VIDEO, **about))
        repeat = {"outcome": "dropped", "reason": "DUPLICATE_FRAME"}
        rows.append(tables.row("extract", item=f"{VIDEO}-x", parent=VIDEO, **repeat))
        tables.write_stage(self.table("extract"), "extract", rows)

    def file(self, ordinal: int) -> Path:
        """A frame's file."""
        name = f"{item_ids.frame_item(VIDEO, ordinal)}.webp"
        return self.table("extract").with_suffix("") / name

    def detect(self, earlier=NOTHING, weights="unused", **changed) -> list[dict[str, str]]:
        """Search the frames; the rows."""
        self.digests["detect"] = detect_video(
            frames_csv=str(self.table("extract")),
            video=VIDEO,
            dataset=str(self.dataset),
            out_csv=str(self.table("detect")),
            weights=[str(weights)],
            settings=section("detect", **changed),
            mask_settings=section("mask"),
            cache="unused",
            threads=1,
            earlier=earlier,
        )
        return self.rows("detect")

    def found(self, *frames: Sequence[Detection]) -> None:
        """Write the table of detections: those of the first frames, in order; None of a frame that
        is not in the table at all.
        """
        rows = []
        for ordinal, detections in enumerate(frames):
            frame = item_ids.frame_item(VIDEO, ordinal)
            for number, one in enumerate(detections):
                item = item_ids.detection_item(frame, number)
                about = {"outcome": "kept", "confidence": one.confidence, "class_name": "person"}
                about |= dict(zip(("x1", "y1", "x2", "y2"), one.box_xyxy, strict=True))
                about |= {"frame_width": WIDTH, "frame_height": HEIGHT}
                rows.append(tables.row("detect", item=item, parent=frame, **about))
            if not detections:
                about = {"outcome": "dropped", "reason": "NO_SUBJECT"}
                rows.append(tables.row("detect", item=frame, parent=frame, **about))
        tables.write_stage(self.table("detect"), "detect", rows)

    def crop(self, earlier=NOTHING, **changed) -> list[dict[str, str]]:
        """Choose and cut; the rows."""
        self.digests["crop"] = crop_video(
            frames_csv=str(self.table("extract")),
            detections_csv=str(self.table("detect")),
            video=VIDEO,
            dataset=str(self.dataset),
            out_csv=str(self.table("crop")),
            settings=section("detect", **changed),
            earlier=earlier,
        )
        return self.rows("crop")

    def earlier(self, stage: str, but: tuple[str, ...] = ()) -> Earlier:
        """What a job may take over of a run's rows; those of the parents `but` are open."""
        by_parent: dict[str, list] = {}
        for row in self.rows(stage):
            by_parent.setdefault(row["parent"], []).append(row)
        folder = self.table(stage).with_suffix("")
        return Earlier(self.dataset, folder, self.digests[stage], by_parent, frozenset(but))
