"""The bank of scenes: plates that hold no pixel of a subject."""

import cv2
import numpy as np
import pytest
from PIL import Image

from ferrari.backgrounds import scene_bank as env
from ferrari.common.settings import SettingsError
from ferrari.ledger import tables


def detect_row(frame: str, box=None, **fields):
    corners = dict(zip(("x1", "y1", "x2", "y2"), box or (), strict=False))
    about = {"outcome": "dropped" if fields else "kept", **fields, **corners}
    made = tables.row("detect", item=f"{frame}-d0", parent=frame, **about)
    return {key: str(value) for key, value in made.items()}


def test_hidden_boxes_takes_every_detection_and_trusts_no_doubtful_frame():
    rows = [
        detect_row("two", (1, 2, 3, 4)),
        detect_row("two", (5, 6, 7, 8)),
        detect_row("empty", reason="NO_SUBJECT", value=0.05),
        detect_row("doubtful", reason="NO_SUBJECT", value=0.1),
        detect_row("unmeasured", reason="NO_SUBJECT"),
        detect_row("failed", reason="UNREADABLE_FRAME"),
        detect_row("mixed", reason="UNREADABLE_FRAME"),
        detect_row("mixed", (1, 2, 3, 4)),
    ]
    assert env.hidden_boxes(rows) == {
        "two": [(1, 2, 3, 4), (5, 6, 7, 8)],
        "empty": [],
        "doubtful": None,
        "unmeasured": None,
        "failed": None,
        "mixed": None,
    }


def test_whom_the_detector_hardly_sees_in_somebodys_box_is_hidden_too():
    row = detect_row("one", (100, 50, 140, 150))
    row["hardly_seen"] = "130.0 55.0 160.0 90.0;90.0 60.0 110.0 95.0"
    assert env.hidden_boxes([row]) == {
        "one": [(100, 50, 140, 150), (130, 55, 160, 90), (90, 60, 110, 95)]
    }


def test_a_share_of_scene_is_told_with_the_digits_it_is_judged_by():
    line = {"item": "one", "height": "1", "width": "10000", "sharpness": "1"}
    ((share, _),) = env.best_frames([line], {"one": [(0.0, 0.0, 5769.0, 1.0)]})
    assert share == round(share, 4)


def test_scene_weight_widens_the_box_by_15_percent_of_its_longer_side():
    weight = env.scene_weight((200, 300), [(100, 50, 140, 150)])
    rows, columns = (
        np.flatnonzero((weight == 0).any(axis=1)),
        np.flatnonzero((weight == 0).any(axis=0)),
    )
    assert (rows[0], rows[-1] + 1) == (35, 165)
    assert (columns[0], columns[-1] + 1) == (85, 155)
    assert set(np.unique(weight)) == {0, 1}


@pytest.mark.parametrize("box", [(-50, -50, 20, 20), (280, 180, 400, 300), (-90, -90, -60, -60)])
def test_boxes_may_leave_the_frame(box):
    weight = env.scene_weight((200, 300), [box])
    x, y = max(0, box[0]), max(0, box[1])
    inside = box[2] > 0
    assert weight[y, x] == (0 if inside else 1)


@pytest.mark.parametrize("frame_hw", [(480, 640), (1080, 1920), (301, 203), (1500, 70)])
def test_no_subject_pixel_leaks_into_the_plate(frame_hw):
    height, width = frame_hw
    frame = np.zeros((height, width, 3), dtype=np.uint8)
    frame[..., 2] = np.linspace(40, 220, height)[:, None]  # the scene holds blue only
    box = (0.3 * width, 0.2 * height, 0.6 * width, height)
    weight = env.scene_weight(frame_hw, [box])
    frame[weight == 0] = (255, 255, 0)  # the subject, and all that is hidden, holds none
    plate = env.plate(frame, weight)
    assert max(plate.shape[:2]) <= 640
    assert plate[..., :2].max() == 0
    assert plate[..., 2].min() >= 40  # no darkening from the hidden pixels' lack of blue


def test_the_scene_itself_stays_as_it_is():
    frame = np.random.default_rng(1).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    weight = env.scene_weight((120, 160), [(60, 40, 100, 120)])
    plate = env.plate(frame, weight)
    assert np.array_equal(plate[weight == 1], frame[weight == 1])


def test_a_hole_in_one_colour_is_filled_with_it():
    frame = np.full((97, 131, 3), (10, 200, 90), dtype=np.uint8)
    weight = env.scene_weight((97, 131), [(20, 20, 110, 80)])
    assert (env.plate(frame, weight) == (10, 200, 90)).all()


def test_a_hole_follows_its_surroundings():
    ramp = np.repeat(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], 128, axis=0)
    frame = np.repeat(ramp, 3, axis=2)
    plate = env.plate(frame, env.scene_weight((128, 256), [(100, 40, 150, 90)]))
    assert np.abs(plate.astype(int) - frame).max() < 45


def test_a_frame_without_scene_is_refused():
    with pytest.raises(ValueError, match="hidden"):
        env.plate(np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), np.float32))


def test_best_frame_shows_most_scene_then_is_sharpest():
    def frame(item, sharpness):
        return {"item": item, "height": "100", "width": "100", "sharpness": sharpness}

    frames = [frame("a", "1"), frame("b", "9"), frame("c", "5"), frame("d", ""), frame("e", "9")]
    boxes = {"a": [], "b": [(0, 0, 50, 50)], "c": [], "d": [], "e": None}
    ranked = env.best_frames(frames, boxes)
    assert [line["item"] for _, line in ranked] == ["c", "a", "d", "b"]
    assert ranked[0][0] == 1
    assert ranked[-1][0] == pytest.approx(1 - 0.57 * 0.57, abs=0.02)


def test_foreign_leaves_out_the_clips_own_scene_and_its_copies():
    def line(name, video, sha, outcome="kept"):
        raw = f"raw of {video}" if video else ""
        return {
            "environment": name, "video": video, "sha256": sha, "outcome": outcome,
            "raw_sha256": raw,
        }  # fmt: skip

    bank = [
        line("own", "v", "1"),
        line("copy", "w", "1"),
        line("other", "x", "2"),
        line("gone", "y", "", "dropped"),
        line("picture", "", "3"),
    ]

    def names(video, raw):
        return [found["environment"] for found in env.foreign(bank, video, raw)]

    assert names("v", "raw of v") == ["other", "picture"]
    assert names("copy of x", "raw of x") == ["own", "copy", "picture"]
    assert names("z", "") == [
        "own",
        "copy",
        "other",
        "picture",
    ]


def test_pictures_names_every_file_and_says_what_to_do_without_a_folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("Wall 1.jpg", "sub/Wall 1.jpg", ".hidden"):
        (tmp_path / name).write_bytes(b"x")
    assert sorted(env.pictures(tmp_path).values()) == ["Wall 1.jpg", "sub/Wall 1.jpg"]
    with pytest.raises(SettingsError, match="environment_folder"):
        env.pictures(tmp_path / "absent")


def test_a_picture_has_the_size_of_a_plate(tmp_path):
    Image.new("RGB", (1500, 1000)).save(tmp_path / "wide.png")
    assert env.read_picture(tmp_path / "wide.png").shape == (427, 640, 3)


def test_plate_does_not_depend_on_the_threads():
    frame = np.random.default_rng(2).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    weight = env.scene_weight((700, 900), [(300, 200, 500, 700)])
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        first = env.plate(frame, weight)
        cv2.setNumThreads(4)
        assert np.array_equal(first, env.plate(frame, weight))
    finally:
        cv2.setNumThreads(before)
