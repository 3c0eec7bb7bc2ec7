"""Which reports are left as they are: only those that would come out the same, and hold no FAIL."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from ferrari.common.atomic_files import sha256_bytes
from ferrari.jobs.stage_job import Params
from ferrari.ledger import tables
from ferrari.provenance.report_stamps import ReportStamp
from ferrari.reports import checks
from ferrari.reports.checks import FAIL, WARN, Check
from make_report import make_report

VIDEO = "walk-0123456789"


class Outputs(dict):
    """Outputs by name and in order, as Snakemake has them."""

    __getattr__ = dict.__getitem__

    def __missing__(self, place):
        return list(self.values())[place]

    def __iter__(self):
        return iter(self.values())


class Report:
    """A report over one table of crops; `status` is what its only check says."""

    def __init__(self, root) -> None:
        self.root, self.status, self.made = root, WARN, 0
        self.dataset, qc = root / "dataset", root / "qc_reports"
        qc.mkdir()
        self.table = self.dataset / f"02_yolo_crops/{VIDEO}.csv"
        self.image = self.dataset / f"02_yolo_crops/{VIDEO}/a.png"
        self.image.parent.mkdir(parents=True)
        self.image.write_bytes(b"picture")
        self.raw = root / "raw"
        self.raw.mkdir()
        (self.raw / "a.mp4").write_bytes(b"raw")
        path = self.image.relative_to(self.dataset).as_posix()
        row = {"path": path, "sha256": sha256_bytes(b"picture"), "reason": "OK"}
        rows = [tables.row("crop", item="a-p0", parent="a", outcome="kept", **row)]
        tables.write_stage(self.table, "crop", rows)
        self.outputs = Outputs(csv=str(qc / "qc.csv"), html=str(qc / "qc.html"))

    def job(self, **changed) -> SimpleNamespace:
        params = {"previous": [str(self.table)], "raw_folder": str(self.raw), "ignore": []}
        given = {"made_by": "a_report", "code": "1", "qc_settings": {"thumbnails": 3}}
        return SimpleNamespace(
            rule="a_module_qc4",
            input=[],
            output=self.outputs,
            params=Params(params | given | changed),
            config={"dataset": str(self.dataset), "cache": str(self.dataset.parent / "cache")},
        )

    def run(self, job) -> None:
        """What `run` of a report's script does."""
        self.made += 1
        checks.write(self.outputs.csv, [Check("one", self.status, "0", "0", "A check.")])
        with open(self.outputs.html, "w", encoding="ascii") as page:
            page.write(self.status)

    def is_made_again(self, **changed) -> bool:
        before = self.made
        make_report(self.job(**changed))
        return self.made > before


@pytest.fixture
def report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Report(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "a_report", made)
    assert made.is_made_again()
    return made


def test_a_report_of_the_same_is_left_and_shows_that_it_was_looked_at(report):
    os.utime(report.table)
    before = os.stat(report.outputs.html).st_mtime_ns
    assert not report.is_made_again() and os.stat(report.outputs.html).st_mtime_ns > before


@pytest.mark.parametrize(
    "changed",
    [{"code": "2"}, {"qc_settings": {"thumbnails": 4}}, {"ignore": ["a.mp4"]}],
    ids=["code", "setting", "what is ignored"],
)
def test_another_maker_makes_it_again(report, changed):
    assert report.is_made_again(**changed) and not report.is_made_again(**changed)


@pytest.mark.parametrize("name", ["page", "checks", "image", "lost image", "raw file", "table"])
def test_what_changed_on_the_disk_makes_it_again(report, name):
    if name == "page":
        os.unlink(report.outputs.html)
    elif name == "checks":
        with open(report.outputs.csv, "a", encoding="ascii") as stream:
            stream.write("\n")
    elif name == "image":
        report.image.write_bytes(b"half")
    elif name == "lost image":
        report.image.unlink()
    elif name == "raw file":
        (report.raw / "a.mp4").write_bytes(b"longer")
    else:
        rows = tables.read_stage(report.table, "crop")
        tables.write_stage(report.table, "crop", [{**rows[0], "detail": "other"}])
    assert report.is_made_again() and not report.is_made_again()


def test_a_report_that_failed_is_made_again_whenever_its_job_runs(report):
    report.status = FAIL
    assert report.is_made_again(code="2") and report.is_made_again(code="2")


def test_a_report_that_ends_half_way_leaves_nothing_to_be_believed(report, monkeypatch):
    def broken(job):
        raise OSError("the disk is full")

    monkeypatch.setattr(report, "run", broken)
    with pytest.raises(OSError, match="full"):
        make_report(report.job(code="2"))
    assert not os.path.exists(report.outputs.html) and not os.path.exists(report.outputs.csv)
    assert not ReportStamp(report.job()).left_alone()
