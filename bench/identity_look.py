"""What the pipeline sees of people in a clip, kept in a cache: all that identity is decided by.

Stages 0 and 1 run as they are, at the config's defaults. Their kept frames and the linking film go
through the detector and, the frames alone, through both networks of faces; tracks are those of
`subject.following`. Everything after that is arithmetic, so it can be done again in seconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from bench import peers, prepare
from bench.measure import PeerMissingError, task
from ferrari.detection import views
from ferrari.detection.face_search import FaceSearch
from ferrari.detection.views import View
from ferrari.images.boxes import Box, Detection
from ferrari.images.faces import EmbeddedFace, Face
from ferrari.ledger import item_ids, tables
from ferrari.networks import detectors, faces, weight_files
from ferrari.networks.backends import tfjs_graph
from ferrari.subject.face_weights import face_weight
from ferrari.subject.following import Followed, Sight, follow
from ferrari.subject.sightings import Faces, Sightings
from ferrari.video import linking_film

#: The embeddings that are compared, in the order in which the cache has them.
EMBEDDINGS = ("sface", "faceres")
_VERSION = 3  # of what the cache holds


@dataclass(frozen=True)
class Looked:
    """A clip. V pictures in the order shown, N detections, F faces, T tracks.

    Pictures: `time_s` (V), `kept` (V) bool: a frame of stage 1, else of the linking film; `frame`
    (V) its number in the clip. Detections: `view` (N) their picture, `box` (N, 4) as shares of the
    picture's width and height, `confidence` (N), `track` (N), `short_px` (N) short side of the box.
    Faces, which only kept frames have: `face_of` (F) their detection, `score`, `yaw`, `side_px`
    (F), `face_box` (F, 4) as shares, `sface` and `faceres` (F, D) float32 of unit length, `clarity`
    (F,) to the first of these. `looks`
    (T, K) float32: what each track wears. `again` (2,): second looks taken, and how many found
    somebody.
    """

    time_s: np.ndarray
    kept: np.ndarray
    frame: np.ndarray
    view: np.ndarray
    box: np.ndarray
    confidence: np.ndarray
    track: np.ndarray
    short_px: np.ndarray
    face_of: np.ndarray
    score: np.ndarray
    yaw: np.ndarray
    side_px: np.ndarray
    face_box: np.ndarray
    sface: np.ndarray
    faceres: np.ndarray
    clarity: np.ndarray
    looks: np.ndarray
    again: np.ndarray = field(default_factory=lambda: np.zeros(2, int))

    @cached_property
    def weights(self) -> np.ndarray:
        """(F,) how much each face counts."""
        return self._weights(self.clarity)

    def _weights(self, clarity: np.ndarray) -> np.ndarray:
        given = zip(self.side_px, self.score, self.yaw, clarity, strict=True)
        return np.array([face_weight(*map(float, one)) for one in given])

    def sightings(self, embedding: str) -> Sightings:
        """As the decision takes them."""
        if_clear = self._weights(np.ones(len(self.clarity)))
        of_faces = Faces(
            getattr(self, embedding), self.face_of, self.weights, self.side_px, if_clear
        )
        return Sightings(self.track, self.time_s[self.view], of_faces, self.box)

    def delivered(self, min_side: float = 96) -> np.ndarray:
        """(N,) bool: detections of kept frames that are large enough to be cut out."""
        return self.kept[self.view] & (self.short_px >= min_side)


class Eyes:
    """The networks, loaded when the first clip is looked at that the cache does not have."""

    #: Numbers in an embedding of each name.
    dimensions: Mapping[str, int] = {"sface": 128, "faceres": 1024}

    def __init__(self, work: Path, threads: int = 1) -> None:
        self._work, self._threads = work, threads

    @cached_property
    def key(self) -> str:
        """What a clip's cache depends on beside the clip."""
        settings = [prepare.section("extract"), prepare.section("detect")]
        digests = [one.sha256 for name in EMBEDDINGS for one in weight_files.for_faces(_face(name))]
        return json.dumps([_VERSION, settings, digests], sort_keys=True)

    @cached_property
    def detector(self) -> detectors.Detector:
        weights, _, size = peers.yolo_weights()
        settings = prepare.detect_settings(weights, size)
        return detectors.load(settings, [str(weights)], {}, self._threads, str(self._work))

    @cached_property
    def models(self) -> dict[str, faces.FaceModel]:
        """A model of faces for each embedding; PeerMissingError where weights are missing."""
        return {
            name: faces.load(_face(name), self._files(name), self._threads, str(self._work))
            for name in EMBEDDINGS
        }

    def _files(self, name: str) -> list[str]:
        folder = (peers.shared() or Path()) / "weights/face"
        if not (folder / "faceres.json").is_file():
            raise PeerMissingError("no weights of faces; set FERRARI_SHARED")
        finder, embedding = (one.entry["file"] for one in weight_files.for_faces(_face(name)))
        if name == "sface":
            return [str(folder / finder), str(folder / embedding)]
        made = self._work / embedding
        if not made.exists():
            source = folder / "faceres.json"
            weights = source.with_suffix(".bin").read_bytes()
            made.write_bytes(tfjs_graph.to_onnx(source.read_bytes(), weights, _OUTPUT))
        return [str(folder / finder), str(made)]


