"""The ledger: rows with reasons, tables that read back, sums that balance."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferrari.ledger import balance, tables
from ferrari.ledger.columns import DROPPED, KEPT, OUTCOMES


def _row(item, parent, outcome):
    return tables.row("crop", item=item, parent=parent, outcome=outcome, reason="R")


def test_a_row_without_reason_or_with_unknown_column_or_outcome_is_refused():
    with pytest.raises(tables.LedgerError, match="without a reason"):
        tables.row("crop", item="a", parent="b", outcome=DROPPED)
    with pytest.raises(tables.LedgerError, match="unknown columns"):
        tables.row("crop", item="a", parent="b", outcome=KEPT, colour="red")
    with pytest.raises(tables.LedgerError, match="none of"):
        tables.row("crop", item="a", parent="b", outcome="gone", reason="R")


def test_tables_read_back_with_blanks_for_none_and_nan(tmp_path):
    row = _row("a", "b", DROPPED) | {"value": math.nan, "threshold": None, "detail": True}
    tables.write_stage(tmp_path / "t.csv", "crop", [row])
    (back,) = tables.read_stage(tmp_path / "t.csv", "crop")
    assert (back["item"], back["value"], back["threshold"], back["detail"]) == ("a", "", "", "1")


def test_two_rows_for_one_item_and_foreign_tables_are_errors(tmp_path):
    with pytest.raises(tables.LedgerError, match="more than one row"):
        tables.write_stage(tmp_path / "t.csv", "crop", [_row("a", "b", "kept")] * 2)
    tables.write_table(tmp_path / "old.csv", ["item"], [{"item": "a"}])
    with pytest.raises(tables.LedgerError, match=r"old\.csv lacks the columns"):
        tables.read_stage(tmp_path / "old.csv", "crop")


def test_balance_finds_what_was_lost_and_what_came_from_nowhere():
    before = [{"item": "a", "outcome": "kept"}, {"item": "b", "outcome": "kept"}]
    sums = balance.balance("crop", [_row("x", "a", "kept"), _row("y", "z", "dropped")], before)
    assert (sums.considered, sums.kept, sums.dropped) == (2, 1, 1)
    assert sums.unaccounted == ("b",) and sums.orphans == ("z",) and not sums.balanced


@given(st.dictionaries(st.text(min_size=1), st.lists(st.sampled_from(OUTCOMES), min_size=1)))
def test_a_stage_that_gives_each_parent_a_row_balances(children):
    before = [{"item": parent, "outcome": "kept"} for parent in children]
    rows = [
        _row(f"{parent}/{n}", parent, outcome)
        for parent, outcomes in children.items()
        for n, outcome in enumerate(outcomes)
    ]
    assert balance.balance("crop", rows, before).balanced


@given(
    st.dictionaries(st.text(min_size=1), st.sampled_from(OUTCOMES), min_size=1),
    st.data(),
)
def test_any_one_lost_row_unbalances_a_stage(outcomes, data):
    before = [{"item": item, "outcome": KEPT} for item in outcomes]
    rows = [_row(item, item, outcome) for item, outcome in outcomes.items()]
    lost = data.draw(st.sampled_from(sorted(outcomes)))
    left = [row for row in rows if row["item"] != lost]
    assert balance.balance("crop", left, before).unaccounted == (lost,)
    found = balance.balance("crop", rows, [row for row in before if row["item"] != lost])
    assert found.orphans == (lost,) and not found.balanced


_CELLS = st.one_of(
    st.text(st.characters(codec=None, exclude_characters="\0"), max_size=20),
    st.text(st.sampled_from("'=-,\"\n\r\t a\udcff"), max_size=6),  # guards, quotes, odd bytes
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(_CELLS, _CELLS), max_size=5))
def test_tables_give_back_any_text(tmp_path, pairs):
    rows = [{"a": first, "b": second} for first, second in pairs]
    path = tmp_path / "t.csv"
    try:
        tables.write_table(path, ["a", "b"], rows)
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte: no file name has one
        assert any("\ud800" <= char <= "\udfff" for pair in pairs for char in "".join(pair))
        return
    assert tables.read_table(path) == [
        {key: _as_decoded(text) for key, text in row.items()} for row in rows
    ]


def _as_decoded(text):
    """Bytes written as lone surrogates may join into a character when they are read again."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
