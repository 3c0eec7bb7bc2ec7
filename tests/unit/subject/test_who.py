"""Who a track and a detection is, on what evidence; and that no face is not somebody else."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferrari.subject import judgements as j
from ferrari.subject.face_weights import REFUSING, USABLE, face_weight
from ferrari.subject.hand_over import Likeness
from ferrari.subject.judgements import NOT_SUBJECT, SUBJECT, UNSURE, Rules
from ferrari.subject.sightings import Faces, Sightings
from ferrari.subject.templates import Template, Thresholds
from ferrari.subject.who import Decision, changed, decide
from tests.unit.subject.people import FACERES, NETWORKS, SFACE, Network, People, side_face, unit


@dataclass
class Scene:
    """A clip put together detection by detection; who says whose face, None for a back."""

    network: Network = SFACE
    seed: int = 0
    take: int = 0
    track: list[int] = field(default_factory=list)
    time: list[float] = field(default_factory=list)
    faces: list[np.ndarray] = field(default_factory=list)
    bound: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.people = People(self.network, self.seed, self.take)
        self.negatives = np.zeros((0, self.network.length), np.float32)
        self.rules = Rules(self.network.thresholds)
        self.members = self.people.faces(0, 6)

    def see(self, track: int, times, *who: int | None, weight: float = 1.0) -> Scene:
        for time in times:
            self.track.append(track)
            self.time.append(float(time))
            for each in who:
                if each is not None:
                    self.put(self.people.faces(each, 1)[0], weight)
        return self

    def put(self, face: np.ndarray, weight: float = 1.0) -> Scene:
        """A face in the last detection."""
        self.faces.append(face)
        self.bound.append(len(self.track) - 1)
        self.weights.append(weight)
        return self

    def sightings(self) -> Sightings:
        stacked = np.stack(self.faces) if self.faces else self.members[:0]
        faces = Faces(stacked, np.array(self.bound, int), np.array(self.weights, float))
        return Sightings(np.array(self.track), np.array(self.time), faces)

    def decide(
        self,
        clothes: dict | None = None,
        rules: Rules | None = None,
        boxes: np.ndarray | None = None,
        without_head: dict | None = None,
        **also,
    ) -> Decision:
        """`clothes`: how alike two tracks are; `without_head` as much, if nothing is said."""
        seen = replace(self.sightings(), boxes=boxes)
        alike = Likeness(
            _both_ways(seen.tracks, clothes or {}),
            _both_ways(seen.tracks, without_head or clothes or {}),
        )
        template = Template(self.members, self.negatives)
        return decide(seen, template, alike, rules or self.rules, **also)


def _both_ways(tracks: int, alike: dict) -> np.ndarray:
    found = np.eye(tracks)
    for (one, other), value in alike.items():
        found[one, other] = found[other, one] = value
    return found


def said(judged: j.Judgement) -> tuple[str, str, str]:
    return judged.who, judged.by, judged.why


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_a_face_names_its_track_and_strangers_are_refused(network, seed):
    scene = Scene(network, seed)
    for who in range(8):
        scene.see(who, np.arange(10) + 100 * who, who)
    found = scene.decide().tracks
    assert said(found[0]) == (SUBJECT, j.FACE, j.LIKE_SUBJECT)
    assert found[0].score >= found[0].threshold == network.thresholds.above
    for other in found[1:]:
        assert said(other) == (NOT_SUBJECT, j.FACE, j.UNLIKE)
        assert other.score < other.threshold == network.thresholds.below


def test_one_good_face_names_the_whole_track_back_views_too():
    found = Scene().see(0, [0, 1], None).see(0, [2], 0).see(0, [3, 4], None).decide().detections
    assert [each.who for each in found] == [SUBJECT] * 5
    assert [each.by for each in found] == [j.TRACK, j.TRACK, j.FACE, j.TRACK, j.TRACK]
    assert [each.sureness for each in found] == [0.9025, 0.95, 1, 0.95, 0.9025]
    assert all(each.score >= each.threshold for each in found)


def test_sureness_is_counted_from_a_face_that_says_so():
    found = Scene().see(0, range(3), 0).see(0, [10], 1).see(0, [11], None).decide()
    assert said(found.detections[4]) == (SUBJECT, j.TRACK, j.LIKE_SUBJECT)
    assert found.detections[4].sureness == pytest.approx(0.95**9, abs=1e-4)


@pytest.mark.parametrize("network", NETWORKS)
def test_profiles_do_not_outvote_the_third_of_faces_that_look_ahead(network):
    scene = Scene(network)
    side = unit(np.random.default_rng(1).normal(size=network.length))
    scene.see(0, range(4), 0)
    for time, face in enumerate(side_face(scene.people.faces(0, 6), side, 0.2), start=4):
        scene.see(0, [time]).put(face, 0.6)
    assert said(scene.decide().tracks[0]) == (SUBJECT, j.FACE, j.LIKE_SUBJECT)


@pytest.mark.parametrize(
    ("weight", "why"), [(None, j.NO_FACE), (0.49, j.FACES_TOO_SMALL), (0.0, j.FACES_TOO_SMALL)]
)
@pytest.mark.parametrize("who", [0, 1])
def test_no_face_to_judge_is_not_somebody_else(who, weight, why):
    scene = Scene().see(0, range(5), *([] if weight is None else [who]), weight=weight or 0)
    found = scene.decide()
    assert said(found.tracks[0]) == (UNSURE, j.NOTHING, why)
    assert {said(each) for each in found.detections} == {(UNSURE, j.NOTHING, why)}


def test_between_the_thresholds_is_unsure():
    scene = Scene()
    for time, face in enumerate(scene.people.faces(0, 9, like=1)):
        scene.see(0, [time]).put(face)
    (track,) = scene.decide(rules=Rules(Thresholds(0.65, 0.3))).tracks
    assert said(track) == (UNSURE, j.FACE, j.BETWEEN)
    assert 0.3 <= track.score < track.threshold == 0.65


def test_small_faces_of_a_stranger_do_not_weigh_against_a_good_one():
    found = Scene().see(0, range(9), 1, weight=0.3).see(0, [10], 0).decide()
    assert found.tracks[0].who == SUBJECT


def test_a_track_whose_faces_disagree_is_unsure():
    scene = Scene().see(0, range(5), 0).see(0, range(5, 10), 1)
    assert said(scene.decide().tracks[0]) == (UNSURE, j.FACE, j.FACES_DISAGREE)


def test_a_single_other_face_makes_its_own_detection_unsure():
    found = Scene().see(0, range(5), 0).see(0, [5], 1).see(0, range(6, 9), 0).decide()
    assert found.tracks[0].who == SUBJECT
    assert said(found.detections[5]) == (UNSURE, j.FACE, j.FACE_DIFFERS)
    assert {each.who for i, each in enumerate(found.detections) if i != 5} == {SUBJECT}


@pytest.mark.parametrize(
    ("around", "who"),
    [
        ((0, 0, 200, 100), UNSURE),  # both, each with a box and a face of their own
        ((30, 0, 200, 100), UNSURE),  # one, and most of the other
        ((0, 0, 150, 100), SUBJECT),  # one, and less than half of the other
        ((0, 0, 200, 300), SUBJECT),  # a body in front of two who fill a part of its box
    ],
)
def test_a_box_around_two_people_is_nobodys(around, who):
    """The subject's track goes on in a larger box; the two faces are bound to the boxes in it."""
    scene = Scene().see(0, range(5), 0).see(0, [5], None).see(1, [5], 0).see(2, [5], 1)
    boxes = np.array([(0, 0, 90, 100)] * 5 + [around, (0, 0, 90, 100), (110, 0, 200, 100)], float)
    found = scene.decide(boxes=boxes)
    assert found.detections[5].who == who
    if who == UNSURE:
        assert said(found.detections[5]) == (UNSURE, j.FACE, j.TWO_FACES)
    assert [found.detections[i].who for i in (0, 7)] == [SUBJECT, NOT_SUBJECT]


