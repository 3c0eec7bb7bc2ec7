"""The demo's networks for faces know the generator's people, and pick its subject out of them.

Boxes of people are the truth's here; the demo itself, where networks find them too, is held
against the same truth in tests/workflow/test_demo_truth.py.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from ferrari.images import head_pose
from ferrari.images.boxes import Detection, overlap
from ferrari.ledger.columns import KEPT as KEPT_ROW
from ferrari.networks import faces, weight_files
from ferrari.subject import appearance, judgements, references
from ferrari.subject.face_weights import USABLE, face_weight
from ferrari.subject.following import Sight, follow
from ferrari.subject.hand_over import Likeness
from ferrari.subject.mixed_tracks import separated
from ferrari.subject.sightings import Faces, Sightings
from ferrari.subject.templates import Thresholds
from ferrari.subject.who import decide
from tests.generator import cast, render_frame
from tests.generator.demo import demo_specs
from tests.generator.sampling import sample_times, truth_for_sampling
from tests.generator.spec import ClipSpec, FigureSpec, PersonTruth

BECOMES = {
    judgements.SUBJECT: cast.KEPT,
    judgements.NOT_SUBJECT: cast.NOT_SUBJECT,
    judgements.UNSURE: cast.UNSURE_WHO,
}


@pytest.fixture(scope="module")
def model():
    settings = {"detector": "demo-faces", "embedding": "demo-faces", "device": "cpu", "batch": 8}
    files = [str(one.path) for one in weight_files.for_faces(settings)]
    return faces.load(settings, files, threads=1, cache="cache")


@pytest.fixture(scope="module")
def rules():
    entry = weight_files.table()["models"]["demo-face-embedding"]
    return judgements.Rules(Thresholds(entry["above"], entry["below"]))


@pytest.fixture(scope="module")
def settled(model, rules, tmp_path_factory):
    """The rows of the demo's references, and the template."""
    folder = tmp_path_factory.mktemp("pictures")
    cast.write_pictures(folder)

    def find(picture_rgb):
        return faces.faces_in(model, [picture_rgb])[0]

    subject = references.examine(folder / "references", "subject.references", find)
    others = references.examine(folder / "not_subject", "subject.not", find)
    assert all(row.outcome == KEPT_ROW for row in others), others
    return references.settle(subject, others, rules.thresholds)


def close_up(identity, yaw_deg):
    figure = FigureSpec(
        seed=identity, identity=identity, framing="half", motion="stand", yaw_deg=yaw_deg, sway=0.0
    )
    return render_frame(ClipSpec(seed=7, width=480, height=360, figures=(figure,)), 0)


def test_faces_are_found_from_the_front_and_none_on_the_back_of_a_head(model):
    for identity in range(600, 608):
        drawn = close_up(identity, 10.0)
        (person,) = drawn.people
        (face,) = faces.faces_of_person(model, drawn.frame_rgb, person.box_xyxy)
        assert overlap(face.box_xyxy, person.face_xyxy) > 0.4
        away = np.linalg.norm(face.landmarks_xy - person.landmarks_xy, axis=1)
        assert away.max() < 0.25 * person.face_px
        back = close_up(identity, 170.0)
        assert faces.faces_of_person(model, back.frame_rgb, back.people[0].box_xyxy) == []


def test_the_strangers_picture_among_the_references_is_named(settled):
    rows, template = settled
    refused = {row.file: row.reason for row in rows if row.outcome != KEPT_ROW}
    assert refused == {"party.png": references.STRANGER}
    assert len(template.members) == 5 and len(template.negatives) == 2


@dataclass
class Judged:
    """A detection in a kept frame: who it truly is, and who it was taken for."""

    person: PersonTruth
    judgement: judgements.Judgement

    @property
    def becomes(self) -> str:
        return BECOMES[self.judgement.who]


