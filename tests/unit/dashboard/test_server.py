"""A real server: hundreds of decisions in order, killed in the middle, and small at any size."""

from __future__ import annotations

import contextlib
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from ferrari.ledger import tables
from ferrari.ledger.stages import FINAL_CSV
from ferrari.review import decision_table, decisions, writing
from tests.settings import ENVIRONMENT, ROOT
from tests.unit import large_dataset
from tests.unit.dashboard.served import TOKEN, drop, undo

MOST_MB = 300
MODULE = "tests.unit.dashboard.server"


@contextlib.contextmanager
def server(work) -> Iterator[tuple[subprocess.Popen, httpx.Client]]:
    """A server of the set in `work`, and a client of it."""
    command = [sys.executable, "-m", MODULE, str(work)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        port = process.stdout.readline().strip()
        assert port, process.stderr.read()
        url = f"http://127.0.0.1:{port}"
        headers = {"X-Ferrari-Token": TOKEN, "Origin": url}
        with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
            yield process, client
    finally:
        process.kill()
        process.communicate()


def post(client, *rows):
    return client.post("/api/decisions", json={"rows": list(rows)})


def images_in(work) -> list[str]:
    """The images of a set of tables without pictures, which is written: 40 of each of 25 clips."""
    large_dataset.write_tables(work / "dataset", clips=25, frames=10)
    return [row["item"] for row in tables.iter_table(work / "dataset" / FINAL_CSV)]


@dataclass
class Running:
    """A server that several tests ask, and the images of its set."""

    process: subprocess.Popen
    client: httpx.Client
    dataset: Path
    images: list[str]

    def written(self, rows) -> list[str]:
        """The ids of those of `rows` that the table has, in its order."""
        ids = {row["id"] for row in rows}
        lines = decision_table.read(decision_table.place(self.dataset))
        return [line.row.id for line in lines if line.row.id in ids]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    work = tmp_path_factory.mktemp("served")
    images = images_in(work)
    with server(work) as (process, client):
        yield Running(process, client, work / "dataset", images)


def test_two_hundred_keys_at_30_ms_are_two_hundred_rows_in_order(running):
    """As the page does: what was decided while a request was under way goes with the next one."""
    rows = [drop(image) for image in running.images[:200]]
    waiting: queue.SimpleQueue[dict | None] = queue.SimpleQueue()

    def keys() -> None:
        for row in rows:
            waiting.put(row)
            time.sleep(0.03)
        waiting.put(None)

    threading.Thread(target=keys).start()
    row = waiting.get()
    while row is not None:
        batch = [row]
        while not waiting.empty() and (row := waiting.get()) is not None:
            batch.append(row)
        assert post(running.client, *batch).status_code == 200
        row = waiting.get() if row is not None else None
    assert running.written(rows) == [row["id"] for row in rows]


def test_a_server_killed_in_the_middle_loses_no_row_that_it_acknowledged(tmp_path):
    acknowledged: list[str] = []
    unanswered: list[dict] = []
    left = list(map(drop, images_in(tmp_path)))
    path = decision_table.place(tmp_path / "dataset")
    for goal in (3, 41):
        with server(tmp_path) as (process, client):
            soon = threading.Timer(0.004 * (goal % 7), process.send_signal, [signal.SIGKILL])
            with contextlib.suppress(httpx.TransportError):
                while True:
                    unanswered = unanswered or [left.pop()]
                    assert post(client, *unanswered).status_code == 200
                    acknowledged.append(unanswered.pop()["id"])
                    if len(acknowledged) == goal:
                        soon.start()
            soon.join()
        assert path.read_bytes().endswith(b"\n")
        written = [line.row.id for line in decision_table.read(path)]
        assert written[: len(acknowledged)] == acknowledged
        assert written[len(acknowledged) :] in ([], [row["id"] for row in unanswered])
    assert len(acknowledged) >= 41


def test_two_pages_at_once_lose_nothing_and_keep_each_its_order(running):
    rows = [[], []]
    for number, image in enumerate(running.images[200:250]):
        rows[number % 2].append(drop(image))
    for own in rows:
        own += [undo(row) for row in reversed(own)]

    def page(own):
        for row in own:
            assert post(running.client, row).status_code == 200

    threads = [threading.Thread(target=page, args=[own]) for own in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for own in rows:
        assert running.written(own) == [row["id"] for row in own]
    in_force = {row.target for row in decisions.load(running.dataset).rows}
    assert not in_force & {row["target"] for own in rows for row in own}


def test_a_thousand_decisions_fit_into_little_memory(running):
    rows = [drop(image) for image in running.images]
    assert post(running.client, *rows).status_code == 200
    told = running.client.get("/api/decisions").json()
    assert len(told["states"]) == len(rows) == 1000
    for image in running.images[::10]:  # a table each time, and no picture
        assert running.client.get(f"/picture/image/{image}").status_code == 404
    used = psutil.Process(running.process.pid).memory_info().rss / 1e6
    assert used < MOST_MB, f"{used:.0f} MB"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_peace_and_what_comes_after_is_said(tmp_path, ending):
    (tmp_path / "dataset").mkdir()
    with server(tmp_path) as (process, client):
        assert client.get("/api/decisions").status_code == 200
        process.send_signal(ending)
        assert process.wait(20) == 0
        assert process.stdout.read() == "ended\n", "else nobody is told of a run that goes on"
        assert process.stderr.read() == ""
    assert not writing.mend(tmp_path / "dataset")
