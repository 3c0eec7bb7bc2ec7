"""The person gate on mattes whose right answer is drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferrari.matting import person_gate
from ferrari.networks.segmenters import Segmenter

HIGH, WIDE = 300, 200
PERSON = np.s_[60:290, 70:130]
RED = (220, 40, 30)


def drawn(*parts):
    matte = np.zeros((HIGH, WIDE), np.float32)
    for part in parts:
        matte[part] = 1
    return matte


def seen(fine):
    """A crop before a grey scene, in which all that the matte has is red."""
    crop = np.full((HIGH, WIDE, 3), 120, np.uint8)
    crop[fine >= 0.5] = RED
    return crop


def gated(fine, keep_held=True, person=None, crop=None):
    crop = seen(fine) if crop is None else crop
    person = drawn(PERSON) if person is None else person
    return person_gate.limited(fine, person, crop if keep_held else None)


def test_what_stands_beside_the_person_is_taken_away():
    beside = np.s_[100:200, 10:50]
    found = gated(drawn(PERSON, beside))
    assert found.matte_of == "segmenter"
    assert np.array_equal(found.alpha, drawn(PERSON))
    assert (found.held_px, found.removed_px) == (0, 100 * 40)


def test_the_fine_matte_decides_at_the_edge():
    fine = drawn(PERSON)
    fine[57:60, 70:130] = 0.6  # hair, that the person's mask does not have
    found = gated(fine)
    assert np.array_equal(found.alpha, fine)
    assert found.iou == pytest.approx(230 / 233, abs=1e-3)


def test_clothes_that_do_not_stand_out_are_made_whole():
    fine = drawn(PERSON)
    fine[160:200, 70:130] = 0.4
    found = gated(fine)
    assert found.matte_of == "segmenter" and found.alpha[165:195, 80:120].min() == 1
    # Right at the person's edge the fine matte decides.
    assert found.alpha[170, 70] == pytest.approx(0.4)


def test_a_gap_between_arm_and_body_stays_a_gap():
    fine = drawn(PERSON)
    fine[150:200, 95:105] = 0.05
    assert np.array_equal(gated(fine).alpha, fine)


ARM = np.s_[100:140, 126:170]


def without_the_arm(others=(), person=None, fine=None, box=None):
    person = drawn(PERSON, ARM) if person is None else person
    fine = drawn(PERSON) if fine is None else fine
    return person_gate.limited(fine, person, seen(fine), box, others)


def test_an_arm_that_the_fine_matte_lacks_comes_from_the_persons_mask():
    found = without_the_arm()
    assert found.matte_of == "segmenter" and found.iou > 0.8
    assert np.array_equal(found.alpha, drawn(PERSON, ARM))
    assert found.restored_px == 40 * 40


def test_what_the_mask_shows_in_the_box_of_somebody_else_is_not_taken_for_an_arm():
    found = without_the_arm(others=[(125.0, 60.0, 190.0, 290.0)])
    assert np.array_equal(found.alpha, drawn(PERSON)) and found.restored_px == 0
    beyond_the_crop = without_the_arm(others=[(-500.0, -80.0, -10.0, 500.0)])
    assert beyond_the_crop.restored_px == 40 * 40


def test_who_stands_apart_and_was_not_detected_is_no_arm():
    """Their box is in nobody's list, and the network for people is as sure of them."""
    apart = np.s_[90:130, 155:195]
    found = without_the_arm(person=drawn(PERSON, apart))
    assert found.matte_of == "segmenter" and found.restored_px == 0
    assert np.array_equal(found.alpha, drawn(PERSON))


@pytest.mark.parametrize(("right", "restored"), [(170, 1600), (162, 1600), (150, 0), (130, 0)])
def test_an_arm_that_comes_into_the_subjects_box_is_somebody_elses(right, restored):
    """Whoever it belongs to was not detected: nobody's box holds it."""
    found = without_the_arm(box=(68.0, 58.0, float(right), 292.0))
    assert found.restored_px == restored


def test_an_arm_whose_join_the_matte_half_has_is_an_arm():
    fine = drawn(PERSON)
    fine[100:140, 126:133] = np.linspace(0.6, 0.1, 7)
    assert without_the_arm(fine=fine).restored_px > 35 * 40


def test_an_arm_of_which_the_mask_is_not_sure_is_not_taken():
    person = np.maximum(drawn(PERSON), drawn(ARM) * 0.9)
    assert without_the_arm(person=person).restored_px == 0


def test_what_the_mask_has_at_an_edge_alone_is_no_arm():
    thin = drawn(PERSON, np.s_[60:290, 126:142])
    assert without_the_arm(person=thin).restored_px == 0


