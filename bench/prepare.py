"""What the parts start from: the config's settings, probed clips, tables of frames and crops."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench import peers
from bench.measure import ROOT, run, task
from bench.results import Part
from ferrari.images import image_files
from ferrari.ledger import item_ids
from ferrari.ledger import tables as ledger_tables
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec, FigureSpec


@dataclass(frozen=True)
class Bench:
    """How to run: the folder for everything made, repeats, whether quick, and where to report.

    `keep` is given a part that is not complete yet, so that what fails later does not lose it.
    """

    work: Path
    repeats: int = 3
    quick: bool = False
    log: Callable[[str], None] = print
    keep: Callable[[Part], None] = lambda part: None

    def fresh(self, name: str) -> Path:
        """An empty folder of that name below the work folder."""
        folder = self.work / "run" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    @property
    def cache(self) -> Path:
        """Where networks keep their own caches, so that no run pays for another's first one."""
        return self.work / "cache"


def section(name: str, **changed: object) -> dict:
    """A section of config.yaml with `changed` settings."""
    return {**yaml.safe_load((ROOT / "config/config.yaml").read_text())[name], **changed}


def threads() -> int:
    """Threads of a job that has the machine to itself, as the peers have: one for each core."""
    return len(os.sched_getaffinity(0))


def bench_environment() -> dict[str, str]:
    """The environment of a process of ours that is to find `bench` and `ferrari`."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    return {**os.environ, "PYTHONPATH": paths}


def extract_settings(**changed: object) -> dict:
    """The `extract` section for the CPU decoder."""
    return section("extract", decoder="cpu", **changed)


def probed(dataset: Path, clips: Sequence[Path]) -> None:
    """Write the probe tables of `clips`."""
    settings = section("probe", min_short_side=32)
    task("probe", raws=list(clips), dataset=dataset, settings=settings)


def frame_rows(dataset: Path, clips: Sequence[Path]) -> dict[str, list[dict[str, str]]]:
    """Rows of stage 1's tables, by file name."""
    return {
        clip.name: ledger_tables.read_stage(
            dataset / f"01_extracted_frames/{item_ids.video_id(clip.name)}.csv", "extract"
        )
        for clip in clips
    }


def frames(dataset: Path, clips: Sequence[Path], fps: float, most: int) -> list[dict[str, str]]:
    """Frames of `clips` sampled at `fps`, repeats and all, at most `most`, spread evenly."""
    probed(dataset, clips)
    settings = extract_settings(fps=fps, duplicate_delta=0.0)
    task("extract", raws=list(clips), dataset=dataset, settings=settings, threads=2)
    rows = [row for each in frame_rows(dataset, clips).values() for row in ledger_tables.kept(each)]
    return spread(rows, most)


def spread(rows: Sequence, most: int) -> list:
    """At most `most` of `rows`, evenly along them."""
    if len(rows) <= most:
        return list(rows)
    return [rows[index * len(rows) // most] for index in range(most)]


def crops(
    bench: Bench, dataset: Path, rows: Sequence[Mapping], video: str, weights: Path, size: int
) -> list[dict[str, str]]:
    """Stage 2's rows for a table of frames."""
    table = dataset / f"01_extracted_frames/{video}.csv"
    ledger_tables.write_stage(table, "extract", rows)
    crop_task(bench, dataset, [table], weights, size)
    return ledger_tables.read_stage(dataset / f"02_yolo_crops/{video}.csv", "crop")


def detect_settings(weights: Path, size: int) -> dict:
    """The `detect` section for weights of that input size on the CPU."""
    return section("detect", weights=str(weights), image_size=size, device="cpu")


def crop_task(bench: Bench, dataset: Path, tables: Sequence[Path], weights: Path, size: int):
    """Run stage 2 on a table of frames; its cost. Of two tables: the second's less the first's."""
    return task(
        "crop",
        tables=list(tables),
        dataset=dataset,
        weights=weights,
        settings=detect_settings(weights, size),
        cache=bench.cache,
        threads=threads(),
    )


def linked(folder: Path, files: Sequence[Path]) -> Path:
    """`folder`, made anew, with a symbolic link to each file."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in files:
        (folder / file.name).symlink_to(file.resolve())
    return folder


def compile_matting(bench: Bench, isnet: Path) -> None:
    """Have rembg and ours compile their matting, which they do at the first use ever, outside any
    clock.
    """
    names = ", ".join(f"ferrari.matting.{name}" for name in ("closed_form", "foreground"))
    run([sys.executable, "-c", f"import {names}"], env=bench_environment())
    folder = bench.fresh("warm")
    figure = FigureSpec(seed=1)
    drawn = render_frame(ClipSpec(seed=1, width=160, height=120, figures=(figure,)), 0)
    (folder / "in").mkdir()
    (folder / "in/drawn.png").write_bytes(image_files.encode_png(drawn.frame_rgb))
    env = peers.rembg_env(isnet, bench.work / "rembg_home")
    run(peers.rembg_folder(folder / "in", folder / "out", "-a"), env=env)


def clips_with_people(bench: Bench, count: int) -> list[Path]:
    """Real clips of people where they are shared, else the bench's own short ones."""
    from bench import clips

    return peers.people_clips()[:count] or clips.short_clips(bench.work, min(count, 10))
