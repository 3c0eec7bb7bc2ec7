"""The pictures of a clip during detection: kept frames, and those of its linking film."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferrari.images import boxes, image_files, subject_choice
from ferrari.ledger import item_ids
from ferrari.processes.failures import Failure
from ferrari.video.linking_film import LinkingPicture


@dataclass
class View:
    """A picture during detection: a kept frame with its row (`line`), or a picture of the linking
    film.

    `picture_rgb`, HxWx3 uint8, of a frame is read on the way; `fault` is what is wrong with its
    file. `found` is everything that the detector returned, `faint` the part of it below the bound
    that counts by its face.
    """

    frame: int
    time_s: float
    line: Mapping | None = None
    picture_rgb: np.ndarray | None = None
    fault: str = ""
    found: Sequence[boxes.Detection] | Failure | None = None
    faint: Sequence[boxes.Detection] = ()

    @classmethod
    def of_frame(cls, line: Mapping) -> View:
        """A kept frame, not yet read."""
        return cls(int(line["frame"]), float(line["time_s"]), line)

    def pixels(self) -> int:
        """How many pixels it has, or will have."""
        if self.line is not None:
            return int(self.line["width"]) * int(self.line["height"])
        assert self.picture_rgb is not None
        return self.picture_rgb.shape[0] * self.picture_rgb.shape[1]

    def read(self, dataset: Path) -> None:
        """Read the pixels of a frame, or note what is wrong with its file."""
        assert self.line is not None
        try:
            self.picture_rgb = frame_rgb(dataset, self.line)
        except image_files.ImageReadError as error:
            self.fault = str(error)

    def people(self, least: float) -> dict[str, boxes.Detection]:
        """A frame's detections that count, by item; none of a picture that is no frame."""
        if self.line is None or self.found is None or isinstance(self.found, Failure):
            return {}
        frame = self.line["item"]
        every = enumerate([*counted(self.found, least), *self.faint])
        return {item_ids.detection_item(frame, ordinal): one for ordinal, one in every}


def frame_rgb(dataset: Path, line: Mapping) -> np.ndarray:
    """The pixels of a frame, HxWx3 uint8, if they are those of its row; else ImageReadError."""
    return image_files.read_verified(dataset / line["path"], line["sha256"], line["path"])


def in_order(lines: Iterable[Mapping], film: Iterable[LinkingPicture]) -> Iterator[View]:
    """The kept frames and the film's pictures, which are of others, in the order shown."""
    kept = map(View.of_frame, lines)
    filmed = (View(one.frame, one.time_s, None, one.picture_rgb) for one in film)
    return heapq.merge(kept, filmed, key=lambda view: view.frame)


def counted(found: Iterable[boxes.Detection], least: float) -> list[boxes.Detection]:
    """The detections that reach the bound, in the order in which they are numbered."""
    return subject_choice.in_order([one for one in found if one.confidence >= least])
