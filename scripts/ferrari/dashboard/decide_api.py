"""Decisions over HTTP: list them, add some, and forecast what they would rerun.

All answers are JSON; a refusal is `{"error": sentence}`.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from fastapi import APIRouter, FastAPI, HTTPException, Request
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from ferrari.common import settings
from ferrari.dashboard import dry_run
from ferrari.dashboard.pages import REVIEW
from ferrari.dashboard.posted_rows import OtherRowError, PostedRows, RefusedRowError
from ferrari.dashboard.reviewed_set import ReviewedSet
from ferrari.dashboard.row_faults import RowFaults
from ferrari.ledger.stages import FINAL_CSV
from ferrari.review import decisions, effects
from ferrari.review.decision_table import DecisionsError

#: Rows of one request: a decision about all that a filter shows.
MOST_ROWS = 20_000

router = APIRouter()


class PostedRow(BaseModel):
    """A row as a page sends it; what it leaves out is empty, or filled in by the server."""

    model_config = ConfigDict(extra="forbid", strict=True)

    scope: str = ""
    target: str = ""
    target_sha256: str = ""
    decision: str
    value: str = ""
    reason: str = ""
    undoes: str = ""
    note: str = ""
    id: str = ""
    when: str = ""
    who: str = ""


class Posted(BaseModel):
    """The body of a request that decides something."""

    model_config = ConfigDict(extra="forbid")

    rows: list[PostedRow]


class Desk:
    """What the routes share: the table, a lock for writing, and the last dry run."""

    def __init__(self, the_set: ReviewedSet) -> None:
        config = settings.load(*the_set.config_files)
        faults = RowFaults(the_set.work, config)
        self.posted = PostedRows(os.fspath(the_set.dataset), the_set.who, faults.of)
        self.turn = asyncio.Lock()  # fair: who asks first writes first
        self.forecast = dry_run.Forecast(the_set)
        self.forecasting = asyncio.Lock()


def open_desk(app: FastAPI, the_set: ReviewedSet) -> None:
    """Make the state that the routes of `router` need."""
    app.state.desk = Desk(the_set)


@router.get("/api/decisions")
async def decided(request: Request) -> dict:
    """All rows of the table in their order, the state of each row in force by its id, that masks
    may be sent (`mask_api`), and whether the review page is `older` than the dataset.
    """
    desk: Desk = request.app.state.desk
    dataset: Path = request.app.state.set.dataset
    try:
        async with desk.turn:
            rows = await run_in_threadpool(desk.posted.rows)
        states = await run_in_threadpool(_states, dataset)
    except DecisionsError as error:
        raise HTTPException(503, str(error)) from error
    older = is_older(request.app.state.set)
    found = [row._asdict() for row in rows]
    return {"rows": found, "states": states, "masks": True, "older": older}


def is_older(the_set: ReviewedSet) -> bool:
    """True if the final table was written after the review page, which then shows what was there
    before; False where one of them is not there.
    """
    try:
        page = (the_set.qc / REVIEW).stat().st_mtime_ns
        return (the_set.dataset / FINAL_CSV).stat().st_mtime_ns > page
    except FileNotFoundError:
        return False


def _states(dataset: Path) -> dict[str, list[str]]:
    found = effects.of_dataset(dataset, decisions.load(dataset))
    return {effect.row.id: [effect.state, effect.reason] for effect in found}


@router.post("/api/decisions")
async def decide(request: Request, posted: Posted) -> dict:
    """Write rows; they are on the disk when the answer is sent. `said` reports what was corrected.

    A wrong row is 422 or 409: it will never be accepted. A problem with the table or the disk is
    503 or 507: the page keeps its rows, and sends them again.
    """
    if not 0 < len(posted.rows) <= MOST_ROWS:
        raise HTTPException(422, f"one request has 1 to {MOST_ROWS:,} rows")
    desk: Desk = request.app.state.desk
    cells = [row.model_dump() for row in posted.rows]
    try:
        async with desk.turn:
            rows, said = await run_in_threadpool(desk.posted.add, cells)
    except RefusedRowError as error:
        raise HTTPException(422, str(error)) from error
    except OtherRowError as error:
        raise HTTPException(409, str(error)) from error
    except DecisionsError as error:
        raise HTTPException(503, str(error)) from error
    except OSError as error:
        raise HTTPException(507, f"the decision cannot be written: {error}") from error
    return {"rows": [row._asdict() for row in rows], **({"said": said} if said else {})}


@router.get("/api/reruns")
async def reruns(request: Request) -> dict:
    """What the next run would do, as Snakemake says: jobs by rule, and their clips.

    One dry run at a time; its answer is valid until a row, a setting, a clip or a run changes it.
    """
    desk: Desk = request.app.state.desk
    try:
        async with desk.forecasting:
            return await run_in_threadpool(desk.forecast.look)
    except (dry_run.DryRunError, DecisionsError) as error:
        raise HTTPException(503, str(error)) from error
