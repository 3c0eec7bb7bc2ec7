"""The live page: the progress of a run, its log, and buttons that start one."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from ferrari.dashboard.rendering import page
from ferrari.dashboard.run_control import KINDS, RunControl, RunRefusedError
from ferrari.dashboard.run_state import RunState

router = APIRouter()
_opening = threading.Lock()


@dataclass
class Live:
    """What the routes share: one watch and one control for the set that is served."""

    control: RunControl
    watch: RunState


def live_of(request: Request) -> Live:
    """The application's live state, made on first use: a server without visitors does no work."""
    state = request.app.state
    with _opening:
        if not hasattr(state, "live"):
            control = RunControl(state.set)
            state.live = Live(control, RunState(state.set, control))
        return state.live


@router.get("/live")
def live(request: Request) -> HTMLResponse:
    """The page; its script asks `/api/run` every two seconds."""
    return page(request, "live", title="Live", work=str(request.app.state.set.work))


@router.get("/api/run")
def run(request: Request) -> Response:
    """The state of the set (`run_state.RunState.state`)."""
    return JSONResponse(live_of(request).watch.state())


@router.get("/api/run/log")
def log(request: Request) -> Response:
    """The end of what the run says, as text."""
    return PlainTextResponse(live_of(request).watch.log_tail())


@router.post("/api/run/start")
def start(request: Request, asked: dict[str, str]) -> Response:
    """Start a run: {"kind": "dry"} or {"kind": "run"}. 409 where one goes on or none may start, 507
    where its log cannot be written.
    """
    kind = asked.get("kind", "")
    if kind not in KINDS:
        raise HTTPException(422, f"kind has to be one of {', '.join(KINDS)}")
    try:
        started = live_of(request).control.start(kind)
        live_of(request).watch.look_anew()
    except RunRefusedError as error:
        raise HTTPException(409, str(error)) from error
    except OSError as error:
        raise HTTPException(507, f"The run's log cannot be written: {error}") from error
    return JSONResponse({"kind": started.kind, "pid": started.process.pid}, 202)


@router.post("/api/run/stop")
def stop(request: Request) -> Response:
    """End the run that this server started, as Ctrl-C would; 409 where there is none."""
    try:
        live_of(request).control.stop()
    except RunRefusedError as error:
        raise HTTPException(409, str(error)) from error
    return JSONResponse({}, 202)


def farewell(state: object) -> str:
    """The message when the server ends, given its application's `state`: that a run started here is
    still going; else empty.
    """
    shared = getattr(state, "live", None)
    return shared.control.farewell() if isinstance(shared, Live) else ""
