"""The pages that lie on the disk: the review page, its pictures, and the reports.

They are served as they were built. The review page gets one tag more, which tells its script that a
server is there; links of the reports to one another get the token, since they have no other way to
carry it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from ferrari.dashboard.access import OPEN_REPORTS, PARAMETER
from ferrari.dashboard.pictures import TYPES

#: Below the folder of the reports.
REVIEW, REVIEW_PICTURES = "review.html", "review"
_TYPES = {".html": "text/html; charset=utf-8", ".csv": "text/csv; charset=utf-8"}
_REPORT_CSP = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline' 'unsafe-eval'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_SCRIPT = re.compile(rb"<script(?![^>]*application/json)[^>]*>(.*?)</script>", re.S)
_LINK = re.compile(rb'href="([\w-]+\.html)([#"])')

router = APIRouter()


@router.get("/")
def first_page(request: Request) -> Response:
    """The page behind the door that was opened."""
    return _moved(request, request.app.state.doors.first)


@router.get("/review")
def review(request: Request) -> Response:
    """The page where a person looks and decides."""
    path = request.app.state.set.qc / REVIEW
    try:
        html = path.read_bytes()
    except OSError as error:
        raise HTTPException(
            404, f"{path} is not there: run the pipeline, then start `make review` again"
        ) from error
    tag = f'<meta name="ferrari-server" content="{request.app.state.token}">'
    served = html.replace(b"</head>", tag.encode() + b"</head>", 1)
    return Response(served, headers=_html("review", html))


def _html(kind: str, html: bytes) -> dict[str, str]:
    policy = _REPORT_CSP if kind == "report" else _review_csp(html)
    return {"Content-Type": _TYPES[".html"], "Content-Security-Policy": policy}


def _review_csp(html: bytes) -> str:
    """Its own scripts by their digests, and what it fetches from here; nothing from elsewhere."""
    scripts = (base64.b64encode(hashlib.sha256(one).digest()) for one in _SCRIPT.findall(html))
    allowed = " ".join(f"'sha256-{digest.decode()}'" for digest in scripts) or "'none'"
    return (
        "default-src 'none'; img-src 'self' data: blob:; style-src 'unsafe-inline'; "
        f"script-src {allowed}; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


@router.get("/review/{name}")
def review_picture(request: Request, name: str) -> Response:
    """A file of small pictures that the review page shows."""
    path = _listed(request.app.state.set.qc / REVIEW_PICTURES, name)
    if path is None or path.suffix not in TYPES:
        raise HTTPException(404, "the review page has no picture of this name")
    return FileResponse(path, media_type=TYPES[path.suffix])


@router.get("/reports/{name}")
def report(request: Request, name: str) -> Response:
    """A report's page, or a table beside it."""
    if name == REVIEW:
        return _moved(request, "/review")
    path = _listed(request.app.state.set.qc, name)
    if path is None or path.suffix not in _TYPES:
        raise HTTPException(404, "there is no report of this name")
    if path.suffix != ".html":
        return FileResponse(path, media_type=_TYPES[path.suffix])
    html = path.read_bytes()
    token = request.app.state.token.encode()
    linked = _LINK.sub(rb'href="\1?%s=%s\2' % (PARAMETER.encode(), token), html)
    return Response(linked, headers=_html("report", html))


@router.get(OPEN_REPORTS + "{name}")
def open_report(request: Request, name: str) -> Response:
    """A report's page as it is, for everybody, where the server was started so."""
    known = request.app.state.doors.open_reports and name.endswith(".html") and name != REVIEW
    path = _listed(request.app.state.set.qc, name) if known else None
    if path is None:
        raise HTTPException(404, "there is no report of this name")
    html = path.read_bytes()
    return Response(html, headers=_html("report", html))


def _listed(folder: Path, name: str) -> Path | None:
    """The file of a folder that has this name, and nothing that a name could lead to elsewhere."""
    try:
        return next(one for one in folder.iterdir() if one.name == name and one.is_file())
    except (OSError, StopIteration):
        return None


def _moved(request: Request, path: str) -> Response:
    return RedirectResponse(f"{path}?{PARAMETER}={request.app.state.token}", 303)
