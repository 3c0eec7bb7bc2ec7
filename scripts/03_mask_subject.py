"""Stage 3: cut the subject out of each crop.

Reads one video's table of crops; writes one RGBA cut-out for each kept crop (PNG, straight alpha,
at crop size), and a table with a row for each. Other people in a crop are removed from it
(`matting.other_people`). A mask that a person drew (`matting.by_hand`) replaces the network's; the
network is loaded only if some crop has none.

Refused crops: EMPTY_MASK and FULL_MASK (the subject's share of the crop is out of bounds),
OTHER_PERSON (too much of it may be somebody else), SUBJECT_CLASS_ABSENT (segmenter `ram`),
UNREADABLE_CROP; and MODEL_CRASHED, MODEL_TIMEOUT and OUT_OF_MEMORY, if a crop crashed the child
process in which network and matting run. They are copied to `bad_frames/<video>/<REASON>/`.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ferrari.common.atomic_files import sha256_bytes, whole_folder
from ferrari.common.progress import Progress
from ferrari.curation import embeddings
from ferrari.images import boxes, image_files
from ferrari.ledger import tables
from ferrari.ledger.columns import DROPPED, KEPT, QUARANTINED
from ferrari.ledger.reasons import (
    EMPTY_MASK,
    FULL_MASK,
    MODEL_FAILURES,
    OTHER_PERSON,
    SUBJECT_CLASS_ABSENT,
    UNREADABLE_CROP,
)
from ferrari.ledger.refused_files import clear_frames, refuse_frame
from ferrari.ledger.stages import FOLDERS
from ferrari.matting import by_hand, cutouts
from ferrari.matting.by_hand import HandMask
from ferrari.matting.crop_rows import people_in, with_others
from ferrari.matting.cutouts import CutOut
from ferrari.networks import weight_files
from ferrari.networks.on_device import OnDevice
from ferrari.processes.batching import in_flight
from ferrari.processes.failures import Failure
from ferrari.processes.isolated_model import Isolated
from ferrari.processes.model_process import Load
from ferrari.processes.model_verdicts import Limits
from ferrari.provenance.reuse import NOTHING, Earlier, item_digest, refused_files
from ferrari.provenance.table_stamps import seal
from ferrari.review import decisions
from ferrari.review.applying import Verdicts
from ferrari.review.contract import Decision

REASONS = (EMPTY_MASK, FULL_MASK, OTHER_PERSON, SUBJECT_CLASS_ABSENT, UNREADABLE_CROP)


@dataclass
class Crop:
    """A crop on its way through the stage: its row, its bytes, its pixels, and in these the boxes
    of the subject and of other people. `drawn` is the mask of a person, if there is one.
    """

    line: Mapping[str, str]
    data: bytes
    image_rgb: np.ndarray
    box_xyxy: boxes.Box
    others_xyxy: list[boxes.Box]
    detail: str = ""
    drawn: HandMask | None = None

    @property
    def item(self) -> str:
        return self.line["item"]

    def offered(self) -> cutouts.Crop | by_hand.Crop:
        """What the child gets of it."""
        if self.drawn:
            return self.image_rgb, self.drawn.alpha_u8, len(self.others_xyxy)
        return self.image_rgb, self.box_xyxy, self.others_xyxy

    def mended(self) -> dict[str, str]:
        """The cells that say that a person drew the mask."""
        if not self.drawn:
            return {}
        file = {"mended_path": self.drawn.path, "mended_sha256": self.drawn.sha256}
        return {"matte_of": by_hand.HAND, **file}


def mask_video(
    *,
    crops_csv: str | os.PathLike,
    dataset: str | os.PathLike,
    out_csv: str | os.PathLike,
    weights: str | os.PathLike | Sequence[str | os.PathLike],
    settings: Mapping,
    subject_class: str,
    cache: str | os.PathLike = "cache",
    threads: int = 0,
    review: Sequence[Decision] = (),
    earlier: Earlier = NOTHING,
) -> dict[str, str]:
    """Mask every kept crop of one video; `out_csv` is `<stage folder>/<video>.csv`. Returns the
    digests of the crops' rows.

    `weights` are the files of `weight_files.for_mask(settings, subject_class)`, the gate's last;
    `settings` is the `mask` part of the configuration; `subject_class` is what a `yolo-seg` network
    calls the subject (`detect.class`). Crops whose rows `earlier` has are not masked again, and no
    network is loaded if there are no others: `review`, what a person decided of the clip's
    cut-outs, needs none.
    """
    lines = with_others(tables.read_stage(crops_csv, "crop"))
    drawn = by_hand.in_force(review, lines)
    digests = {line["item"]: _digest(line, drawn.get(line["item"])) for line in lines}
    out_csv = Path(out_csv)
    video = out_csv.stem
    with whole_folder(out_csv.with_suffix("")) as scratch:
        rows: dict[str, list[tables.Row]] = earlier.take_all(digests, scratch)
        clear_frames(video, REASONS, dataset, keep=refused_files(rows))
        clear_frames(video, MODEL_FAILURES, dataset, "crop", refused_files(rows))
        left = [line for line in lines if line["item"] not in rows]
        networks = [line for line in left if line["item"] not in drawn]
        hands = [line for line in left if line["item"] in drawn]
        limits, progress = (
            Limits.of("mask", settings),
            Progress(f"{video}: crops masked", len(left)),
        )
        stage = Stage(settings, Path(dataset), video, scratch, limits, progress, drawn)
        if networks:
            paths = [weights] if isinstance(weights, str | os.PathLike) else list(weights)
            opener = OnDevice(settings["device"], limits)
            load = cutouts.loader(paths, settings, subject_class, cache, threads, opener)
            rows |= stage.made(networks, load, cutouts.HARMLESS)
        if hands:
            rows |= stage.made(hands, by_hand.loader(settings), by_hand.HARMLESS)
    verdicts = Verdicts(review)
    made = [_decided(row, drawn, verdicts) for item in digests for row in rows[item]]
    applied = verdicts.all_applied((row, str(row["sha256"])) for row in made)
    tables.write_stage(out_csv, "mask", applied)
    return digests


def _digest(line: Mapping, drawn: Decision | None) -> str:
    """Over what a crop's rows are made from: its row, and the mask that a person drew."""
    return item_digest(line, drawn.value) if drawn else item_digest(line)


