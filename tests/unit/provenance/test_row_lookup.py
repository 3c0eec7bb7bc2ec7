"""Rows found by byte offset are those that reading the table gives, whatever its cells hold."""

from __future__ import annotations

import bisect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferrari.ledger import tables
from ferrari.provenance.row_lookup import Table

NASTY = st.text(st.sampled_from("ab,\"\n\r'=é\udcff"), max_size=12)
ITEMS = st.lists(st.integers(0, 400), unique=True, min_size=1, max_size=40)


def _write(path, rows):
    tables.write_table(path, ("item", "outcome", "detail", "more"), rows)


@settings(max_examples=150, deadline=None)
@given(numbers=ITEMS, cells=st.lists(st.tuples(NASTY, NASTY), min_size=40, max_size=40))
def test_every_row_is_found_and_no_other(tmp_path_factory, numbers, cells):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    rows = [
        {"item": f"v-f{number:06d}", "outcome": "kept", "detail": detail, "more": more}
        for number, (detail, more) in zip(sorted(numbers), cells, strict=False)
    ]
    _write(path, rows)
    with Table(path) as table:
        for row in rows:
            assert table.find_sorted(row["item"]) == row == table.find(row["item"])
        for number in set(range(-1, 402, 7)) - set(numbers):
            assert table.find_sorted(f"v-f{number:06d}") is None is table.find(f"v-f{number:06d}")
        assert [table.row(record) for record in table.records()] == rows
        for prefix in ("v-f0000", "v-f00012", "v", "w", "a"):
            found = [table.row(record) for record in table.sorted_from(prefix)]
            assert found == [row for row in rows if row["item"].startswith(prefix)]


def test_a_row_that_stands_inside_a_cell_is_not_taken_for_one(tmp_path):
    """The cell holds what looks exactly like a record of its own, between two line breaks."""
    forged = "v-f000005,kept,forged,x"
    rows = [
        {"item": f"v-f{n:06d}", "outcome": "kept", "detail": f"a\n{forged}\nb" * 9, "more": ""}
        for n in range(0, 20, 2)
    ]
    _write(tmp_path / "t.csv", rows)
    with Table(tmp_path / "t.csv") as table:
        assert table.find("v-f000005") is None and table.find_sorted("v-f000005") is None
        assert all(table.find_sorted(row["item"]) == row for row in rows)


def test_binary_search_looks_at_few_records(tmp_path, monkeypatch):
    blank = {"outcome": "kept", "detail": "x, y", "more": ""}
    rows = [{"item": f"v-f{n:06d}", **blank} for n in range(20_000)]
    _write(tmp_path / "t.csv", rows)
    looked = []
    with Table(tmp_path / "t.csv") as table:
        real = table._item
        monkeypatch.setattr(table, "_item", lambda start: looked.append(start) or real(start))
        assert table.find_sorted("v-f012345")["item"] == "v-f012345"
    assert len(looked) < 2 * bisect.bisect([2**n for n in range(40)], len(rows)) + 4


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "is empty"), ("item,outcome\nv-f000001\n", "1 cells, the header 2")],
)
def test_a_damaged_table_is_an_error_that_says_so(tmp_path, content, message):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(tables.LedgerError, match=message), Table(tmp_path / "t.csv") as table:
        [table.row(record) for record in table.records()]


def test_a_table_that_ends_inside_a_cell_is_an_error(tmp_path):
    (tmp_path / "t.csv").write_text('item,outcome\nv-f000001,"kept\n')
    with pytest.raises(tables.LedgerError, match="ends inside"), Table(tmp_path / "t.csv") as table:
        list(table.records())
