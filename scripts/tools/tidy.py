"""What lies in a set's folders and belongs to no clip or format any more; with --yes, delete it.

    python scripts/tools/tidy.py [--yes] [--work DIR] [--config FILE ...]

Never deleted: raw clips, settings, review/, captions by hand. What was deleted gets a row in
<audit>/tidied.csv. Exit status: 0 done or nothing to do, 1 refused (the message says why), 2
settings that cannot be read.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.common import settings
from ferrari.common.errors import FerrariError
from ferrari.jobs import error_advice, run_lock
from ferrari.ledger import raw_place
from ferrari.ledger.raw_listing import look_through
from ferrari.ledger.tables import read_table, write_table
from ferrari.provenance import last_run, left_behind
from ferrari.provenance.left_behind import CLIP, LeftBehind

LIST = "tidied.csv"
COLUMNS = ("when", "kind", "name", "files", "bytes")
_NAMED = 40  # in the list on the screen


class TidyError(FerrariError, ValueError):
    """What is left cannot be told, or must not be deleted yet; says why, and what to do first."""


def look(work: Path, config: Mapping) -> list[LeftBehind]:
    """What is left in the set in `work`; raises TidyError where no clip is there to go by."""
    raw = raw_place.of(config, work)
    there = raw_place.is_there(raw)
    videos = look_through(raw, config["intake"]["ignore"]).videos if there else {}
    if not videos:
        raise TidyError(
            f"no clip is in {raw}: its disk may not be there, and all that was made would count as "
            "left over. Put the clips back, or correct raw_videos or CONFIG; whoever wants the "
            "whole set gone deletes its folder"
        )
    return left_behind.find(work, config, videos)


def listed(found: Sequence[LeftBehind]) -> str:
    """What is left, as text."""
    lines = []
    for kind, title in (
        (CLIP, "of clips that are gone"),
        (left_behind.PACKAGE, "packages that are not made any more"),
        (left_behind.EARLIER, "of earlier versions of the pipeline"),
    ):
        some = [one for one in found if one.kind == kind]
        if some:
            lines.append(f"{title}: {len(some):,}")
            lines += [
                f"  {one.name}   {one.files:,} files, {_megabytes(one.bytes)}"
                for one in some[:_NAMED]
            ]
        if len(some) > _NAMED:
            lines.append(f"  ... and {len(some) - _NAMED:,} more")
    return "\n".join([*lines, f"together {_megabytes(sum(one.bytes for one in found))}"])


def delete(work: Path, config: Mapping, found: Sequence[LeftBehind]) -> Path:
    """Delete what was found, and write it down; the list's path. Raises TidyError while the set
    still tells of a clip that is gone, RunningError while a run is at work.
    """
    dataset = work / config["dataset"]
    run_lock.require(dataset, work)  # before: a run may be about to name them no more, or again
    if named := left_behind.still_named(dataset, found):
        raise TidyError(
            f"nothing was deleted: {', '.join(named)} still name clips that are gone, so their "
            "images may be in packages and their scenes behind others. Run the set first (make run "
            "WORK=...), then tidy"
        )
    place = work / config["audit"] / LIST
    rows = read_table(place) if place.is_file() else []
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for one in found:
        rows.append(
            {
                "when": now,
                "kind": one.kind,
                "name": one.name,
                "files": str(one.files),
                "bytes": str(one.bytes),
            }
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    write_table(place, COLUMNS, rows)  # before: a deletion that is cut short is told of as well
    for one in found:
        one.delete()
    return place


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="tidy", description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("."), help="the set's folder")
    parser.add_argument("--config", nargs="*", default=[], help="settings files on top of its own")
    parser.add_argument("--yes", action="store_true", help="delete it")
    given = parser.parse_args(arguments)
    try:
        config, said, _ = last_run.settings_for(given.work, given.config)
        if said:
            print(said, file=sys.stderr)
        found = look(given.work, config)
        if not found:
            print("Nothing is left over: all belongs to a clip or a package of this set.")
            return 0
        print(listed(found))
        if given.yes:
            print(f"Deleted. {delete(given.work, config, found)} tells what it was.")
        else:
            print("Nothing was deleted. YES=1 deletes it.")
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except FerrariError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(error_advice.in_words(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
