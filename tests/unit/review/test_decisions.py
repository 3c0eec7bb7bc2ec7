"""Which rows of review/decisions.csv count, and what ends a run before its first job."""

from __future__ import annotations

import pytest

from ferrari.review import contract, decision_table, decisions, writing
from ferrari.review.decision_table import DecisionsError
from tests.unit.review.rows import (
    CROP,
    HEADER,
    IMAGE,
    WALK,
    WAVE,
    WHEN,
    decided,
    in_force,
    undone,
)

LINE = f"abcd1234,{WHEN},ana,item,{CROP},,drop,,blurred,,\n"


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = decision_table.place(tmp_path)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_no_table_and_an_empty_one_decide_nothing(tmp_path, table):
    assert decisions.load(tmp_path).rows == () and decisions.load(tmp_path).whole == ""
    table("")
    assert decisions.load(tmp_path).rows == ()
    table(HEADER)
    assert decisions.load(tmp_path).rows == ()


@pytest.mark.parametrize("text", [HEADER + LINE, "\ufeff" + (HEADER + LINE).replace("\n", "\r\n")])
def test_a_row_is_read_as_it_was_written(tmp_path, table, text):
    table(text)
    (row,) = decisions.load(tmp_path).rows
    assert row == decided("drop", id="abcd1234", reason="blurred")
    assert (row.video, row.stage, row.said()) == (WALK, "crop", f"ana, {WHEN}: blurred")


@pytest.mark.parametrize("end", ["\n", "\n\n", "\r\n", "\r\n\r\n"])
def test_blank_lines_at_the_very_end_are_none(tmp_path, table, end):
    """Editors of text add one; what an earlier look has parsed is not parsed again for it."""
    path = table(HEADER + LINE + end)
    read = decision_table.Table(path)
    assert [line.row.id for line in read.lines()] == ["abcd1234"]
    other = LINE.replace("abcd1234", "other1")
    path.write_text(HEADER + LINE + other)
    assert [line.row.id for line in read.lines()] == ["abcd1234", "other1"]
    table(HEADER + LINE + end + other)
    with pytest.raises(DecisionsError, match="line 3 has 0 cells"):
        decisions.load(tmp_path)
    table(HEADER + LINE + end + LINE[:30])
    with pytest.raises(DecisionsError, match="is cut off"):
        decisions.load(tmp_path)
    table(end)
    assert decisions.load(tmp_path).rows == ()


def test_what_is_written_is_read_back_whatever_text_it_holds(tmp_path):
    rows = [
        decided("caption", IMAGE, "image", value='=1+1, "quoted" \u2028 sks'),
        decided("drop", reason="'tis, ' = @", note="-2"),
    ]
    writing.append(tmp_path, rows)
    assert list(decisions.load(tmp_path).rows) == rows


def test_the_last_row_about_a_question_counts(tmp_path):
    drop, keep = decided("drop"), decided("keep")
    other, own = decided("drop", scope="cutout"), decided("caption", scope="cutout", value="sks")
    assert in_force(tmp_path, drop, other, own, keep) == (other, own, keep)


def test_an_undo_brings_back_what_counted_before_and_a_redo_takes_it_away(tmp_path):
    drop, keep = decided("drop"), decided("keep")
    back = undone(keep)
    assert in_force(tmp_path, drop, keep, back) == (drop,)
    assert in_force(tmp_path, drop, keep, back, undone(back)) == (keep,)
    assert in_force(tmp_path, drop, undone(drop), keep, back) == ()


def test_a_table_that_grows_is_read_as_one_that_is_read_anew(tmp_path):
    path = decision_table.place(tmp_path)
    table = decision_table.Table(path)
    assert table.lines() == [] and table.row("first") is None
    rows = [decided("drop", id="first"), decided("keep"), undone(decided("drop", id="first"))]
    for row in rows:
        writing.append(tmp_path, [row])
        assert table.lines() == decision_table.read(path) and table.row(row.id) == row
    path.write_text(HEADER + LINE)
    assert table.lines() == decision_table.read(path) and table.row("first") is None
    path.write_text(HEADER + LINE + LINE[:30])
    with pytest.raises(DecisionsError, match="line 3 is cut off"):
        table.lines()
    path.write_text(HEADER + LINE + LINE)
    with pytest.raises(DecisionsError, match="line 3: line 2 has the id abcd1234 already"):
        table.lines()
    path.unlink()
    assert table.lines() == []


