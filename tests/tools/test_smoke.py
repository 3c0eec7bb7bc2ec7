"""`make smoke`: one clip through all stages, apart from the dataset."""

from __future__ import annotations

import re

import pytest
import yaml

from ferrari.common import settings
from ferrari.ledger import tables
from ferrari.ledger.stages import FOLDERS
from ferrari.networks import weight_files
from scripts.tools import smoke
from tests.generator import faults
from tests.settings import ROOT
from tests.workflow import small_run

DEMO = str(ROOT / "config/demo.yaml")
CLIP = "wave_two.mp4"  # of the small run
WORKED = [*FOLDERS, "select", "reports", "kohya", "imagefolder"]


def names(found):
    return [re.sub(r"^[\d ]+", "", result.stage) for result in found]


def test_what_a_run_left_is_told_stage_by_stage(small):
    found = smoke.results(small.folder, ["kohya", "imagefolder"], CLIP)
    assert names(found) == WORKED
    assert [result.fault for result in found] == [""] * len(found)
    by_name = dict(zip(names(found), found, strict=True))
    assert by_name["extract"].where.startswith("pyav-cpu")
    assert re.match(r"yolo on cpu", by_name["detect"].where) and by_name["crop"].where == "CPU"
    assert by_name["mask"].seconds > 0 and by_name["mask"].kept <= by_name["mask"].rows
    assert by_name["reports"].kept > 50
    assert re.search(r"^2 detect +yes +\d+\.\d s +\d+ of \d+ +yolo on cpu", smoke.text(found), re.M)


def test_a_stage_that_did_not_work_is_named_with_its_reason(small, tmp_path):
    run = small.copy(tmp_path / "run")
    (table,) = (run.dataset / FOLDERS["mask"]).glob("wave*.csv")
    rows = [{**row, "outcome": "quarantined", "reason": "EMPTY_MASK"}
            for row in tables.read_table(table)]  # fmt: skip
    tables.write_table(table, list(rows[0]), rows)
    (run.dataset / "05_final_training/kohya.csv").unlink()
    found = smoke.results(run.folder, ["kohya"], CLIP)
    told = {result.stage: result.fault for result in found if result.fault}
    assert told == {"3 mask": f"kept nothing: {len(rows)} EMPTY_MASK", "5 kohya": "did not run"}
    assert re.search(r"^3 mask +NO ", smoke.text(found), re.M)


def test_reports_that_fail_are_named(small, tmp_path):
    run = small.copy(tmp_path / "run")
    page = run.folder / "qc_reports/qc5_masks_summary.csv"
    page.write_text(page.read_text().replace(",PASS,", ",FAIL,", 1))
    (fault,) = [r.fault for r in smoke.results(run.folder, [], CLIP) if r.stage == "  reports"]
    assert fault == "FAIL: folder_per_video"


# --- the settings ---------------------------------------------------------------------------------


def test_the_run_has_the_users_settings_and_places_of_its_own(tmp_path):
    mine = {
        **{"dataset": "sets/anna", "qc_reports": "sets/qc", "audit": "sets/audit"},
        **{"cache": "kept", "raw_videos": "/mnt/clips", "seed": 7},
        "intake": {"ignore": ["*.mp4"]},
        "extract": {"max_frames": 3, "fps": 5},
        "detect": {"weights": "own/net.onnx"},
        "mask": {"weights": "u2net"},
        "augment": {"environment_folder": "rooms"},
        "caption": {"overrides": "mine.csv", "backend": "transformers", "model": "/models/blip"},
    }
    own = smoke.settings_for(settings.completed(mine), tmp_path)
    assert (own["dataset"], own["raw_videos"], own["seed"]) == ("dataset", None, 7)
    assert own["extract"] == {**own["extract"], "max_frames": 3, "fps": 5}
    assert own["intake"]["ignore"] == [] and own["caption"]["overrides"] is None
    assert own["detect"]["weights"] == str(tmp_path / "own/net.onnx")
    assert own["mask"]["weights"] == "u2net"
    assert own["augment"]["environment_folder"] == str(tmp_path / "rooms")
    assert own["caption"]["model"] == "/models/blip" and own["cache"] == str(tmp_path / "kept")
    defaults = smoke.settings_for(settings.load(), tmp_path)
    assert defaults["extract"]["max_frames"] == smoke.FRAMES
    settings.check(own, ROOT / "config/config.schema.yaml")


