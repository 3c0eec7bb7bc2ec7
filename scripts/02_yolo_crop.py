"""Stage 2, second half: which detection is the subject? One row for each, with its fate.

The target policy (`subject_choice`) decides which of the tracks in a frame is the subject, by what
is known of them over the whole clip. The others' detections are rows too (NOT_TARGET), as are boxes
too small to be of use (TOO_SMALL) and subjects that have not moved since their last crop
(DUPLICATE_SUBJECT). The rest is cut out with a margin; crops are lossless. No network is asked: a
threshold that changes searches no frame again. A frame that is not what stage 1 wrote any more
quarantines its subjects (UNREADABLE_FRAME). What a person decided of a crop changes its row alone.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ferrari.common.atomic_files import whole_folder
from ferrari.common.progress import Progress
from ferrari.images import boxes, image_files, subject_choice, subject_repeats
from ferrari.ledger import item_ids, tables
from ferrari.ledger.columns import DROPPED, KEPT, QUARANTINED
from ferrari.ledger.reasons import (
    DUPLICATE_SUBJECT,
    NOT_TARGET,
    OK,
    TOO_SMALL,
    UNREADABLE_FRAME,
)
from ferrari.ledger.refused_files import clear_frames, refuse_frame_file
from ferrari.provenance.reuse import NOTHING, Earlier, chained_digests, narrowed, refused_files
from ferrari.provenance.table_stamps import seal
from ferrari.review import decisions
from ferrari.review.applying import TAKEN_BACK, Verdicts, as_made, cells_of_keep, crop_digest
from ferrari.review.contract import Decision

#: What this stage looks at in the rows of a frame and its detections: a frame is judged again, and
#: with it those after it (whose subjects are compared with its), when one of these changes.
FRAME_READS = ("item", "path", "sha256")
READS = (
    *("item", "confidence", "class_name", "x1", "y1", "x2", "y2"),
    *("frame_width", "frame_height", "track_area", "track_off_centre"),
)


def crop_video(
    *,
    frames_csv: str,
    detections_csv: str,
    video: str,
    dataset: str,
    out_csv: str,
    settings: Mapping,
    review: Sequence[Decision] = (),
    earlier: Earlier = NOTHING,
) -> dict[str, str]:
    """Write the crops and the table of one clip; returns the digests of its frames' rows.

    `settings` has the keys of the config's `detect` section that choose and cut; `review` is what
    a person decided of the clip's crops. Frames whose rows `earlier` has are not judged again, up
    to the first that it has not.
    """
    seen, verdicts = _seen(frames_csv, detections_csv), Verdicts(review, OK)
    kept = _kept_by_hand(verdicts)
    digests = chained_digests(
        {"item": item, "frame": one.line, "detections": one.detections, "kept": kept.get(item)}
        for item, one in seen.items()
    )
    folder = Path(out_csv).with_suffix("")
    with whole_folder(folder) as scratch:
        taken = earlier.grouped(item_ids.frame_of).take_first(digests, scratch)
        rows: dict[str, list[tables.Row]] = dict(taken)
        clear_frames(video, (UNREADABLE_FRAME,), dataset, "crop", refused_files(rows))
        left = [one for item, one in seen.items() if item not in rows]
        stage = _Stage(settings, video, Path(dataset), folder, scratch, verdicts)
        if left:
            stage.resume(seen, {item: list(map(as_made, own)) for item, own in taken.items()})
        progress = Progress(f"{video}: frames cut", len(left))
        for one in left:
            rows[one.line["item"]] = list(stage.rows(one))
            progress.step()
    applied = [
        verdicts.applied(row, crop_digest(seen[item].line["sha256"], row))
        for item in digests
        for row in rows[item]
    ]
    tables.write_stage(out_csv, "crop", applied)
    return digests


def _kept_by_hand(verdicts: Verdicts) -> dict[str, list[Decision]]:
    """What a person kept, by the frame that it is in."""
    found: dict[str, list[Decision]] = {}
    for row in verdicts.keeps():
        found.setdefault(item_ids.frame_of(row.target), []).append(row)
    return found


@dataclass(frozen=True)
class _Seen:
    """A frame that shows somebody: its row, and those of its detections, most confident first."""

    line: Mapping[str, str]
    detections: list[Mapping[str, str]] = field(default_factory=list)


def _seen(frames_csv: str, detections_csv: str) -> dict[str, _Seen]:
    """The frames with kept detections, by item, in the order of the clip."""
    frames = {
        line["item"]: narrowed(line, FRAME_READS)
        for line in tables.kept(tables.read_stage(frames_csv, "extract"))
    }
    seen: dict[str, _Seen] = {}
    for line in tables.kept(tables.read_stage(detections_csv, "detect")):
        parent = line["parent"]
        if parent not in frames:
            raise tables.LedgerError(f"{detections_csv}: {frames_csv} kept no frame {parent}")
        seen.setdefault(parent, _Seen(frames[parent])).detections.append(narrowed(line, READS))
    return seen


class _Pixels:
    """A frame's pixels (HxWx3 uint8 RGB) and its compare image, read when they are asked for."""

    def __init__(self, line: Mapping[str, str], read: Callable[[Mapping], np.ndarray]) -> None:
        self.line, self._read = line, read

    @functools.cached_property
    def rgb(self) -> np.ndarray:
        return self._read(self.line)

    @functools.cached_property
    def picture(self) -> np.ndarray:
        return subject_repeats.picture_of(self.rgb)


