"""Stage 2, first half: who is missed in a frame is looked for again, and has a row that says so."""

from __future__ import annotations

import importlib
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ferrari.detection.closer_looks import CloserLooks
from ferrari.detection.face_search import FaceSearch
from ferrari.images import hardly_seen
from ferrari.images.boxes import Detection
from ferrari.ledger import balance, item_ids
from ferrari.ledger.open_rows import is_open
from ferrari.networks import faces as networks
from ferrari.subject import clip_table, sightings_file, track_table
from ferrari.subject.faint_people import FOUND_BY_FACE
from ferrari.subject.second_look import FOUND_AGAIN, SIDE
from tests.deadly import ENDS, Notes
from tests.stage.people_clip import LARGE, VIDEO, Clip
from tests.stage.test_detect import walker, walkers
from tests.stage.test_faces_of_a_clip import NETWORKS, asked  # noqa: F401 (a fixture)

qc_yolo_crops = importlib.import_module("qc_yolo_crops")
MISSED = 3  # number of the picture, which is that of the second frame
FRAME = item_ids.frame_item(VIDEO, 1)


@pytest.fixture
def clip(tmp_path):
    """Two people in four frames and a film; the detector misses the walker in one frame."""
    clip = Clip(tmp_path)
    clip.write(4, lambda ordinal: walkers(3 * ordinal), between=walkers)
    return clip


@pytest.fixture
def looks(tmp_path):
    return Notes(tmp_path)


def misses(looks, also_standing=False, end=None):
    """Sees red and blue people by their colour, but in one frame; and in squares all red ones."""

    def run(frames):
        return [one(frame) for frame in frames]

    def one(frame):
        square = frame.shape == (SIDE, SIDE, 3)
        if square:
            looks.add("1")
            if end is not None:
                end()
            return red(frame, 0.6)
        missed = is_missed(frame)
        found = [] if missed else red(frame, 0.8)
        return found + ([] if missed and also_standing else blue(frame))

    return run


def is_missed(frame):
    return int((frame[0, :, 0] > 200).sum()) == MISSED


def red(frame, confidence):
    return seen(frame, 0, confidence)


def blue(frame):
    return seen(frame, 2, 0.9)


def seen(frame, channel, confidence):
    rest = [one for one in range(3) if one != channel]
    rows, columns = np.where(frame[..., channel] > frame[..., rest].max(-1).astype(int) + 60)
    if not len(rows):
        return []
    box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return [Detection(tuple(map(float, box)), confidence, "person")]


def test_who_was_missed_has_a_row_that_says_how_they_were_found(clip, detect, looks):
    detect(misses(looks))
    rows = clip.detect(second_look=True)
    assert balance.balance("detect", rows, clip.rows("extract")).balanced
    again = [row for row in rows if FOUND_AGAIN in row["detail"]]
    assert [row["item"] for row in again] == [f"{FRAME}-d1"] and looks.read() == ["1"]
    (row,) = again
    assert (row["outcome"], row["parent"], row["confidence"]) == ("kept", FRAME, "0.6")
    assert (row["detector"], row["frame_width"]) == ("stand-in", "320")
    corners = [float(row[key]) for key in ("x1", "y1", "x2", "y2")]
    assert corners == pytest.approx(walker(MISSED), abs=1)
    walks = next(r["track"] for r in rows if r["confidence"] == "0.8")
    assert row["track"] == walks, "the same track"
    whole = clip_table.read(clip.tracks, track_table.COLUMNS)[0]
    assert (whole["looks_again"], whole["found_again"]) == ("1", "1")


