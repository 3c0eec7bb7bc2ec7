"""Stage 2: where is the subject? One row for each detection, one for each frame without any.

The target policy (`subject_choice`) decides which detections are the subject; the others are rows
too (NOT_TARGET), as are boxes too small to be of use (TOO_SMALL), subjects that have not moved
since their last crop (DUPLICATE_SUBJECT), and frames where nothing reached `detect.confidence`
(NO_SUBJECT, with the highest confidence that was seen). Crops are lossless. The detector runs in a
child process with limits: a frame that ends it is quarantined (MODEL_CRASHED, MODEL_TIMEOUT,
OUT_OF_MEMORY), and the others go on.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferrari.common.atomic_files import sha256_bytes, whole_folder
from ferrari.common.progress import Progress
from ferrari.images import boxes, image_files, subject_choice, subject_repeats
from ferrari.ledger import item_ids, tables
from ferrari.ledger.columns import DROPPED, KEPT, QUARANTINED
from ferrari.ledger.reasons import (
    DUPLICATE_SUBJECT,
    MODEL_FAILURES,
    NO_SUBJECT,
    NOT_TARGET,
    OK,
    TOO_SMALL,
    UNREADABLE_FRAME,
)
from ferrari.ledger.refused_files import clear_frames, refuse_frame
from ferrari.networks import detectors, weight_files
from ferrari.networks.on_device import OnDevice
from ferrari.processes.batching import by_size, in_flight
from ferrari.processes.failures import Failure
from ferrari.processes.isolated_model import Isolated
from ferrari.processes.model_verdicts import Limits
from ferrari.provenance.reuse import NOTHING, Earlier, chained_digests, narrowed, refused_files
from ferrari.provenance.table_stamps import seal

#: What this stage looks at in a frame's row: a frame is searched again, and with it those after it
#: (whose subjects are compared with it), when one of these changes.
READS = ("item", "path", "sha256", "width", "height")


def crop_video(
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
    """Write the crops and the table of one clip; returns the digests of its frames' rows.

    `settings` is the `detect` section of the config, `mask_settings` the `mask` section (used by
    `detect.backend: mask`). Frames whose rows `earlier` has are not searched again, up to the first
    that it has not; no network is loaded if it has all.
    """
    kept = tables.kept(tables.read_stage(frames_csv, "extract"))
    lines = [narrowed(line, READS) for line in kept]
    digests = chained_digests(lines)
    folder = Path(out_csv).with_suffix("")
    with whole_folder(folder) as scratch:
        rows: dict[str, list[tables.Row]] = earlier.take_first(digests, scratch)
        clear_frames(video, (UNREADABLE_FRAME,), dataset, keep=refused_files(rows))
        clear_frames(video, MODEL_FAILURES, dataset, ".webp", refused_files(rows))
        left = [line for line in lines if line["item"] not in rows]
        if left:
            limits = Limits.of("detect", settings)
            opener = OnDevice(settings["device"], limits)
            load = detectors.loader(settings, weights, mask_settings, threads, cache, opener)
            progress = Progress(f"{video}: frames searched", len(left))
            with Isolated(load, detectors.HARMLESS, limits) as detector:
                stage = _Stage(detector, settings, Path(dataset), folder, scratch, video)
                stage.resume(lines, rows)
                parts = by_size(left, settings["batch"])
                batches = in_flight(parts, stage.read, stage.search)
                with closing(batches):
                    for batch in batches:
                        for row in stage.rows(batch):
                            rows.setdefault(row["parent"], []).append(row)
                        progress.step(len(batch.frames))
    tables.write_stage(out_csv, "crop", [row for item in digests for row in rows[item]])
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


class _Stage:
    """What the rows of one clip share. `read`, `search` and `rows` run in a thread each."""

    def __init__(self, detector, settings, dataset: Path, folder, scratch, video: str) -> None:
        self.detector, self.settings, self.video = detector, settings, video
        self.dataset, self.folder, self.scratch = dataset, folder, scratch
        self.about: Mapping = {}
        self.last = subject_repeats.LastSubjects()

    def resume(self, lines: Sequence[Mapping], taken: Mapping[str, Sequence[Mapping]]) -> None:
        """Go on behind the frames whose rows were taken over."""
        frames = {line["item"]: line for line in lines}

        def picture(parent: str) -> np.ndarray | None:
            try:
                return subject_repeats.picture_of(self._read(frames[parent]))
            except image_files.ImageReadError:
                return None

        self.last.resume(taken.values(), picture)

    def read(self, lines: Sequence[Mapping]) -> list[_Frame]:
        """The frames of a batch."""
        frames = []
        for line in lines:
            try:
                frames.append(_Frame(line, self._read(line)))
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
        """The rows of a batch of frames, in their order; writes the crops that are kept."""
        self.about = batch.about
        for frame in batch.frames:
            if frame.frame_rgb is None:
                yield self._refused(frame.line, None, UNREADABLE_FRAME, frame.fault)
            elif isinstance(frame.found, Failure):
                reason, detail = frame.found.reason, frame.found.detail
                yield self._refused(frame.line, frame.frame_rgb, reason, detail)
            else:
                for row in self._frame_rows(frame.line, frame.frame_rgb, frame.found):
                    yield row | {"detail": batch.remark}

    def _read(self, line: Mapping) -> np.ndarray:
        path = line["path"]
        return image_files.read_verified(self.dataset / path, line["sha256"], path)

    def _frame_rows(
        self, line: Mapping, frame: np.ndarray, detections: list[boxes.Detection]
    ) -> Iterator[tables.Row]:
        height, width = frame.shape[:2]
        bound = self.settings["confidence"]
        counted = subject_choice.in_order([d for d in detections if d.confidence >= bound])
        if not counted:
            best = max((d.confidence for d in detections), default=0.0)
            yield self._row(
                line["item"],
                line,
                frame,
                outcome=DROPPED,
                reason=NO_SUBJECT,
                value=round(best, 6),
                threshold=bound,
            )
            return
        chosen, figures = subject_choice.choose(counted, self.settings["policy"], width, height)
        best = figures[min(chosen)]
        picture = subject_repeats.picture_of(frame)
        for index, detection in enumerate(counted):
            item = item_ids.crop_item(line["item"], index)
            about = self._about(detection, frame)
            if index not in chosen:
                about |= {"outcome": DROPPED, "reason": NOT_TARGET}
                about |= {"value": round(figures[index], 6), "threshold": round(best, 6)}
            else:
                about |= self._judged(item, detection, frame, picture, about)
            yield self._row(item, line, frame, **about)
        self.last.next_frame()

    def _about(self, detection: boxes.Detection, frame: np.ndarray) -> dict[str, object]:
        height, width = frame.shape[:2]
        box = boxes.clip(detection.box_xyxy, width, height)
        crop = boxes.padded(box, self.settings["pad"], width, height)
        corners = dict(zip(("x1", "y1", "x2", "y2"), (round(v, 2) for v in box), strict=True))
        cut = dict(zip(("crop_x1", "crop_y1", "crop_x2", "crop_y2"), crop, strict=True))
        return {
            "confidence": round(detection.confidence, 6),
            "class_name": detection.class_name,
            "frame_width": width,
            "frame_height": height,
            **corners,
            **cut,
        }

    def _judged(
        self,
        item: str,
        detection: boxes.Detection,
        frame: np.ndarray,
        picture: np.ndarray,
        about: Mapping,
    ) -> dict[str, object]:
        """Cut and write the subject's crop, unless it is too small to be of use, or a repeat."""
        height, width = frame.shape[:2]
        box = boxes.clip(detection.box_xyxy, width, height)
        short, bound = min(box[2] - box[0], box[3] - box[1]), self.settings["min_side"]
        judged = {"value": round(short, 2), "threshold": bound}
        if short < bound:
            return {"outcome": DROPPED, "reason": TOO_SMALL, **judged}
        repeat = self.last.repeated(item, subject_repeats.box_of(about), picture, self.settings)
        if repeat:
            return {"outcome": DROPPED, "reason": DUPLICATE_SUBJECT, **repeat}
        x1, y1, x2, y2 = (int(about[f"crop_{corner}"]) for corner in ("x1", "y1", "x2", "y2"))
        crop = frame[y1:y2, x1:x2]
        path = self.scratch / f"{item}.png"
        digest = image_files.write_checked(path, image_files.encode_png(crop), crop.shape)
        where = (self.folder / path.name).relative_to(self.dataset).as_posix()
        judged |= {"outcome": KEPT, "reason": OK, "path": where, "sha256": digest}
        return judged

    def _refused(
        self, line: Mapping, frame: np.ndarray | None, reason: str, detail: str
    ) -> tables.Row:
        """The row of a frame that is quarantined as a whole; its file is copied."""
        path = self.dataset / line["path"]
        data = path.read_bytes() if path.is_file() else b""
        where = refuse_frame(path.name, data, self.video, reason, self.dataset) if data else ""
        return self._row(
            line["item"],
            line,
            frame,
            outcome=QUARANTINED,
            reason=reason,
            path=where,
            sha256=sha256_bytes(data) if where else "",
            detail=detail,
        )

    def _row(self, item: str, line: Mapping, frame: np.ndarray | None, **fields) -> tables.Row:
        if frame is not None:
            fields |= {"frame_width": frame.shape[1], "frame_height": frame.shape[0]}
        return tables.row(
            "crop",
            item=item,
            parent=line["item"],
            **self.about,
            **fields,
        )


def run(job) -> None:
    """The job of the rule `crop` (see `ferrari.jobs.stage_job`)."""
    settings, mask_settings = job.settings("settings"), job.params.mask or {}
    digests = crop_video(
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
