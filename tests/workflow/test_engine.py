"""What Snakemake does when: nothing changed, a clip came, a setting or the code changed, a kill."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from tests.fake_nvidia import require_no_driver
from tests.generator import faults
from tests.generator.demo import demo_specs
from tests.settings import unloadable_model
from tests.workflow.demo_run import ROOT, Demo

pytestmark = pytest.mark.timeout(900)
PER_CLIP = {"probe", "extract", "detect", "crop", "mask", "augment", "caption"}
REPORTS = {"qc0", "qc0_page", "qc3", "qc_identity", "qc4", "qc5", "qc6", "qc7", "qc8", "qc_index"}


def test_a_second_run_does_nothing(demo):
    assert "Nothing to be done" in demo.run("--cores", "1")


def test_a_dry_run_shows_the_whole_graph(demo, tmp_path):
    fresh = Demo(tmp_path / "fresh")
    shutil.copytree(demo.dataset / "00_raw_videos", fresh.dataset / "00_raw_videos")
    planned = fresh.planned()
    clips = len(demo.truth)
    assert {planned[rule] for rule in PER_CLIP} == {clips}
    assert set(planned) >= REPORTS and planned["package"] == 2
    assert not (fresh.dataset / "environments_pinned.csv").exists(), "a dry run writes nothing"


def test_deleted_tables_are_made_anew(demo, tmp_path):
    """Though Snakemake by itself takes an intermediate file that is not there for not needed."""
    copy = demo.copy(tmp_path / "copy")
    for table in ("01_extracted_frames/walk-room-1*", "03_masked_subjects/portrait-*", "videos"):
        (lost,) = copy.dataset.glob(f"{table}.csv")
        lost.unlink()
    planned = copy.planned()
    assert [planned[rule] for rule in ("extract", "detect", "crop", "mask")] == [1, 1, 1, 2]
    assert planned["videos"] == planned["select_final"] == planned["ledger"] == 1


def test_a_new_clip_runs_its_own_jobs_and_what_sees_the_whole_set(demo, tmp_path):
    copy = demo.copy(tmp_path / "copy")
    spec = next(iter(demo_specs(seed=77).values()))
    faults.good(copy.dataset / "00_raw_videos/new clip.mp4", spec)
    planned = copy.planned()
    assert {planned.pop(rule) for rule in PER_CLIP} == {1}
    assert planned == dict.fromkeys(REPORTS, 1) | {
        "all": 1,
        "videos": 1,
        "select_final": 1,
        "package": 2,
        "ledger": 1,
        "croissant": 1,
    }


def test_a_changed_confidence_reruns_from_stage_2(demo):
    planned = demo.planned(overlay={"detect": {"confidence": 0.5}})
    clips = len(demo.truth)
    assert {planned.get(rule) for rule in PER_CLIP - {"probe", "extract"}} == {clips}
    assert not {"probe", "extract", "videos", "qc0", "qc3"} & set(planned)


def test_a_changed_choice_searches_no_frame_again(demo):
    changed = {"policy": "all", "pad": 0.1, "min_side": 50}
    changed |= {"duplicate_delta": 0, "duplicate_block": 0}
    planned = demo.planned(overlay={"detect": changed})
    clips = len(demo.truth)
    assert {planned.get(rule) for rule in ("crop", "mask", "augment", "caption")} == {clips}
    assert not {"probe", "extract", "detect", "environments"} & set(planned)


def test_a_changed_batch_size_reruns_no_stage(demo):
    planned = demo.planned(overlay={"detect": {"batch": 3}})
    assert not PER_CLIP & set(planned)


def test_the_order_of_settings_in_an_overlay_means_nothing(demo):
    overlay = {
        "qc": {"thumbnails": 60, "enforce": True},
        "extract": {"deinterlace": True, "fps": 2.0},
    }
    assert demo.planned(overlay=overlay) == {}


@pytest.fixture(scope="module")
def elsewhere(demo, tmp_path_factory):
    """The demo under a copy of the repository, whose place changes nothing; dry runs only."""
    folder = tmp_path_factory.mktemp("elsewhere")
    others = shutil.ignore_patterns(".*", "demo", "real", "work")
    shutil.copytree(ROOT, folder / "repository", ignore=others)
    copy = Demo(demo.copy(folder / "copy").folder, folder / "repository")
    assert copy.planned() == {}
    return copy


@pytest.mark.parametrize(
    ("module", "rerun", "spared"),
    [
        (
            "backgrounds/palette",
            {"augment", "caption"},
            {"probe", "extract", "detect", "crop", "mask"},
        ),
        ("matting/alpha_refinement", {"mask", "augment", "caption"}, {"extract", "detect", "crop"}),
        ("images/subject_repeats", {"crop", "mask"}, {"probe", "extract", "detect"}),
        ("video/hdr", {"extract", "detect", "crop"}, {"probe"}),
        ("reports/charts", {"qc3", "qc7"}, PER_CLIP),
    ],
)
def test_an_edited_module_reruns_the_stages_that_import_it(elsewhere, module, rerun, spared):
    path = elsewhere.repository / f"scripts/ferrari/{module}.py"
    before = path.read_text()
    path.write_text(before + "\n# edited\n")
    try:
        planned = set(elsewhere.planned())
    finally:
        path.write_text(before)
    assert rerun <= planned and not spared & planned


def test_one_report_is_rebuilt_alone(demo, tmp_path):
    copy = demo.copy(tmp_path / "copy")
    target = "qc_reports/qc4_yolo_crops_summary.html"
    (copy.folder / target).unlink()
    assert copy.planned(target) == {"qc4": 1}
    copy.run("--cores", "1", target)
    assert (copy.folder / target).read_bytes() == (demo.folder / target).read_bytes()


def plans(folder, *arguments, **overlay) -> dict[str, str]:
    """What a dry run says of each rule's job for one clip."""
    fresh = Demo(folder)
    raw = fresh.dataset / "00_raw_videos"
    raw.mkdir(parents=True, exist_ok=True)
    (raw / "a.mp4").touch()
    output = fresh.run("-n", *arguments, overlay=overlay)
    return dict(re.findall(r"rule (\w+):\n((?:    .*\n)+)", output))


