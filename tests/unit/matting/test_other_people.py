"""Two people in a crop whose pixels are known."""

import cv2
import numpy as np
import pytest

from ferrari.matting import label_cut, other_people
from ferrari.matting.other_people import part

SIZE = (240, 200)  # height, width
BLUE, RED, GREEN = (40, 60, 190), (200, 50, 40), (60, 140, 70)


def person(x, size=1.0):
    """HxW float alpha of a figure whose middle is at `x`: a head, a body, and legs."""
    drawn = np.zeros(SIZE, np.uint8)
    foot = SIZE[0] - 8

    def at(across, up):
        return round(x + across * size), round(foot - up * size)

    cv2.ellipse(drawn, at(0, 200), (round(18 * size), round(22 * size)), 0, 0, 360, 255, -1)
    cv2.rectangle(drawn, at(-36, 178), at(36, 80), 255, -1)
    cv2.rectangle(drawn, at(-28, 80), at(-4, 0), 255, -1)
    cv2.rectangle(drawn, at(4, 80), at(28, 0), 255, -1)
    return drawn / 255.0


def box(alpha, room=1.0):
    """The box of a figure, as a detector gives it: not to the pixel."""
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    return columns[0] - room, rows[0] - room, columns[-1] + 1 + room, rows[-1] + 1 + room


def picture(*layers):
    """HxWx3 uint8: figures (alpha, colour) before a green scene, the nearest last, with grain."""
    drawn = np.tile(np.asarray(GREEN, float), (*SIZE, 1))
    for alpha, colour in layers:
        drawn = np.where(alpha[..., None] > 0, colour, drawn)
    drawn += np.random.default_rng(0).normal(0, 5, drawn.shape)
    return np.clip(drawn, 0, 255).astype(np.uint8)


def errors(alpha, own, theirs):
    """Shares: others' pixels in an alpha, and the subject's pixels that it holds.

    Not counted is the outermost pixel or two at the border, which are the refinement's work.
    """
    inner = cv2.erode((theirs > 0.5).astype(np.uint8), np.ones((5, 5), np.uint8))
    return float((alpha * inner).sum() / alpha.sum()), float((alpha * own).sum() / own.sum())


@pytest.mark.parametrize("in_front", [True, False], ids=["subject in front", "subject behind"])
@pytest.mark.parametrize("aside", [58, -58], ids=["right", "left"])
def test_a_neighbour_who_came_along_is_taken_out(in_front, aside):
    own, theirs = person(100), person(100 + aside)
    if in_front:
        theirs = theirs * (1 - own)
    else:
        own = own * (1 - theirs)
    image = picture((theirs, RED), (own, BLUE))
    both = np.maximum(own, theirs).astype(np.float32)
    came_along = errors(both, own, theirs)[0]
    assert came_along > 0.3
    parted = part(image, both, box(own), [box(theirs)])
    left, kept = errors(parted.limited(both), own, theirs)
    assert left <= 0.001 and kept >= 0.98
    assert parted.others == 1 and parted.unsure_share < 0.01
    assert parted.taken_share == pytest.approx(came_along, abs=0.08)


@pytest.mark.parametrize("wide", [0, 8, 12])
def test_who_is_nearly_all_in_the_subjects_box_is_not_taken_for_absent(wide):
    """One box around two people: the strip of the other's box that it leaves out shows scene."""
    own = person(70)
    theirs = person(120) * (1 - own)
    image = picture((theirs, RED), (own, BLUE))
    both = np.maximum(own, theirs).astype(np.float32)
    x1, y1, x2, y2 = box(theirs)
    around = (box(own)[0], y1, x2, y2)
    parted = part(image, both, around, [(x1, y1, x2 + wide, y2)])
    left, _ = errors(parted.limited(both), own, theirs)
    assert left < 0.002 or parted.unsure_share > 0.01


def test_a_bystander_whom_the_network_left_out_costs_the_subject_nothing():
    """A false alarm: his box reaches deep into the subject's, and not one pixel of him is held."""
    own = person(100)
    theirs = person(150) * (1 - own)
    alpha = own.astype(np.float32)
    parted = part(picture((theirs, RED), (own, BLUE)), alpha, box(own), [box(theirs)])
    assert parted.unsure_share < 0.01 and errors(parted.limited(alpha), own, theirs)[1] > 0.995


def a_hand_between(solid):
    """Somebody's hand in both boxes at the subject's side: their alpha, as `solid` as that, and the
    subject's; and what `part` makes of it.
    """
    own, theirs = person(80), person(160)
    hand = np.zeros(SIZE)
    hand[110:140, 117:130] = 1
    image = picture((theirs, RED), (hand, BLUE), (own, BLUE))
    alpha = np.maximum(own, hand * solid).astype(np.float32)
    x1, y1, x2, y2 = box(own)
    left, top, right, bottom = box(np.maximum(theirs, hand))
    return alpha, hand, part(image, alpha, (x1, y1, x2 + 14, y2), [(left, top, right, bottom)])


