"""Which packets of a clip have to be decoded to get its samples, and no others.

Between two restarts (see `packet_kinds`) that is each sample, and every frame before the last
sample from which another may be made. Of these frames, the first of each slot of the linking film
(see `linking_film`) is given out too; more are decoded only where a slot would stay empty. The
choice rests on the packets' own times, so it is made only where those tell the order in which
frames are shown; what comes out of the decoder is then held against it frame by frame.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ferrari.video.decoding.packet_kinds import DISPOSABLE, RESTART, NotUnderstoodError
from ferrari.video.timestamps import MOST_REORDERED, PackedTimes, first_of_slots

_TRIED = 4  # disposable frames that are decoded, samples or not, to see that they come in turn


@dataclass(frozen=True)
class Selection:
    """`decode` has a 1 for each packet to decode, in their order in the file.

    `frames` are the numbers, in the order shown, of the frames that come out, with their `pts`;
    `sampled` has a 1 for each of them that is a sample, `linking` for each that is for the linking
    film, `ending` for each that ends a group and has the next key frame behind it. There are as
    many as the clip is long, so all are packed.
    """

    decode: bytearray
    frames: array
    pts: PackedTimes
    sampled: bytearray
    linking: bytearray
    ending: bytearray
    total: int


def select(
    pts: array,
    kinds: bytearray,
    time_base: Fraction,
    fps: float,
    most: int | None = None,
    to_the_end: bool = False,
    linking_fps: float = 0.0,
) -> Selection:
    """Choose among all packets of a clip, by their times and kinds in the order of decoding.

    With `most`, no more samples than that are decoded, and nothing behind them; with `to_the_end`,
    also the last picture of each group with a sample that others may be made from, and the key
    frame behind it: they change nothing else of the choice. Raises
    NotUnderstoodError where the times do not tell the order of the frames: one is twice there,
    they jump back, or a frame that nothing depends on is not shown where such a frame would be.
    """
    times = np.frombuffer(pts, np.int64)
    kind = np.frombuffer(kinds, np.uint8)
    if not len(times) or not kind[0] & RESTART:
        raise NotUnderstoodError("the clip does not start with a key frame")
    order = np.argsort(times, kind="stable")
    shown = times[order]
    _check_order(times, shown, kind)
    wanted = np.zeros(len(times), bool)
    samples = first_of_slots(shown.data, time_base, fps)[:most]
    sampled = order[samples]
    wanted[sampled] = True
    free, restarts = kind & DISPOSABLE > 0, kind & RESTART > 0
    tried = max(0, _TRIED - np.count_nonzero(wanted & free & ~restarts))
    wanted[np.flatnonzero(free & ~restarts & ~wanted)[:tried]] = True
    linking = np.zeros(len(times), bool)
    if linking_fps:
        end = samples[-1] + 1 if len(samples) == most else len(shown)
        begins = first_of_slots(shown.data[:end], time_base, linking_fps)
        linking = _link(wanted, free, restarts, order, np.array([*begins, end]))
    ends = np.zeros(len(times), bool)
    if to_the_end:
        last, behind = _boundaries(sampled, kind)
        ends[last] = wanted[last] = wanted[behind] = True
    decode = _needed(wanted, free, restarts)
    frames = np.flatnonzero(decode[order])
    is_sample = np.zeros(len(times), bool)
    is_sample[sampled] = True
    return Selection(
        bytearray(decode.tobytes()),
        array("I", frames.astype(np.uint32).tobytes()),
        PackedTimes.of(shown[frames]),
        bytearray(is_sample[order][frames].tobytes()),
        bytearray(linking[order][frames].tobytes()),
        bytearray(ends[order][frames].tobytes()),
        len(times),
    )


def _boundaries(sampled: np.ndarray, kind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of the last picture that others may be made from in each group with a sample, and of
    the key frames behind those groups. Of a single picture, and of the last group, there is none.
    """
    restarts = np.flatnonzero(kind & RESTART)
    group = np.cumsum(kind & RESTART > 0) - 1
    last = np.zeros(len(restarts), int)
    built_on = np.flatnonzero((kind & DISPOSABLE == 0) | (kind & RESTART > 0))
    last[group[built_on]] = built_on
    watched = np.unique(group[sampled])
    watched = watched[(watched < len(restarts) - 1) & (last[watched] > restarts[watched])]
    return last[watched], restarts[watched + 1]


def _link(
    wanted: np.ndarray, free: np.ndarray, restarts: np.ndarray, order: np.ndarray, slots: np.ndarray
) -> np.ndarray:
    """True for the first frame of each slot that is decoded; marks one as wanted where none is.

    `slots` are the places in the order shown where slots begin, and where the last one ends. The
    frame that is added is one that others may be made from, if there is any: it needs no more of
    the frames before it than they do, and serves the slots behind it.
    """
    begins, ends = slots[:-1], slots[1:]
    empty = _next(_needed(wanted, free, restarts)[order], begins) >= ends
    added = _next(~free[order], begins[empty])
    wanted[order[np.where(added < ends[empty], added, begins[empty])]] = True
    linking = np.zeros(len(wanted), bool)
    linking[order[_next(_needed(wanted, free, restarts)[order], begins)]] = True
    return linking


def _next(marked: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The first marked place at or behind each of `places`; behind the last one, the length."""
    found = np.append(np.flatnonzero(marked), len(marked))
    return found[np.searchsorted(found, places)]


def _needed(wanted: np.ndarray, free: np.ndarray, restarts: np.ndarray) -> np.ndarray:
    """True for each packet to decode, so that the wanted ones come out."""
    return wanted | (~free & _before_last_wanted(wanted, restarts))


def _before_last_wanted(wanted: np.ndarray, restarts: np.ndarray) -> np.ndarray:
    """True for each packet that has a wanted one at or behind it before the next restart."""
    begins = np.flatnonzero(restarts)
    lengths = np.diff(begins, append=len(wanted))
    so_far = np.cumsum(wanted, dtype=np.int32)
    return so_far - wanted < np.repeat(so_far[begins + lengths - 1], lengths)


def _check_order(times: np.ndarray, shown: np.ndarray, kind: np.ndarray) -> None:
    if (shown[1:] == shown[:-1]).any():
        raise NotUnderstoodError("two frames have one time")
    if shown[0] != times[0]:
        raise NotUnderstoodError("frames are shown before the first key frame")
    latest = np.maximum.accumulate(times)
    restarts = np.flatnonzero(kind & RESTART)[1:]
    if (times[restarts] <= latest[restarts - 1]).any():
        raise NotUnderstoodError("the clock jumps back, or frames are shown across a restart")
    reordered = times < latest
    if reordered.any():
        free = (kind & (DISPOSABLE | RESTART)) == DISPOSABLE
        if (free & ~reordered).any():
            raise NotUnderstoodError("a frame that nothing depends on is shown as if others did")
        places = np.searchsorted(shown, times[reordered])
        ahead = np.searchsorted(shown, latest[reordered])
        if (ahead - places).max() > MOST_REORDERED:
            raise NotUnderstoodError("frames are shown too far from their place in the file")
