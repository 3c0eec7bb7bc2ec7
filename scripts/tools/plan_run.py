"""What a run would do, for people: clips, work to do, time and space, from costs measured here.

    python scripts/tools/plan_run.py [--work DIR] [--config FILE ...] [--cores N]

The settings are WORK/my.yaml, or --config, or those of the set's last run. Nothing is written.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

import yaml

from ferrari.common import settings
from ferrari.common.places import ROOT
from ferrari.ledger import tables
from ferrari.ledger.item_ids import look_through
from ferrari.ledger.stages import FOLDERS, RAW, VIDEOS_CSV
from ferrari.provenance import last_run
from tools.new_set import SETTINGS

#: From here on a job of a clip did something.
_WORKED_S = 0.1
#: Rules of reports that are named as their benchmark; of the others the first word is the name.
_WHOLE_NAMES = ("qc0_page", "qc_identity")
_STATS = re.compile(r"Job stats:\n.*?\n[- ]+\n(.*?)\n\n", re.S)


def planned(snakemakes_output: str) -> dict[str, int]:
    """Jobs by rule, out of what a dry run prints; {} where nothing is to be done."""
    found = _STATS.search(snakemakes_output)
    rows = [line.split() for line in found[1].splitlines()] if found else []
    return {row[0]: int(row[1]) for row in rows if row[0] not in ("total", "all")}


def costs(work: Path) -> dict[str, float]:
    """Median seconds of a job, by rule, as the benchmarks of earlier runs below `work` have it.

    A job of a clip that found nothing to do takes hundredths of a second, and measures nothing.
    """
    measured: dict[str, list[float]] = {}
    for path in sorted((work / "benchmarks").rglob("*.tsv")):
        lines = path.read_text("utf-8").splitlines()
        cell = lines[-1].split("\t")[0] if len(lines) > 1 else ""
        rule = _rule_of(path.relative_to(work / "benchmarks").with_suffix("").parts)
        if re.fullmatch(r"[\d.]+", cell) and (rule not in FOLDERS or float(cell) >= _WORKED_S):
            measured.setdefault(rule, []).append(float(cell))
    return {rule: statistics.median(seconds) for rule, seconds in measured.items()}


def _rule_of(within: Sequence[str]) -> str:
    """The rule of a benchmark: its folder, or its own name; reports have one folder together."""
    if within[0] != "qc":
        return within[0]
    if within[1] == "index":
        return "qc_index"
    return within[1] if within[1] in _WHOLE_NAMES else within[1].split("_")[0]


def told(
    jobs: Mapping[str, int], known: Mapping[str, float], cores: int, videos: int, seconds: float
) -> str:
    """The plan in words: `videos` may be clips, of which `seconds` of footage are known."""
    lines = [f"{videos:,} files may be clips; {_duration(seconds)} of footage are known so far."]
    if not jobs:
        return "\n".join([*lines, "To do: nothing; all is as the settings ask for."])
    fresh = jobs.get("probe", 0)
    stages = [f"{rule} {jobs[rule]:,}" for rule in FOLDERS if jobs.get(rule)]
    rest = sum(count for rule, count in jobs.items() if rule not in FOLDERS)
    said = ", ".join([*stages, f"other {rest:,}"])
    lines.append(f"To do: new or changed clips: {fresh:,}. Jobs: {said}.")
    timed = {rule: count for rule, count in jobs.items() if rule in known}
    if not timed:
        lines.append("Nothing was measured here yet: make smoke sends one clip through.")
        return "\n".join(lines)
    work = sum(count * known[rule] for rule, count in timed.items())
    left = sorted(set(jobs) - set(timed))
    unknown = f" Not measured yet: {', '.join(left)}." if left else ""
    about = "At least" if left else "About"
    lines.append(
        f"{about} {_duration(work / cores)} here on {cores} cores, from the jobs measured so far; "
        f"less where little changed.{unknown}"
    )
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def settings_files(work: Path, given: Sequence[str]) -> list[Path]:
    """The settings files of a set: those given, else its my.yaml, else the last run's."""
    if given:
        return [Path(file).absolute() for file in given]
    own = work / SETTINGS
    if own.is_file():
        return [own.absolute()]
    _, said, file = last_run.settings_for(work, ())
    print(said, file=sys.stderr)
    return [file.absolute()] if file else []


def fault_of(file: Path) -> str:
    """Why no settings can be read of the file; "" if they can. Snakemake names neither the file nor
    the line.
    """
    try:
        said = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return f"the settings file {file} cannot be read: {error}"
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        return f"the settings file {file}{line} is no YAML: {error.problem}"
    if not isinstance(said, dict):
        return f"the settings file {file} names no setting: write one, as `seed: 1`"
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns Snakemake's exit status."""
    parser = argparse.ArgumentParser(prog="plan_run", description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("."), help="the set's folder")
    parser.add_argument("--config", nargs="*", default=[], help="settings files that go before")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--run", action="store_true", help="do it, in place of saying it")
    given = parser.parse_args(arguments)
    files = settings_files(given.work, given.config)
    if faults := [fault for file in files if (fault := fault_of(file))]:
        print("\n".join(faults), file=sys.stderr)
        return 2
    words = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    words += ["--configfile", *map(str, files)] if files else []
    words += ["--cores", str(given.cores), "--quiet", "rules", "host"]
    if given.run:
        # Not as a child: Ctrl-C would end us at once, and subprocess kills what it waits for then,
        # while Snakemake still ends its jobs and says what is to be done.
        os.chdir(given.work)
        os.execv(sys.executable, words)
    done = subprocess.run(
        [*words, "-n"], cwd=given.work, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        return done.returncode
    config = settings.load(*files)
    dataset = given.work / config["dataset"]
    raw = given.work / (config["raw_videos"] or f"{config['dataset']}/{RAW}")
    videos = len(look_through(str(raw), config["intake"]["ignore"]).videos) if raw.is_dir() else 0
    clips = tables.read_table(dataset / VIDEOS_CSV) if (dataset / VIDEOS_CSV).is_file() else []
    seconds = sum(float(row["duration_s"] or 0) for row in clips)
    jobs = planned(done.stdout + done.stderr)
    if not videos:
        print(
            f"No clips: {raw} {'holds none' if raw.is_dir() else 'does not exist'}. A run would "
            "end before its first job: put clips there, or correct raw_videos in the settings."
        )
    print(told(jobs, costs(given.work), given.cores, videos, seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
