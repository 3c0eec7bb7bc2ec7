"""Which frames of a damaged clip can be trusted.

After a decode error everything up to the next clean key frame may be built on lost data: grey
blocks, smears, ghosts of an older picture. Decoders flag only the frames that they concealed
themselves, so the mark is carried forward here, and backward over the B-frames that were made
from a damaged frame shown after them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar


class Marked(Protocol):
    """What the rule needs of a frame, in the order shown."""

    @property
    def is_key(self) -> bool: ...
    @property
    def depends_on_next(self) -> bool: ...
    @property
    def damaged(self) -> bool: ...


F = TypeVar("F", bound=Marked)


def trusted(frames: Iterable[F]) -> Iterator[tuple[F, bool]]:
    """Pair each frame with True if nothing it was made from is damaged.

    A frame is held back only while it depends on the next one (a run of B-frames).
    """
    tainted = False
    waiting: list[tuple[F, bool]] = []
    for frame in frames:
        if frame.is_key and not frame.damaged:
            spoils_waiting, tainted = tainted, False
        else:
            tainted = tainted or frame.damaged
            spoils_waiting = tainted
        if frame.depends_on_next:
            waiting.append((frame, tainted))
            continue
        for held, was_tainted in waiting:
            yield held, not (was_tainted or spoils_waiting)
        waiting.clear()
        yield frame, not tainted
    for held, was_tainted in waiting:
        yield held, not was_tainted
