"""What is shown of a file, when and in which shape; which of its tracks; and whether it is film."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition

from ferrari.images import image_files
from tests.generator import faults, oddities, wrappers
from tests.generator.encode import encode, encoding_of, frames_of
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec
from tests.stage.clip_run import Run

SPEC = ClipSpec(seed=1, width=160, height=120, n_frames=50, fps="25", gop=100)
DEFAULT, NOTHING = Disposition.default, Disposition(0)


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "dataset")


def picture(run, row):
    return image_files.read(run.dataset / row["path"]).astype(int)


def times_agree(rows):
    return all(
        float(row["time_s"]) == pytest.approx(float(int(row["pts"]) * Fraction(row["time_base"])))
        for row in rows
    )


def spoil(path, numbers):
    """Empty the last two thirds of these packets."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for packet in (packets[number] for number in numbers):
        start, end = packet.pos + packet.size // 3, packet.pos + packet.size
        data[start:end] = bytes(end - start)
    path.write_bytes(data)


@pytest.mark.parametrize("ending", ["mp4", "mov"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_clip_cut_without_encoding_shows_what_players_show(run, tmp_path, ending, threads):
    truth = wrappers.cut_without_encoding(tmp_path / f"cut.{ending}", SPEC, start=26)
    row, rows = run.probe(truth.path), run.extract(truth.path, threads, fps=10)
    assert (row["frames"], row["hidden_frames"], row["duration_s"]) == ("24", "26", "0.96")
    assert {row["reason"] for row in rows} <= {"OK", "DUPLICATE_FRAME"}
    assert rows[0]["frames_decoded"] == "24" and float(rows[0]["time_s"]) == 0
    first = render_frame(SPEC, 26).frame_rgb.astype(int)
    assert np.abs(picture(run, rows[0]) - first).mean() < 6
    assert len(rows) == 10 and times_agree(rows)


def test_a_clip_that_starts_without_its_key_frame_is_still_damaged(run, tmp_path):
    truth = wrappers.cut_without_encoding(tmp_path / "cut.mp4", SPEC, start=26)
    spoil(truth.path, [0])  # the hidden key frame
    rows = run.extract(truth.path, fps=10)
    assert "OK" not in {row["reason"] for row in rows}


def whole(path, params, **changed):
    options = {"preset": "veryfast", "crf": "20", "x264-params": params}
    spec = replace(SPEC, n_frames=60, gop=20)
    return encode(path, frames_of(spec), replace(encoding_of(spec), options=options, **changed))


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_a_cut_at_an_open_key_frame_loses_no_frame_that_players_show(run, tmp_path, ending):
    clip = whole(tmp_path / "whole.ts", "open-gop=1:scenecut=0:bframes=3:b-adapt=0", b_frames=3)
    with av.open(str(clip)) as container:
        keys = [n for n, p in enumerate(container.demux(video=0)) if p.size and p.is_keyframe]
    cut = wrappers.cut_packets(tmp_path / f"cut.{ending}", clip, keys[1])
    row, rows = run.probe(cut), run.extract(cut, fps=25, duplicate_delta=0)
    kept = [r for r in rows if r["outcome"] == "kept"]
    assert {r["reason"] for r in rows} == {"OK"} and rows[0]["decode_errors"] == "0"
    assert row["frames"] == rows[0]["frames_decoded"] == str(len(kept))
    originals = {r["time_s"]: r for r in run.extract(clip, fps=25, duplicate_delta=0)}
    ends = list(originals.values())[-len(kept) :]
    for mine, theirs in zip(kept, ends, strict=True):
        assert np.abs(picture(run, mine) - picture(run, theirs)).max() == 0


def test_a_recording_that_recovers_step_by_step_is_kept_from_there_on(run, tmp_path):
    clip = whole(tmp_path / "whole.ts", "intra-refresh=1:keyint=20:bframes=0")
    cut = wrappers.cut_packets(tmp_path / "cut.ts", clip, 7)
    row, rows = run.probe(cut), run.extract(cut, fps=25, duplicate_delta=0)
    kept = [r for r in rows if r["outcome"] == "kept"]
    assert len(kept) >= 20 and row["frames"] == rows[0]["frames_decoded"] == str(len(kept))
    assert {r["reason"] for r in rows} <= {"OK", "LOST_SPAN"}


@pytest.mark.parametrize("seconds", [11, 15, 600])
def test_a_slow_clip_is_as_long_as_its_frames_are_shown(run, tmp_path, seconds):
    spec = replace(SPEC, n_frames=6)
    truth = wrappers.slideshow(tmp_path / "slow.mp4", spec, seconds)
    row, rows = run.probe(truth.path), run.extract(truth.path, duplicate_delta=0)
    assert (row["reason"], float(row["duration_s"])) == ("OK", 6 * seconds)
    assert float(row["fps"]) == pytest.approx(1 / seconds, rel=1e-5)
    assert row["largest_gap_s"] == "0.0"
    assert [float(row["time_s"]) for row in rows] == [k * seconds for k in range(6)]


def test_damage_in_a_slow_clip_is_measured_by_its_own_rate(run, tmp_path):
    spec = replace(SPEC, n_frames=12, gop=4)
    truth = wrappers.slideshow(tmp_path / "slow.mp4", spec, 15)
    spoil(truth.path, [5, 6])
    lost = [row for row in run.extract(truth.path) if row["reason"] == "LOST_SPAN"]
    assert 15 <= sum(float(row["value"]) for row in lost) <= 60


def test_an_aspect_that_changes_on_the_way_is_each_frames_own(run, tmp_path):
    spec = replace(SPEC, n_frames=20)
    truth = wrappers.aspect_switch(tmp_path / "switch.ts", spec, ["4/3", "2", "1"])
    for threads in (1, 2):
        rows = [row for row in run.extract(truth.path, threads, fps=5) if row["outcome"] == "kept"]
        shapes = {int(r["frame"]) // 20: (r["width"], r["height"], r["sar"]) for r in rows}
        assert shapes == {
            0: ("213", "120", "4:3"), 1: ("320", "120", "2:1"), 2: ("160", "120", "1:1"),
        }  # fmt: skip


def test_an_aspect_that_the_container_declares_holds_for_all_frames(run, tmp_path):
    joined = wrappers.aspect_switch(tmp_path / "switch.ts", replace(SPEC, n_frames=20), ["2", "1"])
    copy = tmp_path / "copy.mp4"
    with av.open(str(joined.path)) as source, av.open(str(copy), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                sink.mux(packet)
    assert {row["sar"] for row in run.extract(copy, fps=5)} == {"2:1"}


def test_rebuilt_frames_keep_the_evidence_of_their_source(run, tmp_path):
    truth = oddities.interlaced(tmp_path / "i.mp4", SPEC)
    rows = run.extract(truth.path, fps=5)
    assert {row["interlaced"] for row in rows} == {"1"} and times_agree(rows)
    assert [int(row["frame"]) for row in rows[:3]] == [0, 3, 5]
    plain = run.extract(truth.path, fps=5, deinterlace=False)
    evidence = ("pts", "time_base", "time_s", "frame", "interlaced", "sar")
    assert [[r[c] for c in evidence] for r in rows] == [[r[c] for c in evidence] for r in plain]


def test_a_container_without_presentation_times_is_sampled_in_order(run, tmp_path):
    truth = faults.good(tmp_path / "b.avi", replace(SPEC, b_frames=2))
    rows = run.extract(truth.path, fps=5, duplicate_delta=0)
    times = [float(row["time_s"]) for row in rows]
    assert len(rows) == 10 and times == sorted(times)
    assert [int(row["frame"]) for row in rows] == list(range(0, 50, 5))


def test_a_clock_that_starts_anew_counts_all_footage(run, tmp_path):
    part = faults.good(tmp_path / "part.ts", replace(SPEC, b_frames=0)).path
    (tmp_path / "twice.ts").write_bytes(part.read_bytes() * 2)
    row = run.probe(tmp_path / "twice.ts")
    assert (row["frames"], float(row["duration_s"])) == ("100", 4.0)


@pytest.mark.parametrize(
    ("sizes", "flags", "chosen", "why"),
    [
        (
            [(160, 120), (320, 240)],
            [DEFAULT, NOTHING],
            "160",
            "another film track, not the default one",
        ),
        (
            [(160, 120), (320, 240)],
            [NOTHING, DEFAULT],
            "320",
            "another film track, not the default one",
        ),
        (
            [(320, 240), (160, 120)],
            [NOTHING, DEFAULT],
            "160",
            "another film track, not the default one",
        ),
    ],
)
def test_the_track_is_the_one_that_players_show(run, tmp_path, sizes, flags, chosen, why):
    path = wrappers.tracks(tmp_path / "two.mkv", sizes, flags)
    row, rows = run.probe(path), run.extract(path)
    assert row["width"] == chosen and why in row["other_tracks"]
    other = next(size for size in sizes if str(size[0]) != chosen)
    assert f"h264 {other[0]}x{other[1]}" in row["other_tracks"]
    assert {r["width"] for r in rows if r["outcome"] == "kept"} == {chosen}


def test_a_cover_is_never_the_film_and_is_told(run, tmp_path):
    flags, codecs = [DEFAULT, Disposition.attached_pic], ["libx264", "mjpeg"]
    path = wrappers.tracks(tmp_path / "c.mp4", [(160, 120), (640, 480)], flags, codecs)
    row = run.probe(path)
    assert (row["reason"], row["width"]) == ("OK", "160")
    assert row["other_tracks"] == "track 1 (mjpeg 640x480): a cover picture"


def test_a_codec_without_a_decoder_is_named(run, tmp_path):
    row = run.probe(wrappers.unknown_codec(tmp_path / "raw.mov", SPEC))
    assert row["reason"] == "UNSUPPORTED_CODEC" and "CRAW" in row["detail"]
    row = run.probe(wrappers.unknown_codec(tmp_path / "b.mp4", SPEC, b"BRAW"))
    assert row["reason"] == "UNSUPPORTED_CODEC" and "BRAW" in row["detail"]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("photo.jpg", "mjpeg", "yuvj420p"),
        ("photo.mov", "mjpeg", "yuvj420p"),
        ("photo.mkv", "mjpeg", "yuvj420p"),
        ("photo.avi", "png", "rgb24"),
        ("photo.png", "png", "rgb24"),
        ("photo.avif", "libsvtav1", "yuv420p"),
        ("photo.gif", "gif", "rgb8"),
        ("photo.apng", "apng", "rgb24"),
        ("photo.mp4", "png", "rgb24"),
    ],
)
def test_a_photo_is_no_film_whatever_it_is_wrapped_in(run, tmp_path, name, codec, pix_fmt):
    path = wrappers.picture(tmp_path / name, SPEC, codec, pix_fmt)
    for animations in ("refuse", "take"):
        row = run.probe(path, animations=animations)
        assert row["reason"] == "NOT_A_VIDEO" and "picture" in row["detail"]


def test_one_frame_of_film_is_film(run, tmp_path):
    assert run.probe(faults.one_frame(tmp_path / "one.mp4", SPEC).path)["reason"] == "OK"
    path = wrappers.picture(tmp_path / "m.mov", SPEC, "mjpeg", "yuvj420p", n_frames=2)
    assert run.probe(path)["reason"] == "OK"


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "kind"),
    [
        ("a.gif", "gif", "rgb8", "GIF"),
        ("a.apng", "apng", "rgb24", "PNG"),
        ("a.mp4", "gif", "rgb8", "GIF"),
        ("a.avif", "libsvtav1", "yuv420p", "AVIF"),
    ],
)
def test_animations_are_refused_or_taken_as_asked(run, tmp_path, name, codec, pix_fmt, kind):
    path = tmp_path / name
    written = path if name != "a.mp4" else tmp_path / "gif under another name.gif"
    wrappers.picture(written, SPEC, codec, pix_fmt, n_frames=6)
    written.rename(path)
    row = run.probe(path)
    assert row["reason"] == "NOT_A_VIDEO"
    assert f"animation ({kind}, 6 pictures)" in row["detail"] and "animations" in row["detail"]
    taken = run.probe(path, animations="take")
    assert (taken["reason"], taken["frames"]) == ("OK", "6")
    rows = run.extract_probed(path, fps=25, duplicate_delta=0)
    assert len([r for r in rows if r["outcome"] == "kept"]) == 6


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("notes.txt", "Take 3 was the best.\n" * 40, "plain text"),
        ("release.nfo", "\x1b[1mRELEASE\x1b[0m \xdb\xdb\xdb\r\n" * 20, "plain text"),
        ("captions.vtt", "WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n", "plain text"),
        ("IMG_1.srt", "1\n00:00:00,000 --> 00:00:01,000\nf/2.8\n", "plain text"),
        ("desktop.ini", "[.ShellClassInfo]\r\nIconResource=a.dll,3\r\n", "plain text"),
        ("clip.mp4", '{"title": "IMG_0001.MOV"}', "plain text"),
        ("page.mp4", "<!DOCTYPE html><html></html>", "HTML"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n", "playlist"),
        ("doc.pdf", "%PDF-1.4\n\x00\x01", "PDF"),
        ("all.zip", "PK\x03\x04\x00\x01\x00", "ZIP"),
    ],
)
def test_texts_and_documents_are_no_film(run, tmp_path, name, data, what):
    (tmp_path / name).write_bytes(data.encode("latin-1"))
    row = run.probe(tmp_path / name)
    assert row["reason"] == "NOT_A_VIDEO" and what in row["detail"]


def test_sound_alone_says_so(run, tmp_path):
    row = run.probe(faults.audio_only(tmp_path / "a.mp4", 0.2).path)
    assert (row["reason"], row["detail"]) == ("NO_VIDEO_STREAM", "holds audio")


def test_the_order_of_frames_in_a_stream_without_times(run, tmp_path):
    spec = replace(SPEC, b_frames=0)
    encoding = replace(encoding_of(spec), container="h264")
    path = encode(tmp_path / "a.h264", frames_of(spec), encoding)
    row, rows = run.probe(path), run.extract(path)
    assert (row["reason"], row["frames"], float(row["duration_s"])) == ("OK", "50", 2.0)
    assert [int(row["frame"]) for row in rows] == [0, 13, 25, 38]
