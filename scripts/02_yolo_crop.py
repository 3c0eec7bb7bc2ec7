"""Stage 2, second half: which detections show the subject? One row for each, with its outcome.

Who the subject is was determined once for the whole set (`02_name_subject.py`). Here each detection
is compared with that answer (`subject.identities`). Somebody else is NOT_SUBJECT. Without clear
evidence the detection is UNSURE_WHO, and its picture is set aside for a person to look at. With
`subject.mode: single` nobody is judged: the target policy (`subject_choice`) chooses one of the
tracks in a frame, and the others are NOT_TARGET.

Boxes that are too small (TOO_SMALL) and subjects that have not moved since their last crop
(DUPLICATE_SUBJECT) are dropped. The rest is cropped with a margin, losslessly. No network runs: a
changed threshold repeats no detection, and only frames with a changed judgement, and those after
them, are worked on again. If a frame is no longer what stage 1 wrote, its subjects are quarantined
(UNREADABLE_FRAME). A person's decision about a crop changes only that crop's row.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ferrari.common.atomic_files import sha256_bytes, whole_folder
from ferrari.common.progress import Progress
from ferrari.images import boxes, image_files, subject_choice, subject_repeats
from ferrari.ledger import item_ids, tables
from ferrari.ledger.columns import DROPPED, KEPT, QUARANTINED
from ferrari.ledger.reasons import (
    DUPLICATE_SUBJECT,
    NOT_SUBJECT,
    NOT_TARGET,
    OK,
    TOO_SMALL,
    UNREADABLE_FRAME,
    UNSURE_WHO,
)
from ferrari.ledger.refused_files import clear_frames, refuse_frame, refuse_frame_file
from ferrari.processes.beside import Behind, ahead
from ferrari.provenance.reuse import NOTHING, Earlier, chained_digests, refused_files
from ferrari.provenance.table_stamps import seal
from ferrari.review import decisions
from ferrari.review.applying import (
    TAKEN_BACK,
    Verdicts,
    as_made,
    cells_of_keep,
    crop_digest,
    is_by_review,
)
from ferrari.review.contract import TRACK, Decision
from ferrari.subject import (
    clip_table,
    identities,
    identity_cells,
    judgements,
    sightings_file,
    template_file,
)
from ferrari.subject.identities import Identities, Identity
from ferrari.subject.identity_cells import identity_of
from ferrari.subject.identity_table import IdentityRow
from ferrari.subject.modes import SINGLE

#: The columns of frames and detections that this stage uses. If one changes, the frame is judged
#: again, and so are those after it, whose subjects are compared with this one's.
FRAME_READS = ("item", "path", "sha256")
READS = (
    *("item", "confidence", "class_name", "x1", "y1", "x2", "y2"),
    *("frame_width", "frame_height", "track_area", "track_off_centre", "hardly_seen"),
)
#: Threads that read frames and write crops while the main thread compares them; how many frames are
#: read ahead, and how many crops may wait to be written.
_THREADS, _AHEAD = 2, 2


def crop_video(
    *,
    frames_csv: str,
    detections_csv: str,
    video: str,
    dataset: str,
    out_csv: str,
    out_identity: str,
    settings: Mapping,
    sightings: str = "",
    who: str = "",
    identity: Mapping | None = None,
    review: Sequence[Decision] = (),
    earlier: Earlier = NOTHING,
) -> dict[str, str]:
    """Write the crops and the tables of one clip; returns the digests of its frames' rows.

    `settings` has the keys of the config's `detect` section for choosing and cropping. `identity`
    has the mode and the rules for comparing the people in `sightings` with the template `who`;
    without it nobody is judged. `review` holds a person's decisions about the clip's crops. The
    rows in `earlier` are reused up to the first frame that it lacks.
    """
    seen, verdicts = _seen(frames_csv, detections_csv), Verdicts(review, OK)
    tracks = [row for row in review if row.scope == TRACK]
    known = _identities(sightings, who, identity, tracks) if identity else None
    kept = _kept_by_hand(verdicts)
    digests = chained_digests(
        {"item": item, "frame": one.line, "detections": one.detections}
        | {"who": _verdicts(one, known), "kept": kept.get(item)}
        for item, one in seen.items()
    )
    folder = Path(out_csv).with_suffix("")
    with whole_folder(folder) as scratch:
        taken = earlier.grouped(item_ids.frame_of).take_first(digests, scratch)
        rows: dict[str, list[tables.Row]] = {
            item: [identity_cells.told_anew(row, known) for row in found]
            for item, found in taken.items()
        }
        refusals = (UNREADABLE_FRAME, UNSURE_WHO)
        clear_frames(video, refusals, dataset, "crop", refused_files(taken))
        left = [one for item, one in seen.items() if item not in rows]
        with ThreadPoolExecutor(_THREADS, "files") as files:
            behind = Behind(files, _AHEAD)
            stage = _Stage(settings, video, Path(dataset), folder, scratch, verdicts, known, behind)
            if left:
                stage.resume(seen, {item: list(map(as_made, own)) for item, own in taken.items()})
            progress = Progress(f"{video}: frames cut", len(left))
            opened = functools.partial(stage.opened, by_hand=kept)
            for one, frame in ahead(files, left, opened, _AHEAD):
                rows[one.line["item"]] = list(stage.rows(one, frame))
                progress.step()
            behind.finish()
    clip = known.clip if known else IdentityRow(None, SINGLE, frames=len(seen))
    clip_table.write(out_identity, clip, known.tracks if known else ())
    decided = [
        _decided(row, seen[item].line["sha256"], verdicts, known)
        for item in digests
        for row in rows[item]
    ]
    tables.write_stage(out_csv, "crop", verdicts.all_applied(decided))
    return digests


def _decided(
    row: tables.Row, frame_sha256: str, verdicts: Verdicts, known: Identities | None
) -> tuple[tables.Row, str]:
    """A row with the decision on its track, unless there is one on the crop itself; and the crop's
    digest, by which a decision names it.
    """
    made = verdicts.without_drop(row)
    if known is not None and not is_by_review(made):
        made["decision"] = identity_of(str(made["parent"]), known).decision
    return made, crop_digest(frame_sha256, made)


def _kept_by_hand(verdicts: Verdicts) -> dict[str, list[Decision]]:
    """The crops that a person decided to keep, by their frame."""
    found: dict[str, list[Decision]] = {}
    for row in verdicts.keeps():
        found.setdefault(item_ids.frame_of(row.target), []).append(row)
    return found


@dataclass(frozen=True)
class _Seen:
    """A frame with detections: its row, and the detections' rows in the order of their numbers."""

    line: Mapping[str, str]
    detections: list[Mapping[str, str]] = field(default_factory=list)