def test_jobs_take_the_gpu_token_where_they_open_the_card_themselves(tmp_path):
    """Where the fork server's process of the card serves them, as many run as there are cores."""
    on_card = {"detect": {"device": "cuda:0"}, "mask": {"device": "cpu"}}
    served = plans(tmp_path, **on_card)
    assert "device=cuda:0" in served["detect"] and "gpu=1" not in served["detect"]
    alone = plans(tmp_path, "--config", "warm_workers=false", **on_card)
    assert "gpu=1" in alone["detect"] and "gpu=1" not in alone["mask"]
    assert "device=" not in alone["crop"] and "gpu=" not in alone["crop"]
    sam = {"segmenter": "sam", "weights": None, "device": "cuda:0"}
    said = {**unloadable_model(tmp_path / "model")["caption"], "device": "cuda:0"}
    served = plans(tmp_path, mask=sam, caption=said)
    assert "gpu=1" not in served["mask"] and "gpu=1" not in served["caption"]
    alone = plans(tmp_path, warm_workers=False, mask=sam, caption=said)
    assert "gpu=1" in alone["mask"] and "gpu=1" in alone["caption"]


def test_without_gpu_tokens_no_job_uses_cuda(tmp_path):
    jobs = plans(tmp_path, "--resources", "gpu=0")
    assert all("device=cpu" in jobs[rule] for rule in ("detect", "mask"))
    asked = {"detect": {"device": "cuda:0"}}
    output = Demo(tmp_path).run("-n", "--resources", "gpu=0", overlay=asked, check=False)
    assert "detect.device is cuda:0, but the run is given no GPU (gpu=0)" in output
    assert "Job stats" not in output


def test_a_decoder_by_name_that_cannot_be_had_ends_the_run_before_its_first_job(tmp_path):
    require_no_driver()
    fresh = Demo(tmp_path)
    (fresh.dataset / "00_raw_videos").mkdir(parents=True)
    (fresh.dataset / "00_raw_videos/a.mp4").touch()
    asked = {"extract": {"decoder": "nvdec"}}
    output = fresh.run("--cores", "1", overlay=asked, check=False)
    assert "extract.decoder is nvdec, but the NVIDIA driver shows no device; set" in output
    assert not (fresh.dataset / "videos").exists()


def test_a_fault_in_the_settings_stops_before_any_job(demo):
    output = demo.run("-n", overlay={"detect": {"confidense": 0.5}}, check=False)
    assert "'detect.confidense' was unexpected; did you mean confidence?" in output
    assert "Job stats" not in output


def test_a_template_that_no_caption_would_survive_stops_before_any_job(demo):
    """Captions come last: it would be found after a night's work."""
    overlay = {"caption": {"template": "{token} {klass}, {background}"}}
    output = demo.run("-n", overlay=overlay, check=False)
    assert "caption.template" in output and "{klass}" in output and "Job stats" not in output


def test_a_failed_check_stops_packaging_and_says_which(demo, tmp_path):
    copy = demo.copy(tmp_path / "copy")
    manifest = copy.dataset / "05_final_training/kohya.csv"
    broken = next((copy.dataset / "02_yolo_crops").glob("walk-room-[0-9a-f]*/*.png"))
    broken.write_bytes(b"broken")
    (copy.folder / "qc_reports/qc4_yolo_crops_summary.csv").unlink()
    manifest.unlink()
    output = copy.run("--cores", "1", str(manifest.relative_to(copy.folder)), check=False)
    assert "QualityGateError" in output and broken.stem in output
    assert not manifest.exists()
    target = str(manifest.relative_to(copy.folder))
    released = {"qc": {"enforce": False}}
    assert copy.planned(target, overlay=released) == {"package": 1}, "what was measured still holds"
    released = copy.run("--cores", "1", target, overlay=released)
    assert manifest.exists() and "QualityGateError" not in released


@pytest.mark.slow  # `make chaos` kills at many instants, tests/faults one job
def test_a_killed_run_ends_in_the_same_dataset(demo, tmp_path):
    """SIGKILL to the whole group half way; the same command again ends in the same bytes."""
    copy = demo.copy(tmp_path / "copy")
    for folder in ("02_yolo_crops", "03_masked_subjects", "04_augmented", "05_final_training"):
        for table in (copy.dataset / folder).rglob("*.csv"):
            if table.stem.startswith(("walk-room-1", "portrait-hall-")) or table.parent.name == (
                "05_final_training"
            ):
                table.unlink()
    process = subprocess.Popen(
        copy.command("--cores", "2"),
        cwd=copy.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list((copy.dataset / "02_yolo_crops").glob("portrait-hall-*.csv")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert copy.digests() != demo.digests(), "the kill came too late to test anything"
    copy.run("--cores", "2")
    assert copy.digests() == demo.digests()
