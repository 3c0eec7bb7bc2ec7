"""The entries of a clip, where its tables say what a fabricated dataset does not."""

from __future__ import annotations

from collections import defaultdict

import pytest

from ferrari.ledger import tables
from ferrari.ledger.item_ids import crop_item, frame_item
from ferrari.review_page.clip_entries import Clip
from ferrari.review_page.entries import MASK, REFUSED, TRACK
from tests.unit.review.rows import WALK

#: The tracks that each frame shows; of one detection in it nobody knows whose it is.
FRAMES = {0: "0", 1: "01", 2: "1", 3: "12", 4: ("10", "3", ""), 5: "3"}


def test_tracks_that_a_frame_shows_together_are_named():
    """Those are two people, or one has two boxes: they cannot be joined."""
    crops = [
        tables.row(
            "crop",
            item=crop_item(frame_item(WALK, frame), place),
            parent=f"{frame_item(WALK, frame)}-d{place}",
            outcome="dropped",
            reason="UNSURE_WHO",
            track=track,
        )
        for frame, tracks in FRAMES.items()
        for place, track in enumerate(tracks)
    ]
    names = {track for tracks in FRAMES.values() for track in tracks} - {""}
    judged = [defaultdict(str, track=name, who="unsure") for name in sorted(names)]
    rows = {"crop": crops, "identity": judged}
    clip = Clip(WALK, lambda stage, video: rows.get(stage, []), {"verdict": "OK"})
    found = {one.track: one.meets for one in clip.entries() if one.group == TRACK}
    assert found == {"0": ("1",), "1": ("0", "2"), "2": ("1",), "3": ("10",), "10": ("3",)}


def test_a_cut_out_says_each_of_its_figures_that_is_above_zero():
    crop = crop_item(frame_item(WALK, 0), 0)
    cells = {"subject_fraction": "0.41234", "edge_fraction": "0", "others_unsure": "0.0062"}
    cut = tables.row("mask", item=crop, parent=crop, outcome="kept", reason="OK", **cells)
    rows = {"mask": [cut]}
    clip = Clip(WALK, lambda stage, video: rows.get(stage, []), {"verdict": "OK"})
    (entry,) = [one for one in clip.entries() if one.group == MASK]
    assert entry.said == "subject 0.412, may be another person's 0.0062"


@pytest.mark.parametrize(
    ("stage", "reason", "may"),
    [
        *(("mask", "DROPPED_BY_REVIEW", "K"), ("mask", "EMPTY_MASK", "")),
        *(("final", "OVER_BUDGET", "K"), ("final", "DUPLICATE_IMAGE", "")),
        *(("caption", "OVERRIDE_INVALID", "E"), ("extract", "DUPLICATE_FRAME", "")),
    ],
)
def test_what_a_rule_or_a_person_refused_may_be_taken_back(stage, reason, may):
    """Of what cannot be decided no digest is told, so that no decision can name it."""
    item = f"{crop_item(frame_item(WALK, 0), 0)}-v0"
    outcome = "quarantined" if reason in ("EMPTY_MASK", "OVERRIDE_INVALID") else "dropped"
    row = tables.row(
        stage, item=item, parent=item, outcome=outcome, reason=reason, sha256="a" * 64, path="x.png"
    )
    final = [row] if stage == "final" else []
    rows = {} if final else {stage: [row]}
    clip = Clip(WALK, lambda at, _: rows.get(at, []), {"verdict": "OK"}, final)
    (entry,) = [one for one in clip.entries() if one.group == REFUSED]
    assert (entry.may, bool(entry.sha256)) == (may, bool(may))
