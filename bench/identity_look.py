"""What the pipeline sees of people in a clip, kept in a cache: all that identity is decided by.

Stages 0 and 1 run as they are, at the config's defaults. Their kept frames and the linking film go
through the detector and, the frames alone, through both networks of faces; tracks are those of
`subject.following`. Everything after that is arithmetic, so it can be done again in seconds.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from bench import peers, prepare
from bench.measure import PeerMissingError, task
from ferrari.images import head_pose, image_files, subject_choice
from ferrari.images.boxes import Detection
from ferrari.images.faces import Face
from ferrari.ledger import item_ids, tables
from ferrari.networks import detectors, faces, weight_files
from ferrari.networks.backends import tfjs_graph
from ferrari.subject import faint_people
from ferrari.subject.face_weights import face_weight
from ferrari.subject.faint_people import FAINT
from ferrari.subject.following import Followed, Sight, follow
from ferrari.subject.sightings import Faces, Sightings
from ferrari.subject.sightings_file import SeenFace
from ferrari.video import linking_film

#: The embeddings that are compared, in the order in which the cache has them.
EMBEDDINGS = ("sface", "faceres")
_VERSION = 2  # of what the cache holds


@dataclass(frozen=True)
class Looked:
    """A clip. V pictures in the order shown, N detections, F faces, T tracks.

    Pictures: `time_s` (V), `kept` (V) bool: a frame of stage 1, else of the linking film; `frame`
    (V) its number in the clip. Detections: `view` (N) their picture, `box` (N, 4) as shares of the
    picture's width and height, `confidence` (N), `track` (N), `short_px` (N) short side of the box.
    Faces, which only kept frames have: `face_of` (F) their detection, `score`, `yaw`, `side_px`
    (F), `face_box` (F, 4) as shares, `sface` and `faceres` (F, D) float32 of unit length. `looks`
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
    looks: np.ndarray
    again: np.ndarray = field(default_factory=lambda: np.zeros(2, int))

    @cached_property
    def weights(self) -> np.ndarray:
        """(F,) how much each face counts."""
        given = zip(self.side_px, self.score, self.yaw, strict=True)
        return np.array([face_weight(*map(float, one)) for one in given])

    def sightings(self, embedding: str) -> Sightings:
        """As the decision takes them."""
        of_faces = Faces(getattr(self, embedding), self.face_of, self.weights, self.side_px)
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


@dataclass
class _View:
    frame: int
    time_s: float
    kept: bool
    picture_rgb: np.ndarray
    people: list[Detection] = field(default_factory=list)


def _views(dataset: Path, file: str) -> Iterator[_View]:
    """Kept frames and pictures of the film, in the order shown."""
    table = _table(dataset, file)
    rows = tables.kept(tables.read_stage(table, "extract"))
    kept = (
        _View(int(r["frame"]), float(r["time_s"]), True, image_files.read(dataset / r["path"]))
        for r in rows
    )
    filmed = (
        _View(one.frame, one.time_s, False, one.picture_rgb)
        for one in linking_film.read(linking_film.path_of(table))
    )
    return heapq.merge(kept, filmed, key=lambda view: view.frame)


def _look(eyes: Eyes, dataset: Path, file: str) -> Looked:
    found = _Found(eyes)
    again = _Again(eyes, found) if prepare.section("detect")["second_look"] else None
    followed = follow(_sights(dataset, file, found), again)
    return found.looked(followed, eyes.dimensions)


def _sights(dataset: Path, file: str, found: _Found) -> Iterator[Sight]:
    for view in _views(dataset, file):
        items = found.add(view)
        yield Sight(view.time_s, view.picture_rgb, view.people, items if view.kept else None)


@dataclass
class _Again:
    """A second look, as stage 2 takes it (`following.Again`)."""

    eyes: Eyes
    found: _Found

    def picture(self, number: int) -> np.ndarray:
        return self.found.views[number].picture_rgb

    def find(self, squares_rgb: Sequence[np.ndarray]) -> list[list[Detection]]:
        return [_counted(one) for one in self.eyes.detector.detect(squares_rgb)]

    def taken(self, number: int, found: Sequence[Detection]) -> list[str]:
        people = self.found.views[number].people
        people += found
        return [_item(number, at) for at in range(len(people) - len(found), len(people))]


def _counted(found: Sequence[Detection]) -> list[Detection]:
    least = prepare.section("detect")["confidence"]
    return subject_choice.in_order([one for one in found if one.confidence >= least])


