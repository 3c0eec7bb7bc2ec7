"""QC6: are all variants there, in the requested proportions, with the subject's pixels unchanged?

Opens each variant and its mask, and the cut-out and the crop that it came from. Where the cut-out
is opaque, the variant must hold exactly its pixels; the mask must be the cut-out's alpha; where the
cut-out is transparent, nothing of the clip's own scene may be visible. In the same pass, a balanced
sample of the variants is measured for traces of the clip (see `leak_checks`).
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ferrari.ledger.stages import FOLDERS
from ferrari.qc import (
    background_leak,
    leak_checks,
    reopened_images,
    seen_before,
    stage_checks,
    stage_tables,
)
from ferrari.qc.reopened_images import Opened
from ferrari.reports import charts, thumbnails
from ferrari.reports.checks import WARN, Check, none_of
from ferrari.reports.page import Report, ReportFiles, publish

NAME = "qc6_augmentation_summary"
FOLDER, CROPS, MASKS = FOLDERS["augment"], FOLDERS["crop"], "mask"
SAMPLES = 16
MAX_SCENE_SHARE = 0.02  # see QC5
CONFIDENCE = 0.999  # of the interval around a share asked for, where images are few
_COLUMNS = (
    *("parent", "video", "path", "sha256", "mask_path", "mask_sha256"),
    *("width", "height", "offset_x", "offset_y", "probed"),
)


def report_augmented(
    *,
    tables: Sequence[str],
    previous: Sequence[str],
    dataset: str,
    qc_settings: dict,
    augment_settings: dict,
    out: ReportFiles,
) -> None:
    """Write QC6 from the augment `tables` and the mask tables (`previous`)."""
    root = Path(dataset)
    rows, cutouts = stage_tables.load(tables, "augment"), stage_tables.load(previous, "mask")
    ids = stage_tables.videos_of(previous)
    kept = stage_tables.kept(rows).sort_values(["parent", "variant"], kind="stable")
    drawn = background_leak.sample(kept)
    kept = kept.assign(probed=kept.index.isin(drawn.index))
    seen = reopen_variants(root, kept, stage_tables.paths_of(cutouts, kept["parent"]))
    fringes = leak_checks.fringes_of_clips(seen, drawn)
    refused = stage_tables.refused(rows)
    cutout_paths = stage_tables.paths_of(cutouts, refused["parent"])
    files = pd.concat([kept["path"], kept["mask_path"]]).to_frame("path")
    videos = leak_checks.with_fringes(per_clip(rows, ids), fringes)
    publish(
        Report(
            name=NAME,
            checks=[
                *stage_checks.folder_checks(root, FOLDER, files, ids, subfolder=MASKS),
                *reopened_images.readable_checks("variants", kept, seen),
                variants_check(rows, augment_settings["variants"]),
                *kind_checks(rows, augment_settings["weights"], qc_settings["kind_tolerance"]),
                *pixel_checks(kept, seen),
                *recipe_checks(kept),
                *leak_checks.checks(kept, seen, drawn, fringes, qc_settings),
                *stage_checks.ledger_checks("augment", rows, cutouts),
            ],
            counts=stage_tables.counts(rows, ids, "Images kept"),
            videos=videos,
            charts=pictures(rows, videos, augment_settings["weights"], qc_settings),
            refused=thumbnails.of_rows(dataset, refused, qc_settings["thumbnails"], cutout_paths),
            refused_total=len(refused),
            refused_hint="The picture is the cut-out.",
            samples=thumbnails.of_rows(
                dataset, kept.assign(reason=kept["kind"], detail=kept["background"]), SAMPLES
            ),
        ),
        out,
    )


def reopen_variants(root: Path, kept: pd.DataFrame, cutouts: Mapping[str, str]) -> pd.DataFrame:
    """The results of `look` for each of `kept` (sorted by parent); a cut-out and its crop are read
    once, and images seen before are not opened again.
    """
    variants = list(kept[list(_COLUMNS)].itertuples(index=False, name="Variant"))

    def sources(one) -> tuple[str, str]:
        return cutouts.get(one.parent, ""), f"{CROPS}/{one.video}/{one.parent}.png"

    def keys() -> list[str]:
        return [
            seen_before.key(
                root, tuple(one), [one.path, one.mask_path, *filter(None, sources(one))]
            )
            for one in variants
        ]

    def opened(fresh: Sequence[int] | None) -> list[dict]:
        some = variants if fresh is None else [variants[at] for at in fresh]
        groups = [list(rows) for _, rows in itertools.groupby(some, lambda one: one.parent)]
        found = reopened_images.in_threads(
            lambda rows: look_all(root, *sources(rows[0]), rows),
            groups,
            "cut-outs with their variants",
            total=len(groups),
        )
        return [one for group in found for one in group]

    flat = seen_before.through("variants", keys, opened)
    names = (
        "fault",
        "sha_ok",
        "sizes_ok",
        "subject_ok",
        "mask_ok",
        "scene_share",
        *leak_checks.MEASURED,
    )
    return pd.DataFrame(flat, index=kept.index, columns=list(names))


def look_all(root: Path, cutout_path: str, crop_path: str, rows: Sequence) -> list[dict]:
    """`look` at all variants of one cut-out."""
    cutout, crop = (
        reopened_images.reopen(root, cutout_path),
        reopened_images.reopen(root, crop_path),
    )
    return [
        look(
            reopened_images.reopen(root, row.path),
            reopened_images.reopen(root, row.mask_path),
            cutout,
            crop,
            row,
        )
        for row in rows
    ]


def look(variant: Opened, mask: Opened, cutout: Opened, crop: Opened, row) -> dict:
    """fault, sha_ok, sizes_ok, subject_ok, mask_ok, scene_share of one variant.

    Of one that is `probed`, also `backdrop` and `fringe`; None where they cannot be measured.
    """
    seen = {
        "fault": variant.fault or mask.fault,
        "sha_ok": variant.sha256 == row.sha256 and mask.sha256 == row.mask_sha256,
        "sizes_ok": variant.mode == "RGB"
        and mask.mode == "L"
        and variant.size == mask.size == (row.width, row.height),
        "subject_ok": False,
        "mask_ok": False,
        "scene_share": np.nan,
        **dict.fromkeys(leak_checks.MEASURED),
    }
    if not seen["sizes_ok"] or cutout.mode != "RGBA":
        return seen
    alpha_u8 = cutout.pixels[:, :, 3]
    height, width = alpha_u8.shape
    left, top = int(row.offset_x), int(row.offset_y)
    window = (slice(top, top + height), slice(left, left + width))
    picture = variant.pixels[window] if min(left, top) >= 0 else variant.pixels[:0]
    if picture.shape[:2] != alpha_u8.shape:
        return seen  # the cut-out does not lie on the canvas
    solid = alpha_u8 == 255
    seen["subject_ok"] = bool((picture[solid] == cutout.pixels[:, :, :3][solid]).all())
    inside = mask.pixels[window]
    seen["mask_ok"] = bool((inside == alpha_u8).all()) and int(
        mask.pixels.sum(dtype=np.int64)
    ) == int(alpha_u8.sum(dtype=np.int64))
    if crop.mode == "RGB" and crop.size == cutout.size:
        seen["scene_share"] = reopened_images.scene_share(picture, crop.pixels, alpha_u8 == 0)
        if row.probed:
            seen |= leak_checks.measure(variant.pixels, mask.pixels, window, crop.pixels)
    return seen


def variants_check(rows: pd.DataFrame, variants: int) -> Check:
    """Each cut-out has exactly k variants, 0 to k-1."""
    grouped = rows.groupby("parent")["variant"]
    sound = (grouped.size() == variants) & (grouped.nunique() == variants)
    sound &= (grouped.min() == 0) & (grouped.max() == variants - 1)
    return none_of(
        "variants_complete",
        sound.index[~sound],
        len(sound),
        "Each cut-out has as many rows as augment.variants asks, numbered from 0.",
        bound=f"{variants} a cut-out",
    )


def allowed_deviation(share: float, images: int, tolerance: float) -> float:
    """How far the share of a kind may lie from `share`: the tolerance, or chance if that is wider.

    Chance is half the width of the normal approximation's CONFIDENCE interval of a binomial
    share, plus half an image (continuity correction).
    """
    if images == 0:
        return 1.0
    from statistics import NormalDist

    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    chance = z * (share * (1 - share) / images) ** 0.5 + 0.5 / images
    return max(tolerance, chance)


def shares_asked(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights as shares that sum to 1."""
    total = sum(weights.values())
    return {kind: weight / total for kind, weight in weights.items()}


