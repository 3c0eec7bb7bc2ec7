"""A fork lives as long as the process that it is of, whichever thread asked, and no longer."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ferrari.processes import forks
from tests.deadly import is_gone
from tests.settings import ENVIRONMENT


def ended(pid: int) -> int:
    """Its exit status, or minus the signal's number."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def by_a_thread(life) -> int:
    """A fork that a thread asks for, which has ended since."""
    pids = []
    thread = threading.Thread(target=lambda: pids.append(forks.fork(life)))
    thread.start()
    thread.join()
    return pids[0]


@pytest.mark.parametrize("ask", [forks.fork, by_a_thread])
def test_the_thread_that_asked_may_end_before_the_fork(ask):
    def life() -> int:
        time.sleep(0.2)
        return 7

    assert ended(ask(life)) == 7


def test_its_status_is_what_it_exits_with_and_an_error_of_it_is_told(capfd):
    assert ended(forks.fork(lambda: sys.exit(5))) == 5
    assert ended(forks.fork(lambda: 1 // 0)) == 1
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_fork_can_fork_by_its_own_threads():
    def life() -> int:
        return ended(by_a_thread(lambda: 3))

    assert ended(by_a_thread(life)) == 3


def test_many_threads_may_ask_at_once():
    with ThreadPoolExecutor(8) as pool:
        pids = list(pool.map(lambda number: forks.fork(lambda: number), range(16)))
    assert [ended(pid) for pid in pids] == list(range(16))


KILLED = """
import threading, time
from ferrari.processes import forks

def live():
    time.sleep(600)
    return 0

def ask():
    print(forks.fork(live), flush=True)

threading.Thread(target=ask).start()
time.sleep(600)
"""


TWO_AT_ONCE = """
import os, time
from ferrari.processes import batching, forks

def forked(_):
    os.waitpid(forks.fork(lambda: 0), 0)

for _ in batching.in_flight([1, 2, 3, 4], int, forked):
    time.sleep(0.2)  # a fork of the model's thread waits for this one, which writes
    forked(0)
"""


def test_who_writes_a_result_may_fork_while_a_model_is_forked_anew():
    """The one had the readers' lock and waited for the writer's, the other the reverse."""
    command = [sys.executable, "-c", TWO_AT_ONCE]
    assert subprocess.run(command, env=ENVIRONMENT, timeout=30, check=False).returncode == 0


def test_it_ends_with_the_process_though_another_thread_asked_for_it():
    parent = subprocess.Popen(
        [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    with parent:
        child = int(parent.stdout.readline())
        assert not is_gone(child, within_s=0.2)
        parent.kill()
        assert is_gone(child)
