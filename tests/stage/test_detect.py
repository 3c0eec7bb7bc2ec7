"""Stage 2, first half, with a detector whose detections are known."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ferrari.common.atomic_files import sha256_file
from ferrari.images import image_files
from ferrari.images.boxes import Detection
from ferrari.ledger import balance, item_ids, tables
from ferrari.ledger.open_rows import is_open
from ferrari.processes.devices import DeviceMemoryError
from ferrari.processes.model_verdicts import IsolationError
from ferrari.subject import clip_table, track_table
from tests.deadly import ENDS, Notes, room
from tests.stage.people_clip import BETWEEN, LARGE, SMALL, VIDEO, Clip, picture


@pytest.fixture
def clip(tmp_path):
    return Clip(tmp_path)


def test_every_detection_that_reaches_the_bound_is_kept(clip, detect):
    clip.write(1)
    below = Detection((0, 0, 100, 100), 0.3, "person")
    detect([[LARGE, below, SMALL]])
    rows = clip.detect(confidence=0.35, policy="largest", min_side=1000)
    frame = item_ids.frame_item(VIDEO, 0)
    assert [row["item"] for row in rows] == [f"{frame}-d0", f"{frame}-d1"]  # most confident first
    assert [float(row["confidence"]) for row in rows] == [0.9, 0.8]
    assert {row["outcome"] for row in rows} == {"kept"}, "who is the subject is not asked here"
    assert [float(rows[1][key]) for key in ("x1", "y1", "x2", "y2")] == list(LARGE.box_xyxy)
    assert (rows[0]["frame_width"], rows[0]["frame_height"]) == ("320", "240")
    assert (rows[0]["detector"], rows[0]["device"]) == ("stand-in", "cpu")


def test_whom_the_detector_hardly_sees_in_a_box_is_told_in_its_row_and_that_of_the_crop(
    clip, detect
):
    clip.write(1)
    x1, y1, x2, y2 = LARGE.box_xyxy
    behind = Detection(((x1 + x2) / 2, y1, x2 + 4, (y1 + y2) / 2), 0.2, "person")
    detect([[LARGE, SMALL, behind]])
    second, first = clip.detect(confidence=0.35)
    assert (first["hardly_seen"], second["hardly_seen"]) == (
        " ".join(f"{corner:.1f}" for corner in behind.box_xyxy),
        "",
    )
    crops = clip.crop(confidence=0.35)
    assert [row["hardly_seen"] for row in crops] == ["", first["hardly_seen"]]


def test_boxes_end_at_the_frames_edge(clip, detect):
    clip.write(1)
    detect([[Detection((-7.5, 10, 400, 250), 0.9, "person")]])
    (row,) = clip.detect()
    assert [float(row[key]) for key in ("x1", "y1", "x2", "y2")] == [0, 10, 320, 240]


def test_a_frame_without_subject_says_how_near_it_came(clip, detect):
    clip.write(3)
    near = Detection((0, 0, 100, 100), 0.31, "person")
    detect([[LARGE], [near], []])
    rows = clip.detect(confidence=0.35)
    assert [row["reason"] for row in rows] == ["", "NO_SUBJECT", "NO_SUBJECT"]
    assert [row["value"] for row in rows[1:]] == ["0.31", "0.0"]
    assert {row["threshold"] for row in rows[1:]} == {"0.35"}
    assert rows[1]["item"] == rows[1]["parent"]


def test_every_kept_frame_is_accounted_for_and_nothing_else(clip, detect):
    clip.write(5)
    detect([[LARGE], [], [SMALL, LARGE], [], [LARGE]])
    rows = clip.detect()
    assert balance.balance("detect", rows, clip.rows("extract")).balanced


def test_a_frame_that_is_not_what_stage_1_wrote_is_quarantined(clip, detect):
    clip.write(2)
    broken = clip.file(0)
    broken.write_bytes(broken.read_bytes()[:-50])
    detect(lambda frames: [[LARGE] for _ in frames])
    rows = clip.detect()
    assert [row["reason"] for row in rows] == ["UNREADABLE_FRAME", ""]
    assert (clip.dataset / rows[0]["path"]).read_bytes() == broken.read_bytes()
    assert rows[0]["sha256"] == sha256_file(broken), "of the copy: no file without its digest"


def test_a_frame_that_is_gone_is_named_below_the_dataset(clip, detect):
    clip.write(2)
    gone = f"01_extracted_frames/{VIDEO}/{item_ids.frame_item(VIDEO, 0)}.webp"
    (clip.dataset / gone).unlink()
    detect(lambda frames: [[LARGE] for _ in frames])
    row = clip.detect()[0]
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
    rows = clip.detect(batch=4)
    assert sizes.read() == list("4211211") and len(tables.kept(rows)) == 4
    assert {row["detail"] for row in rows} == {"GPU memory ran out with 2 at once: batches halved"}


def test_no_network_is_loaded_where_there_is_nothing_to_search(clip, monkeypatch):
    clip.write(0)
    monkeypatch.setattr(
        "ferrari.processes.isolated_model.Isolated.__init__", lambda *_: pytest.fail("a process")
    )
    assert clip.detect() == []


def test_boxes_from_the_segmenters_view(clip, monkeypatch):
    """detect.backend: mask, which leaves the linking film alone."""
    from ferrari.networks import segmenters

    clip.write(2, between=picture)

    def alpha(frames, boxes):
        assert boxes is None
        views = [np.zeros(frame.shape[:2], np.float32) for frame in frames]
        views[0][30:200, 60:200] = 0.9
        return views

    stand_in = segmenters.Segmenter("isnet", "cpu", "1" * 64, alpha)
    monkeypatch.setattr(segmenters, "load", lambda *_, **__: stand_in)
    rows = clip.detect(backend="mask")
    assert [row["reason"] for row in rows] == ["", "NO_SUBJECT"]
    assert [float(rows[0][key]) for key in ("x1", "y1", "x2", "y2")] == [60, 30, 200, 200]
    assert rows[0]["detector"] == "mask:isnet" and rows[0]["weights_sha256"] == "1" * 64
    assert clip_table.read(clip.tracks, track_table.COLUMNS)[0]["moments"] == "2"


def test_a_faint_part_of_a_mask_in_somebodys_box_is_no_hint_for_another_person(clip, monkeypatch):
    """It is their own arm behind a gap: as somebody else's, it would be taken out."""
    from ferrari.networks import segmenters

    clip.write(1)

    def alpha(frames, boxes):
        view = np.zeros(frames[0].shape[:2], np.float32)
        view[20:220, 60:180], view[20:50, 60:260], view[80:200, 210:255] = 1.0, 1.0, 0.8
        return [view]

    stand_in = segmenters.Segmenter("isnet", "cpu", "1" * 64, alpha)
    monkeypatch.setattr(segmenters, "load", lambda *_, **__: stand_in)
    assert len(clip.detect(backend="mask", confidence=0.35)) == 2, "with this bound it is somebody"
    (row,) = clip.detect(backend="mask", confidence=0.9)
    assert row["hardly_seen"] == ""


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
    sound = clip.detect(batch=4)
    end, reason, detail = ENDS[how]
    detect(deadly((1,), end))
    limits = {"hang": {"timeout_s": 0.7}, "memory": {"memory_mb": room(200)}}.get(how, {})
    rows = clip.detect(batch=4, **limits)
    row = rows.pop(1)
    left = [line for line in sound if line["parent"] != row["parent"]]
    for line in rows + left:  # people are followed otherwise where a frame is not known
        for name in ("track", "track_area", "track_off_centre"):
            line.pop(name)
    assert rows == left
    assert (row["outcome"], row["reason"]) == ("quarantined", reason) and detail in row["detail"]
    assert row["item"] == row["parent"] == item_ids.frame_item(VIDEO, 1)
    assert row["path"] == f"bad_frames/{VIDEO}/{reason}/{row['item']}.webp"
    assert (row["detector"], row["device"], row["frame_width"]) == ("stand-in", "cpu", "320")
    copy = image_files.read_verified(clip.dataset / row["path"], row["sha256"])
    np.testing.assert_array_equal(copy, picture(1))


