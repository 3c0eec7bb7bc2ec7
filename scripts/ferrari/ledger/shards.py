"""Which clips a machine works on if several share a set without a scheduler: shard 3 of 16.

A clip's shard is a hash of its id alone, so a later clip moves no other one. A camera's
low-resolution copy goes with its clip, because its frames are compared with the clip's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ferrari.common.counts import first_of
from ferrari.common.errors import FerrariError

_TEXT = re.compile(r"([1-9][0-9]*)/([1-9][0-9]*)")


class ShardError(FerrariError, ValueError):
    """The setting `shard` names no shard, or the run would work on clips of another one."""


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1 on) of `count`."""

    number: int
    count: int

    @classmethod
    def of(cls, text: str | None) -> Shard | None:
        """The shard named by '3/16'; None for None, which is the whole set.

        Raises ShardError if there is no such part.
        """
        if text is None:
            return None
        found = _TEXT.fullmatch(text)
        if not found or int(found[1]) > int(found[2]):
            raise ShardError(
                f"shard: {text} names no part: write K/N with K from 1 to N, as 1/4 to 4/4 for "
                "four machines"
            )
        return cls(int(found[1]), int(found[2]))

    def clips(self, videos: Iterable[str], twins: Mapping[str, Sequence[str]]) -> frozenset[str]:
        """Those of the ids in `videos` that belong to this shard.

        `twins` has, by id of a low-resolution copy, the ids of the clips that it may be a copy of
        (`video.twins.named_twins`); these all go together.
        """
        leader = _leaders(twins)
        return frozenset(
            video for video in videos if _part(leader.get(video, video), self.count) == self.number
        )

    def require_own(self, jobs: Iterable[tuple[str, str | None]], own: Collection[str]) -> None:
        """Raise ShardError unless all `jobs`, pairs of a rule and its clip (None for the whole
        set), belong to the clips in `own`.

        The subject and the scenes depend on clips of all shards, and weights are fetched into one
        cache: two machines that made these at once would interfere.
        """
        others = sorted(
            f"{rule} of {video}" if video else rule for rule, video in jobs if video not in own
        )
        if others:
            raise ShardError(
                f"shard {self} would do what is not its own: {first_of(others, 4)}. Run "
                "the target `pins` once, with the same settings and without the setting shard, "
                "before the shards; what concerns the whole set is made after them, without it too"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def _part(name: str, count: int) -> int:
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "big") % count + 1


def _leaders(twins: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """For each clip that has a small copy, and each copy, the one of them that says where they go:
    of clips that share a copy, the first.
    """
    leader: dict[str, str] = {}
    for copy, clips in sorted(twins.items()):
        together = {leader.get(clip, clip) for clip in clips}
        first = min(together)
        leader |= {name: first for name, of in leader.items() if of in together}
        leader |= dict.fromkeys((copy, *clips), first)
    return leader
