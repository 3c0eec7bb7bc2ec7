"""What a run says where people look: refused clips, and what is left of clips that are gone."""

from __future__ import annotations

import shutil

import pytest

from ferrari.common import settings
from ferrari.provenance import older_packages
from ferrari.provenance.trace import Dataset
from ferrari.verification.findings import Layout
from scripts.tools import trace_item
from tests.settings import ROOT
from tests.workflow import warm_snakemake
from verify_dataset import examine


def test_a_run_ends_with_the_clips_that_were_refused(small, tmp_path):
    run = small.copy(tmp_path / "run")
    index = run.folder / "qc_reports/index.html"
    index.unlink()
    told = run.run("--cores", "2", "--quiet", "rules", "host", "progress")
    assert "from 2 of 3 clips.\nClips refused: 1 of 3.\n  thumbnail.mp4: LOW_RESOLUTION" in told
    assert "probe.min_short_side: 120 takes it as it is" in told
    assert "Clips refused: 1 of 3" in index.read_text("utf-8")


@pytest.mark.slow
def test_a_run_ends_with_what_is_left_of_clips_that_are_gone(small, tmp_path):
    run = small.copy(tmp_path / "run")
    (run.dataset / "00_raw_videos/thumbnail.mp4").unlink()
    told = run.run("--cores", "2")
    assert "Clips refused" not in told
    assert told.count("WARN QC0, Clips gone: 1 (thumbnail-") == 1

    for left in list(run.dataset.rglob("thumbnail-*")):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    told = run.run("--cores", "2")
    assert "captioned images, from 2 of 2 clips" in told and "Clips gone" not in told


# --- settings -------------------------------------------------------------------------------------


def bare(run, *words):
    """A dry run as somebody types it who forgets `--configfile`; what it says."""
    asked = ["--snakefile", str(ROOT / "Snakefile"), "-n", *words]
    return warm_snakemake.run(asked, run.folder).stdout


def test_a_run_that_lacks_its_settings_file_says_so_before_any_job(small):
    told = bare(small)
    (line,) = [line for line in told.splitlines() if "OTHER SETTINGS" in line]
    assert "augment.variants: 2, now 4" in line and "config/demo.yaml" in line
    assert told.index(line) < told.index("Job stats")
    assert "OTHER SETTINGS" not in bare(small, "--configfile", *small.configs)


def test_a_run_with_other_settings_files_than_the_last_says_so_in_one_line(small, tmp_path):
    other, same = tmp_path / "other.yaml", tmp_path / "same.yaml"
    other.write_text("subject: {token: ohwx}\n")
    same.write_text("subject: {token: sks}\n")
    told = bare(small, "--configfile", *small.configs, str(other))
    (line,) = [line for line in told.splitlines() if "OTHER SETTINGS" in line]
    assert "subject.token: sks, now ohwx" in line and "other.yaml" in line
    assert told.index(line) < told.index("Job stats")
    assert "OTHER SETTINGS" not in bare(small, "--configfile", *small.configs, str(same))


def test_a_package_that_is_not_asked_for_is_told_by_verify_and_trace(small):
    config = settings.load(*small.configs)
    config["package"]["formats"] = ["kohya"]
    older = older_packages.find(small.dataset, config)
    assert set(older) == {"imagefolder"}
    layout = Layout(
        dataset=small.dataset,
        raw=small.dataset / "00_raw_videos",
        videos={},
        formats=("kohya",),
        older_packages={name: one.headline for name, one in older.items()},
    )
    (check,) = [c for c in examine(layout).findings.checks() if c.name == "packages_of_this_set"]
    assert check.status == "WARN" and "(token sks), not made any more" in check.figure

    dataset = Dataset(small.dataset, small.dataset / "00_raw_videos", config)
    text = trace_item.trace_item(dataset, "wave_two.mp4")
    assert "of an earlier run (token sks), not made any more" in " ".join(text.split())


def test_trace_takes_the_settings_of_the_last_run_and_says_so(small, capsys):
    dataset = trace_item.open_dataset(small.folder, [])
    assert "settings of the run of" in capsys.readouterr().err
    assert dataset.root == small.folder / "dataset"
