"""QC6's leak checks: does the backdrop, or the mask's fringe, give the source clip away?

`background_leak.sample` draws the sample. QC6 passes over the images once and calls `measure` for
those in the sample; the rest is arithmetic on the results.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ferrari.qc import background_leak, edge_fringe
from ferrari.reports.checks import Check

MEASURED = ("backdrop", "fringe")


def measure(
    picture_rgb: np.ndarray, mask_u8: np.ndarray, window: tuple[slice, slice], crop_rgb: np.ndarray
) -> dict[str, object]:
    """MEASURED of one image (HxWx3 and HxW uint8), whose crop (hxwx3) lies in its `window`."""
    return {
        "backdrop": background_leak.backdrop(picture_rgb, mask_u8),
        "fringe": edge_fringe.fringe(picture_rgb[window], mask_u8[window], crop_rgb),
    }


def _measured(seen: pd.DataFrame, drawn: pd.DataFrame) -> pd.DataFrame:
    """`drawn` if all of it could be measured, else none of its rows.

    What cannot be read fails a check of its own; a sample with holes is not balanced.
    """
    whole = len(drawn) > 0 and bool(seen.loc[drawn.index, "backdrop"].notna().all())
    return drawn if whole else drawn.iloc[:0]


def fringes_of_clips(seen: pd.DataFrame, drawn: pd.DataFrame) -> pd.DataFrame:
    """`edge_fringe.of_clips` of the sample; no rows where nothing could be measured."""
    drawn = _measured(seen, drawn)
    return edge_fringe.of_clips(list(seen.loc[drawn.index, "fringe"]), drawn)


def checks(
    kept: pd.DataFrame,
    seen: pd.DataFrame,
    drawn: pd.DataFrame,
    of_clips: pd.DataFrame,
    qc_settings: Mapping,
) -> list[Check]:
    """Nothing outside the mask, and nothing at its edge, tells the clip."""
    drawn = _measured(seen, drawn)
    features = list(seen.loc[drawn.index, "backdrop"])
    scenes = list(kept.loc[drawn.index, "environment"])
    return [
        background_leak.backdrop_check(features, scenes, drawn, qc_settings["max_leak"]),
        *edge_fringe.fringe_checks(of_clips, qc_settings["max_fringe"]),
    ]


def with_fringes(videos: pd.DataFrame, of_clips: pd.DataFrame) -> pd.DataFrame:
    """`videos` with the share of the own scene in the fringe, for the clips that were probed."""
    found = {}
    for side in edge_fringe.SIDES:
        shares = of_clips[of_clips["side"] == side].set_index("video")["share"]
        found[f"scene_in_fringe_{side}"] = videos["video"].map(shares).astype(float)
    return videos.assign(**found)
