"""What was measured: rows, parts, the JSON that keeps them and the table that is printed.

No path, host name or time of day goes into the results.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.goals import GOALS
from bench.measure import Cost, Ratio, ratio, wall

SCHEMA = 1
OK, FAILED, SKIPPED = "ok", "failed", "skipped"
_COLUMNS = (
    *("what", "unit", "ours", "peer", "is", "ratio", "spread", "cpu ratio"),
    *("floor", "x floor", "goal", "met"),
)


@dataclass
class Row:
    """One comparison. `ours`, `peer` and `floor` are in `unit`; ratios say how much faster we are.

    `over_floor` is our time over the floor's time. `figures` are the goals' figures, by goal.
    """

    what: str
    unit: str
    ours: float | None = None
    peer_name: str = ""
    peer: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    ratio_cpu: float | None = None
    floor: float | None = None
    over_floor: float | None = None
    figures: dict[str, float] = field(default_factory=dict)
    note: str = ""

    def against(self, name: str, value: float, compared: Ratio) -> Row:
        """The row with a peer's figures filled in."""
        self.peer_name, self.peer, self.ratio = name, value, compared.wall
        self.low, self.high, self.ratio_cpu = compared.low, compared.high, compared.cpu
        return self

    def verdicts(self) -> dict[str, bool]:
        """Whether each goal's figure reaches it."""
        return {name: GOALS[name].met(figure) for name, figure in self.figures.items()}


@dataclass
class Part:
    """One part of the benchmark: its rows, or why there are none."""

    name: str
    status: str = OK
    reason: str = ""
    seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    samples: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def keep(self, name: str, costs: Mapping[str, Sequence[Cost]]) -> None:
        """Remember every single measurement behind a row."""
        for who, values in costs.items():
            self.samples[f"{name}: {who}"] = [
                {
                    "wall_s": short(c.wall_s),
                    "cpu_s": short(c.cpu_s),
                    "process_s": short(c.process_s),
                    "peak_mb": short(c.peak_mb),
                }
                for c in values
            ]


def throughput_row(
    what: str,
    unit: str,
    amount: float,
    ours: Sequence[Cost],
    peer_name: str,
    peer: Sequence[Cost],
    floor: Sequence[Cost] = (),
) -> Row:
    """A row of `amount` per second, with the paired ratios."""
    row = Row(what, unit, ours=amount / wall(ours))
    row.against(peer_name, amount / wall(peer), ratio(peer, ours))
    if floor:
        row.floor, row.over_floor = amount / wall(floor), ratio(ours, floor).wall
    return row


def short(value: float | None) -> float | None:
    """Four significant digits."""
    return None if value is None else float(f"{value:.4g}")


def part_json(part: Part) -> dict:
    """A part as plain data, its figures shortened."""
    data = asdict(part)
    for row in data["rows"]:
        row["figures"] = {k: short(v) for k, v in row["figures"].items()}
        row |= {k: short(v) for k, v in row.items() if isinstance(v, float)}
    data["seconds"] = round(part.seconds, 1)
    return data


def part_from(data: Mapping) -> Part:
    """The part that `part_json` wrote; TypeError if a key is unknown."""
    return Part(**{**data, "rows": [Row(**row) for row in data["rows"]]})


def save(path: Path, machine: Mapping, options: Mapping, parts: Sequence[Part]) -> None:
    """Write results.json."""
    goals = {name: {"what": g.what, "goal": g.said} for name, g in GOALS.items()}
    data = {
        "schema": SCHEMA,
        "machine": dict(machine),
        "options": dict(options),
        "goals": goals,
        "parts": [part_json(part) for part in parts],
    }
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(path: Path) -> tuple[dict, dict, list[Part]]:
    """Machine, options and parts of results.json; ValueError for another schema."""
    data = json.loads(path.read_text(encoding="utf-8"))
    if data["schema"] != SCHEMA:
        raise ValueError(f"{path.name} has schema {data['schema']}, expected {SCHEMA}")
    return data["machine"], data["options"], [part_from(part) for part in data["parts"]]


def figure(value: float | None) -> str:
    """A figure as the table shows it."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def cells(row: Row) -> list[str]:
    """A row of the printed table."""
    times = "x" if row.ratio is not None else ""
    spread = f"{figure(row.low)} to {figure(row.high)}" if row.low is not None else ""
    goals = "; ".join(f"{figure(v)} of {GOALS[k].said}" for k, v in row.figures.items())
    met = "; ".join("yes" if ok else "NO" for ok in row.verdicts().values())
    return [
        *(row.what, row.unit, figure(row.ours), figure(row.peer), row.peer_name),
        *(figure(row.ratio) + times, spread, figure(row.ratio_cpu)),
        *(figure(row.floor), figure(row.over_floor), goals, met),
    ]


def table(parts: Sequence[Part]) -> str:
    """All parts as one text table, with a line for each that failed or was skipped."""
    lines = [list(_COLUMNS)]
    for part in parts:
        said = f": {part.reason.splitlines()[0][:110]}" if part.reason else ""
        lines.append([f"{part.name.upper()}  ({part.status}, {part.seconds:.0f} s){said}"])
        lines.extend(cells(row) for row in part.rows)
    full = [line for line in lines if len(line) > 1]
    widths = [max(len(line[k]) for line in full) for k in range(len(_COLUMNS))]
    text = []
    for line in lines:
        if len(line) == 1:
            text.append(f"\n{line[0]}")
        else:
            pairs = list(zip(line, widths, strict=True))
            text.append("  ".join(cell.ljust(width) for cell, width in pairs).rstrip())
    return "\n".join(text)
