"""A server on this machine: its port, its address, its shutdown."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI

from ferrari.common.errors import FerrariError
from ferrari.dashboard.access import LOOPBACK, PARAMETER

PORT = 8000
#: In the environment: the token, and more names that the server goes by, parted by commas.
TOKEN, HOSTS = "FERRARI_TOKEN", "FERRARI_HOSTS"
_EVERYWHERE = frozenset({"0.0.0.0", "::"})
_GOODBYE_S = 3  # for answers under way when the server is ended


class ServeError(FerrariError, OSError):
    """The server cannot start as it was asked to; says what to change."""


def listen(host: str, port: int | None) -> socket.socket:
    """A socket on `port`; without one on 8000, or on a free port if that is taken.

    Raises ServeError.
    """
    try:
        return _bound(host, PORT if port is None else port)
    except OSError as error:
        if port is not None:
            raise ServeError(
                f"port {port} of {host} cannot be had ({error.strerror}); another one: PORT=..., "
                "or none, and a free one is taken"
            ) from error
    try:
        return _bound(host, 0)
    except OSError as error:
        raise ServeError(
            f"nothing can listen on {host} ({error.strerror}); HOST takes an address of this "
            "machine, 127.0.0.1 unless you say so"
        ) from error


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()  # else two servers that start at once may both have it
    except OSError:
        listener.close()
        raise
    return listener


def token_of(environment: Mapping[str, str]) -> str:
    """The token that the environment names, or a new one of 256 bits. Raises ServeError."""
    given = environment.get(TOKEN, "")
    if given and not re.fullmatch(r"[A-Za-z0-9_-]{16,200}", given):
        raise ServeError(f"{TOKEN} has to be 16 to 200 letters, digits, - and _")
    return given or secrets.token_urlsafe(32)


def names(host: str, environment: Mapping[str, str]) -> frozenset[str]:
    """The host names that the server goes by: the machine's for itself, `host`, those given.

    Raises ServeError.
    """
    given = environment.get(HOSTS, "").split(",")
    try:  # without a port, if one is said
        more = {urlsplit(f"//{name.strip()}").hostname or "" for name in given} - {""}
    except ValueError as error:
        raise ServeError(f"{HOSTS} holds what is no host name: {error}") from error
    own = {socket.gethostname()} if host not in LOOPBACK else set()
    return frozenset({*LOOPBACK, *own, *more} | ({host} - _EVERYWHERE))


def address(host: str, port: int, token: str) -> str:
    """Where a browser on this machine finds the server's first page."""
    shown = "127.0.0.1" if host in _EVERYWHERE else host
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{port}/?{PARAMETER}={token}"


def warning(host: str, hosts: Iterable[str]) -> str:
    """A warning about a server that others can reach; "" for one on the loopback interface."""
    if host in LOOPBACK:
        return ""
    others = sorted(set(hosts) - LOOPBACK)
    return (
        f"This server listens on {host}: whoever reaches it and has the token sees the pictures "
        f"and decides. It goes by {', '.join(others) or 'no name but localhost'}; {HOSTS} names "
        "more."
    )


def run(app: FastAPI, listener: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM; answers that are under way are finished first."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        log_level="warning",
        access_log=False,  # addresses hold the token
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GOODBYE_S,
    )
    os.set_inheritable(listener.fileno(), False)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn raises the signal that ended it again, once it has ended
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
        listener.close()
