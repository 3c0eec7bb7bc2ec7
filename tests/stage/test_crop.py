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
from ferrari.processes.isolated_model import IsolationError
from tests.deadly import ENDS, Notes, room
from tests.settings import section

crop_video = importlib.import_module("02_yolo_crop").crop_video
VIDEO = "clip-0123456789"
LARGE = Detection((20.4, 10.2, 220.6, 230.9), 0.8, "person")
SMALL = Detection((240.0, 50.0, 310.0, 200.0), 0.9, "person")


def picture(ordinal: int) -> np.ndarray:
    """The pixels of a clip's frame."""
    return np.random.default_rng(ordinal).integers(0, 255, (240, 320, 3), dtype=np.uint8)


@dataclass
class Clip:
    """Frames of one clip in a dataset, and the stage run on them."""

    dataset: Path

    def write(self, count: int) -> None:
        rows = []
        for ordinal in range(count):
            item = item_ids.frame_item(VIDEO, ordinal)
            frame = picture(ordinal)
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

    def run(self, **changed) -> list[dict[str, str]]:
        out = self.dataset / f"02_yolo_crops/{VIDEO}.csv"
        crop_video(
            frames_csv=str(self.dataset / f"01_extracted_frames/{VIDEO}.csv"),
            video=VIDEO,
            dataset=str(self.dataset),
            out_csv=str(out),
            weights=["unused"],
            settings=section("detect", **changed),
            mask_settings=section("mask"),
            cache="unused",
            threads=1,
        )
        return tables.read_stage(out, "crop")


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
    assert "4 frames at once" in rows[0]["detail"]


def test_no_network_is_loaded_where_there_is_nothing_to_search(clip, monkeypatch):
    clip.write(0)
    monkeypatch.setattr(
        "ferrari.processes.isolated_model.Isolated", lambda *_: pytest.fail("a process")
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
