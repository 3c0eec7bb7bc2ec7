"""Stage 2, second half: what is chosen and cut of detections that are known."""

from __future__ import annotations

import errno
import importlib
from concurrent.futures import Future

import numpy as np
import pytest

from ferrari.common.atomic_files import sha256_file
from ferrari.images import image_files
from ferrari.images.boxes import Detection
from ferrari.ledger import balance, item_ids, tables
from tests.settings import section
from tests.stage.people_clip import LARGE, SMALL, VIDEO, Clip

stage = importlib.import_module("02_yolo_crop")
BESIDE = (slice(20, 60), slice(260, 310))  # beside LARGE, where leaves or a clock may move


@pytest.fixture
def clip(tmp_path):
    return Clip(tmp_path)


@pytest.mark.parametrize(
    ("policy", "kept"), [("largest", [1]), ("most_central", [1]), ("all", [0, 1])]
)
def test_every_detection_has_a_row_and_the_policy_chooses(clip, policy, kept):
    clip.write(1)
    clip.found([SMALL, LARGE])
    rows = clip.crop(policy=policy, min_side=50)
    assert [row["item"][-2:] for row in rows] == ["p0", "p1"]
    assert [row["parent"][-2:] for row in rows] == ["d0", "d1"]
    assert [float(row["confidence"]) for row in rows] == [0.9, 0.8]
    assert [n for n, row in enumerate(rows) if row["outcome"] == "kept"] == kept
    assert all(row["reason"] == "NOT_TARGET" for row in rows if row["outcome"] == "dropped")


def test_crops_are_the_frames_own_pixels_around_the_padded_box(clip):
    clip.write(1)
    clip.found([LARGE])
    (row,) = clip.crop(pad=0.1)
    x1, y1, x2, y2 = (int(row[f"crop_{key}"]) for key in ("x1", "y1", "x2", "y2"))
    assert (x1, y1, x2, y2) == (0, 0, 243, 240)
    crop = image_files.read_verified(clip.dataset / row["path"], row["sha256"])
    np.testing.assert_array_equal(crop, image_files.read(clip.file(0))[y1:y2, x1:x2])
    assert (row["frame_width"], row["frame_height"]) == ("320", "240")


def test_boxes_too_small_to_use_are_rows_and_their_frame_is_not_read(clip):
    clip.write(1)
    clip.file(0).unlink()
    clip.found([Detection((0, 0, 40, 200), 0.9, "person")])
    (row,) = clip.crop(min_side=96)
    assert (row["reason"], float(row["value"]), row["threshold"]) == ("TOO_SMALL", 40, "96")


def test_a_box_whose_row_says_that_it_is_as_large_as_the_bound_is_not_too_small(clip):
    clip.write(1)
    clip.found([Detection((0, 0, 95.997, 200), 0.9, "person")])
    (row,) = clip.crop(min_side=96)
    assert (row["outcome"], float(row["value"]), row["threshold"]) == ("kept", 96, "96")


def test_every_detection_is_accounted_for_and_nothing_else(clip):
    clip.write(5)
    clip.found([LARGE], [], [SMALL, LARGE], [], [LARGE])
    assert balance.balance("crop", clip.crop(), clip.rows("detect")).balanced


def test_detections_of_a_frame_that_is_not_there_any_more_are_refused(clip):
    clip.write(1)
    clip.found([LARGE], [LARGE])
    with pytest.raises(tables.LedgerError, match=f"kept no frame {VIDEO}-f000001"):
        clip.crop()


def test_of_a_frame_that_was_damaged_since_its_subjects_are_quarantined(clip):
    clip.write(2)
    clip.found([SMALL, LARGE], [LARGE])
    data = clip.file(0).read_bytes()
    clip.file(0).write_bytes(data[:-50])
    other, subject, sound = clip.crop(min_side=50)
    assert (other["reason"], sound["reason"]) == ("NOT_TARGET", "OK")
    assert (subject["outcome"], subject["reason"]) == ("quarantined", "UNREADABLE_FRAME")
    copy = clip.dataset / f"bad_frames/{VIDEO}/UNREADABLE_FRAME/{subject['item']}.webp"
    assert copy.read_bytes() == data[:-50] and subject["sha256"] == sha256_file(copy)
    of_detect = copy.with_name(f"{item_ids.frame_item(VIDEO, 0)}.webp")
    of_detect.write_bytes(b"what the other half refused")
    clip.file(0).write_bytes(data)
    opened = (subject["parent"],)
    assert [row["reason"] for row in clip.crop(clip.earlier("crop", opened), min_side=50)] == [
        "NOT_TARGET", "OK", "OK"
    ]  # fmt: skip
    assert not copy.exists() and of_detect.exists()


