"""Where a simulated card waits: the spans in which it was busy, beside those of the run's jobs.

python -m bench.card_idle FOLDER     a run's folder, whose card has written into its `notes`
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferrari.jobs import run_events

#: Why a card waits. A moment counts for the first that holds.
HANDED_OVER = "between two pictures"
LOADING = "while a network is loaded"
BEGINNING = "before the first clip is cut out"
ENDING = "after the last job began"
NO_MASK = "no clip is being cut out"
CORES = "jobs prepare and write"
CAUSES = (HANDED_OVER, LOADING, BEGINNING, ENDING, NO_MASK, CORES)
#: A wait that is shorter is what one hand-over takes, on cores that do nothing else.
_SHORT_S = 0.02


@dataclass(frozen=True)
class Span:
    """From one second of the clock to another; `what` was done, with `pictures` of a card."""

    began: float
    ended: float
    what: str
    pictures: int = 0


def of_card(notes: Path) -> list[Span]:
    """What the cards did, by time: networks that were loaded have no pictures."""
    lines = [line.split() for file in notes.glob("busy-*") for line in file.open()]
    spans = [
        Span(float(began), float(ended), what, int(count)) for began, ended, count, what in lines
    ]
    return sorted(spans, key=lambda span: span.began)


def of_jobs(working: Path) -> list[Span]:
    """The jobs of the latest run in a folder, by rule."""
    events = run_events.EventReader(run_events.files(working)[0]).new()
    ends = {e["id"]: e["time"] for e in events if e["event"] == run_events.ENDED}
    return [
        Span(e["time"], ends[e["id"]], e["rule"])
        for e in events
        if e["event"] == run_events.BEGAN and e["id"] in ends
    ]


def waits(card: Sequence[Span], jobs: Sequence[Span]) -> Mapping[str, float]:
    """Seconds by cause in which one card did nothing, from its first picture to its last."""
    pictures = [span for span in card if span.pictures]
    loads = [span for span in card if not span.pictures]
    masks = [span for span in jobs if span.what == "mask"]
    first, last = min(job.began for job in masks), max(job.began for job in jobs)
    found = dict.fromkeys(CAUSES, 0.0)
    for began, ended in _gaps(pictures):
        for start, end in _cut(began, ended, [first, last], loads, masks):
            middle = (start + end) / 2
            if ended - began < _SHORT_S:
                cause = HANDED_OVER
            elif _on(loads, middle):
                cause = LOADING
            elif middle < first:
                cause = BEGINNING
            elif middle > last:
                cause = ENDING
            else:
                cause = CORES if _on(masks, middle) else NO_MASK
            found[cause] += end - start
    return found


def _gaps(spans: Sequence[Span]) -> Iterator[tuple[float, float]]:
    """What lies between spans, which are sorted by their beginning."""
    until = spans[0].ended
    for span in spans[1:]:
        if span.began > until:
            yield until, span.began
        until = max(until, span.ended)


def _cut(
    began: float, ended: float, at: Iterable[float], *around: Sequence[Span]
) -> Iterator[tuple[float, float]]:
    """The stretch in pieces, in each of which nothing of the others begins or ends."""
    edges = {*at, *(edge for spans in around for s in spans for edge in (s.began, s.ended))}
    inside = [began, *sorted(edge for edge in edges if began < edge < ended), ended]
    yield from itertools.pairwise(inside)


def _on(spans: Sequence[Span], moment: float) -> bool:
    return any(span.began <= moment < span.ended for span in spans)


def told(found: Mapping[str, float]) -> str:
    """What a row says: the causes with their seconds, the longest first."""
    causes = sorted((cause for cause in found if found[cause] >= 0.05), key=found.__getitem__)
    return "the card waits: " + ", ".join(f"{found[each]:.1f} s {each}" for each in causes[::-1])


if __name__ == "__main__":
    place = Path(sys.argv[1])
    print(told(waits(of_card(place / "notes"), of_jobs(place))))
