"""Rows are added whole, one write each, by however many writers; a killed one leaves no half."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import pytest

from ferrari.review import decision_table, writing
from ferrari.review.contract import COLUMNS
from ferrari.review.decision_table import DecisionsError
from tests.settings import ENVIRONMENT
from tests.unit.review.rows import CROP, HEADER, WHEN, decided

LINE = f"abcd1,{WHEN},ana,item,{CROP},,drop,,blurred,,\n".encode()

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
    written = [line.row.id for line in decision_table.read(decision_table.place(tmp_path))]
    assert set().union(*said) <= set(written) and len(written) == len(set(written))
    for own in said:
        assert [name for name in written if name in set(own)] == own, "each in its order"
    assert decision_table.place(tmp_path).read_text().count(HEADER) == 1


def torn(folder, data):
    """A table with a row, and behind it what a killed writer left."""
    writing.append(folder, [decided("drop", id="first")])
    with open(decision_table.place(folder), "ab") as stream:
        stream.write(data)
    return decision_table.place(folder).read_bytes()


PARTS = [
    *(b"a", b"abcd,2026", b"abcd,2026-01-31T18:05:00Z,\xc3", b'abcd,"x'),
    LINE[:-1].replace(b",,", b"", 1),  # a cell too few: it may have been cut off within a cell
    LINE[:-1].replace(b"drop", b"dro"),
]


@pytest.mark.parametrize("part", PARTS)
def test_a_line_that_is_cut_off_is_put_aside_by_the_next_row(tmp_path, part):
    torn(tmp_path, part)
    said = writing.append(tmp_path, [decided("keep", id="second")])
    path = decision_table.place(tmp_path)
    assert [line.row.id for line in decision_table.read(path)] == ["first", "second"]
    kept = path.with_name(writing.TORN)
    assert kept.read_bytes() == part + b"\n" and "was cut off" in said and str(kept) in said


def test_what_is_put_aside_is_kept_each_time(tmp_path):
    path = decision_table.place(tmp_path)
    path.parent.mkdir()
    for part in (b"one", b"two"):
        path.write_bytes(part)
        assert writing.mend(tmp_path) and not writing.mend(tmp_path)
    assert path.with_name(writing.TORN).read_text() == "one\ntwo\n"
    writing.append(tmp_path, [decided("drop", id="first")])
    assert [line.row.id for line in decision_table.read(path)] == ["first"]


def test_a_row_that_lacks_only_its_end_gets_it(tmp_path):
    """An editor that writes no last line's end; nothing that a person decided may be put aside."""
    before = torn(tmp_path, LINE[:-1])
    assert "lacked its end" in writing.mend(tmp_path)
    assert decision_table.place(tmp_path).read_bytes() == before + b"\n"
    lines = decision_table.read(decision_table.place(tmp_path))
    assert [line.row.id for line in lines] == ["first", "abcd1"]
    assert not decision_table.place(tmp_path).with_name(writing.TORN).exists()


def test_there_is_nothing_to_mend_in_a_sound_table_or_in_none(tmp_path):
    assert writing.mend(tmp_path) == "" and not decision_table.place(tmp_path).exists()
    before = torn(tmp_path, b"")
    assert writing.mend(tmp_path) == "" and decision_table.place(tmp_path).read_bytes() == before


@pytest.mark.parametrize("end", [b"\n", b"\r\n\n", b"\n\r\n"])
@pytest.mark.parametrize("before", [b"", HEADER.encode(), HEADER.encode() + LINE])
def test_a_row_behind_blank_lines_takes_their_place(tmp_path, before, end):
    """Else they would stand between two rows, and no run could read the table."""
    path = decision_table.place(tmp_path)
    path.parent.mkdir()
    path.write_bytes(before + end)
    assert writing.append(tmp_path, [decided("drop", id="added")]) == ""
    start = before or HEADER.encode()
    assert path.read_bytes() == start + LINE.replace(b"abcd1", b"added").replace(b"blurred", b"")


@pytest.mark.parametrize("cells", [{"reason": "two\nlines"}, {"who": ""}, {"value": "x"}])
def test_a_row_that_nobody_could_read_is_not_written(tmp_path, cells):
    with pytest.raises(DecisionsError):
        writing.append(tmp_path, [decided("drop", **cells)])
    assert not decision_table.place(tmp_path).exists()


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    writing.append(tmp_path, [decided("drop")])
    before, write = decision_table.place(tmp_path).read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    with pytest.raises(DecisionsError, match="only a part"):
        writing.append(tmp_path, [decided("drop")])
    assert decision_table.place(tmp_path).read_bytes() == before


def test_each_line_has_all_columns(tmp_path):
    writing.append(tmp_path, [decided("drop"), decided("keep")])
    lines = decision_table.place(tmp_path).read_text().splitlines()
    assert len(lines) == 3 and {line.count(",") for line in lines} == {len(COLUMNS) - 1}


def test_a_table_in_utf_16_is_refused_and_stays_as_it_is(tmp_path):
    """A spreadsheet's "Unicode text": its last byte is no end of a line, and no line is torn."""
    path = decision_table.place(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(f"{HEADER}{LINE.decode()}".encode("utf-16"))
    before = path.read_bytes()
    for act in (
        lambda: writing.mend(tmp_path),
        lambda: writing.append(tmp_path, [decided("drop")]),
    ):
        with pytest.raises(DecisionsError, match="line 1 is not UTF-8; save the table as"):
            act()
    assert path.read_bytes() == before and not path.with_name(writing.TORN).exists()


def test_a_sound_table_is_not_opened_for_writing(tmp_path, monkeypatch):
    """Of a dataset on a disk that is read-only, decisions can be listed."""
    path = decision_table.place(tmp_path)
    path.parent.mkdir(parents=True)

    def locked(*_):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(writing, "_locked", locked)
    for sound in (b"", HEADER.encode() + LINE):
        path.write_bytes(sound)
        assert writing.mend(tmp_path) == ""
    path.write_bytes(LINE[:-9])
    with pytest.raises(OSError, match="Read-only"):
        writing.mend(tmp_path)
