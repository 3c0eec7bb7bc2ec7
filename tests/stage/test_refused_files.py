"""What is set aside goes again when a later run no longer refuses it: no file without its row."""

import importlib

import pytest

from ferrari.ledger import tables
from ferrari.ledger.refused_files import clear_video, refuse_frame
from ferrari.processes.failures import Failure
from tests.generator import faults
from tests.generator.spec import ClipSpec
from tests.stage.clip_run import Run

SPEC = ClipSpec(seed=1, width=160, height=120, n_frames=6, fps="25", gop=3)


def _files(dataset):
    return sorted(p.relative_to(dataset).as_posix() for p in dataset.rglob("bad_*/**/*.*"))


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "dataset")


def test_a_clip_that_another_setting_takes_leaves_no_copy_behind(run, tmp_path):
    clip = faults.good(tmp_path / "clip.mp4", SPEC).path
    refused = run.probe(clip, min_short_side=4000)
    assert _files(run.dataset) == [refused["path"]] and "LOW_RESOLUTION" in refused["path"]
    assert run.probe(clip)["outcome"] == "kept"
    assert _files(run.dataset) == []


def test_another_clips_copy_stays(tmp_path):
    folder = tmp_path / "bad_videos/LOW_RESOLUTION"
    folder.mkdir(parents=True)
    for name in ("walk-0123456789.mp4", "walk-0123456789-1111111111.mp4"):
        (folder / name).touch()
    clear_video("walk-0123456789", ["LOW_RESOLUTION"], tmp_path)
    assert [p.name for p in folder.iterdir()] == ["walk-0123456789-1111111111.mp4"]


def test_frames_whose_rows_died_with_the_decoder_go_too(tmp_path):
    module = importlib.import_module("01_extract_frames")
    raw = tmp_path / "clip.mp4"
    raw.write_bytes(b"bits")
    dataset = tmp_path / "dataset"
    refuse_frame("v-f000000.webp", b"pixels", "v", "DECODE_DAMAGE", dataset)
    probed = tables.row("probe", item="v", parent="clip.mp4", outcome="kept", file="clip.mp4")
    rows = module._rejection(Failure("DECODE_TIMEOUT", "too long"), raw, probed, dataset)
    assert [row["reason"] for row in rows] == ["EXTRACTOR_REJECTED"]
    assert _files(dataset) == [rows[0]["path"]]
