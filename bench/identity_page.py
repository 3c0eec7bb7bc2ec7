"""The tables of `make identity` as JSON, as a page that needs no network, and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.identity_tables import Cell, Table
from ferrari.reports import templating


def write(folder: Path, tables: Sequence[Table], quick: bool) -> None:
    """identity.json and identity.html in `folder`."""
    kept = {"quick": quick, "tables": [asdict(table) for table in tables]}
    (folder / "identity.json").write_text(json.dumps(kept, indent=1, default=float) + "\n")
    (folder / "identity.html").write_text(page(tables, quick), "utf-8")


def page(tables: Sequence[Table], quick: bool) -> str:
    """The HTML."""
    shown = [
        {
            "name": table.name,
            "note": table.note,
            "columns": table.columns,
            "rows": [_cells(table, row) for row in table.rows],
        }
        for table in tables
    ]
    template = templating.of_reports(Path(__file__).parent).get_template("identity.html.j2")
    return template.render(title="Identity", tables=shown, quick=quick)


def markdown(tables: Sequence[Table]) -> str:
    """The tables for a document."""
    lines: list[str] = []
    for table in tables:
        lines += [f"**{table.name}.** {table.note}", ""]
        lines.append("| " + " | ".join(table.columns) + " |")
        lines.append("|---|" + "---:|" * (len(table.columns) - 1))
        lines += ["| " + " | ".join(_cells(table, row)) + " |" for row in table.rows]
        lines.append("")
    return "\n".join(lines)


#: Columns of shares, which read as percentages.
_SHARES = frozenset(
    {
        "recall",
        "purity",
        "quarantined",
        "EER",
        "share",
        "upper bound",
        "faces missed",
        "tracks missed",
        "others' let in",
    }
)


def _cells(table: Table, row: Sequence[Cell]) -> list[str]:
    by_name = zip(table.columns, row, strict=True)
    percent = table.columns[1:2] == ("figure",)
    return [_cell(value, name in _SHARES or percent) for name, value in by_name]


def _cell(value: Cell, share: bool) -> str:
    if value is None or value != value:
        return "–"
    if isinstance(value, str):
        return value
    if share:
        return f"{value:.1%}" if value in (0, 1) or 0.001 <= value < 0.9995 else f"{value:.2%}"
    return str(value) if isinstance(value, int | bool) else f"{value:.3f}"
