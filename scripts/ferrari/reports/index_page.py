"""The index of the QC reports: what it shows, and its HTML. All numbers are formatted text.

This module imports nothing heavy (no pandas, no altair): the index has neither tables nor charts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ferrari.common.counts import number_of
from ferrari.ledger.clip_fates import FileFate
from ferrari.reports import checks, templating
from ferrari.reports.checks import FAIL


@dataclass(frozen=True)
class Trouble:
    """A check that is not PASS: its status, and what it found as one line."""

    status: str
    said: str


@dataclass(frozen=True)
class Card:
    """One report: the link to its page, its title and question, its worst status, its figures."""

    href: str
    label: str
    heading: str
    question: str
    status: str
    facts: str
    troubles: list[Trouble]


@dataclass(frozen=True)
class Share:
    """The share of one outcome (kept, dropped or quarantined) in a stage's items."""

    name: str
    percent: str


@dataclass(frozen=True)
class Step:
    """One stage of the ledger: its counts, whether they balance, and the shares of the outcomes."""

    title: str
    considered: str
    kept: str
    dropped: str
    quarantined: str
    status: str
    said: str
    parts: list[Share]


@dataclass(frozen=True)
class Lost:
    """What the index says first: what is missing from the dataset, and what is old in it.

    `files` are the refused clips that are named, `more` counts the others. `images` says how many
    clips gave how many images; `without` and `reasons` are about sound clips that gave none.
    `apart` is what else is in the raw folder, `gone` are clips that were removed from it and still
    have files in the dataset, `older_packages` packages that are no longer made. A text or list
    that does not apply is empty.
    """

    headline: str
    files: list[FileFate]
    more: int
    images: str
    without: str
    reasons: list[str]
    apart: str
    gone: list[str]
    older_packages: list[str]


@dataclass(frozen=True)
class Folder:
    """A folder of the set: its path, its contents, its size, and whether it may be deleted."""

    folder: str
    holds: str
    mb: str
    files: str
    may_go: str


@dataclass(frozen=True)
class ClipCost:
    """A clip's file, the seconds of its last jobs, and its size in the dataset."""

    file: str
    seconds: str
    mb: str


@dataclass(frozen=True)
class Costs:
    """The disk use of the set, and the costliest of `all_clips` clips."""

    folders: list[Folder]
    clips: list[ClipCost]
    all_clips: str


def html(cards: Sequence[Card], flow: Sequence[Step], lost: Lost, costs: Costs) -> str:
    """The HTML of the index."""
    statuses = [card.status for card in cards]
    status = checks.worst(statuses)
    said = (
        f"{number_of(len(cards), 'report')}: {checks.tally(statuses)}."
        if cards
        else "No report was built yet."
    )
    if FAIL in statuses:
        said += (
            " A FAIL stops packaging while qc.enforce is true: a package that lies there is of an "
            "earlier run."
        )
    return (
        templating.of_reports()
        .get_template("index.html.j2")
        .render(
            title=f"Quality reports: {status}",
            status=status,
            summary=said,
            cards=cards,
            flow=flow,
            lost=lost,
            costs=costs,
        )
    )