def kind_checks(rows: pd.DataFrame, weights: Mapping[str, float], tolerance: float) -> list[Check]:
    """Kinds drawn in proportion; kinds turned off never drawn; kinds replaced, counted."""
    drawn = rows[rows["wanted_kind"] != ""]
    images = len(drawn)
    asked = shares_asked(weights)
    got = drawn["wanted_kind"].value_counts()
    off, figures = [], []
    for kind, share in asked.items():
        away = abs(got.get(kind, 0) / images - share) if images else 0.0
        figures.append((away, kind, share, got.get(kind, 0) / images if images else 0.0))
        if share and away > allowed_deviation(share, images, tolerance):
            off.append(kind)
    away, kind, share, had = max(figures)
    unasked = drawn["item"][~drawn["wanted_kind"].map(lambda k: asked.get(k, 0) > 0).astype(bool)]
    replaced = drawn["item"][(drawn["kind"] != drawn["wanted_kind"]) & (drawn["outcome"] == "kept")]
    widest = max(allowed_deviation(s, images, tolerance) for s in asked.values())
    return [
        none_of(
            "kinds_in_proportion",
            off,
            len(asked),
            "The drawn share of each kind of background is near its share of augment.weights. In a "
            f"small set chance alone exceeds qc.kind_tolerance ({tolerance:.0%}); there the bound "
            f"is the {CONFIDENCE:.1%} interval of chance.",
            bound=f"within {widest:.1%}",
            figure=f"{kind} {had:.1%} of {share:.1%} asked" if images else "no image",
        ),
        none_of(
            "no_kind_that_is_off",
            unasked,
            images,
            "No image has a kind of background whose weight is 0.",
        ),
        none_of(
            "kinds_replaced",
            replaced,
            images,
            "Images that got another kind of background than the one drawn, because no other clip "
            "has a scene to lend. More clips, or pictures in augment.environment_folder, help.",
            otherwise=WARN,
        ),
    ]


