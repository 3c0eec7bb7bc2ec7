"""Whether a crop repeats a kept one: nothing moved within the subject's box.

Leaves, a clock or a screen may move beside a subject that stands still. So two whole frames are
compared (`repeats`), with the same bounds, but only in the blocks that the subject's two boxes
touch. A crop is compared with the last kept one at its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from ferrari.images.boxes import Box, overlap
from ferrari.images.repeats import compare_luma, luma_delta
from ferrari.ledger.columns import KEPT
from ferrari.ledger.reasons import DUPLICATE_SUBJECT

#: Overlap of two boxes below which the subject is at another place, or another subject. Detectors'
#: boxes of one that stands still overlap by 0.95 and more.
SAME_PLACE = 0.75


@dataclass(frozen=True)
class Subject:
    """A crop that was kept: its item, its box in shares of the frame (0-1), its frame's picture.

    `picture` is the frame's compare image (HxW uint8), None if the frame cannot be read any more.
    """

    item: str
    box: Box
    picture: np.ndarray | None


@dataclass
class LastSubjects:
    """The kept crops that match, or are repeated by, the crops of the last frame with a subject."""

    subjects: Sequence[Subject] = ()
    _of_this_frame: list[Subject] = field(default_factory=list)

    def repeated(
        self, item: str, box: Box, picture: np.ndarray, settings: Mapping
    ) -> dict[str, object]:
        """The cells of a crop's row that say what it repeats; empty if it repeats nothing.

        `box` is in shares of the frame, `picture` the frame's compare image, `settings` the section
        `detect` of the config.
        """
        subject = max(self.subjects, key=lambda one: overlap(one.box, box), default=None)
        if subject is not None and overlap(subject.box, box) >= SAME_PLACE:
            delta = luma_delta(picture, subject.picture, _around(subject.box, box))
            if delta.is_repeat(settings):
                self._of_this_frame.append(subject)
                return {
                    "value": delta.block,
                    "threshold": delta.bound(settings),
                    "mean_change": delta.mean,
                    "noise_change": delta.noise,
                    "compared_with": subject.item,
                }
        self._of_this_frame.append(Subject(item, box, picture))
        return {}

    def next_frame(self) -> None:
        """All crops of the frame have been compared."""
        self.subjects = self._of_this_frame or self.subjects
        self._of_this_frame = []

    def resume(
        self,
        frames: Iterable[Iterable[Mapping[str, str]]],
        picture: Callable[[str], np.ndarray | None],
    ) -> None:
        """Continue after the rows of the `frames` of a table of crops, in order.

        `picture` gives the compare image of the frame that is an item's parent.
        """
        last: dict[str, Mapping[str, str]] = {}
        for rows in frames:
            here = {}
            for row in rows:
                if row["outcome"] == KEPT:
                    here[row["item"]] = row
                elif row["reason"] == DUPLICATE_SUBJECT:
                    here[row["compared_with"]] = last[row["compared_with"]]
            last = here or last
        self.subjects = [
            Subject(item, box_of(row), picture(row["parent"])) for item, row in last.items()
        ]


def picture_of(frame_rgb: np.ndarray) -> np.ndarray:
    """The compare image of an HxWx3 uint8 RGB frame."""
    return compare_luma(cv2.cvtColor(frame_rgb, cv2.COLOR_RGB2GRAY))


def box_of(row: Mapping) -> Box:
    """The box in a row of crops (px) as shares of its frame."""
    width, height = float(row["frame_width"]), float(row["frame_height"])
    x1, y1, x2, y2 = (float(row[name]) for name in ("x1", "y1", "x2", "y2"))
    return x1 / width, y1 / height, x2 / width, y2 / height


def _around(one: Box, other: Box) -> Box:
    x1, y1 = (min(one[axis], other[axis]) for axis in (0, 1))
    x2, y2 = (max(one[axis], other[axis]) for axis in (2, 3))
    return x1, y1, x2, y2
