"""A machine whose NVIDIA driver shows a card: every clip ends as it does where there is none.

The driver is a fake (tests/fake_nvidia) whose video engine gives the pictures that the CPU's
decoder makes of a clip, so all of a row is compared, the bytes of its image included.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest

from bench.stubs import NOBODY_JUDGED
from ferrari.video import linking_film
from tests.fake_nvidia import DRIVER, VIDEO, Machine, clips, outcomes
from tests.settings import ROOT

FEW = (
    *("h264.mp4", "h264_422.mp4", "hevc_10.mp4", "mpeg4.avi", "h264_interlaced.mp4"),
    *("cropped_by_codec.mp4", "one_frame.mp4", "damaged_inside_late.mp4", "cut_off.mkv"),
)
SOUND = ("h264.mp4", "hevc_10.mp4")  # the card decodes them, in two groups of pictures and more
#: States of the card that are tried each time: nothing there, a part of it, and an end half way.
OFTEN = ("no driver", "no libnvcuvid", "refused half way", "off from the 15th on")


class Clips:
    """Some kinds of clip, and the rows that the CPU's decoder gives of them."""

    def __init__(self, folder, names):
        self.folder = folder
        self.paths = clips.write(folder, *names)
        self.taught = outcomes.teacher(folder / "teacher", self.paths)
        self.on_the_cpu = Machine(folder / "cpu").answer(
            "extract", "cpu", folder / "cpu/dataset", *self.paths
        )

    def named(self, *names):
        return [path for path in self.paths if path.name in names]

    def on(self, folder, state, names=None, decoder="nvdec_first"):
        paths = self.paths if names is None else self.named(*names)
        return outcomes.of_machine(folder, state, paths, self.taught, decoder)

    def require_equal(self, machine, found):
        assert "AFTER FORK" not in machine.log
        for name, rows in found.items():
            assert not outcomes.differences(rows, self.on_the_cpu[name]), name


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return Clips(tmp_path_factory.mktemp("few"), FEW)


@pytest.fixture(scope="module")
def card_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("card")


@pytest.fixture(scope="module")
def with_a_card(few, card_folder):
    """The machine, and the rows, where the card is tried first for every clip."""
    return few.on(card_folder, "a card that works")


def test_a_card_changes_no_row_of_any_clip(few, with_a_card):
    machine, found = with_a_card
    few.require_equal(machine, found)
    for name, rows in found.items():
        by_card = clips.KINDS[name][1]
        assert {row["decoder"] for row in rows} == {"pyav-nvdec" if by_card else "pyav-cpu"}, name
        assert rows[0]["decoder_reason"].startswith("pyav-nvdec: ") is not by_card, name
        assert {row["proof_difference"] for row in rows} == {"0.0" if by_card else ""}, name


def test_a_card_gives_the_same_linking_film_of_any_clip(few, card_folder, with_a_card):
    by_cpu, by_card = (
        {film.name: film.read_bytes() for film in folder.rglob("dataset/**/*.linking.mkv")}
        for folder in (few.folder / "cpu", card_folder)
    )
    assert by_card == by_cpu and len(by_cpu) == len(FEW) and any(by_cpu.values())


def test_the_reason_is_what_the_card_lacks_or_what_was_found(with_a_card):
    _, found = with_a_card
    reasons = {name: rows[0]["decoder_reason"] for name, rows in found.items()}
    assert "Hardware is lacking required capabilities" in reasons["h264_422.mp4"]
    assert "cropping at left and top" in reasons["cropped_by_codec.mp4"]
    assert "File ended prematurely" in reasons["cut_off.mkv"]


def test_damage_that_the_card_does_not_report_is_found_where_a_group_ends(with_a_card):
    _, found = with_a_card
    rows = found["damaged_inside_late.mp4"]
    assert "DECODE_DAMAGE" in {row["reason"] for row in rows}
    assert "pyav-nvdec: FFmpeg complains of the clip" in rows[0]["decoder_reason"]


def test_three_groups_of_pictures_are_compared_and_all_of_a_short_clip(with_a_card):
    _, found = with_a_card
    assert {row["proof_frames"] for row in found["h264.mp4"]} == {"30"}  # of 40, groups of 10
    assert {row["proof_frames"] for row in found["one_frame.mp4"]} == {"1"}