def pixel_checks(kept: pd.DataFrame, seen: pd.DataFrame) -> list[Check]:
    """Sizes and modes, the subject's pixels, the mask, and the clip's own scene."""
    items, total = kept["item"], len(kept)
    share = seen["scene_share"].astype(float)
    shows = (share > MAX_SCENE_SHARE).to_numpy(dtype=bool)
    own = [video in env for video, env in zip(kept["video"], kept["environment"], strict=True)]
    return [
        none_of(
            "sizes_and_modes",
            items[~reopened_images.flags(seen, "sizes_ok")],
            total,
            "Each image is RGB, its mask grey, both of the size in their row.",
        ),
        none_of(
            "subject_pixels_unchanged",
            items[~reopened_images.flags(seen, "subject_ok")],
            total,
            "Where the cut-out is opaque, the image holds exactly its pixels, at the recorded "
            "place.",
        ),
        none_of(
            "masks_equal_alpha",
            items[~reopened_images.flags(seen, "mask_ok")],
            total,
            "Each mask is the cut-out's alpha at the recorded place, and 0 elsewhere.",
        ),
        none_of(
            "no_scene_of_its_own",
            items[np.array(own, dtype=bool)],
            total,
            "No image has an environment taken from its own clip.",
        ),
        none_of(
            "no_scene_pixels",
            items[shows],
            total,
            "Images that show the texture of their own crop where the cut-out is transparent.",
            bound=f"at most {MAX_SCENE_SHARE:.0%} of those pixels",
            figure=f"highest {share.max():.2%}" if share.notna().any() else "no image",
        ),
    ]


