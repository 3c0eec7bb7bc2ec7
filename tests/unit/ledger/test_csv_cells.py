"""Cells of a table: no formula for a spreadsheet, and each text comes back as it was."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferrari.ledger import csv_cells, tables

HOSTILE = ["=1+2", "+a", "-b", "@c", "'quoted", "\tx", 'q"uote', "two\nlines", "plain", "\udcff"]
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_is_a_formula_and_each_comes_back(tmp_path, text):
    tables.write_table(tmp_path / "t.csv", ["name"], [{"name": text}])
    with open(tmp_path / "t.csv", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        cell = list(csv.reader(stream))[1][0]
    assert not cell.startswith(FORMULA)
    assert tables.read_table(tmp_path / "t.csv") == [{"name": text}]


@pytest.mark.parametrize(
    ("value", "cell"), [(-1.5, "-1.5"), (True, "1"), (None, ""), (float("nan"), ""), ("-3", "-3")]
)
def test_numbers_are_not_guarded(value, cell):
    assert csv_cells.guard(value) == cell


@given(st.text())
def test_any_text_comes_back_and_only_numbers_begin_like_formulas(text):
    cell = csv_cells.guard(text)
    assert csv_cells.unguard(cell) == text
    if cell.startswith(FORMULA):
        float(cell)


def test_a_row_cut_short_is_an_error_that_says_where(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3\n")
    with pytest.raises(tables.LedgerError, match="row 2 has 1 cells, the header 2"):
        tables.read_table(tmp_path / "t.csv")
