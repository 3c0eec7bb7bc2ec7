"""Real clips: cuts that somebody looked for, and people of a street who somebody told apart.

`street_people.csv` says who (a letter) is in which box of every fourth picture of the street. Boxes
in which nobody could be told for sure are not in it.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from ferrari.images.boxes import overlap
from ferrari.networks import detectors
from ferrari.subject import appearance, shot_cuts
from ferrari.subject.tracks import Moment, link
from tests.settings import section
from tests.shared import shared

STREET = Path(__file__).with_name("street_people.csv")

pytestmark = pytest.mark.real


def pictures(name: str, every: int) -> Iterator[tuple[int, float, np.ndarray]]:
    """Number, seconds and small RGB picture of each `every`-th frame of a clip."""
    with av.open(os.fspath(shared(f"media/{name}"))) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % every == 0:
                picture = frame.to_ndarray(format="rgb24")
                height, width = picture.shape[:2]
                scale = min(1.0, 640 / max(height, width))
                size = round(width * scale), round(height * scale)
                small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
                yield number, float(frame.time), small


@pytest.mark.parametrize("every", [1, 4, 6])
@pytest.mark.parametrize(
    ("name", "firsts"),
    [
        ("identity/hamilton.mp4", [20, 82, 211]),
        ("derived/s_cuts_two_people.mp4", [30, 60, 90, 120, 150]),
        ("identity/street.mp4", []),
    ],
)
def test_cuts(name, firsts, every):
    """`firsts` are the first frames of shots."""
    found = shot_cuts.cuts(picture for _, _, picture in pictures(name, every))
    after = [-(-first // every) for first in firsts]
    assert [at for at, cut in enumerate(found) if cut] == after


@pytest.fixture(scope="module")
def street():
    """Moments of the street, and for each detection who it shows, None where nobody can tell."""
    weights = shared("weights/yolo11n_int8_openvino_model")
    known: dict[int, list[tuple[str, tuple]]] = {}
    for row in csv.DictReader(STREET.open()):
        box = tuple(float(row[name]) for name in ("x1", "y1", "x2", "y2"))
        known.setdefault(int(row["picture"]), []).append((row["person"], box))
    settings = section("detect", weights_sha256=None, device="cpu")
    detector = detectors.load(settings, [str(weights)], {}, 1, "unused")
    moments, people, shown = [], [], []
    for number, time_s, picture in pictures("identity/street.mp4", 4):
        found = [d for d in detector.detect([picture])[0] if d.confidence >= 0.35]
        boxes = np.array([d.box_xyxy for d in found], np.float32).reshape(-1, 4)
        sure = np.array([d.confidence for d in found], np.float32)
        looks = appearance.descriptors(picture, boxes)
        moments.append(Moment(time_s, boxes, sure, looks, False))
        people.append([_who(tuple(box), known.get(number, [])) for box in boxes])
        shown.append(picture)
    return moments, people, shown


def _who(box, known) -> str | None:
    person, best = max(known, key=lambda one: overlap(one[1], box), default=(None, box))
    return person if overlap(best, box) > 0.8 else None


def test_no_track_of_a_crowded_street_shows_two_people(street):
    moments, people, _ = street
    tracks = link(moments)
    shown = [{people[m][d] for m, d in track.places} - {None} for track in tracks]
    assert sum(map(len, shown)) > 20 and max(map(len, shown)) == 1
    longest = max(len(track.places) for track in tracks)
    assert longest >= 20 and len(tracks) < 80


def test_looks_tell_more_than_plain_hsv(street):
    """Pairs up to two moments apart: how often somebody else is liker than the same person."""
    moments, people, shown = street
    plain = [
        _hsv(picture, moment.boxes_xyxy) for picture, moment in zip(shown, moments, strict=True)
    ]
    ours = _wrong_pairs(people, [moment.looks for moment in moments])
    assert ours < 0.006
    assert ours < _wrong_pairs(people, plain) / 2


def _hsv(picture, boxes) -> np.ndarray:
    """The baseline: histograms of hue, saturation and value in three stripes."""
    found = []
    for x1, y1, x2, y2 in np.clip(np.rint(boxes), 0, None).astype(int):
        stripes = np.array_split(cv2.cvtColor(picture[y1:y2, x1:x2], cv2.COLOR_RGB2HSV), 3)
        bins, ranges = (8, 4, 4), ((0, 180), (0, 256), (0, 256))
        counts = [np.histogramdd(s.reshape(-1, 3), bins, ranges)[0].ravel() for s in stripes]
        shares = np.concatenate([count / count.sum() / 3 for count in counts])
        found.append(np.sqrt(shares))
    return np.array(found).reshape(-1, 3 * 128)


def _wrong_pairs(people, looks) -> float:
    """1 - the area under the ROC curve of likeness."""
    who = np.array([person or "" for some in people for person in some])
    at = np.repeat(np.arange(len(people)), [len(some) for some in people])
    alike = appearance.similarity(np.concatenate(looks), np.concatenate(looks))
    pairs = np.triu(np.ones_like(alike, bool), 1) & (np.abs(at[:, None] - at) <= 2)
    pairs &= (who != "")[:, None] & (who != "")[None]
    same = (who[:, None] == who[None])[pairs]
    ours, others = alike[pairs][same], np.sort(alike[pairs][~same])
    return float(1 - np.searchsorted(others, ours).mean() / len(others))
