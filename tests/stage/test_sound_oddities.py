"""Clips that are odd and sound: reports of other tools going wrong, at which this one was right."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import av
import numpy as np
import pytest
from av.stream import Disposition

from ferrari.images import image_files
from ferrari.ledger import tables
from tests.generator import faults, oddities, wrappers
from tests.generator.colour_patches import PATCHES, Tags, measured, write_patches
from tests.generator.encode import encode, encoding_of, frames_of
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec
from tests.settings import ENVIRONMENT
from tests.stage.clip_run import Run

SPEC = ClipSpec(seed=1, width=160, height=120, n_frames=20, fps="25", gop=10)
EVERY = {"fps": 25, "duplicate_delta": 0}
#: From linear BT.709 to BT.2020: ITU-R BT.2087-0, table 2.
TO_BT2020 = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "dataset")


def picture(run, row):
    return image_files.read(run.dataset / row["path"]).astype(int)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_mirrored_selfie_is_shown_mirrored(run, tmp_path, degrees):
    spec = replace(SPEC, n_frames=2)
    clip = oddities.rotated(tmp_path / "selfie.mp4", spec, degrees, mirrored=True).path
    (row, *_) = run.extract(clip)
    shown = render_frame(spec, 0).frame_rgb[:, ::-1].astype(int)
    assert np.abs(picture(run, row) - shown).mean() < 6


@pytest.mark.parametrize(
    "parts", [[(30, 10), (0, 10)], [(0, 10), (25, 10)], [(12, 10), (12, 10)], [(13, 7)]]
)
def test_an_edit_list_shows_its_parts_in_its_order(run, tmp_path, parts):
    """As editors on phones write it: what was cut out is still in the file."""
    spec = replace(SPEC, n_frames=40)
    clip = wrappers.edited(tmp_path / "edited.mp4", spec, parts).path
    shown = [first + k for first, count in parts for k in range(count)]
    row, rows = run.probe(clip), tables.kept(run.extract(clip, **EVERY))
    assert (row["frames"], float(row["duration_s"])) == (str(len(shown)), len(shown) / 25)
    assert [float(r["time_s"]) for r in rows] == [k / 25 for k in range(len(shown))]
    truths = np.array(list(frames_of(spec))).astype(int)
    nearest = [np.abs(truths - picture(run, one)).mean(axis=(1, 2, 3)).argmin() for one in rows]
    assert nearest == shown


@pytest.mark.parametrize("height", [120, 360])
def test_each_part_of_a_joined_clip_has_its_own_size(run, tmp_path, height):
    parts = [(160, 120), (height * 4 // 3, height), (120, 160)]
    clip = tmp_path / "joined.ts"
    data = b""
    for number, (width, high) in enumerate(parts):
        spec = replace(SPEC, width=width, height=high, n_frames=10)
        timed = replace(encoding_of(spec), b_frames=0, pts=range(number * 10, number * 10 + 10))
        data += encode(tmp_path / "part.ts", frames_of(spec), timed).read_bytes()
    clip.write_bytes(data)
    rows = tables.kept(run.extract(clip, **EVERY))
    shapes = [(int(row["frame"]) // 10, picture(run, row).shape[1::-1]) for row in rows]
    assert set(shapes) == set(enumerate(parts))
    # Packets of a transport stream are counted, and at each join the count jumps: as after a loss.
    assert len(shapes) >= 26


def test_an_avi_without_its_index_is_read_to_its_end(run, tmp_path):
    encoding = replace(encoding_of(SPEC), codec="mpeg4", options={"qscale": "3"}, b_frames=0)
    clip = encode(tmp_path / "clip.avi", frames_of(SPEC), encoding)
    data = clip.read_bytes()
    clip.write_bytes(data[: data.rindex(b"idx1")])
    row, rows = run.probe(clip), run.extract(clip, **EVERY)
    assert (row["reason"], row["frames"]) == ("OK", "20") and len(tables.kept(rows)) == 20


@pytest.mark.parametrize(("codec", "fps"), [("mpeg4", 5), ("mjpeg", 25), ("libx265", 5)])
@pytest.mark.parametrize("before", [[12], [1, 2, 15], [19]])
def test_a_sample_of_no_bytes_is_not_the_end(run, tmp_path, before, codec, fps):
    """As recorders write it where nothing has changed: the picture before it stays."""
    clip = tmp_path / "clip.mp4"
    times = wrappers.with_empty_samples(clip, SPEC, before, codec)
    with av.open(str(clip)) as container:
        sizes = [packet.size for packet in container.demux(video=0)]
    assert sizes.count(0) == len(before) + 1  # and PyAV's own sign for the end
    row, rows = run.probe(clip), run.extract(clip, fps=fps, duplicate_delta=0)
    assert (row["reason"], row["frames"]) == ("OK", "20")
    firsts = {}
    for number, time_s in enumerate(times):
        firsts.setdefault(int(time_s * fps), number)
    assert [int(one["frame"]) for one in rows] == list(firsts.values())
    assert {one["reason"] for one in rows} == {"OK"}
    truths = np.array(list(frames_of(SPEC))).astype(int)
    nearest = [np.abs(truths - picture(run, one)).mean(axis=(1, 2, 3)).argmin() for one in rows]
    assert nearest == list(firsts.values())


@pytest.mark.parametrize("start_ms", [3_600_000, 95_443_000])
def test_a_clock_may_begin_anywhere(run, tmp_path, start_ms):
    pts = [start_ms + 40 * number for number in range(20)]
    encoding = replace(encoding_of(SPEC), time_base="1/1000", pts=pts, b_frames=0)
    clip = encode(tmp_path / "clip.mkv", frames_of(SPEC), encoding)
    row, rows = run.probe(clip), run.extract(clip, fps=5, duplicate_delta=0)
    assert (row["reason"], row["frames"], row["duration_s"]) == ("OK", "20", "0.8")
    assert [round(1000 * float(row["time_s"])) - start_ms for row in rows] == [0, 200, 400, 600]


def test_the_cover_of_a_song_is_said_to_be_one(run, tmp_path):
    clip = tmp_path / "song.mp4"
    song = faults.audio_only(tmp_path / "sound.mp4", 0.3).path
    covers = wrappers.tracks(
        tmp_path / "cover.mp4", [(160, 120)], [Disposition.attached_pic], ["mjpeg"], n_frames=1
    )
    with (
        av.open(str(song)) as sound, av.open(str(covers)) as cover, av.open(str(clip), "w") as sink
    ):  # fmt: skip
        copies = [
            (sink.add_stream_from_template(sound.streams.audio[0]), sound),
            (sink.add_stream_from_template(cover.streams.video[0]), cover),
        ]
        copies[1][0].disposition = Disposition.attached_pic
        for stream, source in copies:
            for packet in source.demux():
                if packet.size:
                    packet.stream = stream
                    sink.mux(packet)
    row = run.probe(clip)
    assert row["reason"] == "NO_VIDEO_STREAM" and "a cover picture" in row["detail"]


def test_hlg_is_shown_close_to_its_sdr_twin(run, tmp_path):
    signal = PATCHES / 255
    light = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    shown = light @ np.transpose(TO_BT2020) * 0.203  # SDR white at 203 of 1000 cd/m2 (BT.2408)
    luma = shown @ [0.2627, 0.6780, 0.0593]
    scene = shown * (luma ** (1 / 1.2 - 1))[:, None]  # back through the system's gamma, 1.2
    hlg = np.where(
        scene <= 1 / 12,
        np.sqrt(3 * scene),
        0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073,
    )
    clip = write_patches(tmp_path / "a.mkv", hlg, Tags(9, 1, 18, 9), "yuv444p10le")
    (row, *_) = run.extract(clip)
    found = measured(image_files.read(run.dataset / row["path"]))
    assert row["transfer"] == "hlg" and np.abs(found - PATCHES).max() < 32
    order = np.argsort(found.mean(axis=1))
    assert (order == np.argsort(PATCHES.mean(axis=1))).all()


@pytest.mark.parametrize("name", ["Прогулка в парке.mp4", "散歩.mp4"])
def test_names_do_not_hang_on_the_locale(run, tmp_path, name):
    """A shell of LC_ALL=C, as cron and ssh give it, where Python does not help itself either."""
    raw = tmp_path / "raw"
    raw.mkdir()
    faults.good(raw / name, SPEC)
    ask = (
        "import sys; from pathlib import Path; from ferrari.ledger import raw_folder;"
        "from tests.stage.clip_run import Run; raw = Path(sys.argv[1]);"
        "(file,) = raw_folder.look_through(raw).videos.values();"
        "row = Run(Path(sys.argv[2])).probe(raw / file); print(row['reason'], ascii(row['file']))"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", ask, os.fspath(raw), os.fspath(run.dataset)],
        **{"env": {**ENVIRONMENT, **plain}, "capture_output": True, "text": True, "check": False},
    )
    assert done.stderr == "" and done.stdout.startswith("OK ")
    (table,) = (run.dataset / "videos").glob("*.csv")
    assert tables.read_stage(table, "probe")[0]["file"] == name
