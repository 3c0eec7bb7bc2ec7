"""Serve a set to a browser on this machine: the page where a person decides, reports, a run.

    python scripts/tools/serve.py review|dashboard [--work DIR] [--config FILE ...] [--host ADDRESS]
                                  [--port N] [--who NAME] [--cores N] [--no-runs] [--open-reports]

`review` brings the review page up to date first. Without --config the settings are those of the
set's last run. FERRARI_TOKEN in the environment is the token that is asked for (else a new one each
time), FERRARI_HOSTS names by which the machine is reached. Ctrl-C ends it. Exit status: 0 it was
ended, 1 it cannot start, and what to do was said, 130 Ctrl-C before it began.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.common import command_line

if __name__ == "__main__":
    command_line.begin()

import argparse
import getpass
import os
import subprocess
from collections.abc import Sequence

from ferrari.common import near_paths, places, settings
from ferrari.common.errors import FerrariError
from ferrari.common.usable_cores import usable_cores
from ferrari.dashboard import live_routes, serve
from ferrari.dashboard.application import Doors, create_app
from ferrari.dashboard.pages import REVIEW
from ferrari.dashboard.reviewed_set import ReviewedSet
from ferrari.jobs import snakemake_command
from ferrari.ledger import raw_place
from ferrari.provenance import last_run, no_set
from ferrari.review import decision_table, writing

DOORS = {"review": "/review", "dashboard": "/live"}
#: The rule that makes the review page; no other may run because somebody wants to look.
PAGE_RULE = "review_page"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status when the server was ended."""
    given = parsed(arguments)
    try:
        if not given.work.is_dir():
            raise serve.ServeError(
                f"there is no folder {given.work}: WORK=folder is where the set is."
                f"{near_paths.hint(given.work)}"
            )
        files, said = last_run.files_for(given.work, given.config)
        config = settings.load(*files)
        the_set = reviewed_set(given, config, files)
        if given.door == "review" and not bring_up_to_date(the_set, config["qc_reports"]):
            if said:
                print(said, file=sys.stderr)
            return 1
        return serve_set(given, the_set, said)
    except (FerrariError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="serve", description=__doc__.partition("\n")[0])
    parser.add_argument("door", choices=DOORS, help="the first page")
    parser.add_argument("--work", type=Path, default=Path("."), help="the set's folder")
    parser.add_argument("--config", nargs="*", default=[], help="settings files that go before")
    parser.add_argument("--cores", type=int, default=usable_cores(), help="of a run")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=_port, help="without it 8000, or a free one")
    parser.add_argument("--who", default=os.environ.get("SERVE_WHO", ""), help="who decides")
    parser.add_argument("--no-runs", action="store_true", help="never start a run from a page")
    parser.add_argument(
        "--open-reports", action="store_true", help="/app/qc_reports/ without the token, read only"
    )
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1 << 16:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: they are numbers from 1 to 65535")
    return int(text)


def reviewed_set(given: argparse.Namespace, config: dict, files: Sequence[Path]) -> ReviewedSet:
    """The set that a command line names; `config` are its settings, out of `files`."""
    work = given.work.absolute()
    dataset = work / config["dataset"]
    return ReviewedSet(
        work=work,
        dataset=dataset,
        qc=work / config["qc_reports"],
        raw=raw_place.of(config, work),
        config_files=tuple(name.absolute() for name in files),
        cores=given.cores,
        who=given.who or _login(),
        may_start_runs=not given.no_runs,
    )


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need have no name
        return f"user {os.getuid()}"


def serve_set(given: argparse.Namespace, the_set: ReviewedSet, said: str = "") -> int:
    """Serve until Ctrl-C; returns the exit status. The address is the first line, then comes what
    is `said` of the settings: in one piece, for a reader that wants the first line alone.
    """
    if mended := writing.mend(the_set.dataset):
        print(mended, file=sys.stderr)
    token = serve.token_of(os.environ)
    hosts = serve.names(given.host, os.environ)
    app = create_app(the_set, token, Doors(DOORS[given.door], hosts, given.open_reports))
    listener = serve.listen(given.host, given.port)
    address = serve.address(given.host, listener.getsockname()[1], token)
    notes = filter(None, (said, serve.warning(given.host, hosts)))
    print("\n".join([f"{address}   (Ctrl-C ends it)", *notes]), flush=True)
    serve.run(app, listener)
    if going_on := live_routes.farewell(app.state):
        print(going_on, flush=True)
    place = decision_table.place(the_set.dataset)
    print(f"ended; what was decided is in {place}, and the next run applies it", flush=True)
    return 0


def bring_up_to_date(the_set: ReviewedSet, reports: str) -> bool:
    """Make the review page from the tables as they are; `reports` is the setting `qc_reports`.

    No stage runs: what a decision asks for is made by a run, not because somebody wants to look.
    Says what went wrong. True if there is a page to show.
    """
    page = the_set.qc / REVIEW
    if sys.stderr.isatty():
        print("bringing the page up to date ...", file=sys.stderr)
    done = subprocess.run(
        page_command(the_set, f"{reports}/{REVIEW}"),
        cwd=the_set.work,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0 and page.is_file():
        return True
    print(*(done.stdout + done.stderr).strip().splitlines()[-6:], sep="\n", file=sys.stderr)
    if page.is_file():
        print("The review page was not brought up to date: it shows what was.", file=sys.stderr)
        return True
    missing = no_set.nothing_made(the_set.work, the_set.dataset) or (
        f"Run the pipeline on the set (make run{places.as_typed(the_set.work)}), then start this "
        "again."
    )
    print(f"There is no review page ({page}), and none can be made yet. {missing}", file=sys.stderr)
    return False


def page_command(the_set: ReviewedSet, target: str) -> list[str]:
    """Snakemake's command line.

    Without hooks: to look is no run of the set, leaves no record, and may be while a run goes on.
    """
    quiet = ("--quiet", "rules", "host")
    return snakemake_command.command(
        *(target, *quiet, "--no-hooks", "--allowed-rules", PAGE_RULE),
        cores=the_set.cores,
        config_files=the_set.config_files,
    )


if __name__ == "__main__":
    command_line.run(main)
