"""People of the generator: who they are, how they are seen, and what the truth says of them."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from ferrari.images import head_pose
from tests.generator import ClipSpec, FigureSpec, cast, render_frame
from tests.generator.body import look_of
from tests.generator.demo import demo_specs
from tests.generator.people import dressed
from tests.generator.spec import VIEWS, view_of

ME = FigureSpec(seed=3, identity=700, framing="half", motion="stand", yaw_deg=0.0, sway=0.0)
CLIP = ClipSpec(seed=4, width=320, height=240, n_frames=40, noise=0.0, figures=(ME,))
#: What a clip of figures without an identity looked like before there were identities.
AS_EVER = np.array([
    [[117, 133, 100], [130, 138, 88], [159, 133, 117], [127, 142, 111]],
    [[139, 90, 136], [135, 119, 111], [119, 90, 99], [117, 137, 98]],
    [[123, 82, 117], [93, 94, 99], [80, 76, 118], [80, 102, 104]],
])  # fmt: skip


def drawn(*figures, frame=0, **how):
    return render_frame(replace(CLIP, figures=figures, **how), frame)


def head(figure, **how):
    """The pixels of a person's face."""
    found = drawn(figure, **how)
    x1, y1, x2, y2 = (round(edge) for edge in found.people[0].face_xyxy)
    return found.frame_rgb[y1:y2, x1:x2].astype(int)


def test_a_figure_without_an_identity_is_drawn_as_ever():
    figures = (
        FigureSpec(seed=12, framing="full", motion="walk", blend=0.2),
        FigureSpec(seed=4, framing="half", motion="wave", x=0.25),
    )
    found = render_frame(ClipSpec(seed=9, width=160, height=120, figures=figures), 7)
    small = cv2.resize(found.frame_rgb, (4, 3), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - AS_EVER).max() <= 1
    assert found.boxes_xyxy == ((74, 17, 111, 114), (0, 0, 76, 120))
    assert [person.identity for person in found.people] == [None, None]
    assert all(person.face_xyxy is None for person in found.people)


def test_clothes_change_and_the_person_stays():
    one, other = dressed(700, 1), dressed(700, 2)
    assert one.face == other.face and one.skin == other.skin and one.shoulder == other.shoulder
    assert one.top_rgb != other.top_rgb and one.top_rgb == look_of(1).top_rgb
    assert dressed(701, 1).face != one.face and dressed(701, 1).top_rgb == one.top_rgb
    same = np.abs(head(ME) - head(replace(ME, outfit=77))).mean()
    other = np.abs(head(ME) - cv2.resize(head(replace(ME, identity=703)).astype(np.uint8),
                                         head(ME).shape[1::-1]).astype(int)).mean()  # fmt: skip
    assert same < 2 < 10 < other


def test_every_person_looks_different_at_48_px():
    """No two of 40 faces, shrunk to 24 px, are nearly the same picture."""
    faces = [
        cv2.resize(head(replace(ME, identity=identity)).astype(np.uint8), (24, 24)).astype(int)
        for identity in range(600, 640)
    ]
    least = min(
        np.abs(one - other).mean() for k, one in enumerate(faces) for other in faces[k + 1 :]
    )
    assert least > 4


@pytest.mark.parametrize(
    ("yaw_deg", "view"),
    [(0, "front"), (-24, "front"), (40, "three-quarter"), (-90, "profile"), (180, "back"),
     (-130, "back"), (370, "front")],
)  # fmt: skip
def test_the_view_and_the_turn_are_stated(yaw_deg, view):
    (person,) = drawn(replace(ME, yaw_deg=float(yaw_deg))).people
    assert person.view == view_of(yaw_deg) == view and view in VIEWS
    assert person.yaw_deg == pytest.approx((yaw_deg + 180) % 360 - 180)
    if abs(person.yaw_deg) < 60:
        assert head_pose.pose(person.landmarks_xy).yaw == pytest.approx(person.yaw_deg, abs=10)
    assert (person.face_xyxy is None) == (abs(person.yaw_deg) > 70)


def test_a_person_turns_and_travels_as_the_spec_says():
    figure = replace(ME, turn_deg_s=90.0, travel=0.25)
    first, later = (drawn(figure, frame=k, fps="25").people[0] for k in (0, 25))
    assert later.yaw_deg - first.yaw_deg == pytest.approx(90)
    middles = [(p.box_xyxy[0] + p.box_xyxy[2]) / 2 for p in (first, later)]
    assert middles[1] - middles[0] == pytest.approx(0.25 * CLIP.width, abs=12)


def test_who_stands_behind_is_seen_in_part():
    behind, before = replace(ME, x=0.5), replace(ME, identity=701, x=0.52)
    hidden, whole = drawn(behind, before).people
    assert whole.visible_share == pytest.approx(1) and whole.face_share == pytest.approx(1)
    assert hidden.visible_share < 0.5 and hidden.face_share < 0.5
    alone = drawn(behind).people[0]
    assert alone.visible_share == pytest.approx(1)
    assert hidden.alpha_u8.sum() == pytest.approx(hidden.visible_share * alone.alpha_u8.sum())


def test_a_poster_stands_still_and_a_mirror_moves():
    hung = replace(ME, motion="wave", panel=(0.5, 0.1, 0.9, 0.8))
    for shown, moves in (("poster", False), ("mirror", True)):
        early, late = (
            drawn(replace(hung, shown=shown), frame=k, light=0.0).people[0] for k in (0, 9)
        )
        assert early.shown == shown
        assert (np.abs(early.alpha_u8.astype(int) - late.alpha_u8).max() > 50) == moves
        x1, y1, x2, y2 = early.box_xyxy
        assert x1 >= 160 and x2 <= 288 and y1 >= 24 and y2 <= 192


def test_a_mirror_turns_left_and_right_about():
    hung = replace(ME, shown="mirror", yaw_deg=30.0, panel=(0.5, 0.1, 0.9, 0.8))
    (seen,) = drawn(hung).people
    assert seen.yaw_deg == pytest.approx(-30)
    assert head_pose.pose(seen.landmarks_xy).yaw == pytest.approx(-30, abs=10)
    right_eye, left_eye = seen.landmarks_xy[:2]
    assert right_eye[0] < left_eye[0]


def test_specs_of_people_survive_json_text():
    for clip in cast.many_people().values():
        assert ClipSpec.from_json(json.loads(json.dumps(clip.spec.to_json()))) == clip.spec


def test_the_demo_has_one_subject_and_names_what_becomes_of_everybody():
    me = cast.subject_of(0)
    for name, spec in demo_specs().items():
        assert {figure.identity for figure in spec.figures} == {me}, name
    outfits = {figure.seed for spec in demo_specs().values() for figure in spec.figures}
    assert len(outfits) == len(demo_specs())
    for name, clip in cast.many_people().items():
        planted = {one.figure: one for one in clip.planted}
        assert sorted(planted) == list(range(len(clip.spec.figures))), name
        for number, figure in enumerate(clip.spec.figures):
            live = figure.identity == me and figure.shown == "live"
            assert live or planted[number].becomes != cast.KEPT, name
            assert bool(planted[number].trap) == (planted[number].becomes != cast.KEPT), name