@pytest.mark.parametrize("gap", [np.s_[150:200, 95:105], np.s_[120:200, 88:108]])
def test_a_gap_within_the_matte_is_no_arm_however_sure_the_mask_is(gap):
    fine = drawn(PERSON, ARM)
    fine[gap] = 0
    found = without_the_arm(fine=fine, person=drawn(PERSON, ARM))
    assert np.array_equal(found.alpha, fine) and found.restored_px == 0


def test_where_the_person_is_not_sure_nothing_is_made_whole():
    fine, unsure = drawn(PERSON), drawn(PERSON) * 0.7
    fine[150:200, 70:130] = 0.6
    assert np.array_equal(gated(fine, person=unsure).alpha, fine)


def test_a_person_that_the_fine_matte_lost_comes_from_the_persons_mask():
    found = gated(drawn(np.s_[60:120, 70:130]))
    assert (found.matte_of, found.iou) == ("person", pytest.approx(60 / 230, abs=1e-3))
    assert np.array_equal(found.alpha, drawn(PERSON))


NEIGHBOUR = np.s_[60:290, 140:196]


def test_a_matte_without_the_neighbour_has_not_lost_the_subject():
    """The mask shows both; where the neighbour's box is not, the two are one."""
    both = drawn(PERSON, NEIGHBOUR)
    fine = drawn(PERSON)
    fine[57:60, 70:130] = 0.6  # hair, that the person's mask does not have
    found = person_gate.limited(fine, both, seen(fine), others=[(140.0, 60.0, 196.0, 290.0)])
    assert found.matte_of == "segmenter" and found.iou == pytest.approx(230 / 233, abs=1e-3)
    assert np.array_equal(found.alpha, fine)
    assert person_gate.limited(fine, both, seen(fine)).matte_of == "person", (
        "nobody said who that is"
    )


def test_a_matte_of_the_neighbour_alone_has_lost_the_subject():
    both = drawn(PERSON, NEIGHBOUR)
    fine, box = drawn(NEIGHBOUR), (140.0, 60.0, 196.0, 290.0)
    found = person_gate.limited(fine, both, seen(fine), others=[box])
    assert (found.matte_of, found.iou) == ("person", 0)


def test_where_others_boxes_hold_most_of_the_person_all_of_the_mask_counts():
    """Two who hug: what is left of the subject says little."""
    nearly_all = [(70.0, 100.0, 130.0, 290.0)]
    legs_lost = drawn(np.s_[60:200, 70:130])
    found = person_gate.limited(legs_lost, drawn(PERSON), seen(legs_lost), others=nearly_all)
    assert (found.matte_of, found.iou) == ("person", pytest.approx(140 / 230, abs=1e-3))


def looked_again(again, first=None, person=None):
    person = drawn(PERSON) if person is None else person
    gate = person_gate.PersonGate(Segmenter("none", "test", "", None), 256, "keep")
    first = drawn(np.s_[60:120, 70:130]) if first is None else first
    before = gate.through(first, person, seen(first))
    assert person_gate.is_lost(before, person)
    return before, gate.second(before, again, person, seen(again))


def test_a_second_look_that_has_the_person_counts():
    again = drawn(PERSON, np.s_[100:200, 10:50])
    again[57:60, 70:130] = 0.6  # hair, that the person's mask does not have
    _, found = looked_again(again)
    assert found.matte_of == "second_look" and found.iou == pytest.approx(230 / 233, abs=1e-3)
    assert found.removed_px == 100 * 40
    assert found.alpha[58, 100] == pytest.approx(0.6) and not found.alpha[150, 30]


def test_where_the_second_look_has_lost_the_person_too_their_mask_stays():
    before, found = looked_again(drawn(np.s_[200:290, 70:130]))
    assert found is before and found.matte_of == "person"


def test_where_nobody_is_no_second_look_is_taken():
    assert not person_gate.is_lost(gated(drawn(np.s_[100:200, 50:150]), person=drawn()), drawn())
    assert not person_gate.is_lost(gated(drawn(PERSON)), drawn(PERSON))


def test_nobody_is_nobody_whatever_stands_out():
    found = gated(drawn(np.s_[100:200, 50:150]), person=drawn())
    assert not found.alpha.any()
    assert (found.matte_of, found.held_px, found.removed_px) == ("person", 0, 100 * 100)


def test_an_empty_crop_stays_empty():
    found = gated(drawn(), person=drawn())
    assert not found.alpha.any()
    assert found.iou == 1