@dataclass
class _Stage:
    """What the rows of one clip share."""

    settings: Mapping
    video: str
    dataset: Path
    folder: Path
    scratch: Path
    verdicts: Verdicts
    last: subject_repeats.LastSubjects = field(default_factory=subject_repeats.LastSubjects)

    def resume(self, seen: Mapping[str, _Seen], taken: Mapping[str, Sequence[Mapping]]) -> None:
        """Go on behind the frames whose rows were taken over."""

        def picture(detection: str) -> np.ndarray | None:
            try:
                return _Pixels(seen[item_ids.frame_of(detection)].line, self._read).picture
            except image_files.ImageReadError:
                return None

        self.last.resume(taken.values(), picture)

    def rows(self, seen: _Seen) -> Iterator[tables.Row]:
        """The rows of a frame's detections, in their order; writes the crops that are kept."""
        figures = subject_choice.figures(seen.detections, self.settings["policy"])
        chosen = subject_choice.choose(figures, self.settings["policy"])
        best = figures[min(chosen)]
        frame = _Pixels(seen.line, self._read)
        for ordinal, line in enumerate(seen.detections):
            item = item_ids.crop_item(seen.line["item"], ordinal)
            box = _box(line)
            about = self._about(line, box)
            if ordinal not in chosen:
                about |= {"outcome": DROPPED, "reason": NOT_TARGET}
                about |= {"value": round(figures[ordinal], 6), "threshold": round(best, 6)}
            else:
                about |= self._judged(item, box, frame, about)
            if about["reason"] in TAKEN_BACK:
                about |= self._taken_back(item, frame, about)
            yield tables.row("crop", item=item, parent=line["item"], **about)
        self.last.next_frame()

    def _about(self, line: Mapping, box: boxes.Box) -> dict[str, object]:
        width, height = int(line["frame_width"]), int(line["frame_height"])
        crop = boxes.padded(box, self.settings["pad"], width, height)
        corners = dict(zip(("x1", "y1", "x2", "y2"), (round(v, 2) for v in box), strict=True))
        cut = dict(zip(("crop_x1", "crop_y1", "crop_x2", "crop_y2"), crop, strict=True))
        told = narrowed(line, ("confidence", "class_name", "frame_width", "frame_height"))
        return {**told, **corners, **cut}

    def _judged(
        self, item: str, box: boxes.Box, frame: _Pixels, about: Mapping
    ) -> dict[str, object]:
        """Cut and write the subject's crop, unless it is too small to be of use, or a repeat."""
        short, bound = min(box[2] - box[0], box[3] - box[1]), self.settings["min_side"]
        judged = {"value": round(short, 2), "threshold": bound}
        if short < bound:
            return {"outcome": DROPPED, "reason": TOO_SMALL, **judged}
        try:
            picture = frame.picture
        except image_files.ImageReadError as error:
            return self._refused(item, frame.line, str(error))
        repeat = self.last.repeated(item, subject_repeats.box_of(about), picture, self.settings)
        if repeat:
            return {"outcome": DROPPED, "reason": DUPLICATE_SUBJECT, **repeat}
        return {"outcome": KEPT, "reason": OK, **self._cut(item, frame, about), **judged}

    def _taken_back(self, item: str, frame: _Pixels, about: Mapping) -> dict[str, object]:
        """The cells of a crop that a rule refused and a person kept; empty if nobody did.

        What comes after is still compared with the crops that the rules kept.
        """
        keep = self.verdicts.kept(item, crop_digest(frame.line["sha256"], about))
        if not keep:
            return {}
        try:
            cut = self._cut(item, frame, about)
        except image_files.ImageReadError as error:
            return self._refused(item, frame.line, str(error))
        return {"reason": OK, **cut, **cells_of_keep(keep, str(about["reason"]))}

    def _cut(self, item: str, frame: _Pixels, about: Mapping) -> dict[str, object]:
        """Write a crop, and read it back; its row's `path` and `sha256`."""
        x1, y1, x2, y2 = (int(about[f"crop_{corner}"]) for corner in ("x1", "y1", "x2", "y2"))
        crop = frame.rgb[y1:y2, x1:x2]
        path = self.scratch / f"{item}.png"
        digest = image_files.write_checked(path, image_files.encode_png(crop), crop.shape)
        where = (self.folder / path.name).relative_to(self.dataset).as_posix()
        return {"path": where, "sha256": digest}

    def _refused(self, item: str, line: Mapping, detail: str) -> dict[str, object]:
        """A subject whose frame cannot be read any more; a copy of the frame's file is kept."""
        path = self.dataset / line["path"]
        name = f"{item}{path.suffix}"
        copy = refuse_frame_file(path, name, self.video, UNREADABLE_FRAME, self.dataset)
        return {"outcome": QUARANTINED, "reason": UNREADABLE_FRAME, "detail": detail, **copy}

    def _read(self, line: Mapping) -> np.ndarray:
        path = line["path"]
        return image_files.read_verified(self.dataset / path, line["sha256"], path)


def _box(line: Mapping[str, str]) -> boxes.Box:
    x1, y1, x2, y2 = (float(line[name]) for name in ("x1", "y1", "x2", "y2"))
    return x1, y1, x2, y2


def run(job) -> None:
    """The job of the rule `crop` (see `ferrari.jobs.stage_job`)."""
    digests = crop_video(
        frames_csv=job.input.frames,
        detections_csv=job.input.detections,
        video=job.wildcards.video,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
        settings=job.settings("settings"),
        review=decisions.of_job(
            job.config["dataset"], job.params.review, "crop", job.wildcards.video
        ),
        earlier=job.earlier,
    )
    seal(job, digests)