def test_whom_the_first_look_hardly_saw_is_told_once_where_the_second_found_them(clip, detect):
    """Hints in the box of who stands: one for the walker, who is found, and one for somebody."""
    walks, another = (240.0, 60.0, 270.0, 150.0), (285.0, 70.0, 310.0, 160.0)
    stands = Detection((240.0, 60.0, 310.0, 220.0), 0.9, "person")
    hints = [Detection(box, 0.2, "person") for box in (walks, another)]
    detect(lambda frames: [[stands, *hints] for _ in frames])
    rows = {FRAME: [row for row in clip.detect() if row["parent"] == FRAME]}
    assert rows[FRAME][0]["hardly_seen"] == hardly_seen.told([walks, another])
    line = next(row for row in clip.rows("extract") if row["item"] == FRAME)
    detector = SimpleNamespace(about={"detector": "stand-in"})
    closer = CloserLooks(clip.dataset, detector, FaceSearch(0.35), rows, [line])
    found = Detection((235.0, 60.0, 285.0, 220.0), 0.6, "person")
    assert closer.taken(0, [found]) == [f"{FRAME}-d1"]
    assert [row["hardly_seen"] for row in rows[FRAME]] == [hardly_seen.told([another]), ""]


def test_a_frame_that_showed_nobody_shows_who_was_found(clip, detect, looks):
    detect(misses(looks, also_standing=True))
    before = [row for row in clip.detect() if row["parent"] == FRAME]
    assert [row["reason"] for row in before] == ["NO_SUBJECT"]
    rows = clip.detect(second_look=True)
    assert balance.balance("detect", rows, clip.rows("extract")).balanced
    assert [row["item"] for row in rows if row["parent"] == FRAME] == [f"{FRAME}-d0"]


def test_unless_it_is_asked_for_no_second_look_is_taken(clip, detect, looks):
    detect(misses(looks))
    rows = clip.detect()
    assert not any(row["detail"] for row in rows) and looks.read() == []
    whole = clip_table.read(clip.tracks, track_table.COLUMNS)[0]
    assert (whole["looks_again"], whole["found_again"]) == ("", "")


@pytest.mark.parametrize("opened", range(4))
def test_whatever_is_taken_over_the_same_is_found(clip, detect, looks, asked, opened):  # noqa: F811
    detect(misses(looks))
    whole = clip.detect(second_look=True, faces=NETWORKS)
    files = clip.tracks.read_bytes(), clip.sightings.read_bytes()
    earlier = clip.earlier("detect", but=(item_ids.frame_item(VIDEO, opened),))
    assert clip.detect(earlier, second_look=True, faces=NETWORKS) == whole
    assert (clip.tracks.read_bytes(), clip.sightings.read_bytes()) == files


def test_who_was_found_again_has_the_face_that_is_theirs(clip, detect, looks, asked):  # noqa: F811
    detect(misses(looks))
    rows = clip.detect(second_look=True, faces=NETWORKS)
    faces = sightings_file.read(clip.sightings).faces_by_item()
    assert set(faces) == {row["item"] for row in rows}
    assert {len(found) for found in faces.values()} == {1}


def test_a_second_look_that_ends_the_detector_finds_nobody_and_has_a_row(clip, detect, looks):
    detect(misses(looks))
    sound = clip.detect()
    detect(misses(looks, end=ENDS["exit"][0]))
    rows = clip.detect(second_look=True)
    assert without_unseen(rows) == sound
    (row,) = unseen(rows)
    assert (row["item"], row["parent"], row["outcome"]) == (f"{FRAME}-d1", FRAME, "quarantined")
    assert row["reason"] == "MODEL_CRASHED" and row["detail"].startswith("a second look at a place")
    assert (row["track"], row["x1"], row["frame_width"]) == ("", "", "320")
    assert (clip.dataset / row["path"]).is_file() and row["sha256"]
    assert balance.balance("detect", rows, clip.rows("extract")).balanced
    whole = clip_table.read(clip.tracks, track_table.COLUMNS)[0]
    assert (whole["looks_again"], whole["found_again"]) == ("1", "0")


def unseen(rows):
    return [row for row in rows if row["item"] != row["parent"] and row["outcome"] == "quarantined"]


def without_unseen(rows):
    return [row for row in rows if row not in unseen(rows)]


