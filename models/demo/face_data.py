"""Draws what the demo's networks for faces learn from: pictures of people with an identity.

Pictures are small, drawn in blocks that share a scene. Nothing was photographed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ferrari.images.face_alignment import aligned
from models.demo.data import degrade
from tests.generator import ClipSpec, FigureSpec, PersonTruth, render_frame
from tests.generator.spec import MOTIONS, SCENES

#: Identities (and seeds of all else) of each use; those of the demo's clips lie below 100,000.
FIRST_TRAIN, FIRST_FIT, FIRST_TEST = 1_000_000, 8_000_000, 9_000_000
#: Pixels of a picture in which faces are sought, and of an upright face.
SIDE, FACE = 224, 64
_BLOCK = 24  # pictures in a row that share a scene
#: A face is one to be found if so much of it is seen; one of which less is seen counts neither way.
LEAST_SHARE = 0.65
LEAST_PX = 12.0


@dataclass(frozen=True)
class Picture:
    """`rgb` uint8 SIDE x SIDE x 3; `faces` float32 (N, 15): box (x1, y1, x2, y2), five landmarks,
    and 1 for a face to be found or 0 for one that counts neither way.
    """

    rgb: np.ndarray
    faces: np.ndarray


def _scene(seed: int, figures: tuple[FigureSpec, ...], side: int, rng) -> ClipSpec:
    """A clip in the scene of the seed's block."""
    block = seed // _BLOCK
    return ClipSpec(
        seed=block, width=side, height=side, scenes=(SCENES[block % len(SCENES)],),
        figures=figures, n_frames=200, light=0.25, noise=float(rng.uniform(0, 5)),
    )  # fmt: skip


def _person(rng: np.random.Generator, first: bool) -> FigureSpec:
    framing = str(rng.choice(["full", "half", "close"], p=[0.3, 0.35, 0.35])) if first else "full"
    return FigureSpec(
        seed=int(rng.integers(1 << 30)),
        identity=FIRST_TRAIN + int(rng.integers(1 << 20)),
        outfit=int(rng.integers(1 << 30)),
        framing=framing,
        motion=MOTIONS[int(rng.integers(len(MOTIONS)))],
        x=float(rng.uniform(0.3, 0.7) if first else rng.uniform(0.1, 0.9)),
        scale=float(rng.uniform(0.9, 1.5)),
        yaw_deg=float(rng.choice([rng.uniform(-65, 65), rng.uniform(-180, 180)])),
    )


def picture(seed: int) -> Picture:
    """A picture for the detector: none to three people, one of them at times in a panel."""
    rng = np.random.default_rng([seed, 61])
    count = int(rng.choice([0, 1, 2, 3], p=[0.08, 0.5, 0.28, 0.14]))
    figures = [_person(rng, k == 0) for k in range(count)]
    if count and rng.uniform() < 0.15:
        left = float(rng.uniform(0.02, 0.5))
        panel = (left, 0.08, left + float(rng.uniform(0.25, 0.45)), float(rng.uniform(0.5, 0.8)))
        shown = str(rng.choice(["poster", "mirror"]))
        hung = _person(rng, True).__dict__ | {"shown": shown, "panel": panel, "framing": "half"}
        figures.insert(0, FigureSpec(**hung))
    drawn = render_frame(_scene(seed, tuple(figures), SIDE, rng), int(rng.integers(200)))
    edge = int(rng.uniform(0.45, 1.0) * SIDE)
    x, y = _corner(rng, drawn.people, edge)
    rgb = cv2.resize(drawn.frame_rgb[y : y + edge, x : x + edge], (SIDE, SIDE))
    rows = [_row(person, x, y, edge) for person in drawn.people if person.face_xyxy is not None]
    return Picture(degrade(rng, rgb), np.array(rows, np.float32).reshape(-1, 15))


