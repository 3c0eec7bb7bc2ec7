"""A trace as text, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from ferrari.common.visible_text import shown
from ferrari.ledger.reason_words import advice, sentence
from ferrari.provenance.descendants import Fate
from ferrari.provenance.trace import Step, Trace
from ferrari.provenance.trace_facts import (
    WARNING,
    Facts,
    fate_label,
    headline,
    made_facts,
    step_facts,
    title_of,
    verdict,
)
from ferrari.provenance.trace_summary import first_facts, gone

_WIDTH, _LABEL = 100, 14
_LONGEST = 20_000  # characters of one fact: settings are long
_MORE = (
    "Settings, weights, hashes and libraries of each step: --all (make trace ITEM=... ALL=1), as "
    "JSON: JSON=1"
)


def render(trace: Trace, everything: bool = False) -> str:
    """The answer: what people ask for first, and below it, with `everything`, all that is known of
    each step, with its settings, hashes and libraries.
    """
    lines = [f"{trace.item}: {headline(trace)}", ""]
    if said := gone(trace):
        lines += [textwrap.fill(shown(said, _LONGEST), _WIDTH, break_on_hyphens=False), ""]
    lines += [*_facts_lines(first_facts(trace)), ""]
    if trace.fates:
        was = ", while it was there" if trace.raw["gone"] else ""
        lines += [f"what became of the {trace.kind}{was}", *_fates_lines(trace.fates), ""]
    if everything:
        lines += ["EACH STEP", ""]
        for step in trace.steps:
            lines += _step_lines(step, trace)
    else:
        lines.append(_MORE)
    return "\n".join(lines).rstrip() + "\n"


def _step_lines(step: Step, trace: Trace) -> Iterator[str]:
    own = f"   {step.row['item']}" if step.stage != "probe" else ""
    yield f"{title_of(step)}{own}"
    yield from _facts_lines([*step_facts(step, trace), ("table", step.table), *made_facts(step)])
    yield ""


def _facts_lines(facts: Facts) -> Iterator[str]:
    for label, text in facts:
        if text:
            yield textwrap.fill(
                shown(text, _LONGEST),
                _WIDTH,
                initial_indent=f"  {label:<{_LABEL - 1}} ",
                subsequent_indent=" " * (_LABEL + 2),
                break_long_words=False,
                break_on_hyphens=False,
            )


def _fates_lines(fates: list[Fate]) -> Iterator[str]:
    for fate in fates:
        counts = ", ".join(f"{count} {what}" for what, count in fate.counts.items())
        yield from _facts_lines([(fate_label(fate), counts or "nothing came this far")])
        yield from _facts_lines([(WARNING, warning) for warning in fate.warnings])
    for fate in fates:
        hidden = sum(n for what, n in fate.counts.items() if what != "kept") - len(fate.refused)
        if fate.refused and fate.stage != "package":
            yield f"\nrefused at {fate.stage}"
            for reason in dict.fromkeys(row["reason"] for row in fate.refused):
                yield from _facts_lines([(reason, f"{sentence(reason)} {advice(reason)}".strip())])
            yield from (f"  {shown(row['item'])}   {verdict(row)}" for row in fate.refused)
            yield from _more(hidden)
    for fate in fates:
        if fate.final:
            yield "\nin the final dataset"
            yield from (f"  {shown(item)}" for item in fate.final)
            yield from _more(fate.counts.get("kept", 0) - len(fate.final))


def _more(hidden: int) -> Iterator[str]:
    if hidden > 0:
        yield f"  ... and {hidden} more: add --all to see them (make trace ITEM=... ALL=1)"
