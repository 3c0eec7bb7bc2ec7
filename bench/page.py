"""bench/results.html: the figures and their plots on one page that needs no network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import altair as alt
from markupsafe import Markup

from bench.goals import AT_LEAST, GOALS
from bench.results import Part, Row, figure
from ferrari.common.visible_text import script_json
from ferrari.reports import templating, vega

_MET, _MISSED = "#2f9e78", "#cf5240"
_SIZE = re.compile(r"^(dry run|no-op run), ([\d,]+) videos$")


def page(machine: Mapping, options: Mapping, parts: Sequence[Part]) -> str:
    """The HTML of what `results.load` gives."""
    drawn = charts(parts)
    template = templating.of_reports(Path(__file__).parent).get_template("page.html.j2")
    return template.render(
        title="Benchmarks",
        machine=_about(machine, options),
        goals=goal_lines(parts),
        charts=drawn,
        specs=Markup(script_json([chart["spec"] for chart in drawn])),
        bundle=vega.in_page(),
        parts=[_part(part) for part in parts],
    )


def goal_lines(parts: Sequence[Part]) -> list[dict[str, str]]:
    """Every goal with its figure; those that were not measured say so."""
    found = {
        name: value for part in parts for row in part.rows for name, value in row.figures.items()
    }
    lines = []
    for name, goal in GOALS.items():
        value = found.get(name)
        status = "not measured" if value is None else ("PASS" if goal.met(value) else "FAIL")
        shown = figure(value) or "–"
        lines.append({"what": goal.what, "figure": shown, "goal": goal.said, "status": status})
    return lines


def charts(parts: Sequence[Part]) -> list[dict]:
    """Charts of what there is: ratios, distances to the floors, sizes, distance to the goals."""
    rows = [row for part in parts for row in part.rows]
    made = [_ratios(rows), _floors(rows), _goals(parts), _sizes(rows)]
    return [chart for chart in made if chart]


def _ratios(rows: Sequence[Row]) -> dict | None:
    data = [
        {
            "name": _label(row),
            "ratio": row.ratio,
            "low": row.low if row.low is not None else row.ratio,
            "high": row.high if row.high is not None else row.ratio,
            "cpu": row.ratio_cpu if row.ratio_cpu is not None else row.ratio,
            "side": "ahead" if row.ratio >= 1 else "behind",
        }
        for row in rows
        if row.ratio is not None
    ]
    base = alt.Chart(alt.Data(values=data)).encode(y=_names(data))
    x = alt.X("ratio:Q", title="times as fast as the peer", scale=alt.Scale(type="log", nice=True))
    tip = ["name:N", *(alt.Tooltip(f"{k}:Q", format=".3~g") for k in ("ratio", "low", "high"))]
    tip.append(alt.Tooltip("cpu:Q", format=".3~g", title="by CPU time"))
    colour = alt.Color(
        "side:N",
        title=None,
        scale=alt.Scale(domain=["ahead", "behind"], range=[_MET, _MISSED]),
    )
    points = base.mark_circle(size=90, opacity=1).encode(x=x, color=colour, tooltip=tip)
    spans = base.mark_rule(size=2).encode(x="low:Q", x2="high:Q", color=colour)
    even = alt.Chart(alt.Data(values=[{"even": 1}])).mark_rule(strokeDash=[4, 4], color="#8b949e")
    chart = even.encode(x="even:Q") + spans + points
    note = "Median of the repeats' ratios, with the extremes; right of the dashed line is faster."
    return _drawn("Against the peers", note, chart, data)


def _floors(rows: Sequence[Row]) -> dict | None:
    seen, data = set(), []
    for row in rows:
        if row.over_floor is not None and row.floor is not None and row.what not in seen:
            seen.add(row.what)
            data.append({"name": row.what, "over": row.over_floor})
    chart = (
        alt.Chart(alt.Data(values=data))
        .mark_bar(cornerRadiusEnd=2, height={"band": 0.7})
        .encode(
            y=_names(data),
            x=alt.X("over:Q", title="our time over the floor's", axis=alt.Axis(tickCount=5)),
            tooltip=["name:N", alt.Tooltip("over:Q", format=".3~g")],
        )
    )
    note = "1 would be: no time for anything but decoding, or but the network."
    return _drawn("Distance to the floors", note, chart, data)


def _goals(parts: Sequence[Part]) -> dict | None:
    data = []
    for row in (row for part in parts for row in part.rows):
        for name, value in row.figures.items():
            goal = GOALS[name]
            share = value / goal.bound if goal.sense == AT_LEAST else goal.bound / max(value, 1e-9)
            met = "met" if goal.met(value) else "missed"
            data.append({"name": goal.what, "share": min(share, 4.0), "met": met})
    base = alt.Chart(alt.Data(values=data)).encode(y=_names(data))
    bars = base.mark_bar(cornerRadiusEnd=2, height={"band": 0.7}).encode(
        x=alt.X("share:Q", title="share of the goal reached (cut off at 4)"),
        color=alt.Color(
            "met:N", title=None, scale=alt.Scale(domain=["met", "missed"], range=[_MET, _MISSED])
        ),
        tooltip=["name:N", alt.Tooltip("share:Q", format=".2f"), "met:N"],
    )
    line = alt.Chart(alt.Data(values=[{"goal": 1}])).mark_rule(strokeDash=[4, 4], color="#8b949e")
    return _drawn("The goals", "The dashed line is the goal.", bars + line.encode(x="goal:Q"), data)


def _sizes(rows: Sequence[Row]) -> dict | None:
    data = [
        {"videos": int(hit[2].replace(",", "")), "seconds": row.ours, "kind": hit[1]}
        for row in rows
        if (hit := _SIZE.match(row.what)) and row.ours
    ]
    chart = (
        alt.Chart(alt.Data(values=data))
        .mark_line(point=True)
        .encode(
            x=alt.X("videos:Q", title="videos", scale=alt.Scale(type="log")),
            y=alt.Y("seconds:Q", title="seconds", scale=alt.Scale(type="log")),
            color=alt.Color("kind:N", title=None),
            tooltip=["kind:N", "videos:Q", alt.Tooltip("seconds:Q", format=".3~g")],
        )
    )
    note = "Wall time of a dry run of everything, and of a run that finds nothing to do."
    return _drawn("The engine by size", note, chart, data, height=220)


def _names(data: Sequence[Mapping]) -> alt.Y:
    order = [line["name"] for line in data]
    return alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelLimit=260, ticks=False))


def _label(row: Row) -> str:
    return f"{row.what} vs {row.peer_name}"


def _drawn(title: str, note: str, chart, data: Sequence[Mapping], height: int = 0) -> dict | None:
    """A chart as the page's script takes it; None where there is nothing to show."""
    if not data:
        return None
    tall = height or max(80, 24 * len(data))
    spec = chart.properties(
        width="container", height=tall, description=f"{title}. {note}"
    ).to_dict()
    spec.pop("config", None)
    return {"title": title, "note": note, "spec": spec}


