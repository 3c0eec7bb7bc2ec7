"""Decide what stays, who it is, or what it is called, without a page: a row of the decisions.

    python scripts/tools/decide.py [--drop ITEM | --keep ITEM | --caption ITEM --text TEXT |
                                    --duplicate ITEM --of ITEM | --mask CROP --file PNG |
                                    --subject TRACK | --not-subject TRACK |
                                    --split TRACK --at FRAME | --merge TRACK --with TRACK |
                                    --undo ID | --redo ID] [--why TEXT] [--who NAME] [--note TEXT]
                                   [--scope item|cutout|reference] [--work DIR] [--config FILE ...]

ITEM is the id, or the file's name, of a clip, a crop, a cut-out or an image. A crop and its cut-out
have one id: --scope says which is meant (the crop, but of a caption the cut-out). With --scope
reference ITEM is the name or the SHA-256 of a picture in subject.references or subject.not. TRACK
is a track's id (<clip>-t3), or the id of a crop in it. PNG is a grey picture of the crop's size:
white is the subject. ID is a row's, or `last`. Without an action it lists what is in force. What is
not given comes from the environment (DECIDE_DROP and so on). Exit status: 0 done, 1 refused, 2 the
dataset cannot be read, or the decision not be written.
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
from collections.abc import Iterator, Mapping, Sequence

from ferrari.captions import by_hand
from ferrari.common import places, settings
from ferrari.common.atomic_files import sha256_bytes
from ferrari.common.counts import first_of
from ferrari.common.errors import FerrariError
from ferrari.common.visible_text import shown
from ferrari.ledger import stages
from ferrari.ledger.item_ids import Item
from ferrari.ledger.tables import LedgerError
from ferrari.provenance import last_run, no_set
from ferrari.provenance.trace import Dataset, UnknownItemError
from ferrari.review import contract, decision_table, decisions, effects, mended, targets, writing
from ferrari.review.applying import TAKEN_BACK
from ferrari.review.contract import (
    CAPTION,
    CLIP,
    CUTOUT,
    DROP,
    DUPLICATE_OF,
    IMAGE,
    IS_SUBJECT,
    ITEM,
    KEEP,
    MASK,
    MERGE_TRACKS,
    NOT_SUBJECT,
    REFERENCE,
    SPLIT_TRACK,
    TRACK,
    UNDO,
    Decision,
)
from ferrari.subject import answer_file
from tools.trace_item import open_dataset

LAST = "last"
#: Tracks of a clip that are named in a message: a busy street has hundreds.
_TRACKS = 20
#: So many pictures are named where none is called as asked.
_PICTURES = 5
#: The option that names what is decided about, and the one that holds the value, if there is one.
_ACTIONS = {
    DROP: ("drop", ""),
    KEEP: ("keep", ""),
    CAPTION: ("caption", "text"),
    DUPLICATE_OF: ("duplicate", "of"),
    MASK: ("mask", "file"),
    IS_SUBJECT: ("subject", ""),
    NOT_SUBJECT: ("not_subject", ""),
    SPLIT_TRACK: ("split", "at"),
    MERGE_TRACKS: ("merge", "with"),
}
_OPTIONS = (
    *(option for pair in _ACTIONS.values() for option in pair if option),
    *("undo", "redo", "why", "who", "note"),
)
_PAST = {
    DROP: "dropped",
    KEEP: "kept",
    CAPTION: "captioned",
    DUPLICATE_OF: "dropped as a duplicate",
    MASK: "mended",
    IS_SUBJECT: "said to be the subject",
    NOT_SUBJECT: "said not to be the subject",
    SPLIT_TRACK: "cut",
    MERGE_TRACKS: "joined",
}


class DecideError(FerrariError, ValueError):
    """A decision that makes no sense as things are; says why, and what would."""


def decide(given: argparse.Namespace) -> str:
    """Carry out a command line; what there is to say about it. Raises DecideError and the like."""
    opened = open_dataset(given.work, given.config)
    dataset = opened.root
    if said := writing.mend(dataset):
        print(said, file=sys.stderr)
    if given.undo or given.redo:
        return _take_back(dataset, given)
    actions = {word: getattr(given, option) for word, (option, _) in _ACTIONS.items()}
    asked = [(decision, item) for decision, item in actions.items() if item]
    if not asked:
        return "".join(f"{line}\n" for line in _in_force(dataset, given.work))
    if len(asked) > 1:
        raise DecideError("decide one thing at a time: " + " or ".join(word for word, _ in asked))
    if said := no_set.nothing_made(given.work, dataset):
        raise DecideError(said)
    return _add(opened, given, *asked[0])


def _add(opened: Dataset, given: argparse.Namespace, decision: str, asked: str) -> str:
    dataset = opened.root
    scope, target = _target(opened, asked, decision, given.scope)
    png = _mask_in(given.file) if decision == MASK and given.file else b""
    row = Decision(
        *(writing.new_id(), contract.now(), given.who or getpass.getuser(), scope, target),
        targets.target_digest(dataset, scope, target, decision),
        decision,
        value=_value(opened, given, decision, scope, target, png),
        reason=given.why,
        note=given.note,
    )
    if fault := contract.fault_of(row):
        raise DecideError(f"{asked}: {fault}")
    state = _require_sense(dataset, row)
    if decision == CAPTION:
        _require_sound_caption(given, row)
    if decision == MASK:
        mended.save(dataset, target, png)
    writing.append(dataset, [row])
    already = " It is so already." if state == effects.AGREES else " The next run applies it."
    if scope == REFERENCE and state != effects.AGREES:
        already = " The next run judges all clips anew."
    undo = f"make decide UNDO={row.id}{places.as_typed(given.work)}"
    alone = _names_nobody(dataset) if decision in (IS_SUBJECT, NOT_SUBJECT) else ""
    return f"{_PAST[decision]} {target} ({scope}).{already} Undo: {undo}\n{alone}"


def _names_nobody(dataset: Path) -> str:
    """A line for a decision about a track of a set in which nobody is named: it does not help the
    set. Empty where somebody is named, nobody is judged, or who it is was never asked.
    """
    from ferrari.subject.modes import CLUSTER, FOLDER  # with OpenCV, which few decisions need

    try:
        told = answer_file.read(dataset / stages.WHO_JSON)
    except (OSError, LedgerError):  # the next run makes a damaged one anew
        return ""
    if told.named or told.mode != CLUSTER:
        return ""
    return (
        "In this set nobody is named as the subject, and this decision does not change that: it "
        "counts for this track alone, and the check subject_named fails as before. To "
        "name somebody, put three or more pictures of the subject alone into the folder "
        f"{FOLDER} of this set, or name another in subject.references.\n"
    )


def _target(opened: Dataset, asked: str, decision: str, wanted: str) -> tuple[str, str]:
    """The scope of what is decided about, and its id."""
    if TRACK in contract.MAY_SAY[decision]:
        return TRACK, _track(opened, asked)
    if wanted == REFERENCE:
        return REFERENCE, _picture(opened.root, asked)
    item = opened.identify(asked)
    scope = _scope_of(item, decision, wanted)
    return scope, item.crop if scope in (ITEM, CUTOUT) else item.id


def _track(opened: Dataset, asked: str) -> str:
    """The id of a track, from its own or that of a crop in it; raises DecideError if it is none."""
    name, rows_of = Path(asked).name, targets.tables_of(opened.root)
    if found := contract.track_of(name):
        track, video = name, opened.identify(found[0]).video
    else:
        item = opened.identify(asked)
        video = item.video
        line = next((row for row in rows_of("crop", video) if row["item"] == item.crop), None)
        track = f"{video}-t{line['track']}" if line and line["track"] else ""
    if track and targets.track_items(rows_of, track):
        return track
    numbers = sorted({row["track"] for row in rows_of("crop", video)} - {""}, key=int)
    if not numbers:
        raise DecideError(
            f"{video} has no tracks to decide about: nobody was told from anybody (subject.mode: "
            "single), or nobody is in it"
        )
    there = first_of([f"t{number}" for number in numbers], _TRACKS)
    raise DecideError(f"{asked} is no track; {video} has {there} (make trace ITEM={video}-t0)")


def _picture(dataset: Path, asked: str) -> str:
    """The digest of a reference picture, from that or from its file's name."""
    rows = list(targets.tables_of(dataset)("who", ""))
    found = {row["sha256"] for row in rows if asked in (row["file"], row["sha256"])} - {""}
    if len(found) == 1:
        return found.pop()
    near = first_of([row["file"] for row in rows], _PICTURES)
    raise DecideError(
        f"{asked}: no picture of subject.references or subject.not that could be read is called "
        f"so{f'; there are {near}' if near else ''}"
    )


