"""Clips joined without encoding, clocks that start anew, and transport streams short of packets.

No frame is without a row, and no row is of a frame that is not lost.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ferrari.images import image_files
from ferrari.video.clip_verdicts import OTHER_FILM
from tests.generator import wrappers
from tests.generator.encode import Encoding
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec
from tests.stage.clip_run import Run

SPEC = ClipSpec(seed=1, width=160, height=120, n_frames=25, fps="25", gop=12)
H264 = Encoding(gop=12, b_frames=0)
KINDS = {
    "h264": H264,
    "h264 with B-frames": replace(H264, b_frames=2),
    "mpeg2": replace(H264, codec="mpeg2video", options={"qscale": "3"}),
    "hevc": replace(H264, codec="libx265", options={"preset": "ultrafast"}),
    "hevc with B-frames": replace(
        H264, codec="libx265", options={"preset": "ultrafast"}, b_frames=3
    ),
    "mpeg4": replace(H264, codec="mpeg4", options={"qscale": "3"}),
}


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "dataset")


def of_kinds(path, *names):
    return wrappers.joined(path, [(SPEC, KINDS[name]) for name in names])


def without_a_row(rows, times):
    """The times of the frames that no row tells of."""
    spans = [row for row in rows if row["reason"] == "LOST_SPAN"]
    told = [float(row["time_s"]) for row in rows if row not in spans]
    lost = [
        (float(row["time_s"]), float(row["detail"].split(" to ")[1].split(" s")[0]))
        for row in spans
    ]
    return [
        time
        for time in times
        if not any(abs(time - other) < 0.002 for other in told)
        and not any(start - 0.002 < time < end - 0.002 for start, end in lost)
    ]


def pixels(run, row):
    return image_files.read(run.dataset / row["path"]).astype(int)


@pytest.mark.parametrize(
    "names",
    [
        ("h264", "mpeg2"),
        ("h264", "hevc"),
        ("h264 with B-frames", "mpeg2"),
        ("mpeg2", "h264"),
        ("mpeg4", "h264"),
        ("hevc with B-frames", "h264"),
        ("h264", "mpeg2", "h264"),
        ("h264 with B-frames", "hevc", "h264 with B-frames"),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_where_the_codec_changes_no_frame_is_lost_without_a_row(run, tmp_path, names, threads):
    path = tmp_path / "joined.ts"
    times = of_kinds(path, *names)
    rows = run.extract(path, threads, fps=25, duplicate_delta=0)
    assert len(times) == 25 * len(names) and without_a_row(rows, times) == []
    kept = [row for row in rows if row["outcome"] == "kept"]
    assert len(kept) == 23 if len(names) == 2 else len(kept) >= 23 + 13
    of_kinds(tmp_path / "alone.ts", names[0])
    alone = run.extract(tmp_path / "alone.ts", fps=25, duplicate_delta=0)
    originals = {row["pts"]: row for row in alone}
    for row in kept[:23]:
        assert np.abs(pixels(run, row) - pixels(run, originals[row["pts"]])).max() == 0
    for row in kept[23:]:
        number = min(range(len(times)), key=lambda k: abs(times[k] - float(row["time_s"])))
        truth = render_frame(SPEC, number % 25).frame_rgb.astype(int)
        assert np.abs(pixels(run, row) - truth).mean() < 10


@pytest.mark.parametrize(
    "other",
    [
        (SPEC, H264),
        (replace(SPEC, width=240, height=160), H264),
        (SPEC, replace(H264, options={"profile": "baseline"})),
        (SPEC, replace(H264, pix_fmt="yuv422p10le")),
    ],
    ids=["the same", "size", "profile", "pixel format"],
)
def test_a_join_in_one_codec_costs_the_two_frames_before_it(run, tmp_path, other):
    """FFmpeg flags them, as it flags data that is missing: see docs/footage.md."""
    path = tmp_path / "joined.ts"
    times = wrappers.joined(path, [(SPEC, H264), other])
    rows = run.extract(path, fps=25, duplicate_delta=0)
    assert without_a_row(rows, times) == []
    refused = [float(row["time_s"]) for row in rows if row["reason"] == "DECODE_DAMAGE"]
    assert refused == pytest.approx(times[23:25], abs=0.002)
    assert sum(row["outcome"] == "kept" for row in rows) == 48


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg2"])
@pytest.mark.parametrize(
    ("frame", "which", "lost"),
    [
        (12, slice(5, 6), range(12, 24)),  # of a key frame: HEVC's decoder says nothing of it
        (0, slice(5, 6), range(12)),  # of the first frame: FFmpeg flags nothing
        (11, slice(-1, None), range(11, 12)),  # the end of the last frame before a key frame
        (11, slice(None), range(11, 12)),  # all of it: no decoder can know
        (5, slice(None), range(5, 12)),
    ],
)
def test_what_a_missing_packet_spoils_is_not_kept(run, tmp_path, codec, frame, which, lost):
    path = tmp_path / "short.ts"
    times = of_kinds(path, codec)
    wrappers.without_transport_packets(path, frame, which)
    rows = run.extract(path, fps=25, duplicate_delta=0)
    kept = {round((float(r["time_s"]) - times[0]) * 25) for r in rows if r["outcome"] == "kept"}
    assert not kept & set(lost) and len(kept) >= 25 - len(lost) - 3
    assert without_a_row(rows, times) == []


@pytest.mark.parametrize("between_mb", [0, 30])
def test_a_second_part_on_another_track_is_told(run, tmp_path, between_mb):
    """FFmpeg looks for tracks at both ends of a file; PyAV has none that is in its middle only."""
    path, other = tmp_path / "joined.ts", tmp_path / "other.ts"
    wrappers.joined(path, [(SPEC, H264)])
    options = {"mpegts_start_pid": "300"}
    shorter = replace(SPEC, n_frames=10)
    wrappers.joined(other, [(shorter, replace(H264, container_options=options))])
    empty = bytes([0x47, 0x1F, 0xFF, 0x10]) + bytes(184)
    empty *= between_mb * 10**6 // 188
    path.write_bytes(path.read_bytes() + empty + other.read_bytes() + empty)
    row = run.probe(path)
    assert (row["reason"], row["frames"]) == ("OK", "25")
    assert row["other_tracks"].startswith("track 1 (h264") and OTHER_FILM in row["other_tracks"]
    assert len(run.extract_probed(path, fps=25, duplicate_delta=0)) == 25
    assert ("begun on the way" in row["other_tracks"]) == (between_mb > 0)


LONGER = replace(SPEC, seed=2, n_frames=50)
WEBM = replace(H264, codec="libvpx-vp9", options={"deadline": "realtime"})


@pytest.mark.parametrize("specs", [(SPEC, LONGER), (LONGER, SPEC)])
@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("a.mkv", H264),
        ("a.mkv", KINDS["h264 with B-frames"]),
        ("a.webm", WEBM),
        ("a.avi", replace(KINDS["mpeg4"], b_frames=0)),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_recordings_in_one_file_lose_nothing(run, tmp_path, specs, name, encoding, threads):
    """Of Matroska the first one's length was held against the last one's frames, and each B-frame
    of the second was taken for a clock that starts anew.
    """
    path = wrappers.recordings(tmp_path / name, [(spec, encoding) for spec in specs])
    frames = sum(spec.n_frames for spec in specs)
    probe = run.probe(path)
    assert (probe["frames"], probe["vfr"], probe["other_tracks"]) == (str(frames), "0", "")
    assert float(probe["duration_s"]) == pytest.approx(frames / 25, abs=0.05)
    assert float(probe["fps"]) == pytest.approx(25, abs=0.2)
    rows = run.extract_probed(path, threads, fps=25, duplicate_delta=0)
    assert [row["frame"] for row in rows] == [str(number) for number in range(frames)]
    assert {row["outcome"] for row in rows} == {"kept"}
    shown = [(spec, number) for spec in specs for number in range(spec.n_frames)]
    for row, (spec, number) in list(zip(rows, shown, strict=True))[::8]:
        truth = render_frame(spec, number).frame_rgb.astype(int)
        assert np.abs(pixels(run, row) - truth).mean() < 15


@pytest.mark.parametrize("specs", [(SPEC, LONGER), (LONGER, SPEC)])
def test_what_a_join_of_recordings_costs_is_told_of_its_part(run, tmp_path, specs):
    """FFmpeg flags the two frames before it; the times of the longer part are no loss of the
    shorter one.
    """
    path = wrappers.recordings(tmp_path / "joined.ts", [(spec, H264) for spec in specs])
    rows = run.extract(path, fps=25, duplicate_delta=0)
    frames = [row for row in rows if row["reason"] != "LOST_SPAN"]
    assert [row["frame"] for row in frames] == [str(number) for number in range(75)]
    end = specs[0].n_frames
    refused = [int(row["frame"]) for row in frames if row["outcome"] != "kept"]
    assert refused == [end - 2, end - 1]
    (span,) = (row for row in rows if row["reason"] == "LOST_SPAN")
    assert float(span["value"]) == pytest.approx(2 / 25, abs=0.001)
    assert float(span["time_s"]) == pytest.approx(float(frames[end - 2]["time_s"]), abs=0.001)
    assert "s of part 1, in each of which time starts anew, by the times" in span["detail"]


@pytest.mark.parametrize("name", ["h264", "h264 with B-frames"])
@pytest.mark.parametrize("before_s", [1, 100])
def test_a_clock_that_wraps_goes_on(run, tmp_path, name, before_s):
    """That of a transport stream has 33 bits; the wrap is in the clip, or behind it."""
    first = 2**33 - before_s * 90_000
    timed = replace(KINDS[name], time_base="1/90000", pts=range(first, first + 25 * 3600, 3600))
    path = wrappers.recordings(tmp_path / "wraps.ts", [(SPEC, timed)])
    probe = run.probe(path)
    assert (probe["frames"], probe["duration_s"], probe["largest_gap_s"]) == ("25", "1.0", "0.0")
    rows = run.extract_probed(path, fps=25, duplicate_delta=0)
    times = [float(row["time_s"]) for row in rows]
    assert len(rows) == 25 and np.diff(times) == pytest.approx(np.full(24, 0.04), abs=0.0001)
    assert {row["outcome"] for row in rows} == {"kept"}


@pytest.mark.parametrize("name", ["h264", "h264 with B-frames"])
@pytest.mark.parametrize("by_s", [50, -400])
def test_where_a_clock_is_set_between_key_frames_each_frame_has_a_row(run, tmp_path, name, by_s):
    """As in a recorder's cut: what FFmpeg flags there is refused up to the next key frame."""
    late = 100 if by_s > 0 else 1000
    encoding = replace(KINDS[name], pts=range(late * 25, late * 25 + 50))
    path = wrappers.clock_set_back(tmp_path / "cut.ts", LONGER, encoding, 30, by_s)
    probe = run.probe(path)
    assert (probe["frames"], probe["other_tracks"]) == ("50", "")
    assert float(probe["duration_s"]) == pytest.approx(2, abs=0.13)
    rows = run.extract_probed(path, fps=25, duplicate_delta=0)
    frames = [row for row in rows if row["reason"] != "LOST_SPAN"]
    assert [row["frame"] for row in frames] == [str(number) for number in range(50)]
    refused = {int(row["frame"]) for row in frames if row["outcome"] != "kept"}
    assert refused <= set(range(26, 36)) and len(refused) >= 4
    told = sum(float(row["value"]) for row in rows if row["reason"] == "LOST_SPAN")
    assert told == pytest.approx(len(refused) / 25, abs=0.13)