def test_a_folder_of_shared_weights_is_the_one_that_the_set_s_runs_see(tmp_path, monkeypatch):
    """A relative one was looked for in smoke/, and the weights were fetched again."""
    monkeypatch.setenv(weight_files.GIVEN, "shared")
    assert smoke._environment(tmp_path)[weight_files.GIVEN] == str(tmp_path / "shared")
    monkeypatch.delenv(weight_files.GIVEN)
    assert weight_files.GIVEN not in smoke._environment(tmp_path)


def test_an_export_in_the_set_s_folder_is_a_detector_whose_clip_is_made(tmp_path):
    """Of a name without an ending it is asked whether it is there."""
    (tmp_path / "own").mkdir()
    smoke.make_clip(
        tmp_path / "a.mp4", settings.completed({"detect": {"weights": "own"}}), tmp_path
    )


def test_every_setting_that_names_a_place_is_looked_after():
    """One that is new would be looked for in the wrong folder."""
    schema = yaml.safe_load((ROOT / "config/config.schema.yaml").read_text())
    found = set()
    for name, part in schema["properties"].items():
        for inner, about in part.get("properties", {"": part}).items():
            path = about.get("$ref", "").endswith("/path")
            if path or re.search(r"\b(path|folder|CSV file)\b", about.get("description", "")):
                found.add((name, inner) if inner else name)
    own = {"dataset", "qc_reports", "audit", "cache", "raw_videos", ("caption", "overrides")}
    own |= {("subject", "references"), ("subject", "not")}  # its clip is nobody's that they show
    assert found == own | set(smoke.PATHS) | {("detect", "weights"), ("mask", "weights")}


def test_a_folder_that_is_not_of_the_command_is_left_alone(tmp_path, capsys):
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke/mine.txt").touch()
    assert smoke.main(["--work", str(tmp_path), "--config", DEMO]) == 1
    assert "is in the way" in capsys.readouterr().err
    assert (tmp_path / "smoke/mine.txt").exists()


# --- the clip -------------------------------------------------------------------------------------


def test_without_a_sample_a_clip_is_made_that_the_detector_knows(tmp_path):
    from ferrari.video.containers import open_container

    for config, pictures in ((DEMO, False), (str(ROOT / "config/config.yaml"), True)):
        clip = tmp_path / f"{pictures}.mp4"
        smoke.make_clip(clip, settings.load(config), tmp_path)
        with open_container(str(clip)) as container:
            (stream,) = container.streams.video
            assert stream.frames == 100
            assert (stream.width == stream.height) is pictures


def test_a_run_that_cannot_start_shows_what_snakemake_said(tmp_path, capsys):
    (tmp_path / "my.yaml").write_text("detect: {weights: lost/own.onnx}\n")
    asked = ["--work", str(tmp_path), "--config", DEMO, str(tmp_path / "my.yaml")]
    assert smoke.main(asked) == 1
    out = capsys.readouterr().out
    assert "Not all stages work" in out and re.search(r"0 probe +NO", out)
    assert "there is no file or folder at" in out


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_users_sample_goes_through_all_stages_and_the_dataset_stays(tmp_path, capsys):
    sample = tmp_path / "dataset" / smoke.SAMPLE
    sample.parent.mkdir()
    faults.good(sample, small_run.SPECS[CLIP])
    earlier = tmp_path / "smoke/dataset/00_raw_videos/earlier.mp4"
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    (tmp_path / "smoke" / smoke.OVERLAY).touch()
    assert smoke.main(["--work", str(tmp_path), "--config", DEMO]) == 0
    out = capsys.readouterr().out
    assert f"clip: {sample}" in out and "All stages work" in out and " NO " not in out
    assert not earlier.exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"cache", "dataset", "smoke"}
    assert [path.name for path in sample.parent.iterdir()] == [smoke.SAMPLE]
    assert (tmp_path / "smoke/dataset/05_final_training/kohya").is_dir()
