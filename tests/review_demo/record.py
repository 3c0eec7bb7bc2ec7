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
#: Images that are traced.
TRACED = 3
#: Decisions about a track that change what becomes of its crops, or which tracks there are.
_OF_TRACKS = (NOT_SUBJECT, SPLIT_TRACK, MERGE_TRACKS)


@dataclass
class Made:
    """The decisions of a kind: how many were asked for; of those that were made the targets, the
    page's words, and ms from the key until each was saved; the seconds that they took with moving
    about on the page.
    """

    name: str
    decision: str
    asked: int
    targets: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def number(self) -> int:
        """How many were made."""
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
    kinds: list[Made]
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
        return sum(kind.number for kind in self.kinds)

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
        *(f"nobody could {kind.name}" for kind in record.kinds if not kind.number),
        *(
            f"{kind.name}: {kind.number} were made, and {len(kind.ms)} times all was saved"
            for kind in record.kinds
            if len(kind.ms) != kind.number
        ),
        *_of_the_table(record),
        *_of_rerun("the decisions", record.applying),
        *_of_rerun("taking them back", record.undoing),
        *_of_traces(record.traced),
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


def _of_traces(traced: list[Traced]) -> list[str]:
    untold = [one for one in traced if not one.line]
    found = [f"make trace of {one.item} does not tell {one.decision}" for one in untold]
    if len(traced) < TRACED:
        found.append(f"only {len(traced)} of {TRACED} images show a decision to be traced")
    return found


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
    sections = (
        _kinds_lines(record),
        [
            f"{record.a_minute:.0f} decisions a minute by keys, with nobody who looks: what the "
            "page takes, not what a person can judge"
        ],
        [*_rerun_lines("run after the decisions", record.applying), *_effects_lines(record)],
        [
            f"taken back with Z: {record.undone}",
            *_rerun_lines("run after that", record.undoing),
            f"verify: {record.verified[-1]}",
        ],
        [
            f"digest at first     {record.digests[0]}",
            f"digest as decided   {record.digests[1]}",
            f"digest taken back   {record.digests[2]}",
            f"files that differ from those at first: {', '.join(record.differing) or 'none'}",
        ],
        faults(record) or ["nothing is wrong"],
    )
    return "\n\n".join("\n".join(lines) for lines in sections)


def _kinds_lines(record: Record) -> list[str]:
    """A line a kind, and one of all."""
    total = Made("all", "", 0, seconds=sum(kind.seconds for kind in record.kinds))
    for kind in record.kinds:
        total.targets += kind.targets
        total.ms += kind.ms
        total.asked += kind.asked
    lines = [f"{'decisions':<28}{'asked':>6}{'made':>6}{'median ms':>11}{'worst ms':>10}{'s':>7}"]
    for kind in (*record.kinds, total):
        middle, worst = statistics.median(kind.ms or [0.0]), max(kind.ms, default=0.0)
        figures = (
            f"{kind.asked:>6}{kind.number:>6}{middle:>11.0f}{worst:>10.0f}{kind.seconds:>7.1f}"
        )
        lines.append(f"{kind.name:<28}{figures}")
    return [*lines, "where fewer were made than asked for, there were no more"]


def _effects_lines(record: Record) -> list[str]:
    """The decisions in force by their states, why those in vain are so, three traces, verify."""
    vain = [row for row in record.rows if row.state in effects.IN_VAIN]
    return [
        f"decisions in force: {_counted(record.states)}",
        *(
            f"  {row.state}: {row.decision} of {row.target}, by {cause(row, record) or 'nothing'}"
            for row in vain
        ),
        *(f"trace of {one.item}: {one.line}" for one in record.traced),
        f"verify: {record.verified[0]}",
    ]


def _rerun_lines(name: str, rerun: Rerun) -> list[str]:
    return [
        f"{name}: {rerun.ended}, {rerun.seconds:.0f} s",
        f"  the page said: {rerun.said}",
        f"  told {_counted(rerun.told)}",
        f"  done {_counted(rerun.done)}",
    ]


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "nothing"
