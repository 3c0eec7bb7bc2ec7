"""Fuzzes stages 0 and 1: `python -m tests.fuzz 500 --seed 0 --jobs 2`, or `--media FOLDER`.

Each mutant must end with one verdict, sound tables, files as listed, no exception, and within the
limits. One that fails is saved, with its number, which with the seed makes it again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from tests.fuzz.bases import Base, write_bases
from tests.fuzz.judge import Result, judge
from tests.fuzz.mutants import mutant

_FORK = multiprocessing.get_context("fork")


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=500, help="number of mutants")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--media", type=Path, help="judge the files of this folder instead")
    parser.add_argument(
        "--save", type=Path, default=Path("cache/fuzz-failures"), help="for failures"
    )
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        if given.media:
            files = sorted(path for path in given.media.rglob("*") if path.is_file())
            results = run_all(partial(_judge_file, Path(scratch)), files, given.jobs)
        else:
            bases = write_bases(Path(scratch) / "bases")
            task = partial(_judge_mutant, Path(scratch), given.seed, bases, given.save)
            numbers = range(given.first, given.first + given.count)
            results = run_all(task, numbers, given.jobs)
    return report(results)


def run_all(task, items: Iterable, jobs: int) -> list[Result]:
    """`task` on each item, `jobs` at a time; the results in the order of the items."""
    with _FORK.Pool(jobs, initializer=_silence) as pool:
        return pool.map(task, items, chunksize=4)


def _silence() -> None:
    """FFmpeg's complaints end in each job's log; here they would be all that is to be seen."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _judge_mutant(scratch: Path, seed: int, bases: list[Base], save: Path, number: int) -> Result:
    made = mutant(number, seed, bases)
    raw = scratch / made.name
    raw.write_bytes(made.data)
    truth = [frame for base in made.of for frame in base.frames_rgb]
    result = judge(raw, scratch / f"data-{number}", truth)
    if result.problems:
        save.mkdir(parents=True, exist_ok=True)
        (save / made.name).write_bytes(made.data)
    _clear(scratch / f"data-{number}", raw)
    return result


def _judge_file(scratch: Path, path: Path) -> Result:
    folder = scratch / f"data-{abs(hash(path))}"
    result = judge(path, folder)
    result.name = f"{path.parent.name}/{path.name}"
    _clear(folder)
    return result


def _clear(folder: Path, *files: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for file in files:
        file.unlink(missing_ok=True)


def report(results: list[Result]) -> int:
    """Print what became of the files; 1 if any failed."""
    failed = [result for result in results if result.problems]
    print(f"{len(results)} tried, {sum(bool(r.verdict) for r in results)} verdicts")
    for verdict, count in Counter(result.verdict for result in results).most_common():
        print(f"  {count:6d}  {verdict}")
    print("slowest: " + ", ".join(
        f"{r.name} {r.seconds:.2f} s" for r in sorted(results, key=lambda r: -r.seconds)[:5]
    ))  # fmt: skip
    print("limits hit: " + (", ".join(f"{r.name} ({r.verdict})" for r in results if r.hit_a_limit)
                            or "none"))  # fmt: skip
    kept, garbage = sum(r.kept for r in results), [(r, g) for r in results for g in r.garbage]
    judged = sum(len(r.off) for r in results)
    lost = sum(result.lost_s for result in results)
    print(f"frames kept {kept}, set aside {sum(r.quarantined for r in results)}, {lost:.1f} s lost")
    if judged:
        share = len(garbage) / judged
        print(f"kept frames unlike any true one: {len(garbage)} of {judged} ({share:.2%})")
        _print_shares(results)
        for result, (item, mean, block) in sorted(garbage, key=lambda p: -p[1][2])[:20]:
            print(f"  {result.name} {item[-7:]}: mean {mean:.1f}, worst block {block:.1f}")
    print(f"failures of ours: {len(failed)}")
    for result in failed:
        print(f"FAILED {result.name}: " + "\n  ".join(result.problems[:5]))
    return int(bool(failed))


def _print_shares(results: list[Result]) -> None:
    """Kept frames, and those of them that are garbage, by clip and by mutation."""
    for part, title in ((-1, "clip"), (2, "mutation")):
        kept, garbage = Counter(), Counter()
        for result in results:
            key = result.name.split("-", 3)[2] if part == 2 else result.name.rsplit("-", 1)[1]
            kept[key] += len(result.off)
            garbage[key] += len(result.garbage)
        shares = (f"{key} {garbage[key]}/{kept[key]}" for key in sorted(kept))
        print(f"  by {title}: " + ", ".join(shares))


if __name__ == "__main__":
    sys.exit(main())
