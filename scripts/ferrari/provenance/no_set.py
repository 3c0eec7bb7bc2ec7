"""The message of a command about a set that does not exist in its folder."""

from __future__ import annotations

import os
from pathlib import Path

from ferrari.common.counts import first_of
from ferrari.ledger.stages import FOLDERS, VIDEOS_CSV

#: The default of the setting `dataset`, by which sets beside are known.
_DATASET = "dataset"
_NAMED = 5


def nothing_made(work: str | os.PathLike, dataset: Path) -> str:
    """That nothing was made yet in `dataset`, the dataset of the folder `work`, and how a set
    elsewhere is named; "" where something was.
    """
    if (dataset / VIDEOS_CSV).is_file() or (dataset / FOLDERS["probe"]).is_dir():
        return ""
    sets = sorted(path.parents[1].name for path in Path(work).glob(f"*/{_DATASET}/{VIDEOS_CSV}"))
    near = f" ({first_of([f'WORK={os.path.join(work, name)}' for name in sets], _NAMED)})"
    return (
        f"Nothing was made in {dataset.absolute()} yet. If the set is elsewhere, name its folder: "
        f"WORK=folder{near if sets else ''}. If it is here, `make run` makes it."
    )
