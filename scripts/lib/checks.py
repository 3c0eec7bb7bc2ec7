"""Named checks of the QC reports: what one says, its CSV, and the gate in front of packaging.

A check is PASS, WARN or FAIL, with the figure that was measured beside the bound it was held to.
A FAIL never fails the QC job, or there would be no page to look at; `enforce` is what stops
packaging. This module is light (no pandas): the packaging stage imports it.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from scripts.lib.files import write_text

PASS, WARN, FAIL = "PASS", "WARN", "FAIL"
STATUSES = (PASS, WARN, FAIL)  # from best to worst
COLUMNS = ("check", "status", "figure", "bound", "rows", "explanation")
MAX_ROWS = 20
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r", "'")


class QualityGateError(RuntimeError):
    """A report holds a FAIL while `qc.enforce` is true; names report, check and rows."""


@dataclass(frozen=True)
class Check:
    """One named check: `figure` is what was measured, `bound` what it had to be.

    `rows` are ids of offending items, at most MAX_ROWS of them; ids hold no white space.
    """

    name: str
    status: str
    figure: str
    bound: str
    explanation: str
    rows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"check {self.name}: status {self.status!r} is none of {STATUSES}")


def none_of(
    name: str,
    bad: Iterable[str],
    total: int,
    explanation: str,
    *,
    otherwise: str = FAIL,
    bound: str = "0",
    figure: str | None = None,
) -> Check:
    """PASS where nothing is in `bad`, else `otherwise`; the figure counts the bad of `total`."""
    bad = [safe_id(item) for item in bad]
    said = f"{len(bad):,} of {total:,}" if figure is None else figure
    status = otherwise if bad else PASS
    return Check(name, status, said, bound, explanation, tuple(bad[:MAX_ROWS]))


def safe_id(item: str) -> str:
    """`item` as it is if it could be an id or a plain path, else percent-encoded: never a space."""
    return quote(os.fsencode(str(item)), safe="/-._~:,#()")


def worst(statuses: Iterable[str]) -> str:
    """The worst of some statuses; PASS where there is none."""
    return max(statuses, key=STATUSES.index, default=PASS)


def write(path: str | os.PathLike, checks: Iterable[Check]) -> None:
    """Write a report's checks; two checks of one name raise ValueError."""
    checks = list(checks)
    names = [check.name for check in checks]
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: a check's name is used twice among {names}")
    lines = [
        {
            "check": check.name,
            "status": check.status,
            "figure": check.figure,
            "bound": check.bound,
            "rows": " ".join(check.rows[:MAX_ROWS]),
            "explanation": check.explanation,
        }
        for check in checks
    ]
    write_guarded(path, COLUMNS, lines)


def read(path: str | os.PathLike) -> list[Check]:
    """The checks of a report's CSV, as `write` wrote them."""
    found = []
    for line in read_guarded(path):
        rows = tuple(line["rows"].split())
        found.append(
            Check(
                name=line["check"],
                status=line["status"],
                figure=line["figure"],
                bound=line["bound"],
                explanation=line["explanation"],
                rows=rows,
            )
        )
    return found


def enforce(csv_paths: Iterable[str | os.PathLike]) -> None:
    """Raise QualityGateError, naming report, check, figure and rows, if any check is a FAIL.

    A report without a single check is refused as well: it looked at nothing.
    """
    faults = []
    for path in csv_paths:
        report, checks = Path(path).stem, read(path)
        if not checks:
            faults.append(f"{report}: the report holds no check; build it again")
        for check in checks:
            if check.status == FAIL:
                where = f"; rows: {' '.join(check.rows)}" if check.rows else ""
                faults.append(
                    f"{report}: {check.name}: {check.figure} (bound: {check.bound})"
                    f"{where}. {check.explanation}"
                )
    if faults:
        raise QualityGateError(
            f"{len(faults)} quality check(s) failed, so nothing is packaged:\n  "
            + "\n  ".join(faults)
            + "\nLook at the report's page beside its CSV and mend the cause, or set qc.enforce: "
            "false to package all the same."
        )


def write_guarded(
    path: str | os.PathLike, columns: Sequence[str], lines: Iterable[Mapping[str, object]]
) -> None:
    """Write CSV whose text cells no spreadsheet takes for a formula, atomically."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: guard(value) for key, value in line.items()} for line in lines)
    write_text(path, buffer.getvalue())


def read_guarded(path: str | os.PathLike) -> list[dict[str, str]]:
    """The rows of a CSV that `write_guarded` wrote, guards taken off."""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return [
            {key: unguard(value) for key, value in line.items()} for line in csv.DictReader(stream)
        ]


def guard(value: object) -> str:
    """A CSV cell: text that begins like a formula (`= + - @`) gets a `'` in front.

    Text that begins with `'` gets one more, so that `unguard` gives back what was there. Numbers,
    negative ones too, stay as they are; None and NaN are empty.
    """
    if value is None or value != value:  # NaN is the one value unlike itself
        return ""
    if isinstance(value, bool):
        return str(int(value))
    text = str(value)
    if text.startswith(_FORMULA_START) and not _is_number(text):
        return "'" + text
    return text


def unguard(cell: str) -> str:
    """What `guard` was given, as text."""
    return cell[1:] if cell.startswith("'") else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip() == text
