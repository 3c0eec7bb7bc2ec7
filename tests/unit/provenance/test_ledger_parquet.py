"""ledger.parquet holds what the tables hold, cell by cell, and has the same bytes every time."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from ferrari.common.atomic_files import sha256_file
from ferrari.ledger import tables as ledger_tables
from ferrari.provenance import ledger_parquet
from tests.unit.large_dataset import write_tables
from write_ledger import write_ledger


def tables_of(dataset) -> dict[str, list[str]]:
    """Paths of all tables of a dataset by stage."""
    final = dataset / "05_final_training"
    patterns = {
        "probe": dataset.glob("videos/*.csv"),
        "videos": dataset.glob("videos.csv"),
        "extract": dataset.glob("01_extracted_frames/*.csv"),
        "detect": dataset.glob("subject/detections/*.csv"),
        "crop": dataset.glob("02_yolo_crops/*.csv"),
        "mask": dataset.glob("03_masked_subjects/*.csv"),
        "environments": dataset.glob("environments.csv"),
        "augment": dataset.glob("04_augmented/*.csv"),
        "caption": final.glob("captions/*.csv"),
        "final": final.glob("final.csv"),
        "package": (path for path in final.glob("*.csv") if path.name != "final.csv"),
    }
    return {stage: [str(path) for path in paths] for stage, paths in patterns.items()}


def same(cell: str, value: object) -> bool:
    """True if a Parquet value is what the table's cell says."""
    if value is None:
        return cell == ""
    if isinstance(value, str):
        return value == cell.encode("utf-8", "backslashreplace").decode()
    return value == type(value)(cell)


def test_every_cell_of_every_table_is_there_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger_parquet, "ROWS", 50)  # several row groups
    write_tables(tmp_path / "dataset", clips=3, frames=6)
    tables = tables_of(tmp_path / "dataset")
    out = tmp_path / "audit/ledger.parquet"
    write_ledger(tables=tables, out_parquet=str(out))
    found = pq.read_table(out).to_pylist()
    expected = [
        (stage, path, row)
        for stage, paths in tables.items()
        for path in sorted(paths)
        for row in ledger_tables.iter_table(path)
    ]
    assert len(found) == len(expected) and pq.ParquetFile(out).num_row_groups > 3
    for got, (stage, path, row) in zip(found, expected, strict=True):
        assert got.pop("stage") == stage and f"/{got.pop('table')}.csv" in path
        video = got.pop("video")
        assert video == row.get("video", video) and row["item"].startswith(video) and video
        assert all(same(row.get(column, ""), value) for column, value in got.items())
        assert all(column in got or column == "video" for column in row)


def test_the_same_tables_give_the_same_bytes(tmp_path):
    write_tables(tmp_path / "dataset", clips=2, frames=3)
    tables = tables_of(tmp_path / "dataset")
    for name in ("a", "b"):
        given = {stage: paths[:: 1 if name == "a" else -1] for stage, paths in tables.items()}
        write_ledger(tables=given, out_parquet=str(tmp_path / f"{name}.parquet"))
    assert sha256_file(tmp_path / "a.parquet") == sha256_file(tmp_path / "b.parquet")


def test_hostile_text_survives_and_is_no_formula(tmp_path):
    table = tmp_path / "videos/v.csv"
    name = '=cmd|"a"\n\udcff.mp4'
    row = ledger_tables.row("probe", item="v", parent=name, outcome="kept", file=name, bytes=7)
    ledger_tables.write_stage(table, "probe", [row])
    write_ledger(tables={"probe": [str(table)]}, out_parquet=str(tmp_path / "l.parquet"))
    (got,) = pq.read_table(tmp_path / "l.parquet").to_pylist()
    assert got["file"] == '=cmd|"a"\n\\udcff.mp4' and got["bytes"] == 7 and got["fps"] is None


def test_text_where_a_number_belongs_is_an_error_that_names_the_row(tmp_path):
    table = tmp_path / "videos/v.csv"
    row = ledger_tables.row("probe", item="v", parent="v", outcome="kept", file="v", fps="fast")
    ledger_tables.write_stage(table, "probe", [row])
    with pytest.raises(ledger_tables.LedgerError, match="probe row v: fps is 'fast'"):
        write_ledger(tables={"probe": [str(table)]}, out_parquet=str(tmp_path / "l.parquet"))
    assert not (tmp_path / "l.parquet").exists()
