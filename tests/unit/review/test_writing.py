"""Rows are added whole, one write each, by however many writers; a killed one leaves no half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from ferrari.review import decisions, writing
from ferrari.review.contract import COLUMNS
from ferrari.review.decisions import DecisionsError
from tests.settings import ENVIRONMENT
from tests.unit.review.rows import HEADER, decided

WRITER = """
import sys
from ferrari.review import writing
from tests.unit.review.rows import decided
while True:
    row = decided("drop", reason="x" * 300)
    writing.append(sys.argv[1], [row])
    print(row.id, flush=True)
"""


def writer(folder):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_writers_who_are_killed_lose_no_acknowledged_row_and_leave_no_half_line(tmp_path):
    both = [writer(tmp_path), writer(tmp_path)]
    said = [[process.stdout.readline().strip() for _ in range(20)] for process in both]
    for process in both:
        process.send_signal(signal.SIGKILL)
    said = [own + process.communicate()[0].split() for own, process in zip(said, both, strict=True)]
    written = [line.row.id for line in decisions.read(decisions.place(tmp_path))]
    assert set().union(*said) <= set(written) and len(written) == len(set(written))
    for own in said:
        assert [name for name in written if name in set(own)] == own, "each in its order"
    assert decisions.place(tmp_path).read_text().count(HEADER) == 1


def test_nothing_is_added_to_a_line_that_is_cut_off(tmp_path):
    writing.append(tmp_path, [decided("drop")])
    path = decisions.place(tmp_path)
    path.write_bytes(path.read_bytes() + b"abcd,2026")
    before = path.read_bytes()
    with pytest.raises(DecisionsError, match="cut off"):
        writing.append(tmp_path, [decided("drop")])
    assert path.read_bytes() == before


@pytest.mark.parametrize("cells", [{"reason": "two\nlines"}, {"who": ""}, {"value": "x"}])
def test_a_row_that_nobody_could_read_is_not_written(tmp_path, cells):
    with pytest.raises(DecisionsError):
        writing.append(tmp_path, [decided("drop", **cells)])
    assert not decisions.place(tmp_path).exists()


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    writing.append(tmp_path, [decided("drop")])
    before, write = decisions.place(tmp_path).read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    with pytest.raises(DecisionsError, match="only a part"):
        writing.append(tmp_path, [decided("drop")])
    assert decisions.place(tmp_path).read_bytes() == before


def test_each_line_has_all_columns(tmp_path):
    writing.append(tmp_path, [decided("drop"), decided("keep")])
    lines = decisions.place(tmp_path).read_text().splitlines()
    assert len(lines) == 3 and {line.count(",") for line in lines} == {len(COLUMNS) - 1}
