"""The measurement of identity, against answers known beforehand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench import (
    identity_backs,
    identity_cast,
    identity_given,
    identity_heads,
    identity_losses,
    identity_tracks,
)
from bench import identity_composed as composed
from bench import identity_rates as rates
from bench.identity_cases import NOBODY, Case, composed_case, tried
from bench.identity_composed import HEIGHT, MIRROR, SELF, WIDTH, Actor, Composed, Role, Scene
from bench.identity_drawn import drawn_case
from bench.identity_look import Looked
from bench.identity_people import PEOPLE
from bench.identity_scores import Scores, among, fitted
from bench.identity_tables import Counted, by_largest, ranked
from bench.measure import PeerMissingError
from ferrari.subject import judgements as j
from ferrari.subject.judgements import Rules
from ferrari.subject.templates import Template
from tests.generator.cast import many_people, subject_of
from tests.generator.render import render_frame
from tests.unit.subject.people import SFACE, People

# --- figures --------------------------------------------------------------------------------------


def test_none_of_598_is_a_half_per_cent_at_most():
    assert rates.upper_bound(0, 598) == pytest.approx(0.005, abs=2e-5)
    assert rates.upper_bound(0, 0) == rates.upper_bound(3, 3) == 1.0
    assert rates.upper_bound(1, 100) == pytest.approx(0.0466, abs=1e-4)


def test_area_and_equal_error():
    own, others = np.array([0.9, 0.8, 0.4]), np.array([0.5, 0.3, 0.2])
    assert rates.area(own, others) == pytest.approx(8 / 9)
    error, at = rates.equal_error(own, others)
    assert error == pytest.approx(1 / 3) and 0.4 <= at <= 0.8
    assert rates.area(own, own) == pytest.approx(0.5)
    assert rates.det(own, others, [0.45]) == [(0.45, pytest.approx(1 / 3), pytest.approx(1 / 3))]


def test_purity_and_recall_count_appearances_that_were_never_found():
    score = np.array([0.9, 0.8, 0.7, 0.6, -np.inf])
    own = np.array([True, True, False, True, True])
    assert rates.purity_at_recall(score, own, 5, 0.4) == 1.0
    assert rates.purity_at_recall(score, own, 5, 0.6) == 0.75
    assert rates.purity_at_recall(score, own, 5, 0.8) is None  # one is never accepted
    assert rates.recall_at_purity(score, own, 5, 1.0) == 0.4
    assert rates.recall_at_purity(score, own, 5, 0.75) == 0.6


def test_equal_scores_are_accepted_together():
    score, own = np.array([0.5, 0.5]), np.array([True, False])
    assert rates.recall_at_purity(score, own, 1, 1.0) is None


def test_an_interval_is_by_clip():
    clips = ["a"] * 50 + ["b"] * 50
    right = np.array([1.0] * 50 + [0.0] * 50)
    low, high = rates.by_clip(clips, lambda places: float(right[places].mean()))
    assert (low, high) == (0.0, 1.0)  # two clips say nothing, however many images they have


def test_thresholds_lie_between_strangers_and_own():
    score = np.array([0.9, 0.8, 0.1, 0.2])
    names = [np.array(n) for n in (["a", "b", "a", "b"], ["a", "b", "b", "a"], ["x"] * 4)]
    tracks = Scores(score, *names, np.zeros(4), np.zeros(4))
    found = fitted(tracks)
    assert found.above == pytest.approx(0.5, abs=0.01) and 0.1 < found.below < 0.2
    assert len(among(tracks, ["a"]).score) == 1


# --- composed clips -------------------------------------------------------------------------------


def actor(colour: tuple[int, int, int]) -> Actor:
    """A rectangle 40 by 120, whose face is 20 px wide, 10 px below the top."""
    picture = np.full((120, 40, 4), (*colour, 255), np.uint8)
    return Actor([picture], np.array([[10.0, 10.0, 30.0, 34.0]]))


CAST = {"red": actor((255, 0, 0)), "blue": actor((0, 0, 255))}


def filmed(tmp_path, *roles: Role) -> Composed:
    return composed.film(Scene("a-red-blue", roles, 3, seconds=1), CAST, tmp_path)


def test_boxes_are_where_people_are_drawn(tmp_path):
    clip = filmed(tmp_path, Role("red", composed.still(0.5), 40))
    (shown,) = clip.truth[0]
    scale = composed._SCALE * 40 / 20
    wide, high = 40 * scale / WIDTH, min(1, 120 * scale / HEIGHT)
    x1, y1, x2, y2 = shown.box
    assert (x1 + x2) / 2 == pytest.approx(0.5, abs=0.005) and x2 - x1 == pytest.approx(
        wide, abs=0.01
    )
    assert y2 == 1.0 and y2 - y1 == pytest.approx(high, abs=0.02) and shown.visible > 0.99


def test_who_stands_behind_is_seen_in_part(tmp_path):
    clip = filmed(
        tmp_path, Role("red", composed.still(0.5), 40), Role("blue", composed.still(0.55), 40)
    )
    behind, before = clip.truth[0]
    assert (behind.who, before.who) == ("red", "blue")
    assert 0.2 < behind.visible < 0.8 < before.visible


def test_somebody_who_is_away_is_not_there(tmp_path):
    clip = filmed(tmp_path, Role("red", composed.still(0.5), 40, present=lambda at: at > 0.5))
    assert not clip.truth[0] and clip.truth[-1]


def test_a_file_that_is_there_stays_and_its_truth_is_known(tmp_path):
    role = Role("red", composed.walk(0.2, 0.8), 40)
    first = filmed(tmp_path, role)
    before = first.path.read_bytes()
    again = filmed(tmp_path, role)
    assert again.path.read_bytes() == before
    assert [[s.box.tolist() for s in f] for f in again.truth] == [
        [s.box.tolist() for s in f] for f in first.truth
    ]


def test_a_painted_body_is_not_of_the_film(tmp_path):
    part = composed._filmed_part(np.ones((100, 50), np.float32), np.array([10, 10, 30, 30]))
    assert part.sum(axis=1).tolist() == [50.0] * 68 + [0.0] * 32  # 1.6 heights of the face
    (shown,) = filmed(tmp_path, Role("red", composed.still(0.5), 40)).truth[0]
    wide, high = (shown.box[2:] - shown.box[:2]) * [composed.WIDTH, composed.HEIGHT]
    assert 0 < shown.filmed_px < min(wide, high) or shown.filmed_px == wide < high


# --- cases ----------------------------------------------------------------------------------------


def looked(boxes: list[list[float]], faces: dict[int, np.ndarray], tracks: list[int]) -> Looked:
    """One kept frame; faces of 80 px by the place of their detection."""
    count, many = len(boxes), len(faces)
    return Looked(
        time_s=np.zeros(1),
        kept=np.ones(1, bool),
        frame=np.zeros(1, int),
        view=np.zeros(count, int),
        box=np.array(boxes).reshape(-1, 4),
        confidence=np.ones(count),
        track=np.array(tracks, int),
        short_px=np.full(count, 200.0),
        face_of=np.array(list(faces), int),
        score=np.ones(many),
        yaw=np.zeros(many),
        side_px=np.full(many, 80.0),
        face_box=np.zeros((many, 4)),
        sface=np.array(list(faces.values()), np.float32).reshape(-1, SFACE.length),
        faceres=np.zeros((many, 1), np.float32),
        clarity=np.ones(many),
        looks=np.eye(max(tracks, default=-1) + 1, 8, dtype=np.float32),
    )


@pytest.fixture
def case(tmp_path) -> Case:
    """Red, the mirror's red, and a box of nobody's."""
    clip = filmed(
        tmp_path, Role("red", composed.still(0.2), 80), Role("red", composed.still(0.8), 80, MIRROR)
    )
    people = People(SFACE)
    boxes = [shown.box.tolist() for shown in clip.truth[0]]
    face = people.faces(0, 1)[0]
    seen = looked([*boxes, [0.4, 0.0, 0.45, 0.1]], {0: face, 2: people.faces(3, 1)[0]}, [0, 1, 2])
    return composed_case(clip, seen)


def test_a_case_knows_who_is_in_which_box(case):
    assert case.who.tolist() == ["red", "red", NOBODY]
    assert case.kind.tolist() == [SELF, MIRROR, NOBODY]
    assert case.there == {"red": {0}}


def test_a_trial_counts_the_person_the_picture_and_the_others(case):
    people = People(SFACE)
    template = Template(people.faces(0, 6), people.faces(0, 0))
    trial = tried(case, "red", template, Rules(SFACE.thresholds), "sface")
    assert [one.who for one in trial.decision.detections] == [j.SUBJECT, j.UNSURE, j.NOT_SUBJECT]
    counted = Counted()
    counted.add(trial, np.ones(3, bool))
    assert (counted.own, counted.picture, counted.other) == (1, 1, 1)
    assert (counted.recall, counted.purity) == (1.0, pytest.approx(2 / 3))
    score, own, there, _ = ranked([trial])
    assert own.tolist() == [True] and score[0] > 0.5 and there == 1


def test_largest_takes_one_of_a_frame(case):
    people = People(SFACE)
    template = Template(people.faces(0, 6), people.faces(0, 0))
    boxes = case.looked.box.copy()
    boxes[1] *= [1, 0, 1, 1]
    case = replace(case, looked=replace(case.looked, box=boxes))
    trial = tried(case, "red", template, Rules(SFACE.thresholds), "sface")
    assert by_largest(trial).tolist() == [False, True, False]


# --- what is lost, tracks, drawn people -----------------------------------------------------------


def test_a_lost_picture_has_its_cause(case):
    people = People(SFACE)
    template = Template(people.faces(0, 6), people.faces(0, 0))
    rules = Rules(SFACE.thresholds)
    assert list(identity_losses.lost(tried(case, "red", template, rules, "sface"))) == []
    stranger = Template(people.faces(9, 6), people.faces(0, 0))
    (why,) = identity_losses.lost(tried(case, "red", stranger, rules, "sface"))
    assert why == f"{j.NOT_SUBJECT}: {j.UNLIKE}"
    nobody = replace(case, who=np.full(3, NOBODY, object))
    (why,) = identity_losses.lost(tried(nobody, "red", template, rules, "sface"))
    assert why == identity_losses.NO_BOX
    turned = replace(nobody, backs={"red": frozenset([0])})
    (why,) = identity_losses.lost(tried(turned, "red", template, rules, "sface"))
    assert why == identity_losses.NO_BOX_BACK
    small = replace(case, looked=replace(case.looked, short_px=np.full(3, 50.0)))
    (why,) = identity_losses.lost(tried(small, "red", template, rules, "sface"))
    assert why == identity_losses.SMALL


def seen_as_it_is(clip: Composed, tracks_of) -> Looked:
    """Every frame, with the true boxes; `tracks_of` a frame's number gives their tracks."""
    boxes = [shown.box.tolist() for frame in clip.truth for shown in frame]
    view = np.repeat(np.arange(len(clip.truth)), [len(frame) for frame in clip.truth])
    tracks = [track for number in range(len(clip.truth)) for track in tracks_of(number)]
    count = len(clip.truth)
    return replace(
        looked(boxes, {}, tracks),
        time_s=np.arange(count) / 6,
        kept=np.ones(count, bool),
        frame=np.arange(count),
        view=view,
    )


