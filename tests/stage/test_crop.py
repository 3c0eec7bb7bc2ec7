"""Stage 2 with a detector whose detections are known."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ferrari.common.atomic_files import sha256_file
from ferrari.images import image_files
from ferrari.images.boxes import Detection
from ferrari.ledger import balance, item_ids, tables
from ferrari.networks import detectors
from ferrari.processes.devices import DeviceMemoryError
from ferrari.processes.model_verdicts import IsolationError
from ferrari.provenance.reuse import NOTHING, Earlier
from tests.deadly import ENDS, Notes, room
from tests.settings import section

crop_video = importlib.import_module("02_yolo_crop").crop_video
VIDEO = "clip-0123456789"
LARGE = Detection((20.4, 10.2, 220.6, 230.9), 0.8, "person")
SMALL = Detection((240.0, 50.0, 310.0, 200.0), 0.9, "person")
BESIDE = (slice(20, 60), slice(260, 310))  # beside LARGE, where leaves or a clock may move


def picture(ordinal: int) -> np.ndarray:
    """The pixels of a clip's frame."""
    return np.random.default_rng(ordinal).integers(0, 255, (240, 320, 3), dtype=np.uint8)


@dataclass
class Clip:
    """Frames of one clip in a dataset, and the stage run on them."""

    dataset: Path

    def write(self, count: int, draw=picture) -> None:
        rows = []
        for ordinal in range(count):
            item = item_ids.frame_item(VIDEO, ordinal)
            frame = draw(ordinal)
            path = f"01_extracted_frames/{VIDEO}/{item}.webp"
            data = image_files.encode_webp(frame, 101)
            digest = image_files.write_checked(self.dataset / path, data, frame.shape)
            rows.append(
                tables.row(
                    "extract",
                    item=item,
                    parent=VIDEO,
                    outcome="kept",
                    path=path,
                    sha256=digest,
                    width=320,
                    height=240,
                )
            )
        rows.append(
            tables.row(
                "extract",
                item=f"{VIDEO}-x",
                parent=VIDEO,
                outcome="dropped",
                reason="DUPLICATE_FRAME",
            )
        )
        tables.write_stage(self.dataset / f"01_extracted_frames/{VIDEO}.csv", "extract", rows)

    def run(self, earlier=NOTHING, **changed) -> list[dict[str, str]]:
        out = self.dataset / f"02_yolo_crops/{VIDEO}.csv"
        self.digests = crop_video(
            frames_csv=str(self.dataset / f"01_extracted_frames/{VIDEO}.csv"),
            video=VIDEO,
            dataset=str(self.dataset),
            out_csv=str(out),
            weights=["unused"],
            settings=section("detect", **changed),
            mask_settings=section("mask"),
            cache="unused",
            threads=1,
            earlier=earlier,
        )
        return tables.read_stage(out, "crop")

    def earlier(self, rows, but: tuple[str, ...] = ()) -> Earlier:
        """What a job may take over of a run's rows, less those of the frames `but`."""
        by_parent: dict[str, list] = {}
        for row in rows:
            by_parent.setdefault(row["parent"], []).append(row)
        left = {parent: found for parent, found in by_parent.items() if parent not in but}
        return Earlier(self.dataset, self.dataset / f"02_yolo_crops/{VIDEO}", self.digests, left)


@pytest.fixture
def clip(tmp_path):
    return Clip(tmp_path)


@pytest.fixture
def detect(monkeypatch):
    """Sets what the detector sees: a list of detections a frame, in order."""

    def see(answer):
        found = iter(answer) if isinstance(answer, list) else None

        def run(frames):
            return [next(found) for _ in frames] if found else answer(frames)

        stand_in = detectors.Detector("stand-in", "cpu", "0" * 64, run)
        monkeypatch.setattr(detectors, "load", lambda *_: stand_in)

    return see


@pytest.mark.parametrize(
    ("policy", "kept"), [("largest", [1]), ("most_central", [1]), ("all", [0, 1])]
)
def test_every_detection_has_a_row_and_the_policy_chooses(clip, detect, policy, kept):
    clip.write(1)
    detect([[LARGE, SMALL]])
    rows = clip.run(policy=policy, min_side=50)
    assert [row["item"][-2:] for row in rows] == ["p0", "p1"]  # most confident first
    assert [float(row["confidence"]) for row in rows] == [0.9, 0.8]
    assert [n for n, row in enumerate(rows) if row["outcome"] == "kept"] == kept
    assert all(row["reason"] == "NOT_TARGET" for row in rows if row["outcome"] == "dropped")


