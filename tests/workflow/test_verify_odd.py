"""`verify` finds nothing wrong with what the pipeline made of odd clips: no alarm on sound data."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from ferrari.ledger import tables
from ferrari.verification.clip import time_fault
from tests.generator import faults, oddities
from tests.generator.encode import encode, encoding_of, frames_of
from tests.generator.spec import ClipSpec, FigureSpec
from tests.workflow import small_run
from tests.workflow.demo_run import Demo
from tests.workflow.test_verify import look

pytestmark = pytest.mark.timeout(600)
#: What a run up to the final table leaves out.
NOT_ASKED_FOR = {
    ("tables_present", "croissant.json"),
    ("tables_present", "subject/references.csv"),
}


def clip(seed: int, **changed) -> ClipSpec:
    figures = (FigureSpec(seed=seed + 100, framing="half", motion="wave"),)
    return ClipSpec(seed=seed, figures=figures, **{"n_frames": 14, **changed})


def without_times(path: Path, spec: ClipSpec) -> None:
    """An elementary stream: packets and nothing else, so no frame has a timestamp."""
    encode(path, frames_of(spec), replace(encoding_of(spec), container="h264", b_frames=0))


def without_length(path: Path, spec: ClipSpec) -> None:
    """What a live recorder leaves: no duration and no index."""
    encoding = replace(encoding_of(spec), container="matroska", container_options={"live": "1"})
    encode(path, frames_of(spec), encoding)


def before_zero(path: Path, spec: ClipSpec) -> None:
    """A clip whose first frames are shown before its clock's zero; Matroska loses all its times."""
    encoding = replace(
        encoding_of(spec), b_frames=0, time_base="1/1000",
        pts=[40 * k - 300 for k in range(spec.n_frames)],
        container_options={"avoid_negative_ts": "disabled"},
    )  # fmt: skip
    encode(path, frames_of(spec), encoding)


def in_ticks(path: Path, spec: ClipSpec, time_base: Fraction) -> None:
    """A clip in odd units of time, with uneven steps."""
    step = 1 / (Fraction(spec.fps) * time_base)
    pts = [round(k * step) + k % 2 for k in range(spec.n_frames)]
    encoding = replace(encoding_of(spec), container="nut", b_frames=0, time_base=str(time_base))
    encode(path, frames_of(spec), replace(encoding, pts=pts))


#: What is odd about a clip, by its file's name, and what writes it.
ODD: dict[str, Callable[[Path, ClipSpec], object]] = {
    "no times.h264": without_times,
    "no length.mkv": without_length,
    "one frame.mp4": faults.one_frame,
    "before zero.ts": before_zero,
    "before zero.mkv": before_zero,
    "ticks.nut": lambda path, spec: in_ticks(path, spec, Fraction(1, 90_007)),
    'it\'s "two"\nlines.mp4': lambda path, spec: faults.good(path, replace(spec, fps="30000/1001")),
    "packed.avi": faults.good,
    "=turned.mp4": lambda path, spec: oddities.rotated(path, spec, 90),
    "interlaced.mp4": oddities.interlaced,
    "nobody.mp4": lambda path, spec: faults.good(path, replace(spec, figures=())),
    "cut off.mp4": faults.truncated,
    "page.mp4": lambda path, spec: faults.html(path),
}


def made_of(folder: Path, clips: dict[str, ClipSpec]) -> Demo:
    run = Demo(folder)
    raw = run.dataset / "00_raw_videos"
    raw.mkdir(parents=True)
    for name, spec in clips.items():
        ODD[name](raw / name, spec)
    return run


def findings(run: Demo) -> set[tuple[str, str, str]]:
    """(check, where, why) of all that `verify` reports, beyond what the run was not asked for."""
    verdict = look(run.dataset, formats=())
    return {
        (one.check, one.where, one.why)
        for one in verdict.findings.listed()
        if (one.check, one.where) not in NOT_ASKED_FOR
    }


def rows_of(run: Demo, name: str, stage: str = "01_extracted_frames") -> list[dict[str, str]]:
    videos = tables.read_stage(run.dataset / "videos.csv", "videos")
    (video,) = [row["item"] for row in videos if row["file"] == name]
    return tables.read_table(run.dataset / f"{stage}/{video}.csv")


@pytest.mark.parametrize(
    ("pts", "time_base", "time_s", "sound"),
    [
        *(("51000", "1/90000", "0.566667", True), ("-320", "1/1000", "-0.32", True)),
        *(("1", "1001/30000", "0.033367", True), ("3601", "1/90007", "0.040008", True)),
        *(("", "1/1000", "0.04", True), ("40", "", "0.04", True), ("", "", "7.5", True)),
        *(("102000", "1/90000", "0.566667", False), ("1", "1/0", "0.0", False)),
        *(("1", "a second", "1.0", False), ("40", "1/1000", "0.041", False)),
        *(("40", "1e999", "0.04", False), ("40", "1/1000", "1e999", False)),
    ],
)
def test_a_time_that_is_not_its_timestamps_is_a_fault(pts, time_base, time_s, sound):
    fault = time_fault({"pts": pts, "time_base": time_base, "time_s": time_s})
    assert (fault == "") == sound


def test_odd_clips_that_came_through_are_sound(tmp_path):
    run = made_of(tmp_path / "run", {name: clip(60 + k) for k, name in enumerate(ODD)})
    run.run("--cores", "2", small_run.FINAL)
    assert findings(run) == set()
    final = tables.kept(tables.read_stage(run.dataset / "05_final_training/final.csv", "final"))
    images = {row["video"].rpartition("-")[0] for row in final}
    assert {"no-times", "no-length", "one-frame", "before-zero", "ticks", "packed"} <= images
    assert all(not row["pts"] and row["time_s"] for row in rows_of(run, "no times.h264"))
    assert rows_of(run, "before zero.ts")[0]["time_s"].startswith("-")


def test_a_set_of_which_nothing_is_left_is_sound(tmp_path):
    run = made_of(tmp_path / "run", {name: clip(80) for name in ("nobody.mp4", "page.mp4")})
    run.run("--cores", "2", small_run.FINAL)
    assert findings(run) == set()
    assert tables.read_stage(run.dataset / "05_final_training/final.csv", "final") == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_random_odd_clips_and_their_packages_are_sound(tmp_path, seed):
    rng = random.Random(seed)
    clips = {}
    for number, name in enumerate(ODD):
        size = rng.choice([(854, 480), (480, 854), (1280, 720), (640, 480)])
        rate = rng.choice(["25", "24000/1001", "15", "60", "12"])
        figures = (FigureSpec(seed=rng.randrange(1000), framing=rng.choice(["full", "close"])),)
        clips[name] = clip(
            1000 * seed + number, width=size[0], height=size[1], fps=rate,
            n_frames=rng.randrange(2, 40), gop=rng.choice([1, 5, 48]),
            b_frames=rng.choice([0, 2]), scenes=(rng.choice(["room", "outdoor"]),),
        )  # fmt: skip
        clips[name] = replace(clips[name], figures=figures)
    run = made_of(tmp_path / "run", clips)
    run.run("--cores", "2")
    verdict = look(run.dataset)
    assert [(one.check, one.where, one.why) for one in verdict.findings.listed()] == []
