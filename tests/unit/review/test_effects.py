"""What becomes of decisions, on made rows: each state has a case that no other one fits."""

from __future__ import annotations

import pytest

from ferrari.ledger.item_ids import crop_item, detection_item, frame_item, variant_item
from ferrari.review import effects
from ferrari.review.applying import Verdicts, track_digest
from tests.unit.review.rows import CROP, IMAGE, WALK, decided

THEN, NOW = "a" * 64, "b" * 64
MASK = f"review/masks/{CROP}-0123456789ab.png"


def state_of(row, **tables) -> tuple[str, str]:
    """The state of a decision in force, and its reason; `tables` are rows by stage."""
    (effect,) = effects.effects([row], lambda stage, video: tables.get(stage, []))
    return effect.state, effect.reason


def cutout(outcome="kept", reason="", sha256=NOW, **cells) -> dict[str, str]:
    known = {"item": CROP, "outcome": outcome, "reason": reason, "sha256": sha256}
    return {**known, "detail": "", "decision": "", **cells}


@pytest.mark.parametrize(
    ("told", "cells", "state"),
    [
        ("drop", {}, "pending"),
        ("drop", {"outcome": "dropped", "reason": "DROPPED_BY_REVIEW", "decision": "1"}, "applied"),
        ("drop", {"outcome": "quarantined", "reason": "EMPTY_MASK"}, "agrees"),
        ("drop", {"sha256": THEN}, "stale"),
        # It shows a decision about what was there before: the next run takes it back.
        (
            "drop",
            {
                **{"outcome": "dropped", "reason": "DROPPED_BY_REVIEW", "decision": "1"},
                "sha256": THEN,
            },
            "pending",
        ),
        ("keep", {}, "agrees"),
        ("keep", {"outcome": "dropped", "reason": "DROPPED_BY_REVIEW"}, "pending"),
        ("keep", {"outcome": "quarantined", "reason": "EMPTY_MASK"}, "cannot"),
    ],
)
def test_a_decision_about_a_cutout(told, cells, state):
    row = decided(told, CROP, "cutout", id="1", target_sha256=NOW)
    assert state_of(row, mask=[cutout(**cells)])[0] == state


@pytest.mark.parametrize(
    ("crop", "shown", "state"),
    [
        *((NOW, MASK, "applied"), (NOW, "", "pending"), (THEN, "", "stale")),
        (THEN, MASK, "pending"),  # it is there still, drawn on other pixels
    ],
)
def test_a_mask_drawn_on_the_pixels_of_a_crop(crop, shown, state):
    row = decided("mask", CROP, "cutout", value=MASK, target_sha256=NOW)
    tables = {"crop": [{"item": CROP, "sha256": crop}], "mask": [cutout(mended_path=shown)]}
    assert state_of(row, **tables)[0] == state


@pytest.mark.parametrize(("frame", "state"), [(3, "cannot"), (4, "pending"), (9, "cannot")])
def test_a_split_cuts_a_track_behind_its_first_frame(frame, state):
    found = [detection_item(frame_item(WALK, number), 0) for number in (3, 4, 5)]
    crops = [
        {"item": crop_item(frame_item(WALK, number), 0), "track": "1", "parent": item}
        for number, item in zip((3, 4, 5), found, strict=True)
    ]
    row = decided(
        *("split_track", f"{WALK}-t1", "track"),
        value=frame_item(WALK, frame),
        target_sha256=track_digest(found),
    )
    assert state_of(row, crop=crops)[0] == state


@pytest.mark.parametrize(
    ("decisions", "state"),
    [(("1", ""), "applied"), (("", ""), "pending"), (("2", ""), "pending"), (("2", "3"), "agrees")],
)
def test_a_caption_of_a_cutout_whose_images_have_their_own(decisions, state):
    row = decided("caption", CROP, "cutout", id="1", value="sks man")
    images = [
        {"item": variant_item(CROP, n), "sha256": NOW, "reason": "", "decision": decision}
        for n, decision in enumerate(decisions)
    ]
    assert state_of(row, caption=images)[0] == state


def test_a_duplicate_goes_only_while_its_original_stands():
    other = variant_item(CROP, 7)
    verdicts = Verdicts([decided("duplicate_of", IMAGE, "image", value=other)])
    rows = [(cutout(item=IMAGE), NOW), (cutout(item=other), NOW)]
    assert [row["outcome"] for row in verdicts.all_applied(rows)] == ["dropped", "kept"]
    rows[1] = (cutout("dropped", "NEAR_DUPLICATE", item=other), NOW)
    assert [row["outcome"] for row in verdicts.all_applied(rows)] == ["kept", "dropped"]
