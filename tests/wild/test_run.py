"""The whole of it on small clips, and what it says where there is no ffmpeg."""

from __future__ import annotations

import copy
import csv
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from tests.generator.encode import Encoding, encode
from tests.wild import our_view, run
from tests.wild.ffmpeg_view import Ffmpeg, NoFfmpegError
from tests.wild.made_views import scene


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder with a sound clip, one with tall pixels, a photo and a text."""
    try:
        Ffmpeg()
    except NoFfmpegError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("all") / "my clips"
    folder.mkdir()
    frames = [np.roll(scene(), 2 * number, axis=1) for number in range(12)]
    encode(folder / "sound.mp4", frames, Encoding())
    encode(folder / "tall pixels.mkv", frames, Encoding(sar="2/3"))
    cv2.imwrite(str(folder / "photo.png"), frames[0])
    (folder / "notes.md").write_text("no clip\n")
    return folder


@pytest.fixture(scope="module")
def sound_view(clips, tmp_path_factory):
    """Our view of the sound clip."""
    return our_view.look(clips / "sound.mp4", tmp_path_factory.mktemp("data"))


def rows(work):
    with (work / "differences.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_sound_clips_have_no_unexplained_difference(clips, tmp_path, capsys):
    assert run.main([str(clips), "--work", str(tmp_path)]) == 0
    assert {(row["clip"], row["difference"], row["cause"]) for row in rows(tmp_path)} == {
        ("my clips/photo.png", "refused", "one picture"),
        ("my clips/sound.mp4", "loss", "colour in WebP"),
        ("my clips/tall pixels.mkv", "loss", "colour in WebP"),
    }
    told = capsys.readouterr().out
    assert told.startswith("ffmpeg version ")
    assert "clips 4, not looked at 0, failed 0, differences 3, unexplained 0" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("clips.csv", "differences.csv", "report.txt"),
    ]


def upside_down(view):
    view.pictures = [replace(p, rgb=np.ascontiguousarray(p.rgb[::-1])) for p in view.pictures]


def too_late(view):
    for row in view.frames:
        row["time_s"] = str(round(float(row["time_s"]) + 0.001, 6))


def one_short(view):
    del view.frames[5]


def too_long(view):
    view.probe["duration_s"] = str(Fraction(view.probe["duration_s"]) + 1)


def reddish(view):
    view.pictures = [replace(p, rgb=cv2.add(p.rgb, (9, 0, 0, 0))) for p in view.pictures]


def wrong_size(view):
    view.probe["width"] = "97"


@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        *((upside_down, "orientation"), (too_late, "times"), (one_short, "frames")),
        *((too_long, "duration"), (reddish, "colours"), (wrong_size, "size")),
    ],
)
def test_a_planted_fault_is_found(clips, sound_view, tmp_path, monkeypatch, capsys, plant, kind):
    view = copy.deepcopy(sound_view)
    plant(view)
    monkeypatch.setattr(our_view, "look", lambda raw, work, most_frames: view)
    assert run.main([str(clips), "--work", str(tmp_path), "--only", "sound"]) == 1
    found = {row["difference"] for row in rows(tmp_path) if row["cause"] == "unexplained"}
    assert kind in found
    assert f"UNEXPLAINED {kind}" in capsys.readouterr().out
    seen = {path.name for path in (tmp_path / "pictures").rglob("*.png")}
    assert (kind in ("orientation", "colours", "size")) <= ("first-ours.png" in seen)


def test_a_fault_of_its_own_is_told(clips, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(our_view, "look", lambda raw, work, most_frames: 1 / 0)
    assert run.main([str(clips), "--work", str(tmp_path), "--only", "sound"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_long_clips_are_named_and_left(clips, tmp_path, capsys):
    assert run.main([str(clips), "--work", str(tmp_path), "--most-frames", "11"]) == 0
    assert "12 frames, --most-frames is 11" in capsys.readouterr().out


def test_without_ffmpeg_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("skipped: there is no ffmpeg on the PATH")


def test_an_old_ffmpeg_is_not_asked(tmp_path, monkeypatch, capsys):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho ffmpeg version 4.4.2 Copyright\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run.main([str(tmp_path)]) == 0
    assert "4.4.2 is too old" in capsys.readouterr().out
