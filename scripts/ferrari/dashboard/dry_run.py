"""A forecast of what the next run would rerun, from a dry run of the workflow.

What a person's decisions cause is separated from what was due anyway (`planned_jobs`).
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ferrari.common import settings
from ferrari.common.atomic_files import file_states, sha256_bytes
from ferrari.common.counts import number_of
from ferrari.common.errors import FerrariError
from ferrari.common.visible_text import shown
from ferrari.dashboard.reviewed_set import ReviewedSet
from ferrari.jobs import planned_jobs, snakemake_command
from ferrari.jobs.planned_jobs import Planned
from ferrari.ledger import raw_place
from ferrari.ledger.raw_listing import RawClips, look_through
from ferrari.reports import titles
from ferrari.review import decisions

_PATIENCE_S = 600  # for thousands of clips on a slow disk


class DryRunError(FerrariError, RuntimeError):
    """Snakemake cannot say what it would do; holds its own message instead."""


class Forecast:
    """The next run of a set. The answer is cached until what it depends on has changed: the rows in
    force, the settings files, the raw files, the records of runs.
    """

    def __init__(self, the_set: ReviewedSet) -> None:
        self._set = the_set
        self._key = ""
        self._answer: dict = {}

    def look(self) -> dict:
        """`clips` (ids, sorted) and `jobs` (number by rule) of all that it would do; the same of
        what the decisions cause (`decided`) and of what waited `anyway`; a `sentence`; `files`, the
        raw files of the clips by id, and `titles`, what people call the rules. Raises DryRunError,
        and DecisionsError where the table cannot be used.
        """
        config = settings.load(*self._set.config_files)
        raw = _raw(self._set, config)
        key = self._now(raw, config)
        if key != self._key:
            self._answer, self._key = answer(_asked(self._set), raw.videos), key
        return self._answer

    def _now(self, raw: RawClips, config: Mapping) -> str:
        in_force = decisions.load(self._set.dataset).whole
        runs = sorted((self._set.work / config["audit"] / "runs").glob("*/run.json"))[-1:]
        states = file_states([*self._set.config_files, *runs])
        seen = repr((in_force, states, _states(raw, self._set.raw)))
        return sha256_bytes(seen.encode("utf-8", "surrogatepass"))


def _raw(the_set: ReviewedSet, config: Mapping) -> RawClips:
    if not raw_place.is_there(the_set.raw):
        return RawClips()
    return look_through(the_set.raw, config["intake"]["ignore"])


def _states(raw: RawClips, place: str | os.PathLike) -> list:
    """The states of the files that may be clips: one that is added, removed or changed causes
    jobs.
    """
    if raw.objects:
        return [(video, one.state) for video, one in raw.objects.items()]
    files = (Path(place, name) for name in raw.videos.values())
    # What is no file is a link to a folder, maybe a loop.
    return file_states(file for file in files if file.is_file())


def command(the_set: ReviewedSet) -> list[str]:
    """Snakemake's command line for a dry run of the set."""
    return snakemake_command.command(
        *("--dry-run", "--nocolor"), cores=the_set.cores, config_files=the_set.config_files
    )


def _asked(the_set: ReviewedSet) -> str:
    try:
        done = subprocess.run(
            command(the_set),
            cwd=the_set.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=_PATIENCE_S,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise DryRunError(f"no answer from a dry run in {_PATIENCE_S} s") from error
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-12:])
        raise DryRunError(f"a dry run ended with status {done.returncode}:\n{tail}")
    return done.stdout


def answer(output: str, files: Mapping[str, str]) -> dict:
    """What a dry run's output says (see `Forecast.look`); `files`: all raw files by clip."""
    jobs = snakemake_command.planned(output)
    planned = planned_jobs.read(output) if jobs else []
    decided = planned_jobs.caused_by_decisions(planned)
    known = set(decided)
    anyway = [job for job in planned if job not in known]
    clips = planned_jobs.clips(planned)
    return {
        "clips": clips,
        "jobs": jobs,
        "files": {video: shown(files[video]) for video in clips if video in files},
        "titles": {rule: titles.of_rule(rule) for rule in jobs},
        "decided": _part(decided),
        "anyway": _part(anyway),
        "sentence": in_words(decided, anyway),
    }


def _part(planned: Sequence[Planned]) -> dict:
    jobs = dict(sorted(Counter(job.rule for job in planned).items()))
    return {"clips": planned_jobs.clips(planned), "jobs": jobs}


def in_words(decided: Sequence[Planned], anyway: Sequence[Planned]) -> str:
    """'Your decisions: 14 jobs, of 1 clip and over the whole set. Besides, 3 jobs that waited
    anyway.' and the like.
    """
    if not decided and not anyway:
        return "The next run has nothing to do."
    if not decided:
        said = f"{number_of(len(anyway), 'job')} that waited anyway, {planned_jobs.of_what(anyway)}"
        return f"Your decisions ask for nothing more. The next run has {said}."
    said = f"Your decisions: {number_of(len(decided), 'job')}, {planned_jobs.of_what(decided)}."
    also = (
        f" Besides, {number_of(len(anyway), 'job')} that waited anyway, "
        f"{planned_jobs.of_what(anyway)}."
    )
    return said + (also if anyway else "")
