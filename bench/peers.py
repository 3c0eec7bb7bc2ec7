"""Where the peers are, and the commands that a user would type."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from bench.measure import ROOT, PeerMissingError
from ferrari.networks import weight_files
from tests.shared import SHARED

BENCH_PYTHON = ROOT / ".venv-bench/bin/python"
_HOW = "`make bench` sets up .venv-bench"


@cache
def ffmpeg() -> str:
    """imageio-ffmpeg's binary; raises PeerMissingError."""
    if not BENCH_PYTHON.exists():
        raise PeerMissingError(f"no ffmpeg: {_HOW}")
    code = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"
    done = subprocess.run([BENCH_PYTHON, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def ffmpeg_chain(clip: Path, folder: Path, settings: dict, method: int | None) -> list[str]:
    """Sample, drop repeats, encode as WebP at our quality; `method` None is ffmpeg's own (4)."""
    effort = [] if method is None else ["-compression_level", str(method)]
    return [
        *(ffmpeg(), "-nostdin", "-v", "error", "-y", "-i", str(clip)),
        *("-vf", f"fps={settings['fps']:g},mpdecimate", "-fps_mode", "vfr", "-c:v", "libwebp"),
        *("-quality", str(settings["webp_quality"]), *effort),
        str(folder / f"{clip.stem}-%06d.webp"),
    ]


def yolo() -> str:
    """The `yolo` command of ultralytics beside this Python; raises PeerMissingError."""
    command = Path(sys.executable).with_name("yolo")
    if not command.exists():
        raise PeerMissingError("no yolo command beside this Python; run from .venv (make setup)")
    return str(command)


@cache
def yolo_env(cache_folder: Path) -> dict[str, str]:
    """An environment in which ultralytics reaches for no network, settings in `cache_folder`."""
    config = cache_folder / "ultralytics"
    config.mkdir(parents=True, exist_ok=True)
    env = {
        **os.environ,
        "YOLO_OFFLINE": "true",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_CONFIG_DIR": str(config),
    }
    subprocess.run([yolo(), "settings", "sync=False"], env=env, capture_output=True, check=True)
    return env


def yolo_predict(source: Path, weights: Path, project: Path, settings: dict, *more: str):
    """`yolo predict` with our settings; it writes crops, and by default annotated pictures."""
    return [
        *(yolo(), "predict", f"model={weights}", f"source={source}", "save_crop=True"),
        *("classes=0", f"conf={settings['confidence']}", f"iou={settings['iou']}"),
        *(f"imgsz={settings['image_size']}", "device=cpu", f"project={project}", "name=predict"),
        *("exist_ok=True", "verbose=False", *more),
    ]


def rembg() -> str:
    """The `rembg` command; raises PeerMissingError."""
    command = BENCH_PYTHON.with_name("rembg")
    if not command.exists():
        raise PeerMissingError(f"no rembg: {_HOW}")
    return str(command)


def rembg_env(onnx: Path, home: Path) -> dict[str, str]:
    """An environment in which rembg finds `onnx` as isnet-general-use, and needs no download."""
    place = home / "models/isnet-general-use/isnet-general-use.onnx"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(onnx.resolve())
    return {**os.environ, "U2NET_HOME": str(home), "MODEL_CHECKSUM_DISABLED": "1"}


def rembg_folder(source: Path, target: Path, *options: str) -> list[str]:
    """`rembg p -m isnet-general-use` on a folder."""
    return [rembg(), "p", "-m", "isnet-general-use", *options, str(source), str(target)]


# --- weights and footage --------------------------------------------------------------------------


def shared() -> Path | None:
    """The folder of real footage and weights (`tests/shared.py`), if it is there."""
    return SHARED if SHARED.is_dir() else None


def people_clips() -> list[Path]:
    """Short real clips of one person each; empty without FERRARI_SHARED."""
    folder = shared()
    return sorted((folder / "media/people").glob("asl__*.mkv")) if folder else []


def yolo_weights() -> tuple[Path, str, int]:
    """Weights of the detector, their name and input size: the shared ones, else the demo's."""
    folder = shared()
    real = folder / "weights/yolo11n_int8_openvino_model" if folder else None
    if real and real.is_dir():
        return real, "yolo11n int8", 640
    return ROOT / "models/demo/person-seg_openvino_model", "demo network", 320


def listed_weights(name: str, cache: Path) -> Path | None:
    """Weights of models.yaml where `make weights`, FERRARI_WEIGHTS or a run has put them."""
    for place in (ROOT / "cache", cache):
        if (file := weight_files.resolve(name, place).path).exists():
            return file
    return None


def selfie_weights(cache: Path) -> Path:
    """The person gate's ONNX file, made of the shared network where it is nowhere else."""
    if found := listed_weights("selfie", cache):
        return found
    parts = (
        [shared() / f"weights/person/selfie.{end}" for end in ("json", "bin")] if shared() else []
    )
    if not parts or not all(part.is_file() for part in parts):
        raise PeerMissingError("no weights of selfie; `make weights` fetches them")
    from ferrari.networks.backends import tfjs_graph

    file = weight_files.resolve("selfie", cache).path
    file.parent.mkdir(parents=True, exist_ok=True)
    described, weights = (part.read_bytes() for part in parts)
    file.write_bytes(tfjs_graph.to_onnx(described, weights, "activation_10"))
    return file


def isnet_weights() -> Path:
    """ISNet's ONNX file; raises PeerMissingError where it is not shared."""
    folder = shared()
    file = folder / "weights/isnet-general-use.fp16.onnx" if folder else None
    if not file or not file.is_file():
        raise PeerMissingError(
            "no weights of ISNet; put isnet-general-use.fp16.onnx into weights/ of the folder that "
            "FERRARI_SHARED names"
        )
    return file
