"""Charts of the QC pages: Vega-Lite through altair, the data binned before it is embedded.

A chart stays small whatever the dataset's size: values are binned here, and many points become a
heat map. The page sets the colours, so one chart serves light and dark.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from ferrari.common.visible_text import shown
from ferrari.ledger.columns import OUTCOMES

MAX_POINTS = 1500
MAX_BARS = 30
_HEIGHT = 220
_OUTCOME_COLOURS = {"kept": "#2f9e78", "dropped": "#d99a1c", "quarantined": "#cf5240"}
_OUTCOME_COLOURS |= {"subject": "#2f9e78", "somebody else": "#d99a1c", "unsure": "#cf5240"}
ZOOM_HINT = "Drag to pan, shift and wheel to zoom, double click to reset."


@dataclass(frozen=True)
class Chart:
    """A chart's title, what it says in a sentence, and its Vega-Lite specification."""

    title: str
    note: str
    spec: dict


def histogram(
    values: pd.Series | np.ndarray,
    title: str,
    x_title: str,
    *,
    note: str = "",
    bounds: Sequence[float] = (),
    log: bool = False,
    bins: int = 40,
    limits: tuple[float, float] | None = None,
    count_title: str = "count",
) -> Chart:
    """Counts of `values` in equal bins (equal on a log10 scale with `log`), with bound lines."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known) & ((known > 0) if log else True)]
    rows = _binned(known, bins, log, limits, bounds)
    scale = alt.Scale(type="log", nice=False) if log else alt.Scale(zero=False, nice=False)
    x = alt.X("low:Q", title=x_title, scale=scale, axis=alt.Axis(tickCount=6, grid=False))
    brush = alt.selection_interval(encodings=["x"], name="brush")
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(binSpacing=1, cornerRadiusEnd=1)
        .encode(
            x=x,
            x2="high:Q",
            y=alt.Y(
                "count:Q", title=count_title, axis=alt.Axis(tickCount=4, tickMinStep=1, format="~s")
            ),
            y2=alt.datum(0),
            opacity=alt.condition(brush, alt.value(1), alt.value(0.35)),
            tooltip=[
                alt.Tooltip("low:Q", title="from", format=".4~g"),
                alt.Tooltip("high:Q", title="to", format=".4~g"),
                alt.Tooltip("count:Q", format=","),
            ],
        )
        .add_params(brush)
    )
    return _chart(title, note, alt.layer(bars, *_rules(bounds)))


def _binned(
    values: np.ndarray,
    bins: int,
    log: bool,
    limits: tuple[float, float] | None,
    bounds: Sequence[float],
) -> list[dict]:
    if not len(values):
        return []
    axis = np.log10(values) if log else values
    marks = np.log10(bounds) if log else np.asarray(bounds, float)
    reach = [*marks[np.isfinite(marks)], axis.min(), axis.max()]
    low, high = limits or (min(reach), max(reach))
    if high - low < 1e-9:
        pad = abs(low) * 0.05 or 0.5
        low, high, bins = low - pad, high + pad, 3
    counts, edges = np.histogram(np.clip(axis, low, high), bins=bins, range=(low, high))
    edges = 10**edges if log else edges
    return [
        {"low": _short(edges[i]), "high": _short(edges[i + 1]), "count": int(n)}
        for i, n in enumerate(counts)
    ]


def _rules(bounds: Sequence[float]) -> list[alt.Chart]:
    bounds = [float(bound) for bound in bounds if np.isfinite(bound)]
    if not bounds:
        return []
    data = alt.Data(values=[{"bound": bound} for bound in bounds])
    line = alt.Chart(data).mark_rule(strokeDash=[5, 4], size=1.5, color="#cf5240")
    return [line.encode(x="bound:Q", tooltip=[alt.Tooltip("bound:Q", title="bound")])]


def bars(
    counts: Mapping[str, int] | pd.Series,
    title: str,
    *,
    note: str = "",
    count_title: str = "count",
    colours: Mapping[str, str] | None = None,
) -> Chart:
    """Horizontal bars, the largest first, at most MAX_BARS of them (the rest as one bar)."""
    pairs = sorted(((shown(k), int(n)) for k, n in counts.items()), key=lambda p: (-p[1], p[0]))
    if len(pairs) > MAX_BARS:
        rest = pairs[MAX_BARS - 1 :]
        pairs = [*pairs[: MAX_BARS - 1], (f"{len(rest)} others", sum(n for _, n in rest))]
    rows = [{"name": name, "count": n, "colour": (colours or {}).get(name)} for name, n in pairs]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y(
            "name:N",
            sort=[name for name, _ in pairs],
            title=None,
            axis=alt.Axis(labelLimit=150, ticks=False, domain=False),
        ),
        x=alt.X(
            "count:Q", title=count_title, axis=alt.Axis(tickCount=4, tickMinStep=1, format="~s")
        ),
        tooltip=[alt.Tooltip("name:N"), alt.Tooltip("count:Q", format=",")],
    )
    shape = base.mark_bar(cornerRadiusEnd=2, height={"band": 0.75})
    if colours:
        shape = shape.encode(
            color=alt.Color("colour:N", scale=None), stroke=alt.value("#8888"), size=alt.value(14)
        )
    text = base.mark_text(align="left", dx=4, fontSize=11).encode(
        text=alt.Text("count:Q", format=",")
    )
    return _chart(title, note, shape + text, height=max(60, 24 * len(rows)))


def stacked(table: pd.DataFrame, title: str, *, note: str) -> Chart:
    """One horizontal bar for each index entry of `table`, stacked from its columns.

    Columns named kept, dropped, quarantined (subject, somebody else, unsure) have their own
    colours. The MAX_BARS largest are shown.
    """
    total = table.sum(axis=1)
    table = table.loc[total.sort_values(ascending=False, kind="stable").index[:MAX_BARS]]
    names = [shown(name) for name in table.index]
    rows = [
        {"name": name, "part": str(column), "count": int(count)}
        for name, (_, line) in zip(names, table.iterrows(), strict=True)
        for column, count in line.items()
        if count
    ]
    parts = [str(column) for column in table.columns]
    scale = alt.Scale(domain=parts)
    if set(parts) <= set(_OUTCOME_COLOURS):
        scale = alt.Scale(domain=parts, range=[_OUTCOME_COLOURS[part] for part in parts])
    pick = alt.selection_point(fields=["part"], bind="legend", name="part")
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(height={"band": 0.75})
        .encode(
            y=alt.Y("name:N", sort=names, title=None, axis=alt.Axis(labelLimit=150, ticks=False)),
            x=alt.X(
                "sum(count):Q",
                title="count",
                axis=alt.Axis(tickCount=4, tickMinStep=1, format="~s"),
            ),
            color=alt.Color("part:N", scale=scale, title=None, sort=parts),
            opacity=alt.condition(pick, alt.value(1), alt.value(0.2)),
            tooltip=["name:N", "part:N", alt.Tooltip("sum(count):Q", title="count", format=",")],
        )
        .add_params(pick)
    )
    return _chart(title, note, chart, height=max(60, 22 * len(names)))


def clips(videos: pd.DataFrame, rows: str) -> Chart:
    """The outcomes of each clip's `rows` ("crops"). `videos` has a column for each outcome."""
    outcomes = videos.set_index("video")[list(OUTCOMES)]
    return stacked(outcomes, "Clips", note=f"The {MAX_BARS} with the most {rows}.")


