"""Stage 1 against clips whose frames are known."""

import os
from dataclasses import replace
from fractions import Fraction
from functools import partial

import cv2
import numpy as np
import pytest

from ferrari.images import image_files
from ferrari.ledger import balance
from ferrari.video.raw_files import RawFileChangedError
from tests.generator import faults, oddities
from tests.generator.colour_patches import PATCHES, Tags, measured, write_patches
from tests.generator.encode import Encoding, encode, frames_of
from tests.generator.render import render_frame
from tests.generator.sampling import sample_times, truth_for_sampling
from tests.generator.spec import ClipSpec, FigureSpec
from tests.stage.clip_run import Run

SPEC = ClipSpec(
    seed=3, width=320, height=240, fps="25", n_frames=75, gop=25, frozen_runs=((30, 30),),
    figures=(FigureSpec(seed=5, framing="half", motion="wave"),),
)  # fmt: skip


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "dataset")


def kept(rows):
    return [row for row in rows if row["outcome"] == "kept"]


def picture(run, row):
    return image_files.read(run.dataset / row["path"]).astype(int)


def off(run, row, spec=SPEC):
    """Mean absolute difference between a kept frame and the truth of its index."""
    truth = render_frame(spec, int(row["frame"])).frame_rgb.astype(int)
    return np.abs(picture(run, row) - truth).mean()


def test_samples_and_planted_duplicates_are_those_of_the_truth(run, tmp_path):
    rows = run.extract(faults.good(tmp_path / "a.mp4", SPEC).path, fps=4)
    truth = truth_for_sampling(SPEC, 4)
    assert [int(row["frame"]) for row in rows] == [index for index, _ in truth]
    assert [row["reason"] == "DUPLICATE_FRAME" for row in rows] == [d for _, d in truth]
    assert sum(duplicate for _, duplicate in truth) >= 3
    assert all(off(run, row) < 6 for row in kept(rows))
    for row in rows:
        below = float(row["value"]) < float(row["threshold"])
        assert below is (row["reason"] == "DUPLICATE_FRAME")


STILL = ClipSpec(seed=8, width=960, height=540, fps="4", n_frames=12, pan_px_s=0, light=0)
WAVING = FigureSpec(seed=5, framing="half", motion="wave", sway=0)


def far_away():
    """A still picture with a subject a fifth as high as it, who waves all the while."""
    pictures = list(frames_of(replace(STILL, figures=(WAVING,))))
    for picture in pictures:
        clip = pictures[0].copy()
        clip[400:508, 600:792] = cv2.resize(picture, (192, 108), interpolation=cv2.INTER_AREA)
        yield clip


def in_dim_light():
    """A large subject who waves in a sixth of the light."""
    for picture in frames_of(replace(STILL, figures=(WAVING,))):
        yield (picture * 0.16 + 16).astype(np.uint8)