def _decided(row: tables.Row, drawn: Mapping[str, Decision], verdicts: Verdicts) -> tables.Row:
    """A row as it was made, with the decision that its mask is of, before others are applied."""
    made = verdicts.without_drop(row)
    made["decision"] = drawn[str(row["item"])].id if made["mended_path"] else ""
    return made


@dataclass(frozen=True)
class Batch:
    """Crops that the segmenter has seen: each with its result, or a row and what is wrong with its
    file. `about` is what rows say of the segmenter, `remark` something more for these rows.
    """

    crops: list[tuple[Crop, CutOut | Failure] | tuple[Mapping, str]]
    about: Mapping
    remark: str


@dataclass
class Stage:
    """What the rows of one video share. `read`, `cut` and `rows` run in a thread each."""

    settings: Mapping
    dataset: Path
    video: str
    scratch: Path
    limits: Limits
    progress: Progress
    drawn: Mapping[str, Decision]
    about: Mapping = field(default_factory=dict)

    def made(
        self, lines: Sequence[Mapping[str, str]], load: Load, harmless: object
    ) -> dict[str, list[tables.Row]]:
        """The rows of crops, by item, that what `load` loads in a child makes."""
        size, found = self.settings["batch"], dict[str, list[tables.Row]]()
        parts = (lines[start : start + size] for start in range(0, len(lines), size))
        with Isolated(load, harmless, self.limits) as model:
            batches = in_flight(parts, self.read, partial(self.cut, model))
            with closing(batches):
                for batch in batches:
                    found |= {str(row["parent"]): [row] for row in self.rows(batch)}
                    self.progress.step(len(batch.crops))
        return found

    def read(self, lines: Sequence[Mapping[str, str]]) -> list[Crop | tuple[Mapping, str]]:
        """The crops of a batch; of those that cannot be read the row, and why."""
        crops: list[Crop | tuple[Mapping, str]] = []
        for line in lines:
            try:
                crops.append(self._with_mask(read_crop(self.dataset, line)))
            except image_files.ImageReadError as error:
                crops.append((line, str(error)))
        return crops

    def _with_mask(self, crop: Crop) -> Crop:
        """A crop with the mask that a person drew; MendedMaskError if that is not as it was."""
        if row := self.drawn.get(crop.item):
            crop.drawn = by_hand.read(self.dataset, row, *crop.image_rgb.shape[:2])
        return crop

    def cut(self, model: Isolated, crops: list[Crop | tuple[Mapping, str]]) -> Batch:
        """Have the segmenter, or matting alone, cut out those that could be read."""
        there = [crop for crop in crops if isinstance(crop, Crop)]
        results, remark = model.outcomes([crop.offered() for crop in there], "crops")
        found = iter(results)
        seen = [(crop, next(found)) if isinstance(crop, Crop) else crop for crop in crops]
        return Batch(seen, model.about, remark)

    def rows(self, batch: Batch) -> Iterator[tables.Row]:
        """One row for each crop of a batch, in its order; writes the cut-outs of those kept."""
        self.about = batch.about
        for crop, result in batch.crops:
            if isinstance(crop, Crop):
                crop.detail = batch.remark
                yield self._judged(crop, result)
            else:
                yield self._unreadable(crop, result)

    def _judged(self, crop: Crop, result: CutOut | Failure) -> tables.Row:
        if isinstance(result, Failure):
            return self._refused(crop, result.reason, detail=result.detail)
        if result.absent:
            return self._refused(
                crop,
                SUBJECT_CLASS_ABSENT,
                outcome=DROPPED,
                value=result.absent.score,
                threshold=result.absent.threshold,
                detail=f"best tag: {result.absent.tag}",
            )
        about = _limits(result)
        if result.fault == OTHER_PERSON:
            bound, share = self.settings["max_other_person"], about["others_unsure"]
            return self._refused(crop, OTHER_PERSON, value=share, threshold=bound, **about)
        if result.fault:
            bound = self.settings["min_subject" if result.fault == EMPTY_MASK else "max_subject"]
            measured = {"value": result.share, "threshold": bound, "detail": result.detail}
            return self._refused(crop, result.fault, **measured, **about)
        return self._kept(crop, result)

    def _kept(self, crop: Crop, result: CutOut) -> tables.Row:
        rgba, alpha_u8 = result.rgba, result.rgba[..., 3]
        box = boxes.subject_box(alpha_u8)
        name = f"{crop.item}.png"
        digest = image_files.write_checked(
            self.scratch / name, image_files.encode_png(rgba), rgba.shape
        )
        folder = f"{FOLDERS['mask']}/{self.video}"
        return self._row(
            crop.item,
            KEPT,
            path=f"{folder}/{name}",
            sha256=digest,
            width=rgba.shape[1],
            height=rgba.shape[0],
            subject_fraction=result.share,
            edge_fraction=round(float(((alpha_u8 > 0) & (alpha_u8 < 255)).mean()), 6),
            **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)),
            refined=result.refined,
            foreground=self.settings["foreground"],
            **embeddings.described(rgba, box),
            **_limits(result),
            **crop.mended(),
            detail="; ".join(filter(None, (crop.detail, result.detail))),
        )

    def _refused(
        self, crop: Crop, reason: str, outcome: str = QUARANTINED, **fields: object
    ) -> tables.Row:
        name = Path(crop.line["path"]).name
        path = refuse_frame(name, crop.data, self.video, reason, self.dataset)
        height, width = crop.image_rgb.shape[:2]
        detail = "; ".join(filter(None, (crop.detail, str(fields.pop("detail", "")))))
        return self._row(
            crop.item,
            outcome,
            reason=reason,
            path=path,
            sha256=crop.line["sha256"],
            width=width,
            height=height,
            detail=detail,
            **{**fields, **crop.mended()},
        )

    def _unreadable(self, line: Mapping[str, str], detail: str) -> tables.Row:
        file = self.dataset / line["path"]
        path = digest = ""
        if file.is_file():
            data = file.read_bytes()
            path = refuse_frame(file.name, data, self.video, UNREADABLE_CROP, self.dataset)
            digest = sha256_bytes(data)
        return self._row(
            line["item"],
            QUARANTINED,
            reason=UNREADABLE_CROP,
            path=path,
            sha256=digest,
            detail=detail,
        )

    def _row(self, item: str, outcome: str, **fields: object) -> tables.Row:
        return tables.row(
            "mask",
            item=item,
            parent=item,
            outcome=outcome,
            **self.about,
            **fields,
        )


