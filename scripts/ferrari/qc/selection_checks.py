"""The checks of QC8: do the embeddings match the pixels, and are selection and splits correct?

Nothing is taken from the selection's own plan: nearest neighbours and similar clips are computed
again from the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ferrari.curation.embeddings import described
from ferrari.curation.neighbours import distance, nearest
from ferrari.curation.splits import SPLITS, VALIDATION
from ferrari.images import boxes
from ferrari.ledger.reasons import OVER_BUDGET
from ferrari.qc import reopened_images, similarity, stage_tables
from ferrari.qc.similarity import CutOuts, Pairs
from ferrari.reports.checks import FAIL, PASS, WARN, Check, none_of

#: Cut-outs computed again from their pixels, and left-out images whose neighbour is looked up.
AGAIN, LOOKED_UP = 200, 2000
#: WARN if a larger share of the cut-outs has a near-duplicate in another clip.
MAX_ALIKE = 0.1
_TOLERANCE = 1e-3


def embedding_checks(root: Path, cutouts: CutOuts, kept: pd.DataFrame) -> list[Check]:
    """Each kept image's cut-out has a sound embedding, and it is that of the pixels."""
    some = cutouts.rows.iloc[:: max(1, -(-len(cutouts) // AGAIN))]
    columns = ("path", "sha256", "embedding", "phash", "lightness", "side")
    seen = reopened_images.inspect(root, some, columns, look, "cut-outs described again")
    total = kept["crop"].nunique()
    return [
        none_of(
            "embeddings_sound",
            cutouts.unsound,
            total,
            "The cut-out of each kept image has an embedding that can be read.",
        ),
        none_of(
            "embeddings_follow_from_pixels",
            some["item"][~reopened_images.flags(seen, "same")],
            len(some),
            "Computed again from the pixels of a sample of cut-outs: embedding, hash, lightness "
            "and side are those of the table.",
        ),
    ]


def look(dataset: Path, cells: tuple) -> dict:
    """Describe one cut-out anew: is it the `same` as its row says? Else `fault` says so too, and it
    is looked at again the next time.
    """
    path, sha256, *said = cells
    seen = reopened_images.reopen(dataset, path)
    rgba = seen.pixels if seen.mode == "RGBA" else None
    found = {}
    if rgba is not None and (box := boxes.subject_box(rgba[..., 3])):
        found = described(rgba, box)
    names = ("embedding", "phash", "lightness", "side")
    same = [found.get(name) for name in names] == said
    fault = seen.fault or ("" if same else "it is described otherwise")
    return {"same": same, "fault": fault, "sha_ok": seen.sha256 == sha256}


def likeness_checks(
    kept: pd.DataFrame, cutouts: CutOuts, pairs: Pairs, settings: Mapping
) -> list[Check]:
    """No bytes twice; near-duplicates across clips are counted, or gone if that was asked for."""
    share = len(pairs.items) / max(1, len(cutouts))
    found = [
        none_of(
            "no_image_twice",
            kept["item"][kept["sha256"].duplicated()],
            len(kept),
            "No two final images have the same bytes.",
        ),
        Check(
            "near_duplicates_across_clips",
            WARN if share > MAX_ALIKE else PASS,
            f"{len(pairs.items):,} of {len(cutouts):,} cut-outs",
            f"at most {MAX_ALIKE:.0%}",
            f"Cut-outs nearer than {settings['alike']:g} (curate.alike) to one of another clip. "
            "If curate.near_duplicates is set, those nearer than its value are dropped.",
            tuple(pairs.items[:20]),
        ),
    ]
    if settings["near_duplicates"] is not None:
        by_rule = kept[~by_hand(kept)]
        own = similarity.of_items(cutouts.rows, by_rule["crop"])
        nobody = np.zeros(len(own), int)
        left = similarity.pairs_across(own, settings["near_duplicates"], nobody)
        found.append(
            none_of(
                "near_duplicates_dropped",
                left.items,
                len(own),
                "No cut-out is nearer than curate.near_duplicates to one of another clip, but for "
                "those that a person kept.",
            )
        )
    return found


def by_hand(kept: pd.DataFrame) -> pd.Series:
    """True for each kept row that is there because a person kept it against the settings."""
    return kept["decision"] != ""


def side_labels(cutouts: CutOuts, kept: pd.DataFrame) -> np.ndarray:
    """A number for the split of each cut-out, that of its images."""
    split = kept.drop_duplicates("crop").set_index("crop")["split"]
    return pd.factorize(split.reindex(cutouts.rows["item"]))[0]


def split_checks(kept: pd.DataFrame, pairs: Pairs, settings: Mapping) -> list[Check]:
    """Each kept image is in a split, and nothing that belongs together is in two."""
    asked = settings["validation"]
    found = [
        none_of(
            "each_image_in_a_split",
            kept["item"][~kept["split"].isin(SPLITS)],
            len(kept),
            "Each kept image is in train or in val.",
        )
    ]
    for name, column in (("cut-out", "crop"), ("clip", "video"), ("group", "group")):
        named = kept[kept[column] != ""]
        sides = named.groupby(column)["split"].nunique()
        found.append(
            none_of(
                f"no_{name.replace('-', '')}_in_two_splits",
                sides.index[sides > 1],
                len(sides),
                f"The images of one {name} are all in one split.",
            )
        )
    share = (kept["split"] == VALIDATION).mean() if len(kept) else 0.0
    wanted = kept["video"].nunique() > 1 and asked > 0
    return [
        *found,
        none_of(
            "no_near_duplicates_in_two_splits",
            pairs.parted,
            len(pairs.items),
            "Cut-outs nearer than curate.alike are in one split, whatever clips they are from.",
        ),
        Check(
            "validation_share",
            WARN if (wanted and share == 0) or (asked < 1 and share == 1) else PASS,
            f"{share:.1%} of the images",
            f"about {asked:.0%}" if asked else "none asked for",
            "A group of clips goes to one split as a whole, so a small set meets the share only "
            "roughly, and not at all if its clips form a single group: that is all for training.",
        ),
    ]


def selection_checks(
    chosen: pd.DataFrame,
    gone: pd.DataFrame,
    cut: pd.DataFrame,
    cutouts: CutOuts,
    settings: Mapping,
) -> list[Check]:
    """The budget holds and is used; each image left out names the nearest that stayed."""
    budget, stay = settings["max_images"], stage_tables.kept(chosen)
    chose = int((~by_hand(stay)).sum())
    over = int((gone["reason"] == OVER_BUDGET).sum())
    fits = budget is None and not over
    fits |= budget is not None and chose <= budget and (not over or chose == budget)
    looked_up = gone.iloc[:: max(1, -(-len(gone) // LOOKED_UP))]
    return [
        Check(
            "budget_kept_and_used",
            PASS if fits else FAIL,
            f"{len(stay):,} kept, {over:,} over the budget",
            "no limit" if budget is None else f"{budget:,}",
            "No more images stay than curate.max_images and those that a person kept, and none is "
            "left out while there is room.",
        ),
        none_of(
            "neighbours_of_left_out_stay",
            gone["item"][~gone["neighbour"].isin(set(stay["item"]))],
            len(gone),
            "Each image that selection left out names an image that stayed.",
        ),
        none_of(
            "neighbours_of_left_out_are_the_nearest",
            looked_up["item"][~truly_nearest(looked_up, cut, cutouts)],
            len(looked_up),
            "Computed again for a sample: of the images that stayed, none is nearer than the named "
            "one, and the distance is that of the row.",
        ),
    ]


def truly_nearest(gone: pd.DataFrame, cut: pd.DataFrame, cutouts: CutOuts) -> np.ndarray:
    """True for each row whose named neighbour is really the nearest, at the given distance."""
    own = similarity.of_items(stage_tables.kept(cut), gone["crop"])
    places = own.places(gone["crop"])
    named = cutouts.places(similarity.crops_of(gone["neighbour"]))
    _, squares = nearest(own.vectors, cutouts.vectors)
    true = np.zeros(len(gone), bool)
    there = (places >= 0) & (named >= 0)
    if not there.any():
        return true
    mine, theirs = own.vectors[places[there]], cutouts.vectors[named[there]]
    to_named = distance(((mine.astype(float) - theirs) ** 2).sum(1))
    least, said = distance(squares[places[there]]), gone["threshold"].to_numpy()[there]
    true[there] = (to_named <= least + _TOLERANCE) & (np.abs(to_named - said) <= _TOLERANCE)
    return true
