"""Where a simulated card waits: every second of it has one cause, and none is lost."""

import json

import pytest

from bench import card_idle
from bench.card_idle import Span
from ferrari.jobs import run_events

CARD = [
    *(Span(0, 1, "detector", 8), Span(2, 4, "segmenter"), Span(5, 6, "detector", 8)),
    *(Span(10, 11, "segmenter", 1), Span(11.01, 12, "segmenter", 1), Span(13, 14, "segmenter", 1)),
    *(Span(20, 21, "segmenter", 1), Span(24, 25, "segmenter", 1), Span(24.5, 26, "detector", 8)),
]
JOBS = [
    *(Span(0, 6, "detect"), Span(6, 8, "crop"), Span(8, 14.5, "mask"), Span(17, 25.5, "mask")),
    Span(23, 26, "detect"),
]


def test_each_wait_has_one_cause_and_they_are_all_that_is_not_busy():
    found = card_idle.waits(CARD, JOBS)
    assert found == {
        card_idle.HANDED_OVER: pytest.approx(0.01),
        card_idle.LOADING: pytest.approx(2),  # 2 to 4
        card_idle.BEGINNING: pytest.approx(2 + 2),  # 1 to 2, 4 to 5, 6 to 8
        card_idle.CORES: pytest.approx(2 + 1 + 0.5 + 3 + 2),  # from 8, 12, 14, 17, 21
        card_idle.NO_MASK: pytest.approx(2.5),  # 14.5 to 17
        card_idle.ENDING: pytest.approx(1),  # 23 to 24
    }
    assert sum(found.values()) == pytest.approx(26 - 1 - 1 - 1 - 0.99 - 1 - 1 - 2)
    assert card_idle.told(found).startswith("the card waits: 8.5 s jobs prepare and write, 4.0 s")


def test_spans_are_read_as_they_are_noted_and_as_the_run_tells(tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "busy-1").write_text("2.5 3.0 8 detector\n")
    (notes / "busy-2").write_text("1.0 2.0 0 segmenter\n")
    assert card_idle.of_card(notes) == [Span(1, 2, "segmenter"), Span(2.5, 3, "detector", 8)]
    folder = tmp_path / run_events.FOLDER
    folder.mkdir(parents=True)
    told = [
        {"event": "began", "time": 1.0, "id": 1, "rule": "mask"},
        {"event": "began", "time": 1.5, "id": 2, "rule": "crop"},
        {"event": "ended", "time": 4.0, "id": 1},
    ]
    (folder / "20300101-1.jsonl").write_text("".join(json.dumps(e) + "\n" for e in told))
    assert card_idle.of_jobs(tmp_path) == [Span(1, 4, "mask")]
