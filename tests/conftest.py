"""What holds for all tests, and finished runs that many of them look at.

Tests that change anything of a run work on a copy.
"""

import gc
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import pytest

from ferrari.storage import buckets
from tests.unit.storage.fake_store import FakeStore
from tests.workflow import small_run
from tests.workflow.demo_run import Demo, make_demo

# The stages fork processes for their models. Here those come from a process in which other tests
# have run numba's compiled loops, and GNU OpenMP, its default, cannot be used on both sides.
os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")


# In the background of a script Ctrl-C is ignored, also by whatever is started there. A server heeds
# it, and so does what it starts: where tests stand for the server, it must be so too.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Tests that load a network's runtime into this process. A fork of it has none of the runtime's
#: threads and may wait for them for ever, so they come after the tests that fork.
LOADS_RUNTIMES = "tests/unit/networks/"
#: Files that take minutes. They are begun first, so that no process is left alone with one.
TAKES_MINUTES = ("tests/workflow/", "tests/faults/", "tests/stage/test_fake_driver")
#: The first makes the demo, the others need neither it nor another run: a process that began
#: with a file that does would stand still meanwhile.
FIRST = (
    "tests/faults/test_disk",
    "tests/workflow/test_graph",
    "tests/workflow/test_subject_graph",
    "tests/workflow/test_review_page",
    "tests/stage/test_fake_driver",
)


def _turn(nodeid: str) -> tuple[bool, bool, int]:
    """Where a test's file comes in the order."""
    place = [nodeid.startswith(start) for start in (*FIRST, "")].index(True)
    return nodeid.startswith(LOADS_RUNTIMES), not nodeid.startswith(TAKES_MINUTES), place


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Looks for garbage once: what modules and tests are made of stays, and there is much of it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: _turn(item.nodeid))


_SCHEDULING = os.sched_getscheduler(0)


@pytest.fixture(autouse=True)
def same_scheduling():
    """Fails the test after which this process has another priority: the rest would starve others.

    A library may take real-time priority where it can, and every process that later tests start
    inherits it. On two cores two such processes that wait for a third one wait for ever.
    """
    yield
    found = os.sched_getscheduler(0)
    if found != _SCHEDULING:
        os.sched_setscheduler(0, _SCHEDULING, os.sched_param(0))
        pytest.fail(f"this process is scheduled by policy {found} now, not by {_SCHEDULING}")


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The finished demo; FERRARI_DEMO names the folder of one that is there already."""
    if os.environ.get("FERRARI_DEMO"):
        return Demo(Path(os.environ["FERRARI_DEMO"]).resolve())
    return Demo(made_once(tmp_path_factory, "demo", make_demo))


@pytest.fixture
def store(monkeypatch) -> FakeStore:
    """A store of objects that this process asks in place of a server."""
    fake = FakeStore()
    monkeypatch.setattr(buckets, "_store", lambda: fake)
    monkeypatch.setattr(buckets.time, "sleep", lambda seconds: None)
    return fake


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The finished small run; FERRARI_SMALL names the folder of one that is there already."""
    if os.environ.get("FERRARI_SMALL"):
        return Demo(Path(os.environ["FERRARI_SMALL"]).resolve())

    def make(folder: Path) -> None:
        small_run.start(folder).run("--cores", str(os.cpu_count()))

    return Demo(made_once(tmp_path_factory, "small", make))


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` filled. Processes that share the tests share it: the first makes it."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, done = root / name, root / f"{name}.made"
    with filelock.FileLock(root / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
