"""The ledger's sums while a run goes on: what is counted, what is to come, what is lost."""

import os

import pytest

from ferrari.dashboard.ledger_sums import LedgerSums
from ferrari.ledger.stages import FINAL_CSV, FOLDERS, table
from tests.unit.large_dataset import write_tables

CLIPS, FRAMES, VARIANTS = 3, 4, 2


@pytest.fixture
def dataset(tmp_path):
    """Three finished clips, four kept frames and a duplicate each, two variants a crop."""
    write_tables(tmp_path, CLIPS, FRAMES, VARIANTS)
    return tmp_path


def counted(sums: LedgerSums, keys=None) -> dict:
    sums.look(keys)
    assert sums.count(60) == 0
    return {one.stage: one for one in sums.sums()}


def clips(dataset) -> list[str]:
    return sorted(path.stem for path in (dataset / FOLDERS["probe"]).glob("*.csv"))


def newer(path, than) -> None:
    """Have a table look as if it was written after another one."""
    ns = than.stat().st_mtime_ns + 1_000_000
    os.utime(path, ns=(ns, ns))


def test_a_finished_set_balances(dataset):
    sums = counted(LedgerSums(dataset))
    frames, images = CLIPS * FRAMES, CLIPS * FRAMES * VARIANTS
    kept = {stage: one.kept for stage, one in sums.items()}
    assert kept == {
        **{"probe": CLIPS, "extract": frames, "detect": frames, "crop": frames, "mask": frames},
        **{"augment": images, "caption": images, "final": images},
    }
    assert sums["extract"].considered == frames + CLIPS and sums["extract"].dropped == CLIPS
    assert sums["extract"].refused == (("dropped", "DUPLICATE_FRAME", CLIPS),)
    for one in sums.values():
        assert one.considered == one.kept + one.dropped + one.quarantined
        assert (one.waiting, one.lost) == (0, 0)


def test_what_has_no_table_yet_is_still_to_come(dataset):
    first = clips(dataset)[0]
    (dataset / table("mask", first)).unlink()
    sums = counted(LedgerSums(dataset))
    assert sums["mask"].waiting == FRAMES and sums["mask"].tables == CLIPS - 1
    assert sums["augment"].waiting == 0, "its table is still there"


def test_an_older_table_than_the_one_before_is_still_to_come(dataset):
    """The crops were made anew, and stage 3 has not come to them: nothing is lost."""
    first = clips(dataset)[0]
    crops = dataset / table("crop", first)
    head, *rows = crops.read_text().splitlines(keepends=True)
    crops.write_text(head + "".join(rows) + rows[0].replace("f000000", "f000009"))
    newer(crops, dataset / table("mask", first))
    sums = counted(LedgerSums(dataset))
    assert (sums["mask"].waiting, sums["mask"].lost) == (FRAMES + 1, 0)


def test_a_kept_row_that_nothing_comes_of_is_lost(dataset):
    first = clips(dataset)[0]
    masks = dataset / table("mask", first)
    *rows, _ = masks.read_text().splitlines(keepends=True)
    masks.write_text("".join(rows))
    sums = counted(LedgerSums(dataset))
    assert sums["mask"].lost == 1


def test_a_row_that_the_final_table_lost(dataset):
    final = dataset / FINAL_CSV
    *rows, _ = final.read_text().splitlines(keepends=True)
    final.write_text("".join(rows))
    assert counted(LedgerSums(dataset))["final"].lost == 1


def test_only_what_changed_is_counted_again(dataset, monkeypatch):
    sums = LedgerSums(dataset)
    counted(sums)
    opened = []
    outcomes = sums._outcomes
    monkeypatch.setattr(sums, "_outcomes", lambda path: opened.append(path) or outcomes(path))
    first = clips(dataset)[0]
    masks = dataset / table("mask", first)
    masks.write_text(
        masks.read_text().replace("kept", "dropped,EMPTY_MASK", 1).replace(",,", ",", 1)
    )
    found = counted(sums, [("mask", first), ("crop", first)])
    assert opened == [masks]
    assert found["mask"].kept == CLIPS * FRAMES - 1
    assert found["mask"].refused == (("dropped", "EMPTY_MASK", 1),)


def test_a_table_that_goes_counts_no_more(dataset):
    sums = LedgerSums(dataset)
    counted(sums)
    for folder in FOLDERS.values():
        (dataset / folder / f"{clips(dataset)[-1]}.csv").unlink() if folder != "videos" else None
    assert counted(sums)["mask"].tables == CLIPS - 1


def test_without_time_it_says_how_much_is_left(dataset):
    sums = LedgerSums(dataset)
    sums.look()
    assert sums.count(0) == CLIPS * len(FOLDERS) + 1
    assert all(one.considered == 0 for one in sums.sums())


def test_a_table_that_cannot_be_opened_is_named_and_the_others_count(dataset):
    path = dataset / table("mask", clips(dataset)[0])
    path.unlink()
    path.mkdir()
    sums = LedgerSums(dataset)
    assert counted(sums)["mask"].tables == CLIPS - 1
    ((key, why),) = sums.damaged.items()
    assert key == ("mask", clips(dataset)[0]) and str(path) in why


def test_a_damaged_table_is_named_and_the_others_count(dataset):
    broken = dataset / table("probe", clips(dataset)[0])
    broken.write_text(broken.read_text() + '"half a')
    sums = LedgerSums(dataset)
    assert counted(sums)["probe"].tables == CLIPS - 1
    ((key, why),) = sums.damaged.items()
    assert key == ("probe", clips(dataset)[0]) and "make verify" in why


def test_no_dataset_yet(tmp_path):
    assert all(one.considered == 0 for one in counted(LedgerSums(tmp_path / "none")).values())


def test_a_file_that_is_called_like_an_outcome(dataset):
    """Of a clip's own row the parent is the file's name: it says nothing of the outcome."""
    probe = dataset / table("probe", clips(dataset)[0])
    probe.write_text(probe.read_text().replace("clip 0000.mp4,kept", '"a,kept,OK,",quarantined'))
    sums = counted(LedgerSums(dataset))
    assert sums["probe"].kept + sums["probe"].quarantined == CLIPS