def _seen(frames_csv: str, detections_csv: str) -> dict[str, _Seen]:
    """The frames with kept detections, by item, in the order of the clip."""
    frames = {
        line["item"]: tables.narrowed(line, FRAME_READS)
        for line in tables.kept(tables.read_stage(frames_csv, "extract"))
    }
    seen: dict[str, _Seen] = {}
    for line in tables.kept(tables.read_stage(detections_csv, "detect")):
        parent = line["parent"]
        if parent not in frames:
            raise tables.LedgerError(f"{detections_csv}: {frames_csv} kept no frame {parent}")
        detections = seen.setdefault(parent, _Seen(frames[parent])).detections
        detections.append(tables.narrowed(line, READS))
    return seen


def _identities(
    sightings: str, who: str, identity: Mapping, review: Sequence[Decision]
) -> Identities:
    seen, template = sightings_file.read(sightings), template_file.read(who)
    rules = identities.rules_of(identity)
    return identities.identify(seen, template, rules, identity["mode"], review)


def _verdicts(seen: _Seen, known: Identities | None) -> list[str]:
    return identity_cells.verdicts((line["item"] for line in seen.detections), known)


class _Pixels:
    """A frame's pixels (HxWx3 uint8 RGB) and its compare image, read on first use."""

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
    known: Identities | None
    behind: Behind
    last: subject_repeats.LastSubjects = field(default_factory=subject_repeats.LastSubjects)

    def resume(self, seen: Mapping[str, _Seen], taken: Mapping[str, Sequence[Mapping]]) -> None:
        """Continue after the frames whose rows were reused."""

        def picture(detection: str) -> np.ndarray | None:
            try:
                return _Pixels(seen[item_ids.frame_of(detection)].line, self._read).picture
            except image_files.ImageReadError:
                return None

        self.last.resume(taken.values(), picture)

    def opened(self, seen: _Seen, by_hand: Mapping[str, object]) -> _Pixels:
        """A frame's pixels, read ahead if they will be needed.

        `by_hand` has the frames with crops that a person kept. A damaged file raises nothing here,
        but when its pixels are used.
        """
        frame = _Pixels(seen.line, self._read)
        if seen.line["item"] in by_hand or any(self._may_be_cut(seen)):
            with contextlib.suppress(image_files.ImageReadError):
                frame.picture  # noqa: B018 - it is kept
        return frame

    def _may_be_cut(self, seen: _Seen) -> Iterator[bool]:
        """For each detection, whether its pixels may be needed, judging by its row alone."""
        for line, other in zip(seen.detections, self._targets(seen), strict=True):
            wanted = not other
            if self.known is not None:
                wanted = (
                    identity_of(line["item"], self.known).judgement.who != judgements.NOT_SUBJECT
                )
            yield wanted and not self._too_small(_box(line))

    def rows(self, seen: _Seen, frame: _Pixels) -> Iterator[tables.Row]:
        """The rows of a frame's detections, in order; kept crops are queued for writing.

        Their `path` and `sha256` are filled in once they are written.
        """
        targets = self._targets(seen)
        for ordinal, line in enumerate(seen.detections):
            item = item_ids.crop_item(seen.line["item"], ordinal)
            box = _box(line)
            about = self._about(line, box)
            if self.known is not None:
                identity = identity_of(line["item"], self.known)
                about |= self._by_identity(item, box, frame, about, identity)
            else:
                about |= targets[ordinal] or self._judged(item, box, frame, about)
            if about["reason"] in TAKEN_BACK:
                about |= self._taken_back(item, frame, about)
            row = tables.row("crop", item=item, parent=line["item"], **about)
            if row["outcome"] == KEPT and not row["path"]:
                crop = _cut(frame.rgb, row)
                self.behind.add(functools.partial(self._written, item, crop), row.update)
            yield row
        self.last.next_frame()

    def _targets(self, seen: _Seen) -> list[tables.Row]:
        """By policy: for each detection the cells of NOT_TARGET, or none if it is the subject."""
        if self.known is not None:
            return [{}] * len(seen.detections)
        figures = subject_choice.figures(seen.detections, self.settings["policy"])
        chosen = subject_choice.choose(figures, self.settings["policy"])
        best = round(figures[min(chosen)], 6)
        other: tables.Row = {"outcome": DROPPED, "reason": NOT_TARGET, "threshold": best}
        return [
            {} if place in chosen else other | {"value": round(figure, 6)}
            for place, figure in enumerate(figures)
        ]

    def _by_identity(
        self, item: str, box: boxes.Box, frame: _Pixels, about: Mapping, identity: Identity
    ) -> tables.Row:
        """The cells of a detection whose identity is known."""
        told, who = identity_cells.evidence(identity), identity.judgement.who
        if who == judgements.SUBJECT:
            return told | self._judged(item, box, frame, about)
        measured = told | identity_cells.measured(identity)
        if who == judgements.NOT_SUBJECT:
            return measured | {"outcome": DROPPED, "reason": NOT_SUBJECT}
        if small := self._too_small(box):
            return told | small
        return measured | self._unsure(item, frame, about, identity_cells.in_words(identity))

    def _about(self, line: Mapping, box: boxes.Box) -> dict[str, object]:
        width, height = int(line["frame_width"]), int(line["frame_height"])
        crop = boxes.padded(box, self.settings["pad"], width, height)
        corners = dict(zip(("x1", "y1", "x2", "y2"), (round(v, 2) for v in box), strict=True))
        cut = dict(zip(("crop_x1", "crop_y1", "crop_x2", "crop_y2"), crop, strict=True))
        names = ("confidence", "class_name", "frame_width", "frame_height", "hardly_seen")
        told = tables.narrowed(line, names)
        return {**told, **corners, **cut}

    def _measured(self, box: boxes.Box) -> tables.Row:
        return {"value": _side(box), "threshold": self.settings["min_side"]}

    def _too_small(self, box: boxes.Box) -> tables.Row:
        """The cells of a box that is too small; none for any other."""
        if _side(box) >= self.settings["min_side"]:
            return {}
        return {"outcome": DROPPED, "reason": TOO_SMALL, **self._measured(box)}

    def _judged(
        self, item: str, box: boxes.Box, frame: _Pixels, about: Mapping
    ) -> dict[str, object]:
        """Keep the subject's crop, unless it is too small or a repeat."""
        if small := self._too_small(box):
            return small
        try:
            picture = frame.picture
        except image_files.ImageReadError as error:
            return self._refused(item, frame.line, str(error))
        repeat = self.last.repeated(item, subject_repeats.box_of(about), picture, self.settings)
        if repeat:
            return {"outcome": DROPPED, "reason": DUPLICATE_SUBJECT, **repeat}
        return {"outcome": KEPT, "reason": OK, **self._measured(box)}

    def _taken_back(self, item: str, frame: _Pixels, about: Mapping) -> dict[str, object]:
        """The cells of a crop that a rule refused and a person kept; empty if nobody did.

        Later crops are still compared with those that the rules kept.
        """
        keep = self.verdicts.kept(item, crop_digest(frame.line["sha256"], about))
        if not keep:
            return {}
        try:
            cut = self._written(item, _cut(frame.rgb, about))
        except image_files.ImageReadError as error:
            return self._refused(item, frame.line, str(error))
        if about.get("path"):  # the copy was there for a person to decide, who has decided
            (self.dataset / str(about["path"])).unlink(missing_ok=True)
        told = cells_of_keep(keep, str(about["reason"]), str(about.get("detail", "")))
        return {"reason": OK, **cut, **told}

    def _written(self, item: str, crop: np.ndarray) -> dict[str, object]:
        """Write a crop, and read it back; its row's `path` and `sha256`."""
        path = self.scratch / f"{item}.png"
        digest = image_files.write_checked(path, image_files.encode_png(crop), crop.shape)
        where = (self.folder / path.name).relative_to(self.dataset).as_posix()
        return {"path": where, "sha256": digest}

    def _unsure(self, item: str, frame: _Pixels, about: Mapping, why: str) -> dict[str, object]:
        """Quarantine somebody who may be the subject, with a copy of the crop to look at."""
        try:
            data = image_files.encode_png(_cut(frame.rgb, about))
        except image_files.ImageReadError as error:
            return self._refused(item, frame.line, str(error))
        where = refuse_frame(f"{item}.png", data, self.video, UNSURE_WHO, str(self.dataset))
        copy = {"path": where, "sha256": sha256_bytes(data)}
        return {"outcome": QUARANTINED, "reason": UNSURE_WHO, "detail": why, **copy}

    def _refused(self, item: str, line: Mapping, detail: str) -> dict[str, object]:
        """Quarantine a subject whose frame can no longer be read, with a copy of the frame's
        file.
        """
        path = self.dataset / line["path"]
        name = f"{item}{path.suffix}"
        copy = refuse_frame_file(path, name, self.video, UNREADABLE_FRAME, self.dataset)
        return {"outcome": QUARANTINED, "reason": UNREADABLE_FRAME, "detail": detail, **copy}

    def _read(self, line: Mapping) -> np.ndarray:
        path = line["path"]
        return image_files.read_verified(self.dataset / path, line["sha256"], path)


def _cut(frame_rgb: np.ndarray, about: Mapping) -> np.ndarray:
    x1, y1, x2, y2 = (int(about[f"crop_{corner}"]) for corner in ("x1", "y1", "x2", "y2"))
    return frame_rgb[y1:y2, x1:x2]


def _box(line: Mapping[str, str]) -> boxes.Box:
    x1, y1, x2, y2 = (float(line[name]) for name in ("x1", "y1", "x2", "y2"))
    return x1, y1, x2, y2


def _side(box: boxes.Box) -> float:
    """The shorter side of a box in px, with the digits of its row."""
    return round(boxes.short_side(box), 2)


def run(job) -> None:
    """The job of the rule `crop` (see `ferrari.jobs.stage_job`)."""
    sightings, who = job.input.all("judged_by") or ("", "")
    digests = crop_video(
        frames_csv=job.input.frames,
        detections_csv=job.input.detections,
        video=job.wildcards.video,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
        out_identity=job.output.identity,
        settings=job.settings("settings"),
        sightings=sightings,
        who=who,
        identity=job.params.identity,
        review=decisions.of_job(
            job.config["dataset"], job.params.review, "crop", job.wildcards.video
        ),
        earlier=job.earlier,
    )
    seal(job, digests)