APART_XYXY = ((0, 0, 90, 100), (100, 0, 190, 100))


@pytest.mark.parametrize(
    ("around", "who"),
    [
        ((0, 0, 190, 100), UNSURE),
        ((20, 0, 175, 100), UNSURE),  # two who have come closer
        ((0, 0, 100, 100), SUBJECT),  # one of them, while the other is not found
        ((0, 0, 190, 400), SUBJECT),  # a body in front of two who fill a part of its box
    ],
)
@pytest.mark.parametrize("before", [True, False], ids=["seen before", "seen behind"])
def test_a_box_in_which_two_cross_is_nobodys(around, who, before):
    """Two are apart, then one box is found with the subject's face alone, or the other way round:
    a face that is hidden is found in no box.
    """
    times, at = ((0.0, 1 / 6), 2 / 6) if before else ((2 / 6, 3 / 6), 1 / 6)
    scene = Scene().see(0, times, 0).see(1, times, 1).see(2, [at], 0)
    boxes = np.array([APART_XYXY[0]] * 2 + [APART_XYXY[1]] * 2 + [around], float)
    assert scene.decide(boxes=boxes).detections[4].who == who


@pytest.mark.parametrize(
    ("second", "lasts", "at", "goes_on"),
    [
        ((60, 0, 110, 100), 2, 2 / 6, False),  # one body's: most of it lies in the other box
        (APART_XYXY[1], 1, 2 / 6, False),  # seen once: it may be a wrong box
        (APART_XYXY[1], 2, 1.0, False),  # long before
        (APART_XYXY[1], 2, 2 / 6, True),  # the other has a box of their own
    ],
    ids=["nested", "once", "long before", "beside"],
)
def test_a_box_that_grows_is_not_one_of_two(second, lasts, at, goes_on):
    times = (0.0, 1 / 6)
    scene = Scene().see(0, times, 0).see(1, times[-lasts:], None).see(2, [at], 0)
    boxes = [APART_XYXY[0]] * 2 + [second] * lasts + [(0, 0, second[2], 100)]
    if goes_on:
        scene.see(1, [at], None)
        boxes.append(second)
    assert scene.decide(boxes=np.array(boxes, float)).detections[2 + lasts].who == SUBJECT