def test_crops_are_the_frames_own_pixels_around_the_padded_box(clip, detect):
    clip.write(1)
    detect([[LARGE]])
    (row,) = clip.run(pad=0.1)
    x1, y1, x2, y2 = (int(row[f"crop_{key}"]) for key in ("x1", "y1", "x2", "y2"))
    assert (x1, y1, x2, y2) == (0, 0, 243, 240)
    frame = image_files.read(clip.dataset / f"01_extracted_frames/{VIDEO}/{row['parent']}.webp")
    crop = image_files.read_verified(clip.dataset / row["path"], row["sha256"])
    np.testing.assert_array_equal(crop, frame[y1:y2, x1:x2])
    assert (row["frame_width"], row["frame_height"]) == ("320", "240")


def test_a_frame_without_subject_says_how_near_it_came(clip, detect):
    clip.write(3)
    near = Detection((0, 0, 100, 100), 0.31, "person")
    detect([[LARGE], [near], []])
    rows = clip.run(confidence=0.35)
    assert [row["reason"] for row in rows] == ["OK", "NO_SUBJECT", "NO_SUBJECT"]
    assert [row["value"] for row in rows[1:]] == ["0.31", "0.0"]
    assert {row["threshold"] for row in rows[1:]} == {"0.35"}
    assert rows[1]["item"] == rows[1]["parent"]


def test_boxes_too_small_to_use_are_rows(clip, detect):
    clip.write(1)
    detect([[Detection((0, 0, 40, 200), 0.9, "person")]])
    (row,) = clip.run(min_side=96)
    assert (row["reason"], float(row["value"]), row["threshold"]) == ("TOO_SMALL", 40, "96")


def test_every_kept_frame_is_accounted_for_and_nothing_else(clip, detect):
    clip.write(5)
    detect([[LARGE], [], [SMALL, LARGE], [], [LARGE]])
    rows = clip.run()
    before = tables.read_stage(clip.dataset / f"01_extracted_frames/{VIDEO}.csv", "extract")
    assert balance.balance("crop", rows, before).balanced


def test_a_frame_that_is_not_what_stage_1_wrote_is_quarantined(clip, detect):
    clip.write(2)
    broken = clip.dataset / f"01_extracted_frames/{VIDEO}/{item_ids.frame_item(VIDEO, 0)}.webp"
    broken.write_bytes(broken.read_bytes()[:-50])
    detect(lambda frames: [[LARGE] for _ in frames])
    rows = clip.run()
    assert [row["reason"] for row in rows] == ["UNREADABLE_FRAME", "OK"]
    assert (clip.dataset / rows[0]["path"]).read_bytes() == broken.read_bytes()
    assert rows[0]["sha256"] == sha256_file(broken), "of the copy: no file without its digest"


def test_a_frame_that_is_gone_is_named_below_the_dataset(clip, detect):
    clip.write(2)
    gone = f"01_extracted_frames/{VIDEO}/{item_ids.frame_item(VIDEO, 0)}.webp"
    (clip.dataset / gone).unlink()
    detect(lambda frames: [[LARGE] for _ in frames])
    row = clip.run()[0]
    assert row["reason"] == "UNREADABLE_FRAME"
    assert row["detail"].startswith(f"{gone} cannot be read") and row["path"] == ""


def test_a_batch_that_does_not_fit_is_halved_and_says_so(clip, detect):
    clip.write(4)
    sizes = Notes(clip.dataset)

    def run(frames):
        sizes.add(len(frames))
        if len(frames) > 1:
            raise DeviceMemoryError("CUDA out of memory")
        return [[LARGE]]

    detect(run)
    rows = clip.run(batch=4)
    assert sizes.read() == list("4211211") and len(tables.kept(rows)) == 4
    assert {row["detail"] for row in rows} == {"GPU memory ran out with 2 at once: batches halved"}


def test_no_network_is_loaded_where_there_is_nothing_to_search(clip, monkeypatch):
    clip.write(0)
    monkeypatch.setattr(
        "ferrari.processes.isolated_model.Isolated.__init__", lambda *_: pytest.fail("a process")
    )
    assert clip.run() == []


def test_boxes_from_the_segmenters_view(clip, monkeypatch):
    """detect.backend: mask."""
    from ferrari.networks import segmenters

    clip.write(2)

    def alpha(frames, boxes):
        assert boxes is None
        views = [np.zeros(frame.shape[:2], np.float32) for frame in frames]
        views[0][30:200, 60:200] = 0.9
        return views

    stand_in = segmenters.Segmenter("isnet", "cpu", "1" * 64, alpha)
    monkeypatch.setattr(segmenters, "load", lambda *_, **__: stand_in)
    rows = clip.run(backend="mask")
    assert [row["reason"] for row in rows] == ["OK", "NO_SUBJECT"]
    assert [float(rows[0][key]) for key in ("x1", "y1", "x2", "y2")] == [60, 30, 200, 200]
    assert rows[0]["detector"] == "mask:isnet" and rows[0]["weights_sha256"] == "1" * 64