def frozen(pictures):
    """The first picture of a clip again and again, under a sensor's noise."""
    rng = np.random.default_rng(1)
    for _ in pictures:
        grain = rng.normal(0.5, 6, pictures[0].shape)
        yield np.clip(pictures[0] + grain, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("pictures", [far_away, in_dim_light])
def test_a_small_or_dim_subject_is_kept_and_its_frozen_twin_dropped(run, tmp_path, pictures):
    pictures = list(pictures())
    rows = run.extract(encode(tmp_path / "moves.mp4", pictures, Encoding(fps="4")), fps=4)
    assert len(kept(rows)) >= len(rows) - 1 == 11
    assert sorted(float(row["mean_change"]) for row in rows)[5] < 1.5, "the mean does not see it"
    short = Encoding(fps="4", gop=4)  # key frames look a little other than those between
    rows = run.extract(encode(tmp_path / "frozen.mp4", frozen(pictures), short), fps=4)
    assert len(kept(rows)) == 1 and len(rows) == 12
    for row in rows[1:]:
        assert float(row["value"]) < float(row["threshold"]) and float(row["noise_change"]) > 0


def test_rows_carry_what_was_done_and_files_are_what_rows_say(run, tmp_path):
    rows = run.extract(faults.good(tmp_path / "a.mp4", SPEC).path)
    for row in kept(rows):
        assert (row["width"], row["height"], row["decoder"]) == ("320", "240", "pyav-cpu")
        assert float(row["sharpness"]) > 0 and "no NVDEC" in row["decoder_reason"]
        path = run.dataset / row["path"]
        assert image_files.read_verified(path, row["sha256"]).shape == (240, 320, 3)
    assert {row["frames_decoded"] for row in rows} == {"75"}
    folder = run.dataset / "01_extracted_frames" / rows[0]["parent"]
    assert sorted(os.listdir(folder)) == sorted(os.path.basename(r["path"]) for r in kept(rows))


@pytest.mark.parametrize("write", [oddities.variable_rate, oddities.hour_gap])
def test_odd_clocks_are_sampled_by_their_pts(run, tmp_path, write):
    truth = write(tmp_path / "clip.mkv", SPEC)
    times = [Fraction(ms, 1000) for ms in truth.facts["pts_ms"]]
    rows = run.extract(truth.path, fps=3)
    assert [int(row["frame"]) for row in rows] == sample_times(times, 3)
    assert len(rows) < 3 * 5 + 2


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_put_right(run, tmp_path, degrees):
    spec = replace(SPEC, n_frames=3, frozen_runs=())
    rows = run.extract(oddities.rotated(tmp_path / "r.mp4", spec, degrees).path)
    assert off(run, rows[0], spec) < 6 and rows[0]["rotation"] == str(degrees)


@pytest.mark.parametrize(
    ("write", "bound"),
    [
        (oddities.anamorphic, 9),
        (oddities.hevc_10bit, 6),
        (faults.odd_size, 6),
        (oddities.hdr_pq, 20),
    ],
)
def test_unusual_pictures_look_as_they_should(run, tmp_path, write, bound):
    spec = replace(SPEC, n_frames=3, frozen_runs=())
    truth = write(tmp_path / "clip.mp4", spec)
    rows = run.extract(truth.path)
    assert off(run, rows[0], truth.spec) < bound
    assert rows[0]["transfer"] == ("pq" if write is oddities.hdr_pq else "bt709")


def test_hdr_can_be_refused_instead(run, tmp_path):
    spec = replace(SPEC, n_frames=3, frozen_runs=())
    rows = run.extract(oddities.hdr_pq(tmp_path / "h.mp4", spec).path, hdr="refuse")
    assert {row["reason"] for row in rows} == {"EXTRACTOR_REJECTED", "HDR"}


def test_interlaced_frames_are_rebuilt(run, tmp_path):
    spec = replace(SPEC, n_frames=50, frozen_runs=())
    path = oddities.interlaced(tmp_path / "i.mp4", spec).path

    def combing(rows):
        frame = picture(run, kept(rows)[1]).mean(axis=2)
        return np.abs(frame[1:-1] - (frame[:-2] + frame[2:]) / 2).mean()

    rebuilt, combed = combing(run.extract(path)), combing(run.extract(path, deinterlace=False))
    assert rebuilt < 0.75 * combed


def test_damage_is_quarantined_and_the_rest_is_kept(run, tmp_path):
    truth = oddities.damaged(tmp_path / "d.mp4", replace(SPEC, frozen_runs=()))
    first, last = truth.facts["spoilt_frames"]
    rows = run.extract(truth.path, fps=12.5)
    for row in rows:
        if row["reason"] == "DECODE_DAMAGE":
            assert (run.dataset / row["path"]).is_file() and row["path"].startswith("bad_frames/")
    good = {int(row["frame"]) for row in kept(rows)}
    assert all(off(run, row, truth.spec) < 6 for row in kept(rows) if int(row["frame"]) < first)
    assert any(row["reason"] == "DECODE_DAMAGE" for row in rows)
    assert any(index < first for index in good) and max(float(r["time_s"]) for r in kept(rows)) > (
        last / 25
    )
    spoilt = [r for r in kept(rows) if first <= round(float(r["time_s"]) * 25) < last]
    assert spoilt == []
    assert rows[0]["decode_errors"] != "" and run.extract(truth.path, fps=12.5, threads=1) == rows


def test_a_clip_without_a_clean_frame_is_rejected_and_copied(run, tmp_path):
    truth = faults.good(tmp_path / "x.mp4", replace(SPEC, gop=250, b_frames=0))
    data = bytearray(truth.path.read_bytes())
    import av

    with av.open(str(truth.path)) as container:
        first = next(p for p in container.demux(video=0) if p.size)
        start, end = first.pos + 900, first.pos + first.size
    data[start:end] = bytes(end - start)
    truth.path.write_bytes(data)
    rows = run.extract(truth.path)
    assert rows[0]["reason"] == "EXTRACTOR_REJECTED" and kept(rows) == []
    assert (run.dataset / rows[0]["path"]).parent.name == "EXTRACTOR_REJECTED"


def test_refused_clips_get_an_empty_table_and_folder(run, tmp_path):
    truth = faults.garbage(tmp_path / "g.mp4", 1)
    assert run.extract(truth.path) == []
    (folder,) = [p for p in (run.dataset / "01_extracted_frames").iterdir() if p.is_dir()]
    assert list(folder.iterdir()) == []


def test_the_limit_on_samples_leaves_a_row(run, tmp_path):
    rows = run.extract(faults.good(tmp_path / "a.mp4", SPEC).path, fps=5, max_frames=4)
    assert [row["reason"] for row in rows].count("MAX_FRAMES") == 1 and len(rows) == 5


def test_a_gpu_decoder_that_fails_leaves_the_clip_to_the_cpu_with_the_reason(
    run, tmp_path, monkeypatch
):
    from ferrari.video.decoding import base, pyav_decoder

    def crash(path, plan, stats):
        os.abort()
        yield

    def refuse(path, plan, stats):
        raise base.DecoderUnavailableError("NVDEC does not decode this")
        yield

    broken = [base.Decoder("crashing", "1", crash), base.Decoder("refusing", "1", refuse)]
    chain = [*broken, pyav_decoder.cpu()]
    monkeypatch.setattr(
        importlib_extract(), "candidates", lambda *of_clip: (chain, "decord: built without CUDA")
    )
    rows = run.extract(faults.good(tmp_path / "a.mp4", SPEC).path)
    assert {row["decoder"] for row in rows} == {"pyav-cpu"}
    reason = rows[0]["decoder_reason"]
    assert "built without CUDA" in reason and "crashing: the decoding process died" in reason
    assert "refusing: NVDEC does not decode this" in reason


def importlib_extract():
    import importlib

    return importlib.import_module("01_extract_frames")


@pytest.fixture
def decord():
    return pytest.importorskip("decord")


def test_decord_by_name_gives_the_frames_of_pyav(run, decord, tmp_path):
    path = faults.good(tmp_path / "a.mp4", SPEC).path
    ours = run.extract(path)
    digests = [image_files.read(run.dataset / row["path"]) for row in kept(ours)]
    theirs = run.extract(path, decoder="decord")
    assert {row["decoder"] for row in theirs} == {"decord-cpu"}, theirs[0]["decoder_reason"]
    for column in ("frame", "time_s", "outcome", "matrix", "width", "cropped", "frames_decoded"):
        assert [row[column] for row in theirs] == [row[column] for row in ours], column
    assert {row["proof_difference"] for row in theirs} == {"0.0"}
    assert all(int(row["proof_frames"]) > SPEC.gop for row in theirs)
    for row, picture in zip(kept(theirs), digests, strict=True):
        assert np.abs(image_files.read(run.dataset / row["path"]) - picture.astype(int)).mean() < 2


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (partial(oddities.rotated, degrees=180), "turns the picture in its own way"),
        (oddities.interlaced, "does not deinterlace"),
        (partial(oddities.cropped_by_container, top=16, left=32), "the container's cropping"),
        (oddities.damaged, "Error sending packet"),
    ],
)
def test_a_clip_that_decord_gets_wrong_goes_to_the_cpu(run, decord, tmp_path, make, why):
    path = make(tmp_path / "a.mp4", SPEC).path
    ours = run.extract(path)
    theirs = run.extract(path, decoder="decord")
    assert why in theirs[0]["decoder_reason"]
    for row in (*ours, *theirs):
        del row["decoder_reason"]
    assert theirs == ours


