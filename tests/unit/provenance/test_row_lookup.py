"""Rows looked up are those that reading the table gives, whatever its cells hold."""

from __future__ import annotations

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
    table = Table(path)
    for row in rows:
        assert table.find(row["item"]) == row
    for number in set(range(-1, 402, 7)) - set(numbers):
        assert table.find(f"v-f{number:06d}") is None
    assert [table.row(record) for record in table.records()] == rows


def test_a_row_that_stands_inside_a_cell_is_not_taken_for_one(tmp_path):
    """The cell holds what looks exactly like a record of its own, between two line breaks."""
    forged = "v-f000005,kept,forged,x"
    rows = [
        {"item": f"v-f{n:06d}", "outcome": "kept", "detail": f"a\n{forged}\nb" * 9, "more": ""}
        for n in range(0, 20, 2)
    ]
    _write(tmp_path / "t.csv", rows)
    table = Table(tmp_path / "t.csv")
    assert table.find("v-f000005") is None
    assert all(table.find(row["item"]) == row for row in rows)


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "is empty"), ("item,outcome\nv-f000001\n", "1 cells, the header 2")],
)
def test_a_damaged_table_is_an_error_that_says_so(tmp_path, content, message):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(tables.LedgerError, match=message):
        table = Table(tmp_path / "t.csv")
        [table.row(record) for record in table.records()]


def test_a_table_that_ends_inside_a_cell_is_an_error(tmp_path):
    (tmp_path / "t.csv").write_text('item,outcome\nv-f000001,"kept\n')
    with pytest.raises(tables.LedgerError, match="ends inside"):
        list(Table(tmp_path / "t.csv").records())
