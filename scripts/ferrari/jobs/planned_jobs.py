"""The jobs that a dry run plans, and which of them are caused by a person's decisions alone.

For each job Snakemake says why it has to run: reasons of its own (a changed param, a missing file),
or because a job before it updates its inputs. A decision enters the graph as a digest among the
params of the jobs that it concerns, and the digest begins with a word that identifies it
(`decisions.DECIDED`). So decisions cause a job if such a digest is its only reason, and if every
job that it waits for is caused by decisions too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ferrari.common.counts import number_of
from ferrari.ledger.item_ids import VIDEO_ID
from ferrari.review.decisions import DECIDED

_JOB = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n)*)", re.M)
_CLIP = re.compile(rf"\bvideo=({VIDEO_ID})(?:,|$)")
#: How the reasons of a job begin (snakemake.jobs.Reason); each goes on to the next or to the end.
_AFTER = "Input files updated by another job: "
_PARAMS = "Params have changed since last execution: "
_REASON = re.compile(
    r"(?:^|; )(?=(?:Forced|Rules with|Missing output|Incomplete output|Updated input|Input files "
    r"updated|Output file is|Job provides|Set of input|Code has|Params have|Software environment))"
)
_CHANGE = re.compile(r"across all output: before: (.*) now: (.*?) ?$")
#: What Snakemake says behind an output: `table.csv (update)`.
_FLAG = re.compile(r" \([a-z ]+\)$")
_NONE = "<nothing exclusive>"
#: A digest of decisions as a param; where nothing is decided it is empty.
_DIGEST = re.compile(rf"'{DECIDED}[0-9a-f]+'")
_NOTHING_DECIDED = "''"


class Planned(NamedTuple):
    """A job of a dry run: its rule, its clip ("" over the whole set), its output files, and its
    reasons in Snakemake's words.
    """

    rule: str
    clip: str
    outputs: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The files of other planned jobs because of which it has to run."""
        return tuple(
            file
            for reason in self.reasons
            if reason.startswith(_AFTER)
            for file in reason.removeprefix(_AFTER).split(", ")
        )

    @property
    def is_decided(self) -> bool:
        """True if a changed digest of decisions is its only own reason."""
        own = [reason for reason in self.reasons if not reason.startswith(_AFTER)]
        return bool(self.reasons) and all(map(_is_decision, own))


def _is_decision(reason: str) -> bool:
    """True if digests of decisions are all that has changed."""
    change = _CHANGE.search(reason) if reason.startswith(_PARAMS) else None
    if not change:
        return False
    params = [one for said in change.groups() if said != _NONE for one in said.split(",")]
    named = [one for one in params if one != _NOTHING_DECIDED]
    return bool(named) and all(map(_DIGEST.fullmatch, named))


def read(output: str) -> list[Planned]:
    """The jobs in a dry run's output, without the rule that only names the targets."""
    return [job for job in _told(output) if job.rule != "all"]


def _told(output: str) -> Iterator[Planned]:
    for rule, body in _JOB.findall(output):
        lines = (line.strip().partition(": ") for line in body.splitlines())
        told = {name: value for name, _, value in lines}
        clip = _CLIP.search(told.get("wildcards", ""))
        reasons = filter(None, _REASON.split(told.get("reason", "")))
        outputs = (_FLAG.sub("", file) for file in told.get("output", "").split(", "))
        yield Planned(rule, clip[1] if clip else "", tuple(outputs), tuple(reasons))


def caused_by_decisions(planned: Sequence[Planned]) -> list[Planned]:
    """Those of the planned jobs that are caused by decisions alone."""
    made_by = {file: job for job in planned for file in job.outputs}
    waiting: dict[Planned, list[Planned]] = defaultdict(list)
    others = {job for job in planned if not job.is_decided}
    for job in planned:
        for file in job.waits_for:
            if file in made_by:
                waiting[made_by[file]].append(job)
            else:  # it is unknown what that waits for
                others.add(job)
    left = list(others)
    while left:  # what waits for a job that runs anyway runs anyway
        after = [job for job in waiting[left.pop()] if job not in others]
        others.update(after)
        left += after
    return [job for job in planned if job not in others]


def clips(planned: Sequence[Planned]) -> list[str]:
    """The clips of the jobs, sorted."""
    return sorted({job.clip for job in planned} - {""})


def decided_told(planned: Sequence[Planned], since: int) -> str:
    """What decisions alone cause ('14 jobs, of 1 clip and over the whole set'). If nothing, that
    jobs which run anyway will apply the decisions made `since` the last run, because Snakemake
    gives a job that follows another no reason of its own. "" if no decision is waiting.
    """
    if decided := caused_by_decisions(planned):
        return f"{number_of(len(decided), 'job')}, {of_what(decided)}"
    return f"{since:,} since the last run, applied by jobs that run anyway" if since else ""


def of_what(planned: Sequence[Planned]) -> str:
    """'of 1 clip and over the whole set': what the jobs work on."""
    of_clips = clips(planned)
    whole = any(not job.clip for job in planned)
    of = f"of {number_of(len(of_clips), 'clip')}" if of_clips else ""
    return " and ".join(filter(None, (of, "over the whole set" if whole else "")))
