"""Messages between two processes; arrays lie beside the pickle, and large ones in shared memory.

A message is one packet, so it arrives whole or not at all, whenever its sender is killed. Up to
`_INLINE` bytes travel in the packet; more lie in memory without a name (memfd), whose descriptor
travels instead. The receiver's arrays are views of that memory. When the last of them is gone, the
receiver's next message says so, and the sender writes another message there: new memory is what a
frame would cost most. (/dev/shm is of no use: it has 64 MB in a container.)

The content is a table of lengths (little-endian, 8 bytes each), then the parts: a pickle of
protocol 5 and its out-of-band buffers. Whoever can write to the socket can run code in the reader,
so only the pipeline's own processes may have the other end.
"""

from __future__ import annotations

import mmap
import os
import pickle
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_INLINE = 1 << 15
_HEAD = struct.Struct("<QQQQ")  # parts, length of all, number of the memory, how many given back
_GIVEN_BACK = 64  # at most so many in one message
_ALIGNED = 64  # where a part begins: what vector instructions like
_SPARE = 4  # pieces of memory that are kept for later messages


def pair() -> tuple[Channel, Channel]:
    """Two connected ends, for a process and the child that it is about to fork."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Channel(ours), Channel(theirs)


@dataclass
class _Memory:
    """A piece of memory that messages are written into; `lent` while the receiver uses it."""

    descriptor: int
    size: int
    lent: bool = True


class _Mapped(mmap.mmap):
    """A message's memory at the receiver; notes its number when nothing refers to it any more."""

    number: int
    gone: deque[int]

    def __del__(self) -> None:
        self.gone.append(self.number)


class Channel:
    """One end of a connection (SOCK_SEQPACKET). One thread may send while another receives."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._memory: dict[int, _Memory] = {}
        self._made = 0
        self._gone: deque[int] = deque()  # the other end's memory that we no longer use
        self._changing = threading.Lock()

    def fileno(self) -> int:
        """The socket's descriptor, for `select`."""
        return self.connection.fileno()

    def close(self) -> None:
        """Close the connection; arrays that were received stay."""
        self.connection.close()
        with self._changing:
            for memory in self._memory.values():
                os.close(memory.descriptor)
            self._memory.clear()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, message: object) -> None:
        """Send whatever pickles; raises OSError if the other end is gone or does not read in time
        (`connection.settimeout`), or this one is closed.
        """
        if self.connection.fileno() < 0:  # memory that is made now would never be closed
            raise BrokenPipeError("the connection is closed")
        buffers: list[pickle.PickleBuffer] = []
        body = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
        parts = [memoryview(body), *(buffer.raw() for buffer in buffers)]
        table = memoryview(struct.pack(f"<{len(parts)}Q", *(len(part) for part in parts)))
        starts, length = _starts([len(table), *(len(part) for part in parts)])
        pieces = list(zip(starts, [table, *parts], strict=True))
        gone = [self._gone.popleft() for _ in range(min(len(self._gone), _GIVEN_BACK))]
        back = struct.pack(f"<{len(gone)}Q", *gone)
        if length <= _INLINE:
            content = bytearray(length)
            for start, piece in pieces:
                content[start : start + len(piece)] = piece
            head = _HEAD.pack(len(parts), length, 0, len(gone))
            self.connection.sendall(head + back + content)
            return
        number, memory = self._take(length)
        for start, piece in pieces:
            _write(memory.descriptor, piece, start)
        head = _HEAD.pack(len(parts), length, number, len(gone))
        try:
            socket.send_fds(self.connection, [head + back], [memory.descriptor])
        except OSError:  # nobody has it, and nobody will give it back
            self._free([number])
            raise

    def receive(self, wait: Callable[[], None] = lambda: None) -> Any:
        """The next message; `wait` is called before it is read, and may raise to give up.

        Raises EOFError (or ConnectionError) if the other end is gone. Arrays come back writable.
        """
        wait()
        most = _HEAD.size + 8 * _GIVEN_BACK + _INLINE
        packet, descriptors, _, _ = socket.recv_fds(self.connection, most, 1)
        if len(packet) < _HEAD.size:
            raise EOFError("the other end has closed the connection")
        count, length, number, given_back = _HEAD.unpack_from(packet)
        self._free(struct.unpack_from(f"<{given_back}Q", packet, _HEAD.size))
        if descriptors:
            content = self._mapped(descriptors[0], length, number)
        else:
            content = memoryview(bytearray(packet[_HEAD.size + 8 * given_back :]))
        lengths = struct.unpack_from(f"<{count}Q", content)
        starts, _ = _starts([8 * count, *lengths])
        places = zip(starts[1:], lengths, strict=True)
        body, *buffers = [content[start : start + size] for start, size in places]
        return pickle.loads(body, buffers=buffers)

    def _take(self, length: int) -> tuple[int, _Memory]:
        """Memory for a message of `length`: the smallest that is free and large enough, or new."""
        with self._changing:
            free = [
                (memory.size, number)
                for number, memory in self._memory.items()
                if not memory.lent and memory.size >= length
            ]
            if free:
                number = min(free)[1]
                self._memory[number].lent = True
                return number, self._memory[number]
            descriptor = os.memfd_create("ferrari message", os.MFD_CLOEXEC)
            os.ftruncate(descriptor, length)
            self._made += 1
            self._memory[self._made] = _Memory(descriptor, length)
            return self._made, self._memory[self._made]

    def _free(self, numbers: Sequence[int]) -> None:
        with self._changing:
            for number in numbers:
                if number in self._memory:
                    self._memory[number].lent = False
            spare = sorted(n for n, memory in self._memory.items() if not memory.lent)
            for number in spare[:-_SPARE]:
                os.close(self._memory.pop(number).descriptor)

    def _mapped(self, descriptor: int, length: int, number: int) -> memoryview:
        try:
            mapped = _Mapped(descriptor, length, mmap.MAP_SHARED | mmap.MAP_POPULATE)
        finally:
            os.close(descriptor)
        mapped.number, mapped.gone = number, self._gone
        return memoryview(mapped)


def _starts(lengths: Sequence[int]) -> tuple[list[int], int]:
    """Where parts of these lengths begin, one behind the other, and the length of all."""
    starts, end = [], 0
    for length in lengths:
        start = -(-end // _ALIGNED) * _ALIGNED
        starts.append(start)
        end = start + length
    return starts, end


def _write(memory: int, piece: memoryview, start: int) -> None:
    done = 0
    while done < len(piece):
        done += os.pwrite(memory, piece[done:], start + done)
