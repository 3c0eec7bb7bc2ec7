"""Access control: the token, the Host and the Origin of every request, and security headers.

The server answers only those who know its token: on a shared machine other users can reach the
loopback interface as well. Pages of other origins in the same browser do not know the token. In
addition, the Host must be a name of this server (a foreign name pointed at this machine is
refused), and the Origin, if the browser sends one, must be the server's own. There are no cookies,
so no browser authorises a foreign page by itself.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The header that carries the token, and the parameter of an address that does.
HEADER, PARAMETER = "X-Ferrari-Token", "t"
#: Names of a machine for itself.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
#: The reports, for whoever reaches the server, where it was started so.
OPEN_REPORTS = "/app/qc_reports/"
#: Bytes that a request's body may have, and at one path that takes pictures.
MOST_BYTES, LARGER = 1_000_000, {"/api/propose-mask": 32_000_000}
#: Bytes of a body too large that are read and thrown away, so that the answer reaches the browser.
_READ_ANYHOW = 64_000_000
#: Headers of every answer, unless its route has set its own.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Access:
    """ASGI middleware: passes a request on, or answers 403, 405 or 413 with a sentence.

    `hosts` are names without a port. The size of a request's body is limited here too, for every
    route.
    """

    def __init__(
        self, app: ASGIApp, *, token: str, hosts: Collection[str], open_reports: bool = False
    ) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = frozenset(host.casefold() for host in hosts)
        self._open = OPEN_REPORTS if open_reports else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = _with_headers(send)
        request = Request(scope, receive)
        if said := self._refused(request):
            await said(scope, receive, answer)
        elif _length(request) > _most(request):
            await _read(receive)
            await refusal(request, 413, _too_large(request))(scope, receive, answer)
        else:
            await self._app(scope, _limited(receive, request), answer)

    def _refused(self, request: Request) -> Response | None:
        """The answer to a request that is not allowed; None for one that is."""
        if not self._is_own_host(request):
            return refusal(
                request,
                403,
                "this server does not go by that name: open the address that it printed, or start "
                "it with FERRARI_HOSTS=name",
            )
        if not _is_own_origin(request):
            return refusal(request, 403, "a page of another origin asked for this: refused")
        if request.method not in ("GET", "POST"):
            return refusal(request, 405, f"{request.method} is not answered here: GET and POST are")
        if self._open and request.method == "GET" and request.url.path.startswith(self._open):
            return None
        if not self._has_token(request):
            return refusal(
                request,
                403,
                "the token is missing or is another server's: open the address that `make review` "
                "or `make dashboard` printed last",
            )
        return None

    def _is_own_host(self, request: Request) -> bool:
        named = request.headers.getlist("host")
        if len(named) != 1:
            return False
        try:
            host = urlsplit(f"//{named[0]}").hostname
        except ValueError:  # no address, such as "[::1"
            return False
        return (host or "").casefold() in self._hosts

    def _has_token(self, request: Request) -> bool:
        """Whether the token is in the header or, for reading only, in the address: an image tag
        cannot send headers.
        """
        given = request.headers.get(HEADER, "")
        if not given and request.method == "GET":
            given = request.query_params.get(PARAMETER, "")
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token)


def _is_own_origin(request: Request) -> bool:
    """True if the request's origin is this server; for GET also if it names none.

    The Host has been checked. Behind a proxy the page may have been loaded by https.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return request.method == "GET"
    host = request.headers["host"].casefold()
    return origin.casefold() in (f"http://{host}", f"https://{host}")


def refusal(request: Request, status: int, said: str) -> Response:
    """A sentence and its status: as JSON where a script asked, as text where a person did."""
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": said}, status)
    return PlainTextResponse(f"{said}\n", status)


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sent


# --- the body's size ------------------------------------------------------------------------------


def _most(request: Request) -> int:
    return LARGER.get(request.url.path, MOST_BYTES)


def _length(request: Request) -> int:
    """The length that a request says its body has; 0 where it says none."""
    said = request.headers.get("content-length", "0")
    return int(said) if said.isascii() and said.isdigit() else 0


def _too_large(request: Request) -> str:
    return f"more than {_most(request):,} bytes in one request: not read"


async def _read(receive: Receive) -> None:
    """Read the rest of a request: a server that answers before it has read everything breaks the
    connection.
    """
    read = 0
    while read < _READ_ANYHOW:
        message = await receive()
        read += len(message.get("body", b""))
        if not message.get("more_body"):
            return


def _limited(receive: Receive, request: Request) -> Receive:
    """`receive` that ends the request with 413 where a body of unknown length gets too long."""
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > _most(request):
            raise HTTPException(413, _too_large(request))
        return message

    return limited
