"""What a run would do, for people: clips, footage, work, time and space; with --run, the run.

    python scripts/tools/plan_run.py [--run] [--work DIR] [--config FILE ...] [--cores N]

The settings are WORK/my.yaml, with those of --config laid over them; where there is neither, those
of the set's last run. A plan writes nothing. A run shows one line that moves (`ferrari.jobs.
run_watch`), ends with what came out, or with what failed and what to do; a file that its output
goes to has a line a minute. Exit status: Snakemake's, 130 after Ctrl-C, 143 and 129 after SIGTERM
and SIGHUP, 2 for settings that cannot be read.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.common import command_line

if __name__ == "__main__":
    command_line.begin()

import argparse
import shutil
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ferrari.common import settings
from ferrari.common.counts import first_of, megabytes, number_of
from ferrari.common.errors import FerrariError
from ferrari.common.usable_cores import usable_cores
from ferrari.jobs import (
    engine_words,
    error_advice,
    planned_jobs,
    run_watch,
    set_state,
    snakemake_command,
)
from ferrari.jobs.progress_line import duration
from ferrari.jobs.run_failures import failures
from ferrari.jobs.run_progress import RunProgress
from ferrari.ledger import (
    clip_files,
    clips_waiting,
    job_costs,
    raw_listing,
    raw_place,
    shards,
    tables,
)
from ferrari.ledger.clips_waiting import ClipsWaiting
from ferrari.ledger.stages import FOLDERS, VIDEOS_CSV
from ferrari.networks import weight_files
from ferrari.provenance import last_run, older_packages
from ferrari.reports import titles
from ferrari.review import decision_table
from ferrari.video import twins

#: Of so many clips the files are added up.
_CLIPS = 20
#: Kinds of jobs named of which nothing was measured.
_UNMEASURED = 4
#: Seconds that are worth to be told.
_LEAST_S = 1.0
_NOTHING = ClipsWaiting()
#: Where `make smoke` works, below the set's folder.
SMOKE = "smoke"


@dataclass(frozen=True)
class Footage:
    """The files that may be clips: how many, their bytes, seconds known so far, and how many clips
    those are of; `dataset_bytes` is what the dataset keeps of a clip, None where none is there yet;
    `others` are the other files there in words, `gone` the names of clips of the set whose files
    are there no more.
    """

    files: int
    bytes: int
    seconds: float
    known: int
    dataset_bytes: int | None = None
    others: str = ""
    gone: tuple[str, ...] = ()

    def __str__(self) -> str:
        others = f" Other files, no clips: {self.others}." if self.others else ""
        gone = clips_waiting.since_last_run(" Gone", self.gone)
        return self._there() + others + gone

    def _there(self) -> str:
        said = f"{number_of(self.files, 'file')} may be clips, {megabytes(self.bytes)}"
        if not self.known:
            return f"{said}; how long they are is known after stage 0."
        length = f"{duration(self.seconds)} of footage"
        if self.known >= self.files:
            return f"{said}, {length}."
        whole = self.seconds * self.files / self.known
        return f"{said}; {length} in {self.known:,} of them, about {duration(whole)} in all."


def told(
    jobs: Mapping[str, int],
    known: Mapping[str, float],
    cores: int,
    footage: Footage,
    measured_on: str = "the jobs measured so far",
    waiting: ClipsWaiting = _NOTHING,
    decided: str = "",
) -> str:
    """The plan in words; `known` are the costs of jobs, `measured_on` what they are known from,
    `decided` what decisions that wait cause.
    """
    if not jobs:
        return f"{footage}\nTo do: nothing; all is as the settings ask for."
    stages = [f"{rule} {jobs[rule]:,}" for rule in FOLDERS if jobs.get(rule)]
    rest = sum(count for rule, count in jobs.items() if rule not in FOLDERS)
    said = ", ".join([*stages, f"other {rest:,}"])
    lines = [str(footage), f"To do: {_waiting_told(jobs, waiting, decided)}. Jobs: {said}."]
    fresh = min(len(waiting.new), jobs.get("probe", 0))
    if fresh and footage.dataset_bytes is not None:
        more = megabytes(fresh * footage.dataset_bytes)
        lines.append(f"About {more} more on the disk, from the clips that are done.")
    if weights := jobs.get("fetch_weights", 0):
        lines.append(
            f"Fetched first: {number_of(weights, 'file')} of networks' weights, up to some hundred "
            "MB; make weights, with the same WORK, does it ahead."
        )
    return "\n".join([*lines, _time_told(jobs, known, cores, measured_on)])


def _waiting_told(jobs: Mapping[str, int], waiting: ClipsWaiting, decided: str) -> str:
    looked_at = jobs.get("probe", 0)
    fresh = min(len(waiting.new), looked_at)
    others = min(len(waiting.new_others), looked_at - fresh)
    again = looked_at - fresh - others
    counts = {
        "clips that are looked at again, since they or what looks at them changed": again,
        "clips that were begun and not finished": len(waiting.begun),
        "other files, which get a row": others,
    }
    parts = [f"new clips: {fresh:,}"]
    parts += [f"{what}: {count:,}" for what, count in counts.items() if count]
    return "; ".join([*parts, *([f"your decisions: {decided}"] if decided else [])])


def _time_told(
    jobs: Mapping[str, int], known: Mapping[str, float], cores: int, measured_on: str
) -> str:
    timed = {rule: count for rule, count in jobs.items() if rule in known}
    left = sorted(set(jobs) - set(timed))
    named = first_of([titles.of_rule(rule) for rule in left], _UNMEASURED)
    unknown = f" Not measured yet: {named}." if left else ""
    of_clips = [sum(some.get(rule, 0) for rule in FOLDERS) for some in (timed, jobs)]
    seconds = sum(count * known[rule] for rule, count in timed.items()) / cores
    # Of a run that was stopped in its first stage little is known, and the seconds are no answer.
    if not timed or (left and (2 * of_clips[0] < of_clips[1] or seconds < _LEAST_S)):
        what = "Most of this was never" if timed else "Nothing was"
        return (
            f"{what} measured here: make smoke, with the same WORK, sends one clip through, and "
            f"plan goes by it.{unknown if timed else ''}"
        )
    about = "At least" if left else "About"
    how_long = duration(seconds) if seconds >= _LEAST_S else "a second"
    return (
        f"{about} {how_long} here on {cores} cores, from {measured_on}; less where little changed."
        f"{unknown}"
    )


@dataclass(frozen=True)
class _Set:
    """What is planned or run: where, with which settings files, and what they say."""

    work: Path
    files: list[Path]
    config: dict
    cores: int

    @property
    def dataset(self) -> Path:
        return self.work / self.config["dataset"]

    @property
    def raw(self) -> str:
        return raw_place.of(self.config, self.work)

    def files_found(self) -> dict[str, str]:
        """Raw files by id. Raises NoClipsError where none can be a clip."""
        ignored = self.config["intake"]["ignore"]
        there = raw_place.is_there(self.raw)
        found = raw_listing.look_through(self.raw, ignored) if there else raw_listing.RawClips()
        takes = raw_listing.takes_animations(self.config)
        raw_listing.require_clips(self.raw, found, animations=takes)
        return found.videos

    def command(self, *words: str) -> list[str]:
        """Snakemake's command line."""
        return snakemake_command.command(*words, cores=self.cores, config_files=self.files)


