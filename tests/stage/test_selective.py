"""Decoding only what samples need gives the very rows and bytes that decoding everything does."""

import os
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from bench.reference import chosen
from ferrari.ledger import tables
from ferrari.ledger.columns import KEPT
from ferrari.ledger.reasons import LOST_SPAN
from ferrari.video.decoding import pyav_decoder, pyav_selective_reader
from ferrari.video.decoding.base import (
    DecodePlan,
    DecoderUnavailableError,
    DecodeStats,
    PlanChangedError,
)
from tests.generator.encode import Encoding, encode
from tests.generator.faults import audio_only
from tests.settings import section
from tests.stage.clip_run import Run

SHARED = Path(os.environ.get("FERRARI_SHARED", Path(__file__).parents[2] / "../shared"))
X264, X265 = {"preset": "ultrafast", "crf": "23"}, {"preset": "ultrafast", "crf": "28"}
_B3 = "bframes=3:b-adapt=0:scenecut=0"
_LACED = {**X264, "flags": "+ildct+ilme", "x264-params": "tff=1"}


def h264(more="", **changed):
    params = ":".join(filter(None, (_B3, more)))
    return {"b_frames": 3, "options": {**X264, "x264-params": params}, **changed}


def hevc(more, **changed):
    options = {**X265, "x265-params": more}
    return {"codec": "libx265", "b_frames": 4, "options": options, **changed}


#: name -> encoding, and whether its clip must be decoded in part
CASES = {
    "pyramid.mp4": (h264("b-pyramid=normal"), True),
    "strict.mp4": (h264("b-pyramid=strict"), True),
    "flat.mkv": (h264("b-pyramid=none", gop=12), True),
    "open_gop.mp4": (h264("open-gop=1", gop=12), True),
    "short_gop.mp4": (h264(gop=5), True),
    "long_gop.mkv": (h264(gop=250), True),
    "intra_refresh.mp4": (h264("intra-refresh=1", gop=20), True),
    "slices.mp4": (h264("slices=4:cabac=0"), True),
    "refs.flv": (h264("ref=5", gop=30), True),
    "stream.ts": (h264(gop=24), True),
    "ten_bits.mkv": (h264(pix_fmt="yuv420p10le"), True),
    "four_two_two.mp4": (h264(pix_fmt="yuv422p"), True),
    "full_range.mp4": (h264(pix_fmt="yuvj420p", colours=(5, 6, 5)), True),
    "bt601.mp4": (h264(colours=(5, 6, 5)), True),
    "fragments.mp4": (h264(container_options={"movflags": "frag_keyframe+empty_moov"}), True),
    "hevc.mp4": (hevc("open-gop=0:bframes=4"), True),
    "hevc_open.mkv": (hevc("open-gop=1:bframes=4:b-pyramid=1", gop=12), True),
    "hevc_layers.mp4": (hevc("temporal-layers=3:bframes=4:b-pyramid=1", gop=24), True),
    "motion.avi": ({"codec": "mjpeg", "pix_fmt": "yuvj420p", "options": {}, "b_frames": 0}, True),
    "prores.mov": ({"codec": "prores_ks", "pix_fmt": "yuv422p10le", "options": {}, "b_frames": 0},
                   True),
    "png.mov": ({"codec": "png", "pix_fmt": "rgb24", "options": {}, "b_frames": 0}, True),
    "interlaced.mp4": ({"options": _LACED, "b_frames": 0}, False),
    "raw.h264": (h264(container="h264"), False),
    "vp8.webm": ({"codec": "libvpx", "b_frames": 0,
                  "options": {"b": "300k", "cpu-used": "8", "auto-alt-ref": "1",
                              "lag-in-frames": "12"}}, False),
    "vp9.webm": ({"codec": "libvpx-vp9", "b_frames": 0,
                  "options": {"b": "300k", "cpu-used": "8", "auto-alt-ref": "1",
                              "lag-in-frames": "12"}}, False),
    "av1.mkv": ({"codec": "libsvtav1", "b_frames": 0, "options": {"preset": "12"}}, False),
    "packed.avi": ({"codec": "mpeg4", "b_frames": 2, "options": {"qscale": "4"}}, False),
    "mpeg2.ts": ({"codec": "mpeg2video", "b_frames": 2, "options": {"b": "800k"}}, False),
}  # fmt: skip


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "dataset")


