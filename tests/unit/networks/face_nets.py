"""Networks for faces that are small enough to see through: a face is a patch of pure red."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ferrari.networks import faces, weight_files
from ferrari.networks.backends import yunet
from tests.unit.networks import onnx_files

#: Of the side of a face: where its five landmarks lie from its upper left corner.
LANDMARKS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
#: The side of a face in pixels of what the network is fed: neighbouring cells have the same face.
SIDE = 64


def finder(path: Path) -> Path:
    """With YuNet's outputs: of its finest grid each cell that is red has a face of SIDE pixels
    around its middle, and the other grids have none.
    """
    constants: dict[str, np.ndarray] = {
        # Red without blue and green, of a picture in BGR.
        "red": np.array([-1, -1, 1], np.float32).reshape(1, 3, 1, 1) / 255,
        "no": np.zeros((1, 1, 1, 1), np.float32),
    }
    stride = yunet.STRIDES[0]
    values = {
        "bbox": [0.5, 0.5, *np.log([SIDE / stride] * 2)],
        "kps": (0.5 + (LANDMARKS - 0.5) * SIDE / stride).ravel(),
    }
    for name, numbers in values.items():
        constants[f"{name}_bias"] = np.array(numbers, np.float32)
        constants[f"{name}_weights"] = np.zeros((len(numbers), 1, 1, 1), np.float32)
    nodes: list = [("Conv", ["x", "red"], "redness", {})]
    outputs: dict[str, list[str]] = {"cls": [], "obj": [], "bbox": [], "kps": []}
    for step in yunet.STRIDES:
        constants[f"mean_{step}"] = np.full((1, 1, step, step), 1 / step**2, np.float32)
        strides = {"strides": [step, step]}
        nodes.append(("Conv", ["redness", f"mean_{step}"], f"cells_{step}", strides))
        scores = f"scores_{step}"
        finest = "Identity" if step == stride else "Mul"
        nodes.append((finest, [f"cells_{step}", "no"][: 1 + (finest == "Mul")], scores, {}))
        for name, found in outputs.items():
            source = scores
            if name in values:
                source = f"{name}_{step}_all"
                inputs = [scores, f"{name}_weights", f"{name}_bias"]
                nodes.append(("Conv", inputs, source, {}))
            width = f"{name}_shape"
            constants[width] = np.array([1, -1, len(values.get(name, [0]))])
            rows = {"perm": [0, 2, 3, 1]}
            nodes.append(("Transpose", [source], f"{source}_{name}_rows", rows))
            nodes.append(("Reshape", [f"{source}_{name}_rows", width], f"{name}_{step}", {}))
            found.append(f"{name}_{step}")
    names = [name for found in outputs.values() for name in found]
    return onnx_files.save(path, nodes, constants, names)


def embedder(path: Path, dimensions: int = 4) -> Path:
    """A face's mean red, green and blue, and noughts; a face that is black is no number."""
    weights = np.eye(3, dimensions, dtype=np.float32)
    nodes = [
        ("GlobalAveragePool", ["x"], "mean", {}),
        ("Flatten", ["mean"], "row", {"axis": 1}),
        ("Gemm", ["row", "weights"], "y", {}),
    ]
    return onnx_files.save(path, nodes, {"weights": weights}, ["y"], (1, 3, 112, 112))


def entries(folder: Path) -> dict:
    """What models.yaml would say of the two, which are in `folder`."""
    paths = {"find": finder(folder / "find.onnx"), "tell": embedder(folder / "tell.onnx")}
    known: dict[str, dict] = {
        name: {
            "file": path.name,
            "sha256": weight_files.digest(path),
            "licence": "none",
            "sources": [],
        }
        for name, path in paths.items()
    }
    known["find"] |= {"kind": "face_detector", "threshold": 0.6, "upright": True}
    known["tell"] |= {
        "kind": "face_embedding",
        "input": {"size": [112, 112], "alignment": "five_points", "mean": [0] * 3, "std": [1] * 3},
        "output": {"index": 0},
        "dimensions": 4,
        "threshold": 0.9,
    }
    return {
        "models": known,
        "face_detectors": {"find": {"backend": "yunet", "weights": "find"}},
        "face_embeddings": {"tell": {"backend": "face_net", "weights": "tell"}},
    }


SETTINGS = {"detector": "find", "embedding": "tell", "device": "cpu", "batch": 2}


def weights(folder: Path) -> list[str]:
    """The files of `entries(folder)`, in the order of `weight_files.for_faces`."""
    return [str(folder / name) for name in ("find.onnx", "tell.onnx")]


def model(folder: Path) -> faces.FaceModel:
    """Loaded; `entries(folder)` must be the list."""
    return faces.load(SETTINGS, weights(folder), threads=1, cache=str(folder))