def _set(work: Path, config_files: Sequence[str], cores: int) -> _Set:
    """The set that a command line names, after what would end its run before the first job.

    Raises SettingsError, and OSError for a folder that nothing can be written into.
    """
    last_run.require_set(work)
    files, said = last_run.files_to_run(work, config_files)
    for line in filter(None, (said, weight_files.given_is_missing(work))):
        print(line, file=sys.stderr)
    config = settings.load(*files)
    settings.read_text(config, settings.SCHEMA)
    settings.check(config, settings.SCHEMA, files)
    for folder in (work, work / config["dataset"], work / config["qc_reports"]):
        if folder == work or folder.exists():  # a plan makes none
            error_advice.require_writable(folder.absolute())
    return _Set(work, files, config, cores)


def run(this: _Set) -> int:
    """Run the set, watched; the exit status. Raises NoClipsError where there is nothing to run."""
    began = time.monotonic()
    known = RunProgress(costs=costs(this.work)[0])
    clips = this.files_found()  # before Snakemake: what that lays around the message is for nobody
    watch = run_watch.Watch(this.work, this.dataset, clips, known)
    streams = run_watch.listeners()
    status = watch.run(this.command("--quiet", "rules", "host", "progress"), streams)
    free = megabytes(shutil.disk_usage(this.work).free)
    took = f"  took         {duration(time.monotonic() - began)}; {free} are free on the disk"
    for line in failures(watch) if status else [took]:
        for stream in streams:
            print(line, file=stream)
    return status


