"""Masks over HTTP: save one that a person drew, or propose others. Nothing is decided here.

A page saves a mask, and then sends the row `mask` that names its file, like any decision. Proposals
are shown to a person, who accepts them one by one. Pixels travel as base64 of a PNG; a mask is
grey, of the crop's size: 255 is the subject. All answers are JSON; a refusal is `{"error":
sentence}`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from ferrari.common import settings
from ferrari.common.places import ROOT
from ferrari.dashboard import pictures
from ferrari.dashboard.reviewed_set import ReviewedSet
from ferrari.images import image_files, mask_files
from ferrari.images.image_files import ImageReadError
from ferrari.ledger.item_ids import Item, parse
from ferrari.matting import mask_proposals
from ferrari.matting.mask_proposals import ProposalError
from ferrari.networks import weight_files
from ferrari.review import decisions, mended
from ferrari.review.contract import MASK
from ferrari.review.decision_table import DecisionsError
from ferrari.review.mended import MendedMaskError

#: Makes another segmenter's mask. It forks, and so has to be a process without threads.
TOOL = ROOT / "scripts" / "tools" / "propose_mask.py"
#: Seconds that it may take: large networks load slowly on a CPU.
PATIENCE_S = 600.0
_NOTHING = 1  # the tool's exit status where there is nothing to propose, and its error says why
_MOST_SAID = 2000  # characters of an error

router = APIRouter()


class AskedMask(BaseModel):
    """What is asked for: that `png` is saved; with `along_track`, what it would change in the
    neighbours; or what `segmenter` makes of the crop.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    target: str
    png: str = ""
    along_track: bool = False
    segmenter: str = ""


class Easel:
    """What the routes share: the settings, and a lock.

    One mask is worked on at a time, and by one segmenter: a crop may have 100 million pixels.
    """

    def __init__(self, the_set: ReviewedSet) -> None:
        config = settings.load(*the_set.config_files)
        self.config = weight_files.seen_from(the_set.work, config)
        self.drawing, self.segmenting = asyncio.Lock(), asyncio.Lock()


def open_easel(app: FastAPI, the_set: ReviewedSet) -> None:
    """Make the state that the routes of `router` need."""
    app.state.easel = Easel(the_set)


@router.get("/api/mask/{crop}")
def begun(request: Request, crop: str) -> Response:
    """The mask from which a person continues: that of the row in force, else the cut-out's alpha.

    The answer is the grey PNG itself.
    """
    dataset: Path = request.app.state.set.dataset
    item = _crop(crop)
    try:
        rows = decisions.load(dataset).of("mask", item.video)
    except DecisionsError as error:
        raise HTTPException(503, str(error)) from error
    for row in rows:
        if row.decision == MASK and row.target == crop:
            line = mended.crops_of(dataset, [row]).get(crop, {})
            fits = line.get("sha256") == row.target_sha256
            if fits and not mended.fault_of(dataset, row, line):
                return Response((dataset / row.value).read_bytes(), media_type="image/png")
    return pictures.mask_of(dataset, crop)


@router.get("/api/segmenters")
async def segmenters(request: Request) -> dict:
    """Names of segmenters whose weights are on this machine; the set's own first."""
    easel: Easel = request.app.state.easel
    names = await run_in_threadpool(mask_proposals.segmenters_at_hand, easel.config)
    return {"segmenters": names}


@router.post("/api/propose-mask")
async def propose(request: Request, asked: AskedMask) -> dict:
    """Save a mask (`value`, `sha256`, `target_sha256`: what a row `mask` needs), or propose some:
    `proposals` along the track, or a `png` by another segmenter.

    What does not fit is 422: asked for again, it would not fit either.
    """
    the_set: ReviewedSet = request.app.state.set
    easel: Easel = request.app.state.easel
    _crop(asked.target)
    if bool(asked.png) == bool(asked.segmenter) or (asked.segmenter and asked.along_track):
        raise HTTPException(422, "ask with a png (and along_track), or with a segmenter's name")
    try:
        if asked.segmenter:
            async with easel.segmenting:
                return await _segmented(the_set, easel.config, asked)
        work = _along_track if asked.along_track else _saved
        async with easel.drawing:
            return await run_in_threadpool(work, the_set.dataset, asked.target, _bytes(asked.png))
    except (ImageReadError, MendedMaskError, ProposalError) as error:
        raise HTTPException(422, str(error)) from error
    except OSError as error:
        raise HTTPException(507, f"the mask cannot be written or read: {error}") from error


def _crop(name: str) -> Item:
    item = parse(name)
    if item is None or item.kind != "crop":
        raise HTTPException(422, f"{name[:80]!r} is no id of a crop")
    return item


def _bytes(png: str) -> bytes:
    try:
        return base64.b64decode(png, validate=True)
    except binascii.Error as error:
        raise HTTPException(422, f"the png is no base64: {error}") from error


def _saved(dataset: Path, crop: str, png: bytes) -> dict:
    found = mask_proposals.accepted(dataset, crop, png)
    return {"value": found.path, "sha256": found.sha256, "target_sha256": found.target_sha256}


def _along_track(dataset: Path, crop: str, png: bytes) -> dict:
    mask_u8 = image_files.decode(mask_files.grey_png(png), "the mask")
    found = mask_proposals.along_track(dataset, crop, mask_u8)
    return {
        "proposals": [
            {
                **{"target": one.crop, "png": _text(image_files.encode_png(one.alpha_u8))},
                **{"box_iou": one.box_iou, "alpha_iou": one.alpha_iou},
                "changed_px": one.changed_px,
            }
            for one in found
        ]
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


# --- another segmenter ----------------------------------------------------------------------------


async def _segmented(the_set: ReviewedSet, config: Mapping, asked: AskedMask) -> dict:
    at_hand = await run_in_threadpool(mask_proposals.segmenters_at_hand, config)
    if asked.segmenter not in at_hand:
        known = ", ".join(at_hand) or "none"
        raise HTTPException(
            422, f"{asked.segmenter[:80]!r} is no segmenter at hand; these are: {known}"
        )
    with tempfile.TemporaryDirectory(prefix="ferrari-mask-") as folder:
        png = Path(folder) / "mask.png"
        status, said = await _told(_command(the_set, asked, png), the_set.work)
        if status:
            raise HTTPException(422 if status == _NOTHING else 500, said)
        return {"png": _text(png.read_bytes())}


def _command(the_set: ReviewedSet, asked: AskedMask, png: Path) -> list[str]:
    """The tool's command line. The id of a crop, and a known name, begin with no dash."""
    words = [sys.executable, str(TOOL), asked.target, "--segmenter", asked.segmenter]
    words += ["--out", str(png), "--work", str(the_set.work)]
    return words + (["--config", *map(str, the_set.config_files)] * bool(the_set.config_files))


async def _told(command: list[str], work: Path) -> tuple[int, str]:
    """A command's exit status and the end of what it said as its error.

    It is ended, with all that it started, when its time is up or the server ends.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=work,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, said = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    except TimeoutError as error:
        raise ProposalError(
            f"no answer within {PATIENCE_S:g} s: draw the mask, or take another segmenter"
        ) from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    status = process.returncode or 0
    text = said.decode("utf-8", "replace").strip()[-_MOST_SAID:]
    return status, text or f"the segmenter's process ended with status {status}, without a word"