@pytest.mark.parametrize(
    ("tags", "device", "why"),
    [
        (Tags(2, 1, 2, 2), None, ""),
        (Tags(9, 1, 1, 9), None, "primaries|bt2020"),
        (Tags(1, 1, 16, 9), None, "pq"),
        (Tags(9, 1, 1, 9), 0, "bt2020"),
        (Tags(6, 2, 1, 1), 0, "full"),
    ],
)
def test_decord_is_given_no_clip_whose_colours_it_gets_wrong(decord, tmp_path, tags, device, why):
    from ferrari.video.decoding import base, decord_decoder

    path = write_patches(tmp_path / "a.mkv", PATCHES / 255, tags, matrix=6)
    frames = decord_decoder._frames(str(path), base.DecodePlan(), base.DecodeStats(), device)
    if why:
        with pytest.raises(base.DecoderUnavailableError, match=why):
            next(frames)
    else:
        assert np.abs(measured(next(frames).picture.rgb()) - PATCHES).max() <= 3


def test_nothing_is_left_of_an_earlier_run(run, tmp_path):
    path = faults.good(tmp_path / "a.mp4", SPEC).path
    run.extract(path, fps=5)
    rows = run.extract(path, fps=1)
    folder = run.dataset / "01_extracted_frames" / rows[0]["parent"]
    assert len(list(folder.iterdir())) == len(kept(rows))