@pytest.mark.parametrize("solid", [0.2, 0.5, 0.8])
def test_a_hand_that_the_network_half_takes_for_the_subjects_is_doubt(solid):
    alpha, hand, parted = a_hand_between(solid)
    assert (parted.limited(alpha) * hand).sum() == 0 or parted.unsure_share > 0.01


def test_hair_and_motion_that_are_half_transparent_beside_somebody_are_no_doubt():
    """An edge is soft, and no patch."""
    own, theirs = person(80), person(160)
    alpha = cv2.GaussianBlur(own, (0, 0), 2).astype(np.float32)
    parted = part(picture((theirs, RED), (own, BLUE)), alpha, (20, 10, 125, 235), [box(theirs, 12)])
    assert parted.unsure_share < 0.01


def test_what_is_half_transparent_far_from_others_is_no_doubt():
    own, theirs = person(50), person(160)
    alpha = np.where(np.arange(SIZE[1]) < 40, own * 0.5, own).astype(np.float32)
    parted = part(picture((theirs, RED), (own, BLUE)), alpha, box(own), [box(theirs)])
    assert parted.unsure_share < 0.01


def test_a_small_bystander_within_the_subjects_box_is_taken_out():
    own = person(100)
    theirs = np.roll(person(148, 0.3), -120, axis=0) * (1 - own)
    wide = (40, 5, 165, 235)  # an outstretched arm's box
    both = np.maximum(own, theirs).astype(np.float32)
    parted = part(picture((theirs, RED), (own, BLUE)), both, wide, [box(theirs)])
    left, kept = errors(parted.limited(both), own, theirs)
    assert errors(both, own, theirs)[0] > 0.02 and left <= 0.001 and kept >= 0.98


def test_the_alpha_of_the_wrong_person_is_in_doubt_as_a_whole():
    own, theirs = person(100), person(140)
    own = own * (1 - theirs)
    image = picture((own, BLUE), (theirs, RED))
    parted = part(image, theirs.astype(np.float32), box(own), [box(theirs)])
    assert parted.unsure_share > 0.5


def test_twins_whose_border_nothing_shows_are_in_doubt():
    own, theirs = person(100), person(150)
    theirs = theirs * (1 - own)
    both = np.maximum(own, theirs).astype(np.float32)
    image = picture((theirs, BLUE), (own, BLUE))
    assert part(image, both, box(own), [box(theirs)]).unsure_share > 0.01


def test_without_anybody_else_nothing_is_asked():
    alpha = person(100).astype(np.float32)
    parted = part(picture((alpha, BLUE)), alpha, box(alpha), [])
    assert parted == other_people.NOBODY and parted.limited(alpha) is alpha
    empty = np.zeros(SIZE, np.float32)
    assert part(picture(), empty, box(alpha), [box(alpha)]).taken is None


def test_instances_count_too_where_a_network_knows_them():
    own, theirs = person(100).astype(np.float32), person(150).astype(np.float32)
    assert other_people.by_instances(own, 0.9 * theirs * (1 - own))[1] == 0
    contested = (own > 0) & (theirs > 0)
    taken, unsure = other_people.by_instances(0.8 * own, 0.9 * theirs)
    np.testing.assert_array_equal(taken, theirs > 0)
    assert unsure == pytest.approx(contested.sum() / own.sum())
    image = picture((theirs, RED), (own, BLUE))
    parted = part(image, 0.8 * own, box(own), [box(theirs)], 0.9 * theirs)
    assert parted.taken[theirs > 0].all() and parted.unsure_share >= unsure
    assert parted.told().taken is None and parted.told().others == 1


def test_the_cheapest_border_lies_on_the_edge_of_colours():
    colours = np.zeros((6, 20, 3), np.uint8)
    colours[:, 13:] = 90
    price_first, price_second = np.zeros((6, 20)), np.zeros((6, 20))
    price_second[:, 0], price_first[:, -1] = label_cut.FIXED, label_cut.FIXED
    price_first[2, 5] = 1.0  # one pixel that looks otherwise
    second = label_cut.second_label(colours, np.ones((6, 20), bool), price_first, price_second)
    np.testing.assert_array_equal(second, np.tile(np.arange(20) >= 13, (6, 1)))


def test_pixels_that_are_not_asked_carry_no_border():
    asked = np.ones((4, 9), bool)
    asked[:, 4] = False
    price_first, price_second = np.zeros((4, 9)), np.zeros((4, 9))
    price_second[:, :4], price_first[:, 5:] = 0.1, 0.1
    colours = np.zeros((4, 9, 3), np.uint8)
    second = label_cut.second_label(colours, asked, price_first, price_second)
    np.testing.assert_array_equal(second, np.tile(np.arange(9) > 4, (4, 1)))
    nothing = label_cut.second_label(colours, asked & False, price_first, price_second)
    assert not nothing.any()
