"""Run the benchmarks: `python -m bench [--only PART,...] [--repeats N] [--quick]`.

Each part runs in a process of its own, so that one that fails loses nobody else's results.
Writes results.json and results.html, into bench/ after a run in full, else into bench/work/, and
prints the table. BENCH_ONLY, BENCH_REPEATS and BENCH_QUICK in the environment do the same.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import machine, results
from bench.measure import PeerMissingError
from bench.only import some_of
from bench.prepare import Bench

PARTS = (
    *("extraction", "detection", "masks", "end_to_end", "orchestration", "memory"),
    *("scale", "pages", "gpu-simulated", "gpu-controls", "gpu-twelve", "gpu-twelve-more"),
)
HERE = Path(__file__).parent
_PART_LIMIT_S = 4 * 3600


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; `--only` must name parts that exist."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    env = os.environ.get
    parser.add_argument("--only", type=some_of(PARTS), default=env("BENCH_ONLY") or ",".join(PARTS))
    parser.add_argument("--repeats", type=int, default=int(env("BENCH_REPEATS") or 3))
    parser.add_argument("--quick", action="store_true", default=bool(env("BENCH_QUICK")))
    parser.add_argument("--work", type=Path, default=HERE / "work", help="clips and scratch files")
    parser.add_argument("--out", type=Path, help="where results.json and .html go")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args(given)
    # A part or a quick look must not take the place of the figures of a run in full.
    whole = not options.quick and tuple(options.only) == PARTS
    options.out = (options.out or (HERE if whole else options.work)).resolve()
    options.work = options.work.resolve()
    return options


def main(given: Sequence[str] | None = None) -> int:
    """Run the parts, write, print; the exit status is 1 if a part failed."""
    options = arguments(given)
    # Without bytecode every start compiles what it imports anew: of rembg, 1.4 s of CPU time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for folder in (options.work, options.out):
        folder.mkdir(parents=True, exist_ok=True)
    if options.part:
        save_part(options)
        return 0
    parts = [run_part(name, options) for name in options.only]
    said = {"quick": options.quick, "repeats": options.repeats}
    file = options.out / "results.json"
    results.save(file, machine.describe(), said, parts)
    write_page(file)
    print(results.table(parts))
    return int(any(part.status == results.FAILED for part in parts))


def write_page(file: Path) -> None:
    """results.html beside results.json."""
    from bench.page import page

    file.with_suffix(".html").write_text(page(*results.load(file)), encoding="utf-8")


def run_part(name: str, options: argparse.Namespace) -> results.Part:
    """A part, measured in a process of its own; a failure of it becomes its reason."""
    command = [sys.executable, "-m", "bench", "--part", name, "--work", str(options.work)]
    command += ["--repeats", str(options.repeats), *(["--quick"] if options.quick else [])]
    file, start = part_file(options.work, name), time.monotonic()
    file.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            command,
            cwd=HERE.parent,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_PART_LIMIT_S,
            check=False,
        )
        said, fine = done.stderr.strip(), done.returncode == 0
    except subprocess.TimeoutExpired:
        said, fine = f"stopped after {_PART_LIMIT_S} s", False
    part = results.Part(name)
    if file.exists():
        part = results.part_from(json.loads(file.read_text(encoding="utf-8")))
    if not fine:
        print(said, file=sys.stderr)
        part.status, part.reason = results.FAILED, reason_of(said)
        part.seconds = time.monotonic() - start
    return part


def reason_of(text: str) -> str:
    """The last error of a traceback and what follows it, with paths cut down to their names."""
    starts = [hit.start() for hit in re.finditer(r"^[\w.]*(?:Error|Exception)\b", text, re.M)]
    last = text[starts[-1] :] if starts else (text.splitlines() or ["no reason given"])[-1]
    return re.sub(r"(?:/[\w.+@-]+)+/", "", last)[:1500]


def part_file(work: Path, name: str) -> Path:
    """Where a part's process leaves its results."""
    return work / f"part-{name}.json"


def save_part(options: argparse.Namespace) -> None:
    """Measure one part here and leave its results for the parent."""
    start = time.monotonic()
    file = part_file(options.work, options.part)

    def keep(part: results.Part) -> None:
        file.write_text(json.dumps(results.part_json(part), ensure_ascii=False), encoding="utf-8")

    module = importlib.import_module(f"bench.part_{options.part.replace('-', '_')}")
    log = functools.partial(print, flush=True)
    bench = Bench(options.work, options.repeats, options.quick, log, keep)
    try:
        part = module.measure(bench)
    except PeerMissingError as missing:
        part = results.Part(options.part, results.SKIPPED, str(missing))
    part.seconds = time.monotonic() - start
    keep(part)


if __name__ == "__main__":
    sys.exit(main())