def judged(spec: ClipSpec, model, template, rules) -> list[Judged]:
    """Everybody in the kept frames of a clip, after tracks, faces and the decision."""
    kept = [index for index, repeat in truth_for_sampling(spec, 2.0) if not repeat]
    times = [Fraction(k) / Fraction(spec.fps) for k in range(spec.n_frames)]
    drawn = {k: render_frame(spec, k) for k in sorted({*kept, *sample_times(times, 6.0)})}
    sights = [_sight(spec, k, drawn[k], k in kept) for k in drawn]
    followed = follow(sights)
    places = [(k, n) for k in kept for n in range(len(drawn[k].people))]
    seen = _sightings(spec, drawn, places, followed.track_of, model)
    cut = separated(seen, rules.thresholds.below)
    looks = _looks(drawn, places, cut)
    decision = decide(cut, template, Likeness.of(looks), rules)
    return [
        Judged(drawn[k].people[n], decision.detections[place])
        for place, (k, n) in enumerate(places)
    ]


def _sight(spec, k, drawn, kept):
    found = [Detection(tuple(map(float, p.box_xyxy)), 0.8, "person") for p in drawn.people]
    items = [_item(k, n) for n in range(len(found))] if kept else None
    return Sight(spec.time_s(k), drawn.frame_rgb, found, items)


def _item(k, n):
    return f"f{k:06}-d{n}"


def _sightings(spec, drawn, places, track_of, model) -> Sightings:
    frames = sorted({k for k, _ in places})
    pictures = [(drawn[k].frame_rgb, [p.box_xyxy for p in drawn[k].people]) for k in frames]
    embedded = dict(zip(frames, faces.recognise(model, pictures), strict=True))
    of_place = [(place, one) for place, (k, n) in enumerate(places) for one in embedded[k][n]]
    return Sightings(
        np.array([track_of[_item(k, n)] for k, n in places]),
        np.array([spec.time_s(k) for k, _ in places]),
        Faces(
            np.array([one.embedding for _, one in of_place]).reshape(-1, 64),
            np.array([place for place, _ in of_place], int),
            np.array([_weight(one.face) for _, one in of_place]),
        ),
        np.array([drawn[k].people[n].box_xyxy for k, n in places], np.float32),
    )


def _weight(face):
    yaw = head_pose.pose(face.landmarks_xy).yaw
    return face_weight(face.short_side, face.score, yaw)


def _looks(drawn, places, cut) -> np.ndarray:
    """A track's look: the mean histogram of its detections (descriptors are square roots)."""
    each = np.concatenate(
        [
            appearance.descriptors(drawn[k].frame_rgb, [drawn[k].people[n].box_xyxy])
            for k, n in places
        ]
    )
    return np.stack(
        [np.sqrt((each[cut.track == track] ** 2).mean(0)) for track in range(cut.tracks)]
    )


@pytest.fixture(scope="module")
def outcomes(model, rules, settled):
    """Of each clip of several people: everybody in it."""
    _, template = settled
    return {
        name: judged(clip.spec, model, template, rules) for name, clip in cast.many_people().items()
    }


def test_nobody_else_is_delivered_and_every_trap_has_its_reason(outcomes):
    for name, clip in cast.many_people().items():
        for planted in clip.planted:
            own = [one for one in outcomes[name] if one.person.figure == planted.figure]
            becomes = Counter(one.becomes for one in own)
            if planted.becomes != cast.KEPT:
                assert becomes == {planted.becomes: len(own)}, (name, planted, becomes)


def test_the_subject_is_found_from_all_sides(outcomes):
    wanted = {
        (name, planted.figure)
        for name, clip in cast.many_people().items()
        for planted in clip.planted
        if planted.becomes == cast.KEPT
    }
    own = [
        one
        for name, found in outcomes.items()
        for one in found
        if (name, one.person.figure) in wanted
    ]
    kept = [one for one in own if one.becomes == cast.KEPT]
    assert len(kept) >= 0.95 * len(own)
    assert {"front", "three-quarter", "profile", "back"} <= {one.person.view for one in kept}


def test_other_clothes_change_nothing(model, rules, settled):
    _, template = settled
    for name in ("walk_room.mp4", "turn_gallery.mp4", "portrait_hall.mp4"):
        found = judged(demo_specs()[name], model, template, rules)
        assert {one.becomes for one in found} == {cast.KEPT}, name


def test_a_face_of_48_px_can_be_judged():
    """What the generator promises: heads are large enough where a person is seen in full."""
    assert face_weight(47.0) >= USABLE
    spec = demo_specs()["walk_room.mp4"]
    assert render_frame(spec, 0).people[0].face_px > 45
