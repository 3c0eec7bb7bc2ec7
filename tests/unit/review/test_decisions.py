"""Which rows of review/decisions.csv count, and what ends a run before its first job."""

from __future__ import annotations

import pytest

from ferrari.review import decisions, writing
from ferrari.review.decisions import DecisionsError
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
        path = decisions.place(tmp_path)
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
    path = decisions.place(tmp_path)
    table = decisions.Table(path)
    assert table.lines() == [] and table.row("first") is None
    rows = [decided("drop", id="first"), decided("keep"), undone(decided("drop", id="first"))]
    for row in rows:
        writing.append(tmp_path, [row])
        assert table.lines() == decisions.read(path) and table.row(row.id) == row
    path.write_text(HEADER + LINE)
    assert table.lines() == decisions.read(path) and table.row("first") is None
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


NOT_YET = [
    decided("merge_tracks", f"{WALK}-t3", "track", value="t4", target_sha256="0" * 64),
    decided("mask", CROP, "cutout", value="review/masks/one.png"),
    decided("duplicate_of", CROP, "item", value=CROP),
    decided("drop", "her.jpg", "reference"),
]


@pytest.mark.parametrize("row", NOT_YET, ids=lambda row: f"{row.decision} {row.scope}")
def test_what_is_not_applied_yet_is_said_and_may_be_taken_back(tmp_path, row):
    writing.append(tmp_path, [decided("drop"), row])
    with pytest.raises(DecisionsError, match=rf"line 3: \w+ is not applied yet.*UNDO={row.id}"):
        decisions.load(tmp_path)
    writing.append(tmp_path, [undone(row)])
    assert len(decisions.load(tmp_path).rows) == 1
