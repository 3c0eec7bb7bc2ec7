"""Stage 4: put each cut-out on backgrounds that have nothing to do with its clip.

Reads a clip's table of cut-outs, its table of crops and the bank of scenes. For each kept cut-out
it writes `augment.variants` pictures (RGB, lossless, the subject not resampled), their masks (grey,
255 = subject), and a table with each one's recipe. A cut-out that cannot be read gives quarantined
rows, UNREADABLE_CUTOUT. If a clip would need a scene and no other clip has one, a synthetic
background takes its place, and `detail` says NO_ENVIRONMENT.
"""

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

from ferrari.backgrounds import compositing, recipes
from ferrari.backgrounds.recipes import Recipe
from ferrari.backgrounds.scene_bank import foreign
from ferrari.common.atomic_files import whole_folder
from ferrari.common.progress import LOGGER, Progress
from ferrari.images import image_files
from ferrari.ledger.columns import KEPT, QUARANTINED
from ferrari.ledger.item_ids import variant_item
from ferrari.ledger.reasons import UNREADABLE_CUTOUT
from ferrari.ledger.stages import ENVIRONMENTS_CSV
from ferrari.ledger.tables import Row, kept, narrowed, read_stage, read_table, row, write_stage
from ferrari.provenance.reuse import NOTHING, Earlier, item_digest
from ferrari.provenance.table_stamps import seal

#: The columns of a cut-out, its crop and a scene that this stage uses: variants are made again when
#: one of them changes.
READS = ("item", "path", "sha256")
CROP_READS = ("crop_x1", "crop_y1", "crop_x2", "crop_y2", "frame_width", "frame_height")
SCENE_READS = ("path", "sha256")


def augment_video(
    *,
    probe_csv: str | os.PathLike,
    masks_csv: str | os.PathLike,
    crops_csv: str | os.PathLike,
    bank_csv: str | os.PathLike,
    dataset: str | os.PathLike,
    out_csv: str | os.PathLike,
    settings: Mapping,
    seed: int,
    threads: int = 1,
    earlier: Earlier = NOTHING,
) -> dict[str, str]:
    """Write one clip's variants, masks and table; returns the digests of the cut-outs' rows.

    `settings` is the config's `augment` section. Variants in `earlier` are reused.
    """
    cv2.setNumThreads(threads)
    dataset, out_csv = Path(dataset), Path(out_csv)
    video = out_csv.stem
    cutouts = [narrowed(line, READS) for line in kept(read_stage(masks_csv, "mask"))]
    crops = {line["item"]: narrowed(line, CROP_READS) for line in read_stage(crops_csv, "crop")}
    raw = read_stage(probe_csv, "probe")[0]["sha256"]
    scenes = {
        line["environment"]: narrowed(line, SCENE_READS)
        for line in foreign(read_table(bank_csv), video, raw)
    }
    load_scene = _scene_loader(dataset, scenes)
    bank = item_digest(scenes)
    digests = {line["item"]: item_digest(line, crops[line["item"]], bank) for line in cutouts}
    with whole_folder(out_csv.with_suffix("")) as scratch:
        (scratch / "mask").mkdir()
        rows: dict[str, list[Row]] = earlier.take_all(digests, scratch)
        left = [line for line in cutouts if line["item"] not in rows]
        progress = Progress(f"{video}: variants", total=len(left) * settings["variants"])
        for line in left:
            made_now = rows.setdefault(line["item"], [])
            drawn = recipes.draw(
                seed=seed,
                video=video,
                item=line["item"],
                variants=settings["variants"],
                weights=settings["weights"],
                scale=settings["scale"],
                shift=settings["shift"],
                scenes=scenes,
            )
            blur = settings["environment_blur"]
            for made in _variants(line, crops, drawn, dataset, scratch, load_scene, blur):
                made_now.append(_placed(made, out_csv, dataset, scenes))
                progress.step()
    write_stage(out_csv, "augment", [row for item in digests for row in rows[item]])
    return digests


def _placed(made: Row, out_csv: Path, dataset: Path, scenes: Mapping[str, Mapping]) -> Row:
    """A row with the final paths of its files, and the digest of its scene."""
    if made["outcome"] == KEPT:
        place = Path(os.path.relpath(out_csv.with_suffix(""), dataset))
        made["path"] = (place / made["path"]).as_posix()
        made["mask_path"] = (place / made["mask_path"]).as_posix()
        made["environment_sha256"] = scenes.get(made["environment"], {}).get("sha256", "")
    return made