def test_a_look_that_took_too_long_is_taken_again_once_it_may_take_longer(
    clip,
    detect,
    looks,
    asked,  # noqa: F811
):
    detect(misses(looks))
    sound = clip.detect(second_look=True, faces=NETWORKS)
    detect(misses(looks, end=lambda: time.sleep(60)))
    rows = clip.detect(second_look=True, faces=NETWORKS, timeout_s=1)
    (row,) = unseen(rows)
    assert row["reason"] == "MODEL_TIMEOUT" and "detect.timeout_s" in row["detail"]
    opened = [row["parent"] for row in rows if is_open(row, {"timeout_s": 1}, {"timeout_s": 2})]
    assert opened == [FRAME], "that frame, and no other"
    detect(misses(looks))
    earlier = clip.earlier("detect", but=tuple(opened))
    assert clip.detect(earlier, second_look=True, faces=NETWORKS) == sound
    assert not (clip.dataset / row["path"]).exists()


def test_a_job_that_runs_for_another_reason_has_that_row_once(clip, detect, looks):
    detect(misses(looks, end=ENDS["exit"][0]))
    rows = clip.detect(second_look=True)
    other = item_ids.frame_item(VIDEO, 3)
    assert clip.detect(clip.earlier("detect", but=(other,)), second_look=True) == rows


def test_a_frame_that_showed_nobody_says_so_and_that_a_look_ended(clip, detect, looks):
    detect(misses(looks, also_standing=True, end=ENDS["exit"][0]))
    rows = [row for row in clip.detect(second_look=True) if row["parent"] == FRAME]
    assert [row["reason"] for row in rows] == ["NO_SUBJECT", *["MODEL_CRASHED"] * (len(rows) - 1)]
    assert len({row["item"] for row in rows}) == len(rows) > 1


def test_a_frame_that_then_ends_the_networks_for_faces_stays_as_it_was(
    clip,
    detect,
    looks,
    asked,  # noqa: F811
    monkeypatch,
):
    detect(misses(looks))
    sound, faces = clip.detect(faces=NETWORKS), clip.sightings.read_bytes()
    recognise = networks.recognise

    def ends(model, pictures):
        if any(len(people) == 2 and is_missed(frame) for frame, people in pictures):
            ENDS["exit"][0]()
        return recognise(model, pictures)

    monkeypatch.setattr(networks, "recognise", ends)
    rows = clip.detect(second_look=True, faces=NETWORKS)
    assert without_unseen(rows) == sound and clip.sightings.read_bytes() == faces
    (row,) = unseen(rows)
    assert row["parent"] == FRAME and row["reason"] == "MODEL_CRASHED"
    assert row["detail"].startswith("whom a second look found: the networks for faces: ")


# --- boxes that count by their face ---------------------------------------------------------------

HARDLY_SEEN = Detection((240.0, 50.0, 310.0, 200.0), 0.2, "person")


@pytest.fixture
def still(tmp_path):
    clip = Clip(tmp_path)
    clip.write(2)
    return clip


def test_a_box_below_the_bound_counts_by_its_face(still, detect, asked):  # noqa: F811
    detect(lambda frames: [[LARGE, HARDLY_SEEN] for _ in frames])
    rows = still.detect(second_look=True, faces=NETWORKS)
    assert balance.balance("detect", rows, still.rows("extract")).balanced
    assert [row["item"][-2:] for row in rows] == ["d0", "d1"] * 2
    assert [row["confidence"] for row in rows] == ["0.8", "0.2"] * 2
    assert [row["detail"] for row in rows] == ["", FOUND_BY_FACE] * 2
    faces = sightings_file.read(still.sightings).faces_by_item()
    assert set(faces) == {row["item"] for row in rows}


@pytest.mark.parametrize("how", ["nobody is judged", "no faces", "lower than faint"])
def test_otherwise_it_does_not(still, detect, asked, how):  # noqa: F811
    faint = Detection(HARDLY_SEEN.box_xyxy, 0.09 if how == "lower than faint" else 0.2, "person")
    detect(lambda frames: [[LARGE, faint] for _ in frames])
    networks_for_faces = None if how == "no faces" else NETWORKS
    rows = still.detect(second_look=how != "nobody is judged", faces=networks_for_faces)
    assert [row["confidence"] for row in rows] == ["0.8"] * 2


