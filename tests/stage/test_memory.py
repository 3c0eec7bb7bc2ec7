"""How much memory stage 1 takes: a long clip's index, and next to nothing beside it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.clips import count_frames, repeated
from ferrari.video import native_memory
from ferrari.video.decoding import pyav_selective_reader
from tests.settings import ENVIRONMENT
from tests.stage.clip_run import Run
from tests.stage.test_selective import h264, write

#: Extracts clips, and tells after each the largest process so far, MB.
EXTRACT = """
import resource, sys
from pathlib import Path
from tests.stage.clip_run import Run
run = Run(Path(sys.argv[1]))
for clip in sys.argv[2:]:
    run.extract(Path(clip), threads=1, fps=0.5, linking_fps=2)
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""
#: libavformat's index of an MP4 takes 53 bytes a packet, our own notes of it 13.
_A_PACKET, _ROOM_MB = 66, 5


def test_a_long_clip_takes_its_index_more_than_a_short_one(tmp_path):
    short = write(tmp_path / "short.mp4", h264())
    long = repeated(short, tmp_path, 250)
    command = [sys.executable, "-c", EXTRACT, *map(str, (tmp_path / "set", short, long))]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    first, second = map(float, done.stdout.split())
    assert second - first < count_frames(long) * _A_PACKET / 2**20 + _ROOM_MB


@pytest.mark.parametrize(("held", "times"), [(0, 1), (1 << 30, 0)])
def test_what_reading_a_clip_twice_left_is_given_back_before_it_is_decoded(
    tmp_path, monkeypatch, held, times
):
    """The packets of a short clip are held: it is read once."""
    told = tmp_path / "told"
    told.write_text("")

    def note(what):
        with told.open("a") as stream:  # the stage works in a child
            stream.write(f"{what}\n")

    decoded = pyav_selective_reader.SelectiveReader._decoded
    monkeypatch.setattr(pyav_selective_reader, "_HELD_BYTES", held)
    monkeypatch.setattr(native_memory, "give_back", lambda: note("given back"))
    monkeypatch.setattr(
        pyav_selective_reader.SelectiveReader,
        "_decoded",
        lambda *all_of_it: note("decoded") or decoded(*all_of_it),
    )
    Run(tmp_path / "set").extract(write(tmp_path / "a.mp4", h264()))
    assert told.read_text().split("\n")[:-1] == [*["given back"] * times, "decoded"]
