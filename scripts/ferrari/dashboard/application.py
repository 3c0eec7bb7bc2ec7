"""The server's application: every route, behind one access check."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from ferrari.common.errors import FerrariError
from ferrari.dashboard import (
    decide_api,
    live_routes,
    mask_api,
    pages,
    pictures,
    trace_routes,
)
from ferrari.dashboard.access import LOOPBACK, Access, refusal
from ferrari.dashboard.reviewed_set import ReviewedSet

ROUTERS = (
    *(pages.router, pictures.router, decide_api.router, mask_api.router),
    *(live_routes.router, trace_routes.router),
)


@dataclass(frozen=True)
class Doors:
    """How the server is entered: the path of its first page, its host names, and whether the
    reports are open to everybody who can reach it.
    """

    first: str = "/review"
    hosts: frozenset[str] = LOOPBACK
    open_reports: bool = False


def create_app(the_set: ReviewedSet, token: str, doors: Doors) -> FastAPI:
    """The application that serves a set. Routes find it as `app.state.set`, the token that pages
    hand on as `app.state.token`.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.set, app.state.token, app.state.doors = the_set, token, doors
    decide_api.open_desk(app, the_set)
    mask_api.open_easel(app, the_set)
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(FerrariError, _fault)
    app.add_middleware(Access, token=token, hosts=doors.hosts, open_reports=doors.open_reports)
    return app


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(request, error.status_code, str(error.detail))


def _fault(request: Request, error: Exception) -> Response:
    """An error that a person has to correct, such as a damaged table: the message says where and
    how.
    """
    return refusal(request, 500, str(error))


def _unfit(request: Request, error: Exception) -> Response:
    """A body that does not have the form that a route expects: where, and what was expected."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    return refusal(request, 422, f"{place or 'the body'}: {first['msg']}")
