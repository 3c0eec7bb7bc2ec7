"""Measures the demo's networks for faces on people that they were not trained on.

    python -m models.demo.evaluate_faces

They run as the product runs them: faces are sought in each person's box, upright by the landmarks
that are found, and embedded. Thresholds are fitted on some people and counted on others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from ferrari.images import head_pose
from ferrari.images.boxes import overlap
from ferrari.networks import faces, weight_files
from ferrari.subject.face_weights import USABLE, face_weight
from ferrari.subject.templates import Template, Thresholds
from models.demo.face_data import FIRST_FIT, FIRST_TEST
from tests.generator import ClipSpec, FigureSpec, Rendered, render_frame
from tests.generator.spec import SCENES, VIEWS

SETTINGS = {"detector": "demo-faces", "embedding": "demo-faces", "device": "cpu", "batch": 8}
#: Upper ends of the classes of size: shorter side of a face in px.
SIZES = (32, 48, 64, 96, 1000)
#: Faces of a template, as the demo has pictures of its subject.
MEMBERS = 4
#: Share of own faces that are under `below` where it is fitted.
BELOW_MISSED = 0.01


def model() -> faces.FaceModel:
    """The two networks, as the product loads them."""
    files = [str(one.path) for one in weight_files.for_faces(SETTINGS)]
    return faces.load(SETTINGS, files, 1, "cache")


@dataclass(frozen=True)
class Look:
    """A face that was found: whose it is, and what is known of it."""

    identity: int
    embedding: np.ndarray
    weight: float


def frames(first: int, people: int, views: int) -> Iterable[Rendered]:
    """Each person from `views` sides and distances, in clothes and places that change."""
    for k in range(people):
        for view in range(views):
            rng = np.random.default_rng([first + k, view, 71])
            figure = FigureSpec(
                seed=int(rng.integers(1 << 30)), identity=first + k, motion="walk",
                outfit=int(rng.integers(1 << 30)), sway=0.0, scale=float(rng.uniform(0.75, 1.1)),
                framing=str(rng.choice(["full", "full", "half", "close"])),
                yaw_deg=float(rng.choice([rng.normal(0, 25), rng.uniform(-180, 180)])),
            )  # fmt: skip
            place = (first + k) // 4 * 3 + view % 3
            spec = ClipSpec(
                seed=place, width=640, height=480, scenes=(SCENES[place % len(SCENES)],),
                figures=(figure,), n_frames=200,
            )  # fmt: skip
            yield render_frame(spec, int(rng.integers(200)))


class Detection:
    """Counts of faces found and missed by view and size, and of what is found where none is."""

    def __init__(self) -> None:
        self.seen = {f"{view} <{size}": [0, 0] for view in VIEWS[:3] for size in SIZES}
        self.turned, self.false, self.off = [0, 0], 0, []

    def add(self, drawn: Rendered, found: list) -> None:
        """One picture of one person, and the faces found in the box."""
        person = drawn.people[0]
        if person.face_xyxy is None:
            self.turned[0] += bool(found)
            self.turned[1] += 1
            return
        hits = [face for face in found if overlap(face.box_xyxy, person.face_xyxy) > 0.4]
        self.false += len(found) - len(hits)
        size = next(size for size in SIZES if person.face_px < size)
        counts = self.seen[f"{person.view} <{size}"]
        counts[0] += bool(hits)
        counts[1] += 1
        if hits and person.landmarks_xy is not None:
            away = np.linalg.norm(hits[0].landmarks_xy - person.landmarks_xy, axis=1).mean()
            self.off.append(float(away / person.face_px))

    def told(self) -> dict:
        """For people."""
        return {
            "found of all, by view and px": {k: f"{a}/{b}" for k, (a, b) in self.seen.items() if b},
            "found on heads turned away": f"{self.turned[0]}/{self.turned[1]}",
            "false beside a face": self.false,
            "landmarks off, share of a face (median, 95 %)": [
                round(float(np.percentile(self.off, share)), 3) for share in (50, 95)
            ],
        }


def looks(net: faces.FaceModel, first: int, people: int, views: int) -> tuple[list[Look], dict]:
    """Every face that is found, and what was found and missed."""
    found, counts = [], Detection()
    for drawn in frames(first, people, views):
        if not drawn.people or (
            drawn.people[0].face_xyxy is not None and (drawn.people[0].face_share < 0.8)
        ):
            continue  # out of the picture, or behind an arm
        person = drawn.people[0]
        own = faces.faces_of_person(net, drawn.frame_rgb, person.box_xyxy)
        counts.add(drawn, own)
        if own and person.face_xyxy is not None:
            yaw = head_pose.pose(own[0].landmarks_xy).yaw
            embedding = net.embed(drawn.frame_rgb, own[:1])[0]
            weight = face_weight(own[0].short_side, own[0].score, yaw)
            assert person.identity is not None
            found.append(Look(person.identity, embedding, weight))
    return found, counts.told()


def pairs(found: list[Look]) -> tuple[np.ndarray, np.ndarray]:
    """Similarities of faces that may decide: of one person, of two."""
    usable = [look for look in found if look.weight >= USABLE]
    table = np.stack([look.embedding for look in usable])
    whose = np.array([look.identity for look in usable])
    upper = np.triu_indices(len(usable), 1)
    alike, same = (table @ table.T)[upper], (whose[:, None] == whose[None])[upper]
    return alike[same], alike[~same]


def held_against_templates(found: list[Look]) -> tuple[np.ndarray, np.ndarray]:
    """Scores of faces that may decide against each person's template: of the person, of others.

    A person's first MEMBERS faces are the template, the others are tested.
    """
    usable = [look for look in found if look.weight >= USABLE]
    by_person: dict[int, list[Look]] = {}
    for look in usable:
        by_person.setdefault(look.identity, []).append(look)
    own, others = [], []
    tested = [look for some in by_person.values() for look in some[MEMBERS:]]
    for identity, some in by_person.items():
        if len(some) < MEMBERS:
            continue
        members = np.stack([look.embedding for look in some[:MEMBERS]])
        scores = Template(members, members[:0]).scores(np.stack([t.embedding for t in tested]))
        mine = np.array([look.identity == identity for look in tested])
        own.append(scores[mine])
        others.append(scores[~mine])
    return np.concatenate(own), np.concatenate(others)


def fitted(own: np.ndarray, others: np.ndarray) -> Thresholds:
    """Thresholds, to two digits: as large a share of own faces lies under `above` as of others'
    reaches it, and BELOW_MISSED of own lie under `below`.
    """
    scores = np.arange(0.2, 0.96, 0.01)
    missed = np.array([(own < one).mean() for one in scores])
    reached = np.array([(others >= one).mean() for one in scores])
    above = float(scores[np.abs(missed - reached).argmin()])
    below = min(float(np.quantile(own, BELOW_MISSED)), above - 0.05)
    return Thresholds(round(above, 2), round(below, 2))


def area_under(same: np.ndarray, other: np.ndarray) -> float:
    """How often a pair of one person is likelier than a pair of two."""
    below = np.searchsorted(np.sort(other), same)
    return float(below.mean() / len(other))


def nobody(net: faces.FaceModel, count: int) -> int:
    """Faces in whole pictures of places."""
    specs = (
        ClipSpec(seed=FIRST_TEST + k, width=640, height=480, figures=(), scenes=(SCENES[k % 6],))
        for k in range(count)
    )
    return sum(len(net.find(render_frame(spec, 5).frame_rgb)) for spec in specs)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--views", type=int, default=8)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    net = model()
    known, _ = looks(net, FIRST_FIT, args.people, args.views)
    tested, detection = looks(net, FIRST_TEST, args.people, args.views)
    test = pairs(tested)
    fit, held = held_against_templates(known), held_against_templates(tested)
    thresholds = fitted(*fit)
    entry = weight_files.table()["models"]["demo-face-embedding"]
    print(json.dumps({
        "detection": detection,
        "found in 60 pictures of places": nobody(net, 60),
        "fitted": {"above": thresholds.above, "below": thresholds.below},
        "where it was fitted": {"own": told(fit[0], entry), "others": told(fit[1], entry)},
        "against templates": {"own": told(held[0], entry), "others": told(held[1], entry)},
        "used": {key: entry[key] for key in ("above", "below", "threshold")},
        "own pairs": told(test[0], entry), "pairs of two": told(test[1], entry),
        "area under the curve": area_under(*test),
    }, indent=2))  # fmt: skip


def told(alike: np.ndarray, entry: dict) -> dict:
    """Counts at the thresholds of models.yaml, and percentiles."""
    return {
        "pairs": len(alike),
        "above": int((alike >= entry["above"]).sum()),
        "below": int((alike < entry["below"]).sum()),
        "least, 1, 5, 50, 95, 99, 99.9 %, most": [
            round(float(np.percentile(alike, share)), 3)
            for share in (0, 1, 5, 50, 95, 99, 99.9, 100)
        ],
    }


if __name__ == "__main__":
    main()
