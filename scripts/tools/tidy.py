"""What lies in a set's folders and belongs to no clip or format any more; with --yes, delete it.

    python scripts/tools/tidy.py [--yes [--all]] [--work DIR] [--config FILE ...]

Never deleted: raw clips, settings, review/, captions by hand. Where most clips of a run, or all of
a folder, are gone at once, --yes alone deletes nothing. What was deleted gets a row in
<audit>/tidied.csv. Exit status: 0 done or nothing to do, 1 refused (the message says why), 2
settings that cannot be read.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.common import command_line

if __name__ == "__main__":
    command_line.begin()

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ferrari.common import places, settings
from ferrari.common.counts import first_of, megabytes, number_of
from ferrari.common.errors import FerrariError
from ferrari.jobs import error_advice, run_lock
from ferrari.ledger import raw_listing, raw_place
from ferrari.ledger.raw_listing import NoClipsError, RawClips
from ferrari.ledger.tables import read_table, write_table
from ferrari.provenance import gone_at_once, last_run, left_behind
from ferrari.provenance.gone_at_once import GoneAtOnce
from ferrari.provenance.left_behind import CLIP, LeftBehind

LIST = "tidied.csv"
COLUMNS = ("when", "kind", "name", "files", "bytes")
_NAMED = 40  # in the list on the screen
_DOUBTS, _CLOSED = 4, 4  # named in a message


class TidyError(FerrariError, ValueError):
    """What is left cannot be told, or must not be deleted yet; says why, and what to do first."""


@dataclass(frozen=True)
class Found:
    """What is left in a set, and which clips are gone at once."""

    left: list[LeftBehind]
    doubts: list[GoneAtOnce]


def look(work: Path, config: Mapping) -> Found:
    """What is left in the set in `work`; raises TidyError where nothing in the folder of raw clips
    can be one, or a part of that folder cannot be looked into.
    """
    raw = raw_place.of(config, work)
    there = raw_place.is_there(raw)
    found = raw_listing.look_through(raw, config["intake"]["ignore"]) if there else RawClips()
    try:
        takes = raw_listing.takes_animations(config)
        raw_listing.require_clips(raw, found, animations=takes)
    except NoClipsError as error:
        made = [one for one in left_behind.find(work, config, ()) if one.kind == CLIP]
        raise TidyError(
            f"nothing was deleted: {error} Until then all that was made of "
            f"{number_of(len(made), 'clip')} would count as left over. Whoever wants the whole set "
            "gone deletes its folder"
        ) from error
    if closed := raw_listing.closed_folders(raw, found.videos):
        raise TidyError(
            f"nothing was deleted: {first_of(closed, _CLOSED)} cannot be looked into, so the clips "
            "in there would count as gone: mount it, make it readable, or, if no clips are in it, "
            "name it in intake.ignore"
        )
    left = left_behind.find(work, config, found.videos)
    gone = [one.name for one in left if one.kind == CLIP]
    audit, dataset = work / config["audit"], work / config["dataset"]
    return Found(left, gone_at_once.find(audit, dataset, gone, found))


def doubts_told(doubts: Sequence[GoneAtOnce], raw: str) -> str:
    """That clips are gone at once, and what that may be."""
    more = (
        f"; and of {len(doubts) - _DOUBTS:,} more folders or runs" if len(doubts) > _DOUBTS else ""
    )
    counts = "; ".join(map(str, doubts[:_DOUBTS])) + more
    return (
        f"Only {counts} still lie in {raw}. If their disk is not there, or the set's clips lie in "
        "another folder, put that right and run the set first (raw_videos, CONFIG). If they were "
        "taken out on purpose, YES=1 ALL=1 deletes what was made of them"
    )


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
                f"  {one.name}   {number_of(one.files, 'file')}, {megabytes(one.bytes)}"
                for one in some[:_NAMED]
            ]
        if len(some) > _NAMED:
            lines.append(f"  ... and {len(some) - _NAMED:,} more")
    return "\n".join([*lines, f"together {megabytes(sum(one.bytes for one in found))}"])


def not_made_without(work: Path, dataset: Path, found: Sequence[LeftBehind]) -> str:
    """That the set still tells of a clip that is gone, and what to do first; "" if it does not."""
    named = left_behind.still_named(dataset, found)
    if not named:
        return ""
    return (
        f"{', '.join(named)} still name clips that are gone, so their images may be in packages "
        "and their scenes behind others. Run the set first (make run"
        f"{places.as_typed(work)}), then tidy"
    )


def delete(work: Path, config: Mapping, found: Sequence[LeftBehind]) -> Path:
    """Delete what was found, and write it down; the list's path. Raises TidyError while the set
    still tells of a clip that is gone, RunningError while a run is at work.
    """
    dataset = work / config["dataset"]
    run_lock.require(dataset, work)  # before: a run may be about to name them no more, or again
    if not_yet := not_made_without(work, dataset, found):
        raise TidyError(f"nothing was deleted: {not_yet}")
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
    write_table(place, COLUMNS, rows)  # first: an interrupted deletion is recorded as well
    for one in found:
        one.delete()
    return place


def tidy(work: Path, config: Mapping, *, yes: bool, everything: bool) -> str:
    """List what is left in the set in `work`, and with `yes` delete it; what to say of it. Where
    clips are gone at once it takes `everything` too. Raises TidyError.
    """
    found = look(work, config)
    if not found.left:
        return "Nothing is left over: all belongs to a clip or a package of this set."
    print(listed(found.left))
    if yes and (everything or not found.doubts):
        return f"Deleted. {delete(work, config, found.left)} tells what it was."
    not_yet = not_made_without(work, work / config["dataset"], found.left)
    if found.doubts and not everything:
        doubts = doubts_told(found.doubts, raw_place.of(config, work))
        if not_yet:
            doubts += f". Not yet, though: {not_yet}"
        if yes:
            raise TidyError(f"nothing was deleted. {doubts}")
        return f"Nothing was deleted. {doubts}."
    return f"Nothing was deleted{f': {not_yet}' if not_yet else '. YES=1 deletes it'}."


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="tidy", description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("."), help="the set's folder")
    parser.add_argument("--config", nargs="*", default=[], help="settings files on top of its own")
    parser.add_argument("--yes", action="store_true", help="delete it")
    parser.add_argument("--all", action="store_true", help="though many clips are gone at once")
    given = parser.parse_args(arguments)
    try:
        config, said, _ = last_run.settings_for(given.work, given.config)
        if said:
            print(said, file=sys.stderr)
        print(tidy(given.work, config, yes=given.yes, everything=given.all))
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
    command_line.run(main)
