"""MP4, FLV and WMV files that `cat` joined: what nobody reads is said."""

from __future__ import annotations

import pytest

from ferrari.video.clip_verdicts import OTHER_FILM
from ferrari.video.joined_files import behind_the_first
from tests.generator import faults, wrappers
from tests.generator.encode import Encoding
from tests.generator.spec import ClipSpec
from tests.stage.clip_run import Run

SPEC = ClipSpec(seed=1, width=160, height=120, n_frames=10, fps="25", gop=5)
FTYP = b"\0\0\0\x10ftypisom\0\0\2\0"


def box(kind: bytes, content: bytes = b"x" * 40, large: bool = False) -> bytes:
    if large:
        return (1).to_bytes(4, "big") + kind + (16 + len(content)).to_bytes(8, "big") + content
    return (8 + len(content)).to_bytes(4, "big") + kind + content


ONE = FTYP + box(b"moov") + box(b"mdat")
LIVE = FTYP + box(b"moov") + 3 * (box(b"moof") + box(b"mdat"))
TO_THE_END = FTYP + box(b"moov") + b"\0\0\0\0mdat" + b"x" * 90


@pytest.mark.parametrize(
    ("content", "joined"),
    [
        (ONE + ONE, True),
        (LIVE + LIVE, True),
        (FTYP + box(b"mdat", large=True) + box(b"moov") + ONE, True),
        (2 * (box(b"wide") + box(b"mdat") + box(b"moov")), True),  # old QuickTime
        (ONE + box(b"wide") + box(b"mdat") + box(b"moov"), True),
        (ONE + b"\x1aE\xdf\xa3" + b"x" * 40, True),
        (ONE + b"RIFF\x40\0\0\0AVI LIST" + b"x" * 40, True),
        (ONE + b"FLV\x01\x05\0\0\0\x09\0\0\0\0" + b"x" * 40, True),
        (ONE + b"RIFF\x40\0\0\0WAVEfmt " + b"x" * 40, False),  # sound
        (box(b"mdat") + b"\x1aE\xdf\xa3" + b"x" * 40, False),  # an MP4 without an index
        (LIVE + box(b"mdat") + box(b"moov"), False),
        (ONE, False),
        (LIVE, False),
        (TO_THE_END + ONE, False),  # all of it is data, by its own account
        (ONE + box(b"moov"), False),  # an index twice is no second film
        (ONE + FTYP, False),
        (ONE + bytes(500), False),
        (ONE + b"\xff" * 500, False),
        (FTYP + box(b"uuid", ONE) + box(b"moov") + box(b"mdat"), False),
        (b"\x1aE\xdf\xa3" + ONE + ONE, False),
        (b"", False),
    ],
)
def test_a_second_film_in_a_file_is_found_by_its_boxes(tmp_path, content, joined):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    assert (OTHER_FILM in behind_the_first(path)) is joined


def test_a_joined_clip_is_taken_and_what_is_left_out_is_named(tmp_path):
    """Its second half was lost without a word."""
    parts = [faults.good(tmp_path / f"{n}.mp4", SPEC).path.read_bytes() for n in range(2)]
    (tmp_path / "joined.mp4").write_bytes(b"".join(parts))
    run = Run(tmp_path / "dataset")
    row = run.probe(tmp_path / "joined.mp4")
    assert (row["outcome"], row["frames"]) == ("kept", "10")
    assert row["other_tracks"].startswith("a second file behind the first, as cat joins them: ")
    assert run.probe(tmp_path / "0.mp4")["other_tracks"] == ""


@pytest.mark.parametrize("name", ["a.flv", "a.wmv"])
def test_a_second_film_behind_a_stream_that_ffmpeg_ends_is_named(tmp_path, name):
    """FFmpeg skips what is behind the second head; it was lost without a word."""
    encoding = Encoding(b_frames=0, **({} if name == "a.flv" else {"codec": "wmv2", "options": {}}))
    run, parts = Run(tmp_path / "dataset"), [(SPEC, encoding)]
    assert run.probe(wrappers.recordings(tmp_path / name, parts))["other_tracks"] == ""
    row = run.probe(wrappers.recordings(tmp_path / name, 2 * parts))
    assert (row["outcome"], row["frames"]) == ("kept", "10")
    assert row["other_tracks"].startswith("a second file behind the first, as cat joins them: ")


@pytest.mark.parametrize("place", [0, 1 << 20, (1 << 20) + 1, (1 << 20) - 12])
def test_a_second_head_is_found_wherever_it_lies(tmp_path, place):
    head = b"FLV\x01\x05\0\0\0\x09\0\0\0\0"
    path = tmp_path / "a.flv"
    path.write_bytes(head + bytes(place) + head + b"x" * 40)
    assert OTHER_FILM in behind_the_first(path)
    path.write_bytes(head + bytes(place) + head[:-1] + b"x" * 40)
    assert behind_the_first(path) == ""