def _corner(rng, people: tuple[PersonTruth, ...], edge: int) -> tuple[int, int]:
    """Where a part of a picture begins: around a head, three times in four."""
    spare = SIDE - edge
    boxes = [person.box_xyxy for person in people]
    if boxes and rng.uniform() < 0.75:
        x1, y1, x2, _ = boxes[int(rng.integers(len(boxes)))]
        at = (x1 + x2) / 2 - edge / 2 + rng.normal(0, 15), y1 - rng.uniform(0, 0.3) * edge
        return int(np.clip(at[0], 0, spare)), int(np.clip(at[1], 0, spare))
    return int(rng.integers(spare + 1)), int(rng.integers(spare + 1))


def _row(person: PersonTruth, x: int, y: int, edge: int) -> list[float]:
    scale, corner = SIDE / edge, np.array([x, y])
    assert person.face_xyxy is not None and person.landmarks_xy is not None
    box = (np.array(person.face_xyxy).reshape(2, 2) - corner) * scale
    size = box[1] - box[0]
    inside = np.prod(np.clip(np.clip(box[1], 0, SIDE) - np.clip(box[0], 0, SIDE), 0, None))
    share = person.face_share * inside / max(1.0, float(np.prod(size)))
    seen = float(share >= LEAST_SHARE and size.min() >= LEAST_PX)
    return [*box.ravel(), *((person.landmarks_xy - corner) * scale).ravel(), seen]


def faces(identity: int, views: int, place: int) -> Iterator[np.ndarray]:
    """`views` upright faces (uint8 FACE x FACE x 3) of an identity, in clothes, light and pose of
    their own. `place`: where its pictures lie in the blocks of scenes.
    """
    rng, found = np.random.default_rng([identity, 67]), 0
    while found < views:
        framing, px = ("close", 192) if rng.uniform() < 0.55 else ("half", 256)
        figure = FigureSpec(
            seed=int(rng.integers(1 << 30)), identity=identity, framing=framing,
            outfit=int(rng.integers(1 << 30)), motion=MOTIONS[int(rng.integers(len(MOTIONS)))],
            yaw_deg=float(np.clip(rng.normal(0, 26), -60, 60)),
            scale=float(rng.uniform(0.85, 1.15)), sway=0.0,
        )  # fmt: skip
        scene = _scene(place + 100_000 * _BLOCK * found, (figure,), px, rng)
        drawn = render_frame(scene, int(rng.integers(200)))
        person = drawn.people[0] if drawn.people else None
        if person is None or person.landmarks_xy is None or person.face_share < 0.9:
            continue
        off = rng.normal(0, 0.022 * person.face_px, (5, 2))
        yield aligned(degrade(rng, drawn.frame_rgb), person.landmarks_xy + off, FACE)
        found += 1


def draw_pictures(path: Path, first: int, count: int) -> None:
    """Draw `count` pictures for the detector, from seed `first` on, into an npz file."""
    cv2.setNumThreads(1)
    drawn = [picture(seed) for seed in range(first, first + count)]
    np.savez(
        path,
        rgb=np.stack([one.rgb for one in drawn]),
        faces=np.concatenate([one.faces for one in drawn]),
        counts=np.array([len(one.faces) for one in drawn]),
    )


def draw_faces(path: Path, first: int, people: int, views: int) -> None:
    """Draw `views` faces of each of `people` identities from `first` on: rgb (people, views, ...).

    Views are drawn one after the other for many people each, so that a scene serves several.
    """
    cv2.setNumThreads(1)
    streams = [
        faces(first + k, views, first + 7919 * (k // _BLOCK) + k % _BLOCK) for k in range(people)
    ]
    rgb = np.empty((people, views, FACE, FACE, 3), np.uint8)
    for start in range(0, people, _BLOCK):
        for view in range(views):
            for k in range(start, min(people, start + _BLOCK)):
                rgb[k, view] = next(streams[k])
    np.savez(path, rgb=rgb)
