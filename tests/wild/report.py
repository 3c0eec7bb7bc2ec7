"""What a run over a corpus found: a text to read, two tables, and the pictures that differ."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from tests.wild.causes import UNEXPLAINED
from tests.wild.comparing import FRAMES, Clip, Difference

_COLUMNS = ("clip", "difference", "where", "ours", "ffmpeg", "cause", "evidence")
_WIDE = 150  # characters of a cell in the text


@dataclass(frozen=True)
class Finding:
    """A difference without its pictures: texts alone, which a process can hand on."""

    clip: str
    kind: str
    where: str
    ours: str
    theirs: str
    cause: str
    evidence: str


@dataclass
class Result:
    """What became of one file; `fault` is what broke on our own side, if anything."""

    clip: str
    verdict: str = ""
    frames: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    skipped: str = ""
    fault: str = ""

    @property
    def unexplained(self) -> list[Finding]:
        """Differences without a cause."""
        return [finding for finding in self.findings if finding.cause == UNEXPLAINED]


def findings(clip: str, differences: Sequence[Difference]) -> list[Finding]:
    """The differences as texts."""
    return [
        Finding(clip, d.kind, d.where, d.ours, d.theirs, d.cause, d.evidence) for d in differences
    ]


def folder_of(clip: str) -> str:
    """The name of the folder for a clip's pictures."""
    return re.sub(r"[^\w.-]+", "_", clip)


def save_pictures(clip: Clip, differences: Sequence[Difference], folder: Path) -> None:
    """Pairs of pictures that differ, as PNG: ours, ffmpeg's, four times their difference."""
    for difference in differences:
        pair = difference.pair
        if pair is None or pair.raw is None or difference.kind == FRAMES:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        theirs = pair.squared(pair.raw)
        _write(folder / f"{pair.place}-ours.png", pair.ours.rgb)
        _write(folder / f"{pair.place}-ffmpeg.png", theirs)
        if theirs.shape == pair.ours.rgb.shape:
            _write(
                folder / f"{pair.place}-apart.png",
                cv2.convertScaleAbs(cv2.absdiff(pair.ours.rgb, theirs), alpha=4),
            )


def _write(path: Path, picture_rgb: np.ndarray) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(picture_rgb, cv2.COLOR_RGB2BGR))


def write_tables(results: Sequence[Result], folder: Path) -> None:
    """`clips.csv` and `differences.csv` in `folder`."""
    with (folder / "clips.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(
            ("clip", "verdict", "frames", "differences", "unexplained", "seconds", "skipped")
        )
        rows.writerows(
            (
                r.clip,
                r.verdict,
                r.frames,
                len(r.findings),
                len(r.unexplained),
                f"{r.seconds:.2f}",
                r.skipped,
            )
            for r in results
        )
    with (folder / "differences.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(_COLUMNS)
        rows.writerows(vars(finding).values() for r in results for finding in r.findings)


def as_text(results: Sequence[Result], folder: Path, in_full: bool = False) -> str:
    """Every difference, clip by clip, and the counts; explained ones in a line unless `in_full`."""
    lines: list[str] = []
    for result in results:
        if result.findings or result.fault or result.skipped:
            lines.append(f"{result.clip}  [{result.verdict or 'not looked at'}]")
            lines += [f"    {result.skipped}"] if result.skipped else []
            lines += [f"    FAILED {result.fault}"] if result.fault else []
            lines += [_line(finding, in_full) for finding in result.findings]
    every = [finding for result in results for finding in result.findings]
    open_ones = [finding for finding in every if finding.cause == UNEXPLAINED]
    lines += ["", "differences by cause:"]
    lines += [
        f"  {count:5d}  {cause}" for cause, count in Counter(f.cause for f in every).most_common()
    ]
    if open_ones:
        lines.append("unexplained, by what differs:")
        kinds = Counter(finding.kind for finding in open_ones).most_common()
        lines += [f"  {count:5d}  {kind}" for kind, count in kinds]
    slow = sorted(results, key=lambda result: -result.seconds)[:3]
    lines += [
        "slowest: " + ", ".join(f"{r.clip} {r.seconds:.1f} s" for r in slow),
        f"tables and pictures: {folder}",
        f"clips {len(results)}, not looked at {sum(bool(r.skipped) for r in results)}, "
        f"failed {sum(bool(r.fault) for r in results)}, "
        f"differences {len(every)}, unexplained {len(open_ones)}",
    ]
    return "\n".join(lines)


def _line(finding: Finding, in_full: bool) -> str:
    where = f" ({finding.where})" if finding.where else ""
    views = f"ours {_short(finding.ours)}; ffmpeg {_short(finding.theirs)}"
    if finding.cause == UNEXPLAINED:
        return f"    UNEXPLAINED {finding.kind}{where}: {views}"
    told = f"    {finding.kind}{where}: {finding.cause}: {_short(finding.evidence)}"
    return f"{told}\n        {views}" if in_full else told


def _short(text: str) -> str:
    return text if len(text) <= _WIDE else f"{text[:_WIDE]}..."
