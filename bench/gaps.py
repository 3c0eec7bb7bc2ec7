"""Gaps between arm and body, through which the scene shows: does a matte keep them open?

Real people, filmed to the waist and cut out (by the default's own network, so their edges prove
nothing), whose arm is moved away from the body, before a drawn scene that is out of focus. A
network for people sees 256 pixels, and may not see such a gap.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from bench import composed, pairs, peers, prepare
from bench.composed import Layer, Picture
from bench.identity_composed import Actor, filmed
from ferrari.networks import segmenters

#: Pixels of the person's height, of the widest place of a gap, and around the person.
_HIGH, _WIDTHS, _MARGIN = 420, (10, 16, 24, 34), 8
#: Where a gap begins and ends in the person's height, and how far from the side in widths.
_TOP, _BOTTOM, _IN = 0.52, 0.97, 0.2
_OUT_OF_FOCUS = 8.0
#: Where in a clip its first frame is, and how much later the next, as shares of it.
_FROM, _LATER = 0.3, 0.15


def pictures(count: int) -> Iterator[tuple[Picture, np.ndarray]]:
    """Pictures of people with a gap, and HxW bool, where the gap is; none without real people."""
    asked = segmenters.Asked(aspect=True)
    network = segmenters.load(
        "isnet", peers.isnet_weights(), "cpu", asked, threads=prepare.threads()
    )
    clips = peers.people_clips()
    for number in range(count if clips else 0):
        turn, place = divmod(number, len(clips))
        begin = _FROM + turn * _LATER
        frame = filmed(clips[place], begin, begin + _LATER, 1)[0]
        alpha = next(iter(network.alpha([frame], None)))
        rgba = np.dstack([frame, (alpha * 255 + 0.5).astype(np.uint8)])
        person = pairs.solid(Actor([rgba], np.zeros((1, 4)))).pictures[0]
        yield picture(person, _WIDTHS[(turn + place) % len(_WIDTHS)], number)


def picture(rgba: np.ndarray, width: int, number: int) -> tuple[Picture, np.ndarray]:
    """One of `pictures`, of a person (HxWx4 uint8, straight alpha) with a gap `width` px wide."""
    person, gap = pulled_apart(_sized(rgba), width)
    scene, _ = composed.backdrop(number)
    high, wide = person.alpha.shape
    scene = cv2.GaussianBlur(cv2.resize(scene, (wide, high)), (0, 0), _OUT_OF_FOCUS)
    return composed.finished(composed.over(scene, person), person.alpha), gap


def _sized(rgba: np.ndarray) -> np.ndarray:
    """The person alone, _HIGH px high."""
    own = rgba[..., 3] > 127
    rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
    person = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = (round(person.shape[1] * _HIGH / person.shape[0]), _HIGH)
    return cv2.resize(person, size, interpolation=cv2.INTER_AREA)


def pulled_apart(rgba: np.ndarray, width: int) -> tuple[Layer, np.ndarray]:
    """The person (HxWx4 uint8, straight alpha) with the arm at the right moved away, and HxW bool,
    the gap: widest in its middle, closed above and below.
    """
    margin = ((_MARGIN, 0), (_MARGIN, _MARGIN + width), (0, 0))
    rgba = np.pad(rgba, margin).astype(np.float32)
    high, wide = rgba.shape[:2]
    at = np.arange(high, dtype=np.float32)[:, None]
    way = np.clip((at / high - _TOP) / (_BOTTOM - _TOP), 0, 1)
    moved = width * np.sin(np.pi * way)
    low = rgba[round(_TOP * high) :, :, 3] > 127
    ends = [np.flatnonzero(row)[[0, -1]] for row in low if row.any()]
    first, last = np.median(ends, axis=0)
    line = round(last - _IN * (last - first))
    columns = np.broadcast_to(np.arange(wide, dtype=np.float32), (high, wide))
    gap = (columns >= line) & (columns < line + moved)
    source = np.where(columns < line, columns, columns - moved)
    rows = np.broadcast_to(at, (high, wide)).copy()
    premultiplied = np.dstack([rgba[..., :3] * (rgba[..., 3:] / 255), rgba[..., 3]])
    bent = cv2.remap(premultiplied, source.astype(np.float32), rows, cv2.INTER_LINEAR)
    bent[gap] = 0
    bent = cv2.GaussianBlur(bent, (0, 0), 0.8)
    alpha = bent[..., 3] / 255
    return Layer(bent[..., :3] / np.maximum(alpha, 1e-3)[..., None], alpha), gap & (alpha < 0.02)


def is_filled(alpha: np.ndarray, gap: np.ndarray) -> bool:
    """Whether most of a gap (HxW bool) is the subject's by a matte (HxW, 0..1)."""
    return float((alpha[gap] >= 0.5).mean()) > 0.5 if gap.any() else False
