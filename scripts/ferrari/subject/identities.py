"""Identities in one clip: each detection's judgement, and the rows of the table of identities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ferrari.ledger.item_ids import frame_of
from ferrari.ledger.tables import LedgerError
from ferrari.review.contract import Decision
from ferrari.subject import appearance
from ferrari.subject.face_weights import USABLE
from ferrari.subject.hand_over import Likeness
from ferrari.subject.identity_table import IdentityRow
from ferrari.subject.judgements import Judgement, Rules
from ferrari.subject.mixed_tracks import separated
from ferrari.subject.reviewed_tracks import reviewed
from ferrari.subject.sightings import Sightings
from ferrari.subject.sightings_file import SeenClip
from ferrari.subject.templates import Template, Thresholds
from ferrari.subject.who import decide


@dataclass(frozen=True)
class Identity:
    """Who a detection is, and the number of its track in the table of identities."""

    track: int
    judgement: Judgement
    decision: str = ""  # the row of a person's decisions that says so


@dataclass(frozen=True)
class Identities:
    """Of a clip: who each detection in a kept frame is, by item, and the rows of its table."""

    of_item: Mapping[str, Identity]
    clip: IdentityRow
    tracks: Sequence[IdentityRow]


def rules_of(settings: Mapping) -> Rules:
    """The rules in a rule's param: `above`, `below` and the settings of how evidence is carried."""
    return Rules(
        Thresholds(settings["above"], settings["below"]),
        settings["body_similarity"],
        settings["body_gap_s"],
        settings["sureness_decay"],
    )


def identify(
    seen: SeenClip,
    template: Template | None,
    rules: Rules,
    mode: str,
    review: Sequence[Decision] = (),
) -> Identities:
    """Judge a clip. Tracks that pass from one person to another are cut first, then what a person
    cut and merged; `review` is what was decided of the clip's tracks.

    Raises LedgerError where faces and template are of networks that cannot be compared.
    """
    comparable = _comparable(seen.sightings, template)
    by_hand = reviewed(separated(comparable, rules.thresholds.below), seen.items, review)
    cut = by_hand.seen
    looks = _looks(seen, cut)
    decision = decide(cut, template, Likeness.of(looks), rules, by_hand.who)
    said = {track: ids[-1] for track, ids in by_hand.decisions.items() if track in by_hand.who}
    shown = [place for place, item in enumerate(seen.items) if item]
    of_item = {
        seen.items[place]: Identity(
            int(cut.track[place]),
            decision.detections[place],
            said.get(int(cut.track[place]), ""),
        )
        for place in shown
    }
    tracks = [
        replace(
            _row(seen, cut, track, decision.tracks[track]),
            decision=" ".join(by_hand.decisions.get(track, ())),
        )
        for track in range(cut.tracks)
    ]
    judged = _judged(cut)
    clip = IdentityRow(
        track=None,
        mode=mode,
        faces=int(judged.sum()),
        faces_seen=len(judged),
        face_px=_face_px(seen, np.ones(len(judged), bool), judged),
        frames=len({frame_of(seen.items[place]) for place in shown}),
    )
    return Identities(of_item, clip, tracks)


def _comparable(seen: Sightings, template: Template | None) -> Sightings:
    """The sightings; faces that are none get the length of the template's."""
    if template is None:
        return seen
    length, found = template.members.shape[1], seen.faces.embeddings
    if not len(found):
        return replace(seen, faces=replace(seen.faces, embeddings=np.zeros((0, length))))
    if found.shape[1] != length:
        raise LedgerError(
            f"the faces of the clip have {found.shape[1]} numbers each, those that say who the "
            f"subject is {length}: they are of different networks; delete the sightings and "
            "who.npz, and the next run makes them anew"
        )
    return seen


def _looks(seen: SeenClip, cut: Sightings) -> np.ndarray:
    """(T, K) looks of the tracks after they were cut and merged.

    A piece of a track that was cut looks like nobody: what its linked track looked like is a mix of
    two people. A merged track looks like the mean of its parts, by how often each is seen.
    """
    found = np.zeros((cut.tracks, seen.looks.shape[1]), np.float32)
    pairs = Counter(zip(seen.sightings.track.tolist(), cut.track.tolist(), strict=True))
    pieces = Counter(linked for linked, _ in pairs)
    for track in range(cut.tracks):
        parts = sorted(linked for linked, other in pairs if other == track and pieces[linked] == 1)
        if len(parts) == 1:
            found[track] = seen.looks[parts[0]]
        elif parts:
            counts = [pairs[linked, track] for linked in parts]
            found[track] = appearance.mean(np.repeat(seen.looks[parts], counts, axis=0))
    return found


def _judged(cut: Sightings) -> np.ndarray:
    """(F,) bool: faces that are large, sure and frontal enough to be judged."""
    return cut.faces.weights >= USABLE


def _row(seen: SeenClip, cut: Sightings, track: int, judgement: Judgement) -> IdentityRow:
    own = cut.track == track
    clock_s = seen.clock_s[own][np.argsort(cut.time_s[own], kind="stable")]
    of_track = own[cut.faces.detection]
    judged = _judged(cut)
    items = [seen.items[place] for place in np.flatnonzero(own).tolist()]
    linked = seen.sightings.track[own].tolist()
    return IdentityRow(
        track=track,
        linked_track=linked[0],
        joined=" ".join(map(str, sorted(set(linked) - {linked[0]}))),
        who=judgement.who,
        by=judgement.by,
        why=judgement.why,
        score=judgement.score,
        threshold=judgement.threshold,
        sureness=judgement.sureness,
        faces=int((judged & of_track).sum()),
        faces_seen=int(of_track.sum()),
        face_px=_face_px(seen, of_track, judged),
        frames=len({frame_of(item) for item in items if item}),
        from_s=float(clock_s[0]),
        to_s=float(clock_s[-1]),
    )


def _face_px(seen: SeenClip, which: np.ndarray, judged: np.ndarray) -> float | None:
    """The median short side of the judged faces among some, else of them all; None without any."""
    chosen = which & judged if (which & judged).any() else which
    sides = [seen.faces[place].short_side_px for place in np.flatnonzero(chosen).tolist()]
    return round(float(np.median(sides)), 1) if sides else None
