"""Ten minutes on a real card: does it give what the CPU gives, how fast, and how busy is it?

    python -m bench.gpu_check [--set DIR] [--config FILE ...] [--minutes 10] [--only STEP,...]
                              [--again]

The settings, and the cache of weights, are those of a run of the set in DIR (default: here).
Writes gpu.json and gpu.html: into bench/ where there is a card, else into bench/work/. Each step
runs in a process of its own, so that one that crashes loses nobody else's results, and is kept: a
second call goes on where the first one stopped, and tries again what failed or lacked something. A
step whose code, settings, card or packages have changed counts for nothing. Exit status 1 if a step
failed, or found a difference.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from bench import gpu_steps
from bench.gpu_steps import DIFFERS, LACKING, OK, STEPS, Asked
from bench.only import some_of
from ferrari.common import command_line
from ferrari.provenance import last_run

HERE = Path(__file__).parent
ROOT = HERE.parent
FAILED, NOT_REACHED = "failed", "not reached"
#: What changes a step's result, and is not read from files.
_PACKAGES = ("torch", "onnxruntime", "onnxruntime-gpu", "av", "ultralytics-opencv-headless")
_LEAST_S = 10  # a step is not begun for less


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; `--only` must name steps that exist."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu_check", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--set", type=Path, default=Path(), help="the set's folder")
    parser.add_argument("--config", nargs="*", default=[], help="settings files on top of its own")
    parser.add_argument("--minutes", type=float, default=10)
    names = ",".join(STEPS)
    parser.add_argument("--only", type=some_of(tuple(STEPS)), default=names, help=names)
    parser.add_argument("--again", action="store_true", help="forget what earlier calls found")
    parser.add_argument("--kinds", default="", help="only these kinds of clip, by name")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="kept steps, scratch")
    parser.add_argument("--out", type=Path, help="where gpu.json and gpu.html go")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Take the steps, write and print what they found; the exit status."""
    options = arguments(given)
    if options.step:
        return _take_here(options)
    files, said = last_run.files_to_run(options.set, options.config)
    if said:
        print(said, file=sys.stderr)
    options.config = [str(file.absolute()) for file in files]
    kept = options.work / "gpu"
    kept.mkdir(parents=True, exist_ok=True)
    key, until = key_of(options), time.monotonic() + options.minutes * 60
    found = {}
    for name in options.only:
        file = kept / f"{name}.json"
        found[name] = _known(file, key) if not options.again else None
        if found[name] is None:
            print(f"{name} ...", flush=True)
            found[name] = take_apart(name, options, until - time.monotonic())
            file.write_text(json.dumps({"key": key, **found[name]}))
        print(line(name, found[name]), flush=True)
    card = found.get("machine", {}).get("status") == OK
    out = options.out or (HERE if card else options.work)
    write(out, found)
    print(f"\nwritten: {out / 'gpu.json'}, {out / 'gpu.html'}")
    return int(any(step["status"] in (FAILED, DIFFERS) for step in found.values()))


# --- a step ---------------------------------------------------------------------------------------


def take_apart(name: str, options: argparse.Namespace, left_s: float) -> dict:
    """A step in a process of its own, in the time that is left."""
    if left_s < _LEAST_S:
        return {"status": NOT_REACHED, "says": "the time was over: call again", "rows": []}
    command = [sys.executable, "-m", "bench.gpu_check", "--step", name, "--kinds", options.kinds]
    command += ["--work", str(options.work.absolute()), "--set", str(options.set.absolute())]
    command += ["--config", *options.config]
    start = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=_environment(), capture_output=True, text=True, timeout=left_s
        )
    except subprocess.TimeoutExpired:
        return {"status": NOT_REACHED, "says": f"stopped after {left_s:.0f} s", "rows": []}
    seconds = round(time.monotonic() - start, 1)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        return {"status": FAILED, "says": lines[-1], "rows": [], "seconds": seconds}
    return {**json.loads(done.stdout.splitlines()[-1]), "seconds": seconds}


def _take_here(options: argparse.Namespace) -> int:
    """In the step's own process: print what it found as one line of JSON."""
    from ferrari.common import settings

    config = settings.load(*options.config)
    os.chdir(options.set)  # from where the user's settings name their files, as a run's do
    config["cache"] = os.path.abspath(config["cache"])  # a step runs the stages elsewhere
    with tempfile.TemporaryDirectory(dir=options.work) as scratch:
        kinds = [name for name in options.kinds.split(",") if name]
        found = gpu_steps.take(options.step, Asked(config, Path(scratch), kinds))
    print(json.dumps(asdict(found)))
    return 0


def _environment() -> dict[str, str]:
    paths = (str(ROOT / "scripts"), str(ROOT), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


# --- what earlier calls found ---------------------------------------------------------------------


def key_of(options: argparse.Namespace) -> str:
    """Stands for all that a result depends on: code, settings, driver and card, packages."""
    told = hashlib.sha256()
    for folder in ("scripts", "config", "bench", "tests/generator", "tests/fake_nvidia"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".yaml") and "work" not in path.parts:
                told.update(path.read_bytes())
    for path in options.config:
        told.update(Path(path).read_bytes())
    told.update(repr([options.kinds, _driver(), *map(_version, _PACKAGES)]).encode())
    return told.hexdigest()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _driver() -> str:
    """The driver and its cards in one text; asked in a process of its own, for it begins CUDA."""
    code = (
        "from ferrari.processes.nvidia_driver import look; found = look(); "
        "print(getattr(found, 'named', found), *(c.name for c in getattr(found, 'cards', [])))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _known(file: Path, key: str) -> dict | None:
    """What an earlier call found out for good, if all is as it was."""
    if not file.is_file():
        return None
    kept = json.loads(file.read_text())
    return kept if kept.pop("key") == key and kept["status"] in (OK, DIFFERS) else None


# --- what is written ------------------------------------------------------------------------------


def line(name: str, step: Mapping) -> str:
    """A step in one line."""
    said = step["says"] if step["status"] != LACKING else f"lacks: {step['says']}"
    return f"{name:<9}{step['status']:<13}{said}"


def write(out: Path, found: Mapping[str, Mapping]) -> None:
    """gpu.json, and the same as a page."""
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    (out / "gpu.json").write_text(text, encoding="utf-8")
    (out / "gpu.html").write_text(page(found), encoding="utf-8")


def page(found: Mapping[str, Mapping]) -> str:
    """A page that needs nothing but a browser: a headline and a table a step."""
    parts = [
        "<!doctype html><meta charset=utf-8><title>The card against the CPU</title>",
        "<style>body{font:15px sans-serif;margin:2em}table{border-collapse:collapse}"
        "td,th{padding:.2em .8em;border-bottom:1px solid #ccc;text-align:left}</style>",
        "<h1>The card against the CPU</h1>",
    ]
    for name, step in found.items():
        parts.append(f"<h2>{html.escape(name)}: {html.escape(step['status'])}</h2>")
        parts.append(f"<p>{html.escape(step['says'])}</p>")
        columns = list(dict.fromkeys(column for row in step["rows"] for column in row))
        if columns:
            parts.append(_table(columns, step["rows"]))
    return "\n".join(parts) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Mapping]) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    lines = [
        "<tr>" + "".join(f"<td>{html.escape(str(row.get(c, '')))}</td>" for c in columns) + "</tr>"
        for row in rows
    ]
    return f"<table><tr>{head}</tr>\n" + "\n".join(lines) + "</table>"


if __name__ == "__main__":
    command_line.begin()
    command_line.run(main)