def test_a_full_disk_is_an_error_not_a_row(run, tmp_path, monkeypatch):
    def full(path, data, shape):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(image_files, "write_checked", full)
    with pytest.raises(OSError, match="No space left"):
        run.extract(faults.good(tmp_path / "a.mp4", SPEC).path)
    assert not list((run.dataset / "01_extracted_frames").glob("*.csv"))


@pytest.mark.parametrize("how", ["replaced", "gone", "a FIFO", "a loop", "same size and time"])
def test_another_file_than_the_probed_one_gives_no_frame_but_an_error(run, tmp_path, how):
    path = faults.good(tmp_path / "a.mp4", SPEC).path
    run.probe(path)
    before = path.stat()
    path.unlink()
    if how == "replaced":
        faults.good(path, replace(SPEC, seed=99))
    elif how == "a FIFO":
        os.mkfifo(path)
    elif how == "a loop":
        path.symlink_to(path)
    elif how == "same size and time":
        path.write_bytes(bytes(before.st_size))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(RawFileChangedError, match=r"[Ss]tart the run again"):
        run.extract_probed(path)
    assert not list((run.dataset / "01_extracted_frames").iterdir())


@pytest.mark.parametrize("how", ["written to", "taken away"])
def test_a_file_that_changes_while_its_frames_are_taken_leaves_nothing(
    run, tmp_path, monkeypatch, how
):
    truth = oddities.damaged(tmp_path / "a.mp4", SPEC)  # frames under bad_frames/ as well
    stage = importlib_extract()
    extract = stage.extract

    def change(*arguments):
        result = extract(*arguments)
        os.utime(truth.path, ns=(1, 1)) if how == "written to" else truth.path.unlink()
        return result

    run.probe(truth.path)
    monkeypatch.setattr(stage, "extract", change)
    with pytest.raises(RawFileChangedError, match=r"none of them is kept. Start the run again"):
        run.extract_probed(truth.path)
    for folder in ("01_extracted_frames", "bad_frames"):
        assert not [path for path in (run.dataset / folder).rglob("*") if path.is_file()]


