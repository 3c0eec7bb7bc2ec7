"""A stand-in for the server behind the review page: its API for decisions, and faults on demand."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

from ferrari.review import decision_table, writing
from ferrari.review.contract import COLUMNS, fault_of, row_of

TOKEN, WHO = "a-token", "bea"
META = '<meta name="ferrari-server" content="{token}">'
#: Asked for, it makes the server another one: with a new token, as after a start.
RESTART = "/restart"


class Faults:
    """What goes wrong: `lost` answers are not given though the rows were written, `down` answers
    are 503, rows whose target ends with one of `refused` are 422.
    """

    def __init__(self, lost: int = 0, down: int = 0, refused: tuple[str, ...] = ()) -> None:
        self.lost, self.down, self.refused = lost, down, refused
        self.requests = 0
        self.token = TOKEN
        self.lock = threading.Lock()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the folder, the page with the server's mark in it, and `/api/decisions`."""

    def __init__(self, *given, dataset: Path, faults: Faults, **named) -> None:
        self.dataset, self.faults = dataset, faults
        super().__init__(*given, **named)

    def log_message(self, *_) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        """The page, a picture, or the table."""
        path = urlparse(self.path).path
        if path == "/api/decisions" and self.headers["X-Ferrari-Token"] != self.faults.token:
            self._answer(403, {"error": "a wrong token"})
        elif path == "/api/decisions":
            table = decision_table.place(self.dataset)
            rows = [line.row._asdict() for line in decision_table.read(table)]
            self._answer(200, {"rows": rows, "states": {}})
        elif path == "/review":
            text = (Path(self.directory) / "review.html").read_text("utf-8")
            tag = META.format(token=self.faults.token)
            self._send(200, text.replace("</head>", tag + "</head>", 1).encode(), "text/html")
        elif path == RESTART:
            self.faults.token = "another-token"
            self._answer(200, {})
        else:
            super().do_GET()

    def do_POST(self) -> None:
        """Writes rows, unless a fault is due."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["X-Ferrari-Token"] != self.faults.token:
            self._answer(403, {"error": "a wrong token"})
            return
        with self.faults.lock:
            self.faults.requests += 1
            if self.faults.down:
                self.faults.down -= 1
                self._answer(503, {"error": "not now"})
                return
            self._write(body["rows"])

    def _write(self, asked: list[dict]) -> None:
        rows = [
            row_of({name: {"who": WHO, **one}.get(name, "") for name in COLUMNS}) for one in asked
        ]
        bad = [row for row in rows if fault_of(row) or row.target.endswith(self.faults.refused)]
        if self.faults.refused and bad:
            self._answer(422, {"error": f"{bad[0].target} is not taken"})
            return
        table = decision_table.place(self.dataset)
        known = {line.row.id for line in decision_table.read(table)}
        writing.append(self.dataset, [row for row in rows if row.id not in known])
        if self.faults.lost:
            self.faults.lost -= 1
            self.close_connection = True
            return
        self._answer(200, {"rows": [row._asdict() for row in rows]})

    def _answer(self, status: int, found: dict) -> None:
        self._send(status, json.dumps(found).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def serving(folder: Path, dataset: Path, faults: Faults) -> Iterator[str]:
    """The address of the page in `folder` while a server answers it."""
    handler = functools.partial(Handler, directory=str(folder), dataset=dataset, faults=faults)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/review"
    finally:
        server.shutdown()
        server.server_close()
