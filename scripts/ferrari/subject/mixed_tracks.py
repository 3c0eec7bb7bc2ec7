"""Tracks that switch from one person to another, split where their faces show it. Pure arrays.

What links boxes does not see faces. A person who turns changes gradually, a track that jumps to
somebody else does not; so two faces before are held against two behind.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ferrari.subject.sightings import Sightings
from ferrari.subject.similarity import similarities


def separated(seen: Sightings, below: float) -> Sightings:
    """The sightings with each mixed track cut into several, numbered anew by first appearance.

    A cut lies where two successive faces are alike, so are the next two, but the two pairs are less
    alike than `below` (the threshold of somebody else). Detections between the faces on either side
    are a piece of their own, since nobody knows whose they are. A single other face among many cuts
    nothing: `who` objects to its detection alone.
    """
    deciding = seen.deciding()
    track_of = seen.track[seen.faces.detection]
    piece = np.zeros(len(seen.track), int)
    for track in range(seen.tracks):
        faces = np.flatnonzero(deciding & (track_of == track))
        times = seen.time_s[seen.faces.detection[faces]]
        order = np.argsort(times, kind="stable")
        cuts = _cuts(seen.faces.embeddings[faces[order]], below)
        where = seen.track == track
        piece[where] = _pieces(seen.time_s[where], times[order], cuts)
    return replace(seen, track=renumbered(seen.track, piece, seen.time_s))


def _cuts(faces: np.ndarray, below: float) -> list[int]:
    """Places in (F, D) faces, in order of time, before which somebody else begins."""
    if len(faces) < 4:
        return []
    alike = similarities(faces, faces)
    found = []
    for place in range(2, len(faces) - 1):
        across = alike[place - 2 : place, place : place + 2].mean()
        within = min(alike[place - 2, place - 1], alike[place, place + 1])
        if across < below <= within:
            found.append(place)
    return found


def _pieces(times_s: np.ndarray, face_times_s: np.ndarray, cuts: list[int]) -> np.ndarray:
    """(N,) int: even for what lies with faces, odd for what lies between two people's faces."""
    ends = np.array([face_times_s[place - 1] for place in cuts] + [np.inf])
    begins = np.array([face_times_s[place] for place in cuts])
    passed = np.searchsorted(begins, times_s, side="right")
    return 2 * passed + (times_s > ends[passed])


def renumbered(track: np.ndarray, piece: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    """Numbers from 0 for the pairs of track and piece, by first time, then track."""
    keys = list(zip(track.tolist(), piece.tolist(), strict=True))
    first: dict[tuple[int, int], float] = {}
    for key, time in zip(keys, time_s.tolist(), strict=True):
        first[key] = min(time, first.get(key, np.inf))
    ranked = sorted(first, key=lambda key: (first[key], key))
    numbers = {key: number for number, key in enumerate(ranked)}
    return np.array([numbers[key] for key in keys], int)