_OUTPUT = "global_pooling/Mean"


def _face(embedding: str) -> dict[str, object]:
    return {"detector": "yunet", "embedding": embedding, "device": "cpu", "batch": 1}


def looked_at(eyes: Eyes, work: Path, clips: Mapping[str, Path], log=print) -> dict[str, Looked]:
    """Each clip, by its name; from the cache in `work` where that has it."""
    digests = {name: _digest(eyes, path) for name, path in clips.items()}
    missing = {n: clips[n] for n, d in digests.items() if not (work / f"{d}.npz").exists()}
    if missing:
        _extract(work / "set", list(missing.values()))
    for number, (name, path) in enumerate(missing.items(), 1):
        log(f"  {number}/{len(missing)} looked at: {name}")
        looked = _look(eyes, work / "set", path.name)
        np.savez_compressed(work / f"{digests[name]}.npz", **_arrays(looked))
    return {name: _load(work / f"{digest}.npz") for name, digest in digests.items()}


def _digest(eyes: Eyes, path: Path) -> str:
    return hashlib.sha256(eyes.key.encode() + path.read_bytes()).hexdigest()[:20]


def _arrays(looked: Looked) -> dict[str, np.ndarray]:
    return {field.name: getattr(looked, field.name) for field in fields(looked)}


def _load(path: Path) -> Looked:
    with np.load(path) as arrays:
        return Looked(**{field.name: arrays[field.name] for field in fields(Looked)})


def _extract(dataset: Path, clips: Sequence[Path]) -> None:
    dataset.mkdir(parents=True, exist_ok=True)
    prepare.probed(dataset, clips)
    settings = prepare.extract_settings()
    task("extract", raws=list(clips), dataset=dataset, settings=settings, threads=2)


def _table(dataset: Path, file: str) -> Path:
    return dataset / f"01_extracted_frames/{item_ids.video_id(file)}.csv"


def _views(dataset: Path, file: str) -> Iterator[View]:
    """Kept frames and pictures of the film, in the order shown."""
    table = _table(dataset, file)
    kept = tables.kept(tables.read_stage(table, "extract"))
    for view in views.in_order(kept, linking_film.read(linking_film.path_of(table))):
        if view.line is not None:
            view.read(dataset)
        yield view


def _look(eyes: Eyes, dataset: Path, file: str) -> Looked:
    found = _Found(eyes)
    again = _Again(eyes, found) if prepare.section("detect")["second_look"] else None
    followed = follow(_sights(dataset, file, found), again)
    return found.looked(followed, eyes.dimensions)


def _sights(dataset: Path, file: str, found: _Found) -> Iterator[Sight]:
    for view in _views(dataset, file):
        people = found.add(view)
        items = None if view.line is None else list(people)
        yield Sight(view.time_s, view.picture_rgb, list(people.values()), items)


@dataclass
class _Again:
    """A second look, as stage 2 takes it (`following.Again`)."""

    eyes: Eyes
    found: _Found

    def picture(self, number: int) -> np.ndarray:
        return self.found.views[number].picture_rgb

    def find(
        self, numbers: Sequence[int], squares_rgb: Sequence[np.ndarray]
    ) -> list[list[Detection]]:
        return [views.counted(one, _least()) for one in self.eyes.detector.detect(squares_rgb)]

    def taken(self, number: int, found: Sequence[Detection]) -> list[str]:
        return self.found.add_again(number, found)


def _least() -> float:
    return prepare.section("detect")["confidence"]


