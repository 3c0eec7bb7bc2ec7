"""Makes one dataset in several ways and compares every byte: `python -m tests.determinism`."""

from __future__ import annotations

import getpass
import hashlib
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.chaos import START_S, chaos, measured
from tests.generator import faults
from tests.workflow import small_run
from tests.workflow.demo_run import Demo

RAW = "00_raw_videos/"
#: Files over the whole set: a clip more is a row more in them.
WHOLE_SET = (
    *("videos.csv", "croissant.json", "05_final_training/final.csv", "05_final_training/kohya.csv"),
    *("05_final_training/imagefolder.csv", "05_final_training/imagefolder/train/metadata.jsonl"),
)


def outputs(run: Demo) -> dict[str, str]:
    """SHA-256 of every file of a run's dataset but the raw clips, by path."""
    return {name: digest for name, digest in run.digests().items() if not name.startswith(RAW)}


def digest(files: dict[str, str]) -> str:
    """One SHA-256 over the sorted `digest  path` lines of a dataset."""
    lines = "".join(f"{files[name]}  {name}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def cases(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """(case, files) of datasets that have to be equal: the first is what the others are held to."""
    unbroken, span_s = measured(folder / "two cores")
    yield "--cores 2", outputs(unbroken)
    yield (
        "--cores 1, another folder, no warm workers",
        outputs(one_core(folder / "some/where else")),
    )
    yield "raw_videos elsewhere, by an absolute path", outputs(raw_elsewhere(folder))
    met = chaos(folder / "killed", unbroken, span_s - START_S, kills=3, seed=5, say=_silent)
    assert not met.faults, met
    yield f"killed {len(met.kills)} times", outputs(unbroken)  # chaos compared each file with it
    yield "a clip added, its own files left out", without_the_new(unbroken, folder / "more")


def one_core(folder: Path) -> Demo:
    """The small run with one core, each job by itself, in a folder of another length and depth."""
    run = small_run.start(folder)
    run.run("--cores", "1", overlay={"warm_workers": False})
    return run


def raw_elsewhere(folder: Path) -> Demo:
    """The small run on clips outside of the dataset, named by an absolute path."""
    run = Demo(folder / "elsewhere")
    run.folder.mkdir()
    small_run.write_clips(folder / "clips")
    run.run("--cores", "2", overlay={"raw_videos": str(folder / "clips")})
    return run


def without_the_new(unbroken: Demo, folder: Path) -> dict[str, str]:
    """Files of a run to which a clip was added later; those over the whole set as they were."""
    before = outputs(unbroken)
    run = unbroken.copy(folder)
    spec = replace(small_run.SPECS["wave_two.mp4"], seed=77)  # or it were a copy of that clip
    faults.good(run.dataset / RAW / "added.mp4", spec)
    run.run("--cores", "2")
    after = outputs(run)
    for name in before:
        if name in WHOLE_SET or name in {_stamp(table) for table in WHOLE_SET}:
            assert after.pop(name) != before[name], f"{name} does not know of the new clip"
            after[name] = before[name]
    return {name: value for name, value in after.items() if name in before}


def _stamp(table: str) -> str:
    return f"stamps/{Path(table).with_suffix('.json')}"


def _silent(*_: object, **__: object) -> None:
    pass


def traces_of_the_machine(run: Demo) -> list[str]:
    """Tables, stamps and texts of a dataset that hold its folder, the user or the machine."""
    words = {str(run.folder), str(run.repository), str(Path.home()), socket.gethostname()}
    words |= {getpass.getuser()} - {"root"}  # a word too common to look for
    words = {word.encode() for word in words if len(word) > 3}
    files = [path for path in run.dataset.rglob("*") if path.suffix in _TEXTS and path.is_file()]
    assert files
    return [str(path) for path in files if any(word in path.read_bytes() for word in words)]


_TEXTS = {".csv", ".json", ".jsonl", ".txt", ".toml"}


def main() -> int:
    """Print the table of digests; the exit status is 1 if they differ."""
    found = []
    with tempfile.TemporaryDirectory(prefix="determinism.") as folder:
        for case, files in cases(Path(folder)):
            found.append(files)
            differ = len({name for name, _ in set(files.items()) ^ set(found[0].items())})
            print(f"{digest(files)}  {len(files):4d} files  {differ:3d} differ  {case}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(files == found[0] for files in found) else 1


if __name__ == "__main__":
    sys.exit(main())
