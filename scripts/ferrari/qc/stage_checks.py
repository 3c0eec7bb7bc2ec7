"""Checks that apply to every stage: its ledger balances, and its files match its rows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ferrari.ledger.columns import KEPT, OUTCOMES
from ferrari.qc.stage_tables import balance, refused
from ferrari.reports.checks import FAIL, PASS, Check, none_of


def ledger_checks(stage: str, rows: pd.DataFrame, before: pd.DataFrame) -> list[Check]:
    """No item is lost, none is there twice, none is refused without a reason."""
    sums = balance(stage, rows, before)
    twice = rows["item"][rows["item"].duplicated()].unique()
    silent = rows["item"][(rows["outcome"] != KEPT) & (rows["reason"] == "")]
    unknown = rows["item"][~rows["outcome"].isin(OUTCOMES)]
    return [
        Check(
            f"{stage}_ledger_balances",
            PASS if sums.balanced else FAIL,
            sums.figure,
            "sum equal, 0 lost, 0 from nowhere",
            "Each item that the stage before kept is the parent of at least one row here, and "
            "no row has another parent.",
            (*sums.unaccounted, *sums.orphans, *unknown)[:20],
        ),
        none_of(
            f"{stage}_one_row_an_item",
            twice,
            len(rows),
            "No item has two rows in the stage's tables.",
        ),
        none_of(
            f"{stage}_refusals_have_reasons",
            silent,
            len(refused(rows)),
            "Each dropped or quarantined row says why.",
        ),
    ]


def folder_checks(
    dataset: Path, stage_folder: str, rows: pd.DataFrame, videos: Sequence[str], subfolder: str = ""
) -> list[Check]:
    """Folders and files of a stage match the `rows` with a file (columns `video` and `path`).

    `subfolder` (of each video's folder) holds a second file for each row, if there is one.
    """
    root = Path(dataset) / stage_folder
    expected = set(rows["path"])
    present: dict[str, int] = {}
    without_folder = []
    for video in videos:
        if not (root / video).is_dir():
            without_folder.append(video)
            continue
        for folder in (root / video, *([root / video / subfolder] if subfolder else [])):
            present.update(_sizes(folder, dataset))
    missing = sorted(expected - present.keys())
    stray = sorted(present.keys() - expected)
    empty = sorted(path for path in expected & present.keys() if present[path] == 0)
    return [
        none_of(
            "folder_per_video",
            without_folder,
            len(videos),
            f"Each raw video has its table and its folder in {stage_folder}.",
            figure=f"{len(without_folder):,} of {len(videos):,} lack it",
        ),
        none_of(
            "kept_files_exist", missing, len(expected), "Each file that a kept row names exists."
        ),
        none_of("no_empty_files", empty, len(expected), "No file has zero bytes."),
        none_of(
            "no_files_without_row",
            stray,
            len(present),
            "Each file in the videos' folders belongs to a row that is kept, or that a person "
            "dropped.",
        ),
    ]


def _sizes(folder: Path, dataset: Path) -> dict[str, int]:
    if not folder.is_dir():
        return {}
    base = os.path.relpath(folder, dataset)
    with os.scandir(folder) as entries:
        return {
            f"{base}/{entry.name}": entry.stat().st_size for entry in entries if entry.is_file()
        }
