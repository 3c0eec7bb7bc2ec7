"""Clips that gave no image although their files are sound, and why.

A clip that shows only somebody else is refused nowhere, and its absence would not be noticed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ferrari.common.counts import first_of, number_of
from ferrari.ledger import stages, tables
from ferrari.ledger.columns import KEPT
from ferrari.ledger.reason_words import sentence

#: The stages after the first, whose tables say where the last of a clip was refused; last first.
_STAGES = ("caption", "augment", "mask", "crop", "detect", "extract")
#: Clips named of each reason.
_NAMED = 4


def of_set(
    dataset: str | os.PathLike, sound: Mapping[str, str]
) -> tuple[Counter[str], dict[str, list[str]]]:
    """From the final table: how many images each clip gave; and the files of `sound` (by clip) that
    gave none, by reason, the most frequent first.

    Only counts for each clip are held in memory: a large set's table has hundreds of thousands of
    rows.
    """
    images: Counter[str] = Counter()
    refused: dict[str, Counter[str]] = {}
    for row in tables.iter_stage(Path(dataset) / stages.FINAL_CSV, "final"):
        if row["outcome"] == KEPT:
            images[row["video"]] += 1
        else:
            refused.setdefault(row["video"], Counter())[row["reason"]] += 1
    found: dict[str, list[str]] = {}
    for video in sorted(set(sound) - set(images), key=lambda one: sound[one]):
        found.setdefault(why(dataset, video, refused.get(video, {})), []).append(sound[video])
    return images, dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def why(dataset: str | os.PathLike, video: str, final: Mapping[str, int]) -> str:
    """The reason for which most of a clip's items were refused in the stage that kept none of them;
    `final` counts the reasons of its rows in the final table. "" where no table says one.

    That stage is the last with rows: it was given something, and gave the next one nothing. So one
    table of a clip is opened, and none of a clip with rows in the final table.
    """
    if final:
        return _most(final)
    for stage in _STAGES:
        path = Path(dataset) / stages.table(stage, video)
        if not tables.may_have_rows(path, stage):
            continue
        if rows := tables.read_table(path):
            kept = any(row["outcome"] == KEPT for row in rows)  # then a later table is missing
            return "" if kept else _most(Counter(row["reason"] for row in rows))
    return ""


def _most(reasons: Mapping[str, int]) -> str:
    return min(reasons, key=lambda reason: (-reasons[reason], reason), default="")


def given(images: Mapping[str, int], clips: int) -> str:
    """How many images so many clips gave, as one line; `images` has the number for each clip."""
    total = number_of(sum(images.values()), "captioned image")
    return f"{total}, from {len(images):,} of {number_of(clips, 'clip')}."


def headline(found: Mapping[str, list[str]], clips: int) -> str:
    """How many of so many clips gave no image, as one line; "" if each sound clip gave one."""
    without = sum(map(len, found.values()))
    if not without:
        return ""
    return f"Clips without an image, though their files are sound: {without:,} of {clips:,}"


def reasons(found: Mapping[str, list[str]]) -> list[str]:
    """'2 NOT_SUBJECT (a.mp4, b.mp4): The person is somebody else than the subject.', each."""
    lines = []
    for reason, files in found.items():
        said = sentence(reason) or "Nothing came of it."
        count = f"{len(files):,} {reason}".strip()
        lines.append(f"{count} ({first_of(files, _NAMED)}): {said}")
    return lines


def as_lines(found: Mapping[str, list[str]], clips: int, of_set: str = "") -> list[str]:
    """Both as lines of text, and how to ask for one clip; `of_set` is `places.as_typed`."""
    if not found:
        return []
    first = next(iter(found.values()))[0]
    return [
        f"{headline(found, clips)}.",
        *(f"  {line}" for line in reasons(found)),
        f'  What became of one: make trace ITEM="{first}"{of_set}',
    ]
