"""The pages that are files: the review page, its pictures, and the reports.

They are served as they were built, with two changes: the review page gets a tag that tells its
script that there is a server, and links between reports get the token, since they have no other way
to carry it.
"""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from ferrari.common import page_policy
from ferrari.dashboard.access import OPEN_REPORTS, PARAMETER
from ferrari.dashboard.pictures import TYPES

#: Below the folder of the reports.
REVIEW, REVIEW_PICTURES = "review.html", "review"
_TYPES = {".html": "text/html; charset=utf-8", ".csv": "text/csv; charset=utf-8"}
_SCRIPT = re.compile(rb"<script(?![^>]*application/json)[^>]*>(.*?)</script>", re.S)
_LINK = re.compile(rb'href="([\w-]+\.html)([#"])')

router = APIRouter()


@router.get("/")
def first_page(request: Request) -> Response:
    """The first page of the server, as it was started."""
    return _moved(request, request.app.state.doors.first)


@router.get("/review")
def review(request: Request) -> Response:
    """The page on which a person reviews the set."""
    path = request.app.state.set.qc / REVIEW
    try:
        html = path.read_bytes()
    except OSError as error:
        raise HTTPException(
            404, f"{path} is not there: run the pipeline, then start `make review` again"
        ) from error
    tag = f'<meta name="ferrari-server" content="{request.app.state.token}">'
    served = html.replace(b"</head>", tag.encode() + b"</head>", 1)
    policy = page_policy.of_page(_SCRIPT.findall(html), images="'self' data: blob:")
    return _page(served, policy)


def _page(html: bytes, policy: str) -> Response:
    headers = {"Content-Type": _TYPES[".html"], "Content-Security-Policy": policy}
    return Response(html, headers=headers)


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
    return _page(linked, page_policy.of_report())


@router.get(OPEN_REPORTS + "{name}")
def open_report(request: Request, name: str) -> Response:
    """A report's page as it is, for everybody, where the server was started so."""
    known = request.app.state.doors.open_reports and name.endswith(".html") and name != REVIEW
    path = _listed(request.app.state.set.qc, name) if known else None
    if path is None:
        raise HTTPException(404, "there is no report of this name")
    return _page(path.read_bytes(), page_policy.of_report())


def _listed(folder: Path, name: str) -> Path | None:
    """The file of this name in a folder; no name can lead outside of the folder."""
    try:
        return next(one for one in folder.iterdir() if one.name == name and one.is_file())
    except (OSError, StopIteration):
        return None


def _moved(request: Request, path: str) -> Response:
    return RedirectResponse(f"{path}?{PARAMETER}={request.app.state.token}", 303)
