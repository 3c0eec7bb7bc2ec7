"""What led to an image, and what became of a clip, a frame or a crop?

    python scripts/tools/trace_item.py ITEM [--work DIR] [--config FILE ...] [--json] [--all]

ITEM is an id, the name of a raw file, or the name or path of any image, mask or caption file of
the dataset or a package. Exit status: 0 found, 1 unknown, 2 the dataset cannot be read.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.common import command_line

if __name__ == "__main__":
    command_line.begin()

import argparse
import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict

from ferrari.common.settings import SettingsError
from ferrari.ledger import raw_place
from ferrari.ledger.raw_listing import find_videos
from ferrari.ledger.tables import LedgerError
from ferrari.provenance import last_run, no_set
from ferrari.provenance.trace import Dataset, UnknownItemError
from ferrari.provenance.trace_text import render

LINES = 10


def open_dataset(work: str | os.PathLike, config_files: Sequence[str | os.PathLike]) -> Dataset:
    """The dataset that a run in the folder `work` with these settings writes; without settings,
    those of the set's last run, and standard error says so.
    """
    config, said, _ = last_run.settings_for(work, config_files)
    if said:
        print(said, file=sys.stderr)
    root = Path(work) / config["dataset"]
    return Dataset(root, raw_place.of(config, work), config)


def trace_item(
    dataset: Dataset, asked: str, everything: bool = False, as_json: bool = False
) -> str:
    """The answer as text, or as JSON; raises UnknownItemError."""
    trace = dataset.trace(asked, None if everything else LINES)
    if as_json:
        return json.dumps(asdict(trace), indent=1, ensure_ascii=True) + "\n"
    return render(trace, everything)


def unknown(dataset: Dataset, work: str | os.PathLike, asked: str, near: Sequence[str]) -> str:
    """What to say of something that no table tells of: a clip that waits for a run, a folder
    without a set, a name that is nearly one, or nothing.
    """
    if waiting := waiting_clip(dataset.raw, asked):
        return (
            f"{waiting} lies in {dataset.raw}, and no run has looked at it yet: run the set, then "
            "ask again"
        )
    if said := no_set.nothing_made(work, dataset.root):
        return said
    if near:
        return f"nothing is known as {asked!r}; did you mean {' or '.join(near)}?"
    return f"nothing is known as {asked!r}: name a clip, an image, or an id in a table"


def waiting_clip(raw: str, asked: str) -> str:
    """The clip in the folder of raw clips that `asked` names by its id, its path or its file's
    name; "" if there is none.
    """
    clips = find_videos(raw) if raw_place.is_there(raw) else {}
    known = (clip for one, clip in clips.items() if asked in (one, clip, Path(clip).name))
    places = {clip: raw_place.join(raw, clip) for clip in clips.values()}
    within = (
        clip
        for clip, place in places.items()
        if asked == place or os.path.realpath(asked) == os.path.realpath(place)
    )
    return next(known, "") or next(within, "")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; prints the answer and returns the exit status."""
    parser = argparse.ArgumentParser(prog="trace_item", description=__doc__.partition("\n")[0])
    parser.add_argument("item", help="an id, a raw file's name, or a file of the dataset")
    parser.add_argument("--work", default=".", help="folder that the pipeline was started in")
    parser.add_argument(
        "--config", nargs="*", default=[], help="settings files on top of the defaults"
    )
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument(
        "--all", action="store_true", help="each step with its settings and hashes; lists whole"
    )
    given = parser.parse_args(arguments)
    if not given.item:
        print("ITEM= is missing: name a clip, an image, or an id in a table", file=sys.stderr)
        return 1
    try:
        dataset = open_dataset(given.work, given.config)
        try:
            text = trace_item(dataset, given.item, given.all, given.json)
        except UnknownItemError as error:
            print(unknown(dataset, given.work, given.item, error.near), file=sys.stderr)
            return 1
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except (LedgerError, OSError) as error:
        print(f"the dataset cannot be read: {error}", file=sys.stderr)
        return 2
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    command_line.run(main)
