"""Stage 2, first half: who is where? One row a detection, one for each frame without any.

Every detection that reaches `detect.confidence` is kept: which of them is the subject is for
`02_yolo_crop` to say. A frame where nothing reaches it is dropped (NO_SUBJECT, with the highest
confidence that was seen). The detector runs in a child process with limits: a frame that ends it is
quarantined (MODEL_CRASHED, MODEL_TIMEOUT, OUT_OF_MEMORY), and the others go on.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferrari.common.atomic_files import sha256_bytes
from ferrari.common.progress import Progress
from ferrari.images import boxes, image_files, subject_choice
from ferrari.ledger import item_ids, tables
from ferrari.ledger.columns import DROPPED, KEPT, QUARANTINED
from ferrari.ledger.reasons import MODEL_FAILURES, NO_SUBJECT, UNREADABLE_FRAME
from ferrari.ledger.refused_files import clear_frames, refuse_frame
from ferrari.networks import detectors, weight_files
from ferrari.networks.on_device import OnDevice
from ferrari.processes.batching import by_size, in_flight
from ferrari.processes.failures import Failure
from ferrari.processes.isolated_model import Isolated
from ferrari.processes.model_verdicts import Limits
from ferrari.provenance.reuse import NOTHING, Earlier, item_digest, narrowed, refused_files
from ferrari.provenance.table_stamps import seal

#: What this stage looks at in a frame's row: a frame is searched again when one of these changes.
READS = ("item", "path", "sha256", "width", "height")


def detect_video(
    *,
    frames_csv: str,
    video: str,
    dataset: str,
    out_csv: str,
    weights: Sequence[str],
    settings: Mapping,
    mask_settings: Mapping,
    cache: str,
    threads: int,
    earlier: Earlier = NOTHING,
) -> dict[str, str]:
    """Write the table of one clip's detections; returns the digests of its frames' rows.

    `settings` is the `detect` section of the config, `mask_settings` the `mask` section (used by
    `detect.backend: mask`). Frames whose rows `earlier` has are not searched again; no network is
    loaded if it has all.
    """
    kept = tables.kept(tables.read_stage(frames_csv, "extract"))
    lines = [narrowed(line, READS) for line in kept]
    digests = {line["item"]: item_digest(line) for line in lines}
    rows: dict[str, list[tables.Row]] = earlier.take_all(digests)
    refusals = (UNREADABLE_FRAME, *MODEL_FAILURES)
    clear_frames(video, refusals, dataset, "frame", refused_files(rows))
    left = [line for line in lines if line["item"] not in rows]
    if left:
        limits = Limits.of("detect", settings)
        opener = OnDevice(settings["device"], limits)
        load = detectors.loader(settings, weights, mask_settings, threads, cache, opener)
        progress = Progress(f"{video}: frames searched", len(left))
        with Isolated(load, detectors.HARMLESS, limits) as detector:
            stage = _Stage(detector, settings["confidence"], Path(dataset), video)
            batches = in_flight(by_size(left, settings["batch"]), stage.read, stage.search)
            with closing(batches):
                for batch in batches:
                    for row in stage.rows(batch):
                        rows.setdefault(row["parent"], []).append(row)
                    progress.step(len(batch.frames))
    tables.write_stage(out_csv, "detect", [row for item in digests for row in rows[item]])
    return digests


@dataclass
class _Frame:
    """A frame on its way through the stage: its row, its pixels, or what is wrong with the file."""

    line: Mapping
    frame_rgb: np.ndarray | None
    fault: str = ""
    found: list[boxes.Detection] | Failure | None = None


@dataclass(frozen=True)
class _Batch:
    """Frames that the detector has seen, what rows say of it, and a remark for them."""

    frames: list[_Frame]
    about: Mapping
    remark: str


@dataclass
class _Stage:
    """What the rows of one clip share. `read`, `search` and `rows` run in a thread each."""

    detector: Isolated
    confidence: float
    dataset: Path
    video: str

    def read(self, lines: Sequence[Mapping]) -> list[_Frame]:
        """The frames of a batch."""
        frames = []
        for line in lines:
            path = line["path"]
            try:
                pixels = image_files.read_verified(self.dataset / path, line["sha256"], path)
                frames.append(_Frame(line, pixels))
            except image_files.ImageReadError as error:
                frames.append(_Frame(line, None, str(error)))
        return frames

    def search(self, frames: list[_Frame]) -> _Batch:
        """Have the detector look at those that could be read."""
        seen = [frame for frame in frames if frame.frame_rgb is not None]
        found, remark = self.detector.outcomes([frame.frame_rgb for frame in seen], "frames")
        for frame, detections in zip(seen, found, strict=True):
            frame.found = detections
        return _Batch(frames, self.detector.about, remark)

    def rows(self, batch: _Batch) -> Iterator[tables.Row]:
        """The rows of a batch of frames, in their order."""
        for frame in batch.frames:
            size = {}
            if frame.frame_rgb is not None:
                height, width = frame.frame_rgb.shape[:2]
                size = {"frame_width": width, "frame_height": height}
            for row in self._frame_rows(frame, batch.remark):
                item = row.pop("item", frame.line["item"])
                about = {"parent": frame.line["item"], **batch.about, **size}
                yield tables.row("detect", item=item, **about, **row)

    def _frame_rows(self, frame: _Frame, remark: str) -> Iterator[dict]:
        """What is found in a frame, or that nothing is, or why nobody knows."""
        if frame.frame_rgb is None:
            yield self._refused(frame.line, UNREADABLE_FRAME, frame.fault)
        elif isinstance(frame.found, Failure):
            yield self._refused(frame.line, frame.found.reason, frame.found.detail)
        else:
            bound = self.confidence
            found = frame.found or []
            counted = subject_choice.in_order([d for d in found if d.confidence >= bound])
            for ordinal, detection in enumerate(counted):
                item = item_ids.detection_item(frame.line["item"], ordinal)
                yield {"item": item, **_about(detection, frame.frame_rgb), "detail": remark}
            if not counted:
                best = max((d.confidence for d in found), default=0.0)
                verdict = {"outcome": DROPPED, "reason": NO_SUBJECT, "detail": remark}
                yield verdict | {"value": round(best, 6), "threshold": bound}

    def _refused(self, line: Mapping, reason: str, detail: str) -> dict:
        """A frame that is quarantined as a whole; its file is copied."""
        path = self.dataset / line["path"]
        data = path.read_bytes() if path.is_file() else b""
        where = refuse_frame(path.name, data, self.video, reason, self.dataset) if data else ""
        digest = sha256_bytes(data) if where else ""
        verdict = {"outcome": QUARANTINED, "reason": reason, "detail": detail}
        return verdict | {"path": where, "sha256": digest}


def _about(detection: boxes.Detection, frame_rgb: np.ndarray) -> dict:
    """A detection's own cells. Its box has more digits than any whole pixel depends on."""
    height, width = frame_rgb.shape[:2]
    box = boxes.clip(detection.box_xyxy, width, height)
    return {
        "outcome": KEPT,
        "confidence": round(detection.confidence, 6),
        "class_name": detection.class_name,
        **dict(zip(("x1", "y1", "x2", "y2"), (round(v, 6) for v in box), strict=True)),
    }


def run(job) -> None:
    """The job of the rule `detect` (see `ferrari.jobs.stage_job`)."""
    settings, mask_settings = job.settings("settings"), job.params.mask or {}
    digests = detect_video(
        frames_csv=job.input.table,
        video=job.wildcards.video,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
        weights=weight_files.ready(
            {"detect": settings, "mask": mask_settings, "cache": job.config["cache"]}, "detect"
        ),
        settings=settings,
        mask_settings=mask_settings,
        cache=job.config["cache"],
        threads=job.threads,
        earlier=job.earlier,
    )
    seal(job, digests)