@pytest.mark.parametrize(
    ("thing", "held"),
    [
        (np.s_[150:180, 130:160], True),  # a cup at the hand
        (np.s_[150:180, 160:190], False),  # away from the person
        (np.s_[150:180, 130:200], False),  # goes on beyond the crop: a table
        (np.s_[100:280, 130:190], False),  # nearly as large as the person: a stand
    ],
)
def test_what_is_small_and_touches_the_person_is_held(thing, held):
    fine = drawn(PERSON, thing)
    kept, dropped = gated(fine), gated(fine, keep_held=False)
    assert (kept.held_px > 0) == held
    assert kept.held_px + kept.removed_px == dropped.removed_px > 0
    if held:
        assert np.array_equal(kept.alpha, fine)
    assert np.array_equal(dropped.alpha[PERSON], drawn(PERSON)[PERSON])
    assert dropped.alpha.sum() < fine.sum()


CUP = np.s_[150:180, 130:160]


@pytest.mark.parametrize(
    ("elsewhere", "held"),
    [
        (np.s_[20:40, 10:50], False),  # 800 px of the scene have the colour of the 690 outside
        (np.s_[20:28, 10:50], True),  # 320: less than half
        (np.s_[0:0, 0:0], True),
    ],
)
def test_what_has_the_colours_of_the_scene_is_not_held(elsewhere, held):
    """The stripe of a flag between neck and shoulder, taken for hair."""
    fine = drawn(PERSON, CUP)
    crop = seen(fine)
    crop[elsewhere] = RED
    found = gated(fine, crop=crop)
    assert (found.held_px > 0, found.removed_px > 0) == (held, not held)


@pytest.mark.parametrize(("likely", "held"), [(0.1, False), (0.2, True)])
def test_what_may_be_a_person_is_not_taken_for_scene(likely, held):
    """A sleeve of the wall's colour, of which the network for people is not sure."""
    fine = drawn(PERSON, CUP)
    crop = seen(fine)
    crop[20:40, 10:50] = RED
    found = gated(
        fine, person=np.maximum(drawn(PERSON), drawn(CUP) * np.float32(likely)), crop=crop
    )
    assert (found.held_px > 0) == held


def test_each_thing_is_held_against_the_scene_by_itself():
    stripe = np.s_[100:130, 40:70]
    fine = drawn(PERSON, CUP, stripe)
    crop = seen(fine)
    crop[stripe] = crop[0:60, 0:30] = (30, 40, 220)
    found = gated(fine, crop=crop)
    assert found.alpha[165, 150] == 1 and found.alpha[115, 45] == 0


def red(pictures_rgb, boxes_xyxy=None):
    for picture in pictures_rgb:
        yield (np.abs(picture.astype(int) - RED).sum(2) < 120).astype(np.float32)


@pytest.mark.parametrize("shape", [(300, 200), (90, 310), (128, 128)])
def test_views_lead_back_to_the_crops_own_pixels(shape):
    crop = np.full((*shape, 3), (20, 90, 200), np.uint8)
    truth = np.zeros(shape, np.float32)
    truth[shape[0] // 3 :, shape[1] // 4 : shape[1] // 2] = 1  # off centre: mirrored views differ
    crop[truth > 0] = RED
    gate = person_gate.PersonGate(Segmenter("red", "test", "", red), 256, "keep")
    mask = gate.mask(crop)
    assert (mask.shape, mask.dtype) == (shape, np.float32)
    edge = cv2.dilate(cv2.Canny((truth * 255).astype(np.uint8), 50, 100), np.ones((9, 9))) > 0
    assert np.abs(mask - truth)[~edge].max() < 0.01


def test_each_view_is_a_square_and_every_other_one_its_mirror_image():
    crop = np.random.default_rng(0).integers(0, 255, (90, 60, 3), np.uint8)
    views = person_gate.views(crop, 64)
    assert {view.shape for view in views} == {(64, 64, 3)}
    for plain, mirrored in zip(views[::2], views[1::2], strict=True):
        assert np.array_equal(plain[:, ::-1], mirrored)


def test_a_view_that_misses_the_person_does_not_lose_it():
    seen = [drawn_square(0.9)] * 5 + [np.zeros((64, 64), np.float32)]
    assert person_gate.of_views(seen, 64, 64)[32, 32] == pytest.approx(0.75)


def drawn_square(value):
    square = np.zeros((64, 64), np.float32)
    square[16:48, 16:48] = value
    return square


def test_a_stand_that_an_elbow_meets_is_not_held():
    fine = drawn(PERSON, np.s_[80:230, 150:160], np.s_[150:154, 130:150])
    assert fine.sum() - drawn(PERSON).sum() < 0.15 * drawn(PERSON).sum()
    assert gated(fine).held_px == 0


@pytest.mark.parametrize(
    ("at", "held"),
    [(np.s_[100:120, 45:68], True), (np.s_[0:70, 50:68], False), (np.s_[150:170, 0:69], False)],
)
def test_what_is_held_ends_inside_the_crop(at, held):
    found = gated(drawn(PERSON, at))
    assert (found.held_px > 0, found.removed_px > 0) == (held, not held)
