"""Training and validation: which clips go together, and on which side they go.

The images of one clip, and clips that share near-duplicates, form a group, which is never split. A
group's side depends only on the seed and on the id of one of its clips, so a clip that is added
moves no group that it does not join.
"""

from __future__ import annotations

from collections.abc import Iterable

from ferrari.common.seeds import ranked, seed_of

TRAIN, VALIDATION = "train", "val"
SPLITS = (TRAIN, VALIDATION)
_WHOLE = 1 << 48  # seeds have 48 bits


def groups(clips: Iterable[str], pairs: Iterable[tuple[str, str]], seed: int) -> dict[str, str]:
    """The group of each clip: the id of one of the clips that `pairs` join with it.

    It is the clip with the smallest hash, so a clip that joins a group of n clips changes it only
    once in n + 1 times.
    """
    parent = {clip: clip for clip in clips}

    def root(clip: str) -> str:
        while parent[clip] != clip:
            parent[clip] = parent[parent[clip]]
            clip = parent[clip]
        return clip

    for one, other in pairs:
        one, other = root(one), root(other)
        if one != other:
            first, second = ranked((one, other), seed, "", "group")
            parent[second] = first
    return {clip: root(clip) for clip in parent}


def sides(names: Iterable[str], share: float, seed: int) -> dict[str, str]:
    """TRAIN or VALIDATION for each group: the latter for about `share` of them.

    Unless `share` is 0 or 1, there is something to train on: a single group is all for that, and of
    several groups each side has at least one.
    """
    places = {name: seed_of(seed, name, "", "split") / _WHOLE for name in sorted(set(names))}
    found = {name: VALIDATION if at < share else TRAIN for name, at in places.items()}
    if 0 < share < 1 and len(set(found.values())) == 1:
        order = sorted(places, key=lambda name: (places[name], name))
        if found[order[-1]] == VALIDATION:
            found[order[-1]] = TRAIN
        elif len(order) > 1:
            found[order[0]] = VALIDATION
    return found