def _part(part: Part) -> dict:
    status = {"ok": "PASS", "skipped": "WARN"}.get(part.status, "FAIL")
    rows = [
        {
            "cells": [row.what, row.unit, figure(row.ours), row.peer_name, figure(row.peer)],
            "ratio": figure(row.ratio),
            "spread": f"{figure(row.low)} to {figure(row.high)}" if row.low is not None else "",
            "cpu": figure(row.ratio_cpu),
            "floor": figure(row.floor),
            "over": figure(row.over_floor),
            "note": row.note,
        }
        for row in part.rows
    ]
    return {
        "name": part.name.replace("_", " "),
        "status": status,
        "said": f"{part.status}, {part.seconds:.0f} s",
        "reason": part.reason,
        "rows": rows,
        "notes": part.notes,
    }


def _about(machine: Mapping, options: Mapping) -> list[tuple[str, str]]:
    lines = [
        ("CPU", f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB"),
        ("system", f"{machine['system']}, Python {machine['python']}"),
        ("ours", ", ".join(f"{k} {v}" for k, v in machine["versions"].items())),
        ("peers", ", ".join(f"{k} {v}" for k, v in machine["peers"].items()) or "not set up"),
    ]
    quick = "a quick run on small inputs: no figures to quote" if options["quick"] else "in full"
    return [*lines, ("run", f"{quick}, {options['repeats']} repeats")]
