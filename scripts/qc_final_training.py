"""QC7: is every final image sound, and does every caption describe its picture correctly?

Opens each final image and its mask again; checks each caption by `caption_rules.check_caption` and
against the recipe in the augment table (`caption_checks`); says what happened to captions by hand;
checks that the ledger balances to the end.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ferrari.captions.clip_tokens import MAX_CLIP_TOKENS
from ferrari.captions.overrides import Override, all_of
from ferrari.qc import (
    caption_checks,
    decision_checks,
    reopened_images,
    stage_checks,
    stage_tables,
    way_to_image,
)
from ferrari.qc.coverage_table import coverage_table
from ferrari.reports import charts, thumbnails
from ferrari.reports.checks import FAIL, PASS, SOME_IMAGE, WARN, Check, none_of
from ferrari.reports.page import Report, ReportFiles, Table, publish
from ferrari.review import decisions, effects

NAME = "qc7_final_summary"
SAMPLES = 16
REPEATS_SHOWN = 25
NOBODY = decisions.Review()
_RECIPE = ("kind", "background")


def report_final(
    *,
    tables: Sequence[str],
    previous: Sequence[str],
    final: str,
    dataset: str,
    qc_settings: dict,
    subject_settings: dict,
    caption_settings: dict,
    resolution: int,
    overrides: Mapping[str, Override] | None = None,
    review: decisions.Review = NOBODY,
    out: ReportFiles,
) -> None:
    """Write QC7 from the caption `tables`, the augment tables (`previous`) and `final`.csv.

    `overrides` are the captions that a person wrote, by item; `review` is what one decided.
    """
    root = Path(dataset)
    captions = stage_tables.load(tables, "caption", text=("value",))
    recipes = stage_tables.load(previous, "augment")
    chosen = stage_tables.load([final], "final")
    ids = stage_tables.videos_of(previous)
    kept, written = stage_tables.kept(chosen), stage_tables.kept(captions)
    columns = ("path", "sha256", "mask_path", "mask_sha256", "width", "height")
    seen = reopened_images.inspect(root, kept, columns, look, "final images opened again")
    lengths = caption_checks.token_counts(kept["caption"])
    videos = per_clip(captions, chosen, ids)
    refused = stage_tables.refused(chosen)
    decided = effects.of_dataset(dataset, review)
    refused_paths = stage_tables.paths_of(recipes, refused["parent"])
    publish(
        Report(
            name=NAME,
            checks=[
                *image_checks(kept, seen),
                size_check(kept, resolution, qc_settings["min_resolution"]),
                *caption_checks.checks(written, recipes, subject_settings, caption_settings),
                *caption_checks.override_checks(captions, recipes, overrides or {}),
                *decision_checks.checks(decided),
                *agreement_checks(captions, recipes, kept),
                *stage_checks.ledger_checks("caption", captions, recipes),
                *stage_checks.ledger_checks("final", chosen, captions),
            ],
            counts=counts(captions, chosen, kept) | decision_checks.counts(decided),
            videos=videos,
            charts=pictures(captions, chosen, kept, lengths, videos),
            tables=[*described(captions, chosen, kept), *decision_checks.listed(decided)],
            galleries=way_to_image.gallery(root, kept),
            refused=thumbnails.of_rows(dataset, refused, qc_settings["thumbnails"], refused_paths),
            refused_total=len(refused),
            refused_hint="Refused between captions and the final dataset.",
            samples=thumbnails.of_rows(dataset, with_captions(kept), SAMPLES),
        ),
        out,
    )


def look(dataset: Path, cells: tuple) -> dict:
    """Open one final image and its mask: fault, sha_ok, sizes_ok."""
    path, sha256, mask_path, mask_sha256, width, height = cells
    image, mask = reopened_images.reopen(dataset, path), reopened_images.reopen(dataset, mask_path)
    return {
        "fault": image.fault or mask.fault,
        "sha_ok": image.sha256 == sha256 and mask.sha256 == mask_sha256,
        "sizes_ok": image.mode == "RGB"
        and mask.mode == "L"
        and image.size == mask.size == (width, height),
    }


def image_checks(kept: pd.DataFrame, seen: pd.DataFrame) -> list[Check]:
    """There are images; they decode, are unchanged, RGB, and as large as their masks."""
    return [
        Check(
            SOME_IMAGE,
            PASS if len(kept) else FAIL,
            f"{len(kept):,}",
            "at least 1",
            "The dataset has images. If not, the earlier reports say where they were lost.",
        ),
        *reopened_images.readable_checks("images", kept, seen),
        none_of(
            "images_rgb_and_masks_fit",
            kept["item"][~reopened_images.flags(seen, "sizes_ok")],
            len(kept),
            "Each image is RGB, its mask grey, both of the size in their row.",
        ),
    ]


def size_check(kept: pd.DataFrame, resolution: int, least: float) -> Check:
    """Are the images large enough for the resolution that they are to be trained at?

    An image's size is the root of its pixels, as trainers sort them into buckets. Some smaller ones
    are in every set; half of them under `least` of `resolution` is what a trainer would regret.
    """
    sizes = np.sqrt(kept["width"] * kept["height"])
    small = int((sizes < resolution).sum())
    median = float(sizes.median()) if len(sizes) else float(resolution)
    middle = (
        f"{kept['width'].median():.0f} x {kept['height'].median():.0f}" if len(kept) else "none"
    )
    fits = max(64, int(median) // 64 * 64)
    return Check(
        "image_size",
        WARN if median < least * resolution else PASS,
        f"{small:,} of {len(kept):,} have fewer pixels than {resolution} x {resolution}; "
        f"median {middle} px",
        f"median at least {least * resolution:.0f} x {least * resolution:.0f}",
        f"package.resolution is {resolution}. Trainers enlarge smaller images, or train on them as "
        f"small as they are. Set package.resolution: {fits}, which the median image fills, or film "
        "in a higher resolution or from closer. Images are cut from the frames and never enlarged.",
    )


def agreement_checks(
    captions: pd.DataFrame, recipes: pd.DataFrame, final: pd.DataFrame
) -> list[Check]:
    """Caption rows say what the recipe says, final rows what the caption rows say."""
    written = stage_tables.kept(captions)
    return [
        none_of(
            "captions_agree_with_recipes",
            _differing(written, recipes, (*_RECIPE, "mask_sha256", "sha256")),
            len(written),
            "Each caption row has the kind, background words and files of its augmented image.",
        ),
        none_of(
            "final_agrees_with_captions",
            _differing(final, captions, ("caption", *_RECIPE, "framing", "mask_sha256", "sha256")),
            len(final),
            "Each final row has the caption and the files of its caption row.",
        ),
    ]


def _differing(rows: pd.DataFrame, source: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Items whose row differs from the row of their parent in `source`, or has none."""
    facts = source.drop_duplicates("item").set_index("item")[list(columns)]
    there = facts.reindex(rows["parent"])
    differs = (there.to_numpy() != rows[list(columns)].to_numpy()).any(axis=1)
    return rows["item"][differs]


