"""The sets that are reviewed: the demo, and three of its clips for a quick look."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.generator import cast, demo, faults
from tests.workflow.demo_run import ROOT, Demo

#: Says that the folder beside it was made here, and may be removed.
MARK = "made-by-review-demo"


class ForeignFolderError(Exception):
    """A folder holds something that was not made here, and is left alone."""


def own_folder(folder: Path) -> Path:
    """The folder of the command, made if need be. Raises ForeignFolderError for anybody else's."""
    if folder.exists() and not (folder / MARK).exists() and any(folder.iterdir()):
        raise ForeignFolderError(
            f"{folder} holds files that this command did not make: name a folder that is empty, or "
            "that is not there yet (WORK=...)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    return folder


def finished(folder: Path, clips: Callable[[Path], None], cores: int) -> Demo:
    """A set that is run to its end, in `folder`; its clips are written where there are none yet."""
    if not (folder / "truth.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        clips(folder)
    run = Demo(folder)
    run.run("--cores", str(cores))
    return run


def fresh_copy(run: Demo, folder: Path) -> Demo:
    """The set in another folder, in place of what was there."""
    shutil.rmtree(folder, ignore_errors=True)
    return run.copy(folder)


def of_the_demo(folder: Path) -> None:
    """The demo's clips, the pictures that say who its subject is, and the truth."""
    raw = folder / "dataset/00_raw_videos"
    words = ("--pictures", str(folder), "--truth", str(folder / "truth.json"))
    command = [sys.executable, "-m", "tests.generator", str(raw), *words]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def of_three_clips(folder: Path) -> None:
    """Three short ones of the demo's clips: the subject alone, with a friend, the friend alone."""
    raw = folder / "dataset/00_raw_videos"
    raw.mkdir(parents=True)
    people = cast.many_people()
    specs = {name: people[name].spec for name in ("friends_cross.mp4", "bystander.mp4")}
    walk = demo.demo_specs()["walk_room.mp4"]
    specs["walk_room.mp4"] = replace(walk, n_frames=96, frozen_runs=())
    truths = [faults.good(raw / name, spec) for name, spec in specs.items()]
    cast.write_pictures(folder)
    files = [truth.to_json() for truth in truths]
    (folder / "truth.json").write_text(json.dumps({"files": files}))
