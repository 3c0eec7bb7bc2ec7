"""A whole review of a finished set by keys alone: decided, run, told, verified, all taken back."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ferrari.common.atomic_files import sha256_bytes
from ferrari.jobs import run_events
from ferrari.jobs.run_progress import RunProgress
from ferrari.ledger import tables
from ferrari.ledger.stages import FINAL_CSV
from ferrari.provenance.trace_text import render
from ferrari.review import decisions, effects
from ferrari.review.contract import CAPTION, DROP, MASK
from scripts.tools.trace_item import open_dataset
from tests.review_demo.kinds import related
from tests.review_demo.record import InForce, Made, Record, Rerun, Traced
from tests.workflow import browser
from tests.workflow.demo_run import ROOT, Demo

#: Who decides, by the table.
WHO = "keys alone"
#: Longer than the decisions and the run of the demo take on a machine that has other work.
_PATIENCE_S = 3600.0
_GOODBYE_S = 30.0
_GOING_ON = re.compile(r"\(process (\d+);")
#: What a run takes from a person and never makes: the table of decisions, and mended masks.
_OF_PEOPLE = "review/"


def prove(run: Demo, folder: Path, number: int, cores: int, say: Callable = print) -> Record:
    """Make `number` decisions of each kind on the finished set `run`, which is changed, and take
    all of them back. Pictures go into `folder`. What was seen; `record.faults` says what is wrong.
    """
    before = _files_of(run)
    say("looking and deciding by keys, then the run ...", flush=True)
    decided, applying = _visit(run, cores, "whole_review", str(folder / "1"), str(number))
    changed, in_force = _files_of(run), effects.of_dataset(run.dataset, decisions.load(run.dataset))
    traced = _traced(run, in_force)
    say("make verify, then all is taken back, then the run ...", flush=True)
    verified = [_verify(run, cores)]
    taken_back, undoing = _visit(run, cores, "whole_review_undone", str(folder / "2"))
    after = _files_of(run)
    verified.append(_verify(run, cores))
    return Record(
        shown=decided["shown"],
        kinds=[Made(**one) for one in decided["made"]],
        progress=decided["progress"],
        applying=applying,
        rows=[_in_force(effect) for effect in in_force],
        traced=traced,
        verified=verified,
        undone=len(taken_back["undone"]),
        undo_ms=taken_back["ms"],
        undoing=undoing,
        digests=[_digest(files) for files in (before, changed, after)],
        differing=_differing(before, after),
        left_to_do=run.planned(),
        pictures=[
            [f"{visit}/{file}", shows]
            for visit, answer in (("1", decided), ("2", taken_back))
            for file, shows in answer["seen"]
        ],
        troubles=[*decided["troubles"], *taken_back["troubles"]],
    )


@contextlib.contextmanager
def served(run: Demo, cores: int) -> Iterator[str]:
    """The address of the set's review page while `make review` serves it. At the end the server is
    ended, and a run with it that was started there and still goes on.
    """
    command = [sys.executable, str(ROOT / "scripts/tools/serve.py"), "review"]
    command += ["--work", str(run.folder), "--cores", str(cores), "--who", WHO]
    server = subprocess.Popen(
        [*command, "--config", *run.configs], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert server.stdout
    try:
        first = server.stdout.readline()
        if not first.startswith("http"):
            raise RuntimeError(f"the server did not start: {first}{server.stdout.read()}")
        yield first.split()[0]
    finally:
        server.terminate()
        said = server.communicate(timeout=_GOODBYE_S)[0]
        if going := _GOING_ON.search(said):
            os.killpg(int(going[1]), signal.SIGTERM)


def _visit(run: Demo, cores: int, task: str, *words: str) -> tuple[dict, Rerun]:
    """A visit to the review page in a browser: its answer, and the run that it started."""
    known = run_events.files(run.folder)
    with served(run, cores) as url:
        answer = browser.ask_once(task, url, *words, patience_s=_PATIENCE_S)
    assert isinstance(answer, dict)
    progress = RunProgress()
    for path in run_events.files(run.folder):
        if path not in known:
            list(progress.take(run_events.EventReader(path).new()))
    return answer, Rerun(
        said=answer["forecast"]["said"],
        told=answer["forecast"]["jobs"],
        done=dict(progress.done),
        ended=answer["ended"],
        seconds=progress.last - progress.began,
    )


def _verify(run: Demo, cores: int) -> str:
    """What `make verify` says: the first line of its verdict, or else the end of its words."""
    log = run.folder / "logs/verified.log"
    log.unlink(missing_ok=True)
    said = run.run("--cores", str(cores), "verified", "--forcerun", "verify", check=False)
    return log.read_text().partition("\n")[0] if log.is_file() else said.strip()[-400:]


def _traced(run: Demo, in_force: Sequence[effects.Effect]) -> list[Traced]:
    """What `make trace` says of three images: one dropped, one with a caption, one of a mended
    mask; fewer where there is no such decision that was applied.
    """
    dataset = open_dataset(run.folder, run.configs)
    images = tables.read_table(run.dataset / FINAL_CSV)
    found = []
    for decision in (DROP, CAPTION, MASK):
        items = (
            (effect.row, image["item"])
            for effect in in_force
            if effect.row.decision == decision and effect.state == effects.APPLIED
            for image in images
            if related(image["item"], effect.row.target)
        )
        if one := next(items, None):
            row, item = one
            trace = dataset.trace(item)
            lines = [step.decided for step in trace.steps if row.id in step.decided]
            text = render(trace)
            line = lines[0] if lines and row.id in text else ""
            found.append(Traced(item, f"{decision} {row.id}", line, text))
    return found


def _in_force(effect: effects.Effect) -> InForce:
    row = effect.row
    return InForce(row.id, row.decision, row.target, effect.state, effect.reason)


def _files_of(run: Demo) -> dict[str, str]:
    """The digests of the dataset's files by path, but for what people put there."""
    return {n: sha256 for n, sha256 in run.digests().items() if not n.startswith(_OF_PEOPLE)}


def _digest(files: dict[str, str]) -> str:
    lines = (f"{sha256}  {name}\n" for name, sha256 in sorted(files.items()))
    return sha256_bytes("".join(lines).encode("utf-8", "surrogateescape"))


def _differing(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Files that only one of both has, or that have other bytes."""
    return sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