def recipe_checks(kept: pd.DataFrame) -> list[Check]:
    """Everything that is needed to paint an image again is in its row."""
    texts = ["kind", "wanted_kind", "seed", "background", "mask_path", "mask_sha256"]
    blank = (kept[texts] == "").any(axis=1)
    blank |= (
        kept[["variant", "width", "height", "offset_x", "offset_y", "scale"]].isna().any(axis=1)
    )
    blank |= (kept["kind"] == "flat") & (kept["colour_name"] == "")
    scene = kept["kind"] == "environment"
    blank |= scene & ((kept["environment"] == "") | (kept["environment_sha256"] == ""))
    return [
        none_of(
            "recipes_complete",
            kept["item"][blank],
            len(kept),
            "Each row names kind, seed, scale, place and words; a flat one its colour, an "
            "environment its scene with the SHA-256.",
        )
    ]


def per_clip(rows: pd.DataFrame, ids: Sequence[str]) -> pd.DataFrame:
    """Counts, cut-outs, and images of each kind, for each clip."""
    table = stage_tables.per_video(rows, ids).set_index("video")
    table["cutouts"] = rows.groupby("video")["parent"].nunique().reindex(ids, fill_value=0)
    kept = stage_tables.kept(rows)
    kinds = pd.crosstab(kept["video"], kept["kind"]).reindex(ids, fill_value=0)
    for kind in sorted(kinds.columns):
        table[str(kind)] = kinds[kind]
    return table.rename_axis("video").reset_index()


def pictures(
    rows: pd.DataFrame, videos: pd.DataFrame, weights: Mapping[str, float], qc_settings: dict
) -> list[charts.Chart]:
    """Kinds asked and got, colours, scale, place, canvas size, clips."""
    kept = stage_tables.kept(rows)
    asked = shares_asked(weights)
    drawn = rows["wanted_kind"][rows["wanted_kind"] != ""]
    got = drawn.value_counts(normalize=True).to_dict()
    slack = max(
        allowed_deviation(share, len(drawn), qc_settings["kind_tolerance"])
        for share in asked.values()
    )
    known = kept[kept["colour_name"] != ""]
    swatches = dict(zip(known["colour_name"], known["colour_rgb"], strict=True))
    return [
        charts.bars(stage_tables.reasons(rows), "Outcomes", note="Kept, or why not."),
        charts.asked_and_got(
            asked,
            got,
            slack,
            "Kinds of background",
            note="Bars: drawn. Ticks: asked for, with the range that passes.",
        ),
        charts.bars(
            known["colour_name"].value_counts(),
            "Colours",
            note="The first colour of each recipe that has one.",
            colours=swatches,
            count_title="images",
        ),
        charts.histogram(
            kept["scale"], "Scale", "subject's share of the canvas's side", count_title="images"
        ),
        charts.density(
            kept["width"], kept["height"], "Size of the images", "width, px", "height, px"
        ),
        charts.stacked(
            videos.set_index("video")[[k for k in sorted(asked) if k in videos]],
            "Kinds by clip",
            note="The 30 clips with the most images.",
        ),
    ]


def run(job) -> None:
    """The job of the report (see `make_report`)."""
    report_augmented(
        tables=job.input.tables,
        previous=job.params.previous,
        dataset=job.config["dataset"],
        qc_settings=job.params.qc_settings,
        augment_settings=job.params.augment_settings,
        out=ReportFiles.of(job.output),
    )
