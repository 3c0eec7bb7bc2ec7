"""The coverage table of QC7: what each cell of the set had before selection, and has after it."""

from __future__ import annotations

import pandas as pd

from ferrari.ledger.columns import KEPT
from ferrari.ledger.reasons import NEAR_DUPLICATE, OVER_BUDGET
from ferrari.reports.page import Table

CELL = ["framing", "facing", "side", "light"]
LEFT_OUT = (OVER_BUDGET, NEAR_DUPLICATE)


def coverage(final: pd.DataFrame) -> pd.DataFrame:
    """One row a cell of framing, facing, side and light: images and clips offered and kept.

    `final` are the rows of the final table; what was refused for another reason than selection was
    not offered. The cells come in the order of what they were offered, the largest first.
    """
    kept = final["outcome"] == KEPT
    offered = final[kept | final["reason"].isin(LEFT_OUT)].assign(kept=kept)
    offered["kept_video"] = offered["video"].where(offered["kept"])
    for name in CELL:
        offered[name] = offered[name].where(offered[name] != "", "(not known)")
    table = offered.groupby(CELL).agg(
        images_offered=("item", "size"),
        images_kept=("kept", "sum"),
        clips_offered=("video", "nunique"),
        clips_kept=("kept_video", "nunique"),
    )
    order = ["images_offered", *CELL]
    return table.reset_index().sort_values(order, ascending=[False, *[True] * len(CELL)])


def coverage_table(final: pd.DataFrame) -> Table:
    """`coverage` as a table of a page."""
    note = (
        "Images and clips by framing, facing, side (where in its box the subject's mass lies) and "
        "light (the subject's lightness), before and after selection."
    )
    return Table("Coverage", note, coverage(final))
