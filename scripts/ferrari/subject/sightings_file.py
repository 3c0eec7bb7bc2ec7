"""Sightings of one clip as a file: `<dataset>/subject/sightings/<video>.npz`.

It holds embeddings of faces. They are biometric data, of bystanders too, so they stay here: they go
into no table of the ledger, no package and no page. The same sightings give the same bytes.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ferrari.common.atomic_files import write_bytes
from ferrari.images import head_pose
from ferrari.images.boxes import Box, short_side
from ferrari.images.faces import Face
from ferrari.ledger.tables import LedgerError
from ferrari.subject.face_weights import face_weight
from ferrari.subject.sightings import Faces, Linked, Sightings

ENDING = ".npz"
#: Degrees, of a face whose landmarks all lie at one place: turned so far that it says nothing.
_UNKNOWN_YAW = 90.0


@dataclass(frozen=True, eq=False)
class SeenFace:
    """A face of a detection: its embedding ((D,) float32, unit length), its box in px of the frame,
    the detector's score, its turn to either side in degrees, and how clear it is to the network
    for embeddings, 0 to 1.
    """

    embedding: np.ndarray
    box_xyxy: Box
    score: float
    yaw_deg: float
    clarity: float = 1.0

    @classmethod
    def of(cls, face: Face, embedding: np.ndarray, clarity: float) -> SeenFace:
        """From what the networks gave."""
        spread = (face.landmarks_xy != face.landmarks_xy[0]).any()
        yaw = round(head_pose.pose(face.landmarks_xy).yaw, 2) if spread else _UNKNOWN_YAW
        return cls(embedding, face.box_xyxy, face.score, yaw, clarity)

    @property
    def short_side_px(self) -> float:
        """The shorter side of its box."""
        return short_side(self.box_xyxy)

    @property
    def weight(self) -> float:
        """How much it says about who somebody is, 0 to 1."""
        return face_weight(self.short_side_px, self.score, self.yaw_deg, self.clarity)


@dataclass(frozen=True, eq=False)
class SeenClip:
    """A clip's sightings, and what else is known of them.

    `items`: (N,) the ids of the detections, empty for those of the linking film, in which no face
    is searched. `clock_s`: (N,) when each was seen, by the clip's own clock. `looks`: (T, K)
    float32, of each track as `appearance.descriptors` has them. `faces`: (F,) in the order of
    `sightings.faces`.
    """

    sightings: Sightings
    items: tuple[str, ...]
    clock_s: np.ndarray
    looks: np.ndarray
    faces: tuple[SeenFace, ...]

    def faces_by_item(self) -> dict[str, list[SeenFace]]:
        """The faces of each detection that has any."""
        found: dict[str, list[SeenFace]] = {}
        for place, face in zip(self.sightings.faces.detection.tolist(), self.faces, strict=True):
            found.setdefault(self.items[place], []).append(face)
        return found


def seen_clip(linked: Linked, faces: Mapping[str, Sequence[SeenFace]], dimensions: int) -> SeenClip:
    """What was linked, with the faces in it by item; `dimensions` is the length of an embedding."""
    placed = [
        (place, face) for place, item in enumerate(linked.items) for face in faces.get(item, ())
    ]
    embeddings = np.zeros((len(placed), dimensions), np.float32)
    for row, (_, face) in enumerate(placed):
        embeddings[row] = face.embedding
    seen = tuple(face for _, face in placed)
    detection = np.array([place for place, _ in placed], int)
    weights = np.array([face.weight for face in seen], float)
    known = _faces(embeddings, detection, weights, seen)
    return SeenClip(
        Sightings(linked.track, linked.time_s, known, linked.boxes),
        tuple(linked.items),
        linked.clock_s,
        linked.looks,
        seen,
    )


def _faces(
    embeddings: np.ndarray, detection: np.ndarray, weights: np.ndarray, seen: Sequence[SeenFace]
) -> Faces:
    sides = np.array([face.short_side_px for face in seen], float)
    if_clear = np.array([replace(face, clarity=1.0).weight for face in seen], float)
    return Faces(embeddings, detection, weights, sides, if_clear)


def write(path: str | os.PathLike, seen: SeenClip) -> None:
    """Write the file."""
    faces = seen.faces
    arrays: dict[str, np.ndarray] = {
        "track": seen.sightings.track.astype(np.int64),
        "time_s": seen.sightings.time_s.astype(np.float64),
        "clock_s": seen.clock_s.astype(np.float64),
        "boxes": _boxes(seen.sightings).astype(np.float32),
        "item": np.array(seen.items, dtype=str),
        "looks": seen.looks.astype(np.float32),
        "embeddings": seen.sightings.faces.embeddings.astype(np.float32),
        "detection": seen.sightings.faces.detection.astype(np.int64),
        "weights": seen.sightings.faces.weights.astype(np.float64),
        "short_side_px": np.array([face.short_side_px for face in faces], np.float64),
        "score": np.array([face.score for face in faces], np.float64),
        "yaw_deg": np.array([face.yaw_deg for face in faces], np.float64),
        "clarity": np.array([face.clarity for face in faces], np.float64),
        "box": np.array([face.box_xyxy for face in faces], np.float64).reshape(-1, 4),
    }
    write_bytes(path, packed(arrays))


def _boxes(seen: Sightings) -> np.ndarray:
    known: np.ndarray | None = seen.boxes
    return np.zeros((len(seen.track), 4)) if known is None else known


def read(path: str | os.PathLike) -> SeenClip:
    """Read one; LedgerError for what is no such file."""
    return _of(unpacked_file(path, _ARRAYS))


def read_bytes(data: bytes) -> SeenClip:
    """From the content of a file that is known to be one."""
    return _of(_unpacked(io.BytesIO(data), _ARRAYS))


_ARRAYS = (
    *("track", "time_s", "clock_s", "boxes", "item", "looks", "embeddings", "detection", "weights"),
    *("score", "yaw_deg", "clarity", "box"),
)


def _of(arrays: Mapping[str, np.ndarray]) -> SeenClip:
    told = zip(
        arrays["embeddings"],
        arrays["box"].tolist(),
        arrays["score"].tolist(),
        arrays["yaw_deg"].tolist(),
        arrays["clarity"].tolist(),
        strict=True,
    )
    faces = tuple(SeenFace(one, (x1, y1, x2, y2), *rest) for one, (x1, y1, x2, y2), *rest in told)
    known = _faces(arrays["embeddings"], arrays["detection"], arrays["weights"], faces)
    return SeenClip(
        Sightings(arrays["track"], arrays["time_s"], known, arrays["boxes"]),
        tuple(map(str, arrays["item"])),
        arrays["clock_s"],
        arrays["looks"],
        faces,
    )


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as an .npz file; its entries bear no time, so the same arrays give the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), entry.getvalue())
    return stream.getvalue()


#: What reading an .npz file raises where some bytes of it are others: a RuntimeError where the
#: archive then says that it is encrypted or of a version to come, a TypeError where it is none.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, RuntimeError, TypeError)


def unpacked_file(path: str | os.PathLike, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; LedgerError for one that is missing, damaged or lacks `names`."""
    try:
        with open(path, "rb") as stream:
            return _unpacked(stream, names)
    except _DAMAGE as error:
        raise LedgerError(
            f"{os.fspath(path)} cannot be read ({error}): delete it, and the next run makes it anew"
        ) from error


def _unpacked(stream: io.BufferedIOBase, names: Sequence[str]) -> dict[str, np.ndarray]:
    with np.load(stream, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in names}
