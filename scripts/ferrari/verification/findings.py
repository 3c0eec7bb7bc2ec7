"""The checks of `verify`, by name, and `Findings`, which collects the faults.

Each check has its meaning and what to do about a fault. `tables`, `disk_files`, `clip` and
`whole_set` examine the dataset, and add what they find to `Findings`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ferrari.ledger import stages
from ferrari.ledger.balance import Balance, total
from ferrari.ledger.stages import (
    ENVIRONMENTS_CSV,
    FINAL,
    FINAL_CSV,
    PINNED_CSV,
    REFERENCES_CSV,
    VIDEOS_CSV,
)
from ferrari.reports.checks import FAIL, PASS, WARN, Check, safe_id

CROISSANT = "croissant.json"  # not a table, but it has a stamp too

_AGAIN = "delete the table that lists it, and the next run makes both anew"
#: name: (status if there are faults, what the check proves and what to do about a fault).
CHECKS = {
    "raw_files_found": (FAIL, "There are raw files to verify; put clips into the raw folder."),
    "raw_files_have_tables": (
        FAIL,
        "Each raw file went through every stage. Clips that were added and not processed yet, or "
        "a run that did not finish: run the pipeline, then verify again.",
    ),
    "tables_present": (
        FAIL,
        "Each table of a clip that was processed, and each table over the whole set, is there; "
        "run the pipeline to make what is missing.",
    ),
    "stamps_sound": (
        FAIL,
        "Each table has its stamp, and the stamp is what was written; delete the table, and the "
        "next run makes both anew.",
    ),
    "tables_as_stamped": (
        FAIL,
        "Each table has the SHA-256 and the numbers of rows that its stamp says; delete the "
        "table, and the next run makes it anew.",
    ),
    "inputs_as_stamped": (
        FAIL,
        "Each table was made from the tables that are there now: no step is stale. Run the "
        "pipeline; if it says that nothing is to be done, delete the table first.",
    ),
    "pinned_clips_as_drawn": (
        FAIL,
        f"{PINNED_CSV} names the clips that the bank of scenes was drawn from, one a row; if not, "
        f"delete it and {ENVIRONMENTS_CSV}, and the next run draws the scenes anew.",
    ),
    "rows_sound": (
        FAIL,
        "Each table has its stage's columns; each row a known outcome, a reason where it was not "
        "kept, and an item of its own. Delete the table, and the next run makes it anew.",
    ),
    "cells_carried_forward": (
        FAIL,
        "What one table takes over from the one before (paths, digests, captions) is equal in "
        "both; delete the later table, and the next run makes it anew.",
    ),
    "rows_name_their_files": (
        FAIL,
        "Each path in a row has its digest, and each kept row of a stage that writes images has "
        f"its file; if not, {_AGAIN}.",
    ),
    "files_present": (FAIL, f"Each file that a row or a stamp lists is there; if not, {_AGAIN}."),
    "files_unchanged": (
        FAIL,
        f"Each file has the SHA-256 that its row or its stamp lists; if not, {_AGAIN}.",
    ),
    "raw_files_unchanged": (
        FAIL,
        "Each raw file has the SHA-256 that stage 0 recorded, or where clips lie in a bucket, the "
        "ETag. If you replaced the clip, run the "
        "pipeline; if you did not, it was damaged: restore it.",
    ),
    "no_unlisted_files": (
        FAIL,
        "Each file in the dataset's folder is listed by a row or a stamp, or is one that a "
        "trainer or a desktop leaves; the rest is not the pipeline's: move it elsewhere.",
    ),
    "times_as_timestamps": (
        FAIL,
        "The time of each frame in seconds is its timestamp (pts) in the units of its clip "
        "(time_base), where the clip has timestamps; delete the table, and the next run makes it "
        "anew.",
    ),
    "identities_as_seen": (
        FAIL,
        "What is seen of people has each detection of the clip once, its table of identities has "
        "as many frames of each track as the crops have rows, and where anybody is judged each "
        "crop says why; delete the clip's tables below subject/ and of crops, and the next run "
        "makes them anew.",
    ),
    "final_images_trace_back": (
        FAIL,
        "Each final image leads through caption, augment, mask, crop, detection and frame (with "
        "its place in the clip) to a probe row and a raw file that is unchanged.",
    ),
    "packages_as_final": (
        FAIL,
        "Each package holds the images, masks and captions of the final table, and no others; "
        "delete the package's table, and the next run packages anew.",
    ),
    "decisions_sound": (
        FAIL,
        "The table of decisions, review/decisions.csv, can be read, where there is one; correct "
        "the line that is named.",
    ),
    "decisions_have_their_effect": (
        FAIL,
        "Each decision in force shows in the row that it is about, unless there is no such row, it "
        "is another now, or it cannot be carried out. Run the pipeline.",
    ),
    "effects_have_their_decision": (
        FAIL,
        "Each row that names a decision is what a decision in force makes of it. Run the pipeline; "
        "if review/decisions.csv was lost, put it back.",
    ),
    "decisions_in_vain": (
        WARN,
        "Decisions in force that change nothing: what they were made about is another now, or is "
        "not there, or they cannot be carried out. Look again and decide anew, or take them back.",
    ),
    "packages_of_this_set": (
        WARN,
        "Each package is one that a run with these settings would make of the final table. One "
        "that is not holds captions and images of an older set: make tidy lists it, and deletes it "
        "with YES=1; or ask for its format again and run the pipeline.",
    ),
    "nothing_of_clips_gone": (
        WARN,
        "Tables and stamps of clips that are no longer among the raw files; nothing reads them. "
        "make tidy lists them, and deletes them with YES=1.",
    ),
    "no_leftovers": (
        WARN,
        "Unfinished files of a job that was killed; nothing reads them. The next run of that job "
        "removes them; while no run is going on they may be deleted.",
    ),
    "trainer_files": (
        PASS,
        "Files that trainers left in the packages (latent caches, size lists); they may come and "
        "go.",
    ),
    "desktop_files": (
        PASS,
        "Files that desktops leave in folders that they show (.DS_Store, Thumbs.db, desktop.ini); "
        "nothing reads them, and they may be deleted.",
    ),
}
FIRST = 300  # so many faults of a check are listed; the rest is only counted


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: `where` is a path below the dataset, an item or a raw file."""

    check: str
    where: str
    why: str