def _mask_in(file: str) -> bytes:
    from ferrari.images.mask_files import grey_png  # with OpenCV, which few decisions need

    try:
        return grey_png(Path(file).read_bytes(), file)
    except OSError as error:
        raise DecideError(f"{file} cannot be read: {error.strerror}") from error


def _value(
    opened: Dataset, given: argparse.Namespace, decision: str, scope: str, target: str, png: bytes
) -> str:
    """The row's value, from what was given for it; empty where that is missing."""
    option = _ACTIONS[decision][1]
    text = getattr(given, option) if option else ""
    if not text:
        return ""
    if decision == SPLIT_TRACK:
        return opened.identify(text).frame
    if decision == MERGE_TRACKS:
        other = _track(opened, text)
        return f"{other} {targets.target_digest(opened.root, TRACK, other)}"
    if decision == MASK:
        return mended.name_of(target, sha256_bytes(png))
    if decision == DUPLICATE_OF:
        item = opened.identify(text)
        return item.crop if scope in (ITEM, CUTOUT) else item.id
    return text


def _scope_of(item: Item, decision: str, wanted: str) -> str:
    if item.kind in ("clip", "image"):
        return {"clip": CLIP, "image": IMAGE}[item.kind]
    if item.kind != "crop":
        raise DecideError(
            f"{item.id} is a {item.kind}, and of that nothing is decided; name a crop in it (-p0)"
        )
    return wanted or (CUTOUT if decision in (CAPTION, MASK) else ITEM)


