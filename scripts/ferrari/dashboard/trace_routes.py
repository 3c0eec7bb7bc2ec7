"""The page of `make trace`: where an item comes from, its pictures, what happened to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from ferrari.common import settings
from ferrari.dashboard.rendering import page
from ferrari.dashboard.reviewed_set import ReviewedSet
from ferrari.ledger.columns import KEPT
from ferrari.ledger.reason_words import advice, sentence
from ferrari.ledger.tables import LedgerError
from ferrari.provenance import trace_facts, trace_summary
from ferrari.provenance.descendants import Fate
from ferrari.provenance.trace import Dataset, Step, Trace, UnknownItemError

#: Items that a list shows at most.
_LISTED = 200
#: Bytes of a file's name; the table of a clip that is called so has four more.
_LONGEST = 251
#: The pictures of a stage's row: their kinds, see `pictures`.
_PICTURES = {
    "extract": ("frame",),
    "crop": ("crop",),
    "mask": ("cutout", "mask"),
    "augment": ("image", "mask"),
}
_ALT = {"frame": "The frame", "crop": "The crop", "cutout": "The cut-out", "image": "The image"}

router = APIRouter()


@router.get("/trace")
def ask(request: Request, item: str = "") -> HTMLResponse:
    """The page that asks for an item, or the trace of the one that its form names."""
    return trace(request, item) if item.strip() else _page(request, "", {}, 200)


@router.get("/trace/{item:path}")
def trace(request: Request, item: str) -> HTMLResponse:
    """The trace of an id, a raw file's name, or any file's of the dataset or a package; 404 with
    the nearest that there are.
    """
    asked = item.strip()
    if len(os.fsencode(Path(asked).name)) > _LONGEST:
        return _unknown(request, asked, [])
    try:
        found = _dataset(request.app.state.set).trace(asked, _LISTED)
    except UnknownItemError as error:
        return _unknown(request, asked, error.near)
    except (LedgerError, OSError) as error:
        said = f"The dataset cannot be read: {error}"
        return _page(request, asked, {"said": said}, HTTPStatus.INTERNAL_SERVER_ERROR)
    return _page(request, asked, {"found": _as_shown(found)}, 200)


def _unknown(request: Request, asked: str, near: list[str]) -> HTMLResponse:
    said = "Nothing in this set has this id or name."
    return _page(request, asked, {"said": said, "near": near}, HTTPStatus.NOT_FOUND)


def _page(request: Request, asked: str, told: dict, status: int) -> HTMLResponse:
    values = {"found": None, "said": "", "near": [], **told}
    return page(request, "trace", status, title="Trace", asked=asked, **values)


def _dataset(the_set: ReviewedSet) -> Dataset:
    return Dataset(the_set.dataset, the_set.raw, settings.load(*the_set.config_files))


def _as_shown(trace: Trace) -> dict:
    return {
        "item": trace.item,
        "what": trace_facts.headline(trace),
        "gone": trace_summary.gone(trace),
        "steps": [_step(step, trace) for step in trace.steps],
        "packages": _told(trace_facts.package_facts(trace)),
        "in_no_package": trace.kind == "image" and not trace.packages,
        "kind": trace.kind,
        "fates": [_fate(fate) for fate in trace.fates],
        "final": [item for fate in trace.fates for item in fate.final],
        "final_more": sum(_more_kept(fate) for fate in trace.fates),
    }


def _step(step: Step, trace: Trace) -> dict:
    made = [("table", step.table), *trace_facts.made_facts(step)]
    return {
        "title": trace_facts.title_of(step),
        "item": step.row["item"],
        "kept": step.row["outcome"] == KEPT,
        "facts": _told(trace_facts.step_facts(step, trace)),
        "made": _told([fact for fact in made if fact[0] != "WARNING"]),
        "warnings": step.warnings,
        "pictures": list(_pictures(step)),
    }


def _pictures(step: Step) -> Iterator[dict[str, str]]:
    """Kind, id and a text for those who do not see it, of each picture of a row that names one."""
    for kind in _PICTURES.get(step.stage, ()) if step.row.get("path") else ():
        yield {"kind": kind, "item": step.row["item"], "alt": _ALT.get(kind, "Its mask")}


def _fate(fate: Fate) -> dict:
    refused = sum(count for what, count in fate.counts.items() if what != KEPT)
    listed = fate.refused if fate.stage != "package" else []
    reasons = dict.fromkeys(row["reason"] for row in listed)
    return {
        "label": trace_facts.fate_label(fate),
        "counts": ", ".join(f"{count:,} {what}" for what, count in fate.counts.items()),
        "warnings": fate.warnings,
        "refused": [(row["item"], trace_facts.verdict(row)) for row in listed],
        "reasons": [(code, f"{sentence(code)} {advice(code)}".strip()) for code in reasons],
        "more": refused - len(listed) if listed else 0,
    }


def _more_kept(fate: Fate) -> int:
    return fate.counts.get(KEPT, 0) - len(fate.final) if fate.final else 0


def _told(facts: trace_facts.Facts) -> list[tuple[str, str]]:
    return [(label, text) for label, text in facts if text]
