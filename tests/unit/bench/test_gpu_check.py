"""`make check-gpu` without a card, and on a fake one; its comparisons, with known answers."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bench import gpu_check, gpu_steps
from bench.gpu_steps import DIFFERS, LACKING, OK
from ferrari.common import settings
from ferrari.images.boxes import Detection
from ferrari.networks import weight_files
from tests.fake_nvidia import DRIVER, MANAGEMENT, VIDEO, Machine, require_no_driver
from tests.settings import ROOT
from tests.unit.jobs.waiting import is_gone, wait_for

DEMO = str(ROOT / "config/demo.yaml")
#: Takes a step with the CPU in the place of the card, and again after a change.
BY_CPU = """import json, sys
from pathlib import Path
from dataclasses import asdict
from bench import gpu_steps
from ferrari.common import settings
gpu_steps.DEVICE, gpu_steps._MEASURED_S, gpu_steps._CLIPS, gpu_steps._FPS = "cpu", 0.1, 2, 2
asked = gpu_steps.Asked(settings.load("config/demo.yaml"), Path(sys.argv[2]))
for change in sys.argv[3:]:
    exec(change)
    print(json.dumps(asdict(gpu_steps.take(sys.argv[1], asked))))"""


def by_cpu(step, folder, *changes):
    """What a step finds that compares the CPU with itself, after each of the changes."""
    command = [sys.executable, "-c", BY_CPU, step, str(folder), *changes]
    environment = gpu_check._environment()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"status"')]


# --- the whole command ----------------------------------------------------------------------------


def test_without_a_card_each_step_says_what_it_lacks(tmp_path):
    require_no_driver()
    work = str(tmp_path)
    machine = Machine(tmp_path / "machine")
    done = machine.run("-m", "bench.gpu_check", "--work", work, "--config", DEMO)
    assert done.returncode == 0, done.stderr
    begun = [line.split()[0] for line in done.stdout.splitlines() if " ..." in line]
    assert begun == list(gpu_steps.STEPS)
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert {step["status"] for step in found.values()} == {LACKING}
    assert "no NVIDIA driver" in found["machine"]["says"]
    assert "<h2>machine: lacking</h2>" in (tmp_path / "gpu.html").read_text()
    assert not list(tmp_path.glob("tmp*"))


@pytest.mark.slow
def test_on_a_fake_card_all_steps_lack_something_and_are_tried_again(tmp_path):
    machine = Machine(tmp_path / "machine", DRIVER, VIDEO, MANAGEMENT)
    call = ("-m", "bench.gpu_check", "--work", tmp_path, "--out", tmp_path, "--config", DEMO,
            "--kinds", "h264.mp4,wiped.mp4")  # fmt: skip
    first, second = machine.run(*call), machine.run(*call)
    assert (first.returncode, second.returncode) == (0, 0), first.stdout + first.stderr
    assert "AFTER FORK" not in machine.log
    begun = [line.split()[0] for line in second.stdout.splitlines() if " ..." in line]
    assert begun == list(gpu_steps.STEPS)
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert "550.54.14" in found["machine"]["rows"][0]["answer"]
    rows = {row["clip"]: row for row in found["clips"]["rows"]}
    assert {row["equal"] for row in rows.values()} == {"yes"}
    assert rows["wiped.mp4"]["decoder"] == "pyav-cpu" and rows["h264.mp4"]["why"]
    # No clip was decoded by both: that was called ok, though nothing had been compared.
    assert found["clips"]["status"] == LACKING
    assert "2 kinds, 0 of them decoded on the card (pyav-nvdec: " in found["clips"]["says"]
    assert "OpenVINO export" in found["mask"]["says"]


def test_a_step_that_ends_its_process_loses_nobody_elses_result(tmp_path, monkeypatch):
    options = gpu_check.arguments(["--work", str(tmp_path), "--config", str(tmp_path / "no.yaml")])
    failed = gpu_check.take_apart("machine", options, 60)
    assert failed["status"] == gpu_check.FAILED and "no.yaml" in failed["says"]
    log = tmp_path / "gpu" / "machine.log"
    assert str(log) in failed["says"] and "Traceback" in log.read_text()
    assert gpu_check.take_apart("machine", options, 1)["status"] == gpu_check.NOT_REACHED
    answers = {name: {"status": OK, "says": "", "rows": []} for name in gpu_steps.STEPS}
    answers["detect"]["status"] = gpu_check.FAILED
    asked = []
    monkeypatch.setattr(gpu_check, "key_of", lambda options: "key")
    monkeypatch.setattr(
        gpu_check, "take_apart", lambda name, *_: asked.append(name) or answers[name]
    )
    call = ["--work", str(tmp_path), "--out", str(tmp_path / "out")]
    assert gpu_check.main(call) == 1
    answers["detect"]["status"] = OK
    assert gpu_check.main(call) == 0
    assert asked == [*gpu_steps.STEPS, "detect"]
    monkeypatch.setattr(gpu_check, "key_of", lambda options: "other code")
    assert gpu_check.main([*call, "--only", "machine"]) == 0
    assert asked[-1] == "machine"


def test_a_step_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path):
    """Its workflow went on, with the card, and its folder stayed."""
    said = tmp_path / "said"
    begins = f"sleep 60 & echo $! > {said}; wait"
    assert gpu_check._in_time(["sh", "-c", begins], 1) is None
    wait_for(lambda: is_gone(int(said.read_text())))


def test_it_says_what_to_do_about_what_it_found():
    step = {"says": "", "rows": []}
    found = {
        "machine": {"status": OK, **step},
        "mask": {"status": DIFFERS, **step},
        "matting": {"status": LACKING, **step},
        "run": {"status": gpu_check.NOT_REACHED, **step},
    }
    differs, lacks, left = gpu_check.what_now(found)
    assert "`mask.device: cpu`" in differs
    assert lacks.startswith("matting: ") and left.startswith("run: ")
    (fine,) = gpu_check.what_now({"machine": {"status": OK, **step}})
    assert "nothing differs" in fine
    assert set(gpu_check.INSTEAD) < set(gpu_steps.STEPS)


def test_a_card_on_which_no_runtime_works_lacks_one(tmp_path, monkeypatch):
    """The step was called ok, and said: nothing works."""
    from ferrari.networks.backends import onnx_runtime, torch_runtime
    from ferrari.processes import devices, limited_call, nvidia_driver

    cards = (SimpleNamespace(name="RTX 3090", memory_mb=24576),)
    driver = nvidia_driver.Driver("550.54", (12, 4), cards)
    monkeypatch.setattr(limited_call, "run_limited", lambda *_, **__: driver)
    monkeypatch.setattr(devices, "nvdec_problem", lambda: "")
    monkeypatch.setattr(torch_runtime, "problem", lambda _: "built for CUDA 13")
    monkeypatch.setattr(onnx_runtime, "runtime_problem", lambda _: "the CPU's build")
    found = gpu_steps.take("machine", gpu_steps.Asked({}, tmp_path))
    assert found.status == LACKING and "make setup-gpu" in found.says
    assert "built for CUDA 13" in found.says and "the CPU's build" in found.says
    monkeypatch.setattr(torch_runtime, "problem", lambda _: "")
    found = gpu_steps.take("machine", gpu_steps.Asked({}, tmp_path))
    assert (found.status, found.says) == (OK, "RTX 3090: NVDEC, torch work")


def test_a_difference_is_the_exit_status_and_is_kept(tmp_path, monkeypatch):
    found = {"status": DIFFERS, "says": "4 levels apart", "rows": [{"clip": "<a>"}]}
    monkeypatch.setattr(gpu_check, "take_apart", lambda *_: found)
    call = ["--work", str(tmp_path), "--out", str(tmp_path), "--only", "clips"]
    assert gpu_check.main(call) == gpu_check.main(call) == 1
    assert "<td>&lt;a&gt;</td>" in (tmp_path / "gpu.html").read_text()


def test_the_settings_and_the_cache_are_those_of_the_set(tmp_path, monkeypatch):
    """The checkout's cache was looked into, whatever set's settings were given."""
    (tmp_path / "my.yaml").write_text("cache: of_anna\nsubject: {class: woman}\n")
    (tmp_path / "night.yaml").write_text("subject: {token: ohwx}\n")
    asked, taken = [], []
    lacking = {"status": LACKING, "says": "a card", "rows": []}
    monkeypatch.setattr(
        gpu_check, "take_apart", lambda name, options, _: asked.append(options) or lacking
    )
    words = ["--set", str(tmp_path), "--work", str(tmp_path / "work"), "--only", "clips"]
    assert gpu_check.main([*words, "--config", str(tmp_path / "night.yaml")]) == 0
    (options,) = asked
    assert options.config == [str(tmp_path / name) for name in ("my.yaml", "night.yaml")]
    monkeypatch.chdir(".")  # a step works in the set's folder, in a process of its own
    monkeypatch.setattr(
        gpu_steps, "take", lambda _, what: taken.append(what) or gpu_steps.Found(LACKING, "")
    )
    assert gpu_check._take_here(options) == 0
    config = taken[0].config
    assert config["cache"] == str(tmp_path / "of_anna")
    assert (config["subject"]["class"], config["subject"]["token"]) == ("woman", "ohwx")


# --- the comparisons ------------------------------------------------------------------------------


def box(*corners):
    return Detection(tuple(map(float, corners)), 0.9, "person")


@pytest.mark.parametrize(
    ("theirs", "unmatched", "apart"),
    [
        ([box(0, 0, 100, 200), box(300, 0, 400, 200)], 0, 0),
        ([box(301, 0, 402, 200), box(0, 0, 100, 200)], 0, 2),
        ([box(0, 0, 100, 200)], 1, 0),
        ([box(0, 0, 100, 200), box(300, 0, 400, 200), box(500, 0, 600, 9)], 1, 0),
        ([box(60, 0, 160, 200), box(300, 0, 400, 200)], 2, 0),
    ],
)
def test_boxes_are_compared_with_their_partners(theirs, unmatched, apart):
    ours = [box(0, 0, 100, 200), box(300, 0, 400, 200)]
    found = gpu_steps.compare_boxes(ours, theirs)
    assert found == {"boxes": 2, "unmatched": unmatched, "corner_px": apart}


MOVED = """
from dataclasses import replace
from ferrari.networks import detectors
load, loaded = detectors.load, []
def second_differs(*asked):
    net = load(*asked)
    loaded.append(net)
    moved = lambda d: replace(d, box_xyxy=tuple(x + 5 for x in d.box_xyxy))
    change = lambda frames: [[moved(d) for d in one] for one in net.detect(frames)]
    return net if len(loaded) == 1 else replace(net, detect=change)
