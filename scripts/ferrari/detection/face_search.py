"""The faces of the people in a clip's frames, and the faint boxes for which a face speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ferrari.common.progress import LOGGER
from ferrari.detection.views import View, with_a_face
from ferrari.images import boxes, subject_choice
from ferrari.networks import faces as face_networks
from ferrari.networks.on_device import OnDevice
from ferrari.processes.failures import Failure
from ferrari.processes.isolated_model import Isolated
from ferrari.processes.model_process import Load
from ferrari.subject import faint_people
from ferrari.subject.faint_people import FAINT
from ferrari.subject.sightings_file import SeenFace


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


@dataclass
class FaceSearch:
    """The faces found so far, by detection. Without a `recogniser` none is searched.

    `least` is the confidence from which a detection counts.
    """

    least: float
    recogniser: Isolated | None = None
    faces: dict[str, list[SeenFace]] = field(default_factory=dict)

    def recognise(self, views: Sequence[View], also_faint: bool) -> str:
        """Find and embed the faces of the people in frames that were searched; a remark for their
        rows. A frame that ends the networks is one that the detector could not search.

        `also_faint`: boxes below the bound count where a face speaks for them.
        """
        remark = self._embed([(view, view.people(self.least)) for view in views])
        for view in views if also_faint else ():
            self._count_faint(view)
        return remark

    def ask(self, view: View, people: Mapping[str, boxes.Detection]) -> Failure | None:
        """Find and embed the faces of some people of a frame, by item: whose each is hangs on all
        of them. What came in the way, if anything did; `view` stays as it was.
        """
        found = view.found
        self._embed([(view, people)])
        answer, view.found = view.found, found
        return answer if isinstance(answer, Failure) else None

    def _count_faint(self, view: View) -> None:
        """Let boxes of a frame that are below the bound count where a face speaks for them."""
        if self.recogniser is None or view.found is None or isinstance(view.found, Failure):
            return
        faint = subject_choice.in_order(
            [one for one in view.found if FAINT <= one.confidence < self.least]
        )
        sure, before = view.people(self.least), dict(self.faces)
        view.faint = faint
        added = dict(list(view.people(self.least).items())[len(sure) :])
        # Whoever is not in touch with a faint box has no face in it.
        near = {k: one for k, one in sure.items() if any(_touch(one, other) for other in faint)}
        counted: list[int] = []
        if self._faces_on(view, added) and self._embedded(view, near | added):
            known = [before.get(item, []) for item in sure]
            faces = [self.faces.get(item, []) for item in added]
            people = [one.box_xyxy for one in sure.values()]
            counted = faint_people.with_a_face(people, known, faces)
        self.faces, view.faint = dict(before), [faint[number] for number in counted]
        if counted and not self._embedded(view, view.people(self.least)):
            self.faces, view.faint = before, ()

    def _embedded(self, view: View, people: Mapping[str, boxes.Detection]) -> bool:
        """Whether the faces of a frame's people could be asked for."""
        failure = self.ask(view, people)
        if failure is not None:
            assert view.line is not None
            why = f"{failure.reason} ({failure.detail})"
            LOGGER.warning("%s stays without its faint boxes: %s", view.line["item"], why)
        return failure is None

    def _embed(self, views: Sequence[tuple[View, Mapping[str, boxes.Detection]]]) -> str:
        """The same for the people in each, by item."""
        asked = [(view, some) for view, people in views if (some := self._faces_on(view, people))]
        if self.recogniser is None or not asked:
            return ""
        pictures = [(view.picture_rgb, list(people.values())) for view, people in asked]
        found, remark = self.recogniser.outcomes(pictures, "frames with faces")
        for (view, people), answer in zip(asked, found, strict=True):
            if isinstance(answer, Failure):
                view.found = replace(answer, detail=f"the networks for faces: {answer.detail}")
                continue
            for item, seen in zip(people, answer, strict=True):
                self.faces[item] = [SeenFace.of(one.face, one.embedding) for one in seen]
        return remark

    @staticmethod
    def _faces_on(view: View, people: Mapping[str, boxes.Detection]) -> dict[str, boxes.Box]:
        if not people:
            return {}
        assert view.picture_rgb is not None
        return with_a_face(view.picture_rgb, people)


def _touch(one: boxes.Detection, other: boxes.Detection) -> bool:
    return boxes.shared(one.box_xyxy, other.box_xyxy) > 0