def plan(this: _Set) -> int:
    """Print what a run would do; Snakemake's exit status. Raises NoClipsError where nothing can be
    run.
    """
    files = this.files_found()
    if said := set_state.at_work(this.work, this.dataset):
        print(f"NOTE: {said}. What follows is what it has not made yet.", flush=True)
    if sys.stderr.isatty():
        print("looking at what there is to do ...", file=sys.stderr)
    has_decisions = decision_table.place(this.dataset).is_file()
    # What decisions cause is told by the reasons of the jobs, which are long where jobs are many.
    quiet = () if has_decisions else ("--quiet", "rules", "host")
    words = this.command("--dry-run", "--nocolor", *quiet)
    done = subprocess.run(words, cwd=this.work, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    if done.returncode:
        said = engine_words.for_people(output)
        advice = error_advice.of_run(said, done.returncode)
        print("\n".join(filter(None, (said, advice))), file=sys.stderr)
        return done.returncode
    for line in done.stderr.splitlines():
        if line.startswith("OTHER SETTINGS"):
            print(line)
    table = this.dataset / VIDEOS_CSV
    rows = tables.read_table(table) if table.is_file() else []
    animations = raw_listing.takes_animations(this.config)
    sizes = raw_listing.sizes(files, this.raw)
    waiting = clips_waiting.of(
        this.dataset, rows, this.raw, files, sizes=sizes, animations=animations
    )
    if shard := shards.Shard.of(this.config["shard"]):
        waiting = waiting.within(shard.clips(files, twins.named_twins(files)))
    jobs, decided = snakemake_command.planned(output), ""
    if jobs and has_decisions:
        since = _decisions_since(this.dataset, last_run.of(this.work / this.config["audit"]))
        decided = planned_jobs.decided_told(planned_jobs.read(output), since)
    known, measured_on = costs(this.work)
    seen = footage(this.dataset, files, sizes, rows, waiting)
    print(told(jobs, known, this.cores, seen, measured_on, waiting, decided))
    if pictures := set_state.other_pictures(this.work, this.config):
        print(pictures)
    for package in older_packages.not_asked_for(this.dataset, this.config):
        print(package)
    print(f"{megabytes(shutil.disk_usage(this.work).free)} are free on the disk of {this.work}.")
    return 0


def _decisions_since(dataset: Path, run: last_run.LastRun | None) -> int:
    """How many rows were decided since a run began; all of them where there was none."""
    began = datetime.fromisoformat(run.start) if run else datetime.min.replace(tzinfo=UTC)
    whens = (line.row.when for line in decision_table.read(decision_table.place(dataset)))
    return sum(datetime.fromisoformat(when) > began for when in whens)


def costs(work: Path) -> tuple[dict[str, float], str]:
    """Seconds of a job, by rule, in the set in `work`, of rules that none is known of there in what
    `make smoke` left; and what they are known from.
    """
    own, smoke = job_costs.known(work), job_costs.known(work / SMOKE)
    words = ["the jobs measured so far"] if own else []
    if smoke.keys() - own.keys():
        words.append("the clip of make smoke, which may be shorter than yours")
    return {**smoke, **own}, " and ".join(words)


def footage(
    dataset: Path,
    files: Mapping[str, str],
    sizes: Mapping[str, int],
    known: Sequence[Mapping[str, str]],
    waiting: ClipsWaiting,
) -> Footage:
    """What the raw folder holds (`files` and their bytes by id), and what is known of it (rows of
    videos.csv).
    """
    clips = {video: file for video, file in files.items() if video not in waiting.others}
    rows = [row for row in known if row["item"] in clips]
    seconds = [float(row["duration_s"]) for row in rows if row["duration_s"]]
    made = clip_files.sizes(dataset, sorted(row["item"] for row in rows)[:_CLIPS])
    kept = round(statistics.mean(made.values())) if made else None
    whole = sum(max(sizes[video], 0) for video in clips)
    others = raw_listing.kinds_told(waiting.others, files)
    return Footage(len(clips), whole, sum(seconds), len(seconds), kept, others, waiting.gone)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="plan_run", description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("."), help="the set's folder")
    parser.add_argument("--config", nargs="*", default=[], help="settings files on top of its own")
    parser.add_argument("--cores", type=int, default=usable_cores())
    parser.add_argument("--run", action="store_true", help="do it, in place of saying it")
    given = parser.parse_args(arguments)
    try:
        this = _set(given.work, given.config, given.cores)
        return run(this) if given.run else plan(this)
    except FerrariError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(error_advice.in_words(error), file=sys.stderr)
        return 2


if __name__ == "__main__":
    command_line.run(main)
