"""Which threads begin and end on this machine, told by the kernel as it happens.

Linux sends these messages (its "process events connector") to processes with CAP_NET_ADMIN.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

_CONNECTOR = 11  # the netlink family; CN_IDX_PROC and CN_VAL_PROC are the address in it
_ADDRESS = (1, 1)
_LISTEN = 1
_NONE, _FORK, _EXIT = 0, 0x1, 0x80000000
_NETLINK_HEADER = struct.Struct("=IHHII")
_DONE = 3  # NLMSG_DONE: the type of a message that stands for itself
_CONNECTOR_HEADER = struct.Struct("=IIIIHH")
_EVENT = struct.Struct("=IIQiiii")  # what, processor, nanoseconds, and four ids of a fork
_AT = _NETLINK_HEADER.size + _CONNECTOR_HEADER.size
_BUFFER = 8 << 20
_SO_RCVBUFFORCE = 33
_PATIENCE_S = 1.0


class Birth(NamedTuple):
    """A thread has begun: its id, that of its process, that of the process's parent (of a new
    process: of the one that forked it), and when, in nanoseconds of the monotonic clock.
    """

    thread: int
    process: int
    parent: int
    at_ns: int


class Death(NamedTuple):
    """A thread has ended."""

    thread: int


class LostMessagesError(Exception):
    """More began and ended than was listened to: some of it is not known."""


class Births:
    """Messages from now on. Raises OSError where the kernel does not send them."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _CONNECTOR)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
            self.socket.bind((0, _ADDRESS[0]))
            self._listen()
        except BaseException:
            self.socket.close()
            raise

    def _listen(self) -> None:
        """Ask for messages; the kernel answers whether it sends them."""
        asked = struct.pack("=I", _LISTEN)
        text = _CONNECTOR_HEADER.pack(*_ADDRESS, 0, 0, len(asked), 0) + asked
        size = _NETLINK_HEADER.size + len(text)
        self.socket.send(_NETLINK_HEADER.pack(size, _DONE, 0, 0, os.getpid()) + text)
        self.socket.settimeout(_PATIENCE_S)
        while True:  # whatever else happens is told meanwhile
            what, _, _, error, *_ = self._told()
            if what == _NONE:
                break
        if error:
            raise OSError(error, os.strerror(error))
        self.socket.setblocking(False)

    def _told(self) -> tuple[int, ...]:
        return _EVENT.unpack_from(self.socket.recv(256).ljust(256), _AT)

    def new(self) -> Iterator[Birth | Death]:
        """What has happened since the last call, in this order; does not wait.

        Raises LostMessagesError where the kernel had no room for all of it.
        """
        while True:
            try:
                what, _, at_ns, *ids = self._told()
            except BlockingIOError:
                return
            except OSError as error:
                raise LostMessagesError from error  # ENOBUFS
            if what == _FORK:
                _, parent, thread, process = ids
                yield Birth(thread, process, parent, at_ns)
            elif what == _EXIT:
                yield Death(ids[0])

    def close(self) -> None:
        """Have no more messages."""
        self.socket.close()