def test_a_clip_opens_one_context_and_downloads_what_is_wanted_and_what_is_compared(few, tmp_path):
    machine, found = few.on(tmp_path, "a card that works", ["h264.mp4"])
    said = Counter(line.split(" ", 1)[1] for line in machine.log.splitlines())
    rows = found["h264.mp4"]
    assert said["context of device 0"] == 1
    boundaries = 2 * 3  # of four groups: the last picture of each, and the key frame behind it
    film = list(linking_film.read(next((tmp_path / "dataset").rglob("*.linking.mkv"))))
    frames = len(rows) + len(film) + boundaries + int(rows[0]["proof_frames"])
    assert said["download"] == 2 * frames  # planes
    assert not said["made up"], "the engine was asked for pictures that it was not taught"


@pytest.mark.parametrize(
    "name",
    [
        name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow)
        for name in outcomes.STATES
        if name != "a card that works"
    ],
)
def test_what_the_card_does_not_do_the_cpu_does(few, tmp_path, name):
    machine, found = few.on(tmp_path, name, SOUND)
    few.require_equal(machine, found)
    for rows in found.values():
        assert {row["decoder"] for row in rows} == {"pyav-cpu"}
        assert outcomes.STATES[name].blamed in rows[0]["decoder_reason"]
        if "off" in name:
            assert all(4 < float(row["proof_difference"]) < 7 for row in rows)
    assert machine.log.count("refused") <= len(found), "it is not asked again once it has refused"


def test_several_cards_share_the_clips(few, tmp_path):
    two = {"FAKE_CUDA_DEVICES": "2", **few.taught.pictures}
    machine = Machine(tmp_path / "driver", DRIVER, VIDEO, **two)
    paths = few.named("h264.mp4", "hevc_10.mp4", "mpeg4.avi", "one_frame.mp4")
    machine.answer("extract", "nvdec_first", tmp_path / "dataset", *paths)
    assert "context of device 0" in machine.log and "context of device 1" in machine.log


def test_auto_leaves_a_short_clip_to_the_cpu_and_says_why(few, tmp_path):
    machine, found = few.on(tmp_path, "a card that works", SOUND, "auto")
    assert "context" not in machine.log
    assert "not NVDEC: of h264 it would spare" in found["h264.mp4"][0]["decoder_reason"]
    assert "not NVDEC: decoding takes a core" in found["hevc_10.mp4"][0]["decoder_reason"]


def test_nvdec_by_name_says_that_it_cannot_and_what_can(few, tmp_path):
    _, rows = few.on(tmp_path, "a card that works", ("h264.mp4", "h264_422.mp4"), "nvdec")
    assert {row["decoder"] for row in rows["h264.mp4"]} == {"pyav-nvdec"}
    (row,) = rows["h264_422.mp4"]
    assert (row["reason"], row["value"]) == ("EXTRACTOR_REJECTED", "NO_DECODER")
    assert "pyav-nvdec: it stopped at frame 0: Hardware is lacking" in row["detail"]
    assert "with extract.decoder: nvdec_first the CPU decodes it" in row["detail"]
    assert (tmp_path / "dataset" / row["path"]).is_file()


def test_nvdec_by_name_without_its_library_is_an_error_that_says_what_helps(few, tmp_path):
    machine = Machine(tmp_path / "driver", DRIVER)
    done = machine.run(
        *("-m", "tests.fake_nvidia", "extract", "nvdec", tmp_path / "dataset", few.paths[0])
    )
    assert done.returncode != 0 and "libnvcuvid.so.1 cannot be loaded" in done.stderr


@pytest.mark.slow
def test_every_kind_of_clip_ends_the_same_on_every_machine(tmp_path):
    """`python -m tests.fake_nvidia.outcomes` prints the table."""
    every = Clips(tmp_path, clips.KINDS)
    assert len(every.paths) >= 24
    for number, name in enumerate(outcomes.STATES):
        machine, found = every.on(tmp_path / str(number), name)
        every.require_equal(machine, found)
        if name == "a card that works":
            by_card = {clip for clip, rows in found.items() if rows[0]["decoder"] == "pyav-nvdec"}
            assert by_card == {clip for clip, (_, decodes) in clips.KINDS.items() if decodes}