detectors.load = second_differs"""
FAINT = """
from dataclasses import replace
from ferrari.networks import segmenters
load, loaded = segmenters.load, []
def second_differs(*asked, **options):
    net = load(*asked, **options)
    loaded.append(net)
    faint = lambda *asked: [alpha * 0.9 for alpha in net.alpha(*asked)]
    return net if len(loaded) == 1 else replace(net, alpha=faint)
segmenters.load = second_differs"""

FADED = """
from ferrari.matting import on_card
solver = on_card.solver
def faded(*asked):
    solve = solver(*asked)
    def less(*picture):
        alpha, iterations, remark = solve(*picture)
        return alpha * 0.9, iterations, remark
    return less
on_card.solver = faded"""


@pytest.mark.parametrize(
    ("step", "said", "change"),
    [
        ("detect", "boxes, 0 on one device alone", MOVED),
        ("mask", "alpha 0.0000 apart", FAINT),
        ("matting", "3 crops, alpha 0.", FADED),
    ],
)
def test_what_a_network_gives_is_compared_and_its_rate_measured(tmp_path, step, said, change):
    same, other = by_cpu(step, tmp_path, "pass", change)
    assert same["status"] == OK and said in same["says"]
    assert same["rows"][-1]["per_s"] > 0 and same["rows"][-1]["busy"] is None
    assert other["status"] == DIFFERS


def test_the_segmenter_is_not_given_the_person_gates_file(tmp_path, monkeypatch):
    monkeypatch.setattr(
        weight_files, "ready", lambda config, section: ["isnet.onnx", "selfie.onnx"]
    )
    asked = gpu_steps.Asked(settings.completed({"cache": str(tmp_path)}), tmp_path)
    assert gpu_steps._segmenter_weights(asked) == ["isnet.onnx"]


def test_a_python_package_that_is_missing_is_named(tmp_path):
    (found,) = by_cpu("clips", tmp_path, "sys.modules['av'] = None")
    assert (found["status"], found["says"]) == (LACKING, "the Python package av")


def test_the_meter_reads_the_card(tmp_path):
    machine = Machine(tmp_path, MANAGEMENT, FAKE_NVML_BUSY="85", FAKE_NVML_FREE="4576")
    code = (
        "import time; from bench.gpu_meter import Meter\n"
        "with Meter() as meter: time.sleep(.3)\nprint(meter.busy, meter.peak_mb)"
    )
    assert machine.run("-c", code).stdout.split() == ["0.85", "20000"]


@pytest.mark.slow
def test_the_run_goes_through_the_workflow(tmp_path):
    (found,) = by_cpu("run", tmp_path, "pass")
    assert found["status"] == OK and "crops of 2 clips" in found["says"]
