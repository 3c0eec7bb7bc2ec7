"""Asks a real browser about pages, from outside; for tests.

Each question is a process of its own with a Chromium of its own (`tests.workflow.in_browser`).
Nothing that hangs in there reaches the tests: its processes are ended when its time is up.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
#: A question takes a second to ten; a machine that is busy may be six times slower.
PATIENCE_S = 60.0


class HungError(Exception):
    """The browser gave no answer in time."""


def chromium() -> str:
    """Path of the browser; skips the test without one, fails it where CI must have one."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say("chromium is not installed: apt-get install chromium")
    return found


def ask(task: str, *words: str, patience_s: float = PATIENCE_S) -> object:
    """What a task of `in_browser.TASKS` returns.

    Hangs are asked again, once: pages of ours that hang a browser hang the second one too. Then
    the test fails, or is skipped if the browser does not even show a page that is not ours.
    """
    if not _works():
        pytest.skip("chromium gives no answer on this machine, not even about an empty page")
    try:
        return ask_once(task, *words, patience_s=patience_s)
    except HungError:
        return ask_once(task, *words, patience_s=patience_s)


def ask_once(task: str, *words: str, patience_s: float = PATIENCE_S) -> object:
    """What the task returns; raises HungError after `patience_s`, RuntimeError if it fails."""
    with tempfile.TemporaryDirectory(prefix="browser-") as folder:
        answer, said = Path(folder) / "answer.json", Path(folder) / "said.txt"
        command = [sys.executable, "-m", "tests.workflow.in_browser", str(answer), chromium()]
        with open(said, "wb") as log:
            child = subprocess.Popen(
                [*command, task, *words],
                **{"cwd": ROOT, "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log},
                env={**os.environ, "TMPDIR": folder},
            )
        try:
            code = child.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise HungError(f"the browser gave no answer within {patience_s:g} s") from None
        finally:
            _end(child)
        if code:
            raise RuntimeError(said.read_text("utf-8", "replace")[-2000:])
        return json.loads(answer.read_text("utf-8"))


def faults_of(url: str, *, shots: Path | None = None) -> list[str]:
    """What is wrong with the page at `url`, see `in_browser.look`."""
    faults = ask("look", url, *([str(shots)] if shots else []))
    assert isinstance(faults, list)
    return faults


def faults_of_all(pages: Sequence[Path]) -> dict[str, list[str]]:
    """The same of several files by their names, in one browser: each takes a second and a half."""
    names = {page.as_uri(): page.stem for page in pages}
    faults = ask("look_at_all", *names, patience_s=PATIENCE_S * len(names))
    assert isinstance(faults, dict)
    return {names[url]: found for url, found in faults.items()}


@cache
def _works() -> bool:
    """Whether Chromium shows an empty page; asked twice before the answer is no."""
    for _ in range(2):
        with contextlib.suppress(HungError):
            return bool(ask_once("blank"))
    return False


def _end(child: subprocess.Popen) -> None:
    """End the process, and its browser, which has a process group of its own."""
    try:
        family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    except psutil.NoSuchProcess:  # it ended by itself, and Playwright ends the browser before
        family = []
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    child.wait()
