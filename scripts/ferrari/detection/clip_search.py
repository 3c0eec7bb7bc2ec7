"""Detection on all pictures of a clip, and tracking of the people in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ferrari.common.progress import LOGGER, Progress
from ferrari.detection import detection_rows
from ferrari.detection.closer_looks import CloserLooks
from ferrari.detection.face_search import FaceSearch
from ferrari.detection.views import View, counted
from ferrari.ledger import tables
from ferrari.ledger.columns import KEPT
from ferrari.processes.batching import in_flight
from ferrari.processes.failures import Failure
from ferrari.processes.isolated_model import Isolated
from ferrari.subject.following import Followed, Sight, follow


@dataclass(frozen=True)
class _Batch:
    """Pictures that the detector has seen, what rows say of it, and a remark for them."""

    views: list[View]
    about: Mapping
    remark: str


@dataclass
class ClipSearch:
    """What the rows of one clip share. `_read`, `_search` and `_sights` run in one thread each.

    `taken`: rows of frames that are not searched again, by frame. `second_look`: a frame in which a
    track loses somebody is searched once more, and faint boxes with a face count. `hints`: a box
    below the bound may be of somebody. Afterwards `rows` has the rows of each frame; `unsearched`
    counts the pictures of the film that crashed the detector, each of which has a row after those
    of the kept frame before it.
    """

    dataset: Path
    video: str
    taken: Mapping[str, list[dict[str, str]]]
    faces: FaceSearch
    second_look: bool = False
    hints: bool = True
    detector: Isolated | None = None
    rows: dict[str, list[tables.Row]] = field(default_factory=dict)
    _shown: list[Mapping | None] = field(default_factory=list)  # each sight's frame, None: film
    #: Pictures of the film that ended the detector: how many sights were before, which one, and why
    _lost: list[tuple[int, str, Failure]] = field(default_factory=list)

    @property
    def unsearched(self) -> int:
        """How many pictures of the film crashed the detector."""
        return len(self._lost)

    def followed(self, batches: Iterable[list[View]]) -> Followed:
        """Search all pictures, and track the people in them."""
        again = CloserLooks(self.dataset, self.detector, self.faces, self.rows, self._shown)
        with closing(in_flight(batches, self._read, self._search)) as searched:
            followed = follow(self._sights(searched), again if self.second_look else None)
        self._tell_of_lost()
        self._add_unseen()
        return followed

    def _tell_of_lost(self) -> None:
        """Tell of the film's lost pictures with the kept frame before each, or the first one.

        A clip without any frame that could be searched has nobody to follow.
        """
        for before, which, failure in self._lost:
            for line in (*self._shown[:before][::-1], *self._shown[before:]):
                if line is not None:
                    self.faces.not_seen(line, which, failure)
                    break

    def _add_unseen(self) -> None:
        """Give each look that ended a network its row, once all others have their numbers."""
        if unseen := [(frame, one) for frame, some in self.faces.unseen.items() for one in some]:
            frame, first = unseen[0]
            LOGGER.warning(
                "pictures of the linking film, and looks beyond the first at a frame, that ended a "
                "network: %d; each has a row (the first behind those of %s: %s, %s)",
                *(len(unseen), frame, first.reason, first.detail),
            )
        about = self.detector.about if self.detector is not None else {}
        of = {line["item"]: line for line in self._shown if line is not None}
        for frame, failures in self.faces.unseen.items():
            self.rows[frame] += detection_rows.unseen_rows(
                of[frame],
                failures,
                self.rows[frame],
                about,
                dataset=self.dataset,
                video=self.video,
            )

    def _read(self, views: list[View]) -> list[View]:
        """A batch with the pictures of its frames."""
        for view in views:
            if view.line is not None:
                view.read(self.dataset)
        return views

    def _search(self, views: list[View]) -> _Batch:
        """Have the detector look at what could be read and is not known yet."""
        unknown = [view for view in views if view.picture_rgb is not None and not self._known(view)]
        frames = [view for view in unknown if view.line is not None]
        filmed = [view for view in unknown if view.line is None]
        remarks = [self._look(frames, "frames")]
        self._look(filmed, "pictures of the linking film")
        remarks.append(self.faces.recognise(frames, also_faint=self.second_look))
        remark = "; ".join(dict.fromkeys(filter(None, remarks)))
        return _Batch(views, self.detector.about if self.detector else {}, remark)

    def _known(self, view: View) -> bool:
        return view.line is not None and view.line["item"] in self.taken

    def _look(self, views: Sequence[View], what: str) -> str:
        """Search pictures of one size; a remark for their rows."""
        if not views:
            return ""
        assert self.detector is not None
        found, remark = self.detector.outcomes([view.picture_rgb for view in views], what)
        for view, detections in zip(views, found, strict=True):
            view.found = detections
        return remark

    def _sights(self, batches: Iterable[_Batch]) -> Iterator[Sight]:
        """What is found, picture by picture; keeps the rows of frames on the way."""
        progress = Progress(f"{self.video}: pictures searched")
        for batch in batches:
            for view in batch.views:
                if view.line is not None:
                    self.rows[view.line["item"]] = self._rows(view, batch)
                    sight = self._frame_sight(view)
                else:
                    sight = self._film_sight(view)
                    if isinstance(view.found, Failure):
                        which = f"the linking film at {view.time_s:g} s (frame {view.frame})"
                        self._lost.append((len(self._shown), which, view.found))
                if sight is not None:
                    self._shown.append(view.line)
                    yield sight
            progress.step(len(batch.views))

    def _rows(self, view: View, batch: _Batch) -> list[tables.Row]:
        """The rows of a frame."""
        assert view.line is not None
        if view.picture_rgb is not None and self._known(view):
            return [dict(row) for row in self.taken[view.line["item"]]]
        return detection_rows.rows_of(
            view,
            batch.about,
            batch.remark,
            least=self.faces.least,
            hints=self.hints,
            dataset=self.dataset,
            video=self.video,
        )

    def _frame_sight(self, view: View) -> Sight | None:
        """What a frame's rows tell; None of one that could not be searched."""
        assert view.line is not None
        rows = self.rows[view.line["item"]]
        if view.picture_rgb is None or any(map(detection_rows.is_refused, rows)):
            return None
        kept = [row for row in rows if row["outcome"] == KEPT]
        items = [str(row["item"]) for row in kept]
        found = list(map(detection_rows.detection_of, kept))
        return Sight(view.time_s, view.picture_rgb, found, items)

    def _film_sight(self, view: View) -> Sight | None:
        """What is found in a picture of the film; None if it ended the detector."""
        if view.picture_rgb is None or view.found is None or isinstance(view.found, Failure):
            return None
        return Sight(view.time_s, view.picture_rgb, counted(view.found, self.faces.least))
