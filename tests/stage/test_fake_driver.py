"""A machine whose NVIDIA driver shows a card: whatever the card cannot do, the CPU does.

The driver is a fake (tests/fake_nvidia) whose pictures are made up, so what is compared of a clip
that it decodes is everything but pixels and what is measured on them.
"""

from __future__ import annotations

import json

import av
import numpy as np
import pytest

from tests.fake_nvidia import DRIVER, VIDEO, Machine
from tests.generator.encode import Encoding, encode
from tests.settings import ROOT

X264, X265 = {"preset": "ultrafast"}, {"preset": "ultrafast", "x265-params": "bframes=2"}
MOTION = {"codec": "mjpeg", "options": {}, "b_frames": 0}
#: name -> encoding, and whether the card decodes it
KINDS = {
    "h264.mp4": ({"options": X264}, True),
    "h264_10.mp4": ({"options": X264, "pix_fmt": "yuv420p10le"}, False),
    "h264_422.mp4": ({"options": X264, "pix_fmt": "yuv422p"}, False),
    "h264_444.mp4": ({"options": X264, "pix_fmt": "yuv444p"}, False),
    "h264_wide.mp4": ({"options": X264}, False),
    "hevc.mp4": ({"codec": "libx265", "options": X265}, True),
    "hevc_10.mp4": ({"codec": "libx265", "options": X265, "pix_fmt": "yuv420p10le"}, True),
    "hevc_422.mp4": ({"codec": "libx265", "options": X265, "pix_fmt": "yuv422p10le"}, False),
    "motion_420.avi": ({**MOTION, "pix_fmt": "yuvj420p"}, True),
    "motion_422.avi": ({**MOTION, "pix_fmt": "yuvj422p"}, False),
    "mpeg4.avi": ({"codec": "mpeg4", "options": {}}, True),
    "vp9.webm": ({"codec": "libvpx-vp9", "options": {"cpu-used": "8"}, "b_frames": 0}, True),
    "prores.mov": ({"codec": "prores_ks", "options": {}, "pix_fmt": "yuv422p10le", "b_frames": 0},
                   False),
}  # fmt: skip
CUT_OFF, WIPED = "cut_off.mkv", "wiped.mp4"
#: What a decoder has no say in, with what it says of itself left out.
FACTS = ("item", "outcome", "reason", "time_s", "pts", "frame", "frames_decoded", "decode_errors",
         "width", "height", "rotation", "sar", "transfer", "bit_depth", "interlaced")  # fmt: skip


