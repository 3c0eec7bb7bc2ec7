"""What an error spoils: everything up to the next clean key frame, and B-frames made from it."""

from dataclasses import dataclass

import pytest

from scripts.lib.damage import trusted


@dataclass
class Frame:
    is_key: bool
    depends_on_next: bool
    damaged: bool


def frames(text):
    """I, P, B frames in the order shown; a lower-case letter is damaged."""
    return [Frame(c in "Ii", c in "Bb", c.islower()) for c in text]


@pytest.mark.parametrize(
    ("shown", "clean", "why"),
    [
        ("IPPPP", "11111", "nothing is wrong"),
        ("IPpPPIPP", "11000111", "until the next key frame"),
        ("IBBPBBpBBPIP", "111100000011", "B-frames before a damaged P were made from it"),
        ("iPPIP", "00011", "a damaged key frame cleans nothing"),
        ("IPbPP", "11000", "a damaged B-frame counts, too: it may be a reference"),
        ("IpBBI", "10001", "B-frames between a damaged P and a clean key lean on both"),
        ("IPBB", "1111", "B-frames at the end are let go"),
    ],
)
def test_spread_of_damage(shown, clean, why):
    got = "".join(str(int(ok)) for _, ok in trusted(frames(shown)))
    assert got == clean, why


def test_order_and_number_of_frames_stay():
    given = frames("IBBPBpBBBIP")
    assert [f for f, _ in trusted(given)] == given
