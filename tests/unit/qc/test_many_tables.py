"""Tables of many clips as one frame: each row with its clip, whatever a clip has."""

from pathlib import Path

import pytest

from ferrari.ledger.tables import write_table
from ferrari.qc import identity_tables, track_checks
from ferrari.subject import track_table


@pytest.mark.parametrize(
    ("load", "columns"),
    [(identity_tables.load, identity_tables.COLUMNS), (track_checks.load, track_table.COLUMNS)],
)
def test_each_row_has_its_clip_and_its_figures(tmp_path, monkeypatch, load, columns):
    monkeypatch.chdir(tmp_path)
    blank = dict.fromkeys(columns, "")
    for clip, tracks in {"one": ("", 0, 1), "none": (), "two": ("",)}.items():
        write_table(f"{clip}.csv", list(columns), [blank | {"track": track} for track in tracks])
    rows = load([str(Path(f"{clip}.csv")) for clip in ("none", "one", "two")])
    assert list(rows["video"]) == ["one", "one", "one", "two"]
    assert rows["track"].isna().sum() == 2 and rows["track"].sum() == 1
    assert len(load([])) == 0 and set(load([]).columns) == {*columns, "video"}
