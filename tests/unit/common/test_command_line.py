"""How a command ends that nobody reads any more, or that Ctrl-C ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from ferrari.common.command_line import INTERRUPTED, STOPPED, UNREAD
from tests.settings import ENVIRONMENT

_COMMAND = """
import sys, time
from ferrari.common import command_line
command_line.begin()
{loading}
def main():
    try:
        {body}
    finally:
        open({cleaned!r}, "w").close()
command_line.run(main)
"""


@pytest.fixture
def command(tmp_path):
    """Starts a command with a `body`; what it printed is in a pipe."""

    def start(body, loading="", **options):
        code = _COMMAND.format(loading=loading, body=body, cleaned=str(tmp_path / "cleaned"))
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env=ENVIRONMENT,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options},
        )

    return start


@pytest.mark.parametrize(
    "body",
    [
        "print('a line\\n' * 100_000); return 0",
        "print('a line'); return 0",  # held back until the end
        "print('a line'); sys.exit(3)",
        "print('a line', flush=True); return 0",
    ],
)
def test_a_command_that_nobody_reads_ends_without_a_word(command, tmp_path, body):
    reader, writer = os.pipe()
    os.close(reader)
    process = command(body, stdout=writer)
    os.close(writer)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (UNREAD, "")
    assert (tmp_path / "cleaned").exists(), "what was under way is cleaned up"


def test_errors_that_nobody_reads_end_it_as_well(command):
    reader, writer = os.pipe()
    os.close(reader)
    process = command("print('a line', file=sys.stderr); return 0", stderr=writer)
    os.close(writer)
    process.communicate(timeout=60)
    assert process.returncode == UNREAD


def test_a_command_without_an_output_ends_as_it_wants(command):
    process = command("print('a line'); return 3", stdout=None, preexec_fn=lambda: os.close(1))
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (3, "")


def test_a_connection_that_is_closed_is_no_reader_that_went_away(command):
    body = (
        "import socket; one, other = socket.socketpair(); other.close()\n"
        "        try: one.send(b'x')\n"
        "        except BrokenPipeError: return 5"
    )
    process = command(body)
    assert process.communicate(timeout=60) == ("", "") and process.returncode == 5


def test_ctrl_c_is_one_line_after_what_was_under_way_is_cleaned_up(command, tmp_path):
    process = command("print('begun', flush=True); time.sleep(60)")
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (INTERRUPTED, f"{STOPPED}\n")
    assert (tmp_path / "cleaned").exists()


def test_ctrl_c_while_modules_load_is_not_a_word(command):
    process = command("return 0", loading="print('begun', flush=True); time.sleep(60)")
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (-signal.SIGINT, "")


def test_who_is_to_ignore_ctrl_c_goes_on(command):
    """A shell starts what runs in the background so."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = command("print('begun', flush=True); sys.stdin.readline(); return 7",
                          stdin=subprocess.PIPE)  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    process.communicate("\n", timeout=60)
    assert process.returncode == 7
