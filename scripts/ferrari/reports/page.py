"""The page of a report: one self-contained HTML file (the index of them: `index_page`).

A page opens from `file://` without any network: style, scripts (Vega), data and pictures are in it,
and its Content-Security-Policy forbids everything else. All text from outside goes through
`visible_text.shown` and the template's escaping; JSON through `visible_text.script_json`. No clock,
so the same tables give the same page.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from ferrari.common.atomic_files import write_text
from ferrari.common.counts import number_of
from ferrari.common.visible_text import script_json, shown
from ferrari.ledger.tables import write_table
from ferrari.reports import checks as gate
from ferrari.reports import templating, vega
from ferrari.reports.checks import PASS, Check
from ferrari.reports.thumbnails import Thumb
from ferrari.reports.titles import about, check_title

if TYPE_CHECKING:  # it loads altair, of which the index has no need
    from ferrari.reports.charts import Chart

MAX_TABLE_ROWS = 300
_IDS = frozenset({"video", "item", "file", "name"})


@dataclass(frozen=True)
class Table:
    """A table of a page: the first MAX_TABLE_ROWS rows of `rows`, unchanged."""

    title: str
    note: str
    rows: pd.DataFrame


@dataclass(frozen=True)
class Gallery:
    """Pictures of a page under their own heading; `wide`: one picture in each line."""

    title: str
    note: str
    thumbs: list[Thumb]
    wide: bool = False


@dataclass(frozen=True)
class ReportFiles:
    """The three files of a report: its checks, its figures per video, and its page."""

    csv: str | os.PathLike
    videos_csv: str | os.PathLike
    html: str | os.PathLike

    @classmethod
    def of(cls, output: Any) -> ReportFiles:
        """Those of a report's rule; `output` is that of Snakemake's job, which has no types."""
        return cls(output.csv, output.videos_csv, output.html)


@dataclass
class Report:
    """The contents of a report. `videos` has one row for each video and is written whole into its
    own CSV.
    """

    name: str
    checks: list[Check]
    counts: dict[str, object]
    videos: pd.DataFrame
    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    galleries: list[Gallery] = field(default_factory=list)
    first: list[Gallery] = field(default_factory=list)  # before charts and tables
    refused: list[Thumb] = field(default_factory=list)
    refused_total: int = 0
    refused_hint: str = ""
    samples: list[Thumb] = field(default_factory=list)
    fail_means: str = "stops packaging while qc.enforce is true"


def publish(report: Report, out: ReportFiles) -> None:
    """Write a report's checks, its figures per video, and last its page."""
    gate.write(out.csv, report.checks)
    write_videos(out.videos_csv, report.videos)
    write_text(out.html, page(report))


def write_videos(path: str | os.PathLike, videos: pd.DataFrame) -> None:
    """The figures per video as CSV; floats to six digits."""
    lines = [
        {str(key): _rounded(value) for key, value in line.items()}
        for line in videos.to_dict("records")
    ]
    write_table(path, list(videos.columns), lines)


def page(report: Report) -> str:
    """The HTML of a report."""
    label, heading, question = about(report.name)
    status = gate.worst(check.status for check in report.checks)
    return (
        templating.of_reports()
        .get_template("report.html.j2")
        .render(
            title=f"{label} {heading}: {status}",
            label=label,
            heading=heading,
            question=question,
            status=status,
            summary=gate.summary(report.checks),
            fail_means=report.fail_means,
            counts=[(name, _format_value(value)) for name, value in report.counts.items()],
            checks=[_format_check(check) for check in _worst_first(report.checks)],
            charts=report.charts,
            specs=Markup(script_json([chart.spec for chart in report.charts])),
            bundle=vega.in_page() if report.charts else "",
            tables=[_format_table(table) for table in report.tables],
            galleries=report.galleries,
            first=report.first,
            refused=report.refused,
            refused_note=_refused_note(report),
            samples=report.samples,
            samples_note=f"{len(report.samples)} of what was kept, evenly along the rows.",
            videos=_format_videos(report),
            footer=f"The checks are in {report.name}.csv, the figures of all videos in "
            f"{report.name}_videos.csv, both beside this page.",
        )
    )


def _worst_first(checks: Sequence[Check]) -> list[Check]:
    return sorted(checks, key=lambda check: -gate.STATUSES.index(check.status))


def _format_check(check: Check) -> dict:
    rows = [gate.as_named(item) for item in check.rows]
    passed = check.status == PASS and check.bound == "0"
    said = f"which ({len(rows)})"
    if len(rows) == gate.MAX_ROWS:
        said = f"the first {len(rows)}"
    return {
        "status": check.status,
        "title": check_title(check.name),
        "figure": shown(gate.figure_in_words(check)),
        "bound": "" if passed else "none" if check.bound == "0" else shown(check.bound),
        "explanation": shown(check.explanation, 2000),
        "rows": rows,
        "rows_said": said,
    }


def _refused_note(report: Report) -> str:
    if not report.refused_total:
        return "Nothing was refused."
    shown_here = len(report.refused)
    cut = f"{shown_here} of {report.refused_total:,} are shown." if shown_here else ""
    if shown_here == report.refused_total:
        cut = f"All {shown_here} are shown."
    return f"{report.refused_total:,} refused. {cut} {report.refused_hint}".strip()


def _format_videos(report: Report) -> dict:
    videos = report.videos
    note = f"{number_of(len(videos), 'video')}. Click a heading to sort."
    if len(videos) > MAX_TABLE_ROWS:
        share = videos["kept"] / videos["considered"].clip(lower=1)
        chosen = share.sort_values(kind="stable").index[:MAX_TABLE_ROWS]
        note = (
            f"The {MAX_TABLE_ROWS} of {len(videos):,} videos that kept the smallest share; "
            f"all are in {report.name}_videos.csv."
        )
        videos = videos.loc[chosen]
    return _format_table(Table("Videos", note, videos))


def _format_table(table: Table) -> dict:
    rows = table.rows.head(MAX_TABLE_ROWS)
    numeric = {name: pd.api.types.is_numeric_dtype(rows[name]) for name in rows.columns}
    note = table.note
    if len(table.rows) > len(rows):
        note += f" The first {len(rows)} of {len(table.rows):,} rows."
    return {
        "title": table.title,
        "note": note,
        "columns": [
            {"name": name.replace("_", " "), "numeric": numeric[name]} for name in rows.columns
        ],
        "rows": [
            [_cell(str(name), value, numeric[str(name)]) for name, value in line.items()]
            for line in rows.to_dict("records")
        ],
    }


def _cell(name: str, value: object, numeric: bool) -> dict:
    blank = value is None or value != value  # NaN is the one value unlike itself
    sortable = "" if blank or not numeric else _rounded(value)
    text = "" if blank else _format_value(value)
    kind = ("id" if name in _IDS else "") + (" long" if len(text) > 30 else "")
    return {"numeric": numeric, "value": sortable, "text": text, "kind": kind.strip()}


def _rounded(value: object) -> object:
    return float(f"{value:.6g}") if isinstance(value, float | np.floating) else value


def _format_value(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        number = float(value)
        return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"
    return shown(value)
