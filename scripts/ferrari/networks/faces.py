"""The seam for faces: what finds them in pictures and what tells whose they are.

    model = load(settings, weights, threads, cache)
    faces = model.find(picture_rgb)
    embeddings = model.embed(picture_rgb, faces)      # compare them by their dot product
    embedded = model.embedded([(picture_rgb, face)])  # with how clear each face is
    of_each_person = faces_of_people(model, picture_rgb, boxes_xyxy)

Nothing is imported or loaded before `load` is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import cv2
import numpy as np

from ferrari.common.atomic_files import file_states
from ferrari.images import boxes as boxes_of
from ferrari.images import faces as faces_of
from ferrari.images.boxes import Box
from ferrari.images.faces import EmbeddedFace, Face
from ferrari.networks import placement, tilted_heads, weight_files
from ferrari.networks.network import Network, Opener, open_here
from ferrari.networks.placement import Place
from ferrari.networks.weight_files import Weights

if TYPE_CHECKING:
    from ferrari.processes.model_process import Load

#: A picture with one person, which every sound model survives.
HARMLESS = (np.full((96, 96, 3), 128, np.uint8), ((0.0, 0.0, 96.0, 96.0),))
#: Longer sides in pixels at which a picture, and its part that a head may be in, are searched; how
#: many times such a part is enlarged at most. A second search of it at twice the size found no more
#: faces of 16 pixels and up, and some in necks.
_PICTURE_SIDE, _HEAD_SIDE, _MOST_ENLARGED = 640, 320, 4.0
#: Room around the part of a box that a head may be in, in widths of the box.
_MARGIN = 0.15


class _Finding(Protocol):
    """A backend's detector: the faces of each HxWx3 uint8 RGB picture, the best first."""

    def find(self, pictures_rgb: Iterable[np.ndarray]) -> Iterator[list[Face]]: ...


class _Embedding(Protocol):
    """A backend's embedding, of unit length, of each face in its HxWx3 uint8 RGB picture, and how
    clear the face is to it, 0 to 1.
    """

    dimensions: int

    def embed(
        self, faces: Iterable[tuple[np.ndarray, Face]]
    ) -> Iterator[tuple[np.ndarray, float]]: ...


