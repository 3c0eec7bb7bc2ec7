"""QC8: how similar are the images of the final dataset, and did selection and splits work?

Uses the cut-outs' embeddings; the checks are in `qc.selection_checks`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ferrari.common.counts import number_of
from ferrari.common.visible_text import shown
from ferrari.curation.splits import VALIDATION
from ferrari.ledger import tables
from ferrari.qc import looks_apart, selection_checks, similarity, stage_tables
from ferrari.qc.coverage_table import LEFT_OUT
from ferrari.qc.looks_apart import Groups
from ferrari.qc.similarity import CutOuts, Pairs
from ferrari.reports import charts, thumbnails
from ferrari.reports.page import Gallery, Report, ReportFiles, Table, publish

NAME = "qc8_similarity"
CLUSTERS, PAIRS_SHOWN, CLIPS_NAMED = 12, 12, 6


def report_similarity(
    *,
    final: str,
    masks: Sequence[str],
    dataset: str,
    qc_settings: Mapping,
    curate_settings: Mapping,
    out: ReportFiles,
) -> None:
    """Write QC8 from the final table and the mask tables."""
    chosen, cut = stage_tables.load([final], "final"), stage_tables.load(masks, "mask")
    chosen = chosen.assign(crop=similarity.crops_of(chosen["item"]))
    kept = stage_tables.kept(chosen)
    cutouts = similarity.of_items(stage_tables.kept(cut), kept["crop"])
    sides = selection_checks.side_labels(cutouts, kept)
    pairs = similarity.pairs_across(cutouts, curate_settings["alike"], sides)
    near = similarity.neighbour_distances(cutouts)
    groups = similarity.clusters(cutouts, CLUSTERS) if len(cutouts) else None
    apart = looks_apart.find(cutouts, qc_settings["two_people"])
    gone = with_neighbours(chosen[chosen["reason"].isin(LEFT_OUT)], final)
    paths = dict(zip(cut["item"], cut["path"], strict=True))
    publish(
        Report(
            name=NAME,
            checks=[
                *selection_checks.embedding_checks(Path(dataset), cutouts, kept),
                looks_apart.check(apart, qc_settings["two_people"]),
                *selection_checks.likeness_checks(kept, cutouts, pairs, curate_settings),
                *selection_checks.split_checks(kept, pairs, curate_settings),
                *selection_checks.selection_checks(chosen, gone, cut, cutouts, curate_settings),
            ],
            counts=counts(chosen, kept, cutouts, pairs, near),
            videos=per_clip(chosen, near, stage_tables.videos_of(masks)),
            charts=pictures(cutouts, near, curate_settings),
            tables=[*group_table(apart), pair_table(pairs)],
            galleries=[
                *group_pictures(Path(dataset), apart, paths),
                *galleries(Path(dataset), groups, pairs, paths),
            ],
            refused=thumbnails.of_rows(dataset, in_words(gone), qc_settings["thumbnails"]),
            refused_total=len(gone),
            refused_hint="Left out by selection, each with the nearest image that stayed.",
        ),
        out,
    )


def with_neighbours(gone: pd.DataFrame, final: str) -> pd.DataFrame:
    """Left-out rows with the column `neighbour`: the cell `value`, which `load` reads as a
    figure.
    """
    lines = tables.iter_stage(final, "final")
    named = {line["item"]: line["value"] for line in lines if line["reason"] in LEFT_OUT}
    return gone.assign(neighbour=gone["item"].map(named).astype("str"))


def counts(chosen, kept, cutouts: CutOuts, pairs: Pairs, near: pd.DataFrame) -> dict[str, object]:
    """The figures at the top of the page."""
    middle = round(float(near["near"].median()), 2) if len(cutouts) > 1 else "none"
    return {
        "Final images": len(kept),
        "Left out": int(chosen["reason"].isin(LEFT_OUT).sum()),
        "Cut-outs": len(cutouts),
        "Clips": kept["video"].nunique(),
        "Median distance to the nearest": middle,
        "Near-duplicates across clips": len(pairs.items),
        "In val": int((kept["split"] == VALIDATION).sum()),
    }


def per_clip(chosen: pd.DataFrame, near: pd.DataFrame, ids: Sequence[str]) -> pd.DataFrame:
    """Outcomes of the final rows of each clip, its split, and its cut-outs' distances."""
    table = stage_tables.per_video(chosen, ids)
    kept = stage_tables.kept(chosen)
    table["cutouts"] = kept.groupby("video")["crop"].nunique().reindex(ids, fill_value=0).to_numpy()
    for name in ("split", "group"):
        first = kept.drop_duplicates("video").set_index("video")[name]
        table[name] = first.reindex(ids).fillna("").to_numpy()
    least = near.replace(np.inf, np.nan).groupby("video")[["near", "across"]].min()
    least = least.reindex(ids).add_prefix("least_distance_")
    return pd.concat([table, least.reset_index(drop=True)], axis=1)


