"""A small workflow for tests that break it: two good clips and a thumbnail, the demo's network."""

from __future__ import annotations

import json
from pathlib import Path

from tests.generator import faults
from tests.generator.spec import ClipSpec, FigureSpec
from tests.workflow.demo_run import Demo

#: The last table before reports and packages: what most faults are injected ahead of.
FINAL = "dataset/05_final_training/final.csv"
SPECS = {
    "walk one.mp4": ClipSpec(
        seed=31, n_frames=30, scenes=("room",), figures=(FigureSpec(seed=131, framing="full"),)
    ),
    "wave_two.mp4": ClipSpec(
        seed=32,
        n_frames=30,
        scenes=("outdoor",),
        figures=(FigureSpec(seed=132, framing="half", motion="wave"),),
    ),
}


def write_clips(raw: Path) -> dict[str, str]:
    """Write the small run's clips into `raw` (which is made); stage 0's verdict by file name."""
    raw.mkdir(parents=True, exist_ok=True)
    truths = [faults.good(raw / name, spec) for name, spec in SPECS.items()]
    tiny = ClipSpec(seed=33, width=160, height=120, n_frames=5, figures=())
    truths.append(faults.low_resolution(raw / "thumbnail.mp4", tiny))
    return {truth.path.name: truth.verdict for truth in truths}


def start(folder: Path) -> Demo:
    """The small run's clips in `folder`, and nothing done yet."""
    verdicts = write_clips(folder / "dataset/00_raw_videos")
    files = [{"file": name, "verdict": verdict} for name, verdict in verdicts.items()]
    (folder / "truth.json").write_text(json.dumps({"files": files}))
    return Demo(folder)
