"""A slice of the fuzzing, the nasties, and every real file: one verdict each, whatever it is."""

from __future__ import annotations

from functools import partial

import pytest

from tests.fuzz import run
from tests.fuzz.bases import write_bases
from tests.fuzz.judge import judge
from tests.fuzz.mutants import MUTATIONS, mutant
from tests.fuzz.nasties import nasties
from tests.shared import shared


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    return write_bases(tmp_path_factory.mktemp("bases"))


def test_a_mutant_is_the_same_for_ever(bases, tmp_path):
    names = ("faststart.mp4", "hevc.mp4", "h264.mkv", "vp9.webm", "h264.ts")
    some, again = [b for b in bases if b.name in names], write_bases(tmp_path, names)
    assert [base.data for base in again] == [base.data for base in some]
    for number in range(60):
        one, other = mutant(number, 3, some), mutant(number, 3, again)
        assert (one.name, one.data) == (other.name, other.data)
    made = {mutant(number, 3, bases).mutation for number in range(120)}
    assert made == set(MUTATIONS)
    assert mutant(0, 3, bases).data != mutant(0, 4, bases).data


def test_every_base_is_sound(bases, tmp_path):
    for base in bases[::3]:
        raw = tmp_path / base.name
        raw.write_bytes(base.data)
        result = judge(raw, tmp_path / "data", base.frames_rgb)
        assert (result.verdict, result.problems, result.garbage) == ("OK", [], []), base.name
        assert (result.kept, result.quarantined) == (18, 0), base.name


def test_forty_mutants_end_in_a_verdict(bases, tmp_path):
    task = partial(run._judge_mutant, tmp_path, 2026, bases, tmp_path / "failures")
    results = run.run_all(task, range(40), jobs=2)
    assert [(r.name, r.problems) for r in results if r.problems] == []
    assert len({result.verdict for result in results}) >= 3


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (78, "a decoder's thread waited for the GIL while the codec was closed"),
        (268, "a frame of 40,000 px, which no WebP can hold"),
        (676, "the same wait"),
    ],
)
def test_what_failed_once(bases, tmp_path, number, why):
    result = run._judge_mutant(tmp_path, 11, bases, tmp_path / "failures", number)
    assert result.problems == [] and not result.hit_a_limit, why


def test_nasties_end_in_a_verdict(bases, tmp_path):
    for name, data in nasties({base.name: base for base in bases}).items():
        raw = tmp_path / name
        raw.write_bytes(data)
        result = judge(raw, tmp_path / "data", limits={"timeout_s": 10, "memory_mb": 2048})
        assert result.problems == [], name
        assert result.seconds < 12, name
        if name.startswith(("playlist", "concat", "session", "text", "only", "zeros", "one")):
            assert result.verdict in ("CORRUPT_CONTAINER", "NOT_A_VIDEO", "NO_VIDEO_STREAM"), name


def test_a_fault_of_ours_is_seen(bases, tmp_path, monkeypatch):
    """The judge itself: a frame without a row, and one that looks like none of the clip's."""
    from ferrari.video import extraction, frame_encoding

    base = bases[0]
    raw = tmp_path / base.name
    raw.write_bytes(base.data)
    encode = frame_encoding.encode_webp_yuv
    monkeypatch.setattr(
        frame_encoding, "encode_webp_yuv", lambda i420, quality: encode(255 - i420, quality)
    )
    assert judge(raw, tmp_path / "data", base.frames_rgb).garbage
    monkeypatch.setattr(extraction, "luma_delta", lambda a, b: 1 / 0)
    result = judge(raw, tmp_path / "data")
    assert result.verdict == "EXCEPTION" and "ZeroDivisionError" in result.problems[0]


@pytest.mark.real
@pytest.mark.timeout(900)
def test_every_real_file_ends_in_a_verdict(tmp_path):
    files = sorted(path for path in shared("media").rglob("*") if path.is_file())
    results = run.run_all(partial(run._judge_file, tmp_path), files, jobs=2)
    assert len(results) == len(files) > 100
    assert [(r.name, r.problems) for r in results if r.problems] == []
    assert [r.name for r in results if r.hit_a_limit] == []