def test_networks_run_on_the_cpu_where_their_runtime_cannot_use_the_card(tmp_path):
    machine = Machine(tmp_path / "driver", DRIVER, VIDEO)
    found = machine.answer("networks", tmp_path)
    assert found["detect"]["boxes"] and found["mask"]["share"] > 0.01
    assert found["detect"]["device"].startswith("cpu openvino")
    assert found["mask"]["device"].startswith("cpu openvino")
    assert "AFTER FORK" not in machine.log


def test_auto_says_why_it_takes_the_cpu_and_a_device_by_name_what_to_install(tmp_path):
    machine = Machine(tmp_path / "driver", DRIVER, VIDEO)
    done = machine.run("-m", "tests.fake_nvidia", "devices", "auto")
    answers = json.loads(done.stdout)
    engine = answers.pop("yolo-seg a.engine")
    assert "TensorRT is not installed" in engine and "give the .pt or .onnx" in engine
    assert set(answers.values()) == {"cpu"}, done.stderr
    said = done.stderr.splitlines()
    assert len(said) == len(set(said)) and all("device auto: the CPU is taken" in s for s in said)
    assert any("no CUDA provider" in line for line in said)
    by_name = machine.answer("devices", "cuda")
    assert "install onnxruntime-gpu" in by_name["isnet a.onnx"]
    assert "install a driver for that CUDA" in by_name["isnet a.onnx"], "torch would do, too"
    assert "give the ONNX file" in by_name["isnet a.xml"]
    for weights in ("sam a.pt", "yolo-seg a.onnx"):
        assert "DeviceError" in by_name[weights] and "install" in by_name[weights]
    assert "OpenVINO export" in by_name["yolo-seg a_openvino_model"]
    assert "AFTER FORK" not in machine.log


def test_the_gpu_token_is_for_jobs_that_use_the_card(tmp_path):
    """Of the demo's settings, on a driver whose card nothing that is installed can use."""
    (tmp_path / "dataset/00_raw_videos").mkdir(parents=True)
    (tmp_path / "dataset/00_raw_videos/a.mp4").write_bytes(b"a")
    machine = Machine(tmp_path / "driver", DRIVER, VIDEO)
    done = machine.run(
        *("-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", tmp_path),
        *(
            "--configfile",
            ROOT / "config/demo.yaml",
            NOBODY_JUDGED,
            "--dry-run",
            "--cores",
            "1",
            "--printshellcmds",
        ),
    )
    assert done.returncode == 0, done.stderr
    assert "rule crop" in done.stdout + done.stderr
    assert "gpu=1" not in done.stdout + done.stderr
    assert "nvdec=1" not in done.stdout + done.stderr


def test_a_device_by_name_that_cannot_be_had_ends_the_run_before_its_first_job(tmp_path):
    """And not in each job; the log says of a device that was not named which it is, and why."""
    (tmp_path / "dataset/00_raw_videos").mkdir(parents=True)
    (tmp_path / "dataset/00_raw_videos/a.mp4").write_bytes(b"a")
    (tmp_path / "named.yaml").write_text("mask: {device: cuda}")
    machine = Machine(tmp_path / "driver", DRIVER, VIDEO)
    run = ("-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", tmp_path)
    named = (ROOT / "config/demo.yaml", NOBODY_JUDGED, tmp_path / "named.yaml")
    settings = ("--configfile", *named)
    done = machine.run(*run, *settings, "--cores", "1")
    assert done.returncode != 0
    assert "mask.device: device 'cuda' was asked for" in done.stderr
    assert "OpenVINO export, and those run on the CPU; give a .pt file" in done.stderr
    assert "detect: its network runs on cpu (openvino-yolo)" in done.stderr
    assert not list((tmp_path / "dataset").glob("*/*.csv")), "no job has run"


@pytest.mark.parametrize(
    ("environment", "at_a_time"),
    [({}, 1), ({"FAKE_NVDEC_ENGINES": "3"}, 3), ({"FERRARI_NVDEC": "2"}, 2)],
)
def test_as_many_clips_are_decoded_at_a_time_as_a_card_has_engines(
    tmp_path, environment, at_a_time
):
    """The driver says how many; the run's token `nvdec` another number."""
    machine = Machine(tmp_path / "driver", DRIVER, VIDEO, **environment)
    assert machine.answer("engines") == at_a_time
    assert "AFTER FORK" not in machine.log
