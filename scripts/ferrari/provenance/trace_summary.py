"""The facts of a trace that people look for first: the clip, the time, the box, the recipe, the
caption, the packages, who decided, and what went wrong. One screen; `trace_facts` has the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

from ferrari.ledger.columns import KEPT
from ferrari.provenance.trace import Step, Trace
from ferrari.provenance.trace_facts import (
    REFUSAL,
    WARNING,
    Facts,
    made_facts,
    package_facts,
    step_facts,
    title_of,
    verdict,
)

#: The facts of each step that come first, and what they are called where no heading names the step.
_FIRST: Mapping[str, Mapping[str, str]] = {
    "probe": {
        **{"file": "clip", "now": "now", "picture": "picture", "time": "length"},
        "other tracks": "not used",
    },
    "extract": {"moment": "moment"},
    "detect": {"box": "box", "confidence": "confidence"},
    "identity": {"why": "who", "seen": "seen", "faces": "faces"},
    "crop": {"who": "who", "repeats": "repeats"},
    "mask": {"mask": "mask", "segmenter": "cut out by", "other people": "other people"},
    "augment": {"recipe": "recipe", "scene of": "scene of", "file": "image"},
    "caption": {"caption": "caption", "source": "written by", "in place of": "in place of"},
    "final": {},
}
_REFUSAL = (*REFUSAL, "detail")


def gone(trace: Trace) -> str:
    """That the item's clip was taken out of the raw folder, what still lies of it, and what to do;
    "" while it is there, or where that cannot be told.
    """
    if not trace.raw["gone"]:
        return ""
    clip = f"GONE: {trace.raw['path']} is not there any more (taken out, or renamed)."
    if trace.raw["known"]:
        return (
            f"{clip} No run was made since: what came of it is still in the set and in its "
            "packages. `make run` leaves it out; after that `make tidy` deletes what lies of it."
        )
    held = "No package has anything of it."
    if trace.packages or any(f.counts.get(KEPT) for f in trace.fates if f.stage == "package"):
        held = "The packages named below still hold images of it."
    return (
        f"{clip} {held} Files of it still lie in {', '.join(trace.left)}: `make tidy` lists them "
        "with their sizes, and deletes them with YES=1."
    )


def first_facts(trace: Trace) -> Facts:
    """The facts that are told first, in the order of the steps; warnings are never left out."""
    facts: Facts = []
    for step in trace.steps:
        facts += _first_of(step, trace)
    if trace.packages:
        facts += package_facts(trace)
    elif trace.kind == "image":
        facts.append(("packages", "no package holds it"))
    return facts


def _first_of(step: Step, trace: Trace) -> Facts:
    names = _FIRST[step.stage]
    kept = step.row["outcome"] == KEPT
    known = [fact for fact in step_facts(step, trace) if fact[1]]
    facts = [(names[label], text) for label, text in known if label in names]
    if not kept:
        facts.append((title_of(step), verdict(step.row)))
        facts += [fact for fact in known if fact[0] in _REFUSAL]
    facts += [fact for fact in known if fact[0] == "decided"]
    return facts + [fact for fact in made_facts(step) if fact[0] == WARNING]