def test_tracks_of_a_composed_clip_are_held_against_who_is_there(tmp_path):
    clip = filmed(
        tmp_path, Role("red", composed.still(0.2), 40), Role("blue", composed.still(0.8), 40)
    )
    true = composed_case(clip, seen_as_it_is(clip, lambda number: (0, 1)))
    swapped = composed_case(
        clip, seen_as_it_is(clip, lambda number: (0, 1) if number < 3 else (1, 0))
    )
    for case, switches in ((true, 0), (swapped, 2)):
        table = identity_tracks.table([clip], {clip.path.stem: case})
        baseline, ours = table.rows[0], table.rows[1]
        assert baseline[1:7] == (1, 2, 2, 0, 0, 1.0) and ours[5] == switches
        assert (ours[6] == 1.0) == (switches == 0)


def test_a_head_from_behind_covers_the_face_and_little_else():
    """A person of 120 x 240 px in white, whose face is 40 px wide; the head is green."""
    rgba = np.full((240, 120, 4), 255, np.uint8)
    face = np.array([40.0, 60.0, 80.0, 112.0])
    head = np.dstack([np.full((70, 50), one, np.uint8) for one in (0, 128, 0, 255)])
    made = composed._turned(rgba, face, head)
    green = (made[..., :3] == [0, 128, 0]).all(-1)
    assert green[60:105, 40:80].mean() > 0.9 and green[45:60, 50:70].mean() > 0.9
    assert (made[:40] == 255).all() and (made[140:] == 255).all(), "the body stays"
    assert (composed._turned(rgba, face, None)[60:112, 40:80, 1] != 128).any(), "paint alone"


