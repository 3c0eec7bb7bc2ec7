"""Real heads from behind, for people of whom no back view is at hand: `cut_out`, `put_on`.

Of four of the six in `identity_people.BACKS`, cut out by the pipeline's own network. Each of the
eleven has the one that is most like theirs, in the colours that were filmed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

#: By eye: a frame of the clip, and the box around the head in it, down to neck or shoulders.
_FRAMES = {
    "long": (98, (415, 10, 485, 106)),
    "dark": (994, (420, 4, 504, 112)),
    "short": (285, (430, 1, 492, 78)),
    "turned": (778, (414, 32, 476, 104)),
}
#: px of a frame, around the box: what the network sees.
_AROUND = (150, 40, 150, 200)
_WHOSE = {
    "long": ("d3", "s18", "woman"),
    "dark": ("d6", "d10", "s20"),
    "short": ("d0", "d13", "man"),
    "turned": ("d12", "d18"),
}
#: Of a face's box: how wide a head is, and how far the crown is above, in its widths.
_WIDE, _CROWN = 1.55, 0.45
#: Share of a head's height, at its lower end, in which it passes into what is there.
_FADES = 0.15


def of(who: str) -> str:
    """The name of somebody's head."""
    return next(name for name, those in _WHOSE.items() if who in those)


def cut_out(
    clip: Path, alpha_of: Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]
) -> dict[str, np.ndarray]:
    """Each head, HxWx4 uint8, without the wall that shines through at its edge.

    `alpha_of` gives alphas (HxW, 0..1) of pictures with a person.
    """
    pictures = _pictures(clip, {number for number, _ in _FRAMES.values()})
    parts, inside = [], []
    for number, (x1, y1, x2, y2) in _FRAMES.values():
        left, top = max(0, x1 - _AROUND[0]), max(0, y1 - _AROUND[1])
        parts.append(pictures[number][top : y2 + _AROUND[3], left : x2 + _AROUND[2]])
        inside.append((slice(y1 - top, y2 - top), slice(x1 - left, x2 - left)))
    alphas = alpha_of([np.ascontiguousarray(part) for part in parts])
    return {
        name: np.dstack([part, _narrower(alpha)])[where]
        for name, part, where, alpha in zip(_FRAMES, parts, inside, alphas, strict=True)
    }


def _pictures(clip: Path, wanted: set[int]) -> dict[int, np.ndarray]:
    import av

    with av.open(str(clip)) as container:
        frames = zip(range(max(wanted) + 1), container.decode(video=0), strict=False)
        return {n: frame.to_ndarray(format="rgb24") for n, frame in frames if n in wanted}


def colour_of(head: np.ndarray) -> np.ndarray:
    """(3,) the middle colour of a head."""
    return np.median(head[head[..., 3] > 200][:, :3], axis=0)


def put_on(rgba: np.ndarray, face: np.ndarray, head: np.ndarray) -> np.ndarray:
    """A cut-out (HxWx4 uint8) with a head from behind before its own, whose `face` (4,) is in px of
    it.
    """
    x1, y1, x2, _ = face
    scale = _WIDE * (x2 - x1) / head.shape[1]
    left, top = (x1 + x2) / 2 - scale * head.shape[1] / 2, y1 - _CROWN * (x2 - x1)
    place = np.array([[scale, 0, left], [0, scale, top]], np.float32)
    size = (rgba.shape[1], rgba.shape[0])
    faded = np.dstack([head[..., :3], _faded(head[..., 3])]).astype(np.float32)
    laid = cv2.warpAffine(faded, place, size, flags=cv2.INTER_LINEAR)
    alpha = laid[..., 3:] / 255
    made = rgba.astype(np.float32)
    made[..., :3] = made[..., :3] * (1 - alpha) + laid[..., :3] * alpha
    made[..., 3:] = np.maximum(made[..., 3:], laid[..., 3:])
    return np.rint(made).astype(np.uint8)


def _narrower(alpha: np.ndarray) -> np.ndarray:
    """An alpha (0..1) as uint8, two px narrower."""
    kernel = np.ones((3, 3), np.uint8)
    return cv2.erode(np.rint(alpha * 255).astype(np.uint8), kernel, iterations=2)


def _faded(alpha: np.ndarray) -> np.ndarray:
    rows = np.arange(len(alpha), 0, -1) / (_FADES * len(alpha))
    return alpha * np.minimum(rows, 1)[:, None]