def asked_and_got(
    asked: Mapping[str, float], got: Mapping[str, float], slack: float, title: str, note: str = ""
) -> Chart:
    """Actual shares as bars, requested shares as ticks with the allowed range around them."""
    rows = [
        {
            "name": shown(name),
            "asked": _short(asked.get(name, 0)),
            "got": _short(got.get(name, 0)),
            "low": _short(max(0.0, asked.get(name, 0) - slack)),
            "high": _short(min(1.0, asked.get(name, 0) + slack)),
        }
        for name in sorted(set(asked) | set(got))
    ]
    shares = ("asked", "got", "low", "high")
    tip = [alt.Tooltip("name:N"), *(alt.Tooltip(f"{k}:Q", format=".1%") for k in shares)]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("name:N", title=None, axis=alt.Axis(ticks=False)), tooltip=tip
    )
    x = alt.X("got:Q", title="share of the images", axis=alt.Axis(format="%", tickCount=5))
    got_bars = base.mark_bar(height={"band": 0.55}, cornerRadiusEnd=2).encode(x=x)
    allowed = base.mark_rule(size=3, color="#d99a1c").encode(x="low:Q", x2="high:Q")
    wanted = base.mark_tick(thickness=3, size=22, color="#d99a1c").encode(x="asked:Q")
    return _chart(title, note, got_bars + allowed + wanted, height=max(80, 44 * len(rows)))