def pictures(cutouts: CutOuts, near: pd.DataFrame, settings: Mapping) -> list[charts.Chart]:
    """Distances to the nearest neighbour, and the map of the set."""
    across = near["across"].replace(np.inf, np.nan).dropna()
    points = similarity.map_of(cutouts, charts.MAX_POINTS)
    largest = cutouts.rows["video"].value_counts().sort_index()
    largest = largest.sort_values(ascending=False, kind="stable").index[:CLIPS_NAMED]
    points["clip"] = points["video"].where(points["video"].isin(largest), "other clips")
    return [
        charts.histogram(
            near["near"].replace(np.inf, np.nan).dropna(),
            "Nearest neighbour",
            "distance to the nearest cut-out",
            note="0 is the same, 2 to 4 the next frame, 20 and more another person.",
            count_title="cut-outs",
        ),
        charts.histogram(
            across,
            "Nearest neighbour in another clip",
            "distance to the nearest cut-out of another clip",
            note="The line is curate.alike.",
            bounds=[settings["alike"]],
            count_title="cut-outs",
        ),
        charts.scatter(
            points,
            "Map of the set",
            x="x",
            y="y",
            x_title="first principal axis",
            y_title="second",
            label="item",
            colour="clip",
            note="Cut-outs that look alike lie close together.",
        ),
    ]


def group_table(apart: Groups) -> list[Table]:
    """The groups that are as far apart as two people, if there is more than one."""
    note = "Groups of cut-outs as far apart as two people: whose are they?"
    return [Table("Groups", note, apart.table)] if len(apart.table) > 1 else []


def group_pictures(root: Path, apart: Groups, paths: Mapping[str, str]) -> list[Gallery]:
    """The picture in the middle of each of them."""
    if len(apart.table) < 2:
        return []
    shots = [
        picture(
            root,
            paths,
            one.item,
            f"{number_of(one.cutouts, 'cut-out')} of {number_of(one.clips, 'clip')}",
        )
        for one in apart.table.itertuples()
    ]
    note = "One person in two outfits, or two people? A picture of each group."
    return [Gallery("Groups as far apart as two people", note, shots)]


def galleries(
    root: Path, groups: pd.DataFrame | None, pairs: Pairs, paths: Mapping[str, str]
) -> list[Gallery]:
    """The centre of each cluster, and the nearest pairs across clips side by side."""
    if groups is None:
        return []
    centres = [
        picture(
            root,
            paths,
            one.item,
            f"{number_of(one.cutouts, 'cut-out')} of {number_of(one.clips, 'clip')}",
        )
        for one in groups.itertuples()
    ]
    note = "Cut-outs far from one another, and how many are nearest to each."
    found = [Gallery("Clusters", note, centres)]
    nearest_pairs = list(pairs.table.head(PAIRS_SHOWN).itertuples())
    if nearest_pairs:
        sides = [(at, item) for at in nearest_pairs for item in (at.item, at.other)]
        shots = [picture(root, paths, item, f"distance {at.distance:.2f}") for at, item in sides]
        said = "Pairs of two clips nearer than curate.alike, side by side, the nearest first."
        found.append(Gallery("Near-duplicates across clips", said, shots))
    return found


def picture(root: Path, paths: Mapping[str, str], item: str, detail: str) -> thumbnails.Thumb:
    """A cut-out as a thumbnail."""
    path = paths.get(item, "")
    return thumbnails.Thumb(shown(item), detail=detail, uri=thumbnails.data_uri(root / path))


def pair_table(pairs: Pairs) -> Table:
    """The nearest pairs across clips."""
    note = f"{pairs.count:,} pairs of cut-outs of two clips are nearer than curate.alike."
    return Table("Near-duplicates across clips", note, pairs.table)


def in_words(gone: pd.DataFrame) -> pd.DataFrame:
    """Left-out rows with their neighbour where thumbnails show a detail."""
    pairs = zip(gone["threshold"], gone["neighbour"], strict=True)
    said = [f"{away:.2f} from {neighbour}" for away, neighbour in pairs]
    return gone.assign(detail=pd.Series(said, index=gone.index, dtype="str"))


def run(job) -> None:
    """The job of the report (see `make_report`)."""
    report_similarity(
        final=job.input.final,
        masks=job.params.masks,
        dataset=job.config["dataset"],
        qc_settings=job.params.qc_settings,
        curate_settings=job.params.curate_settings,
        out=ReportFiles.of(job.output),
    )
