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
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from bench import peers, prepare
from bench.measure import PeerMissingError, task
from ferrari.images import head_pose, image_files, subject_choice
from ferrari.images.boxes import Detection
from ferrari.ledger import item_ids, tables
from ferrari.networks import detectors, faces, weight_files
from ferrari.networks.backends import tfjs_graph
from ferrari.subject import appearance
from ferrari.subject.face_weights import face_weight
from ferrari.subject.following import Sight, follow
from ferrari.subject.sightings import Faces, Sightings
from ferrari.video import linking_film

#: The embeddings that are compared, in the order in which the cache has them.
EMBEDDINGS = ("sface", "faceres")
_VERSION = 1  # of what the cache holds


@dataclass(frozen=True)
class Looked:
    """A clip. V pictures in the order shown, N detections, F faces, T tracks.

    Pictures: `time_s` (V), `kept` (V) bool: a frame of stage 1, else of the linking film; `frame`
    (V) its number in the clip. Detections: `view` (N) their picture, `box` (N, 4) as shares of the
    picture's width and height, `confidence` (N), `track` (N), `short_px` (N) short side of the box.
    Faces, which only kept frames have: `face_of` (F) their detection, `score`, `yaw`, `side_px`
    (F), `face_box` (F, 4) as shares, `sface` and `faceres` (F, D) float32 of unit length. `looks`
    (T, K) float32: what each track wears.
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
    found = _Found([], [], [], [])
    followed = follow(_sights(eyes, dataset, file, found))
    numbers = [followed.track_of[item] for item in found.items]
    return found.looked(np.array(numbers, int), len(followed.tracks), eyes.dimensions)


def _sights(eyes: Eyes, dataset: Path, file: str, found: _Found) -> Iterator[Sight]:
    confidence = prepare.section("detect")["confidence"]
    for view in _views(dataset, file):
        seen = eyes.detector.detect([view.picture_rgb])[0]
        counted = subject_choice.in_order([d for d in seen if d.confidence >= confidence])
        items = found.add(view, counted, _faces_in(eyes, view, counted))
        yield Sight(view.time_s, view.picture_rgb, counted, items)


def _faces_in(eyes: Eyes, view: _View, people: Sequence[Detection]) -> list[dict]:
    """The faces of a kept frame, each with its place among the people, pose and embeddings."""
    if not view.kept or not people:
        return []
    picture, boxes = view.picture_rgb, [one.box_xyxy for one in people]
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

    views: list[_View]
    people: list[tuple[int, Detection, tuple[int, int]]]
    faces: list[tuple[int, dict]]
    looks: list[np.ndarray]

    @property
    def items(self) -> list[str]:
        return [str(number) for number in range(len(self.people))]

    def add(self, view: _View, people: Sequence[Detection], of_faces: Sequence[dict]) -> list[str]:
        """Take a picture in; the names of its detections, the film's too."""
        first, number = len(self.people), len(self.views)
        height, width = view.picture_rgb.shape[:2]
        self.looks.append(
            appearance.descriptors(view.picture_rgb, np.array([p.box_xyxy for p in people]))
        )
        self.people += [(number, one, (width, height)) for one in people]
        self.faces += [(first + one["place"], one) for one in of_faces]
        self.views.append(_View(view.frame, view.time_s, view.kept, np.zeros(0)))
        return self.items[first:]

    def looked(self, track: np.ndarray, tracks: int, dimensions: Mapping[str, int]) -> Looked:
        boxes = np.array([one.box_xyxy for _, one, _ in self.people]).reshape(-1, 4)
        sizes = np.array([size for _, _, size in self.people]).reshape(-1, 2)
        sides = boxes[:, 2:] - boxes[:, :2]
        looks = np.concatenate([np.zeros((0, appearance.LENGTH)), *self.looks])
        of_faces = [one for _, one in self.faces]
        return Looked(
            time_s=np.array([view.time_s for view in self.views]),
            kept=np.array([view.kept for view in self.views], bool),
            frame=np.array([view.frame for view in self.views], int),
            view=np.array([number for number, _, _ in self.people], int),
            box=(boxes / np.tile(sizes, 2)).reshape(-1, 4),
            confidence=np.array([one.confidence for _, one, _ in self.people]),
            track=track,
            short_px=sides.min(axis=1) if len(sides) else np.zeros(0),
            face_of=np.array([place for place, _ in self.faces], int),
            score=np.array([one["score"] for one in of_faces]),
            yaw=np.array([one["yaw"] for one in of_faces]),
            side_px=np.array([one["side_px"] for one in of_faces]),
            face_box=np.array([one["face_box"] for one in of_faces]).reshape(-1, 4),
            sface=_stacked([one["sface"] for one in of_faces], dimensions["sface"]),
            faceres=_stacked([one["faceres"] for one in of_faces], dimensions["faceres"]),
            looks=np.array([appearance.mean(looks[track == t]) for t in range(tracks)], np.float32),
        )


def _stacked(embeddings: Sequence[np.ndarray], dimensions: int) -> np.ndarray:
    return np.array(embeddings, np.float32).reshape(-1, dimensions)