def test_at_a_cut_to_two_others_a_track_is_still_one_person():
    """Two come into view, at the very place of one who was there before."""
    scene = Scene().see(0, (0.0, 1 / 6), 0).see(1, (2 / 6, 3 / 6), None).see(2, (2 / 6, 3 / 6), 1)
    boxes = np.array([(0, 0, 190, 100)] * 2 + [APART_XYXY[0]] * 2 + [APART_XYXY[1]] * 2, float)
    assert {one.who for one in scene.decide(boxes=boxes).detections[:2]} == {SUBJECT}


def test_two_faces_in_one_body():
    found = Scene().see(0, range(5), 0).see(0, [5], 0, 1).see(0, [6], None).decide()
    assert said(found.detections[5]) == (UNSURE, j.FACE, j.TWO_FACES)
    assert [each.who for each in found.detections].count(SUBJECT) == 6
    always = Scene().see(0, range(5), 0, 1).decide()
    assert said(always.tracks[0]) == (UNSURE, j.NOTHING, j.TWO_FACES)
    small = Scene().see(0, range(5), 0)
    small.put(small.people.faces(1, 1)[0], 0.2)
    assert small.decide().detections[4].who == SUBJECT, "a face far behind is not the body's"


def test_a_match_to_a_negative_rules_out():
    scene = Scene(FACERES).see(0, range(5), 1).see(1, range(100, 105), 0)
    scene.rules = Rules(Thresholds(0.40, 0.35))  # so low that the other would be let in
    assert scene.decide().tracks[0].who == SUBJECT
    scene.negatives = scene.people.faces(1, 3)
    other, subject = scene.decide().tracks
    assert said(other) == (NOT_SUBJECT, j.FACE, j.LIKE_NEGATIVE)
    assert other.score >= other.threshold == 0.40
    assert said(subject) == (SUBJECT, j.FACE, j.LIKE_SUBJECT), "who is clearly more like oneself"


