"""Commands whose output goes to `head`, or to a pager that is left before its end."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from ferrari.common.command_line import UNREAD
from tests.settings import ENVIRONMENT, ROOT
from tests.tools.stand_in import begun_run, snakemake

TOOLS = ROOT / "scripts/tools"
#: What a person's `make` starts.
COMMANDS = sorted(set(re.findall(r"scripts/tools/(\w+)\.py", (ROOT / "Makefile").read_text())))
#: Needs no environment, and is asked by the Makefile itself; is for `make real`.
_OTHERS = {"make_variables", "link_real_footage"}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in _OTHERS])
def test_each_command_begins_and_ends_in_the_one_way(name):
    """Before its modules load: see `tests/unit/common/test_command_line.py` for what that does."""
    text = (TOOLS / f"{name}.py").read_text()
    before, begin, after = text.partition('if __name__ == "__main__":\n    command_line.begin()\n')
    assert begin, "Ctrl-C while modules load prints where they stood"
    loaded = re.findall(r"^(?:from|import) .*", before, re.M)
    first = {"import sys", "from pathlib import Path", "from ferrari.common import command_line"}
    assert set(loaded) == first, "no more than what it takes"
    assert after.endswith('\n\nif __name__ == "__main__":\n    command_line.run(main)\n')


def unread(words, **options):
    """The exit status of a command whose output nobody reads, and what it complained of."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        **{"stdout": writer, "stderr": subprocess.PIPE, "text": True, "check": False},
        **{"env": ENVIRONMENT, **options},
    )
    os.close(writer)
    return done.returncode, done.stderr


def test_no_command_complains_that_nobody_reads_on(tmp_path):
    for number in range(40):
        (tmp_path / f"picture {number}.png").write_bytes(b"no picture")
    words = [TOOLS / "lint_package.py", tmp_path, "--all", "--trainer", "kohya"]
    assert unread(words) == (UNREAD, "")


def test_a_verdict_that_nobody_reads_is_none_to_complain_of(tmp_path):
    verdict = "import os; os.makedirs('logs'); open('logs/verified.log', 'w').write('x\\n' * 9999)"
    (tmp_path / "my.yaml").write_text("seed: 1\n")
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/videos.csv").touch()
    modules = os.pathsep.join((snakemake(tmp_path, verdict), ENVIRONMENT["PYTHONPATH"]))
    words = [TOOLS / "verify.py", "--work", tmp_path, "--config", tmp_path / "my.yaml"]
    assert unread(words, env={**ENVIRONMENT, "PYTHONPATH": modules}) == (UNREAD, "")


def test_a_run_that_nobody_reads_is_ended_as_by_ctrl_c(tmp_path):
    """`make run 2>&1 | head -1`: the run went on behind a traceback, told by nobody."""
    run = begun_run(
        tmp_path,
        "import os, signal, sys, time\n"
        "def end(*_):\n"
        "    os.write(1, b'x' * 300_000)\n"  # more than a pipe holds
        "    open('ended', 'w').close()\n"
        "    sys.exit(1)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('begun', flush=True)\n"
        "for _ in range(600):\n"
        "    time.sleep(0.1)\n"
        "    print('goes on', flush=True)\n",
    )
    run.stdout.close()
    assert run.wait(timeout=60) == UNREAD
    assert (tmp_path / "ended").exists()
