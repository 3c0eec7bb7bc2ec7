"""Named checks of the QC reports: their contents, their CSV, and the gate before packaging.

A check is PASS, WARN or FAIL, with the measured figure and its bound. A FAIL does not fail the QC
job, or there would be no page to look at; `enforce` stops packaging. This module imports nothing
heavy (no pandas), since the packaging stage imports it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from ferrari.common.counts import number_of
from ferrari.common.errors import WHAT_TO_DO, FerrariError
from ferrari.common.visible_text import shown
from ferrari.ledger.tables import read_table, write_table

PASS, WARN, FAIL = "PASS", "WARN", "FAIL"
STATUSES = (PASS, WARN, FAIL)  # from best to worst
COLUMNS = ("check", "status", "figure", "bound", "rows", "explanation")
MAX_ROWS = 20
#: The check that some image is there to package. Where it fails, no setting packages anything.
SOME_IMAGE = "some_image_is_final"
_NONE_OF = re.compile(r"0 of ([\d,]+)")
_COUNTED = re.compile(r"[\d,]+ of [\d,]+(; .*| such tracks)?")
#: A check's name says what should be (`crops_readable`), and its figure counts what is not so.
#: These names say what the figure counts.
_NAMED_BY_COUNT = frozenset(
    {
        *("clips_refused", "clips_gone", "frames_quarantined", "kinds_replaced"),
        *("decisions_in_vain", "some_video_is_usable"),
    }
)


class QualityGateError(FerrariError, RuntimeError):
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
    """PASS if `bad` is empty, else `otherwise`; the figure counts the bad of `total`."""
    bad = [safe_id(item) for item in bad]
    said = f"{len(bad):,} of {total:,}" if figure is None else figure
    status = otherwise if bad else PASS
    return Check(name, status, said, bound, explanation, tuple(bad[:MAX_ROWS]))


def safe_id(item: str) -> str:
    """`item` as it is if it could be an id or a plain path, else percent-encoded: never a space."""
    return quote(os.fsencode(str(item)), safe="/-._~:,#()")


def as_named(row: str) -> str:
    """An id or path of a check's `rows` as people know it: `IMG 0042.MOV`, not `IMG%200042.MOV`."""
    return shown(os.fsdecode(unquote_to_bytes(row)))


def in_words(check: Check) -> str:
    """The result of a check as the end of a sentence that begins with its title: 'no fault in 164',
    'not so for 2 of 164', or its figure; with its bound, unless that is 0.
    """
    said = figure_in_words(check)
    return said if check.bound == "0" else f"{said} (bound: {check.bound})"


def figure_in_words(check: Check) -> str:
    """`in_words` without the bound. 'Crops readable: 0 of 164' would say the opposite."""
    counted = _NONE_OF.fullmatch(check.figure)
    if check.status == PASS and counted:
        return f"no fault in {counted[1]}" if counted[1] != "0" else "nothing to look at"
    if check.status == PASS and check.bound == check.figure == "0":
        return "none"
    if check.status == PASS or check.name in _NAMED_BY_COUNT:
        return check.figure
    bare = check.bound == "0" and check.figure.replace(",", "").isdecimal()
    counts = bare or _COUNTED.fullmatch(check.figure)
    return f"not so for {check.figure}" if counts else check.figure


def tally(statuses: Iterable[str]) -> str:
    """'7 PASS, 1 WARN, 1 FAIL'; a status that nothing has is left out."""
    count = Counter(statuses)
    return ", ".join(f"{count[status]} {status}" for status in STATUSES if count[status])


def summary(found: Sequence[Check]) -> str:
    """'9 checks: 7 PASS, 1 WARN, 1 FAIL.'"""
    return f"{number_of(len(found), 'check')}: {tally(check.status for check in found)}."


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
    write_table(path, COLUMNS, lines)


def read(path: str | os.PathLike) -> list[Check]:
    """The checks of a report's CSV, as `write` wrote them."""
    found = []
    for line in read_table(path):
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
    found = {path: faults_of([path]) for path in csv_paths}
    faults = [fault for some in found.values() for fault in some]
    if faults:
        pages = [str(Path(path).with_suffix(".html").absolute()) for path in found if found[path]]
        raise QualityGateError(
            f"{len(faults)} quality check(s) failed, so nothing is packaged:\n  "
            + "\n  ".join(faults)
            + f"\nLook at {', '.join(pages)}. Packages of an earlier run stay as they are. "
            f"The set's folder is {Path.cwd()}."
            f"\n{WHAT_TO_DO}{_way_out(found)}"
        )


def _way_out(csv_paths: Iterable[str | os.PathLike]) -> str:
    """What helps against the faults of the reports; packaging all the same needs an image."""
    failed = {check.name for path in csv_paths for check in read(path) if check.status == FAIL}
    all_the_same = (
        "" if SOME_IMAGE in failed else ", or set qc.enforce: false to package all the same"
    )
    return f"do what is said at each check{all_the_same}. Then run the same command again."


def faults_of(csv_paths: Iterable[str | os.PathLike]) -> list[str]:
    """What `enforce` raises for, a line each."""
    faults = []
    for path in csv_paths:
        report, checks = Path(path).stem, read(path)
        if not checks:
            faults.append(f"{report}: the report holds no check; build it again")
        for check in checks:
            if check.status == FAIL:
                where = f"; rows: {', '.join(map(as_named, check.rows))}" if check.rows else ""
                faults.append(
                    f"{report}: {check.name}: {in_words(check)}{where}. {check.explanation}"
                )
    return faults