def _scene_loader(dataset: Path, scenes: Mapping[str, Mapping]) -> Callable[[str], np.ndarray]:
    """A function that reads plates of the bank (<= 640 px, 1 MB each), each once."""

    @functools.lru_cache(maxsize=64)
    def load(environment: str) -> np.ndarray:
        line = scenes[environment]
        try:
            return image_files.read_verified(dataset / line["path"], line["sha256"])
        except image_files.ImageReadError as error:
            raise image_files.ImageReadError(
                f"the scene {environment} of the bank is damaged: {error}; delete the bank's "
                f"table ({ENVIRONMENTS_CSV}), and the next run draws it anew"
            ) from error

    return load


def _variants(
    line: Mapping[str, str],
    crops: Mapping[str, Mapping[str, str]],
    drawn: list[Recipe],
    dataset: Path,
    scratch: Path,
    load_scene: Callable[[str], np.ndarray],
    blur: float,
) -> Iterator[Row]:
    """Write the variants of one cut-out and give their rows, paths relative to `scratch`."""
    try:
        cutout_rgba = read_cutout(dataset / line["path"], line["sha256"])
    except image_files.ImageReadError as error:
        LOGGER.warning("%s", error)
        for recipe in drawn:
            yield _row(line["item"], recipe, QUARANTINED, reason=UNREADABLE_CUTOUT)
        return
    cut = compositing.cut_sides(cutout_rgba[..., 3], frame_sides(crops[line["item"]]))
    for recipe in drawn:
        place = compositing.place(
            cutout_rgba.shape[1::-1], scale=recipe.scale, shift=recipe.shift, cut=cut
        )
        scene_rgb = load_scene(recipe.scene) if recipe.scene else None
        background_rgb = recipes.paint(
            recipe, (place.height, place.width), scene_rgb=scene_rgb, blur=blur
        )
        picture, mask = compositing.composite(cutout_rgba, background_rgb, place)
        yield _row(
            line["item"],
            recipe,
            KEPT,
            **_write(scratch, variant_item(line["item"], recipe.variant), picture, mask),
            width=place.width,
            height=place.height,
            offset_x=place.offset_x,
            offset_y=place.offset_y,
        )


def read_cutout(path: Path, sha256: str) -> np.ndarray:
    """A stage 3 cut-out, HxWx4 uint8; ImageReadError if damaged, replaced, or without alpha."""
    cutout = image_files.read_verified(path, sha256)
    if cutout.ndim != 3 or cutout.shape[2] != 4:
        raise image_files.ImageReadError(f"{path} has no alpha channel: shape {cutout.shape}")
    return cutout


def frame_sides(crop: Mapping[str, str]) -> frozenset[str]:
    """Sides on which a crop ends where its frame does, from its row of the crop table."""
    reached = {
        "left": float(crop["crop_x1"]) <= 0,
        "top": float(crop["crop_y1"]) <= 0,
        "right": float(crop["crop_x2"]) >= float(crop["frame_width"]),
        "bottom": float(crop["crop_y2"]) >= float(crop["frame_height"]),
    }
    return frozenset(side for side, at_edge in reached.items() if at_edge)


def _write(scratch: Path, item: str, picture: np.ndarray, mask: np.ndarray) -> dict[str, str]:
    """Write a variant and its mask losslessly, and read both back."""
    path, mask_path = f"{item}.png", f"mask/{item}.png"
    return {
        "path": path,
        "sha256": image_files.write_checked(
            scratch / path, image_files.encode_png(picture), picture.shape
        ),
        "mask_path": mask_path,
        "mask_sha256": image_files.write_checked(
            scratch / mask_path, image_files.encode_png(mask), mask.shape
        ),
    }


def _row(parent: str, recipe: Recipe, outcome: str, **fields: object) -> Row:
    """A row with the recipe's columns filled in."""
    first = recipe.colours[0] if recipe.colours else None
    return row(
        "augment",
        item=variant_item(parent, recipe.variant),
        parent=parent,
        outcome=outcome,
        variant=recipe.variant,
        kind=recipe.kind,
        wanted_kind=recipe.wanted_kind,
        colour_name=first.name if first else "",
        colour_rgb="#{:02x}{:02x}{:02x}".format(*first.rgb) if first else "",
        seed=recipe.seed,
        environment=recipe.scene or "",
        scale=recipe.scale,
        background=recipe.phrase,
        detail=recipe.detail,
        **fields,
    )


def run(job) -> None:
    """The job of the rule `augment` (see `ferrari.jobs.stage_job`)."""
    digests = augment_video(
        probe_csv=job.input.probe,
        masks_csv=job.input.masks,
        crops_csv=job.input.crops,
        bank_csv=job.input.bank,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
        settings=job.params.augment,
        seed=job.params.seed,
        threads=job.threads,
        earlier=job.earlier,
    )
    seal(job, digests)
