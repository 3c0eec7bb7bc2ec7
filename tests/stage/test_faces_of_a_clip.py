"""Stage 2, first half: the faces of the people in a clip, by networks whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.detection.face_search import FaceNetworks
from ferrari.images.boxes import Detection
from ferrari.images.faces import EmbeddedFace, Face
from ferrari.ledger import item_ids
from ferrari.networks import faces
from ferrari.subject import sightings_file
from tests.deadly import ENDS, Notes
from tests.stage.people_clip import LARGE, SMALL, VIDEO, Clip, picture

NETWORKS = FaceNetworks({"detector": "a", "embedding": "b", "weights": [{}, {"dimensions": 4}]}, ())
LANDMARKS = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)


@pytest.fixture
def clip(tmp_path):
    return Clip(tmp_path)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Every box has a face that says how wide the box is; what the networks are given is noted."""
    notes = Notes(tmp_path)

    class Model:
        name = device = weights_sha256 = "stand-in"
        threshold = 0.5

    def recognise(model, pictures):
        notes.add(f"{sum(len(people) for _, people in pictures)}")
        return [[[_face(box)] for box in people] for _, people in pictures]

    monkeypatch.setattr(faces, "load", lambda *_: Model())
    monkeypatch.setattr(faces, "recognise", recognise)
    return notes


def _face(box) -> EmbeddedFace:
    x1, y1, x2, _ = box
    embedding = np.array([x2 - x1, 1, 0, 0], np.float32)
    face = Face((x1, y1, x1 + 50, y1 + 60), LANDMARKS + np.array([x1, y1]), 0.9)
    return EmbeddedFace(face, embedding / np.linalg.norm(embedding))


def everybody(frames):
    return [[LARGE, SMALL] for _ in frames]


def test_each_face_is_that_of_its_detection_and_none_is_searched_in_the_film(clip, detect, asked):
    clip.write(2, between=picture)
    detect(everybody)
    rows = clip.detect(faces=NETWORKS)
    seen = sightings_file.read(clip.sightings)
    assert "".join(asked.read()) == "4", "two people in two frames; the film has four pictures more"
    assert sorted(filter(None, seen.items)) == sorted(row["item"] for row in rows)
    assert len(seen.items) == len(seen.sightings.track) == 12
    widths = {item: found[0].embedding for item, found in seen.faces_by_item().items()}
    for row in rows:
        width = float(row["x2"]) - float(row["x1"])
        assert widths[row["item"]][0] / widths[row["item"]][1] == pytest.approx(width, rel=1e-4)
    assert [face.short_side_px for face in seen.faces] == pytest.approx([50] * 4)
    assert (seen.sightings.faces.weights > 0.5).all()


def test_tracks_of_the_sightings_are_those_of_the_rows(clip, detect, asked):
    clip.write(2, between=picture)
    detect(everybody)
    rows = clip.detect(faces=NETWORKS)
    seen = sightings_file.read(clip.sightings)
    tracks = dict(zip(seen.items, seen.sightings.track.tolist(), strict=True))
    assert {row["item"]: int(row["track"]) for row in rows}.items() <= tracks.items()
    assert len(seen.looks) == seen.sightings.tracks


def test_boxes_without_room_for_a_face_are_not_searched(clip, detect, asked):
    clip.write(1)
    detect(lambda frames: [[Detection((0, 0, 19, 200), 0.9, "person"), LARGE] for _ in frames])
    clip.detect(faces=NETWORKS)
    assert "".join(asked.read()) == "1"


def test_where_no_faces_are_asked_for_no_network_for_them_is_loaded(clip, detect, monkeypatch):
    clip.write(1)
    detect(everybody)
    monkeypatch.setattr(faces, "load", lambda *_: pytest.fail("loaded"))
    clip.detect()
    seen = sightings_file.read(clip.sightings)
    assert len(seen.items) == 2 and seen.faces == ()


def test_frames_that_are_taken_over_keep_their_faces(clip, detect, asked):
    clip.write(3, between=picture)
    detect(everybody)
    before = clip.detect(faces=NETWORKS)
    whole = clip.sightings.read_bytes()
    opened = item_ids.frame_item(VIDEO, 1)
    again = clip.detect(clip.earlier("detect", but=(opened,)), faces=NETWORKS)
    assert again == before and clip.sightings.read_bytes() == whole
    assert "".join(asked.read()) == "62", "six people, then the two of the frame that was open"


def test_without_its_file_of_faces_nothing_is_taken_over(clip, detect, asked):
    clip.write(2)
    detect(everybody)
    clip.detect(faces=NETWORKS)
    earlier = clip.earlier("detect")
    earlier.beside.clear()
    clip.detect(earlier, faces=NETWORKS)
    assert "".join(asked.read()) == "44"


def test_a_frame_that_ends_the_networks_is_quarantined_and_the_others_keep_theirs(
    clip, detect, asked, monkeypatch
):
    clip.write(3)
    detect(everybody)
    monkeypatch.setattr(faces, "recognise", _deadly)
    rows = clip.detect(faces=NETWORKS)
    bad = item_ids.frame_item(VIDEO, 1)
    (row,) = [row for row in rows if row["parent"] == bad]
    assert (row["item"], row["reason"]) == (bad, "MODEL_CRASHED")
    assert row["detail"].startswith("the networks for faces")
    seen = sightings_file.read(clip.sightings)
    assert {item_ids.frame_of(item) for item in seen.items} == {
        item_ids.frame_item(VIDEO, ordinal) for ordinal in (0, 2)
    }
    assert len(seen.faces) == 4


def _deadly(model, pictures):
    mark = picture(1)[0, 0].tolist()
    if any(frame[0, 0].tolist() == mark for frame, _ in pictures):
        ENDS["segfault"][0]()
    return [[[_face(box)] for box in people] for _, people in pictures]