def _limits(result: CutOut) -> dict[str, object]:
    """What a row says of who else is in the crop, and of the person gate, if there is one."""
    parting, gated = result.parting, result.gated
    about: dict[str, object] = {
        "others": parting.others,
        "others_taken": parting.taken_share,
        "others_unsure": parting.unsure_share,
    }
    if gated is None or gated.iou is None:
        return about
    return {
        **about,
        "matte_of": gated.matte_of,
        "gate_iou": round(gated.iou, 4),
        "held_px": gated.held_px,
        "removed_px": gated.removed_px,
        "restored_px": gated.restored_px,
    }


def read_crop(dataset: Path, line: Mapping) -> Crop:
    """A crop's bytes, its RGB pixels and in them the boxes of its subject and of others.

    Raises ImageReadError if the file cannot be read or is not what its row says.
    """
    data = image_files.verified_bytes(dataset / line["path"], line["sha256"], line["path"])
    image = image_files.decode(data, name=line["path"])
    if image.ndim != 3 or image.shape[2] != 3:
        raise image_files.ImageReadError(f"{line['path']} is no RGB image: shape {image.shape}")
    return Crop(line, data, image, *people_in(line))


def run(job) -> None:
    """The job of the rule `mask` (see `ferrari.jobs.stage_job`)."""
    settings = job.settings("settings")
    digests = mask_video(
        crops_csv=job.input.crops,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
        weights=weight_files.ready(
            {
                "mask": settings,
                "detect": {"class": job.params.subject_class},
                "cache": job.config["cache"],
            },
            "mask",
        ),
        settings=settings,
        subject_class=job.params.subject_class,
        cache=job.config["cache"],
        threads=job.threads,
        review=decisions.of_job(
            job.config["dataset"], job.params.review, "mask", job.wildcards.video
        ),
        earlier=job.earlier,
    )
    seal(job, digests)