def described(captions: pd.DataFrame, chosen: pd.DataFrame, kept: pd.DataFrame) -> list[Table]:
    """What the set covers, its captions, and those that a person wrote."""
    return [coverage_table(chosen), repeated(kept), *by_hand(captions)]


def repeated(kept: pd.DataFrame) -> Table:
    """The captions that most images share."""
    counts = kept["caption"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    rows = counts.head(REPEATS_SHOWN).rename_axis("caption").rename("images").reset_index()
    return Table("Captions", f"The {len(rows)} captions with the most images.", rows)


def by_hand(captions: pd.DataFrame) -> list[Table]:
    """The captions that a person wrote, if there are any."""
    rows = caption_checks.by_hand(captions)
    note = "Captions that a person's took the place of; refused ones first."
    return [Table("Captions by hand", note, rows)] if len(rows) else []


def with_captions(kept: pd.DataFrame) -> pd.DataFrame:
    """Final rows with the caption where thumbnails show a detail."""
    return kept.assign(detail=kept["caption"], reason=kept["kind"])


def counts(captions: pd.DataFrame, chosen: pd.DataFrame, kept: pd.DataFrame) -> dict[str, object]:
    """The figures at the top of the page."""
    return {
        "Images captioned": len(stage_tables.kept(captions)),
        "Final images": len(kept),
        "Refused": len(chosen) - len(kept),
        "Videos with images": kept["video"].nunique(),
        "Different captions": kept["caption"].nunique(),
        "Captions by hand": int(
            (stage_tables.kept(captions)["caption_source"] == "override").sum()
        ),
    }


def per_clip(captions: pd.DataFrame, chosen: pd.DataFrame, ids: Sequence[str]) -> pd.DataFrame:
    """Counts of captions and, as final_..., of final rows, for each clip."""
    table = stage_tables.per_video(captions, ids)
    final = stage_tables.per_video(chosen, ids).drop(columns="video").add_prefix("final_")
    table = pd.concat([table, final], axis=1)
    different = stage_tables.kept(chosen).groupby("video")["caption"].nunique()
    table["different_captions"] = different.reindex(ids, fill_value=0).to_numpy()
    return table


def pictures(
    captions: pd.DataFrame,
    chosen: pd.DataFrame,
    kept: pd.DataFrame,
    lengths: pd.Series,
    videos: pd.DataFrame,
) -> list[charts.Chart]:
    """Kinds and framings, caption lengths, images per clip, sizes, outcomes."""
    outcomes = stage_tables.reasons(pd.concat([stage_tables.refused(captions), chosen]))
    return [
        charts.stacked(
            pd.crosstab(kept["framing"], kept["kind"]),
            "Framing and background",
            note="Click a kind in the legend to single it out.",
        ),
        charts.bars(
            kept["facing"].where(kept["facing"] != "", "(not said)").value_counts(),
            "Facing",
            note="Which way the subject looks, where it is known.",
            count_title="images",
        ),
        charts.histogram(
            lengths,
            "Length of the captions",
            "CLIP tokens",
            bounds=[MAX_CLIP_TOKENS],
            limits=(0, max(80, lengths.max() if len(lengths) else 0)),
            count_title="images",
        ),
        charts.histogram(
            videos["final_kept"], "Images per clip", "final images", count_title="clips"
        ),
        charts.density(
            kept["width"], kept["height"], "Size of the images", "width, px", "height, px"
        ),
        charts.bars(outcomes, "Outcomes", note="Kept, or why not, captions and final rows."),
    ]


def run(job) -> None:
    """The job of the report (see `make_report`)."""
    report_final(
        tables=job.input.tables,
        previous=job.params.previous,
        final=job.input.final,
        dataset=job.config["dataset"],
        qc_settings=job.params.qc_settings,
        subject_settings=job.params.subject_settings,
        caption_settings=job.params.caption_settings,
        resolution=job.params.resolution,
        overrides=all_of(job.config, job.params.overrides),
        review=decisions.load(job.config["dataset"]) if job.params.review else NOBODY,
        out=ReportFiles.of(job.output),
    )