def _faint(eyes: Eyes, view: _View, found: Sequence[Detection]) -> list[Detection]:
    """Those of a frame's detections below the bound that count by their face, as in stage 2."""
    least = prepare.section("detect")["confidence"]
    faint = subject_choice.in_order([one for one in found if FAINT <= one.confidence < least])
    if not faint:
        return []
    sure = [one.box_xyxy for one in view.people]
    every = [*sure, *(one.box_xyxy for one in faint)]
    model = eyes.models[EMBEDDINGS[0]]
    before = faces.faces_of_people(model, [(view.picture_rgb, sure)])[0]
    after = faces.faces_of_people(model, [(view.picture_rgb, every)])[0]
    known, asked = ([list(map(_seen, of_one)) for of_one in some] for some in (before, after))
    counted = faint_people.with_a_face(sure, known, asked[len(sure) :])
    return [faint[number] for number in counted]


def _seen(face: Face) -> SeenFace:
    return SeenFace.of(face, np.zeros(0))


def _item(number: int, ordinal: int) -> str:
    return f"{number}-{ordinal}"


def _faces_in(eyes: Eyes, view: _View) -> list[dict]:
    """The faces of a kept frame, each with its place among the people, pose and embeddings."""
    if not view.kept or not view.people:
        return []
    picture, boxes = view.picture_rgb, [one.box_xyxy for one in view.people]
    first = eyes.models[EMBEDDINGS[0]]
    height, width = picture.shape[:2]
    made = []
    for place, of_one in enumerate(faces.faces_of_people(first, [(picture, boxes)])[0]):
        for face in of_one:
            embedded = {name: eyes.models[name].embed(picture, [face])[0] for name in EMBEDDINGS}
            yaw = head_pose.pose(face.landmarks_xy).yaw
            box = np.array(face.box_xyxy) / [width, height, width, height]
            made.append(
                {
                    **{"place": place, "score": face.score, "yaw": yaw},
                    **{"side_px": face.short_side, "face_box": box, **embedded},
                }
            )
    return made


@dataclass
class _Found:
    """What is known of the pictures so far."""

    eyes: Eyes
    views: list[_View] = field(default_factory=list)

    def add(self, view: _View) -> list[str]:
        """Have the detector look at a picture; the names of its detections."""
        found = self.eyes.detector.detect([view.picture_rgb])[0]
        view.people = _counted(found)
        if view.kept and prepare.section("detect")["second_look"]:
            view.people += _faint(self.eyes, view, found)
        self.views.append(view)
        return [_item(len(self.views) - 1, at) for at in range(len(view.people))]

    def looked(self, followed: Followed, dimensions: Mapping[str, int]) -> Looked:
        """All of it, once people are followed; of the frames, with their faces."""
        views, linked = self.views, followed.linked
        people = [(n, one) for n, view in enumerate(views) for one in view.people]
        first = np.cumsum([0, *(len(view.people) for view in views)])
        of_faces = [
            (int(first[n]) + one["place"], one)
            for n, view in enumerate(views)
            for one in _faces_in(self.eyes, view)
        ]
        found = np.array([one.box_xyxy for _, one in people]).reshape(-1, 4)
        sizes = np.array([views[n].picture_rgb.shape[1::-1] for n, _ in people]).reshape(-1, 2)
        sides = found[:, 2:] - found[:, :2]
        return Looked(
            time_s=np.array([view.time_s for view in views]),
            kept=np.array([view.kept for view in views], bool),
            frame=np.array([view.frame for view in views], int),
            view=np.array([number for number, _ in people], int),
            box=(found / np.tile(sizes, 2)).reshape(-1, 4),
            confidence=np.array([one.confidence for _, one in people]),
            track=linked.track,
            short_px=sides.min(axis=1) if len(sides) else np.zeros(0),
            face_of=np.array([place for place, _ in of_faces], int),
            score=np.array([one["score"] for _, one in of_faces]),
            yaw=np.array([one["yaw"] for _, one in of_faces]),
            side_px=np.array([one["side_px"] for _, one in of_faces]),
            face_box=np.array([one["face_box"] for _, one in of_faces]).reshape(-1, 4),
            sface=_stacked([one["sface"] for _, one in of_faces], dimensions["sface"]),
            faceres=_stacked([one["faceres"] for _, one in of_faces], dimensions["faceres"]),
            looks=linked.looks,
            again=np.array([followed.clip.looks_again or 0, followed.clip.found_again or 0], int),
        )


def _stacked(embeddings: Sequence[np.ndarray], dimensions: int) -> np.ndarray:
    return np.array(embeddings, np.float32).reshape(-1, dimensions)
