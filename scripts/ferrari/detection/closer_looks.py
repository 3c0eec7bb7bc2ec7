"""A second look at a clip's frames (`following.Again`): sights are told by their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferrari.detection import detection_rows
from ferrari.detection.face_search import FaceSearch
from ferrari.detection.views import View, counted, frame_rgb
from ferrari.images import boxes, hardly_seen
from ferrari.ledger import item_ids, tables
from ferrari.ledger.columns import KEPT
from ferrari.processes.failures import Failure
from ferrari.processes.isolated_model import Isolated
from ferrari.subject.second_look import FOUND_AGAIN

#: Whom a row is of that could not be looked at.
_PLACE, _FOUND = "a second look at a place", "whom a second look found"


@dataclass(frozen=True)
class CloserLooks:
    """What a second look needs of the search so far. `rows`, by frame, and the faces of `faces` are
    completed; `shown` is each sight's frame, None: one of the film.
    """

    dataset: Path
    detector: Isolated | None
    faces: FaceSearch
    rows: dict[str, list[tables.Row]]
    shown: Sequence[Mapping | None]

    def picture(self, number: int) -> np.ndarray:
        """The pixels of a frame that was read before, HxWx3 uint8 RGB."""
        return frame_rgb(self.dataset, self._line(number))

    def find(
        self, numbers: Sequence[int], squares_rgb: Sequence[np.ndarray]
    ) -> list[list[boxes.Detection]]:
        """Who is in each square. What ends the detector shows nobody, and is `unseen`."""
        assert self.detector is not None
        found, _ = self.detector.outcomes(list(squares_rgb), "second looks")
        people = []
        for number, answer in zip(numbers, found, strict=True):
            if isinstance(answer, Failure):
                self.faces.not_seen(self._line(number), _PLACE, answer)
            seen = [] if isinstance(answer, Failure) else answer
            people.append(counted(seen, self.faces.least))
        return people

    def taken(self, number: int, found: Sequence[boxes.Detection]) -> list[str]:
        """Give those whom a second look found in a frame rows behind the others', or in place of
        the one that says that nobody is there; their items. Whom the first look hardly saw is told
        once, where the second one found them.

        Whose the faces are is asked anew: one that was given to somebody else may be theirs. If
        the frame ends the networks for faces, nobody is added.
        """
        line = self._line(number)
        frame, view = line["item"], View.of_frame(line)
        view.picture_rgb = frame_rgb(self.dataset, line)
        before = [row for row in self.rows[frame] if row["outcome"] == KEPT]
        rows = [*before, *self._rows(view, len(before), found)]
        people = {str(row["item"]): detection_rows.detection_of(row) for row in rows}
        faces = self.faces.of(view, people)
        if isinstance(faces, Failure):
            self.faces.not_seen(line, _FOUND, faces)
            return []
        self.faces.faces |= {item: [] for item in people} | faces
        known = [one.box_xyxy for one in found]
        self.rows[frame] = [*(_known_now(row, known) for row in before), *rows[len(before) :]]
        return [str(row["item"]) for row in rows[len(before) :]]

    def _rows(self, view: View, first: int, found: Sequence[boxes.Detection]) -> list[tables.Row]:
        """Rows of those found, numbered from `first` on."""
        assert view.line is not None and view.picture_rgb is not None
        assert self.detector is not None
        frame = view.line["item"]
        height, width = view.picture_rgb.shape[:2]
        about = {"parent": frame, **self.detector.about, "detail": FOUND_AGAIN}
        about |= {"frame_width": width, "frame_height": height}
        return [
            tables.row(
                "detect",
                item=item_ids.detection_item(frame, ordinal),
                **about,
                **detection_rows.cells_of(one, view.picture_rgb),
            )
            for ordinal, one in enumerate(found, first)
        ]

    def _line(self, number: int) -> Mapping:
        line = self.shown[number]
        assert line is not None  # the film is not looked at again
        return line


def _known_now(row: tables.Row, found: Sequence[boxes.Box]) -> tables.Row:
    """The row of somebody in a frame in which more people are `found`."""
    hints = hardly_seen.read(str(row["hardly_seen"]))
    return {**row, "hardly_seen": hardly_seen.told(hardly_seen.without(hints, found))}
