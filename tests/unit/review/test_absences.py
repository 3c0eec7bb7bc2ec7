"""Why nothing is there of what was decided about: the first table on the way to it tells."""

from __future__ import annotations

import pytest

from ferrari.ledger.item_ids import parse
from ferrari.review import absences, effects
from tests.unit.review.rows import CROP, IMAGE, WALK, decided

ITEM = parse(IMAGE)
assert ITEM is not None
STAGES = ("extract", "detect", "crop", "mask", "augment", "caption")
DROP = decided("drop", IMAGE, "image")


def there() -> dict[str, dict[str, str]]:
    """The row of each stage that leads to IMAGE, all of them kept."""
    rows = {
        stage: {"item": ITEM.at(stage), "outcome": "kept", "reason": "", "decision": ""}
        for stage in STAGES
    }
    return {"videos": {"item": WALK, "verdict": "OK", "decision": ""}, **rows}


def reading(rows):
    """Tables that hold these rows, each beside one of something else."""

    def rows_of(stage, video):
        known = [rows[stage]] if rows.get(stage) else []
        other = {"item": "other", "outcome": "kept", "reason": "", "verdict": "OK"}
        return [] if rows.get(stage, "no table") == "no table" else [other, *known]

    return rows_of


GONE = {
    "videos": "its clip is gone",
    "extract": "its frame is not made any more: other settings of `extract`, or another clip",
    "detect": "its detection is not made any more: the detector or its settings",
    "crop": "its crop is not made any more: the detector",
    "mask": "its cut-out is not made any more",
    "augment": "its image is not made any more: `augment.variants` is less now",
}


@pytest.mark.parametrize(("stage", "said"), GONE.items())
def test_the_first_row_that_is_missing_says_why(stage, said):
    assert absences.why(DROP, reading(there() | {stage: None})).startswith(said)


@pytest.mark.parametrize("stage", STAGES)
def test_what_was_refused_on_the_way_is_told_with_its_reason(stage):
    rows = there()
    rows[stage] |= {"outcome": "dropped", "reason": "TOO_SMALL"}
    assert absences.why(DROP, reading(rows)).endswith(" was refused: TOO_SMALL")
    rows[stage] |= {"reason": "DROPPED_BY_REVIEW", "decision": "abcd1234"}
    said = absences.why(DROP, reading(rows))
    assert said.endswith(" was refused: DROPPED_BY_REVIEW (decision abcd1234)")


def test_of_a_clip_its_verdict_is_told():
    rows = there()
    rows["videos"]["verdict"] = "LOW_RESOLUTION"
    assert absences.why(DROP, reading(rows)) == "its clip was refused: LOW_RESOLUTION"


def test_a_clip_that_has_come_since_waits_for_a_run():
    said = absences.why(decided("drop", WALK, "clip"), reading(there()))
    assert said.endswith(": run the pipeline")


@pytest.mark.parametrize("stage", ["videos", *STAGES])
def test_a_table_that_is_not_there_yet_is_no_refusal(stage):
    rows = {name: row for name, row in there().items() if name != stage}
    assert absences.why(DROP, reading(rows)).endswith(": run the pipeline")


def test_only_what_leads_to_the_thing_itself_counts():
    rows = there()
    rows["mask"] |= {"outcome": "dropped", "reason": "EMPTY_MASK"}
    item = decided("drop", CROP, "item")
    assert "older than what leads to it" in absences.why(item, reading(rows))
    cutout = decided("drop", CROP, "cutout")
    assert absences.why(cutout, reading(rows)) == "its cut-out was refused: EMPTY_MASK"
    caption = decided("caption", CROP, "cutout", value="sks")
    assert absences.why(caption, reading(there())) == "no image is made of it any more"


def test_of_a_picture_that_is_no_reference_any_more():
    said = absences.why(decided("drop", "0" * 64, "reference"), reading({}))
    assert said == "no picture of subject.references or subject.not has these bytes now"


def test_an_effect_has_it_and_each_table_is_read_once_for_all_that_are_gone():
    rows = there()
    rows["crop"] |= {"outcome": "dropped", "reason": "TOO_SMALL"}
    rows["final"] = None
    asked: list[str] = []

    def rows_of(stage, video):
        asked.append(stage)
        return reading(rows)(stage, video)

    decisions = [DROP, decided("drop", IMAGE.replace("v2", "v1"), "image")]
    found = effects.with_absences(effects.effects(decisions, rows_of), rows_of)
    assert [effect.state for effect in found] == ["absent"] * 2
    assert {effect.reason for effect in found} == {"its crop was refused: TOO_SMALL"}
    assert asked.count("crop") == asked.count("videos") == 1