def test_a_frame_that_is_gone_is_named_below_the_dataset(clip):
    clip.write(1)
    clip.found([LARGE])
    clip.file(0).unlink()
    (row,) = clip.crop()
    where = clip.file(0).relative_to(clip.dataset).as_posix()
    assert row["reason"] == "UNREADABLE_FRAME" and row["path"] == ""
    assert row["detail"].startswith(f"{where} cannot be read")


def scene(subject: int, beside: int) -> np.ndarray:
    """A still picture with a sensor's noise, whose subject and surroundings are in given states."""
    frame = (
        np.full((240, 320, 3), 90, np.int16) + np.arange(240, dtype=np.int16)[:, None, None] // 4
    )
    frame[100:140, 60 + 10 * subject : 90 + 10 * subject] = 200  # a hand, in LARGE
    frame[BESIDE] = 40 + 50 * (beside % 4)
    seed = 100 * subject + beside
    return (frame + np.random.default_rng(seed).integers(-3, 4, frame.shape)).astype(np.uint8)


def test_where_only_leaves_move_one_crop_is_kept_and_the_others_say_what_they_repeat(clip):
    clip.write(5, lambda ordinal: scene(subject=0, beside=ordinal))
    clip.found(*[[LARGE]] * 5)
    first, *others = clip.crop(min_side=50)
    assert (first["outcome"], first["compared_with"]) == ("kept", "")
    for row in others:
        assert (row["outcome"], row["reason"], row["path"]) == ("dropped", "DUPLICATE_SUBJECT", "")
        assert float(row["value"]) < float(row["threshold"]) == section("detect")["duplicate_block"]
        assert row["compared_with"] == first["item"] and float(row["noise_change"]) > 0
    assert len(list((clip.dataset / f"02_yolo_crops/{VIDEO}").iterdir())) == 1
    assert balance.balance("crop", [first, *others], clip.rows("detect")).balanced


def test_a_subject_that_moves_a_hand_is_kept_each_time(clip):
    clip.write(4, lambda ordinal: scene(subject=ordinal, beside=0))
    clip.found(*[[LARGE]] * 4)
    assert [row["reason"] for row in clip.crop(min_side=50)] == ["OK"] * 4


def test_a_box_at_another_place_is_no_repeat(clip):
    clip.write(3, lambda ordinal: scene(subject=0, beside=0))
    moved = Detection((60.4, 10.2, 260.6, 230.9), 0.8, "person")
    nearly = Detection((22.4, 11.2, 221.6, 230.9), 0.8, "person")
    clip.found([LARGE], [moved], [nearly])
    reasons = [row["reason"] for row in clip.crop(min_side=50)]
    assert reasons == ["OK", "OK", "OK"], "the last crop kept is the one at the other place"
    clip.found([LARGE], [nearly], [moved])
    assert [row["reason"] for row in clip.crop(min_side=50)] == ["OK", "DUPLICATE_SUBJECT", "OK"]


def test_each_of_several_subjects_has_its_own_last_crop(clip):
    clip.write(4, lambda ordinal: scene(subject=ordinal, beside=0))
    still = Detection((240.0, 150.0, 310.0, 235.0), 0.9, "person")
    clip.found(*[[still, LARGE]] * 4)
    rows = clip.crop(min_side=50, policy="all")
    reasons = {row["item"][-16:]: row["reason"] for row in rows}
    assert [reason for item, reason in reasons.items() if item.endswith("p1")] == ["OK"] * 4
    assert [reason for item, reason in reasons.items() if item.endswith("p0")] == [
        "OK", *["DUPLICATE_SUBJECT"] * 3
    ]  # fmt: skip
    assert {row["compared_with"] for row in rows} == {"", rows[0]["item"]}


def test_a_frame_without_a_subject_changes_nothing(clip):
    clip.write(3, lambda ordinal: scene(subject=0, beside=ordinal))
    clip.found([LARGE], [], [LARGE])
    assert [row["reason"] for row in clip.crop(min_side=50)] == ["OK", "DUPLICATE_SUBJECT"]


@pytest.mark.parametrize("setting", ["duplicate_delta", "duplicate_block"])
def test_repeats_of_a_subject_can_be_kept(clip, setting):
    clip.write(3, lambda ordinal: scene(subject=0, beside=ordinal))
    clip.found(*[[LARGE]] * 3)
    rows = clip.crop(min_side=50, **{setting: 0})
    assert [row["reason"] for row in rows] == ["OK"] * 3


@pytest.mark.parametrize("gone", range(6))
def test_what_is_taken_over_and_what_is_made_come_to_the_same_rows(clip, gone):
    """Whichever frame is worked on again: later ones are compared with what it leaves."""
    states = (0, 0, 1, 1, 2, 2)
    clip.write(6, lambda ordinal: scene(states[ordinal], beside=ordinal))
    clip.found(*[[LARGE]] * 6)
    whole = clip.crop(min_side=50)
    assert [row["outcome"] for row in whole] == ["kept", "dropped"] * 3
    opened = item_ids.detection_item(item_ids.frame_item(VIDEO, gone), 0)
    again = clip.crop(clip.earlier("crop", but=(opened,)), min_side=50)
    assert again == whole
    for row in tables.kept(again):
        assert sha256_file(clip.dataset / row["path"]) == row["sha256"]