@dataclass(frozen=True)
class Layout:
    """What is verified: the dataset's folder, the raw clips, and what the settings ask for.

    `videos` maps ids to raw files below `raw`, a folder or the address of a bucket.
    `older_packages` says of packages (by format) that the settings would not make as they are, why.
    `not_ours` are folders that may lie inside the dataset's but are no part of it (reports, caches,
    the user's own backgrounds).
    """

    dataset: Path
    raw: str | os.PathLike
    videos: Mapping[str, str]
    formats: tuple[str, ...]
    clip_scenes: bool = True
    not_ours: tuple[Path, ...] = ()
    older_packages: Mapping[str, str] = field(default_factory=dict)

    def tables_of(self, video: str) -> dict[str, str]:
        """The tables of one clip, by stage, relative to the dataset."""
        return {stage: stages.table(stage, video) for stage in stages.FOLDERS}

    def whole_set_tables(self) -> dict[str, str]:
        """The tables over the whole set (and other files with a stamp), by rule or format."""
        packages = {name: f"{FINAL}/{name}.csv" for name in self.formats}
        return {
            "videos": VIDEOS_CSV,
            "environments": ENVIRONMENTS_CSV,
            "who": REFERENCES_CSV,
            "final": FINAL_CSV,
            **packages,
            "croissant": CROISSANT,
        }


def _balance_check(sums: Balance) -> Check:
    """PASS if each item that was kept before has its rows, and each row its parent."""
    return Check(
        f"{sums.stage}_ledger_balances",
        PASS if sums.balanced else FAIL,
        sums.figure,
        "sum equal, 0 lost, 0 from nowhere",
        "Each item that the stage before kept is the parent of a row here, and no row has "
        "another parent. Delete the table of the clip, and the next run makes it anew.",
        tuple(safe_id(item) for item in (*sums.unaccounted, *sums.orphans)[:20]),
    )


class Findings:
    """Faults by check, the ledger's sums by stage, and how much was looked at."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.totals: Counter[str] = Counter()
        self.by_video: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.sums: dict[str, list[Balance]] = {}

    def add(self, check: str, where: str, why: str, video: str = "") -> None:
        """Count a fault of `check`; the first FIRST of each check are listed."""
        if check not in CHECKS:
            raise KeyError(f"there is no check {check}")
        self.counts[check] += 1
        if video and CHECKS[check][0] == FAIL:
            self.by_video[video] += 1
        if self.counts[check] <= FIRST:
            self.faults.append(Fault(check, where, why))

    def looked(self, check: str, count: int = 1) -> None:
        """Add to the number of things that `check` has looked at."""
        self.totals[check] += count

    def add_balance(self, sums: Balance) -> None:
        """Add the sums of one table of a stage."""
        self.sums.setdefault(sums.stage, []).append(sums)

    def listed(self) -> list[Fault]:
        """The first faults of each check, in the order of CHECKS."""
        order = list(CHECKS)
        return sorted(self.faults, key=lambda fault: order.index(fault.check))

    def checks(self) -> list[Check]:
        """All checks: those of CHECKS, then each stage's sums."""
        return [self._check(name) for name in CHECKS] + [
            _balance_check(total(stage, parts)) for stage, parts in self.sums.items()
        ]

    def _check(self, name: str) -> Check:
        status, explanation = CHECKS[name]
        count, total = self.counts[name], self.totals[name]
        where = dict.fromkeys(fault.where for fault in self.faults if fault.check == name)
        bound, said = "0", f"{count:,} of {total:,}" if total else f"{count:,}"
        if status == PASS:
            bound = "any number"
        if name == "raw_files_found":
            bound, said = "at least 1", f"{total:,}"
        if name == "packages_of_this_set" and count:
            said = "; ".join(f"{one.where}: {one.why}" for one in self.faults if one.check == name)
        rows = tuple(safe_id(one) for one in list(where)[:20])
        return Check(name, status if count else PASS, said, bound, explanation, rows)