def test_a_later_run_removes_its_own_copies_and_no_other_stages(clip, detect):
    clip.write(2)
    detect(deadly((1,), ENDS["exit"][0]))
    refused = clip.detect()[1]
    crop = item_ids.crop_item(refused["item"], 0)
    of_stage_3 = (clip.dataset / refused["path"]).with_name(f"{crop}.png")
    of_stage_3.write_bytes(b"a crop")
    detect(deadly((), None))
    assert {row["outcome"] for row in clip.detect()} == {"kept"}
    assert not (clip.dataset / refused["path"]).exists() and of_stage_3.exists()
    of_stage_3.unlink()
    clip.detect()
    assert not of_stage_3.parent.exists()


def test_a_detector_that_ends_on_everything_fails_the_job_and_leaves_nothing(clip, detect):
    clip.write(2)

    def run(frames):
        ENDS["segfault"][0]()

    detect(run)
    with pytest.raises(IsolationError, match=r"detect: .*harmless picture.*SIGSEGV"):
        clip.detect()
    assert not clip.table("detect").exists()


@pytest.mark.parametrize("gone", range(3))
def test_only_frames_that_changed_are_searched_again(clip, detect, gone):
    clip.write(3)
    seen = Notes(clip.dataset)

    def run(frames):
        seen.add(len(frames))
        return [[LARGE, SMALL] for _ in frames]

    detect(run)
    whole = clip.detect()
    before = len(seen.read())
    again = clip.detect(clip.earlier("detect", but=(item_ids.frame_item(VIDEO, gone),)))
    assert again == whole and seen.read()[before:] == ["1"]