@dataclass(frozen=True)
class FaceModel:
    """A loaded detector of faces with an embedding of them.

    `name`, `device` (with its runtime) and `weights_sha256` are those of both, joined by a plus.
    `threshold`: the similarity from which two embeddings are of one person, as those who know the
    network give it; what decides about a dataset is fitted anew. `upright`: the detector gives
    tilted heads the landmarks of upright ones.
    """

    name: str
    device: str
    weights_sha256: str
    threshold: float
    upright: bool
    _finding: _Finding
    _embedding: _Embedding

    def find(self, picture_rgb: np.ndarray) -> list[Face]:
        """The faces in an HxWx3 uint8 RGB picture, the best first.

        For those that are small in it, see `faces_of_people`.
        """
        found = self.find_in([(picture_rgb, _scale(picture_rgb, _PICTURE_SIDE, 1.0))])
        return self.found_again([picture_rgb], found)[0]

    def find_in(self, pictures: Sequence[tuple[np.ndarray, float]]) -> list[list[Face]]:
        """The faces in each picture, searched at a scale of it, in the picture's own pixels. Those
        of tilted heads lack what `found_again` does.
        """
        scaled = (_resized(picture, scale) for picture, scale in pictures)
        found = self._finding.find(scaled)
        return [
            [face.placed(scale, 0, 0) for face in faces]
            for (_, scale), faces in zip(pictures, found, strict=True)
        ]

    def found_again(
        self, pictures_rgb: Sequence[np.ndarray], faces: Sequence[Sequence[Face]]
    ) -> list[list[Face]]:
        """The faces of each picture, in the same order, with the landmarks of tilted heads, if the
        detector takes these for upright ones.
        """
        if not self.upright:
            return [list(each) for each in faces]
        return tilted_heads.found_again(self._finding.find, pictures_rgb, faces)

    def embed(self, picture_rgb: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        """(N, dimensions) float32 of unit length: the dot product of two is their similarity."""
        found = np.zeros((len(faces), self._embedding.dimensions), np.float32)
        for index, one in enumerate(self.embedded([(picture_rgb, face) for face in faces])):
            found[index] = one.embedding
        return found

    def embedded(self, faces: Sequence[tuple[np.ndarray, Face]]) -> list[EmbeddedFace]:
        """Faces, each of its HxWx3 uint8 RGB picture, with their embeddings."""
        found = self._embedding.embed(faces)
        return [EmbeddedFace(face, *told) for (_, face), told in zip(faces, found, strict=True)]


def faces_of_person(model: FaceModel, picture_rgb: np.ndarray, person_xyxy: Box) -> list[Face]:
    """The faces that belong to the person in a box, the best first: more than one where somebody
    else is in the box too, none for a back or a profile that the network does not know.
    """
    return faces_of_people(model, [(picture_rgb, [person_xyxy])])[0][0]


def faces_of_people(
    model: FaceModel, pictures: Sequence[tuple[np.ndarray, Sequence[Box]]]
) -> list[list[list[Face]]]:
    """For each HxWx3 uint8 RGB picture, for each person's box in it: faces as `faces_of_person`.

    Each is searched in the part of the box in which a head may be, at a size that the detector
    likes, whatever the picture's; each face is given to one person. Tilted heads are searched
    again after that: beside others a face is in several boxes, and some belong to nobody.
    """
    parts = [_head_part(picture, box) for picture, people in pictures for box in people]
    found = model.find_in([(part, scale) for part, scale, _ in parts])
    placed = [
        {face.placed(1.0, *corner): (part, face, corner) for face in faces}
        for faces, (part, _, corner) in zip(found, parts, strict=True)
    ]
    of_boxes = iter(placed)
    given = [
        _given_out([face for _ in people for face in next(of_boxes)], people)
        for _, people in pictures
    ]
    return _again(model, given, {face: at for of_box in placed for face, at in of_box.items()})


def _again(
    model: FaceModel,
    given: Sequence[Sequence[Sequence[Face]]],
    found_in: Mapping[Face, tuple[np.ndarray, Face, tuple[int, int]]],
) -> list[list[list[Face]]]:
    """The faces that were given to people, with the landmarks of tilted heads.

    Each is searched where it was `found_in`: a part of its picture, the face in pixels of that, and
    the part's upper left corner.
    """
    places = [found_in[face] for people in given for faces in people for face in faces]
    again = model.found_again([part for part, *_ in places], [[face] for _, face, _ in places])
    upright = iter(
        face.placed(1.0, *corner) for (face,), (*_, corner) in zip(again, places, strict=True)
    )
    return [[[next(upright) for _ in faces] for faces in people] for people in given]


def _given_out(faces: Sequence[Face], people: Sequence[Box]) -> list[list[Face]]:
    given: list[list[Face]] = [[] for _ in people]
    for face in faces_of.distinct(faces):
        whose = faces_of.owner(face.box_xyxy, people)
        if whose is not None:
            given[whose].append(face)
    return given


def _head_part(picture: np.ndarray, person: Box) -> tuple[np.ndarray, float, tuple[int, int]]:
    """The part of a picture that a person's head may be in, the scale at which it is searched, and
    its upper left corner.
    """
    x1, y1, x2, y2 = faces_of.head_zone(person)
    margin = _MARGIN * (x2 - x1)
    height, width = picture.shape[:2]
    around = (x1 - margin, y1 - margin, x2 + margin, y2 + margin)
    left, top, right, bottom = boxes_of.padded(around, 0.0, width, height)
    left, top = min(left, width - 1), min(top, height - 1)
    part = picture[top : max(bottom, top + 1), left : max(right, left + 1)]
    return part, _scale(part, _HEAD_SIDE, _MOST_ENLARGED), (left, top)


def _scale(picture: np.ndarray, side: int, most: float) -> float:
    return min(most, side / max(picture.shape[:2]))


def _resized(picture: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1.0:
        return picture
    high, wide = (max(1, round(edge * scale)) for edge in picture.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(picture, (wide, high), interpolation=how)


# --- loading ---------------------------------------------------------------------------------


def load(
    settings: Mapping, weights: Sequence[str], threads: int, cache: str, opener: Opener = open_here
) -> FaceModel:
    """Load what `settings` name as `detector` and `embedding` on their `device`; `batch` faces are
    embedded at once on a GPU.

    `weights` are the files of `weight_files.for_faces(settings)`, in that order; `opener` has the
    networks loaded where they are to run. Raises ModelError for weights that are missing or wrong,
    DeviceError for a device that cannot be had.
    """
    kinds = weight_files.face_backends(settings)
    chosen = weight_files.for_faces(settings, cache)
    digests = [_checked(Path(path), one) for path, one in zip(weights, chosen, strict=True)]
    places = places_of(weights, settings["device"])
    asked = [
        _Asked(Path(path), place, digest, one.entry)
        for path, place, digest, one in zip(weights, places, digests, chosen, strict=True)
    ]
    means = {"threads": threads, "cache": cache}
    found, finding = _FINDERS[kinds[0]](asked[0], opener, means)
    embedded, embedding = _EMBEDDINGS[kinds[1]](
        asked[1], opener, {**means, "batch": settings["batch"]}
    )
    devices = dict.fromkeys(str(net.about["device"]) for net in (found, embedded))
    return FaceModel(
        "+".join((settings["detector"], settings["embedding"])),
        "+".join(devices),
        "+".join(digests),
        float(chosen[1].entry["threshold"]),
        bool(chosen[0].entry.get("upright", False)),
        finding,
        embedding,
    )


@dataclass(frozen=True)
class _Asked:
    """One of the two networks that `load` was asked for."""

    path: Path
    place: Place
    sha256: str
    entry: Mapping


def places_of(weights: Sequence[str], device: str) -> list[Place]:
    """Where `load` runs its networks, both on one device. DeviceError if that cannot be had."""
    places = [placement.of_alpha_net(path, device) for path in weights]
    if len({place.device for place in places}) > 1:
        return [placement.of_alpha_net(path, "cpu") for path in weights]
    return places


def _checked(path: Path, weights: Weights) -> str:
    if not path.exists():
        raise weight_files.ModelError(f"the weights {weights.name} are not at {path}")
    found = weight_files.require_pinned(path, weight_files.pins(weights.sha256))
    weight_files.require_digest(path, found, weights.sha256)
    return found


def _yunet(asked: _Asked, opener: Opener, means: Mapping) -> tuple[Network, _Finding]:
    from ferrari.networks.backends import yunet

    net = opener(yunet.request(asked.path, asked.place, asked.sha256, **means))
    return net, yunet.YuNet(net, asked.entry)


def _face_net(asked: _Asked, opener: Opener, means: Mapping) -> tuple[Network, _Embedding]:
    from ferrari.networks.backends import face_net

    net = opener(face_net.request(asked.path, asked.entry, asked.place, asked.sha256, **means))
    return net, face_net.FaceNet(net, asked.entry)


_FINDERS: Mapping[str, Callable[[_Asked, Opener, Mapping], tuple[Network, _Finding]]] = {
    "yunet": _yunet
}
_EMBEDDINGS: Mapping[str, Callable[[_Asked, Opener, Mapping], tuple[Network, _Embedding]]] = {
    "face_net": _face_net
}


# --- in a process apart ----------------------------------------------------------------------


class FindOnly(NamedTuple):
    """An HxWx3 uint8 RGB picture with people's boxes in it, whose faces are not to be embedded."""

    picture_rgb: np.ndarray
    people: Sequence[Box]


def loader(
    settings: Mapping, weights: Sequence[str], threads: int, cache: str, opener: Opener = open_here
) -> Load:
    """What loads the model in a process apart (see `isolated_model`), to serve `recognise`."""
    asked = (dict(settings), list(weights), threads, cache, opener)
    return partial(_serve, recognise, *asked, states=file_states(weights))


def _serve(answer: Callable, *asked: Any, states: object) -> tuple[dict[str, object], Callable]:
    """`states`, what the weights look like: a model is not lent to jobs that mean other weights."""
    model = load(*asked)
    about = {
        "faces": model.name,
        "weights_sha256": model.weights_sha256,
        "device": model.device,
        "threshold": model.threshold,
    }
    return about, partial(answer, model)


def picture_loader(settings: Mapping, weights: Sequence[str], threads: int, cache: str) -> Load:
    """As `loader`, to serve `faces_in`: of whole pictures, whoever is in them."""
    asked = (dict(settings), list(weights), threads, cache)
    return partial(_serve, faces_in, *asked, states=file_states(weights))


def faces_in(model: FaceModel, pictures: Sequence[np.ndarray]) -> list[list[EmbeddedFace]]:
    """The faces in each HxWx3 uint8 RGB picture, the best first, with their embeddings."""
    found = [model.find(picture) for picture in pictures]
    return [
        model.embedded([(picture, face) for face in faces])
        for picture, faces in zip(pictures, found, strict=True)
    ]


def recognise(
    model: FaceModel, pictures: Sequence[tuple[np.ndarray, Sequence[Box]]]
) -> list[list[list[EmbeddedFace]]]:
    """`faces_of_people`, each face with its embedding; of a `FindOnly` without."""
    found = faces_of_people(model, pictures)
    shown = [
        (item[0], face)
        for item, people in zip(pictures, found, strict=True)
        if not isinstance(item, FindOnly)
        for faces in people
        for face in faces
    ]
    embedded = iter(model.embedded(shown))
    none = np.zeros(0, np.float32)
    return [
        [
            [
                EmbeddedFace(face, none) if isinstance(item, FindOnly) else next(embedded)
                for face in faces
            ]
            for faces in people
        ]
        for item, people in zip(pictures, found, strict=True)
    ]
