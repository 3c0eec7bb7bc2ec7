"""`make doctor` on machines of several kinds; their NVIDIA drivers are fakes."""

from __future__ import annotations

import errno
import re
import shutil
from pathlib import Path

import pytest
import yaml

from ferrari.common import settings
from ferrari.ledger import tables
from ferrari.ledger.columns import COLUMNS
from ferrari.networks import weight_files
from ferrari.processes.nvidia_driver import Driver
from scripts.tools import doctor
from tests.conventions.test_versions import install
from tests.fake_nvidia import DRIVER, MANAGEMENT, VIDEO, Machine, require_no_driver

DEMO = "config/demo.yaml"
#: Torch takes seconds to load, so most tests do without trying it.
QUICK = """import sys
from scripts.tools import doctor
doctor.RUNTIMES = ("onnxruntime",)
sys.exit(doctor.main(sys.argv[1:]))"""


@pytest.fixture
def visit(tmp_path):
    """The doctor's page (spaces made single) and status on a machine of these libraries."""

    def page(*libraries, configs=(DEMO,), settings=None, quick=True, **said):
        if not libraries:
            require_no_driver()
        machine = Machine(tmp_path / "machine", *libraries, **said)
        if settings:
            (tmp_path / "my.yaml").write_text(yaml.safe_dump(settings))
            configs = (*configs, str(tmp_path / "my.yaml"))
        script = ("-c", QUICK) if quick else ("scripts/tools/doctor.py",)
        done = machine.run(*script, "--work", tmp_path, "--config", *configs)
        assert "AFTER FORK" not in machine.log and "Traceback" not in done.stderr, done.stderr
        return re.sub(r"\s+", " ", done.stdout + done.stderr), done.returncode

    return page


def test_a_driver_for_cuda_12_4_and_packages_for_another(visit):
    """What the first user has after `make setup`."""
    page, status = visit(DRIVER, VIDEO, MANAGEMENT, quick=False)
    assert status == 0
    assert "driver 550.54.14, runs CUDA 12.4" in page
    assert "cuda:0 No card 0, 24.0 GB, 19.5 free, compute 8.6" in page
    assert re.search(r"torch \S+, runs on the CPU: .*driver on your system is too old", page)
    assert (
        "NVDEC its library loads" in page
        and "1 extract e.g. H.264, 1080p: pyav-cpu (not NVDEC" in page
    )
    assert "HEVC 10 bit, 2160p: pyav-nvdec, then pyav-cpu" in page
    where = "demo-person-seg, on cpu (openvino-yolo) why device auto: the CPU"
    assert f"2 detect yolo with the weights {where}" in page
    assert re.search(r"openvino 20\S+, loads", page)
    assert "torch and onnxruntime on the card: `make setup-gpu`" in page
    assert "can a run work? - yes" in page


def test_without_a_driver(visit, tmp_path):
    page, status = visit()
    assert status == 0
    assert "driver there is no NVIDIA driver: libcuda.so.1 cannot be loaded" in page
    assert "1 extract e.g. H.264, 1080p: pyav-cpu (no NVDEC" in page and "setup-gpu" not in page
    assert f"put clips into {tmp_path}/dataset/00_raw_videos" in page
    assert [path.name for path in tmp_path.iterdir()] == ["machine"]  # nothing is written


