"""The faces of the people in a clip's frames, and the faint boxes for which a face speaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from ferrari.detection.views import View
from ferrari.images import subject_choice
from ferrari.images.boxes import Box, Detection, clip
from ferrari.images.faces import EmbeddedFace, has_room
from ferrari.networks import faces as face_networks
from ferrari.networks.on_device import OnDevice
from ferrari.processes.failures import Failure
from ferrari.processes.model_process import Load
from ferrari.subject import faint_people
from ferrari.subject.face_weights import LEAST
from ferrari.subject.faint_people import FAINT
from ferrari.subject.sightings_file import SeenFace

K = TypeVar("K")  # what a person of a frame is told by


@dataclass(frozen=True)
class FaceNetworks:
    """The networks for faces: what the rule's param says of them, and the files of their weights.

    `asked`: `detector`, `embedding`, and `weights`, the entry of each in models.yaml.
    """

    asked: Mapping
    weights: Sequence[str]

    @property
    def dimensions(self) -> int:
        """How many numbers an embedding has."""
        return int(self.asked["weights"][1]["dimensions"])

    def loader(self, settings: Mapping, threads: int, cache: str, opener: OnDevice) -> Load:
        """What loads them on the device of the `detect` settings."""
        means = {key: settings[key] for key in ("device", "batch")}
        return face_networks.loader({**self.asked, **means}, self.weights, threads, cache, opener)


class Recogniser(Protocol):
    """What finds and embeds faces: `Isolated`, or another that answers as it does."""

    def outcomes(self, items: Sequence[Any], what: str) -> tuple[list, str]:
        """Of each picture with people's boxes in it (a `FindOnly`, where no face is to be embedded)
        the `EmbeddedFace`s of each person, or a Failure; and a remark for the rows.
        """


@dataclass
class FaceSearch:
    """The faces found so far, by detection. Without a `recogniser` none is searched.

    `least` is the confidence from which a detection counts. `unseen`: of each frame the looks
    beyond the first, and into the film, that ended a network; the frame stays as it was without.
    """

    least: float
    recogniser: Recogniser | None = None
    faces: dict[str, list[SeenFace]] = field(default_factory=dict)
    unseen: dict[str, list[Failure]] = field(default_factory=dict)

    def not_seen(self, line: Mapping, whom: str, failure: Failure) -> None:
        """Take down that a look beyond the first, or into the film, ended a network."""
        failure = replace(failure, detail=f"{whom}: {failure.detail}")
        self.unseen.setdefault(line["item"], []).append(failure)

    def recognise(self, views: Sequence[View], also_faint: bool) -> str:
        """Find and embed the faces of the people in frames that were searched; a remark for their
        rows. A frame that ends the networks is one that the detector could not search.

        `also_faint`: boxes below the bound count where a face speaks for them.
        """
        sure = [_with_room(view, view.people(self.least)) for view in views]
        answers, remark = self._asked(views, sure)
        for view, answer in zip(views, answers, strict=True):
            if isinstance(answer, Failure):
                view.found = answer
            else:
                self.faces |= answer
        if also_faint:
            self._count_faint(views, sure)
        return remark

    def of(
        self, view: View, people: Mapping[str, Detection]
    ) -> dict[str, list[SeenFace]] | Failure:
        """The faces of some people of a frame, by item: whose each is hangs on all of them."""
        return self._asked([view], [_with_room(view, people)])[0][0]

    def _count_faint(self, views: Sequence[View], sure: Sequence[Mapping[str, Box]]) -> None:
        """Let boxes that are below the bound count where a face speaks for them.

        Few do, and whether one does is said by where faces are: those of others are not embedded.
        """
        people = [dict(enumerate(self._faint(view))) for view in views]
        faint = list(map(_with_room, views, people))
        answers = self._asked(views, faint, embedded=False)[0]
        for view, those, in_sure, in_faint, answer in zip(
            views, people, sure, faint, answers, strict=True
        ):
            if not isinstance(answer, Failure) and self._counted(in_sure, in_faint, answer):
                answer = self._asked([view], [in_faint])[0][0]
            if isinstance(answer, Failure):
                assert view.line is not None
                self.not_seen(view.line, "boxes below the bound", answer)
            elif counted := self._counted(in_sure, in_faint, answer):
                given = [face for faces in counted.values() for face in faces]
                for item in in_sure:
                    self.faces[item] = faint_people.left_to(self.faces.get(item, []), given)
                self._add(view, [those[number] for number in counted], counted.values())

    def _faint(self, view: View) -> list[Detection]:
        if view.found is None or isinstance(view.found, Failure):
            return []
        some = [one for one in view.found if FAINT <= one.confidence < self.least]
        return subject_choice.in_order(some)

    def _counted(
        self,
        sure: Mapping[str, Box],
        faint: Mapping[int, Box],
        faces: Mapping[int, list[SeenFace]],
    ) -> dict[int, list[SeenFace]]:
        """Which of the `faint` count, by number, with those of their `faces` that are theirs."""
        of_sure = [(box, self.faces.get(item, [])) for item, box in sure.items()]
        of_faint = [(box, faces.get(number, [])) for number, box in faint.items()]
        numbers = list(faint)
        counted = faint_people.with_a_face(of_sure, of_faint)
        return {numbers[place]: found for place, found in counted.items()}

    def _add(self, view: View, faint: list[Detection], faces: Iterable[list[SeenFace]]) -> None:
        """Take in who counts by a face, behind the others."""
        before = view.people(self.least)
        view.faint = faint
        added = [item for item in view.people(self.least) if item not in before]
        self.faces |= dict(zip(added, faces, strict=True))

    def _asked(
        self,
        views: Sequence[View],
        people: Sequence[Mapping[K, Box]],
        embedded: bool = True,
    ) -> tuple[list[dict[K, list[SeenFace]] | Failure], str]:
        """The faces of the `people` in each, by their key, all of whom have room; a remark."""
        answers: list[dict[K, list[SeenFace]] | Failure] = [{} for _ in views]
        some = [at for at, those in enumerate(people) if those]
        if self.recogniser is None or not some:
            return answers, ""
        boxed: list[tuple[Any, list[Box]]] = [
            (views[at].picture_rgb, list(people[at].values())) for at in some
        ]
        pictures = boxed if embedded else [face_networks.FindOnly(*one) for one in boxed]
        found, remark = self.recogniser.outcomes(pictures, "frames with faces")
        for at, answer in zip(some, found, strict=True):
            answers[at] = _seen(people[at], answer)
        return answers, remark


def _with_room(view: View, people: Mapping[K, Detection]) -> dict[K, Box]:
    """The boxes of those on whom a face may be that can be judged."""
    if not people:
        return {}
    assert view.picture_rgb is not None
    height, width = view.picture_rgb.shape[:2]
    inside = {key: clip(one.box_xyxy, width, height) for key, one in people.items()}
    return {key: box for key, box in inside.items() if has_room(box, LEAST)}


def _seen(
    people: Iterable[K], answer: Sequence[Sequence[EmbeddedFace]] | Failure
) -> dict[K, list[SeenFace]] | Failure:
    if isinstance(answer, Failure):
        return replace(answer, detail=f"the networks for faces: {answer.detail}")
    return {
        key: [SeenFace.of(one.face, one.embedding, one.clarity) for one in faces]
        for key, faces in zip(people, answer, strict=True)
    }
