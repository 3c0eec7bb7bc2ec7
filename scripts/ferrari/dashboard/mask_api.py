"""Masks over HTTP: a drawn one is put where a decision may name it; others are proposed.

Nothing is decided here: the page shows what comes back, and posts a row `mask` for each mask that
somebody accepts.
"""

from __future__ import annotations

import base64
import binascii
import subprocess
import sys
import tempfile
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from ferrari.common.places import SCRIPTS
from ferrari.dashboard.reviewed_set import ReviewedSet
from ferrari.images import image_files, mask_files
from ferrari.images.image_files import ImageReadError
from ferrari.matting import mask_proposals
from ferrari.matting.mask_proposals import ProposalError
from ferrari.review.mended import MendedMaskError

_PATIENCE_S = 300  # to load a network on a CPU and ask it once

router = APIRouter()


class Asked(BaseModel):
    """A crop, and one of: a mask of it (a grey PNG, base64) to be saved; that mask and
    `along_track`, for its neighbours; the name of another segmenter.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    target: str
    png: str = ""
    along_track: bool = False
    segmenter: str = ""


@router.post("/api/propose-mask")
async def propose(request: Request, asked: Asked) -> dict:
    """Of a drawn mask `value`, `sha256` and `target_sha256` for a row `mask`. Else `proposals`: of
    each `target` and `png`, and of neighbours how alike they are. 422 with why there is none.
    """
    the_set: ReviewedSet = request.app.state.set
    if bool(asked.png) == bool(asked.segmenter):
        raise HTTPException(422, "either png or segmenter is to be given")
    how = _by_segmenter if asked.segmenter else _along_track if asked.along_track else _saved
    try:
        return await run_in_threadpool(how, the_set, asked)
    except (ImageReadError, MendedMaskError, ProposalError) as error:
        raise HTTPException(422, str(error)) from error
    except OSError as error:
        raise HTTPException(507, f"the mask cannot be written: {error}") from error


def _saved(the_set: ReviewedSet, asked: Asked) -> dict:
    mask = mask_proposals.accepted(the_set.dataset, asked.target, _bytes(asked.png))
    return {"value": mask.path, "sha256": mask.sha256, "target_sha256": mask.target_sha256}


def _along_track(the_set: ReviewedSet, asked: Asked) -> dict:
    mask_u8 = image_files.decode(mask_files.grey_png(_bytes(asked.png)))
    return {
        "proposals": [
            {
                **{"target": one.crop, "png": _text(image_files.encode_png(one.alpha_u8))},
                **{"box_iou": one.box_iou, "alpha_iou": one.alpha_iou},
                "changed_px": one.changed_px,
            }
            for one in mask_proposals.along_track(the_set.dataset, asked.target, mask_u8)
        ]
    }


def _by_segmenter(the_set: ReviewedSet, asked: Asked) -> dict:
    """In a process of its own: the network's child is forked, which threads do not bear."""
    with tempfile.TemporaryDirectory(prefix="ferrari-mask-") as folder:
        out = Path(folder) / "mask.png"
        words = [sys.executable, str(SCRIPTS / "tools/propose_mask.py"), f"--out={out}"]
        words += [f"--segmenter={asked.segmenter}", f"--work={the_set.work}"]
        if the_set.config_files:
            words += ["--config", *map(str, the_set.config_files)]
        words += ["--", asked.target]
        try:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_PATIENCE_S,
            )
        except subprocess.TimeoutExpired as error:
            raise ProposalError(f"{asked.segmenter} gave no mask in {_PATIENCE_S} s") from error
        if done.returncode or not out.is_file():
            raise ProposalError(done.stderr.strip()[-1000:] or f"{asked.segmenter} gave no mask")
        return {"proposals": [{"target": asked.target, "png": _text(out.read_bytes())}]}


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageReadError(f"the mask is no base64: {error}") from error


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