def pictures(count, size=(64, 96), seed=0):
    """A drifting texture with a cut and a stretch that stands still: cheap, hard to predict."""
    rng = np.random.default_rng(seed)
    grounds = rng.integers(0, 255, (2, size[0] // 8 + 16, size[1] // 8 + 16, 3), np.uint8)
    for index in range(count):
        shift = min(index, count // 2) if index % 40 < 30 else count // 2
        ground = np.roll(grounds[int(index > count * 2 // 3)], (shift // 3, shift // 2), (0, 1))
        yield np.kron(ground, np.ones((8, 8, 1), np.uint8))[shift % 8 :][: size[0], : size[1]]


def write(path, changed, count=100, **more):
    return encode(path, pictures(count), Encoding(**{"fps": "25", "gop": 50, **changed, **more}))


def decoded_in_part(path, fps):
    """Whether the clip's packets were understood, and nothing changed the plan on the way."""
    stats = DecodeStats()
    try:
        for _ in pyav_decoder.cpu().open(str(path), DecodePlan(threads=2, fps=fps), stats):
            pass
    except PlanChangedError:
        return False
    return stats.end is not None


def both(run, path, monkeypatch, **settings):
    """Rows and files of the two ways."""
    found = []
    for in_full in (False, True):
        with monkeypatch.context() as patch:
            if in_full:
                patch.setattr(pyav_decoder, "classifier_for", lambda stream, plan: None)
            rows = run.extract(path, **settings)
        files = {r["path"]: (run.dataset / r["path"]).read_bytes() for r in rows if r["path"]}
        found.append((rows, files))
    return found


@pytest.mark.parametrize("name", CASES)
def test_same_rows_and_bytes_whatever_the_codec(run, tmp_path, monkeypatch, name):
    changed, in_part = CASES[name]
    path = write(tmp_path / name, changed)
    part, full = both(run, path, monkeypatch, fps=2.5)
    assert part == full
    assert decoded_in_part(path, 2.5) is in_part
    kept = tables.kept(part[0])
    assert len(kept) >= 5
    if in_part:
        assert [int(r["pts"]) for r in kept] == [
            f.pts for f in chosen(path, section("extract", fps=2.5), 1)
        ]
        assert {row["frames_decoded"] for row in part[0]} == {"100"}


@pytest.mark.parametrize(
    ("fps", "pts", "base"),
    [
        (0.3, None, None),
        (7.0, None, None),
        (29.97, None, None),
        (2.0, "uneven", "1/1000"),
        (3.0, "negative", "1/1000"),
        (2.0, "gap", "1/1000"),
        (1.7, "odd", "1001/30000"),
    ],
)
def test_same_choice_on_any_clock(run, tmp_path, monkeypatch, fps, pts, base):
    steps = np.random.default_rng(5).integers(10, 121, 99)
    made = {
        None: None,
        "uneven": [0, *np.cumsum(steps).tolist()],
        "negative": [40 * k - 1000 for k in range(100)],
        "gap": [40 * k + (3_600_000 if k > 60 else 0) for k in range(100)],
        "odd": list(range(100)),
    }[pts]
    path = write(tmp_path / "c.mkv", h264(gop=30), pts=made, time_base=base)
    part, full = both(run, path, monkeypatch, fps=fps)
    assert part == full and decoded_in_part(path, fps)


def test_a_clip_that_begins_long_before_its_parameters(run, tmp_path):
    """A recording that somebody joined half way: FFmpeg has no extradata when it has opened it."""
    whole = write(tmp_path / "whole.ts", h264(gop=240), count=300)
    cut = tmp_path / "cut.ts"
    with av.open(str(whole)) as read, av.open(str(cut), "w") as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        for packet in islice(read.demux(video=0), 1, None):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    with av.open(str(cut)) as opened:
        assert opened.streams.video[0].codec_context.extradata is None
    rows = run.extract(cut, fps=2.5)
    assert tables.kept(rows)
    assert any(row["reason"] == LOST_SPAN for row in rows)


def test_a_file_without_a_video_stream_is_left_alone(tmp_path):
    audio_only(tmp_path / "memo.mp4")
    frames = pyav_decoder.cpu().open(str(tmp_path / "memo.mp4"), DecodePlan(), DecodeStats())
    with pytest.raises(DecoderUnavailableError, match="no video stream"):
        next(frames)


def test_few_frames_are_decoded(tmp_path, monkeypatch):
    """Of an intra-only clip the samples alone; of B-frames none but samples and a few tries."""
    for name, most in (("motion.avi", 8), ("flat.mkv", 40), ("short_gop.mp4", 36)):
        path, seen = write(tmp_path / name, CASES[name][0]), []
        check = pyav_decoder.SelectiveReader._check_frame

        def counting(reader, frame, stream, seen=seen, check=check):
            seen.append(frame.pts)
            return check(reader, frame, stream)

        with monkeypatch.context() as patch:
            patch.setattr(pyav_decoder.SelectiveReader, "_check_frame", counting)
            assert decoded_in_part(path, 2)
        assert len(seen) <= most, name


@pytest.mark.parametrize("held", [0, 1 << 30])
def test_packets_read_twice_or_held_are_the_same(run, tmp_path, monkeypatch, held):
    monkeypatch.setattr(pyav_selective_reader, "_HELD_BYTES", held)
    for name in ("pyramid.mp4", "open_gop.mp4", "fragments.mp4", "prores.mov", "stream.ts"):
        path = write(tmp_path / name, CASES[name][0])
        assert decoded_in_part(path, 2)
        part, full = both(run, path, monkeypatch)
        assert part == full


def openings(path, monkeypatch):
    """How often a clip is opened to be decoded in part."""
    opened = []
    again = pyav_decoder.opened
    with monkeypatch.context() as patch:
        patch.setattr(pyav_selective_reader, "_HELD_BYTES", 0)
        patch.setattr(pyav_decoder, "opened", lambda *how: opened.append(how) or again(*how))
        assert decoded_in_part(path, 2)
    return len(opened)


def test_an_mp4_is_wound_back_and_any_other_opened_again(tmp_path, monkeypatch):
    for name, times in (("pyramid.mp4", 1), ("fragments.mp4", 1), ("stream.ts", 2)):
        assert openings(write(tmp_path / name, CASES[name][0]), monkeypatch) == times, name


def test_an_mp4_that_cannot_be_wound_back_is_opened_again(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", h264())
    monkeypatch.setattr(pyav_selective_reader, "wound_back", lambda stream: False)
    assert openings(path, monkeypatch) == 2


def test_packets_that_come_otherwise_the_second_time_have_the_clip_read_in_full(
    run, tmp_path, monkeypatch
):
    """As if winding back ended behind the first packet."""
    path = write(tmp_path / "a.mp4", h264())
    wound_back = pyav_selective_reader.wound_back

    def too_far(stream):
        found = wound_back(stream)
        next(stream.container.demux(stream))
        return found

    monkeypatch.setattr(pyav_selective_reader, "_HELD_BYTES", 0)
    monkeypatch.setattr(pyav_selective_reader, "wound_back", too_far)
    assert not decoded_in_part(path, 2)
    part, full = both(run, path, monkeypatch)
    assert part == full


@pytest.mark.parametrize("limit", [1, 3, 8, 9])
def test_same_rows_up_to_a_limit_of_frames(run, tmp_path, monkeypatch, limit):
    path = write(tmp_path / "a.mp4", h264())
    part, full = both(run, path, monkeypatch, max_frames=limit)
    assert part == full and len(part[0]) == min(limit + 1, 8)


def test_same_bytes_whatever_the_number_of_threads(run, tmp_path):
    path = write(tmp_path / "a.mp4", h264())
    first = run.extract(path, threads=1)
    assert all(run.extract(path, threads=threads) == first for threads in (2, 3, 7))


def flattened(path, to):
    """The clip with packets' times in the order of decoding, as broken muxers write them."""
    with av.open(str(path)) as source, av.open(str(to), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        packets = [p for p in source.demux(video=0) if p.size]
        for number, packet in enumerate(packets):
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            sink.mux(packet)
    return to


@pytest.mark.parametrize("name", ["pyramid.mp4", "flat.mkv", "hevc.mp4"])
def test_times_that_do_not_tell_the_order_are_found_out(run, tmp_path, monkeypatch, name):
    path = write(tmp_path / f"whole{Path(name).suffix}", CASES[name][0])
    broken = flattened(path, tmp_path / f"flat{Path(name).suffix}")
    part, full = both(run, broken, monkeypatch)
    assert part == full


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_clip_is_read_in_full(run, tmp_path, monkeypatch, seed):
    """Noise in a frame that others are made from: the same rows, lost spans and quarantine."""
    name = ("pyramid.mp4", "hevc_open.mkv", "stream.ts", "flat.mkv")[seed % 4]
    path = write(tmp_path / name, CASES[name][0])
    with av.open(str(path)) as container:
        packets = [bytes(p) for p in container.demux(video=0) if p.size]
    rng, data = np.random.default_rng(seed), bytearray(path.read_bytes())
    packet = packets[50 + 5 * (seed // 4)]  # of a GOP's first frames: all others need it
    place = data.find(packet[len(packet) // 3 : len(packet) // 3 + 60])
    assert place > 0
    data[place : place + 60] = rng.bytes(60)
    path.write_bytes(data)
    part, full = both(run, path, monkeypatch, fps=6)
    assert part == full


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(150))
def test_same_rows_and_bytes_whatever_the_encoder_does(run, tmp_path, monkeypatch, seed):
    rng = np.random.default_rng(seed)
    one = lambda *values: values[rng.integers(len(values))]  # noqa: E731
    if rng.random() < 0.65:
        params = [
            f"bframes={rng.integers(0, 9)}:b-adapt={rng.integers(0, 3)}",
            f"b-pyramid={one('none', 'strict', 'normal')}:ref={rng.integers(1, 8)}",
            f"open-gop={rng.integers(0, 2)}:scenecut={one(0, 40)}:weightp={rng.integers(0, 3)}",
            f"slices={rng.integers(1, 4)}:cabac={rng.integers(0, 2)}",
        ]
        options = {"preset": one("ultrafast", "veryfast"), "crf": "25",
                   "x264-params": ":".join(params)}  # fmt: skip
        changed = {"options": options, "b_frames": 8}
        suffix = one("mp4", "mkv", "mov", "ts", "flv")
    else:
        params = f"bframes={rng.integers(0, 6)}:open-gop={rng.integers(0, 2)}:"
        params += one("b-pyramid=0", "b-pyramid=1", "b-pyramid=1:temporal-layers=3")
        changed, suffix = hevc(params), one("mp4", "mkv", "ts")
    pts = None
    if rng.random() < 0.3 and suffix != "flv":
        pts = np.cumsum(rng.integers(1, 7, 90)).tolist()
    changed |= {"gop": int(one(1, 2, 7, 25, 250)), "pix_fmt": one("yuv420p", "yuv420p10le")}
    clock = {"pts": pts, "time_base": one("1/90", "1/100")} if pts else {"fps": one("25", "30")}
    path = encode(tmp_path / f"c.{suffix}", pictures(90, seed=seed), Encoding(**changed, **clock))
    fps = float(one(0.4, 1, 2, 3.3, 12, 60))
    part, full = both(run, path, monkeypatch, fps=fps)
    assert part == full
    if decoded_in_part(path, fps):
        kept = [int(r["pts"]) for r in tables.kept(part[0])]
        assert kept == [frame.pts for frame in chosen(path, section("extract", fps=fps), 1)]


@pytest.mark.real
@pytest.mark.timeout(1800)
def test_same_rows_and_bytes_on_real_clips(run, monkeypatch):
    if not (SHARED / "media").is_dir():
        pytest.skip("FERRARI_SHARED has no folder media")
    in_part = 0
    for path in sorted((SHARED / "media").rglob("*.*")):
        if path.suffix in (".csv", ".png", ".jpg") or not path.is_file():
            continue
        if run.probe(path)["outcome"] != KEPT:
            continue
        part, full = both(run, path, monkeypatch)
        assert part == full, path.name
        in_part += decoded_in_part(path, 2)
    assert in_part >= 20
