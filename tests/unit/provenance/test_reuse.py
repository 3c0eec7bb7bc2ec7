"""What a job may leave as it is, or take over: only what its stamp still says, file by file."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from ferrari.common.atomic_files import sha256_bytes
from ferrari.jobs.stage_job import Files, Params
from ferrari.ledger import tables
from ferrari.ledger.open_rows import is_open, limit_that_ended
from ferrari.provenance import reuse, table_stamps
from ferrari.provenance.reuse import Earlier, chained_digests, item_digest

LIMITS = {"memory_mb": 100, "timeout_s": 10}
VIDEO = "walk-0123456789"


def mask_row(item: str, data: bytes = b"", **fields: object) -> tables.Row:
    kept = {"path": f"03_masked_subjects/{VIDEO}/{item}.png", "sha256": sha256_bytes(data)}
    given = (kept if data else {}) | {"outcome": "kept", "reason": "OK"} | fields
    return tables.row("mask", item=f"{item}-p0", parent=item, **given)


class Made:
    """A dataset with one table of cut-outs, its images and its stamp, as a job has left them."""

    def __init__(self, root) -> None:
        self.root, self.table = root, root / f"03_masked_subjects/{VIDEO}.csv"
        self.source = root / f"01_extracted_frames/{VIDEO}.csv"
        self.folder = self.table.with_suffix("")
        self.folder.mkdir(parents=True)
        self.source.parent.mkdir()
        self.source.write_text("item\n1\n")
        rows = []
        for item in ("a", "b"):
            data = f"picture {item}".encode()
            (self.folder / f"{item}.png").write_bytes(data)
            rows.append(mask_row(item, data))
        lost = {"outcome": "quarantined", "reason": "OUT_OF_MEMORY"}
        rows.append(mask_row("c", **lost))
        tables.write_stage(self.table, "mask", rows)
        self.digests = {item: item_digest(item) for item in ("a", "b", "c")}
        table_stamps.seal(self.job(), self.digests)

    def job(self, code="1", limits=LIMITS, **settings) -> SimpleNamespace:
        return SimpleNamespace(
            rule="mask",
            input=Files({"table": [str(self.source)]}),
            output=Files({"table": [str(self.table)]}),
            params=Params(code=code, limits=limits, settings={"pad": 0.1, **settings}),
            config={"dataset": str(self.root)},
        )

    def holds(self, **changed) -> bool:
        job = self.job(**changed)
        return reuse.holds(reuse.stamp_of(job), job)

    def taken(self, scratch, digests=None, **changed) -> set[str]:
        job = self.job(**changed)
        return set(Earlier.of(reuse.stamp_of(job), job).take_all(digests or self.digests, scratch))


def test_rows_are_taken_in_order_up_to_the_first_that_has_to_be_made(made, scratch):
    job = made.job()
    earlier = Earlier.of(reuse.stamp_of(job), job)
    assert set(earlier.take_first(made.digests, scratch)) == {"a", "b", "c"}
    changed = {**made.digests, "b": "other"}
    assert set(earlier.take_first(changed)) == {"a"} and set(earlier.take_all(changed)) == {
        "a",
        "c",
    }


def test_a_chained_digest_covers_the_rows_before():
    lines = [{"item": item, "sha256": item * 4} for item in "abc"]
    whole = chained_digests(lines)
    assert list(whole) == ["a", "b", "c"] and chained_digests(lines[:2]) == {
        item: whole[item] for item in "ab"
    }
    other = chained_digests([lines[0], {**lines[1], "sha256": "x"}, lines[2]])
    assert other["a"] == whole["a"] and other["b"] != whole["b"] and other["c"] != whole["c"]
    assert chained_digests(lines[1:])["c"] != whole["c"]


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path / "dataset")


@pytest.fixture
def scratch(tmp_path):
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def test_a_job_that_would_make_the_same_leaves_its_table_and_shows_that_it_looked(made):
    before, content = made.table.stat().st_mtime_ns, made.table.read_bytes()
    job = made.job()
    assert reuse.holds(reuse.stamp_of(job), job)
    reuse.leave_alone(job)
    assert made.table.stat().st_mtime_ns > before and made.table.read_bytes() == content


@pytest.mark.parametrize(
    "changed",
    [{"code": "2"}, {"pad": 0.2}, {"limits": {"memory_mb": 101, "timeout_s": 10}}],
    ids=["code", "setting", "raised limit"],
)
def test_a_change_of_its_maker_runs_it(made, changed):
    assert made.holds() and not made.holds(**changed)


def test_limits_that_ended_no_row_and_lower_ones_run_nothing(made):
    assert made.holds(limits={"memory_mb": 100, "timeout_s": 99})
    assert made.holds(limits={"memory_mb": 50, "timeout_s": 10})


def test_other_tables_libraries_and_lost_files_run_it(made, monkeypatch):
    image = made.folder / "a.png"
    image.rename(made.folder / "kept aside")
    assert not made.holds()
    (made.folder / "kept aside").rename(image)
    assert made.holds()
    monkeypatch.setattr(table_stamps, "versions", lambda rule: {"numpy": "0"})
    assert not made.holds()
    monkeypatch.undo()
    made.source.write_text("item\n2\n")
    assert not made.holds()


def test_a_table_that_is_not_the_stamps_own_is_not_believed(made):
    made.table.write_text(made.table.read_text().replace("walk", "walk"))
    assert made.holds()
    made.table.write_text(made.table.read_text() + "\n")
    assert not made.holds() and reuse.stamp_of(made.job()) is None


def test_rows_are_taken_over_with_their_files_and_open_ones_are_not(made, scratch):
    assert made.taken(scratch) == {"a", "b", "c"}
    assert (scratch / "a.png").samefile(made.folder / "a.png")
    assert made.taken(scratch, limits={"memory_mb": 200, "timeout_s": 10}) == {"a", "b"}
    assert made.taken(scratch, {**made.digests, "b": "another"}) == {"a", "c"}
    assert made.taken(scratch, pad=0.2) == set()


def test_a_digest_over_single_items_runs_the_job_and_opens_none_of_the_others(made, scratch):
    job = made.job()
    job.params["overrides"] = "0123456789abcdef"
    stamp = reuse.stamp_of(job)
    assert not reuse.holds(stamp, job)
    assert set(Earlier.of(stamp, job).take_all(made.digests, scratch)) == {"a", "b", "c"}


def test_a_file_that_is_not_as_its_row_says_is_made_again(made, scratch):
    (made.folder / "a.png").write_bytes(b"picture A")
    (made.folder / "b.png").unlink()
    assert made.taken(scratch) == {"c"} and list(scratch.iterdir()) == []


def test_a_job_that_works_leaves_nothing_of_before_to_be_believed(made, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    copy = tmp_path / ".snakemake/backups" / made.table.relative_to("/")
    copy.parent.mkdir(parents=True)
    copy.write_text("what Snakemake would put back")
    table_stamps.withdraw(made.job())
    assert not made.table.exists() and not copy.exists()
    assert reuse.stamp_of(made.job()) is None
    table_stamps.withdraw(made.job())  # of a table that never was


def test_all_outputs_of_a_job_are_left_alone_or_taken_away_together(made):
    film = made.table.with_suffix(".linking.mkv")
    film.write_bytes(b"pictures")
    job = made.job()
    job.output = Files({"table": [str(made.table)], "film": [str(film)]})
    table_stamps.seal(job, made.digests)
    stamp = reuse.stamp_of(job)
    os.utime(film, (1, 1))
    os.utime(made.table, (1, 1))
    assert reuse.holds(stamp, job)
    reuse.leave_alone(job)
    assert film.stat().st_mtime > 1 and made.table.stat().st_mtime > 1
    film.unlink()
    assert not reuse.holds(stamp, job)
    film.write_bytes(b"pictures")
    table_stamps.withdraw(job)
    assert not film.exists() and not made.table.exists()


def test_a_row_that_blames_a_file_is_open_whenever_its_job_runs(made, scratch):
    rows = tables.read_stage(made.table, "mask")
    rows[2]["reason"] = "UNREADABLE_CROP"
    tables.write_stage(made.table, "mask", rows)
    table_stamps.seal(made.job(), made.digests)
    assert not made.holds() and made.taken(scratch) == {"a", "b"}


def test_pictures_count_by_their_names_too(made, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"one")
    (folder / "b.png").write_bytes(b"two")

    def inputs():
        job = made.job()
        job.params["folder"] = str(folder)
        job.input = Files({"pictures": [str(path) for path in folder.iterdir()]})
        return table_stamps.made_by(job)["other_inputs"]

    before = inputs()
    (folder / "a.png").rename(folder / "c.png")
    (folder / "b.png").rename(folder / "a.png")
    (folder / "c.png").rename(folder / "b.png")
    assert inputs().keys() == before.keys() and inputs() != before


def test_what_a_stage_does_not_name_is_out_of_its_reach():
    row = {"item": "a", "sha256": "1", "detail": "odd"}
    seen = tables.narrowed(row, ("item", "sha256"))
    assert item_digest(seen) == item_digest(tables.narrowed(row | {"detail": "other"}, seen))
    with pytest.raises(KeyError):
        seen["detail"]


def test_weights_without_a_pin_count_by_their_content(made, tmp_path):
    weights = tmp_path / "own.onnx"
    weights.write_bytes(b"one")

    def maker(*entries):
        job = made.job()
        job.input = Files({"table": [str(made.source)], "weights": [str(weights)]})
        job.params["weights"] = list(entries)
        return table_stamps.made_by(job)

    before = maker({})
    assert maker({"sha256": "a pin"})["other_inputs"] == {}
    assert maker({"sha256": "a pin"}, {})["other_inputs"] == before["other_inputs"]
    weights.write_bytes(b"two")
    assert maker({})["other_inputs"] != before["other_inputs"]


def test_the_stamp_of_a_job_that_knows_its_maker_reads_no_weights_again(made, tmp_path):
    weights = tmp_path / "own.onnx"
    weights.write_bytes(b"one")
    job = made.job()
    job.input = Files({"table": [str(made.source)], "weights": [str(weights)]})
    job.maker = table_stamps.made_by(job)
    weights.unlink()
    table_stamps.seal(job, made.digests)
    stamp = reuse.stamp_of(job)
    assert list(stamp["other_inputs"]) == ["own.onnx"] and reuse.holds(stamp, job)


@pytest.mark.parametrize(
    ("row", "limit"),
    [
        ({"reason": "OUT_OF_MEMORY", "value": ""}, "memory_mb"),
        ({"reason": "MODEL_TIMEOUT", "value": ""}, "timeout_s"),
        ({"reason": "EXTRACTOR_REJECTED", "value": "DECODE_TIMEOUT"}, "timeout_s"),
        ({"reason": "EMPTY_MASK", "value": "0.1"}, ""),
    ],
)
def test_a_row_tells_which_limit_ended_it(row, limit):
    assert limit_that_ended(row) == limit
    if limit:
        assert is_open(row, {limit: 1}, {limit: 2}) and not is_open(row, {limit: 2}, {limit: 2})