def deadly(guilty: tuple[int, ...], end):
    """A detector that sees LARGE everywhere, and that the guilty frames end."""
    marks = [picture(ordinal)[0, 0].tolist() for ordinal in guilty]

    def run(frames):
        if any(frame[0, 0].tolist() in marks for frame in frames):
            end()
        return [[LARGE] for _ in frames]

    return run


@pytest.mark.parametrize("how", ["segfault", "hang", "memory", "exit"])
def test_a_frame_that_ends_the_detector_is_quarantined_alone(clip, detect, how):
    clip.write(6)
    detect(deadly((), None))
    sound = clip.run(batch=4)
    end, reason, detail = ENDS[how]
    detect(deadly((1,), end))
    limits = {"hang": {"timeout_s": 0.7}, "memory": {"memory_mb": room(200)}}.get(how, {})
    rows = clip.run(batch=4, **limits)
    row = rows.pop(1)
    assert rows == [line for line in sound if line["parent"] != row["parent"]]
    assert (row["outcome"], row["reason"]) == ("quarantined", reason) and detail in row["detail"]
    assert row["item"] == row["parent"] == item_ids.frame_item(VIDEO, 1)
    assert row["path"] == f"bad_frames/{VIDEO}/{reason}/{row['item']}.webp"
    assert (row["detector"], row["device"], row["frame_width"]) == ("stand-in", "cpu", "320")
    copy = image_files.read_verified(clip.dataset / row["path"], row["sha256"])
    np.testing.assert_array_equal(copy, picture(1))


def test_a_later_run_removes_its_own_copies_and_no_other_stages(clip, detect):
    clip.write(2)
    detect(deadly((1,), ENDS["exit"][0]))
    refused = clip.run()[1]
    of_stage_3 = (clip.dataset / refused["path"]).with_suffix(".png")
    of_stage_3.write_bytes(b"a crop")
    detect(deadly((), None))
    assert {row["outcome"] for row in clip.run()} == {"kept"}
    assert not (clip.dataset / refused["path"]).exists() and of_stage_3.exists()
    of_stage_3.unlink()
    clip.run()
    assert not of_stage_3.parent.exists()


def test_a_detector_that_ends_on_everything_fails_the_job_and_leaves_nothing(clip, detect):
    clip.write(2)

    def run(frames):
        ENDS["segfault"][0]()

    detect(run)
    with pytest.raises(IsolationError, match=r"detect: .*harmless picture.*SIGSEGV"):
        clip.run()
    assert sorted(p.name for p in (clip.dataset / "02_yolo_crops").iterdir()) == []


def scene(subject: int, beside: int) -> np.ndarray:
    """A still picture with a sensor's noise, whose subject and surroundings are in given states."""
    frame = (
        np.full((240, 320, 3), 90, np.int16) + np.arange(240, dtype=np.int16)[:, None, None] // 4
    )
    frame[100:140, 60 + 10 * subject : 90 + 10 * subject] = 200  # a hand, in LARGE
    frame[BESIDE] = 40 + 50 * (beside % 4)
    seed = 100 * subject + beside
    return (frame + np.random.default_rng(seed).integers(-3, 4, frame.shape)).astype(np.uint8)


def everywhere(*detections):
    return lambda frames: [list(detections) for _ in frames]


def test_where_only_leaves_move_one_crop_is_kept_and_the_others_say_what_they_repeat(clip, detect):
    clip.write(5, lambda ordinal: scene(subject=0, beside=ordinal))
    detect(everywhere(LARGE))
    first, *others = clip.run(min_side=50)
    assert (first["outcome"], first["compared_with"]) == ("kept", "")
    for row in others:
        assert (row["outcome"], row["reason"], row["path"]) == ("dropped", "DUPLICATE_SUBJECT", "")
        assert float(row["value"]) < float(row["threshold"]) == section("detect")["duplicate_block"]
        assert row["compared_with"] == first["item"] and float(row["noise_change"]) > 0
    assert len(list((clip.dataset / f"02_yolo_crops/{VIDEO}").iterdir())) == 1
    before = tables.read_stage(clip.dataset / f"01_extracted_frames/{VIDEO}.csv", "extract")
    assert balance.balance("crop", [first, *others], before).balanced


def test_a_subject_that_moves_a_hand_is_kept_each_time(clip, detect):
    clip.write(4, lambda ordinal: scene(subject=ordinal, beside=0))
    detect(everywhere(LARGE))
    assert [row["reason"] for row in clip.run(min_side=50)] == ["OK"] * 4