def pictures(count, height, width):
    """Each unlike the last, so that no sample is a duplicate, of the clip or of the fake's own."""
    rng = np.random.default_rng(1)
    for _ in range(count):
        small = rng.integers(0, 255, (height // 16, width // 16, 3), np.uint8)
        yield np.kron(small, np.ones((16, 16, 1), np.uint8))


def wipe(path):
    """Leave of a clip's pictures the first bytes of the first."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        start = packets[0].pos + 900
        end = max(packet.pos + packet.size for packet in packets)
    data = bytearray(path.read_bytes())
    data[start:end] = bytes(end - start)
    path.write_bytes(data)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for name, (changed, _) in KINDS.items():
        size = (96, 4160) if "wide" in name else (192, 256)
        encode(folder / name, pictures(40, *size), Encoding(**{"gop": 10, **changed}))
    whole = (folder / "h264.mp4").with_suffix(".mkv")
    encode(whole, pictures(100, 192, 256), Encoding(gop=10, options=X264))
    data = whole.read_bytes()
    (folder / CUT_OFF).write_bytes(data[: len(data) * 6 // 10])
    encode(folder / WIPED, pictures(20, 192, 256), Encoding(gop=50, options=X264))
    wipe(folder / WIPED)
    return [folder / name for name in (*KINDS, CUT_OFF, WIPED)]


@pytest.fixture(scope="module")
def on_the_cpu(clips, tmp_path_factory):
    """The rows that the CPU's decoder gives."""
    folder = tmp_path_factory.mktemp("cpu")
    return Machine(folder).answer("extract", "cpu", folder / "dataset", *clips)


def rows_of(machine, clips, tmp_path, choice="auto"):
    rows = machine.answer("extract", choice, tmp_path / "dataset", *clips)
    assert "AFTER FORK" not in machine.log
    return rows


def facts(rows):
    return [{name: row[name] for name in FACTS} for row in rows]


def same_to_the_byte(rows, cpu):
    """All but the words for why this decoder."""
    for row in (*rows, *cpu):
        row.pop("decoder_reason", None)
    return rows == cpu


def test_a_card_changes_no_outcome_of_any_kind_of_clip(clips, on_the_cpu, tmp_path):
    machine = Machine(tmp_path / "driver", DRIVER, VIDEO)
    rows = rows_of(machine, clips, tmp_path)
    for name, (_, by_card) in KINDS.items():
        assert {row["outcome"] for row in rows[name]} == {"kept"}, name
        assert facts(rows[name]) == facts(on_the_cpu[name]), name
        used = {row["decoder"] for row in rows[name]}
        assert used == {"pyav-nvdec" if by_card else "pyav-cpu"}, name
        if not by_card:
            assert rows[name][0]["decoder_reason"].startswith("pyav-nvdec: "), name
            assert same_to_the_byte(rows[name], on_the_cpu[name]), name
    assert "context" in machine.log and "decoder" in machine.log


def test_the_reason_is_what_the_card_lacks(clips, tmp_path):
    clip = [path for path in clips if path.name == "h264_422.mp4"]
    rows = rows_of(Machine(tmp_path / "driver", DRIVER, VIDEO), clip, tmp_path)["h264_422.mp4"]
    assert "Hardware is lacking required capabilities" in rows[0]["decoder_reason"]


@pytest.mark.parametrize(
    ("name", "reason"), [(CUT_OFF, "LOST_SPAN"), (WIPED, "EXTRACTOR_REJECTED")]
)
def test_only_the_cpu_calls_a_clip_damaged(clips, on_the_cpu, tmp_path, name, reason):
    clip = [path for path in clips if path.name == name]
    rows = rows_of(Machine(tmp_path / "driver", DRIVER, VIDEO), clip, tmp_path)[name]
    assert reason in {row["reason"] for row in rows}
    assert {row["decoder"] for row in rows} == {"pyav-cpu"}
    assert same_to_the_byte(rows, on_the_cpu[name])


@pytest.mark.parametrize(
    ("libraries", "environment", "reason"),
    [
        ((DRIVER,), {}, "no NVDEC: the driver's library libnvcuvid.so.1 cannot be loaded"),
        ((DRIVER, VIDEO), {"FAKE_NVDEC_MEMORY": "full"}, "pyav-nvdec: it stopped at frame 0"),
        ((DRIVER, VIDEO), {"FAKE_NVDEC_REFUSES": "15"}, "pyav-nvdec: it stopped at frame"),
        ((DRIVER, VIDEO), {"FAKE_CUDA_DEVICES": "0"}, "no NVDEC: the NVIDIA driver shows no dev"),
    ],
    ids=["no libnvcuvid", "memory full", "refused half way", "no device"],
)
def test_what_the_card_does_not_do_the_cpu_does(
    clips, on_the_cpu, tmp_path, libraries, environment, reason
):
    machine = Machine(tmp_path / "driver", *libraries, **environment)
    some = [path for path in clips if path.name in ("h264.mp4", "hevc.mp4", "mpeg4.avi", CUT_OFF)]
    for name, rows in rows_of(machine, some, tmp_path).items():
        assert name == CUT_OFF or reason in rows[0]["decoder_reason"], name
        assert same_to_the_byte(rows, on_the_cpu[name]), name
    assert machine.log.count("refused") <= len(some), "it is not asked again once it has refused"


def test_nvdec_by_name_says_that_it_cannot_and_what_can(clips, tmp_path):
    machine = Machine(tmp_path / "driver", DRIVER, VIDEO)
    some = [path for path in clips if path.name in ("h264.mp4", "h264_10.mp4")]
    rows = rows_of(machine, some, tmp_path, "nvdec")
    assert {row["decoder"] for row in rows["h264.mp4"]} == {"pyav-nvdec"}
    (row,) = rows["h264_10.mp4"]
    assert (row["reason"], row["value"]) == ("EXTRACTOR_REJECTED", "NO_DECODER")
    assert "pyav-nvdec: it stopped at frame 0: Hardware is lacking" in row["detail"]
    assert "with extract.decoder: auto the CPU decodes it" in row["detail"]
    assert (tmp_path / "dataset" / row["path"]).is_file()


def test_nvdec_by_name_without_its_library_is_an_error_that_says_what_helps(clips, tmp_path):
    machine = Machine(tmp_path / "driver", DRIVER)
    done = machine.run(
        "-m", "tests.fake_nvidia", "extract", "nvdec", tmp_path / "dataset", clips[0]
    )
    assert done.returncode != 0 and "libnvcuvid.so.1 cannot be loaded" in done.stderr


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
            "--dry-run",
            "--cores",
            "1",
            "--printshellcmds",
        ),
    )
    assert done.returncode == 0, done.stderr
    assert "rule crop" in done.stdout + done.stderr
    assert "gpu=1" not in done.stdout + done.stderr
    assert "nvdec=1" in done.stdout + done.stderr


def test_a_device_by_name_that_cannot_be_had_ends_the_run_before_its_first_job(tmp_path):
    """And not in each job; the log says of a device that was not named which it is, and why."""
    (tmp_path / "dataset/00_raw_videos").mkdir(parents=True)
    (tmp_path / "dataset/00_raw_videos/a.mp4").write_bytes(b"a")
    (tmp_path / "named.yaml").write_text("mask: {device: cuda}")
    machine = Machine(tmp_path / "driver", DRIVER, VIDEO)
    run = ("-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", tmp_path)
    settings = ("--configfile", ROOT / "config/demo.yaml", tmp_path / "named.yaml")
    done = machine.run(*run, *settings, "--cores", "1")
    assert done.returncode != 0
    assert "mask.device: device 'cuda' was asked for" in done.stderr
    assert "OpenVINO export, and those run on the CPU; give a .pt file" in done.stderr
    assert "detect: its network runs on cpu (openvino-yolo)" in done.stderr
    assert not list((tmp_path / "dataset").glob("*/*.csv")), "no job has run"
