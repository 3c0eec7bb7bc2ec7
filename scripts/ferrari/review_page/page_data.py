"""The page's data: one JSON object, columns instead of records, so that 10,000 images fit in 5 MB.

    dataset      16 hex digits over the raw clips' digests: it names the browser's store
    class, token what captions call the subject
    root         path of the dataset's folder, relative to the page
    cell         px of a cell, its columns a row and cells a file of sprites (see `sprites`)
    clips        [{id, name, sprites: {group: [file, ...]}}, ...]; the last one has no id where
                 there are entries of no clip (reference pictures)
    references   {sprites: [file, ...], names: [...]}: who the subject is
    groups       names of the groups; the column `group` holds their places
    words        {code: sentence} of the reasons that occur
    columns      the decisions' columns, and `rows` what review/decisions.csv held: lists of cells
    states       {id: [state, reason]} of the rows in force, as they were when the page was made
    items        the entries' columns, arrays of one length

Columns of `items`. Plain arrays: `group`, `clip` (places in lists above), `tail` (the target's id
without its clip's id and the `-`; empty: the clip itself; of no clip: what it is called, and its
id is `sha256`), `sha256` (of the target; "" where nothing can be decided), `doubt` (0 to 1),
`cell` (place of its first picture among those of its clip and group; -1: none), `cells` (how many
pictures), `time_s` (-1: not known). All others are {"values": [text, ...], "at": [place in values,
...]}, since they repeat: `scope`, `may` (the keys that count for it), `stage`, `reason`, `said`
(figures and detail), `caption`, `framing`, `facing`, `background`, `kind`, `split`, `track`,
`flag` (what a report remarks), `frames` (ordinals) and `meets` (numbers of tracks that a frame
shows beside this one), both parted by spaces, `file` and `mask` (paths below the dataset, in which
`*` is the clip's id and `@` the target's).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ferrari.common.atomic_files import sha256_bytes
from ferrari.common.visible_text import shown
from ferrari.ledger import reason_words
from ferrari.review.contract import COLUMNS, Decision
from ferrari.review.effects import Effect
from ferrari.review_page import sprites
from ferrari.review_page.entries import GROUPS, Entry, Picture

_REPEATED = (
    *("scope", "may", "stage", "reason", "said", "caption", "framing", "facing"),
    *("background", "kind", "split", "track", "flag"),
)


def dataset_id(sha256s: Iterable[str]) -> str:
    """The id of a dataset: 16 hex digits over the digests of its raw clips, in any order."""
    return sha256_bytes("\n".join(sorted(filter(None, sha256s))).encode("ascii"))[:16]


def pictures_by_sheet(entries: Iterable[Entry]) -> dict[tuple[str, str], list[Picture]]:
    """The pictures of each clip and group, in the order of the cells."""
    found: dict[tuple[str, str], list[Picture]] = defaultdict(list)
    for entry in entries:
        found[entry.video, entry.group] += entry.pictures
    return found


def build(
    *,
    dataset: str,
    subject: Mapping[str, str],
    root: str,
    clips: Sequence[tuple[str, str]],
    entries: Sequence[Entry],
    sheets: Mapping[tuple[str, str], Sequence[str]],
    references: Mapping[str, Sequence[str]],
    rows: Sequence[Decision] = (),
    effects: Sequence[Effect] = (),
) -> dict[str, Any]:
    """The data of `entries`. `clips` are (id, name), `sheets` the sprites' files by clip and group,
    `subject` has `token` and `class`, `effects` are those of the rows in force.
    """
    clips = [*clips, ("", "")] if any(not entry.video for entry in entries) else clips
    reasons = sorted({entry.reason for entry in entries})
    words = {code: said for code in reasons if (said := reason_words.sentence(code))}
    files: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for (video, group), names in sheets.items():
        files[video][group] = list(names)
    return {
        "dataset": dataset,
        "class": subject["class"],
        "token": subject["token"],
        "root": root,
        "cell": {"px": sprites.CELL, "columns": sprites.COLUMNS, "a_file": sprites.CELLS},
        "clips": [
            {"id": video, "name": shown(name), "sprites": files[video]} for video, name in clips
        ],
        "references": {name: list(values) for name, values in references.items()},
        "groups": list(GROUPS),
        "words": words,
        "columns": list(COLUMNS),
        "rows": [list(row) for row in rows],
        "states": {effect.row.id: [effect.state, effect.reason] for effect in effects},
        "items": _items(entries, {video: place for place, (video, _) in enumerate(clips)}),
    }


def _items(entries: Sequence[Entry], places: Mapping[str, int]) -> dict[str, Any]:
    plain: dict[str, list] = {
        "group": [GROUPS.index(entry.group) for entry in entries],
        "clip": [places[entry.video] for entry in entries],
        "tail": [entry.called or entry.target[len(entry.video) + 1 :] for entry in entries],
        "sha256": [entry.sha256 for entry in entries],
        "doubt": [round(entry.doubt, 3) for entry in entries],
        "cell": _cells(entries),
        "cells": [len(entry.pictures) for entry in entries],
        "time_s": [round(entry.time_s, 2) for entry in entries],
    }
    repeated = {name: _coded(getattr(entry, name) for entry in entries) for name in _REPEATED}
    for name in ("frames", "meets"):
        repeated[name] = _coded(" ".join(getattr(entry, name)) for entry in entries)
    for name in ("file", "mask"):
        repeated[name] = _coded(_pattern(entry, getattr(entry, name)) for entry in entries)
    return {**plain, **repeated}


def _cells(entries: Sequence[Entry]) -> list[int]:
    """The place of each entry's first picture in its clip and group; -1: it has none."""
    used: dict[tuple[str, str], int] = defaultdict(int)
    found = []
    for entry in entries:
        place = used[entry.video, entry.group]
        used[entry.video, entry.group] += len(entry.pictures)
        found.append(place if entry.pictures else -1)
    return found


def _coded(texts: Iterable[str]) -> dict[str, list]:
    values: dict[str, int] = {}
    # Captions keep every character: what the page shows is what a person would save again.
    at = [values.setdefault(text, len(values)) for text in texts]
    return {"values": list(values), "at": at}


def _pattern(entry: Entry, path: str) -> str:
    return path.replace(entry.target, "@").replace(entry.video, "*") if path else ""