def test_a_frame_that_is_left_out_later_changes_no_others_digest(clip, detect):
    clip.write(3)
    detect(lambda frames: [[LARGE] for _ in frames])
    clip.detect()
    before = clip.digests["detect"]
    rows = clip.rows("extract")
    tables.write_stage(clip.table("extract"), "extract", rows[:1] + rows[2:])
    clip.detect(clip.earlier("detect"))
    first, _, third = before
    assert clip.digests["detect"] == {first: before[first], third: before[third]}


STEP = 4  # px, from picture to picture


def walkers(number: int) -> np.ndarray:
    """A red person who walks to the right and a blue one who stands, each in a box of its own."""
    frame = (
        np.full((240, 320, 3), 90, np.uint8) + np.arange(240, dtype=np.uint8)[:, None, None] // 4
    )
    for (x1, y1, x2, y2), colour in ((walker(number), (200, 40, 40)), (STANDS, (40, 60, 200))):
        frame[y1:y2, x1:x2] = colour
    frame[0, :number] = 255  # tells the detector which picture it is
    return frame


def walker(number: int) -> tuple[int, int, int, int]:
    return 10 + STEP * number, 60, 60 + STEP * number, 220


STANDS = (250, 80, 310, 220)


def sees_walkers(frames):
    """A detector that knows where the two are."""
    found = []
    for frame in frames:
        number = int((frame[0, :, 0] > 200).sum())
        boxes = (tuple(map(float, walker(number))), tuple(map(float, STANDS)))
        found.append([Detection(boxes[0], 0.8, "person"), Detection(boxes[1], 0.9, "person")])
    return found


def test_people_are_followed_over_the_frames_and_the_film_between(clip, detect):
    clip.write(4, walkers, between=walkers)
    detect(sees_walkers)
    rows = clip.detect()
    assert [row["track"] for row in rows] == ["0", "1"] * 4, "the standing one is more confident"
    whole, stands, walks = clip_table.read(clip.tracks, track_table.COLUMNS)
    assert (whole["track"], whole["moments"], whole["frames"]) == ("", "12", "4")
    assert (walks["moments"], walks["frames"], walks["ended_by"]) == ("12", "4", "end")
    assert float(walks["to_s"]) == pytest.approx(11 / 6, abs=1e-5)
    share = 50 * 160 / (320 * 240)
    assert float(walks["area"]) == pytest.approx(share, rel=1e-3)
    assert float(stands["consistency"]) > 0.9 and whole["unsearched"] == "0"


