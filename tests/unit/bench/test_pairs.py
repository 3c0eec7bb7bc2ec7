"""The measurement of several people in a crop, against answers known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from bench import identity_composed as composed
from bench import pairs
from bench.identity_composed import HEIGHT, WIDTH, Actor, Role, Scene
from bench.pairs import Left, Subject
from ferrari.images import image_files


def actor(colour: tuple[int, int, int]) -> Actor:
    """A rectangle 40 by 120, whose face is 20 px wide, 10 px below the top."""
    picture = np.full((120, 40, 4), (*colour, 255), np.uint8)
    return Actor([picture], np.array([[10.0, 10.0, 30.0, 34.0]]))


CAST = {"red": actor((255, 0, 0)), "blue": actor((0, 0, 255))}


def test_each_pixel_is_of_one_role_and_shows_its_colour():
    """Red stands before blue, and covers half of it."""
    roles = [Role("blue", composed.still(0.52), 40), Role("red", composed.still(0.5), 40)]
    image, shown = composed.picture(Scene("two", roles, seed=3), CAST, 0)
    (back, blue), (front, red) = shown
    assert (back.who, front.who) == ("blue", "red") and image.shape == (HEIGHT, WIDTH, 3)
    assert (blue + red).max() <= 1 + 1e-6 and not (blue * red > 0.3).any()
    assert 0.1 * red.sum() < blue.sum() < 0.7 * red.sum()
    assert image[red > 0.99].mean(0) == pytest.approx([254, 0, 0], abs=3)
    assert image[blue > 0.99].mean(0) == pytest.approx([0, 0, 254], abs=3)


def masks() -> tuple[np.ndarray, np.ndarray]:
    """100 x 100: the subject in columns 10 to 50, somebody else in 50 to 90."""
    own, others = np.zeros((100, 100)), np.zeros((100, 100))
    own[:, 10:50], others[:, 50:90] = 1, 1
    return own, others


@pytest.mark.parametrize(
    ("columns", "others", "inner", "covered"),
    [
        (slice(10, 50), 0.0, 0.0, 1.0),
        (slice(10, 51), 1 / 41, 0.0, 40 / 41),  # the edge between them
        (slice(10, 60), 10 / 50, 8 / 50, 40 / 50),
        (slice(50, 90), 1.0, None, 0.0),  # the wrong one
        (slice(0, 50), 0.0, 0.0, 40 / 50),  # scene is nobody's
    ],
)
def test_what_is_left_of_others_in_a_cut_out(tmp_path, columns, others, inner, covered):
    rgba = np.zeros((100, 100, 4), np.uint8)
    rgba[:, columns, 3] = 255
    path = tmp_path / "one.png"
    image_files.write_checked(path, image_files.encode_png(rgba), rgba.shape)
    row = {"outcome": "kept", "reason": "", "path": "one.png"}
    found = pairs.left(Subject("hug", *masks(), apart=False), row, tmp_path)
    assert (found.others, found.iou) == (pytest.approx(others), pytest.approx(covered))
    if inner is not None:
        assert found.inner == pytest.approx(inner, abs=0.01)


def test_the_table_counts_what_is_refused_apart_and_means_are_over_what_is_kept():
    own, others = masks()
    subjects = {name: Subject("hug", own, others, apart=name == "a") for name in "abcd"}
    found = {
        "a": Left("", 0.002, 0.001, 0.97),
        "b": Left("", 0.0, 0.0, 0.91),
        "c": Left("OTHER_PERSON"),
        "d": Left("EMPTY_MASK"),
    }
    lines = pairs.table(subjects, found).splitlines()
    cells = [cell.strip() for cell in lines[-1].strip("|").split("|")]
    assert cells[:5] == ["all", "4", "2", "1", "1"]
    assert cells[5:9] == ["0.100%", "0.200%", "0.050%", "0.100%"]
    assert cells[9:] == ["0.970", "0.970", "0.910", "0.910"]
    assert next(line for line in lines if line.startswith("| cross")).count("-") == 8


def test_contenders_stand_side_by_side_a_line_each():
    subjects = {"a": Subject("hug", *masks(), apart=False)}
    found = {"ours": {"a": Left("OTHER_PERSON")}, "theirs": {"a": Left("", 0.25, 0.2, 0.75)}}
    ours, theirs = pairs.side_by_side(subjects, found).splitlines()[-2:]
    assert ours.startswith("| ours | 1 | 0 | 1 | 0 | - |")
    assert theirs.startswith("| theirs | 1 | 1 | 0 | 0 | 25.000% | 25.000% | 20.000% |")


def test_an_actor_keeps_edges_and_loses_veils_and_things_beside():
    picture = np.full((60, 60, 4), 200, np.uint8)
    picture[..., 3] = 0
    picture[10:50, 10:30, 3] = 255
    picture[10:50, 30:33, 3] = 120  # an edge
    picture[10:50, 45:55, 3] = 120  # a veil over the room behind
    picture[52:58, 10:30, 3] = 255  # a plank
    cleaned = pairs.solid(Actor([picture], np.zeros((1, 4)))).pictures[0]
    assert (cleaned[10:50, 30:33, 3] == 120).all() and not cleaned[:, 45:, 3].any()
    assert not cleaned[57:, :, 3].any()
    assert (cleaned[..., :3] == picture[..., :3]).all()
