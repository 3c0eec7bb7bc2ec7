"""What a whole review showed: a record, what is wrong with it, and a table to read."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field

from ferrari.review import effects
from ferrari.review.contract import DROP, MERGE_TRACKS, NOT_SUBJECT, SPLIT_TRACK
from tests.review_demo.kinds import clip_of, related

#: How a run ends by the page, and how `make verify` begins, where all is well.
WELL, VERIFIED = "ended well", "Verified: "
#: Decisions about a track that change what becomes of its crops, or which tracks there are.
_OF_TRACKS = (NOT_SUBJECT, SPLIT_TRACK, MERGE_TRACKS)


@dataclass
class Kind:
    """The decisions of a kind: `asked` for and `made`, about what, ms from the key until each was
    saved, and the seconds that they took with moving about on the page.
    """

    name: str
    decision: str
    asked: int
    targets: list[str]
    ms: list[float]
    seconds: float

    @property
    def made(self) -> int:
        """How many there were to make."""
        return len(self.targets)


@dataclass
class InForce:
    """A row of the table after the run that applied it: its state (`effects.WORDS`), and why."""

    id: str
    decision: str
    target: str
    state: str
    why: str


@dataclass
class Rerun:
    """What the page said before a run, the jobs by rule that it told and that were done, how the
    run ended by the page, and the seconds from its first event to its last.
    """

    said: str
    told: dict[str, int]
    done: dict[str, int]
    ended: str
    seconds: float


@dataclass
class Traced:
    """What `make trace` says of something that was decided about: the whole text, and the line of
    the decision; "" where it does not tell it.
    """

    item: str
    decision: str
    line: str
    text: str


@dataclass
class Record:
    """One whole review."""

    shown: dict[str, str]
    kinds: list[Kind]
    progress: str
    applying: Rerun
    rows: list[InForce]
    traced: list[Traced]
    verified: list[str]  # what verify said, after the decisions and after the undo
    undone: int
    undo_ms: list[float]
    undoing: Rerun
    digests: list[str]  # of the dataset without review/: before, decided, taken back
    differing: list[str]  # files with other bytes at the end, or at one of both ends alone
    left_to_do: dict[str, int]
    pictures: list[list[str]]  # file, what it shows
    troubles: list[str] = field(default_factory=list)

    @property
    def decisions(self) -> int:
        """How many were made."""
        return sum(kind.made for kind in self.kinds)

    @property
    def a_minute(self) -> float:
        """Decisions a minute, moving about included."""
        return 60 * self.decisions / max(1e-9, sum(kind.seconds for kind in self.kinds))

    @property
    def states(self) -> dict[str, int]:
        """How many rows are in each state after the run."""
        return dict(Counter(row.state for row in self.rows))


def faults(record: Record) -> list[str]:
    """What a sound review would not show; empty for one."""
    return [
        *(f"nobody could {kind.name}" for kind in record.kinds if not kind.made),
        *_of_the_table(record),
        *_of_rerun("the decisions", record.applying),
        *_of_rerun("taking them back", record.undoing),
        *(f"make trace of {one.item} does not tell {one.decision}" for one in _untold(record)),
        *(f"verify: {said}" for said in record.verified if not said.startswith(VERIFIED)),
        *_of_undo(record),
        *record.troubles,
    ]


def _of_the_table(record: Record) -> list[str]:
    made = Counter((kind.decision, target) for kind in record.kinds for target in kind.targets)
    there = Counter((row.decision, row.target) for row in record.rows)
    found = [f"not in the table: {decision} of {target}" for decision, target in made - there]
    found += [f"in the table alone: {decision} of {target}" for decision, target in there - made]
    for row in record.rows:
        if row.state == effects.PENDING or (
            row.state in effects.IN_VAIN and not cause(row, record)
        ):
            found.append(f"{row.decision} of {row.target} is {row.state} after the run: {row.why}")
    return found


def cause(row: InForce, record: Record) -> str:
    """The decision by which another one is in vain, in words; "" where there is none."""
    for one in record.rows:
        if one is row:
            continue
        of_clip = one.decision in _OF_TRACKS and clip_of(one.target) == clip_of(row.target)
        of_item = one.decision == DROP and related(one.target, row.target)
        if of_clip or of_item:
            return f"{one.decision} of {one.target}"
    return ""


def _of_rerun(what: str, rerun: Rerun) -> list[str]:
    found = []
    if rerun.ended != WELL:
        found.append(f"the run for {what}: {rerun.ended or 'there was none'}")
    if rerun.told != rerun.done:
        found.append(f"for {what} the page told {rerun.told}, and the run did {rerun.done}")
    return found


def _untold(record: Record) -> list[Traced]:
    return [one for one in record.traced if not one.line]


def _of_undo(record: Record) -> list[str]:
    found = []
    before, decided, after = record.digests
    if record.undone != record.decisions:
        found.append(f"{record.decisions} decisions were made, and {record.undone} taken back")
    if decided == before:
        found.append("the decisions changed nothing of the dataset")
    if after != before:
        found.append(f"taking all back gives other bytes: {', '.join(record.differing[:5])}")
    if record.left_to_do:
        found.append(f"after taking all back there is still to do: {record.left_to_do}")
    return found


def table(record: Record) -> str:
    """The record as text for people."""
    lines = ["kind                        made  median ms  worst ms  seconds"]
    for kind in record.kinds:
        fewer = "" if kind.made == kind.asked else f"   all that there were; {kind.asked} asked for"
        middle = statistics.median(kind.ms) if kind.ms else 0.0
        worst = max(kind.ms, default=0.0)
        lines.append(
            f"{kind.name:<26}{kind.made:>6}{middle:>11.0f}{worst:>10.0f}{kind.seconds:>9.1f}{fewer}"
        )
    ms = [one for kind in record.kinds for one in kind.ms]
    return "\n".join(
        [
            *lines,
            f"{'all':<26}{record.decisions:>6}{statistics.median(ms or [0]):>11.0f}"
            f"{max(ms, default=0):>10.0f}{sum(kind.seconds for kind in record.kinds):>9.1f}",
            "",
            f"{record.a_minute:.0f} decisions a minute by keys, with nobody who looks: what the "
            "page takes, not what a person can judge",
            "",
            *_rerun_lines("run after the decisions", record.applying),
            f"decisions in force: {_counted(record.states)}",
            *(
                f"  {row.state}: {row.decision} of {row.target}, by {cause(row, record)}"
                for row in record.rows
                if row.state in effects.IN_VAIN
            ),
            *(f"trace of {one.item}: {one.line}" for one in record.traced),
            f"verify: {record.verified[0]}",
            "",
            f"taken back with Z: {record.undone}",
            *_rerun_lines("run after that", record.undoing),
            f"verify: {record.verified[-1]}",
            f"digest before     {record.digests[0]}",
            f"digest decided    {record.digests[1]}",
            f"digest taken back {record.digests[2]}",
            f"other files than before: {', '.join(record.differing) or 'none'}",
            "",
            *(faults(record) or ["nothing is wrong"]),
        ]
    )


def _rerun_lines(name: str, rerun: Rerun) -> list[str]:
    return [
        f"{name}: {rerun.ended}, {rerun.seconds:.0f} s",
        f"  the page said: {rerun.said}",
        f"  told {_counted(rerun.told)}",
        f"  done {_counted(rerun.done)}",
    ]


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "nothing"
