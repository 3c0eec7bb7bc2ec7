"""Messages between processes: what goes in comes out, arrays included."""

import threading

import numpy as np
import pytest

from ferrari.processes import array_messages


def over(message):
    """The message at the other end; a thread sends, as a socket holds only so much."""
    ours, theirs = array_messages.pair()
    with ours, theirs:
        sender = threading.Thread(target=array_messages.send, args=(ours, message))
        sender.start()
        received = array_messages.receive(theirs)
        sender.join()
    return received


def test_arrays_arrive_as_they_were_and_can_be_written():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 255, (1080, 1920, 3), dtype=np.uint8)
    sent = {
        "whole": frame,
        "window": frame[100:900, 50:700],
        "turned": frame.transpose(2, 0, 1),
        "empty": np.empty((0, 4), np.float32),
        "alpha": rng.random((64, 48)).astype(np.float32),
    }
    got, text = over((sent, "words"))
    assert text == "words" and list(got) == list(sent)
    for name, array in sent.items():
        assert got[name].dtype == array.dtype
        np.testing.assert_array_equal(got[name], array)
        assert got[name].flags.writeable


def test_an_end_that_closes_is_told_from_an_empty_message():
    assert over([]) == []
    ours, theirs = array_messages.pair()
    ours.sendall(b"\x02\0\0")
    ours.close()
    with theirs, pytest.raises(EOFError):
        array_messages.receive(theirs)


def test_waiting_can_be_given_up():
    class Enough(Exception):
        pass

    def give_up():
        raise Enough

    ours, theirs = array_messages.pair()
    with ours, theirs, pytest.raises(Enough):
        array_messages.receive(theirs, give_up)
