"""Bring the reports of a set up to date, with its own settings, and say where they are.

    python scripts/tools/dashboards.py [--work DIR] [--config FILE ...] [--cores N]

Without --config the settings are those of the set's last run. The exit status is Snakemake's, or 2
if no set was made.
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
from ferrari.jobs import run_watch, snakemake_command
from ferrari.jobs.run_failures import failures
from ferrari.provenance import last_run, no_set
from ferrari.reports.run_end import last_lines

_QUIET = ("--quiet", "rules", "host", "progress")


def command(config: dict, files: Sequence[Path], cores: int) -> list[str]:
    """Snakemake's command line."""
    target = f"{config['qc_reports']}/index.html"
    return snakemake_command.command(target, *_QUIET, cores=cores, config_files=files)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="dashboards", description=__doc__.partition("\n")[0])
    parser.add_argument("--work", default=".", help="folder that the pipeline was started in")
    parser.add_argument("--config", nargs="*", default=[], help="settings files that go before")
    parser.add_argument("--cores", type=int, default=usable_cores())
    given = parser.parse_args(arguments)
    work = Path(given.work)
    try:
        files, said = last_run.files_for(work, given.config)
        config = settings.load(*files)
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    if said:
        print(said, file=sys.stderr)
    if missing := no_set.nothing_made(work, work / config["dataset"]):
        print(missing, file=sys.stderr)
        return 2
    watch = run_watch.Watch(work, work / config["dataset"], {})
    status = watch.run(command(config, files, given.cores))
    if status not in (0, *run_watch.ENDED):
        print("\n".join(failures(watch)), file=sys.stderr)
    elif status == 0:
        formats = config["package"]["formats"]
        lines = last_lines(work / config["dataset"], work / config["qc_reports"], formats, work)
        print("\n".join(lines))
    return status


if __name__ == "__main__":
    command_line.run(main)