def whole(height: int, wide: int, at: int, shade: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture, 300 px high, of somebody whose middle is `at`, and the alpha."""
    alpha = np.zeros((300, 200), np.float32)
    alpha[20 : 20 + height, at - wide // 2 : at + wide // 2] = 1
    return np.full((300, 200, 3), shade, np.uint8), alpha


def turner() -> Actor:
    """From the front 200 px high with a face of 20 x 24, 8 px below the crown; from behind half as
    high, since twice as far away, and grey.
    """
    picture, alpha = whole(200, 60, 100, 255)
    front = composed.actor([picture], [alpha], [(90.0, 28.0, 110.0, 52.0)])
    picture, alpha = whole(100, 30, 60, 128)
    return composed.with_backs(front, [picture] * 2, [alpha, np.zeros_like(alpha)])


def test_of_film_from_behind_the_head_is_where_the_face_was():
    made = turner()
    assert not made.painted and made.faces_xyxy.tolist() == [[20, 8, 40, 32]]
    assert len(made.behind) == 1, "nobody is in the second"
    assert made.heads_xyxy.tolist() == [[9.5, 4, 19.5, 16]]  # half of the size
    pictures, boxes = made.drawn(True)
    assert pictures is made.behind and boxes is made.heads_xyxy
    assert made.outlines(True)[0] is made.behind and made.drawn(False)[0] is made.pictures


def test_who_turns_is_as_large_from_behind_and_is_drawn_from_behind(tmp_path):
    role = Role("grey", composed.still(0.5), 40, back_from=0.5)
    cast = {"grey": turner()}
    scene = Scene("turns-grey", [role], 3, seconds=1)
    clip = composed.film(scene, cast, tmp_path)
    (front,), (back,) = clip.truth[0], clip.truth[-1]
    assert (front.back, back.back) == (False, True)
    assert back.box == pytest.approx(front.box, abs=0.02)
    frame, ((_, part),) = composed.picture(scene, cast, 5)
    assert abs(float(np.median(frame[part > 0.9])) - 128) < 4
    assert back.filmed_px > 60, "nothing of them is painted"


def test_a_body_is_painted_below_those_alone_who_reach_the_edge():
    picture, alpha = whole(280, 60, 100, 255)
    face = (90.0, 28.0, 110.0, 52.0)
    made = composed.actor([picture], [alpha], [face])
    assert made.painted and len(made.pictures[0]) == 280 - 2 + round(1.6 * 24)
    behind = composed.with_backs(made, [picture], [alpha])
    assert len(behind.behind[0]) == len(made.pictures[0])
    assert behind.heads_xyxy[0] == pytest.approx(made.faces_xyxy[0], abs=0.6)


def test_cut_outs_are_kept_with_what_is_filmed_from_behind():
    for made in (turner(), CAST["red"]):
        again = identity_cast._actor(identity_cast._arrays(made))
        assert again.painted == made.painted and len(again.behind) == len(made.behind)
        for back in (False, True):
            for one, other in zip(again.outlines(back), made.outlines(back), strict=True):
                assert np.array_equal(np.array(one), np.array(other))


def test_a_cast_of_ones_own_has_a_front_and_a_back_of_each(tmp_path):
    with pytest.raises(PeerMissingError, match="0 people"):
        identity_given.people_in(tmp_path / "away")
    for name in ("a_front.mp4", "b_front.mp4", "c_front.mkv", "a_back.mp4", "b_back.mp4"):
        (tmp_path / name).touch()
    with pytest.raises(PeerMissingError, match="of c only"):
        identity_given.people_in(tmp_path)
    (tmp_path / "c_back.mp4").touch()
    (tmp_path / "notes.txt").touch()
    found = identity_given.people_in(tmp_path)
    assert list(found) == ["a", "b", "c"] and found["c"].front.name == "c_front.mkv"
    (tmp_path / "a_front.json").write_text("what the camera says")
    assert identity_given.people_in(tmp_path) == found, "no film"
    (tmp_path / "a_front.mkv").write_text("another")
    with pytest.raises(PeerMissingError, match=r"one name: a_front\.mkv and a_front\.mp4\. Leave"):
        identity_given.people_in(tmp_path)


def test_of_another_cast_nothing_is_taken_that_was_made_of_this_one(tmp_path):
    """Another film of the same name gave the cut-outs and clips of the one before."""
    folder, work = tmp_path / "cast", tmp_path / "work"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}_front.mp4").write_text(f"front of {name}")
        (folder / f"{name}_back.mp4").write_text(f"back of {name}")

    def place():
        return identity_given.place_of(identity_given.people_in(folder), work)

    places = [place(), place()]
    assert len(set(places)) == 1 and places[0].parent == work
    (folder / "b_back.mp4").write_text("another")
    places.append(place())
    for end in ("front", "back"):
        (folder / f"d_{end}.mp4").write_text("one more")
    places.append(place())
    assert len(set(places)) == 3


@pytest.mark.parametrize("count", [3, 4, 11])
def test_the_three_of_a_scene_are_three(count):
    names = [f"p{n}" for n in range(count)]
    trios = identity_cast.trios(names, quick=False)
    assert [trio[0] for trio in trios] == names and all(len(set(trio)) == 3 for trio in trios)


def test_everybody_has_a_head_from_behind():
    assert {identity_heads.of(who) for who in PEOPLE} == set(identity_heads._FRAMES)


def test_a_drawn_clip_knows_who_is_in_which_box():
    many = many_people(31)["poster_stranger.mp4"]
    people = render_frame(many.spec, 0).people
    size = np.tile([many.spec.width, many.spec.height], 2)
    boxes = [(np.array(one.box_xyxy) / size).tolist() for one in people]
    case = drawn_case("31-poster_stranger.mp4", many.spec, looked(boxes, {}, [0, 1]))
    kinds = {"live": SELF, "poster": "poster"}
    assert case.kind.tolist() == [kinds[one.shown] for one in people]
    assert case.who.tolist() == [str(one.identity) for one in people]
    assert case.there == {str(subject_of(31)): {0}} and case.group == "poster_stranger"


def test_of_real_backs_those_count_that_are_seen_found_or_not():
    """Five kept frames: a box, two of them of one frame, one told by eye, nobody, and the film."""
    some = replace(
        looked([[0, 0, 1, 1]] * 3, {}, [0, 0, 0]),
        kept=np.array([True, True, True, True, False]),
        frame=np.array([10, 20, identity_backs.MISSED[0], 40, 50]),
        view=np.array([0, 1, 1]),
        short_px=np.array([200.0, 40.0, 50.0]),
    )
    (row,) = identity_backs.found(some).rows
    assert row[1:] == (3, 2, 1, pytest.approx(2 / 3))


def test_a_face_in_one_frame_names_the_backs_of_its_track_and_of_nobody_else():
    """The first of the six in two tracks of three images and one, in other clothes; the second."""
    seen = looked([[0, 0, 1, 1]] * 5, {}, [0, 0, 0, 1, 2])
    some = replace(
        seen,
        time_s=np.array([1.0, 1.5, 2.0, 19.0, 40.0]),
        kept=np.ones(5, bool),
        frame=np.arange(5),
        view=np.arange(5),
        short_px=np.full(5, 200.0),
    )
    one, two, every = identity_backs.carried(some, Rules(SFACE.thresholds)).rows
    assert one == ("person 1", 4, pytest.approx((3 * 3 + 1) / 16), 1, 3, 0)
    assert two == ("person 2", 1, 1.0, 1, 1, 0)
    assert every[1:] == (5, pytest.approx(3.5 / 5), 2, 4, 0)
