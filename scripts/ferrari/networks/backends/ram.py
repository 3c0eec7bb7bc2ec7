"""Recognize Anything (RAM): does a crop hold the subject's class? If so, SAM cuts it out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferrari.networks.backends.alpha_net import activate, prepare
from ferrari.networks.network import Network
from ferrari.networks.weight_files import ModelError

_DIGITS = 6  # behind the point, of a score as its row tells it


@dataclass(frozen=True)
class Presence:
    """Whether the subject's class is there: its best tag's score, the threshold, and that tag."""

    present: bool
    score: float | None = None
    threshold: float | None = None
    tag: str = ""


class RamTagger:
    """RAM as an ONNX (or OpenVINO) export whose output is one score a tag of its list."""

    def __init__(
        self,
        net: Network,
        path: str | os.PathLike,
        entry: Mapping,
        *,
        tags: Sequence[str],
        threshold: float,
    ) -> None:
        self._net, self._input, self._output = net, entry["input"], entry["output"]
        names = read_tags(Path(path).with_name(entry["tags"]))
        self._wanted = {tag: tag_index(names, tag) for tag in tags}
        self._count, self._threshold, self._path = len(names), threshold, path

    def presence(self, crops_rgb: Sequence[np.ndarray]) -> list[Presence]:
        """One verdict a crop: present if one of the subject's tags scores the threshold or more."""
        inputs = (prepare(crop, self._input) for crop in crops_rgb)
        return [self._judge(output.ravel()) for (output,) in self._net.stream(inputs)]

    def _judge(self, values: np.ndarray) -> Presence:
        require_count(self._path, len(values), self._count)
        scores = activate(values, self._output["activation"])
        tag = max(self._wanted, key=lambda name: scores[self._wanted[name]])
        score = round(float(scores[self._wanted[tag]]), _DIGITS)
        return Presence(score >= self._threshold, score, self._threshold, tag)


def require_count(path: str | os.PathLike, scored: int, listed: int) -> None:
    """Raise ModelError unless a network scores as many tags as its list has."""
    if scored != listed:
        raise ModelError(
            f"{path} scores {scored} tags, but its tag list has {listed}: the two do not belong "
            "together"
        )


def read_tags(path: Path) -> list[str]:
    """The tag list, one tag a line; ModelError says where it must lie."""
    if not path.is_file():
        raise ModelError(f"RAM's tag list is not at {path}; put it there, one tag a line")
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def tag_index(names: Sequence[str], wanted: str) -> int:
    """Position of a tag; ModelError for one that the list does not have."""
    if wanted not in names:
        raise ModelError(f"mask.ram_tags: RAM's list has no tag {wanted!r}")
    return names.index(wanted)
