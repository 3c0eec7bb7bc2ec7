"""Files of the dataset that somebody, or a disk, changed between two stages."""

from __future__ import annotations

import pytest

from ferrari.ledger import tables
from tests.faults.injecting import assert_resumes, attempt, table, undo

pytestmark = pytest.mark.timeout(600)


@pytest.mark.slow
def test_a_flipped_bit_between_stages(demo, tmp_path):
    """One bit of a cut-out flipped: its row says so, it goes no further, the rest goes on."""
    copy = demo.copy(tmp_path / "copy")
    made = table(copy, "mask", "portrait-hall")
    struck = tables.kept(tables.read_stage(made, "mask"))[0]
    file = copy.dataset / struck["path"]
    whole = file.read_bytes()
    file.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    undo(copy, "augment", "portrait-hall")
    target = f"dataset/04_augmented/{made.name}"
    copy.run("--cores", "1", target)
    rows = tables.read_stage(copy.folder / target, "augment")
    refused = [row for row in rows if row["parent"] == struck["item"]]
    assert {(row["outcome"], row["reason"]) for row in refused} == {
        ("quarantined", "UNREADABLE_CUTOUT")
    }
    assert all(row["outcome"] == "kept" for row in rows if row not in refused)
    file.write_bytes(whole)
    (copy.folder / target).unlink()
    assert_resumes(copy, demo)


@pytest.mark.slow
def test_a_table_cut_off_in_a_row(demo, tmp_path):
    """A table cut off within a row: the next stage stops and names it; deleted, it is made anew."""
    copy = demo.copy(tmp_path / "copy")
    undo(copy, "augment", "portrait-hall")
    cut = table(copy, "mask", "portrait-hall")
    text = cut.read_text()
    cut.write_text(text[: text.rindex(",kept,") + 10])
    output = attempt(copy)
    assert f"{cut.name}: row" in output and "the table is damaged; delete it" in output
    cut.unlink()
    assert_resumes(copy, demo)


@pytest.mark.slow
def test_a_table_cut_off_between_rows(demo, tmp_path):
    """A table that lost whole rows: sums no longer balance, packaging stops and names the clip."""
    copy = demo.copy(tmp_path / "copy")
    cut = table(copy, "mask", "portrait-hall")
    lines = cut.read_text().splitlines(keepends=True)
    cut.write_text("".join(lines[:-1]))
    output = attempt(copy, "all")
    assert "QualityGateError" in output and "portrait-hall" in output
    cut.unlink()
    copy.run("--cores", "2")
    assert copy.digests() == demo.digests()
