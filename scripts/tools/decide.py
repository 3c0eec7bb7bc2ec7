"""Decide what stays, goes or is called how, without a page: a row of review/decisions.csv.

    python scripts/tools/decide.py [--drop ITEM | --keep ITEM | --caption ITEM --text TEXT |
                                    --undo ID | --redo ID] [--why TEXT] [--who NAME] [--note TEXT]
                                   [--scope item|cutout] [--work DIR] [--config FILE ...]

ITEM is the id, or the file's name, of a clip, a crop, a cut-out or an image. A crop and its cut-out
have one id: --scope says which is meant (drop, keep: the crop; caption: the cut-out). ID is a
row's, or `last`. Without an action it lists what is in force. What is not given comes from the
environment (DECIDE_DROP and so on). Exit status: 0 done, 1 refused, 2 the dataset cannot be read.
"""

import argparse
import getpass
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.captions import overrides
from ferrari.captions.overrides import OverridesError
from ferrari.common.errors import FerrariError
from ferrari.common.visible_text import shown
from ferrari.ledger.item_ids import Item
from ferrari.ledger.tables import LedgerError
from ferrari.provenance import last_run
from ferrari.provenance.trace import Dataset, UnknownItemError
from ferrari.review import contract, decisions, effects, writing
from ferrari.review.applying import TAKEN_BACK
from ferrari.review.contract import CAPTION, CLIP, CUTOUT, DROP, IMAGE, ITEM, KEEP, UNDO, Decision
from ferrari.review.decisions import DecisionsError, Line
from tools.trace_item import open_dataset

LAST = "last"
_OPTIONS = ("drop", "keep", "caption", "text", "undo", "redo", "why", "who", "note")
_PAST = {DROP: "dropped", KEEP: "kept", CAPTION: "captioned"}


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
    actions = {DROP: given.drop, KEEP: given.keep, CAPTION: given.caption}
    asked = [(decision, item) for decision, item in actions.items() if item]
    if not asked:
        return "".join(f"{line}\n" for line in _in_force(dataset))
    if len(asked) > 1:
        raise DecideError("decide one thing at a time: " + " or ".join(word for word, _ in asked))
    return _add(opened, given, *asked[0])


def _add(opened: Dataset, given: argparse.Namespace, decision: str, asked: str) -> str:
    dataset, item = opened.root, opened.identify(asked)
    scope = _scope_of(item, decision, given.scope)
    target = item.crop if scope in (ITEM, CUTOUT) else item.id
    row = Decision(
        *(writing.new_id(), contract.now(), given.who or getpass.getuser(), scope, target),
        effects.target_digest(dataset, scope, target),
        decision,
        value=given.text if decision == CAPTION else "",
        reason=given.why,
        note=given.note,
    )
    if fault := contract.fault_of(row):
        raise DecideError(f"{asked}: {fault}")
    state = _require_sense(dataset, row)
    if decision == CAPTION:
        _require_one_caption(given, row)
    writing.append(dataset, [row])
    already = " It is so already." if state == effects.AGREES else " The next run applies it."
    return f"{_PAST[decision]} {target} ({scope}).{already} Undo: make decide UNDO={row.id}\n"


def _scope_of(item: Item, decision: str, wanted: str) -> str:
    if item.kind in ("clip", "image"):
        return {"clip": CLIP, "image": IMAGE}[item.kind]
    if item.kind != "crop":
        raise DecideError(
            f"{item.id} is a {item.kind}, and of that nothing is decided; name a crop in it (-p0)"
        )
    return wanted or (CUTOUT if decision == CAPTION else ITEM)


def _require_sense(dataset: Path, row: Decision) -> str:
    """The state that the row has before any run; raises DecideError where it can never apply."""
    (found,) = effects.effects([row], effects.tables_of(dataset))
    if found.state == effects.ABSENT:
        raise DecideError(
            f"{row.stage} has no row of {row.target}: it did not get that far, or its stage has "
            f"not run; make trace ITEM={row.target} tells more"
        )
    if found.state == effects.CANNOT:
        raise DecideError(
            f"{row.target} was refused for {found.reason}, which keep cannot take back; it takes "
            f"back {', '.join(sorted(TAKEN_BACK))}"
        )
    return found.state


def _require_one_caption(given: argparse.Namespace, row: Decision) -> None:
    """Raises DecideError if the user's own file of captions has a line for the item."""
    config, _, _ = last_run.settings_for(given.work, given.config)
    own = config["caption"]["overrides"]
    config["dataset"] = str(Path(given.work) / config["dataset"])
    config["caption"]["overrides"] = own and str(Path(given.work) / own)
    path = overrides.place(config)
    if path.exists() and row.target in overrides.read(path, row.video):
        raise DecideError(
            f"{path} has a line for {row.target}: correct it there, or take it out first"
        )


def _take_back(dataset: Path, given: argparse.Namespace) -> str:
    """A row `undo`, of a decision or, to redo it, of an undo."""
    path = decisions.place(dataset)
    lines = decisions.read(path) if path.is_file() else []
    standing = [line.row for line in lines if line.row.id not in _taken_back(lines)]
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
        f"Undo: make decide UNDO={back.id}\n"
    )


def _taken_back(lines: Sequence[Line]) -> set[str]:
    gone: set[str] = set()
    for line in reversed(lines):
        if line.row.decision == UNDO and line.row.id not in gone:
            gone.add(line.row.undoes)
    return gone


def _in_force(dataset: Path) -> Iterator[str]:
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
        yield f"nothing is decided in {decisions.place(dataset)}"


def parsed(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> argparse.Namespace:
    """The command line, completed from the environment."""
    parser = argparse.ArgumentParser(prog="decide", description=__doc__.partition("\n")[0])
    for name in _OPTIONS:
        parser.add_argument(f"--{name}", default=environment.get(f"DECIDE_{name.upper()}", ""))
    parser.add_argument("--scope", choices=(ITEM, CUTOUT), default="")
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
    except (DecideError, DecisionsError, OverridesError) as error:
        print(error, file=sys.stderr)
        return 1
    except (LedgerError, OSError) as error:
        print(f"the dataset cannot be read: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
