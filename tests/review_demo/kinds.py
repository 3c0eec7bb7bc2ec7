"""The kinds of decisions that the review page offers, and how each is made by keys.

A line of `KINDS` adds one: its decisions are made, counted and measured, and the run is held to
them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ferrari.ledger import item_ids
from ferrari.review import contract
from tests.review_demo.keyboard import Keyboard

Act = Callable[[Keyboard, int], tuple[str, ...]]


@dataclass(frozen=True)
class Kind:
    """One kind. `decision` is what its rows in the table of decisions hold.

    `act` decides about what is selected, and is told how many of the kind there were before; it
    gives the ids that it decided about, the target of the row first, or none where it could not.
    Where `alters_clip`, the decision may change what becomes of other things of its clip: the other
    kinds go to clips first of which no such thing was decided.
    """

    name: str
    view: str  # the key of its view
    key: str  # as it stands on the button that has to be there to begin
    decision: str
    act: Act
    alters_clip: bool = False
    again: bool = False  # also about what something was decided about before
    most: int = 10_000  # where more would leave nothing to review


def letter(*keys: str) -> Act:
    """These keys, and it is decided."""

    def act(hands: Keyboard, _: int) -> tuple[str, ...]:
        target = hands.target
        hands.press(*keys)
        return (target,)

    return act


def caption(hands: Keyboard, nth: int) -> tuple[str, ...]:
    """Write behind the caption that is there."""
    target = hands.target
    hands.press("e", "Control+End")
    hands.type(f", take {nth + 1}")
    hands.press("Enter")
    return (target,)


def mend(hands: Keyboard, nth: int) -> tuple[str, ...]:
    """Add a stroke from the body to a corner; the neighbours are left as they are."""
    target = hands.target
    hands.press("b")
    hands.page.locator("#save-mask").wait_for()
    hands.draw((0.5, 0.3), (0.1, 0.08))
    if nth == 0:
        hands.shoot("brush", "The brush: a stroke was added, with the pointer")
    hands.tab_to("#save-mask")
    hands.press("Enter")
    closed = hands.page.locator("#dialog:not([open])")
    closed.or_(hands.page.locator("#look")).first.wait_for(state="attached")
    if not closed.count():
        hands.press("Escape")
        closed.wait_for(state="attached")
    return (target,)


def with_the_next(key: str, name: str) -> Act:
    """Mark what is selected, and decide about the next one beside it, where the page lets it be."""

    def act(hands: Keyboard, nth: int) -> tuple[str, ...]:
        marked = hands.target
        hands.press("v", "ArrowRight")
        target = hands.target
        if target == marked:
            hands.press("v")
            return ()
        hands.press(key)
        if not hands.page.locator("#confirm").count():
            hands.press("ArrowLeft", "v")
            return ()
        if nth == 0:
            hands.shoot(name, f"Before two things are decided about, with {key.upper()}")
        hands.press("Enter")
        return target, marked

    return act


def drop_reference(hands: Keyboard, _: int) -> tuple[str, ...]:
    """The picture that is most in doubt counts for nothing any more."""
    target = hands.fact("SHA-256")
    hands.press("d")
    hands.shoot("reference_asked", "Before a reference picture is dropped")
    hands.press("Enter")
    return (target,)


#: In the order in which they are made: tracks first, then what is left as it was by them. Tracks
#: are joined last, since that may be said of those of which something was said.
KINDS = (
    Kind("take for somebody else", "2", "N", "not_subject", letter("n"), alters_clip=True),
    Kind("split a track", "2", "X", "split_track", letter(".", "x"), alters_clip=True),
    Kind("take for the subject", "2", "S", "is_subject", letter("s")),
    Kind(
        *("join two tracks", "2", "V", "merge_tracks", with_the_next("w", "merge_asked")),
        alters_clip=True,
        again=True,
    ),
    Kind("name a duplicate", "1", "V", "duplicate_of", with_the_next("c", "duplicate_asked")),
    Kind("keep an image", "1", "K", "keep", letter("k")),
    Kind("drop an image", "1", "D", "drop", letter("d")),
    Kind("write a caption", "5", "E", "caption", caption),
    Kind("mend a mask", "3", "B", "mask", mend),
    Kind("drop a cut-out", "3", "D", "drop", letter("d")),
    Kind("take back a refused item", "4", "K", "keep", letter("k")),
    Kind("drop a reference picture", "6", "D", "drop", drop_reference, most=1),
)


def related(one: str, other: str) -> bool:
    """True if two ids are of the same thing, or the one thing was made of the other."""
    return one == other or one.startswith(f"{other}-") or other.startswith(f"{one}-")


def clip_of(target: str) -> str:
    """The id of the clip that an item or a track is of."""
    track = contract.track_of(target)
    return track[0] if track else item_ids.clip_of(target)
