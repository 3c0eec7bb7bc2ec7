"""Every column of every table has a kind, said once."""

from ferrari.ledger.columns import COLUMNS, FILE_COLUMNS, KINDS, TEXT


def test_each_column_has_a_kind_and_each_kind_a_column():
    assert {name for columns in COLUMNS.values() for name in columns} == set(KINDS)


def test_no_table_has_a_column_twice():
    assert all(len(set(columns)) == len(columns) for columns in COLUMNS.values())


def test_files_and_digests_are_text():
    assert {KINDS[name] for pair in FILE_COLUMNS for name in pair} == {TEXT}
