"""Clips whose files are sound and that gave no image: which, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferrari.ledger import csv_cells, stages, tables
from ferrari.ledger.reason_words import sentence
from ferrari.ledger.without_images import as_lines, headline, of_set, reasons, why

#: By clip: the rows of each stage as outcome or reason; what is not kept has a reason. Behind a
#: stage that kept nothing no table has rows.
CLIPS = {
    "me": {"extract": ["kept"], "crop": ["kept"], "final": ["kept", "DUPLICATE_IMAGE"]},
    "other": {"extract": ["kept", "DUPLICATE_FRAME"], "detect": ["kept"], "crop": ["NOT_SUBJECT"]},
    "third": {"extract": ["kept"], "detect": ["kept"], "crop": ["NOT_SUBJECT", "NOT_SUBJECT"]},
    "empty": {"extract": ["kept"], "detect": ["NO_SUBJECT"]},
    "tangle": {"crop": ["NOT_SUBJECT", "kept"], "mask": ["EMPTY_MASK"]},
    "copy": {"caption": ["kept"], "final": ["DUPLICATE_VIDEO", "DUPLICATE_VIDEO"]},
    "short": {"extract": []},
}
OUTCOME = {"kept": "kept", "EMPTY_MASK": "quarantined"}


@pytest.fixture
def dataset(tmp_path):
    """The tables of CLIPS."""
    final = []
    for video, made in CLIPS.items():
        alive = True
        for stage in (*stages.FOLDERS, "final"):
            before = made.get(stage, ["kept"] if stage != "final" else []) if alive else []
            alive &= "kept" in before
            rows = [
                tables.row(
                    stage,
                    item=f"{video}-{stage}{n}",
                    parent="",
                    outcome=OUTCOME.get(said, "dropped"),
                    reason="" if said == "kept" else said,
                    **({"video": video} if stage == "final" else {}),
                )
                for n, said in enumerate(before)
            ]
            if stage == "final":
                final += rows
            else:
                tables.write_stage(tmp_path / stages.table(stage, video), stage, rows)
    tables.write_stage(tmp_path / stages.FINAL_CSV, "final", final)
    return tmp_path


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"NOT_SUBJECT": 1, "UNSURE_WHO": 5}, "UNSURE_WHO"),
        ({"UNSURE_WHO": 2, "NOT_SUBJECT": 2}, "NOT_SUBJECT"),
        ({}, ""),
    ],
)
def test_the_most_frequent_reason_is_said(tmp_path, counts, said):
    assert why(tmp_path, "a", counts) == said


def test_each_clip_has_the_reason_of_the_stage_that_kept_nothing_of_it(dataset):
    images, found = of_set(dataset, {video: f"{video}.mp4" for video in CLIPS})
    assert images == {"me": 1}
    assert found == {
        "NOT_SUBJECT": ["other.mp4", "third.mp4"],
        "": ["short.mp4"],
        "DUPLICATE_VIDEO": ["copy.mp4"],
        "EMPTY_MASK": ["tangle.mp4"],
        "NO_SUBJECT": ["empty.mp4"],
    }
    assert next(iter(found)) == "NOT_SUBJECT"


def test_of_each_clip_one_table_is_opened_and_none_of_one_in_the_final_table(dataset, monkeypatch):
    """Of each clip without an image up to six were, twice a run."""
    opened, read = [], csv_cells.read

    def noted(path, *more):
        opened.append(Path(path).relative_to(dataset).as_posix())
        return read(path, *more)

    monkeypatch.setattr(csv_cells, "read", noted)
    of_set(dataset, {video: f"{video}.mp4" for video in CLIPS})
    stopped = {"other": "crop", "third": "crop", "empty": "detect", "tangle": "mask"}
    expected = [stages.table(stage, video) for video, stage in stopped.items()]
    assert sorted(opened) == sorted([stages.FINAL_CSV, *expected])


@pytest.mark.parametrize("stage", stages.FOLDERS)
def test_an_empty_table_is_told_by_its_size(tmp_path, stage):
    path = tmp_path / "clip.csv"
    assert not tables.may_have_rows(path, stage)
    tables.write_stage(path, stage, [])
    assert not tables.may_have_rows(path, stage)
    tables.write_stage(path, stage, [tables.row(stage, item="a", parent="", outcome="kept")])
    assert tables.may_have_rows(path, stage)


def test_a_table_without_rows_that_another_version_wrote_is_passed_over(dataset):
    path = dataset / stages.table("caption", "empty")
    path.write_text("item,outcome,reason,more\n")
    _, found = of_set(dataset, {"empty": "empty.mp4"})
    assert found == {"NO_SUBJECT": ["empty.mp4"]}


def test_it_is_said_in_words_with_names_and_where_to_look():
    found = {"NOT_SUBJECT": [f"{n}.mp4" for n in range(6)], "": ["short.mp4"]}
    lines = as_lines(found, 18)
    assert lines[0] == "Clips without an image, though their files are sound: 7 of 18."
    said = sentence("NOT_SUBJECT")
    assert lines[1] == f"  6 NOT_SUBJECT (0.mp4, 1.mp4, 2.mp4, 3.mp4 and 2 more): {said}"
    assert lines[2] == "  1 (short.mp4): Nothing came of it."
    assert lines[3] == '  What became of one: make trace ITEM="0.mp4"'
    assert (as_lines({}, 18), headline({}, 18), reasons({})) == ([], "", [])