def test_a_frame_with_nobody_else_shows_who_has_a_face(still, detect, asked):  # noqa: F811
    detect(lambda frames: [[HARDLY_SEEN] for _ in frames])
    rows = still.detect(second_look=True, faces=NETWORKS)
    assert [row["outcome"] for row in rows] == ["kept"] * 2
    before = rows, still.sightings.read_bytes()
    earlier = still.earlier("detect", but=(item_ids.frame_item(VIDEO, 1),))
    again = still.detect(earlier, second_look=True, faces=NETWORKS)
    assert (again, still.sightings.read_bytes()) == before


@pytest.mark.parametrize(("counts", "times"), [(True, 3), (False, 2)])
def test_faces_below_the_bound_are_embedded_where_one_counts(still, detect, asked, counts, times):  # noqa: F811
    """A sure box is asked for once, a faint one for where its faces are, and again if it counts."""
    faint = Detection((HARDLY_SEEN if counts else LARGE).box_xyxy, 0.2, "person")
    detect(lambda frames: [[LARGE, faint] for _ in frames])
    rows = still.detect(second_look=True, faces=NETWORKS)
    assert len(rows) == 2 * (1 + counts) and sum(map(int, asked.read())) == 2 * times
    faces = sightings_file.read(still.sightings).faces
    assert len(faces) == len(rows) and all(face.embedding.any() for face in faces)


def test_a_frame_that_ends_the_networks_with_a_faint_box_alone_stays_as_it_was(
    still,
    detect,
    asked,  # noqa: F811
    monkeypatch,
):
    detect(lambda frames: [[LARGE] for _ in frames])
    sound, faces = still.detect(faces=NETWORKS), still.sightings.read_bytes()
    recognise = networks.recognise

    def ends(model, pictures):
        if any(list(people) == [HARDLY_SEEN.box_xyxy] for _, people in pictures):
            ENDS["exit"][0]()
        return recognise(model, pictures)

    monkeypatch.setattr(networks, "recognise", ends)
    detect(lambda frames: [[LARGE, HARDLY_SEEN] for _ in frames])
    rows = still.detect(second_look=True, faces=NETWORKS)
    assert without_unseen(rows) == sound and still.sightings.read_bytes() == faces
    assert [row["item"] for row in unseen(rows)] == [f"{row['item'][:-1]}1" for row in sound]
    for row in unseen(rows):
        assert row["detail"].startswith("boxes below the bound: the networks for faces: ")
    monkeypatch.setattr(networks, "recognise", recognise)
    again = still.detect(still.earlier("detect", but=(FRAME,)), second_look=True, faces=NETWORKS)
    assert not unseen(again) and len(again) == 4, "the other frame is not taken over either"


@pytest.mark.parametrize(
    ("confidence", "detail", "sound"),
    [
        (0.2, FOUND_BY_FACE, True),
        (0.2, f"{FOUND_BY_FACE}; batches halved", True),
        (0.2, "", False),
        (0.05, FOUND_BY_FACE, False),
        (0.35, "", True),
    ],
)
def test_the_report_takes_a_faint_box_for_sound_if_a_face_speaks_for_it(confidence, detail, sound):
    about = {"detector": "stand-in", "device": "cpu", "detail": detail}
    found = pd.DataFrame([{"item": "a-d0", "parent": "a", **about}])
    sides = dict.fromkeys((*qc_yolo_crops._BOX, *qc_yolo_crops._CROP), 1.0)
    size = {"frame_width": 320.0, "frame_height": 240.0}
    row = {"item": "a-p0", "parent": "a-d0", "confidence": confidence, "class_name": "person"}
    rows = qc_yolo_crops.with_detections(pd.DataFrame([row | sides | size]), found)
    videos = pd.DataFrame([{"video": "a", "detection_rate": 1.0, "frames": 1}])
    settings = {"backend": "yolo", "confidence": 0.35}
    checks = qc_yolo_crops.detection_checks(rows, videos, {"min_detection_rate": 0.3}, settings)
    assert {check.name: check.status for check in checks}["confidences_sound"] == (
        "PASS" if sound else "FAIL"
    )
