"""Clips whose files are sound and that gave no image: which, and why."""

from __future__ import annotations

import pytest

from ferrari.ledger import stages, tables
from ferrari.ledger.reason_words import sentence
from ferrari.ledger.without_images import as_lines, headline, of_set, reasons

#: By clip: the rows of each stage as outcome or reason; what is not kept has a reason.
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
        for stage in (*stages.FOLDERS, "final"):
            before = made.get(stage, ["kept"] if stage != "final" else [])
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


def test_it_is_said_in_words_with_names_and_where_to_look():
    found = {"NOT_SUBJECT": [f"{n}.mp4" for n in range(6)], "": ["short.mp4"]}
    lines = as_lines(found, 18)
    assert lines[0] == "Clips without an image, though their files are sound: 7 of 18."
    said = sentence("NOT_SUBJECT")
    assert lines[1] == f"  6 NOT_SUBJECT (0.mp4, 1.mp4, 2.mp4, 3.mp4 and 2 more): {said}"
    assert lines[2] == "  1 (short.mp4): Nothing came of it."
    assert lines[3] == '  What became of one: make trace ITEM="0.mp4"'
    assert (as_lines({}, 18), headline({}, 18), reasons({})) == ([], "", [])