def _require_sense(dataset: Path, row: Decision) -> str:
    """The state that the row has before any run; raises DecideError where it can never apply."""
    found = effects.foreseen(dataset, row)
    if found.state == effects.ABSENT:
        raise DecideError(
            f"{row.stage} has no row of {row.target}: {found.reason}; make trace "
            f"ITEM={row.target} tells more"
        )
    if found.state == effects.CANNOT and row.decision == KEEP:
        raise DecideError(
            f"{row.target} was refused for {found.reason}, which keep cannot take back; it takes "
            f"back {', '.join(sorted(TAKEN_BACK))}"
        )
    if found.state == effects.CANNOT:
        raise DecideError(f"{row.decision} of {row.target} cannot be carried out: {found.reason}")
    return found.state


def _require_sound_caption(given: argparse.Namespace, row: Decision) -> None:
    """Raises DecideError for a caption that the next run would refuse."""
    config, _, _ = last_run.settings_for(given.work, given.config)
    if fault := by_hand.fault_of(by_hand.seen_from(given.work, config), row):
        raise DecideError(fault)


def _take_back(dataset: Path, given: argparse.Namespace) -> str:
    """A row `undo`, of a decision or, to redo it, of an undo."""
    path = decision_table.place(dataset)
    lines = decision_table.read(path) if path.is_file() else []
    gone = decisions.taken_back(lines)
    standing = [line.row for line in lines if line.row.id not in gone]
    asked = given.undo or given.redo
    if asked == LAST:
        fitting = [row for row in standing if (row.decision == UNDO) == bool(given.redo)]
        row = fitting[-1] if fitting else None
    else:
        row = next((row for row in standing if row.id == asked), None)
    if row is None:
        word = "an undo" if given.redo else "a decision"
        raise DecideError(f"{path} holds no row {asked} that is {word} and not taken back already")
    back = writing.undo(row, given.who or getpass.getuser(), given.note)
    writing.append(dataset, [back])
    word = "redone" if row.decision == UNDO else "taken back"
    return (
        f"{word}: {row.decision} of {row.target} ({row.id}). The next run applies it. "
        f"Undo: make decide UNDO={back.id}{places.as_typed(given.work)}\n"
    )


def _in_force(dataset: Path, work: str) -> Iterator[str]:
    """What is in force, a line each."""
    found = effects.of_dataset(dataset, decisions.load(dataset))
    for effect in found:
        row = effect.row
        value = f" {row.value!r}" if row.value else ""
        state = f"{effect.state} ({effect.reason})" if effect.reason else effect.state
        yield shown(
            f"{row.id}  {row.decision} {row.scope} {row.target}{value}, {row.said()}: {state}"
        )
    if not found:
        said = no_set.nothing_made(work, dataset)
        yield said or f"nothing is decided in {decision_table.place(dataset)}"


def parsed(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> argparse.Namespace:
    """The command line, completed from the environment."""
    parser = argparse.ArgumentParser(prog="decide", description=__doc__.partition("\n")[0])
    for name in _OPTIONS:
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, default=environment.get(f"DECIDE_{name.upper()}", ""))
    parser.add_argument("--scope", choices=(ITEM, CUTOUT, REFERENCE), default="")
    parser.add_argument("--work", default=".", help="folder that the pipeline was started in")
    parser.add_argument(
        "--config", nargs="*", default=[], help="settings files on top of the defaults"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; prints what was done and returns the exit status."""
    given = parsed(arguments, os.environ)
    try:
        sys.stdout.write(decide(given))
    except UnknownItemError as error:
        near = f"; the nearest that there are: {', '.join(error.near)}" if error.near else ""
        print(f"nothing in {given.work} is known as {error.asked!r}{near}", file=sys.stderr)
        return 1
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except LedgerError as error:
        print(f"the dataset cannot be read: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"nothing was decided; a file cannot be read or written: {error}", file=sys.stderr)
        return 2
    except FerrariError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    command_line.run(main)
