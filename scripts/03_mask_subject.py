"""Stage 3: cut the subject out of each crop.

Reads one video's crop table, writes one RGBA cut-out a kept crop (PNG, straight alpha, at crop
size) and a table with a row for each. Which crops are refused: EMPTY_MASK and FULL_MASK (the
subject's share of the crop is out of bounds), SUBJECT_CLASS_ABSENT (segmenter `ram`),
UNREADABLE_CROP. They are copied to `bad_frames/<video>/<REASON>/`.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.lib import images, ledger, mattes, models, segmenters
from scripts.lib.batching import halving
from scripts.lib.files import whole_folder
from scripts.lib.logs import Progress
from scripts.lib.refusals import clear_frames, refuse_frame

EMPTY, FULL = "EMPTY_MASK", "FULL_MASK"
ABSENT, UNREADABLE = "SUBJECT_CLASS_ABSENT", "UNREADABLE_CROP"
REASONS = (EMPTY, FULL, ABSENT, UNREADABLE)


@dataclass
class Crop:
    """A crop on its way through the stage: its row, its bytes, its pixels, the subject's box."""

    line: Mapping[str, str]
    data: bytes
    image_rgb: np.ndarray
    box_xyxy: tuple[float, float, float, float]
    detail: str = ""

    @property
    def item(self) -> str:
        return self.line["item"]


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
) -> None:
    """Mask every kept crop of one video; `out_csv` is `<stage folder>/<video>.csv`.

    `weights` are the files of `models.for_segmenter(settings)`, in that order; `settings` is the
    `mask` part of the configuration; `subject_class` is what a `yolo-seg` network calls the subject
    (`detect.class`). No network is loaded if no crop was kept.
    """
    crops = ledger.kept(ledger.read_stage(crops_csv, "crop"))
    out_csv = Path(out_csv)
    video = out_csv.stem
    clear_frames(video, REASONS, dataset)
    rows: list[ledger.Row] = []
    with whole_folder(out_csv.with_suffix("")) as scratch:
        if crops:
            segmenter = _segmenter(weights, settings, subject_class, cache, threads)
            stage = Stage(segmenter, settings, Path(dataset), video, scratch)
            progress = Progress(f"{video}: crops masked", len(crops))
            for start in range(0, len(crops), settings["batch"]):
                batch = crops[start : start + settings["batch"]]
                rows.extend(stage.rows(batch))
                progress.step(len(batch))
    ledger.write_stage(out_csv, "mask", rows)


def _segmenter(
    weights: str | os.PathLike | Sequence[str | os.PathLike],
    settings: Mapping,
    subject_class: str,
    cache: str | os.PathLike,
    threads: int,
) -> segmenters.Segmenter:
    chosen = models.for_segmenter(settings, cache)[0]
    several = not isinstance(weights, str | os.PathLike)
    paths = list(weights) if several else [weights]
    return segmenters.load(
        settings["segmenter"],
        paths[0] if len(paths) == 1 else paths,
        settings["device"],
        entry=chosen.entry,
        pins=[settings.get("weights_sha256")],
        sha256=chosen.sha256,
        threads=threads,
        cache=cache,
        class_name=subject_class,
        image_size=settings["image_size"],
        ram_tags=settings["ram_tags"],
        ram_threshold=settings["ram_threshold"],
    )