def test_the_set_s_own_clips_are_told_once_a_run_has_seen_them(tmp_path):
    """The page spoke of 1080p and 2160p to somebody whose clips are 640x480."""
    sizes = [("640", "480")] * 3 + [("1280", "720")] * 2 + [("320", "240"), ("160", "120")]
    rows = [
        tables.row(
            "videos",
            **{"item": f"c{n}", "parent": "", "outcome": "kept", "file": f"c{n}.mp4"},
            **{"verdict": "OK", "codec": "hevc", "pix_fmt": "yuv420p", "width": w, "height": h},
            **{"coded_width": w, "coded_height": h, "frames": "90", "fps": "30"},
            duration_s="3",
        )
        for n, (w, h) in enumerate(sizes)
    ]
    other = {"item": "x", "outcome": "quarantined", "reason": "NOT_A_VIDEO", "file": "notes.txt"}
    rows.append(tables.row("videos", **other, parent="", verdict="NOT_A_VIDEO"))
    (tmp_path / "dataset").mkdir()
    tables.write_table(tmp_path / "dataset/videos.csv", COLUMNS["videos"], rows)
    page = doctor.examine(tmp_path, {**settings.load(DEMO), "cache": str(tmp_path)}).text()
    told = re.sub(r"\s+", " ", page)
    assert "1 extract hevc yuv420p, 640x480 (3 of 7 clips): pyav-cpu" in told
    assert "hevc yuv420p, 1280x720 (2 of 7 clips)" in told and "160x120" in told
    assert "320x240" not in told and "1080p" not in told


def test_weights_that_may_not_be_read_are_told(tmp_path, monkeypatch):
    def refused(*asked):
        raise PermissionError(errno.EACCES, "Permission denied", "own.onnx")

    monkeypatch.setattr(doctor.weight_kinds, "require", refused)
    page = doctor.examine(tmp_path, {**settings.load(DEMO), "cache": str(tmp_path)})
    assert "detect: [Errno 13] Permission denied: 'own.onnx'" in page.blocking


def test_weights_are_looked_for_where_the_set_s_runs_look(tmp_path, monkeypatch):
    """Relative paths are seen from the set, whoever asks from wherever."""
    shutil.copytree("models/demo/person-seg_openvino_model", tmp_path / "own")
    isnet = tmp_path / "shared/isnet/isnet-general-use.fp16.onnx"
    isnet.parent.mkdir(parents=True)
    isnet.write_bytes(b"<html>404")
    monkeypatch.setenv(weight_files.GIVEN, "shared")
    config = settings.completed({"detect": {"weights": "own"}, "cache": "kept"})
    page = doctor.examine(tmp_path, config)
    (told,) = [text for text in page.blocking if "weights" in text]
    assert told.startswith("mask: the weights isnet: shared/isnet/isnet-general-use.fp16.onnx (")


def test_an_old_driver_has_to_be_replaced_first(visit):
    page, _ = visit(DRIVER, VIDEO, FAKE_CUDA_VERSION="12020", FAKE_CUDA_DEVICES="2")
    assert "cuda:1 No card 1, 24.0 GB, compute 8.6" in page
    assert "onnxruntime on the card: install NVIDIA driver 550 or newer (this one" in page
    assert "runs CUDA 12.2), then `make setup-gpu`" in page
    assert "driver release not told, runs CUDA 12.2" in page  # without libnvidia-ml


@pytest.mark.parametrize(
    ("libraries", "said", "found"),
    [
        ((DRIVER,), {}, "- decoding on the card: the driver's library libnvcuvid"),
        ((DRIVER, VIDEO), {"FAKE_CUDA_DEVICES": "0"}, "cards none shown"),
        ((DRIVER, VIDEO, MANAGEMENT), {"FAKE_NVML_FREE": "900"}, "only 900 MB of the memory of"),
    ],
    ids=["no libnvcuvid", "no card", "memory full"],
)
def test_what_a_card_has_and_lacks(visit, libraries, said, found):
    page, status = visit(*libraries, **said)
    assert found in page and status == 0


@pytest.mark.parametrize(
    ("libraries", "settings", "found"),
    [
        ((DRIVER,), {"extract": {"decoder": "nvdec"}}, "extract.decoder is nvdec, but"),
        ((), {"detect": {"device": "cuda"}}, "detect: device 'cuda' was asked for, but"),
        ((DRIVER, VIDEO), {"mask": {"segmenter": "isnet", "weights": "isnet", "device": "cuda:0"}},
         "onnxruntime-gpu"),
        ((), {"detect": {"weights": "lost/own.onnx"}}, "no file or folder at"),
    ],
    ids=["no NVDEC", "no card", "no runtime", "no weights"],
)  # fmt: skip
def test_a_run_that_cannot_work_is_the_exit_status(visit, libraries, settings, found):
    page, status = visit(*libraries, settings=settings)
    assert status == 1 and "cannot work" in page
    assert found in page.split("can a run work?")[1]


