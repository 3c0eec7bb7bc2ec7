"""Messages between two processes over a stream socket; arrays travel uncopied beside the pickle.

A message is a count, that many lengths (little-endian, 8 bytes each), then the parts: a pickle of
protocol 5 and its out-of-band buffers. A 1080p frame takes about a millisecond. Whoever can write
to the socket can run code in the reader, so only the pipeline's own processes may have the other
end.
"""

from __future__ import annotations

import pickle
import socket
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

_BUFFER = 1 << 20  # of the socket; with the usual 200 kB a frame takes twice the time
_PIECE = 1 << 20


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets, for a process and the child that it is about to fork."""
    ends = socket.socketpair()
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    return ends


def send(connection: socket.socket, message: object) -> None:
    """Send whatever pickles; raises OSError if the other end is gone or does not read in time."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    parts = [memoryview(body), *(buffer.raw() for buffer in buffers)]
    lengths = [len(part) for part in parts]
    connection.sendall(struct.pack(f"<{1 + len(parts)}Q", len(parts), *lengths))
    for part in parts:
        connection.sendall(part)


def receive(connection: socket.socket, wait: Callable[[], None] = lambda: None) -> Any:
    """The next message; `wait` is called before each read, and may raise to give up.

    Raises EOFError (or ConnectionError) if the other end is gone. Arrays come back writable.
    """
    (count,) = struct.unpack("<Q", _exactly(connection, 8, wait))
    lengths = struct.unpack(f"<{count}Q", _exactly(connection, 8 * count, wait))
    body, *buffers = [_exactly(connection, length, wait) for length in lengths]
    return pickle.loads(body, buffers=buffers)


def _exactly(connection: socket.socket, length: int, wait: Callable[[], None]) -> memoryview:
    """The next `length` bytes, in memory that nobody has filled with zeros first."""
    view, done = np.empty(length, np.uint8).data, 0
    while done < length:
        wait()
        got = connection.recv_into(view[done : done + _PIECE])
        if not got:
            raise EOFError("the other end has closed the connection")
        done += got
    return view