def test_a_subject_whose_track_is_cut_stays_the_subject(clip, detect):
    """Somebody small is followed longer than the large one, whose looks change at every third."""
    near, small = (20, 80, 80, 200), (270, 90, 300, 160)

    def draw(number):
        frame = walkers(number)
        frame[60:220] = 90
        for (x1, y1, x2, y2), colour in (
            (near, ((200, 40, 40), (40, 200, 40))[number // 3 % 2]),
            (small, (40, 60, 200)),
        ):
            frame[y1:y2, x1:x2] = colour
        return frame

    def sees(frames):
        boxes = [tuple(map(float, box)) for box in (near, small)]
        return [[Detection(boxes[0], 0.8, "person"), Detection(boxes[1], 0.9, "person")]] * len(
            frames
        )

    clip.write(4, draw, between=draw)
    detect(sees)
    clip.detect()
    tracks = clip_table.read(clip.tracks, track_table.COLUMNS)[1:]
    assert max(int(row["moments"]) for row in tracks if row["track"] != "0") < 12
    kept = tables.kept(clip.crop(policy="largest", min_side=50, duplicate_block=0))
    assert [float(row["x1"]) for row in kept] == [near[0]] * 4


def test_without_a_film_the_frames_alone_are_linked(clip, detect):
    clip.write(3, walkers)
    detect(sees_walkers)
    clip.detect()
    whole, *tracks = clip_table.read(clip.tracks, track_table.COLUMNS)
    assert whole["moments"] == whole["frames"] == "3"
    assert sum(int(row["frames"]) for row in tracks) == 6


def test_what_is_taken_over_is_followed_as_if_it_were_searched(clip, detect):
    clip.write(3, walkers, between=walkers)
    detect(sees_walkers)
    whole, tracks = clip.detect(), clip.tracks.read_bytes()
    again = clip.detect(clip.earlier("detect", but=(item_ids.frame_item(VIDEO, 1),)))
    assert again == whole and clip.tracks.read_bytes() == tracks


def test_a_picture_of_the_film_that_ends_the_detector_has_a_row(clip, detect):
    clip.write(3, walkers, between=walkers)

    def run(frames):
        if any((frame[0, :, 0] > 200).sum() == 4 for frame in frames):
            ENDS["exit"][0]()
        return sees_walkers(frames)

    detect(run)
    rows = clip.detect()
    (lost,) = [row for row in rows if row["outcome"] != "kept"]
    before = item_ids.frame_item(VIDEO, 1)
    assert (lost["parent"], lost["item"]) == (before, f"{before}-d2"), "the kept frame before it"
    assert (lost["outcome"], lost["reason"]) == ("quarantined", "MODEL_CRASHED")
    assert lost["detail"].startswith("the linking film at 0.666667 s (frame 4): ")
    assert balance.balance("detect", rows, clip.rows("extract")).balanced
    whole = clip_table.read(clip.tracks, track_table.COLUMNS)[0]
    assert (whole["moments"], whole["unsearched"]) == ("8", "1")


@pytest.mark.parametrize("number", [1, 8], ids=["behind the first frame", "behind the last"])
def test_the_film_is_searched_again_once_it_may_take_longer(clip, detect, number):
    clip.write(3, lambda ordinal: walkers(3 * ordinal), between=walkers)
    detect(sees_walkers)
    sound = clip.detect()

    def run(frames):
        if any((frame[0, :, 0] > 200).sum() == number for frame in frames):
            time.sleep(60)
        return sees_walkers(frames)

    detect(run)
    rows = clip.detect(timeout_s=1)
    opened = [row["parent"] for row in rows if is_open(row, {"timeout_s": 1}, {"timeout_s": 2})]
    assert opened == [item_ids.frame_item(VIDEO, number // 3)]
    detect(sees_walkers)
    assert clip.detect(clip.earlier("detect", but=tuple(opened))) == sound
    assert clip.detect(clip.earlier("detect")) == sound, "nor is a row that is gone taken over"


def test_a_film_that_ends_the_detector_on_each_picture_is_warned_of_once(clip, detect, caplog):
    clip.write(4, walkers, between=walkers)

    def run(frames):
        if any((frame[0, :, 0] > 200).sum() % (BETWEEN + 1) for frame in frames):
            ENDS["exit"][0]()
        return sees_walkers(frames)

    detect(run)
    rows = clip.detect()
    lost = [row for row in rows if row["item"] != row["parent"] and row["outcome"] != "kept"]
    assert len(lost) == 4 * BETWEEN, "a row each"
    said = [record.getMessage() for record in caplog.records]
    once = [line for line in said if line.startswith("one of the pictures of the linking film is")]
    assert len(once) == 1
    assert "pictures of the linking film that are quarantined for MODEL_CRASHED: 8 in all" in said
    (whole,) = [line for line in said if "each has a row" in line]
    assert "ended a network: 8;" in whole and f"{item_ids.frame_item(VIDEO, 0)}: MODEL" in whole
    assert len(said) < 4 * BETWEEN


def test_where_no_frame_can_be_searched_the_pictures_of_the_film_are_counted_alone(clip, detect):
    clip.write(2, lambda ordinal: walkers(10 + ordinal), between=walkers)

    def run(frames):
        if any((frame[0, :, 0] > 200).sum() in (4, 10, 11) for frame in frames):
            ENDS["exit"][0]()
        return sees_walkers(frames)

    detect(run)
    rows = clip.detect()
    assert [row["item"] for row in rows] == [item_ids.frame_item(VIDEO, at) for at in range(2)]
    assert {row["outcome"] for row in rows} == {"quarantined"}
    assert clip_table.read(clip.tracks, track_table.COLUMNS)[0]["unsearched"] == "1"


def test_a_clock_that_runs_back_ends_all_tracks(clip, detect):
    clip.write(4, walkers)
    rows = clip.rows("extract")
    for row, time_s in zip(rows, ("5.0", "5.5", "0.0", "0.5"), strict=False):
        row["time_s"] = time_s
    tables.write_stage(clip.table("extract"), "extract", rows)
    detect(sees_walkers)
    clip.detect()
    tracks = clip_table.read(clip.tracks, track_table.COLUMNS)[1:]
    assert [row["ended_by"] for row in tracks] == ["cut"] * 2 + ["end"] * 2
