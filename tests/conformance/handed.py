"""What a loader hands to the training, and how a trainer's own code is run without its models."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import types
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

SUBJECT_BLUE = 120  # of 255: the made set's subject is bluer than this, its grounds are not


class Handed(NamedTuple):
    """One image as trained; `item` is empty where the loader forgets names."""

    item: str
    caption: str
    image: np.ndarray  # HxWx3 uint8, RGB
    mask: np.ndarray | None  # HxW uint8; None where the trainer has none
    repeats: int

    def record(self) -> dict[str, object]:
        """As JSON: pixels as digests; `overlap` says how well the mask lies on the subject."""
        image, mask = np.asarray(self.image), self.mask
        return {
            "item": self.item,
            "caption": self.caption,
            "image": digest(image),
            "mask": "" if mask is None else digest(np.asarray(mask)),
            "repeats": self.repeats,
            "size": [image.shape[1], image.shape[0]],
            "overlap": None if mask is None else overlap(image, np.asarray(mask)),
        }


def digest(pixels: np.ndarray) -> str:
    """SHA-256 of uint8 pixels, the shape with them."""
    return hashlib.sha256(
        str(pixels.shape).encode() + pixels.astype(np.uint8).tobytes()
    ).hexdigest()


def overlap(image: np.ndarray, mask: np.ndarray) -> float:
    """Intersection over union of the mask and the made set's subject; 0 if their sizes differ."""
    if image.shape[:2] != mask.shape:
        return 0.0
    seen, marked = image[..., 2] > SUBJECT_BLUE, mask > 127
    return float((seen & marked).sum() / max(1, (seen | marked).sum()))


def rgb(picture: Image.Image) -> np.ndarray:
    """The picture as RGB."""
    return np.asarray(picture.convert("RGB"))


def grey(picture: Image.Image) -> np.ndarray:
    """The picture as grey."""
    return np.asarray(picture.convert("L"))


def signed(tensor) -> np.ndarray:
    """uint8 (H, W, C) of a tensor (C, H, W) in -1..1."""
    return unit((tensor.float() + 1) / 2)


def unit(tensor) -> np.ndarray:
    """uint8 (H, W, C) of a tensor (C, H, W) in 0..1."""
    return np.rint(tensor.float().numpy().transpose(1, 2, 0) * 255).astype(np.uint8)


class _AnyType(type):
    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything

    def __iter__(cls):
        return iter(())


class Anything(metaclass=_AnyType):
    """Stands for a class or function of a library that is not there and does not matter here."""

    def __init__(self, *_, **__) -> None:
        pass

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything


class _Absent(types.ModuleType):
    __path__ = ()

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything


class _Finder:
    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)

    def find_spec(self, name: str, path=None, target=None) -> ModuleSpec | None:
        """A module of nothing for the names that were given, and for all below them."""
        if any(name == known or name.startswith(known + ".") for known in self.names):
            return ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        """An empty module in which every name is Anything."""
        return _Absent(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing: there is no code."""


def without(*names: str) -> None:
    """Let these libraries and modules be imported, empty: models, sound and video, GPUs."""
    sys.meta_path.insert(0, _Finder(names))


def absent(*names: str) -> list[str]:
    """Those of the libraries that are not installed."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def defined(script: Path, names: Iterable[str], given: dict) -> dict:
    """`given` with these classes, functions and constants of a script whose imports fail."""
    wanted, tree = set(names), ast.parse(script.read_text())
    nodes = [node for node in tree.body if wanted & _names(node)]
    exec(compile(ast.Module(nodes, []), str(script), "exec"), given)
    return given


def _names(node: ast.stmt) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node]
    return {getattr(target, "name", getattr(target, "id", "")) for target in targets}
