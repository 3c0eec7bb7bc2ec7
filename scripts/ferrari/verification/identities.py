"""Identities in a clip: do sightings, identities and crops list the same detections?"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ferrari.ledger import stages
from ferrari.ledger.columns import KEPT
from ferrari.ledger.tables import LedgerError
from ferrari.subject import clip_table, identity_table, sightings_file
from ferrari.verification.tables import Row


def faults(
    dataset: Path, video: str, rows: Mapping[str, Sequence[Row]]
) -> Iterator[tuple[str, str]]:
    """(path below the dataset, why) of what does not agree. `rows` are the clip's, by stage.

    A file that is missing or changed is reported by other checks.
    """
    name = f"{stages.SIGHTINGS}/{video}{sightings_file.ENDING}"
    if (dataset / name).is_file():
        yield from ((name, why) for why in _of_sightings(dataset / name, rows["detect"]))
    name = f"{stages.IDENTITY}/{video}.csv"
    if (dataset / name).is_file():
        yield from ((name, why) for why in _of_identities(dataset / name, rows["crop"]))


def _of_sightings(path: Path, detections: Sequence[Row]) -> Iterator[str]:
    try:
        seen = sightings_file.read(path)
    except LedgerError:
        yield "cannot be read"
        return
    found = Counter(item for item in seen.items if item)
    kept = Counter(row["item"] for row in detections if row["outcome"] == KEPT)
    if found != kept:
        yield f"has {found.total()} detections of frames, their table keeps {kept.total()}"
    tracks = {row["item"]: row["track"] for row in detections}
    placed = zip(seen.items, seen.sightings.track.tolist(), strict=True)
    if any(tracks.get(item, str(track)) != str(track) for item, track in placed if item):
        yield "has detections in other tracks than their table"


def _of_identities(path: Path, crops: Sequence[Row]) -> Iterator[str]:
    try:
        told = [row for row in clip_table.read(path, identity_table.COLUMNS) if row["track"]]
        counts = {row["track"]: int(row["frames"] or 0) for row in told}
    except (LedgerError, csv.Error, ValueError):
        yield "cannot be read"
        return
    seen = {track: count for track, count in counts.items() if count}
    found = Counter(row["track"] for row in crops if row["track"])
    if dict(found) != seen:
        yield f"has {sum(seen.values())} frames of people, the crops have {found.total()} rows"
    if told and not all(row["identity_why"] for row in crops):
        yield "has tracks, and there are crops that do not say why they are whose they are"