def test_tables_name_no_absolute_path(run, tmp_path):
    rows = run.extract(faults.good(tmp_path / "a.mp4", SPEC).path)
    assert not [cell for row in rows for cell in row.values() if str(tmp_path) in cell]
    assert balance.balance("extract", rows).balanced


@pytest.mark.parametrize("room_mb", [0, 64, 128, 192, 256])
def test_too_little_memory_is_a_row_and_never_a_wait(run, tmp_path, room_mb):
    """Converters and threads that get no memory once said EAGAIN, or waited for ever."""
    path = faults.good(tmp_path / "a.mp4", replace(SPEC, width=1280, height=720, n_frames=4)).path
    run.probe(path)
    rows = run.extract_probed(path, fps=25, memory_mb=room_mb, timeout_s=20)
    assert rows[0]["value"] == "OUT_OF_MEMORY" or {row["outcome"] for row in rows} == {"kept"}
    folder = run.dataset / "01_extracted_frames" / rows[0]["parent"]
    assert len(list(folder.iterdir())) == len(kept(rows))


def test_a_pass_that_dies_leaves_no_file_without_a_row(run, tmp_path, monkeypatch):
    """Neither images already written nor quarantined ones: their rows died with the child."""
    from ferrari.video import extraction

    truth = oddities.damaged(tmp_path / "a.mp4", replace(SPEC, frozen_runs=()))
    monkeypatch.setattr(extraction._Pass, "_lost", lambda self: os.abort())
    rows = run.extract(truth.path, fps=12.5)
    assert [(row["reason"], row["value"]) for row in rows] == [
        ("EXTRACTOR_REJECTED", "DECODER_CRASHED")
    ]
    for folder in ("01_extracted_frames", "bad_frames"):
        found = [path for path in (run.dataset / folder).rglob("*") if path.is_file()]
        assert {path.suffix for path in found if path.stat().st_size} <= {".csv"}


def test_a_clip_that_changes_size_is_deinterlaced_to_its_end(run, tmp_path):
    spec = replace(SPEC, n_frames=24, frozen_runs=())
    one = oddities.interlaced(tmp_path / "one.ts", spec).path
    two = oddities.interlaced(tmp_path / "two.ts", replace(spec, width=640)).path
    path = tmp_path / "both.ts"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    rows = run.extract(path, fps=25)
    assert {row["width"] for row in kept(rows)} == {"320", "640"}


def test_what_the_parent_left_behind_is_not_cleared_away_in_the_child(run, tmp_path, monkeypatch):
    """A codec with threads that waits for Python's collector would wait for them for ever."""
    import gc

    from ferrari.video import extraction

    parent = os.getpid()

    class Left:
        def __init__(self):
            self.self = self

        def __del__(self):
            if os.getpid() != parent:
                os.abort()

    run_pass = extraction._Pass.run

    def collecting(self, *arguments):
        gc.collect()
        return run_pass(self, *arguments)

    path = faults.good(tmp_path / "a.mp4", SPEC).path
    run.probe(path)
    monkeypatch.setattr(extraction._Pass, "run", collecting)
    gc.disable()
    try:
        Left()
        rows = run.extract_probed(path)
    finally:
        gc.enable()
    assert kept(rows)


def test_pictures_do_not_pile_up(run, tmp_path, monkeypatch):
    """A frame whose `side_data` was read lived until Python's collector ran: megabytes each."""
    import gc

    from ferrari.video.containers import orientation

    path = faults.good(tmp_path / "a.mp4", SPEC).path
    gc.collect()
    gc.disable()
    try:
        import av

        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                orientation(frame)
                break
        del frame
        left = [o for o in gc.get_objects() if isinstance(o, av.VideoFrame)]
    finally:
        gc.enable()
    assert left == []
