"""Asks a real browser about pages, from outside; for tests.

They are asked in a process with a Chromium (`tests.workflow.in_browser`), which is kept from one
question to the next: to start both takes as much as most questions. Each question has contexts of
its own. Nothing that hangs in there reaches the tests: where a question failed or its time is up,
the processes are ended, and the next question has others.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
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


class _Asked:
    """The process that is asked, with its browser and a folder of theirs."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="browser-")
        self._said = Path(self._folder.name) / "said.txt"
        with open(self._said, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.workflow.in_browser", chromium()],
                **{"cwd": ROOT, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log},
                env={**os.environ, "TMPDIR": self._folder.name},
            )

    def answer(self, words: Sequence[str], patience_s: float) -> object:
        """What the task returns; raises as `ask_once`."""
        with contextlib.suppress(BrokenPipeError):  # it has ended, and has said why
            self._process.stdin.write(json.dumps(words).encode() + b"\n")
            self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], patience_s)[0]:
            raise HungError(f"the browser gave no answer within {patience_s:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(self._said.read_text("utf-8", "replace")[-2000:])
        return json.loads(line)

    def end(self) -> None:
        """End the process, and its browser, which has a process group of its own."""
        child = self._process
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(child.pid)
            for one in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._folder.cleanup()


_kept: list[_Asked] = []


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
    if not _kept:
        _kept.append(_Asked())
    try:
        answer = _kept[0].answer([task, *words], patience_s)
    except (HungError, RuntimeError):
        end()
        raise
    return answer


@atexit.register
def end() -> None:
    """End the browser that is kept, if there is one."""
    while _kept:
        _kept.pop().end()


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