def test_as_like_the_subject_as_a_negative_is_unsure_or_ruled_out():
    scene = Scene()
    for time, face in enumerate(scene.people.faces(0, 9, like=1)):
        scene.see(0, [time]).put(face)
    scene.negatives = scene.people.faces(1, 3)
    (track,) = scene.decide(rules=Rules(Thresholds(0.40, 0.10))).tracks
    assert (track.who, track.why) in {(UNSURE, j.LIKE_BOTH), (NOT_SUBJECT, j.LIKE_NEGATIVE)}


def test_a_mirror_and_a_picture_of_the_subject_are_said():
    scene = Scene().see(0, range(5), 0).see(1, range(5), 0).see(2, range(10, 15), 0)
    found = scene.decide().tracks
    assert [said(each)[::2] for each in found[:2]] == [(UNSURE, j.TWO_AT_ONCE)] * 2
    assert found[2].who == SUBJECT


LEFT, RIGHT = (0, 0, 100, 300), (200, 0, 300, 300)


def turned_by_turns(first, second) -> Decision:
    """Two tracks at once, of which one shows the subject's face while the other shows a back."""
    scene = Scene().see(0, [0, 1], 0).see(0, [2, 3], None).see(1, [0, 1], None).see(1, [2, 3], 0)
    boxes = np.array([first] * 4 + [second] * 4, np.float32)
    return scene.decide(boxes=boxes)


def test_a_mirror_is_one_too_where_no_frame_shows_both_faces():
    """Who looks into it shows the camera a back, and the face in the mirror."""
    assert {one.why for one in turned_by_turns(LEFT, RIGHT).tracks} == {j.TWO_AT_ONCE}


def test_a_head_and_a_body_of_one_person_are_no_mirror():
    head = (20, 0, 80, 60)
    assert {one.who for one in turned_by_turns(LEFT, head).tracks} == {SUBJECT}


def test_one_person_in_two_boxes_is_no_mirror():
    """A detector that boxes head and body apart: of the two one alone has the face in a frame."""
    clip = Scene().see(0, [0, 1], 0).see(0, [2, 3], None).see(1, [0, 1], None).see(1, [2, 3], 0)
    assert [said(one) for one in clip.decide().tracks] == [(SUBJECT, j.FACE, j.LIKE_SUBJECT)] * 2
    both = clip.see(0, [9], 0).see(1, [9], 0)
    assert {one.why for one in both.decide().tracks} == {j.TWO_AT_ONCE}


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (USABLE, (UNSURE, j.FACE, j.UNLIKE_BUT_POOR)),
        (REFUSING, (NOT_SUBJECT, j.FACE, j.UNLIKE)),
    ],
)
def test_poor_faces_name_the_subject_and_rule_nobody_out(weight, expected):
    clip = Scene().see(0, range(4), 0, weight=weight).see(1, range(10, 14), 5, weight=weight)
    found = [said(one) for one in clip.decide(clothes={(0, 1): 0.95}).tracks]
    assert found == [(SUBJECT, j.FACE, j.LIKE_SUBJECT), expected]


def test_of_two_at_once_a_clear_lead_stays_the_subject():
    scene = Scene().see(0, range(6), 0)
    for time, face in enumerate(scene.people.faces(0, 6, like=1)):
        scene.see(1, [time]).put(face)
    first, second = scene.decide(rules=Rules(Thresholds(0.40, 0.36))).tracks
    assert first.who == SUBJECT and said(second)[::2] == (UNSURE, j.TWO_AT_ONCE)


def test_clothes_hand_over_within_one_clip():
    scene = Scene().see(0, range(5), 0).see(1, range(9, 12), None).see(2, range(20, 25), 1)
    found = scene.decide({(0, 1): 0.9, (1, 2): 0.2})
    assert said(found.tracks[1]) == (SUBJECT, j.BODY, j.CLOTHES_MATCH)
    assert (found.tracks[1].score, found.tracks[1].threshold) == (0.9, 0.7)
    assert found.tracks[1].sureness == pytest.approx(0.9 * 0.95**5, abs=1e-4)
    other = scene.decide({(0, 1): 0.2, (1, 2): 0.9})
    assert said(other.tracks[1]) == (NOT_SUBJECT, j.BODY, j.CLOTHES_MATCH)
    assert {each.by for each in found.detections[5:8]} == {j.BODY}