@dataclass
class _BothEmbeddings:
    """Stage 2's networks for faces, in this process (`face_search.Recogniser`): an embedding is
    that of each of EMBEDDINGS, one behind the other.
    """

    eyes: Eyes

    def outcomes(self, items: Sequence, what: str) -> tuple[list, str]:
        """The faces of the people in each picture; no remark."""
        found = faces.faces_of_people(self.eyes.models[EMBEDDINGS[0]], items)
        return [
            [[self._embedded(picture, face) for face in of_one] for of_one in people]
            for (picture, _), people in zip(items, found, strict=True)
        ], ""

    def _embedded(self, picture_rgb: np.ndarray, face: Face) -> EmbeddedFace:
        made = [self.eyes.models[name].embedded([(picture_rgb, face)])[0] for name in EMBEDDINGS]
        both = np.concatenate([one.embedding for one in made])
        return EmbeddedFace(face, both, made[0].clarity)


@dataclass
class _Found:
    """What is known of the pictures so far: the people of each by item, and the faces of those in
    frames.
    """

    eyes: Eyes
    views: list[View] = field(default_factory=list)
    people: list[dict[str, Detection]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.faces = FaceSearch(_least(), _BothEmbeddings(self.eyes))

    def add(self, view: View) -> dict[str, Detection]:
        """Have the networks look at a picture; its detections."""
        view.found = self.eyes.detector.detect([view.picture_rgb])[0]
        if view.line is None:
            counted = views.counted(view.found, _least())
            people = {f"film-{len(self.views)}-{at}": one for at, one in enumerate(counted)}
        else:
            self.faces.recognise([view], also_faint=prepare.section("detect")["second_look"])
            people = view.people(_least())
        self.views.append(view)
        self.people.append(people)
        return people

    def add_again(self, number: int, found: Sequence[Detection]) -> list[str]:
        """Take those in whom a second look found in a frame; their items."""
        view, people = self.views[number], self.people[number]
        first = len(people)
        items = [item_ids.detection_item(view.line["item"], first + at) for at in range(len(found))]
        people |= dict(zip(items, found, strict=True))
        self.faces.faces |= {item: [] for item in people} | self.faces.of(view, people)
        return items

    def looked(self, followed: Followed, dimensions: Mapping[str, int]) -> Looked:
        """All of it, once people are followed; of the frames, with their faces."""
        linked = followed.linked
        people = [
            (n, item, one) for n, those in enumerate(self.people) for item, one in those.items()
        ]
        of_faces = [
            (at, n, face)
            for at, (n, item, _) in enumerate(people)
            for face in self.faces.faces.get(item, ())
        ]
        seen = [face for _, _, face in of_faces]
        box = self._shares([one.box_xyxy for *_, one in people], [n for n, *_ in people])
        sides = np.array([one.box_xyxy for *_, one in people]).reshape(-1, 4)
        sides = sides[:, 2:] - sides[:, :2]
        both = np.array([face.embedding for face in seen], np.float32)
        both = both.reshape(-1, sum(dimensions[name] for name in EMBEDDINGS))
        split = np.split(both, np.cumsum([dimensions[name] for name in EMBEDDINGS])[:-1], axis=1)
        return Looked(
            time_s=np.array([view.time_s for view in self.views]),
            kept=np.array([view.line is not None for view in self.views], bool),
            frame=np.array([view.frame for view in self.views], int),
            view=np.array([n for n, *_ in people], int),
            box=box,
            confidence=np.array([one.confidence for *_, one in people]),
            track=linked.track,
            short_px=sides.min(axis=1) if len(sides) else np.zeros(0),
            face_of=np.array([at for at, *_ in of_faces], int),
            score=np.array([face.score for face in seen]),
            yaw=np.array([face.yaw_deg for face in seen]),
            side_px=np.array([face.short_side_px for face in seen]),
            face_box=self._shares([face.box_xyxy for face in seen], [n for _, n, _ in of_faces]),
            **dict(zip(EMBEDDINGS, map(np.ascontiguousarray, split), strict=True)),
            clarity=np.array([face.clarity for face in seen]),
            looks=linked.looks,
            again=np.array([followed.clip.looks_again or 0, followed.clip.found_again or 0], int),
        )

    def _shares(self, boxes: Sequence[Box], numbers: Sequence[int]) -> np.ndarray:
        """(N, 4): boxes as shares of the pictures of these numbers."""
        sizes = [self.views[n].picture_rgb.shape[1::-1] for n in numbers]
        return np.array(boxes).reshape(-1, 4) / np.tile(np.array(sizes).reshape(-1, 2), 2)
