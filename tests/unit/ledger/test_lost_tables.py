"""Which tables are named because they are gone: of a clip that has others, or of a finished set."""

import pytest

from ferrari.ledger import lost_tables

PATTERNS = ["probe/{video}.csv", "frames/{video}.csv"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Of `whole` both tables, of `half` one, of `new` none."""
    monkeypatch.chdir(tmp_path)
    for place in ("probe/whole.csv", "frames/whole.csv", "probe/half.csv"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()


@pytest.mark.usefixtures("folder")
def test_a_clip_without_any_table_is_not_named_before_the_set_is_finished():
    clips = ["half", "new", "whole"]
    assert lost_tables.of_clips(clips, PATTERNS, finished=False) == ["frames/half.csv"]
    assert lost_tables.of_clips(clips, PATTERNS, finished=True) == [
        "frames/half.csv",
        "probe/new.csv",
        "frames/new.csv",
    ]