@pytest.mark.parametrize(
    ("alike", "begins", "who"),
    [(0.70, 5, SUBJECT), (0.69, 5, UNSURE), (0.9, 34, SUBJECT), (0.9, 34.5, UNSURE)],
)
def test_clothes_hand_over_so_far_and_no_further(alike, begins, who):
    scene = Scene().see(0, range(5), 0).see(1, [begins, begins + 1], None)
    assert scene.decide({(0, 1): alike}).tracks[1].who == who


def test_clothes_are_handed_over_once():
    scene = Scene().see(0, [0], 0).see(1, range(20, 25), None).see(2, range(40, 45), None)
    found = scene.decide({(0, 1): 0.95, (1, 2): 0.95, (0, 2): 0.95})
    assert [each.who for each in found.tracks] == [SUBJECT, SUBJECT, UNSURE]


def test_clothes_of_two_are_nobody_s():
    scene = Scene().see(0, range(5), 0).see(1, range(6, 9), None).see(2, range(20, 25), 1)
    assert said(scene.decide({(0, 1): 0.9, (1, 2): 0.85}).tracks[1])[::2] == (
        UNSURE,
        j.CLOTHES_OF_TWO,
    )


def test_two_backs_in_the_same_clothes_are_not_both_the_subject():
    scene = Scene().see(0, range(5), 0).see(1, range(6, 9), None).see(2, range(6, 9), None)
    alike = scene.decide({(0, 1): 0.9, (0, 2): 0.88}).tracks
    assert [each.why for each in alike[1:]] == [j.CLOTHES_OF_TWO] * 2
    told_apart = scene.decide({(0, 1): 0.9, (0, 2): 0.72}).tracks
    assert [each.who for each in told_apart[1:]] == [SUBJECT, UNSURE]


def test_who_is_seen_beside_the_subject_is_not_the_subject_whatever_the_clothes():
    scene = Scene().see(0, range(5), 0).see(1, range(3, 9), None)
    found = scene.decide({(0, 1): 1.0}).tracks[1]
    assert said(found) == (UNSURE, j.NOTHING, j.BESIDE_SUBJECT)


def test_not_even_by_the_clothes_that_the_subject_wears_later():
    scene = Scene().see(0, range(5), 0).see(1, range(3, 9), None).see(2, range(12, 15), 0)
    found = scene.decide({(0, 1): 0.2, (1, 2): 1.0, (0, 2): 1.0}).tracks[1]
    assert said(found) == (UNSURE, j.NOTHING, j.BESIDE_SUBJECT)


def test_who_is_seen_beside_somebody_is_not_that_person_whatever_the_clothes():
    scene = Scene().see(0, range(5), 1).see(1, range(3, 9), None)
    assert said(scene.decide({(0, 1): 1.0}).tracks[1]) == (UNSURE, j.NOTHING, j.NO_FACE)


def test_a_person_s_word_stands_and_is_handed_over():
    scene = Scene().see(0, range(3), 1).see(1, range(5, 8), None).see(2, range(3), 0)
    found = scene.decide({(0, 1): 0.9}, reviewed={0: SUBJECT})
    assert said(found.tracks[0]) == (SUBJECT, j.REVIEW, j.REVIEWED)
    assert {(each.by, each.sureness) for each in found.detections[:3]} == {(j.REVIEW, 1.0)}
    assert said(found.tracks[1]) == (SUBJECT, j.BODY, j.CLOTHES_MATCH)
    assert said(found.tracks[2])[::2] == (UNSURE, j.TWO_AT_ONCE)


def test_without_a_template_nobody_is_judged():
    scene = Scene().see(0, range(3), 0).see(1, range(5, 8), None)
    found = decide(scene.sightings(), None, Likeness(np.ones((2, 2)), np.ones((2, 2))), scene.rules)
    assert {said(each) for each in (*found.tracks, *found.detections)} == {
        (UNSURE, j.NOTHING, j.NOBODY_NAMED)
    }