def test_fifty_undos_and_redos_count_as_the_last_says(tmp_path):
    rows = [decided("drop")]
    for _ in range(50):
        rows.append(undone(rows[-1]))
        assert in_force(tmp_path, *rows) == (rows[:1] and ((rows[0],) if len(rows) % 2 else ()))


def test_digests_are_of_a_stage_and_a_clip_and_of_rows_in_force_alone(tmp_path):
    drop, image = decided("drop"), decided("drop", IMAGE, "image")
    caption = decided("caption", IMAGE, "image", value="sks")
    in_force(tmp_path, drop)
    first = decisions.load(tmp_path)
    in_force(tmp_path, drop, image, undone(image), caption)
    review = decisions.load(tmp_path)
    assert review.digest("crop", WALK) == first.digest("crop", WALK) != ""
    assert review.digest("caption", WALK) and not review.digest("mask", WALK)
    assert not review.digest("crop", WAVE) and not review.digest("final")
    assert decisions.of_job(tmp_path, review.digest("crop", WALK), "crop", WALK) == [drop]


def test_a_note_is_in_no_digest():
    assert decisions.digest([decided("drop", id="aaaa", note="x")]) == decisions.digest(
        [decided("drop", id="aaaa")]
    )


def test_a_table_that_changed_under_a_run_ends_the_job(tmp_path):
    in_force(tmp_path, decided("drop"))
    before = decisions.load(tmp_path).digest("crop", WALK)
    writing.append(tmp_path, [decided("keep")])
    with pytest.raises(DecisionsError, match="changed while this run was under way"):
        decisions.of_job(tmp_path, before, "crop", WALK)


NONSENSE = {
    "torn": (HEADER + LINE + LINE[:30], "line 3 is cut off"),
    "torn header": (HEADER[:10], "line 1 is cut off"),
    "other header": ("item,caption\n" + LINE, "line 1 is 'item,caption'"),
    "semicolons": ((HEADER + LINE).replace(",", ";"), "line 1 is 'id;when"),
    "blank line": (HEADER + "\n" + LINE, "line 2 has 0 cells"),
    "cells": (HEADER + LINE.replace("blurred", "a,b"), "line 2 has 12 cells"),
    "open quote": (HEADER + LINE.replace("blurred", '"blurred'), "line 2 is no line of a CSV"),
    "no UTF-8": ((HEADER + LINE).encode() + b"\xff\n", "line 3 is not UTF-8"),
    "id": (HEADER + LINE.replace("abcd1234", "a b"), "line 2: 'a b' is no id"),
    "id twice": (HEADER + LINE + LINE, "line 3: line 2 has the id abcd1234 already"),
    "when": (HEADER + LINE.replace(WHEN, "31.01.2026"), "line 2: when is '31.01.2026'"),
    "no day": (HEADER + LINE.replace("01-31", "02-31"), "line 2: when is '2026-02-31"),
    "who": (HEADER + LINE.replace("ana", " "), "line 2: nobody is named"),
    "decision": (HEADER + LINE.replace("drop", "dorp"), "line 2: there is no decision 'dorp'"),
    "scope": (HEADER + LINE.replace("item", "frame"), "of scope 'frame'"),
    "other scope": (HEADER + LINE.replace("item", "clip"), f"'{CROP}' is no id of a thing of"),
    "target": (HEADER + LINE.replace(CROP, "walk.mp4"), "'walk.mp4' is no id"),
    "sha": (HEADER + LINE.replace(",,drop", ",ABC,drop"), "target_sha256 is 64 hex digits"),
    "value": (HEADER + LINE.replace("drop,", "drop,x"), "drop has no value"),
    "no value": (HEADER + LINE.replace("item", "cutout").replace("drop", "caption"), "a value"),
    "track": (
        HEADER + LINE.replace(f"item,{CROP}", f"track,{WALK}-t3").replace("drop", "is_subject"),
        "of a track target_sha256 is needed",
    ),
    "undoes": (HEADER + LINE.replace("blurred,", "blurred,other"), "only undo takes a row back"),
    "undo of nothing": (HEADER + f"aaaa1,{WHEN},ana,,,,undo,,,,\n", "undo needs in `undoes`"),
    "undo of later": (
        HEADER + f"aaaa1,{WHEN},ana,,,,undo,,,abcd1234,\n" + LINE,
        "line 2: no row before it has the id abcd1234",
    ),
    "undo of another's": (
        HEADER + LINE + f"aaaa1,{WHEN},ana,clip,{WALK},,undo,,,abcd1234,\n",
        f"line 3: it undoes abcd1234, which is about item {CROP}",
    ),
}


