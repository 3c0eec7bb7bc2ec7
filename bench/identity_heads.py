"""Real heads from behind, for people of whom no back view is at hand: `cut_out`, `put_on`.

Of four of the six in `identity_people.BACKS`, cut out by the pipeline's own network. Each of the
eleven has the one that is most like theirs, with the hair in the colours of their own: who turns
away keeps their hair.
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
#: By eye: the share of a head's height, from the crown, in which hair is; what is lighter there
#: than L* is neck, ear or collar (100: none of it is).
_HAIR = {"long": (1.0, 100), "dark": (1.0, 25), "short": (0.72, 30), "turned": (0.72, 30)}
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
#: Of a face's height, below the crown: where a person's hair is from and to, above the forehead.
_CROWN_HAIR = (0.06, 0.2)


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


def in_colours_of(head: np.ndarray, name: str, rgba: np.ndarray, face: np.ndarray) -> np.ndarray:
    """A head whose hair has the mean and spread of colours of somebody's own (Reinhard et al.
    2001), whose cut-out is `rgba` (HxWx4 uint8) with the `face` (4,) in px of it.
    """
    lab, own = _lab(head), _lab(rgba)[_crown(rgba, face)]
    hair = _hair(head, lab, *_HAIR[name])
    if not len(own) or not hair.any():
        return head
    # The lighter ones are the forehead's, or what shines through at the edge.
    own = own[own[:, 0] <= np.quantile(own[:, 0], 0.25)]
    spread = own.std(axis=0) / np.maximum(lab[hair].std(axis=0), 1e-6)
    dyed = (lab - lab[hair].mean(axis=0)) * np.minimum(spread, 1.0) + own.mean(axis=0)
    soft = cv2.GaussianBlur(np.float32(hair), (0, 0), 1.5)[..., None]
    rgb = cv2.cvtColor(np.float32(lab * (1 - soft) + dyed * soft), cv2.COLOR_LAB2RGB)
    return np.dstack([np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8), head[..., 3]])


def _lab(rgba: np.ndarray) -> np.ndarray:
    """L* 0 to 100, a* and b*: HxWx3 float32."""
    return cv2.cvtColor(np.float32(rgba[..., :3]) / 255, cv2.COLOR_RGB2LAB)


def _hair(head: np.ndarray, lab: np.ndarray, share: float, lightest: float) -> np.ndarray:
    """(H, W) bool: where a head from behind shows hair."""
    above = np.arange(len(head)) < share * len(head)
    return above[:, None] & (head[..., 3] > 128) & (lab[..., 0] <= lightest)


def _crown(rgba: np.ndarray, face: np.ndarray) -> np.ndarray:
    """(H, W) bool: the hair at somebody's crown, in the columns of the middle half of the face."""
    x1, y1, x2, y2 = face
    solid = rgba[..., 3] > 200
    first = np.where(solid.any(axis=0), solid.argmax(axis=0), len(rgba))
    below = np.arange(len(rgba))[:, None] - first
    columns = np.arange(rgba.shape[1])
    inside = np.abs(columns - (x1 + x2) / 2) < (x2 - x1) / 4
    low, high = (share * (y2 - y1) for share in _CROWN_HAIR)
    return solid & inside & (below >= low) & (below < high)


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