def test_a_clip_without_anybody_and_a_track_of_linking_pictures_alone():
    empty = Sightings(
        np.zeros(0, int), np.zeros(0), Faces(np.zeros((0, 128)), np.zeros(0, int), np.zeros(0))
    )
    template = Template(People(SFACE).faces(0, 3), np.zeros((0, 128)))
    assert decide(
        empty, template, Likeness(np.zeros((0, 0)), np.zeros((0, 0))), Rules(SFACE.thresholds)
    ) == Decision((), ())
    found = Scene().see(1, range(3), 0).decide()
    assert [each.who for each in found.tracks] == [UNSURE, SUBJECT]


def test_changed_names_what_two_sets_of_thresholds_decide_otherwise():
    scene = Scene().see(0, range(3), 0)
    for time, face in enumerate(scene.people.faces(0, 4, like=1), start=100):
        scene.see(1, [time]).put(face)
    scene.see(2, range(200, 203), 1)
    strict, loose = (scene.decide(rules=Rules(Thresholds(a, 0.2))) for a in (0.67, 0.3))
    slightly = scene.decide(rules=Rules(Thresholds(0.671, 0.2)))
    strict_again = scene.decide(rules=Rules(Thresholds(0.67, 0.2)))
    assert changed(strict, strict_again) == [] and strict == strict_again
    assert changed(strict, loose) == [
        i for i, (a, b) in enumerate(zip(strict.detections, loose.detections, strict=True))
        if a.who != b.who
    ]  # fmt: skip
    assert set(range(3, 7)) <= set(changed(strict, loose)) and 7 not in changed(strict, loose)
    assert changed(strict, slightly) == [], "another threshold in the rows is no work on images"


def shuffled(seen: Sightings, order: list[int], face_order: list[int]) -> Sightings:
    back = np.argsort(order)
    faces = Faces(
        seen.faces.embeddings[face_order],
        back[seen.faces.detection[face_order]],
        seen.faces.weights[face_order],
    )
    return Sightings(seen.track[order], seen.time_s[order], faces)


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_detections_and_faces_changes_nothing(random):
    scene = Scene(FACERES).see(0, range(6), 0).see(1, range(3, 9), 1).see(2, range(8, 12), None)
    scene.see(3, range(15, 18), 0, 2).see(4, range(16, 20), 0).see(0, [6], 1)
    seen = scene.sightings()
    order, face_order = list(range(len(seen.track))), list(range(len(seen.faces.weights)))
    random.shuffle(order), random.shuffle(face_order)
    body = np.full((5, 5), 0.8)
    template = Template(scene.members, scene.negatives)
    first = decide(seen, template, Likeness(body, body), scene.rules)
    second = decide(shuffled(seen, order, face_order), template, Likeness(body, body), scene.rules)
    assert second.tracks == first.tracks
    assert second.detections == tuple(first.detections[i] for i in order)


@pytest.mark.parametrize(
    ("side", "score", "yaw", "expected"),
    [
        (40, 1, 0, 1), (300, 0.9, 10, 1), (30, 1, 0, USABLE), (20, 1, 0, 0), (9, 1, 0, 0),
        (96, 0.5, 0, 0), (96, 0.65, 0, 0.5), (96, 1, 55, 0.5), (96, 1, -55, 0.5), (96, 1, 90, 0),
        (30, 1, 55, 0.25), (35, 1, 0, REFUSING),
    ],
)  # fmt: skip
def test_face_weights(side, score, yaw, expected):
    assert face_weight(side, score, yaw) == pytest.approx(expected)
    assert face_weight(side, score, yaw, clarity=0.5) == pytest.approx(expected / 2)


def test_every_why_has_words():
    codes = {
        value
        for name, value in vars(j).items()
        if name.isupper() and isinstance(value, str) and name not in
        {"SUBJECT", "NOT_SUBJECT", "UNSURE", "FACE", "TRACK", "BODY", "SET", "REVIEW", "NOTHING"}
    }  # fmt: skip
    assert codes == set(j.WORDS)
