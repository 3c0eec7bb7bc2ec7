"""Prove a set to the last bit, with its own settings, and say what was found.

    python scripts/tools/verify.py [--work DIR] [--config FILE ...] [--cores N]

Without --config the settings are those of the set's last run. Exit status: 0 sound, 1 not (each
fault is named), 2 settings that cannot be read, or
no set, 130 after Ctrl-C.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.common import command_line

if __name__ == "__main__":
    command_line.begin()

import argparse
from collections.abc import Sequence

from ferrari.common import settings
from ferrari.common.usable_cores import usable_cores
from ferrari.jobs import error_advice, run_watch, set_state, snakemake_command
from ferrari.jobs.run_failures import failures
from ferrari.provenance import last_run, no_set

#: What the job says that looks at the report: the verdict.
VERDICT = Path("logs/verified.log")


def command(files: Sequence[Path], cores: int) -> list[str]:
    """Snakemake's command line."""
    words = ("verified", "--quiet", "rules", "host", "progress", "--forcerun", "verify")
    return snakemake_command.command(*words, cores=cores, config_files=files)


def verify(work: Path, config: dict, files: Sequence[Path], cores: int) -> int:
    """Verify the set in `work`, and print the verdict; the exit status. Raises OSError where an
    older verdict cannot be taken away.
    """
    verdict = work / VERDICT
    verdict.unlink(missing_ok=True)
    if said := set_state.at_work(work, work / config["dataset"]):
        print(f"NOTE: {said}. What follows is of a set that it is still making.", flush=True)
    unfinished = set_state.unfinished(work, config)
    watch = run_watch.Watch(
        work, work / config["dataset"], {}, at_work="reading everything again ..."
    )
    status = watch.run(command(files, cores))
    faults = status not in (0, *run_watch.ENDED)
    if faults and not said and (first := unfinished or set_state.other_clips(work, config)):
        print(*first, sep="\n")
    if verdict.is_file():
        print(verdict.read_text("utf-8", "replace").strip())
    elif status not in run_watch.ENDED:
        print("\n".join(failures(watch)), file=sys.stderr)
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="verify", description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("."), help="the set's folder")
    parser.add_argument("--config", nargs="*", default=[], help="settings files on top of its own")
    parser.add_argument("--cores", type=int, default=usable_cores())
    given = parser.parse_args(arguments)
    try:
        files, said = last_run.files_for(given.work, given.config)
        config = settings.load(*files)
        if said:
            print(said, file=sys.stderr)
        if missing := no_set.nothing_made(given.work, given.work / config["dataset"]):
            print(missing, file=sys.stderr)
            return 2
        return verify(given.work, config, files, given.cores)
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(error_advice.in_words(error), file=sys.stderr)
        return 2


if __name__ == "__main__":
    command_line.run(main)