def test_a_box_at_another_place_is_no_repeat(clip, detect):
    clip.write(3, lambda ordinal: scene(subject=0, beside=0))
    moved = Detection((60.4, 10.2, 260.6, 230.9), 0.8, "person")
    nearly = Detection((22.4, 11.2, 221.6, 230.9), 0.8, "person")
    detect([[LARGE], [moved], [nearly]])
    reasons = [row["reason"] for row in clip.run(min_side=50)]
    assert reasons == ["OK", "OK", "OK"], "the last crop kept is the one at the other place"
    detect([[LARGE], [nearly], [moved]])
    assert [row["reason"] for row in clip.run(min_side=50)] == ["OK", "DUPLICATE_SUBJECT", "OK"]


def test_each_of_several_subjects_has_its_own_last_crop(clip, detect):
    clip.write(4, lambda ordinal: scene(subject=ordinal, beside=0))
    still = Detection((240.0, 150.0, 310.0, 235.0), 0.9, "person")
    detect(everywhere(LARGE, still))
    rows = clip.run(min_side=50, policy="all")
    reasons = {row["item"][-16:]: row["reason"] for row in rows}
    assert [reason for item, reason in reasons.items() if item.endswith("p1")] == ["OK"] * 4
    assert [reason for item, reason in reasons.items() if item.endswith("p0")] == [
        "OK", *["DUPLICATE_SUBJECT"] * 3
    ]  # fmt: skip
    assert {row["compared_with"] for row in rows} == {"", rows[0]["item"]}


def test_a_frame_without_a_subject_changes_nothing(clip, detect):
    clip.write(3, lambda ordinal: scene(subject=0, beside=ordinal))
    detect([[LARGE], [], [LARGE]])
    assert [row["reason"] for row in clip.run(min_side=50)] == [
        "OK", "NO_SUBJECT", "DUPLICATE_SUBJECT"
    ]  # fmt: skip


@pytest.mark.parametrize("setting", ["duplicate_delta", "duplicate_block"])
def test_repeats_of_a_subject_can_be_kept(clip, detect, setting):
    clip.write(3, lambda ordinal: scene(subject=0, beside=ordinal))
    detect(everywhere(LARGE))
    rows = clip.run(min_side=50, **{setting: 0})
    assert [row["reason"] for row in rows] == ["OK"] * 3


@pytest.mark.parametrize("gone", range(6))
def test_what_is_taken_over_and_what_is_made_come_to_the_same_rows(clip, detect, gone):
    """Whichever frame is worked on again: later ones are compared with what it leaves."""
    states = (0, 0, 1, 1, 2, 2)
    clip.write(6, lambda ordinal: scene(states[ordinal], beside=ordinal))
    detect(everywhere(LARGE))
    whole = clip.run(min_side=50)
    assert [row["outcome"] for row in whole] == ["kept", "dropped"] * 3
    again = clip.run(clip.earlier(whole, but=(item_ids.frame_item(VIDEO, gone),)), min_side=50)
    assert again == whole
    for row in tables.kept(again):
        assert sha256_file(clip.dataset / row["path"]) == row["sha256"]


def test_frames_behind_one_that_was_opened_again_are_compared_with_it(clip, detect):
    """A frame that had run out of memory shows a new pose: the one after it now repeats it."""
    states = (0, 1, 1, 1)
    clip.write(4, lambda ordinal: scene(states[ordinal], beside=ordinal))
    lost = item_ids.frame_item(VIDEO, 1)
    detect(everywhere(LARGE))
    whole = clip.run(min_side=50)
    dead = scene(1, 1)[0, 0].tolist()

    def out_of_memory(frames):
        if any(frame[0, 0].tolist() == dead for frame in frames):
            ENDS["exit"][0]()
        return [[LARGE] for _ in frames]

    detect(out_of_memory)
    without = clip.run(min_side=50, batch=1)
    assert [row["reason"] for row in without] == [
        "OK", "MODEL_CRASHED", "OK", "DUPLICATE_SUBJECT"
    ]  # fmt: skip
    detect(everywhere(LARGE))
    assert clip.run(clip.earlier(without, but=(lost,)), min_side=50) == whole


def test_a_frame_that_is_left_out_later_changes_the_digests_of_those_behind_it(clip, detect):
    clip.write(3, lambda ordinal: scene(subject=0, beside=ordinal))
    detect(everywhere(LARGE))
    clip.run(min_side=50)
    before = clip.digests
    table = clip.dataset / f"01_extracted_frames/{VIDEO}.csv"
    rows = tables.read_stage(table, "extract")
    tables.write_stage(table, "extract", rows[:1] + rows[2:])
    clip.run(min_side=50)
    first, _, third = before
    assert clip.digests[first] == before[first] and clip.digests[third] != before[third]
