"""Holds each file of a folder against ffmpeg: `python -m tests.wild FOLDER...`.

Status 0 only if no difference is unexplained; also, with the reason, if there is no ffmpeg to ask.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.wild import our_view, report
from tests.wild.causes import explain
from tests.wild.comparing import Clip, differences
from tests.wild.ffmpeg_view import OLDEST, Ffmpeg, NoFfmpegError, Source
from tests.wild.report import Result

_TOLD_EACH = 25  # files
_FORK = multiprocessing.get_context("fork")


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; 1 if anything is unexplained or failed."""
    given = _parser().parse_args(arguments)
    try:
        ffmpeg = Ffmpeg()
    except NoFfmpegError as error:
        print(f"skipped: {error}. Install ffmpeg {'.'.join(map(str, OLDEST))} or later to compare.")
        return 0
    print(ffmpeg.named, flush=True)
    files = list(_files(given.folders, given.only))
    shutil.rmtree(given.work / "pictures", ignore_errors=True)
    given.work.mkdir(parents=True, exist_ok=True)
    task = partial(judge, ffmpeg=ffmpeg, work=given.work, most_frames=given.most_frames)
    results = []
    with _FORK.Pool(given.jobs, initializer=_silence) as pool:
        for result in pool.imap(task, files):
            results.append(result)
            if len(results) % _TOLD_EACH == 0:
                print(f"{len(results)} of {len(files)} files", flush=True)
    report.write_tables(results, given.work)
    text = report.as_text(results, given.work, given.all)
    (given.work / "report.txt").write_text(f"{ffmpeg.named}\n\n{text}\n")
    print(text)
    return int(any(result.unexplained or result.fault for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="searched with all folders in them")
    parser.add_argument("--only", default="", help="files alone whose path holds this")
    parser.add_argument("--work", type=Path, default=Path("wild"), help="for tables and pictures")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--most-frames", type=int, default=20_000, help="clips of more frames are not looked at"
    )
    parser.add_argument(
        "--all", action="store_true", help="tell explained differences in full, too"
    )
    return parser


def _files(folders: Sequence[Path], only: str) -> list[tuple[str, Path]]:
    """Each file's name, beginning with that of the folder given, and its path."""
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise SystemExit(f"{folder} is no folder; name the folder that holds the clips")
        root = folder.resolve()
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root.parent).as_posix()
            if path.is_file() and only in name:
                found.append((name, path))
    return found


def _silence() -> None:
    """FFmpeg's complaints would be all that is to be seen."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def judge(file: tuple[str, Path], ffmpeg: Ffmpeg, work: Path, most_frames: int) -> Result:
    """Both views of one file, given by name and path, and what differs between them."""
    name, path = file
    started, result = time.monotonic(), Result(name)
    scratch = work / f"scratch-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        _compare(result, path, ffmpeg, scratch, most_frames, work / "pictures")
    except Exception:  # noqa: BLE001 - handed on: reported as failed, and the status is 1
        result.fault = traceback.format_exc(limit=-4)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        result.seconds = time.monotonic() - started
    return result


def _compare(
    result: Result, path: Path, ffmpeg: Ffmpeg, scratch: Path, most_frames: int, pictures: Path
) -> None:
    ours = our_view.look(path, scratch, most_frames)
    result.verdict, result.frames = ours.refused or "OK", len(ours.frames)
    if ours.too_long:
        result.skipped = f"{ours.probe['frames']} frames, --most-frames is {most_frames}"
        return
    theirs = ffmpeg.look(path)
    clip = Clip(result.clip, ours, theirs, Source(ffmpeg, path, theirs.start_s))
    found = differences(clip)
    explain(clip, found)
    report.save_pictures(clip, found, pictures / report.folder_of(result.clip))
    result.findings = report.findings(result.clip, found)


if __name__ == "__main__":
    sys.exit(main())
