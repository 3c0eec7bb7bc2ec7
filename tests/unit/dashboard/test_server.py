"""A real server: hundreds of decisions in order, killed in the middle, and small at any size."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from ferrari.ledger import tables
from ferrari.ledger.stages import FINAL_CSV
from ferrari.review import decisions, writing
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


@pytest.fixture
def images(tmp_path):
    """The images of a set of tables without pictures: 40 of each of 25 clips."""
    large_dataset.write_tables(tmp_path / "dataset", clips=25, frames=10)
    return [row["item"] for row in tables.iter_table(tmp_path / "dataset" / FINAL_CSV)]


def test_two_hundred_keys_at_30_ms_are_two_hundred_rows_in_order(tmp_path, images):
    """The page does not wait for an answer before the next key: several requests are under way."""
    rows = [drop(image) for image in images[:200]]
    answers: dict[int, int] = {}
    with server(tmp_path) as (_, client):

        def key(number: int) -> None:
            answers[number] = post(client, rows[number]).status_code

        threads = []
        for number in range(len(rows)):
            threads.append(threading.Thread(target=key, args=(number,)))
            threads[-1].start()
            time.sleep(0.03)
        for thread in threads:
            thread.join()
    assert set(answers.values()) == {200}
    written = [line.row.id for line in decisions.read(decisions.place(tmp_path / "dataset"))]
    assert written == [row["id"] for row in rows]


def test_a_server_killed_in_the_middle_loses_no_row_that_it_acknowledged(tmp_path, images):
    acknowledged: list[str] = []
    unanswered: list[dict] = []
    left = list(map(drop, images))
    path = decisions.place(tmp_path / "dataset")
    for goal in (3, 20, 41):
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
        written = [line.row.id for line in decisions.read(path)]
        assert written[: len(acknowledged)] == acknowledged
        assert written[len(acknowledged) :] in ([], [row["id"] for row in unanswered])
    assert len(acknowledged) >= 41


def test_two_pages_at_once_lose_nothing_and_keep_each_its_order(tmp_path, images):
    rows = [[], []]
    for number, image in enumerate(images[:50]):
        rows[number % 2].append(drop(image))
    for own in rows:
        own += [undo(row) for row in reversed(own)]
    with server(tmp_path) as (_, client):

        def page(own):
            for row in own:
                assert post(client, row).status_code == 200

        threads = [threading.Thread(target=page, args=[own]) for own in rows]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    written = [line.row.id for line in decisions.read(decisions.place(tmp_path / "dataset"))]
    assert len(written) == 100
    for own in rows:
        ids = [row["id"] for row in own]
        assert [name for name in written if name in set(ids)] == ids
    assert decisions.load(tmp_path / "dataset").rows == ()


def test_a_thousand_decisions_fit_into_little_memory(tmp_path, images):
    rows = [drop(image) for image in images]
    with server(tmp_path) as (process, client):
        assert post(client, *rows).status_code == 200
        told = client.get("/api/decisions").json()
        assert len(told["states"]) == len(rows) == 1000
        for image in images[::10]:
            assert client.get(f"/picture/image/{image}").status_code == 404  # a table, no picture
        used = psutil.Process(process.pid).memory_info().rss / 1e6
    assert used < MOST_MB, f"{used:.0f} MB"


def test_ctrl_c_ends_it_in_peace(tmp_path):
    (tmp_path / "dataset").mkdir()
    with server(tmp_path) as (process, client):
        assert client.get("/api/decisions").status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""
    assert not writing.mend(tmp_path / "dataset")