@pytest.mark.parametrize(("text", "said"), NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_an_error_with_its_line(tmp_path, table, text, said):
    path = table(text)
    with pytest.raises(DecisionsError) as error:
        decisions.load(tmp_path)
    assert said in str(error.value) and str(path) in str(error.value)


SHA = "0" * 64
MASK_PLACE = f"review/masks/{CROP}-{'a' * 12}.png"
OTHER = CROP.replace("f000003", "f000004")
SOUND = [
    decided(
        "merge_tracks", f"{WALK}-t3", "track", value=f"{WALK}-t4 {'1' * 64}", target_sha256=SHA
    ),
    decided("mask", CROP, "cutout", value=MASK_PLACE, target_sha256=SHA),
    decided("duplicate_of", CROP, "item", value=OTHER),
    decided("duplicate_of", IMAGE, "image", value=IMAGE.replace(WALK, WAVE)),
    decided("drop", SHA, "reference"),
    decided("keep", "her.jpg", "reference", target_sha256=SHA),
]


@pytest.mark.parametrize("row", SOUND, ids=lambda row: f"{row.decision} {row.scope}")
def test_each_kind_may_be_said(row):
    assert contract.fault_of(row) == "" and row.stage


FAULTS = {
    "merge without a digest": (SOUND[0]._replace(value=f"{WALK}-t4"), "id of another track"),
    "merge over clips": (SOUND[0]._replace(value=f"{WAVE}-t4 {'1' * 64}"), "id of another track"),
    "merge with itself": (SOUND[0]._replace(value=f"{WALK}-t3 {SHA}"), "not merged with itself"),
    "mask elsewhere": (SOUND[1]._replace(value="../a.png"), "the value of mask is review/masks/"),
    "mask of another": (SOUND[1]._replace(target=OTHER), "the value of mask is review/masks/"),
    "mask of no pixels": (SOUND[1]._replace(target_sha256=""), "digest of the crop's file"),
    "of itself": (SOUND[2]._replace(value=CROP), "no duplicate of itself"),
    "of a frame": (SOUND[2]._replace(value=CROP[:-3]), "the id of the item that it repeats"),
    "of another clip": (SOUND[2]._replace(value=CROP.replace(WALK, WAVE)), "name their images"),
    "picture by name": (SOUND[4]._replace(target="her.jpg"), "the SHA-256 of its file"),
}


@pytest.mark.parametrize(("row", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_values_that_lead_nowhere_are_refused(row, said):
    assert said in contract.fault_of(row)


def test_a_picture_is_one_under_any_name_and_duplicates_answer_whether_a_thing_stays(tmp_path):
    drop, keep = SOUND[4], SOUND[5]
    assert in_force(tmp_path, drop, keep) == (keep,)
    assert in_force(tmp_path, decided("drop"), SOUND[2]) == (SOUND[2],)
    assert decisions.load(tmp_path).of("crop", WALK) == [SOUND[2]]


def test_a_track_may_be_one_person_with_several_others(tmp_path):
    other = SOUND[0]._replace(id="other", value=f"{WALK}-t5 {'2' * 64}")
    assert in_force(tmp_path, SOUND[0], other) == (SOUND[0], other)