@dataclass
class Stage:
    """What the rows of one video share."""

    segmenter: segmenters.Segmenter
    settings: Mapping
    dataset: Path
    video: str
    scratch: Path

    def rows(self, lines: Sequence[Mapping[str, str]]) -> Iterator[ledger.Row]:
        """One row for each crop of a batch, in its order; writes the cut-outs of those kept."""
        done: dict[str, ledger.Row] = {}
        crops = []
        for line in lines:
            try:
                crops.append(read_crop(self.dataset, line))
            except (images.ImageReadError, OSError) as error:
                done[line["item"]] = self._unreadable(line, str(error))
        for crop in list(crops):
            if absent := self._absent(crop):
                crops.remove(crop)
                done[crop.item] = absent
        alphas, remark = halving(self._alphas, crops, "crops")
        for crop, alpha in zip(crops, alphas, strict=True):
            crop.detail = remark
            done[crop.item] = self._masked(crop, alpha)
        return (done[line["item"]] for line in lines)

    def _alphas(self, crops: Sequence[Crop]) -> list[np.ndarray]:
        return self.segmenter.alpha([c.image_rgb for c in crops], [c.box_xyxy for c in crops])

    def _absent(self, crop: Crop) -> ledger.Row | None:
        if self.segmenter.presence is None:
            return None
        (verdict,) = self.segmenter.presence([crop.image_rgb])
        if verdict.present:
            return None
        return self._refused(
            crop,
            ABSENT,
            outcome=ledger.DROPPED,
            value=round(verdict.score, 6),
            threshold=verdict.threshold,
            detail=f"best tag: {verdict.tag}",
        )

    def _masked(self, crop: Crop, alpha: np.ndarray) -> ledger.Row:
        share = float(alpha.mean())
        lowest, highest = self.settings["min_subject"], self.settings["max_subject"]
        if share < lowest or mattes.subject_box(alpha) is None:
            return self._refused(crop, EMPTY, value=round(share, 6), threshold=lowest)
        if share > highest:
            return self._refused(crop, FULL, value=round(share, 6), threshold=highest)
        refinement = mattes.Refinement(alpha, False)
        if self.settings["refine"]:
            refinement = mattes.refine_alpha(crop.image_rgb, alpha, self.settings["edge_px"])
        cutout = mattes.cut_out(crop.image_rgb, refinement.alpha, self.settings["foreground"])
        return self._kept(crop, cutout, refinement)

    def _kept(self, crop: Crop, rgba: np.ndarray, refinement: mattes.Refinement) -> ledger.Row:
        alpha_u8 = rgba[..., 3]
        box = mattes.subject_box(alpha_u8)
        if box is None:  # the refinement found nothing where the net had seen something
            share = round(float(alpha_u8.mean()) / 255, 6)
            return self._refused(crop, EMPTY, value=share, threshold=self.settings["min_subject"])
        name = f"{crop.item}.png"
        digest = images.write_checked(self.scratch / name, images.encode_png(rgba), rgba.shape)
        folder = f"03_masked_subjects/{self.video}"
        return self._row(
            crop.item,
            ledger.KEPT,
            path=f"{folder}/{name}",
            sha256=digest,
            width=rgba.shape[1],
            height=rgba.shape[0],
            subject_fraction=round(float(alpha_u8.mean()) / 255, 6),
            edge_fraction=round(float(((alpha_u8 > 0) & (alpha_u8 < 255)).mean()), 6),
            **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)),
            refined=refinement.refined,
            foreground=self.settings["foreground"],
            detail="; ".join(filter(None, (crop.detail, refinement.detail))),
        )

    def _refused(
        self, crop: Crop, reason: str, outcome: str = ledger.QUARANTINED, **fields: object
    ) -> ledger.Row:
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
            **fields,
        )

    def _unreadable(self, line: Mapping[str, str], detail: str) -> ledger.Row:
        file = self.dataset / line["path"]
        path = ""
        if file.is_file():
            path = refuse_frame(file.name, file.read_bytes(), self.video, UNREADABLE, self.dataset)
        detail = detail.replace(f"{self.dataset}{os.sep}", "")
        return self._row(
            line["item"], ledger.QUARANTINED, reason=UNREADABLE, path=path, detail=detail
        )

    def _row(self, item: str, outcome: str, **fields: object) -> ledger.Row:
        return ledger.row(
            "mask",
            item=item,
            parent=item,
            outcome=outcome,
            segmenter=self.segmenter.name,
            weights_sha256=self.segmenter.weights_sha256,
            device=self.segmenter.device,
            **fields,
        )


def read_crop(dataset: Path, line: Mapping[str, str]) -> Crop:
    """A crop's bytes, its RGB pixels and its subject's box in its own pixels.

    Raises ImageReadError or OSError if the file cannot be read.
    """
    data = (dataset / line["path"]).read_bytes()
    image = images.decode(data, name=line["path"])
    if image.ndim != 3 or image.shape[2] != 3:
        raise images.ImageReadError(f"{line['path']} is no RGB image: shape {image.shape}")
    left, top = float(line["crop_x1"]), float(line["crop_y1"])
    x1, y1, x2, y2 = (float(line[name]) for name in ("x1", "y1", "x2", "y2"))
    return Crop(line, data, image, (x1 - left, y1 - top, x2 - left, y2 - top))


if __name__ == "__main__":
    from scripts.lib.logs import send_output_to
    from scripts.lib.stamps import seal

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    mask_video(
        crops_csv=job.input.crops,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
        weights=models.ready(job.config, "mask"),
        settings=job.config["mask"],
        subject_class=job.params.subject_class,
        cache=job.config["cache"],
        threads=job.threads,
    )
    seal(job)
