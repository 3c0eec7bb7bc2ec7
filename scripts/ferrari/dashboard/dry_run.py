"""What the next run would make again: a dry run of the workflow, read."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ferrari.common import settings
from ferrari.common.atomic_files import file_states, sha256_bytes
from ferrari.common.errors import FerrariError
from ferrari.dashboard.reviewed_set import ReviewedSet
from ferrari.jobs import snakemake_command
from ferrari.ledger import raw_place
from ferrari.ledger.item_ids import VIDEO_ID
from ferrari.ledger.raw_listing import look_through
from ferrari.provenance.last_run import AUDIT
from ferrari.review import decisions

_PATIENCE_S = 600  # for thousands of clips on a slow disk
_CLIP = re.compile(rf"^    wildcards: .*?\bvideo=({VIDEO_ID})(?:,|$)", re.M)


class DryRunError(FerrariError, RuntimeError):
    """Snakemake cannot say what it would do; holds what it says instead."""


class Forecast:
    """The next run of a set. The answer is kept until what it hangs on has changed: the rows in
    force, the settings files, the raw files, the records of runs.
    """

    def __init__(self, the_set: ReviewedSet) -> None:
        self._set = the_set
        self._key = ""
        self._answer: dict = {}

    def look(self) -> dict:
        """`clips` (ids, sorted), `jobs` (number by rule) and a `sentence`. Raises DryRunError, and
        DecisionsError where the table cannot be used.
        """
        key = self._now()
        if key != self._key:
            self._answer, self._key = _asked(self._set), key
        return self._answer

    def _now(self) -> str:
        in_force = decisions.load(self._set.dataset).whole
        runs = sorted((self._set.work / AUDIT / "runs").glob("*/run.json"))[-1:]
        states = file_states([*self._set.config_files, *runs])
        seen = repr((in_force, states, _clips(self._set)))
        return sha256_bytes(seen.encode("utf-8", "surrogatepass"))


def _clips(the_set: ReviewedSet) -> list:
    """The raw files that may be clips, and their states: one that comes, goes or changes has jobs
    to do.
    """
    if not raw_place.is_there(the_set.raw):
        return []
    ignored = settings.load(*the_set.config_files)["intake"]["ignore"]
    known = look_through(the_set.raw, ignored)
    if known.objects:
        return [(video, one.state) for video, one in known.objects.items()]
    files = (Path(the_set.raw, name) for name in known.videos.values())
    # What is no file is a link to a folder, maybe a loop.
    return file_states(file for file in files if file.is_file())


def command(the_set: ReviewedSet) -> list[str]:
    """Snakemake's command line for a dry run of the set."""
    return snakemake_command.command(
        *("--dry-run", "--nocolor"), cores=the_set.cores, config_files=the_set.config_files
    )


def _asked(the_set: ReviewedSet) -> dict:
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
    return answer(done.stdout)


def answer(output: str) -> dict:
    """What a dry run's output says: `clips`, `jobs` and `sentence` (see `Forecast.look`)."""
    jobs = snakemake_command.planned(output)
    clips = sorted(set(_CLIP.findall(output))) if jobs else []
    return {"clips": clips, "jobs": jobs, "sentence": in_words(jobs, clips)}


def in_words(jobs: Mapping[str, int], clips: Sequence[str]) -> str:
    """'The next run has 14 jobs: 3 of 1 clip, 11 over the whole set.' and the like."""
    if not jobs:
        return "The next run has nothing to do."
    total = sum(jobs.values())
    number = f"{total:,} {'job' if total == 1 else 'jobs'}"
    if not clips:
        return f"The next run has {number}, all over the whole set."
    of = f"{len(clips):,} {'clip' if len(clips) == 1 else 'clips'}"
    return f"The next run has {number}; {of} would be worked on."