def scatter(
    points: pd.DataFrame,
    title: str,
    *,
    x: str,
    y: str,
    x_title: str,
    y_title: str,
    label: str = "video",
    colour: str | None = None,
    log: bool = False,
    note: str = "",
) -> Chart:
    """Points with tooltips and zoom; more than MAX_POINTS become a heat map of their density."""
    points = points[np.isfinite(points[x]) & np.isfinite(points[y])]
    if log:
        points = points[(points[x] > 0) & (points[y] > 0)]
    if len(points) > MAX_POINTS:
        return density(points[x], points[y], title, x_title, y_title, note=note)
    columns = [x, y, label, *([colour] if colour else [])]
    rows = [
        {key: _short(v) if isinstance(v, float) else shown(v) for key, v in line.items()}
        for line in points[columns].to_dict("records")
    ]
    scale = (
        alt.Scale(type="log", nice=False, padding=14) if log else alt.Scale(zero=False, padding=14)
    )
    zoom = alt.selection_interval(bind="scales", name="zoom", zoom="wheel![event.shiftKey]")
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_circle(size=60, opacity=0.75)
        .encode(
            x=alt.X(f"{x}:Q", title=x_title, scale=scale, axis=alt.Axis(tickCount=6)),
            y=alt.Y(f"{y}:Q", title=y_title, scale=scale, axis=alt.Axis(tickCount=5)),
            tooltip=[alt.Tooltip(f"{name}:{'Q' if name in (x, y) else 'N'}") for name in columns],
        )
        .add_params(zoom)
    )
    if colour:
        legend = alt.Legend(columns=3, labelLimit=150)
        chart = chart.encode(color=alt.Color(f"{colour}:N", title=None, legend=legend))
    return _chart(title, f"{note} {ZOOM_HINT}".strip(), chart)


def density(
    x: pd.Series | np.ndarray,
    y: pd.Series | np.ndarray,
    title: str,
    x_title: str,
    y_title: str,
    *,
    note: str = "",
    limits: tuple[tuple[float, float], tuple[float, float]] | None = None,
    cells: int = 30,
    y_down: bool = False,
) -> Chart:
    """Heat map of how many points fall into each of `cells` x `cells`; `y_down` as in images."""
    across, along = np.asarray(x, float), np.asarray(y, float)
    fine = np.isfinite(across) & np.isfinite(along)
    across, along = across[fine], along[fine]
    span = limits or (_span(across), _span(along))
    counts, x_edges, y_edges = np.histogram2d(across, along, bins=cells, range=span)
    rows = [
        {
            "x": _short(x_edges[i]),
            "x2": _short(x_edges[i + 1]),
            "y": _short(y_edges[j]),
            "y2": _short(y_edges[j + 1]),
            "count": int(counts[i, j]),
        }
        for i, j in zip(*np.nonzero(counts), strict=True)
    ]
    scale_x = alt.Scale(domain=list(span[0]), nice=False)
    scale_y = alt.Scale(domain=list(span[1]), nice=False, reverse=y_down)
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_rect()
        .encode(
            x=alt.X("x:Q", title=x_title, scale=scale_x, axis=alt.Axis(tickCount=5, grid=False)),
            x2="x2:Q",
            y=alt.Y("y:Q", title=y_title, scale=scale_y, axis=alt.Axis(tickCount=5, grid=False)),
            y2="y2:Q",
            color=alt.Color("count:Q", title="count", legend=alt.Legend(gradientLength=120)),
            tooltip=["x:Q", "y:Q", alt.Tooltip("count:Q", format=",")],
        )
    )
    return _chart(title, note, chart)


def _span(values: np.ndarray) -> tuple[float, float]:
    """From the least to the largest value, widened where they are close to one another."""
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    pad = max(0.0, 0.1 * abs(high) - (high - low)) / 2
    return low - pad, high + pad


def _short(value: float) -> float:
    return float(f"{float(value):.5g}")


def _chart(
    title: str, note: str, chart: alt.Chart | alt.LayerChart | alt.FacetChart, height: int = 0
) -> Chart:
    said = " ".join(textwrap.wrap(f"{title}. {note}"))
    sized = chart.properties(width="container", height=height or _HEIGHT, description=said)
    spec = sized.to_dict()
    spec.pop("config", None)  # the page's own, for light and dark
    return Chart(title, note, spec)
