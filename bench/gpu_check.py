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
import signal
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
#: What has a run do without the card where it gives something else.
INSTEAD = {
    "clips": "set `extract.decoder: cpu`",
    "detect": "set `detect.device: cpu`",
    "mask": "set `mask.device: cpu`",
    "matting": "set `mask.matting: closed_form`",
}
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
    print("", *what_now(found), f"written: {out / 'gpu.json'}, {out / 'gpu.html'}", sep="\n")
    return int(any(step["status"] in (FAILED, DIFFERS) for step in found.values()))


# --- a step ---------------------------------------------------------------------------------------


def take_apart(name: str, options: argparse.Namespace, left_s: float) -> dict:
    """A step in a process of its own, in the time that is left."""
    if left_s < _LEAST_S:
        return {"status": NOT_REACHED, "says": "the time was over: call again", "rows": []}
    start, log = time.monotonic(), options.work / "gpu" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.work) as scratch:
        done = _in_time(_step_command(name, options, scratch), left_s)
    seconds = round(time.monotonic() - start, 1)
    if done is None:
        return {"status": NOT_REACHED, "says": f"stopped after {left_s:.0f} s", "rows": []}
    log.write_text(done.stderr, encoding="utf-8")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        says = f"{lines[-1]} (all that it printed: {log})"
        return {"status": FAILED, "says": says, "rows": [], "seconds": seconds}
    return {**json.loads(done.stdout.splitlines()[-1]), "seconds": seconds}


def _step_command(name: str, options: argparse.Namespace, scratch: str) -> list[str]:
    command = [sys.executable, "-m", "bench.gpu_check", "--step", name, "--kinds", options.kinds]
    command += ["--work", os.path.abspath(scratch), "--set", str(options.set.absolute())]
    return [*command, "--config", *options.config]


def _in_time(command: Sequence[str], limit_s: float) -> subprocess.CompletedProcess[str] | None:
    """The command, done; None if it took longer, and was ended with all that it had started."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        command, cwd=ROOT, env=_environment(), start_new_session=True, **pipes
    ) as step:
        try:
            said = step.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(step.pid, signal.SIGKILL)  # a workflow would go on, on the card
            return None
        except BaseException:
            os.killpg(step.pid, signal.SIGTERM)
            raise
    return subprocess.CompletedProcess(command, step.returncode, *said)


def _take_here(options: argparse.Namespace) -> int:
    """In the step's own process: print what it found as one line of JSON."""
    from ferrari.common import settings

    config = settings.load(*options.config)
    os.chdir(options.set)  # from where the user's settings name their files, as a run's do
    config["cache"] = os.path.abspath(config["cache"])  # a step runs the stages elsewhere
    kinds = [name for name in options.kinds.split(",") if name]
    found = gpu_steps.take(options.step, Asked(config, options.work, kinds))
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


def what_now(found: Mapping[str, Mapping]) -> list[str]:
    """What to do about what was found, a line for each thing; one line if there is nothing."""
    lines = []
    for name, step in found.items():
        if step["status"] == DIFFERS:
            lines.append(f"{name} differs: {INSTEAD[name]}, until it is known why")
        elif step["status"] == FAILED:
            lines.append(f"{name} failed: see its log; a second call tries it again")
    if lacking := [name for name, step in found.items() if step["status"] == LACKING]:
        lines.append(
            f"{', '.join(lacking)}: a second call tries again, once what is lacking is there"
        )
    if left := [name for name, step in found.items() if step["status"] == NOT_REACHED]:
        lines.append(f"{', '.join(left)}: a second call goes on with what the time was over for")
    return lines or ["nothing differs: a run may use the card as the settings ask"]


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
