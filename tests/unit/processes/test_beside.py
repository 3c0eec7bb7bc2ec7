"""Work beside a loop: in the loop's order, so much at a time and no more, faults in their turn."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ferrari.processes.beside import Behind, ahead


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as threads:
        yield threads


def test_items_come_in_order_with_what_was_read_and_none_too_early(pool):
    begun = []

    def read(item):
        begun.append(item)
        return item * 10

    found = []
    for item, ready in ahead(pool, range(9), read, most=2):
        assert len(begun) <= item + 3, "it and two ahead"
        found.append((item, ready))
    assert found == [(k, k * 10) for k in range(9)]
    assert list(ahead(pool, [], read, most=2)) == []


def test_the_next_item_is_read_while_the_loop_works_on_one(pool):
    meanwhile = threading.Event()
    for item, _ in ahead(pool, range(2), lambda n: meanwhile.set() if n else None, most=1):
        assert item or meanwhile.wait(20)


def test_what_cannot_be_read_is_told_when_its_turn_has_come(pool):
    def read(item):
        if item == 2:
            raise OSError(item)

    seen = []
    with pytest.raises(OSError, match="2"):
        seen.extend(item for item, _ in ahead(pool, range(5), read, most=3))
    assert seen == [0, 1]


def test_results_are_told_in_order_and_no_more_than_asked_are_waited_for(pool):
    told, go_on = [], threading.Event()
    behind = Behind(pool, most=2)
    behind.add(lambda: go_on.wait(20), told.append)
    behind.add(lambda: 1, told.append)
    assert told == []  # the second is done, and waits for the first
    go_on.set()
    behind.add(lambda: 2, told.append)
    assert told == [True]
    behind.finish()
    assert told == [True, 1, 2]


def test_work_that_fails_is_told_when_it_is_waited_for(pool):
    def fails():
        raise OSError("no room")

    behind = Behind(pool, most=1)
    behind.add(fails, print)
    with pytest.raises(OSError, match="no room"):
        behind.finish()