def test_settings_that_are_wrong_are_told_as_a_run_tells_them(visit):
    page, status = visit(settings={"detect": {"confidense": 1}})
    assert status == 2 and "did you mean confidence?" in page


@pytest.mark.parametrize("raw", ["typo", None])
def test_a_folder_of_clips_that_is_named_and_not_there_stops_a_run(tmp_path, raw):
    """Where none is named, clips may still come: that is advice."""
    page, lines = doctor.Page(), []
    config = {**settings.load(), "raw_videos": raw}
    doctor._clips(page, lambda *line: lines.append(line), tmp_path, config)
    where, said = lines
    assert where == ("the set", str(tmp_path)) and "there is no folder" in said[1]
    if raw:
        assert f"raw_videos: there is no folder {tmp_path / 'typo'}" in page.blocking[0]
    else:
        assert not page.blocking and "put clips into" in page.advice[0]


def test_a_folder_of_shared_weights_that_is_none_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv(weight_files.GIVEN, str(tmp_path / "none"))
    page = doctor.Page()
    doctor._run(page, tmp_path, settings.load(DEMO))
    assert [text for text in page.advice if f"there is no folder {tmp_path / 'none'}" in text]


def test_a_runtime_that_does_not_load_stops_a_run():
    page = doctor.Page()
    version, problem = doctor._loaded("no_such_runtime")
    assert not version and "no_such_runtime" in problem
    doctor.RUNTIMES, kept = ("no_such_runtime",), doctor.RUNTIMES
    try:
        doctor._runtimes(page, None)
    finally:
        doctor.RUNTIMES = kept
    assert page.blocking == ["no_such_runtime does not load; `make setup` installs what is locked"]


def test_a_small_machine_is_told_how_many_jobs_it_holds(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_memory_gb", lambda: 8.0)
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda _: range(24))
    page = doctor.Page()
    doctor._machine(page, tmp_path, {"dataset": "dataset", "cache": "cache"})
    assert any("use --cores 5" in line for line in page.advice)


def test_what_setup_gpu_has_installed_is_not_advised_again(monkeypatch, tmp_path):
    driver = Driver("550.54.14", (12, 4), ())
    assert "`make setup-gpu`" in doctor._to_use_the_card(driver, ["torch"])
    (tmp_path / install.LOCKS).write_text("0  requirements.lock\n0  cuda124.lock\n")
    monkeypatch.setattr(doctor.sys, "prefix", str(tmp_path))
    assert "see nvidia-smi" in doctor._to_use_the_card(driver, ["torch"])


def test_what_two_settings_share_is_told_once(tmp_path, monkeypatch):
    """Of one disk it said twice that it is nearly full, and of one folder four times that it is
    closed.
    """
    usage = doctor.shutil._ntuple_diskusage(40 << 30, 39 << 30, 1 << 30)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    page = doctor.examine(tmp_path, settings.load(DEMO))
    (room,) = [text for text in page.advice if "make room" in text]
    assert room.startswith(
        f"the disk of {tmp_path}/dataset and {tmp_path}/cache has less than 20 GB"
    )
    (closed,) = [text for text in page.blocking if "cannot be written to" in text]
    assert closed == f"dataset, qc_reports, audit, cache: {tmp_path} cannot be written to"


def test_weights_of_ones_own_are_found_from_where_make_is_typed(tmp_path, monkeypatch):
    """`weights: nets/own` lies in the set's folder: a run found it, and the doctor said that it
    cannot work.
    """
    looked_for = []
    monkeypatch.setattr(
        doctor.weight_kinds,
        "fit",
        lambda config, section: (
            looked_for.append(Path(config[section]["weights"]).absolute()) or []
        ),
    )
    config = {**settings.load(DEMO), "detect": {**settings.load()["detect"], "weights": "nets/own"}}
    doctor._network(doctor.Page(), tmp_path, config, "detect")
    assert looked_for == [tmp_path / "nets/own"]
