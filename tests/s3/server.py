"""An S3 server on loopback (moto's), and the faults that a proxy before it makes."""

from __future__ import annotations

import http.client
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.settings import ROOT

PROGRAM = ROOT / ".venv-services/bin/moto_server"
BUCKET, FOLDER = "footage", "shoot one"
#: No file of a set may hold these; the server takes any key.
KEY, SECRET = "AKIAFERRARITESTKEY00", "sEcReTsEcReTsEcReTsEcReTsEcReTsEcReT0000"
_PATIENCE_S = 60.0

#: What the proxy can do with requests for an object.
DENY, LOSE, CUT, FAIL = "deny", "lose", "cut", "fail"
_STATUS = {DENY: (403, "AccessDenied"), LOSE: (404, "NoSuchKey"), FAIL: (500, "InternalError")}


def missing() -> str:
    """What this machine lacks; empty if nothing."""
    return "" if PROGRAM.is_file() else f"no {PROGRAM.relative_to(ROOT)} here: make test-s3"


@dataclass
class Faults:
    """What is done with one request after the other whose path ends so; nothing where it is empty
    or the iterator's end.
    """

    of: dict[str, Iterator[str]] = field(default_factory=dict)

    def next(self, path: str) -> str:
        """The fault of a request; empty for none."""
        for ending, faults in self.of.items():
            if path.endswith(ending):
                return next(faults, "")
        return ""


@dataclass
class Server:
    """A server that is up: where it is asked, what goes wrong, and what was sent so far."""

    endpoint: str
    store: object  # a pyarrow filesystem on the server itself, past the proxy
    faults: Faults
    sent: Counter  # bytes of objects by key's last part
    listings: list[str]  # the requests for what lies in the bucket

    @property
    def address(self) -> str:
        """Where the clips lie."""
        return f"s3://{BUCKET}/{FOLDER}"

    @property
    def environment(self) -> dict[str, str]:
        """What whoever asks the server has in the environment."""
        return environment(self.endpoint)

    def put(self, name: str, content: bytes) -> None:
        """Write an object beside the clips."""
        with self.store.open_output_stream(f"{BUCKET}/{FOLDER}/{name}") as stream:
            stream.write(content)

    def delete(self, name: str) -> None:
        """Delete an object."""
        self.store.delete_file(f"{BUCKET}/{FOLDER}/{name}")


def environment(endpoint: str) -> dict[str, str]:
    """The variables that lead to an endpoint, with the keys of these tests."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """A server with an empty bucket and a proxy before it; both end with the block."""
    port = free_port()
    with open(folder / "moto.log", "wb") as log:
        process = subprocess.Popen(
            [PROGRAM, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
        )
    try:
        _wait_for(port, process)
        faults, sent, listings = Faults(), Counter(), []
        proxy = ThreadingHTTPServer(("127.0.0.1", 0), _handler(port, faults, sent, listings))
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            endpoint = f"http://127.0.0.1:{proxy.server_port}"
            yield Server(endpoint, _store(port), faults, sent, listings)
        finally:
            proxy.shutdown()
            proxy.server_close()
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "moto has ended: see moto.log"
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"moto does not listen after {_PATIENCE_S:.0f} s")


def _store(port: int) -> object:
    from pyarrow import fs

    store = fs.S3FileSystem(
        access_key=KEY,
        secret_key=SECRET,
        region="us-east-1",
        endpoint_override=f"http://127.0.0.1:{port}",
        allow_bucket_creation=True,
    )
    store.create_dir(BUCKET)
    return store


def _handler(
    port: int, faults: Faults, sent: Counter, listings: list[str]
) -> type[BaseHTTPRequestHandler]:
    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def _answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if "list-type=" in urlsplit(self.path).query:
                listings.append(self.path)
            fault = faults.next(path)
            if fault in _STATUS:
                self._refuse(*_STATUS[fault])
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            upstream = http.client.HTTPConnection("127.0.0.1", port)
            try:
                headers = {name: value for name, value in self.headers.items()}
                upstream.request(self.command, self.path, body, headers)
                self._hand_back(upstream.getresponse(), path, fault)
            finally:
                upstream.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

        def _refuse(self, status: int, code: str) -> None:
            body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _hand_back(self, response: http.client.HTTPResponse, path: str, fault: str) -> None:
            content = response.read()
            self.send_response(response.status)
            length = response.getheader("Content-Length") or str(len(content))
            for name, value in response.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command == "GET" and fault == CUT:
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
                return
            self.wfile.write(content)
            if self.command == "GET" and path.count("/") > 1:
                sent[path.rpartition("/")[2]] += len(content)

    return Proxy