def test_a_frame_that_is_left_out_later_changes_the_digests_of_those_behind_it(clip):
    clip.write(3, lambda ordinal: scene(subject=0, beside=ordinal))
    clip.found(*[[LARGE]] * 3)
    clip.crop(min_side=50)
    before = clip.digests["crop"]
    rows = clip.rows("detect")
    tables.write_stage(clip.table("detect"), "detect", rows[:1] + rows[2:])
    clip.crop(min_side=50)
    (first, _, third), now = before, clip.digests["crop"]
    assert now[first] == before[first] and now[third] != before[third]


def test_a_frame_whose_other_detection_changed_is_judged_again_as_a_whole(clip):
    """Whoever is the largest may be another now: one detection's row is no work of its own."""
    clip.write(2)
    clip.found([SMALL, LARGE], [LARGE])
    before = clip.crop(min_side=50)
    assert [row["reason"] for row in before] == ["NOT_TARGET", "OK", "OK"]
    grown = Detection((10.0, 10.0, 310.0, 230.0), 0.7, "person")
    clip.found([SMALL, grown], [LARGE])
    after = clip.crop(clip.earlier("crop"), min_side=50)
    clip.found([SMALL, Detection((0, 0, 50, 50), 0.7, "person")], [LARGE])
    assert [float(row["x2"]) for row in after] == [310, 310, 220.6]
    assert clip.crop(clip.earlier("crop"), min_side=50)[0]["outcome"] == "kept"


def test_the_subject_is_one_track_whoever_is_larger_in_a_frame(clip):
    """The track with the largest sum over the clip, also where another person is nearer."""
    clip.write(3)
    near = Detection((150.0, 0.0, 319.0, 239.0), 0.9, "person")
    clip.found([LARGE, SMALL], [LARGE, near], [SMALL])
    rows = clip.crop(min_side=50)
    assert [row["reason"] for row in rows] == ["OK", "NOT_TARGET", "OK", "NOT_TARGET", "OK"]
    assert float(rows[1]["value"]) < float(rows[1]["threshold"])


class AtOnce:
    """Threads that are none: what they are given is done before they give an answer."""

    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work, *arguments):
        done = Future()
        try:
            done.set_result(work(*arguments))
        except OSError as error:
            done.set_exception(error)
        return done


def test_what_is_read_ahead_and_written_behind_is_what_one_thread_makes(clip, monkeypatch):
    clip.write(7, lambda ordinal: scene(ordinal // 2, beside=ordinal))
    clip.found(*[[SMALL, LARGE]] * 7)
    clip.file(3).write_bytes(b"no picture")
    found = []
    for at_once in (False, True):
        with monkeypatch.context() as patched:
            if at_once:
                patched.setattr(stage, "ThreadPoolExecutor", AtOnce)
            rows = clip.crop(min_side=50)
        files = {r["path"]: (clip.dataset / r["path"]).read_bytes() for r in rows if r["path"]}
        found.append((rows, files, clip.table("crop").read_bytes()))
    assert found[0] == found[1]
    reasons = [row["reason"] for row in found[0][0] if row["reason"] != "NOT_TARGET"]
    assert reasons == [
        *("OK", "DUPLICATE_SUBJECT", "OK", "UNREADABLE_FRAME"), *("OK", "DUPLICATE_SUBJECT", "OK")
    ]  # fmt: skip


def test_frames_are_read_once_and_only_where_somebody_may_be_cut_out(clip, monkeypatch):
    clip.write(4)
    tiny = Detection((0, 0, 40, 200), 0.9, "person")
    clip.found([LARGE], [tiny], [], [LARGE, LARGE])
    read, asked = image_files.read_verified, []
    monkeypatch.setattr(
        image_files, "read_verified", lambda path, *more: asked.append(path) or read(path, *more)
    )
    clip.crop(min_side=50)
    assert sorted(asked) == [clip.file(0), clip.file(3)]


def test_a_crop_that_cannot_be_written_ends_the_job_and_leaves_the_old_folder(clip, monkeypatch):
    clip.write(3)
    clip.found(*[[LARGE]] * 3)
    before = clip.crop(min_side=50)

    def full(path, *_):
        raise OSError(errno.ENOSPC, "no space left", str(path))

    monkeypatch.setattr(image_files, "write_checked", full)
    with pytest.raises(OSError, match="no space left"):
        clip.crop(min_side=50)
    for row in tables.kept(before):
        assert sha256_file(clip.dataset / row["path"]) == row["sha256"]
