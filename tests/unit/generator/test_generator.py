"""The generator of synthetic clips: the truth that it states is what it draws and writes."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.generator import ClipSpec, FigureSpec, faults, oddities, render_frame, tight_box
from tests.generator.demo import demo_specs, no_subject_spec
from tests.generator.encode import Encoding, encode, write_clip
from tests.generator.sampling import least_move, luma_delta, sample_times, truth_for_sampling

SMALL = ClipSpec(seed=5, width=160, height=120, n_frames=12, figures=(FigureSpec(seed=8),))


def decode(path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("framing", ["full", "half", "close"])
@pytest.mark.parametrize("motion", ["walk", "wave", "turn", "dance", "stand"])
def test_mask_and_box_agree(framing, motion):
    figure = FigureSpec(seed=3, framing=framing, motion=motion)
    drawn = render_frame(ClipSpec(seed=1, width=320, height=240, figures=(figure,)), 7)
    assert drawn.frame_rgb.shape == (240, 320, 3) and drawn.frame_rgb.dtype == np.uint8
    assert drawn.alpha_u8.shape == (240, 320) and drawn.alpha_u8.dtype == np.uint8
    x0, y0, x1, y1 = drawn.box_xyxy
    outside = drawn.alpha_u8.copy()
    outside[y0:y1, x0:x1] = 0
    assert outside.max() < 128, "solid alpha outside the box"
    assert tight_box(drawn.alpha_u8[y0:y1, x0:x1]) == (0, 0, x1 - x0, y1 - y0)
    assert ((drawn.alpha_u8 > 0) & (drawn.alpha_u8 < 255)).any(), "the edge is not soft"


def test_mask_is_where_the_figure_changes_the_picture():
    spec = replace(SMALL, noise=0.0, figures=(FigureSpec(seed=8, framing="half"),))
    drawn, empty = render_frame(spec, 4), render_frame(replace(spec, figures=()), 4)
    moved = np.abs(drawn.frame_rgb.astype(int) - empty.frame_rgb).max(axis=2) > 12
    assert moved[drawn.alpha_u8 == 0].mean() < 0.001
    assert moved[drawn.alpha_u8 > 200].mean() > 0.9


def test_same_spec_same_pixels_and_other_seed_other_pixels():
    first, again = render_frame(SMALL, 5), render_frame(ClipSpec.from_json(SMALL.to_json()), 5)
    assert np.array_equal(first.frame_rgb, again.frame_rgb)
    assert np.array_equal(first.alpha_u8, again.alpha_u8)
    other = ClipSpec(seed=6, width=160, height=120, n_frames=12, figures=SMALL.figures)
    assert luma_delta(first.frame_rgb, render_frame(other, 5).frame_rgb) > 4


def test_spec_survives_json_text():
    spec = demo_specs(0)["dance_lights.mp4"]
    assert ClipSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_a_clip_without_figures_has_no_box():
    drawn = render_frame(ClipSpec(seed=2, width=160, height=120, figures=()), 0)
    assert drawn.box_xyxy is None and not drawn.alpha_u8.any() and drawn.boxes_xyxy == ()


def test_each_of_several_figures_has_its_mask():
    figures = (FigureSpec(seed=1, x=0.25), FigureSpec(seed=2, x=0.5), FigureSpec(seed=3, x=0.75))
    drawn = render_frame(ClipSpec(seed=2, width=320, height=180, figures=figures), 0)
    assert len(drawn.alphas_u8) == len(drawn.boxes_xyxy) == 3
    together = sum(a.astype(int) for a in drawn.alphas_u8)
    assert np.abs(np.minimum(together, 255) - drawn.alpha_u8).max() <= 2


def test_frame_out_of_range_is_refused():
    with pytest.raises(IndexError, match="12 frames"):
        render_frame(SMALL, 12)


def test_frozen_run_repeats_its_first_frame_and_a_cut_does_not():
    spec = ClipSpec(
        seed=5, width=160, height=120, n_frames=30, frozen_runs=((5, 10),), cuts=(20,),
        scenes=("room", "outdoor"),
    )  # fmt: skip
    first = render_frame(spec, 5)
    assert first.duplicate_of is None
    assert [render_frame(spec, k).duplicate_of for k in (6, 14, 15)] == [5, 5, None]
    assert np.array_equal(render_frame(spec, 14).frame_rgb, first.frame_rgb)
    before, after = (render_frame(spec, k).frame_rgb for k in (19, 20))
    assert luma_delta(before, after) > 10


@pytest.mark.parametrize(
    ("times", "fps", "taken"),
    [
        ([Fraction(k, 4) for k in range(8)], 2, [0, 2, 4, 6]),
        ([Fraction(1, 10) + Fraction(k, 5) for k in range(8)], 2, [0, 3, 5]),
        ([Fraction(0), Fraction(1, 4), Fraction(3600), Fraction(36001, 10)], 2, [0, 2]),
    ],
    ids=["even", "rates that do not divide", "an hour's gap is one sample"],
)
def test_sampling_rule(times, fps, taken):
    assert sample_times(times, fps) == taken


@pytest.mark.parametrize("fps", [2, 3, 4])
def test_demo_plants_repeats_that_sampling_meets(fps):
    planted = {n: s for n, s in demo_specs(0).items() if s.frozen_runs}
    assert planted
    for name, spec in planted.items():
        truth = truth_for_sampling(spec, fps)
        assert sum(duplicate for _, duplicate in truth) >= 2 * len(spec.frozen_runs) - 1, name


def test_demo_moves_between_kept_samples():
    for name in ("dance_lights.mp4", faults.ODD_NAME):
        assert least_move(demo_specs(0)[name], 4) >= 4, name
    assert least_move(no_subject_spec(0), 2) >= 4


def test_encoded_clip_matches_its_drawing(tmp_path):
    path = write_clip(SMALL, tmp_path / "clip.mp4")
    frames = decode(path)
    assert len(frames) == SMALL.n_frames
    for k in (0, 6, 11):
        drawn = render_frame(SMALL, k).frame_rgb
        assert np.abs(frames[k].astype(int) - drawn).mean() < 6
        assert abs(frames[k].mean() - drawn.mean()) < 1.5, "colours shift: matrix or range is wrong"
    again = write_clip(SMALL, tmp_path / "again.mp4")
    assert digest(path) == digest(again), "encoding is not repeatable"


def digest(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "write", [faults.truncated, lambda p, _: faults.garbage(p, 1), lambda p, _: faults.html(p)]
)
def test_corrupt_containers_do_not_open(tmp_path, write):
    truth = write(tmp_path / "x.mp4", SMALL)
    assert truth.verdict in ("CORRUPT_CONTAINER", "NOT_A_VIDEO")
    assert truth.path.stat().st_size > 0
    with pytest.raises(av.FFmpegError):
        av.open(str(truth.path))


def test_zero_duration_opens_and_holds_no_packet(tmp_path):
    truth = faults.zero_duration(tmp_path / "x.mp4", SMALL)
    assert truth.verdict == "ZERO_DURATION"
    with av.open(str(truth.path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert [p for p in container.demux(video=0) if p.size] == []


def test_audio_only_has_sound_and_no_picture(tmp_path):
    truth = faults.audio_only(tmp_path / "x.mp4", seconds=0.5)
    with av.open(str(truth.path)) as container:
        assert [s.type for s in container.streams] == ["audio"]
        assert sum(f.samples for f in container.decode(audio=0)) >= 24000


def test_low_resolution_and_copies(tmp_path):
    small = faults.low_resolution(tmp_path / "small.mp4", SMALL)
    assert small.verdict == "LOW_RESOLUTION" and decode(small.path)[0].shape == (120, 160, 3)
    copy = faults.exact_duplicate(tmp_path / faults.ODD_NAME, small)
    assert digest(copy.path) == digest(small.path) and copy.verdict == "DUPLICATE_VIDEO"
    assert copy.to_json()["file"] == faults.ODD_NAME
    with pytest.raises(ValueError, match="not low resolution"):
        faults.low_resolution(tmp_path / "big.mp4", ClipSpec(seed=1, width=640, height=480))


def test_one_frame_odd_size_and_many_frames(tmp_path):
    assert len(decode(faults.one_frame(tmp_path / "one.mp4", SMALL).path)) == 1
    odd = faults.odd_size(tmp_path / "odd.mp4", SMALL)
    assert decode(odd.path)[0].shape == (121, 161, 3) and odd.spec.width == 161
    many = faults.many_frames(tmp_path / "many.mp4", SMALL, copies=5)
    frames = decode(many.path)
    assert len(frames) == many.n_frames == 60
    assert np.array_equal(frames[3], frames[3 + SMALL.n_frames])


@pytest.mark.parametrize("write", [oddities.variable_rate, oddities.hour_gap])
def test_odd_clocks_are_as_stated(tmp_path, write):
    truth = write(tmp_path / "x.mkv", SMALL)
    with av.open(str(truth.path)) as container:
        seen = [round(float(f.pts * f.time_base) * 1000) for f in container.decode(video=0)]
    assert seen == truth.facts["pts_ms"]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_clip_stands_upright_once_turned(tmp_path, degrees):
    truth = oddities.rotated(tmp_path / "x.mp4", SMALL, degrees)
    with av.open(str(truth.path)) as container:
        frame = next(container.decode(video=0))
        # PyAV states the turn anticlockwise, in -180..180.
        assert -frame.rotation % 360 == degrees
        upright = np.rot90(frame.to_ndarray(format="rgb24"), -degrees // 90)
    assert np.abs(upright.astype(int) - render_frame(SMALL, 0).frame_rgb).mean() < 6


def test_stretched_deep_and_hdr_clips_carry_their_tags(tmp_path):
    wide = oddities.anamorphic(tmp_path / "wide.mp4", SMALL)
    deep = oddities.hevc_10bit(tmp_path / "deep.mp4", SMALL)
    bright = oddities.hdr_pq(tmp_path / "bright.mp4", SMALL)
    with av.open(str(wide.path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.sample_aspect_ratio) == (80, 2)
    for truth, transfer in ((deep, 1), (bright, 16)):
        with av.open(str(truth.path)) as container:
            context = container.streams.video[0].codec_context
            assert (context.name, context.pix_fmt) == ("hevc", "yuv420p10le")
            assert context.color_trc == transfer
    assert len(decode(deep.path)) == len(decode(bright.path)) == SMALL.n_frames


def test_interlaced_clip_is_marked_and_woven(tmp_path):
    truth = oddities.interlaced(tmp_path / "x.mp4", SMALL)
    with av.open(str(truth.path)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == truth.n_frames == 6 and all(f.interlaced_frame for f in frames)
    rows = frames[2].to_ndarray(format="rgb24").astype(int)
    top, bottom = (render_frame(SMALL, k).frame_rgb for k in (4, 5))
    assert np.abs(rows[::2] - top[::2]).mean() < np.abs(rows[::2] - bottom[::2]).mean()


def test_damage_spoils_the_stated_frames_alone(tmp_path):
    spec = ClipSpec(seed=5, width=160, height=120, n_frames=24, gop=8, figures=SMALL.figures)
    truth = oddities.damaged(tmp_path / "x.mp4", spec)
    first, last = truth.facts["spoilt_frames"]
    assert (first, last) == (8, 16)
    kept = {}
    with av.open(str(truth.path)) as container:
        for packet in container.demux(video=0):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            kept |= {
                round(float(f.pts * f.time_base) * 25): f.to_ndarray(format="rgb24") for f in frames
            }
    for k in [*range(first), *range(last, spec.n_frames)]:
        drawn = render_frame(spec, k).frame_rgb
        assert np.abs(kept[k].astype(int) - drawn).mean() < 6, k


def test_encoding_leaves_this_process_scheduled_as_it_was(tmp_path):
    before = os.sched_getscheduler(0)
    grey = np.full((64, 64, 3), 90, np.uint8)
    encode(tmp_path / "a.mkv", [grey] * 3, Encoding(codec="libsvtav1", b_frames=0, options={}))
    assert os.sched_getscheduler(0) == before
