"""Embeddings, neighbours, choice and splits on made-up cut-outs with a known truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferrari.curation import coverage_selection, embeddings, neighbours, selection_plan, splits
from tests.generator.figure import draw_figure, place
from tests.generator.spec import FigureSpec

CLIPS = [f"clip-{number:010x}" for number in range(200)]


def figure(seed: int, motion: str, time_s: float, framing="half", shot=0) -> np.ndarray:
    """A drawn figure's cut-out, 480x480x4 uint8 with straight alpha."""
    canvas = np.zeros((480, 480, 4), np.uint8)
    spec = FigureSpec(seed=seed, framing=framing, motion=motion)
    draw_figure(canvas, spec, place(spec, time_s, shot, 480, 480), (128, 128, 128))
    alpha = canvas[..., 3:].astype(float)
    rgb = np.where(alpha > 0, canvas[..., :3] * 255.0 / np.maximum(alpha, 1), 0)
    return np.dstack([np.clip(rgb, 0, 255), alpha]).astype(np.uint8)


def box_of(rgba: np.ndarray) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.boundingRect((rgba[..., 3] >= 128).astype(np.uint8))
    return x, y, x + width, y + height


def vector(rgba: np.ndarray) -> np.ndarray:
    return embeddings.decode(embeddings.described(rgba, box_of(rgba))["embedding"])


def planted(rng, sizes, clips=20):
    """Embeddings around one random mode for each of `sizes`; the modes; clips by turns."""
    modes = rng.integers(-60, 60, (len(sizes), embeddings.LENGTH))
    mode = np.repeat(np.arange(len(sizes)), sizes)
    vectors = modes[mode] + rng.integers(-3, 4, (len(mode), embeddings.LENGTH))
    return vectors.astype(np.int8), mode, np.arange(len(mode)) % clips


def test_the_small_picture_is_the_subject_on_grey_to_the_last_level():
    """White is in the middle third, at half of its strength below: what is behind it is grey."""
    cutout = np.full((96, 32, 4), 255, np.uint8)
    cutout[48:, :, 3] = 128
    picture_rgb, alpha = embeddings.small_picture(cutout, (0, 0, 32, 96))
    assert (alpha[:, :16] == 0).all() and (alpha[:24, 16:32] == 255).all()
    assert (picture_rgb[:, :16] == 128).all() and (picture_rgb[:24, 16:32] == 255).all()
    assert (picture_rgb[24:, 16:32] == 128 + (127 * 128 + 127) // 255).all()


# --- embeddings -------------------------------------------------------------------------------


def test_the_next_moment_is_nearer_than_another_pose_or_person():
    moments = [(seed, motion, t) for seed in (3, 8) for motion in ("wave", "turn") for t in (0, 2)]
    shots = [(figure(s, m, t), figure(s, m, t + 0.04)) for s, m, t in moments]
    first, after = (np.stack([vector(pair[end]) for pair in shots]) for end in (0, 1))
    away = neighbours.distance(neighbours.squares(first, after))
    others = away + np.where(np.eye(len(away)), np.inf, 0)
    assert np.median(np.diag(away)) < 4
    assert (np.diag(away) < others.min(1)).all()
    people = np.array([seed for seed, _, _ in moments])
    assert away[people[:, None] != people[None]].min() > 8


def test_only_the_subject_counts_not_its_place_size_or_what_lies_under_alpha_0():
    rgba = figure(5, "wave", 1.0)
    moved = np.zeros((600, 700, 4), np.uint8)
    moved[90:570, 150:630] = rgba
    hidden = moved.copy()
    hidden[hidden[..., 3] == 0, :3] = (250, 10, 200)
    larger = cv2.resize(rgba, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    same = embeddings.described(rgba, box_of(rgba))
    assert embeddings.described(moved, box_of(moved)) == same
    assert embeddings.described(hidden, box_of(moved)) == same
    away = vector(larger).astype(int) - vector(rgba)
    assert neighbours.distance((away**2).sum()) < 2


def test_light_and_side_are_those_of_the_subject():
    rgba = np.zeros((100, 80, 4), np.uint8)
    rgba[10:90, 10:30] = (250, 250, 250, 255)  # a body on the left
    rgba[40:50, 10:70] = (250, 250, 250, 255)  # an arm to the right
    known = embeddings.described(rgba, (10, 10, 70, 90))
    assert known["side"] == embeddings.LEFT and known["lightness"] > 95
    assert embeddings.described(rgba[:, ::-1], (10, 10, 70, 90))["side"] == embeddings.RIGHT
    dark = rgba // np.array([10, 10, 10, 1], np.uint8)
    assert embeddings.described(dark, (10, 10, 70, 90))["lightness"] < 12
    assert [selection_plan.light_of(text) for text in ("", "11.0", "50", "96")] == [
        "", selection_plan.DARK, selection_plan.MEDIUM, selection_plan.BRIGHT,
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 2)])
@pytest.mark.parametrize("alpha", [130, 255])
def test_the_smallest_cutouts_have_an_embedding(shape, alpha):
    rgba = np.full((*shape, 4), alpha, np.uint8)
    known = embeddings.described(rgba, (0, 0, shape[1], shape[0]))
    assert len(embeddings.decode(known["embedding"])) == 128 and len(known["phash"]) == 16


def test_the_hash_of_another_exposure_is_near_that_of_another_pose_far():
    def bits(rgba):
        return np.unpackbits(np.frombuffer(bytes.fromhex(hash_of(rgba)), np.uint8)).astype(int)

    def hash_of(rgba):
        return embeddings.described(rgba, box_of(rgba))["phash"]

    rgba, other = figure(5, "wave", 1.0), figure(9, "dance", 0.3, "full")
    darker = (rgba * np.array([0.9, 0.9, 0.9, 1])).astype(np.uint8)
    near, far = (np.abs(bits(rgba) - bits(one)).sum() for one in (darker, other))
    assert near <= 12 < far


@pytest.mark.parametrize("text", ["", "AAAA", "no base64!", "é" * 172])
def test_a_damaged_embedding_is_named(text):
    with pytest.raises(embeddings.EmbeddingError, match="mask row a-f1-p0"):
        embeddings.of_rows([{"item": "a-f1-p0", "embedding": text}])


# --- neighbours -------------------------------------------------------------------------------


def test_pairs_and_nearest_are_those_of_all_distances(monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK", 5000)  # several blocks
    rng = np.random.default_rng(1)
    vectors, _, clips = planted(rng, [200, 300, 400])
    away = neighbours.distance(((vectors[:, None].astype(int) - vectors[None]) ** 2).sum(-1))
    apart = clips[:, None] != clips[None]
    found = set()
    for left, right, square in neighbours.close_pairs(vectors, 2.6, clips):
        found |= set(zip(left.tolist(), right.tolist(), strict=True))
        assert np.allclose(neighbours.distance(square), away[left, right])
    assert found == set(zip(*np.nonzero(np.triu(away < 2.6) & apart), strict=True)) != set()
    own = np.arange(len(vectors))
    _, near = neighbours.nearest(vectors, vectors, own=own)
    _, across = neighbours.nearest(vectors, vectors, apart=(clips, clips))
    np.fill_diagonal(away, np.inf)
    assert np.allclose(neighbours.distance(near), away.min(1))
    assert np.allclose(neighbours.distance(across), np.where(apart, away, np.inf).min(1))


def test_who_has_no_neighbour_has_none():
    one = np.zeros((1, 128), np.int8)
    places, square = neighbours.nearest(one, one, own=np.array([0]))
    assert places.tolist() == [-1] and np.isinf(square).all()
    assert neighbours.nearest(one, one[:0])[0].tolist() == [-1]
    assert list(neighbours.close_pairs(one, 5.0, np.zeros(1, int))) == []


# --- choice -----------------------------------------------------------------------------------


def modes_met(mode, taken):
    return len(set(mode[taken].tolist()))


def test_a_budget_of_k_covers_k_planted_modes_and_chance_does_not():
    rng = np.random.default_rng(7)
    vectors, mode, clips = planted(rng, [900, 300, *[6] * 10])
    everything, cells = np.arange(len(mode)), np.zeros(len(mode), int)
    taken = coverage_selection.choose(vectors, clips, cells, everything, 12, None).taken
    assert len(taken) == modes_met(mode, taken) == 12
    chance = [modes_met(mode, rng.choice(len(mode), 12, replace=False)) for _ in range(200)]
    every = np.linspace(0, len(mode) - 1, 12).astype(int)
    assert (
        max(chance) <= 6 and modes_met(mode, every) <= 4 and modes_met(mode, everything[:12]) == 1
    )
    ours, by_chance = (
        neighbours.distance(neighbours.nearest(vectors, vectors[places])[1]).max()
        for places in (taken, rng.permutation(len(mode))[:12])
    )
    assert ours < by_chance / 5


def test_a_rare_cell_is_not_drowned():
    assert coverage_selection.quotas([10_000, 100, 1], 30).tolist() == [26, 3, 1]
    assert coverage_selection.quotas([3, 5], 100).tolist() == [3, 5]
    assert coverage_selection.quotas([9, 4, 1], 5).tolist() == [2, 2, 1]  # roots 3, 2, 1
    rng = np.random.default_rng(2)
    vectors, mode, clips = planted(rng, [500, 5])
    taken = coverage_selection.choose(vectors // 30, clips, mode, np.arange(505), 20, None).taken
    assert len(set(taken.tolist())) == 20 and (mode[taken] == 1).sum() >= 1


def test_clips_give_by_turns_where_all_look_alike():
    vectors, clips = np.zeros((400, 128), np.int8), np.repeat([0, 1, 2, 3], [370, 10, 10, 10])
    times = np.concatenate([np.arange(370), *[np.arange(10)] * 3])
    taken = coverage_selection.choose(vectors, clips, clips * 0, times, 8, None).taken
    assert np.bincount(clips[taken]).tolist() == [2, 2, 2, 2]
    assert sorted(times[taken][clips[taken] == 0]) == [0, 185]  # the beginning and the middle


def test_what_comes_first_does_not_matter_for_a_set_without_ties():
    rng = np.random.default_rng(4)
    vectors, mode, clips = planted(rng, [40, 40, 40])
    turned = rng.permutation(len(mode))
    times = np.arange(len(mode))
    one = coverage_selection.choose(vectors, clips, mode, times, 30, None).taken
    other = coverage_selection.choose(
        vectors[turned], clips[turned], mode[turned], times[turned], 30, None
    ).taken
    assert set(one.tolist()) == set(turned[other].tolist())


def test_near_duplicates_go_across_clips_alone_and_their_neighbours_stay():
    vectors = np.zeros((6, 128), np.int8)
    vectors[:, 0] = [0, 1, 2, 60, 61, 120]
    clips = np.array([0, 0, 1, 1, 2, 3])
    bound = float(neighbours.distance(9))
    gone = coverage_selection.near_duplicates(vectors, clips, bound)
    assert gone.tolist() == [False, False, True, False, True, False]


@pytest.mark.parametrize(
    ("sizes", "budget", "expected"),
    [([2, 2, 2], 3, [1, 1, 1]), ([1, 3, 3], 6, [1, 3, 2]), ([2, 1], 9, [2, 1])],
)
def test_each_cutout_has_an_image_before_any_has_a_second(sizes, budget, expected):
    assert selection_plan.shares(np.array(sizes), budget).tolist() == expected


# --- splits -----------------------------------------------------------------------------------


def test_groups_are_joined_through_others_and_named_after_one_of_them():
    found = splits.groups("abcdef", [("a", "b"), ("c", "d"), ("b", "c")], 1)
    assert len({found[clip] for clip in "abcd"}) == 1 and found["a"] in "abcd"
    assert (found["e"], found["f"]) == ("e", "f")
    turned = splits.groups("fedcba", [("b", "c"), ("d", "c"), ("b", "a")], 1)
    assert turned == found


def test_a_clip_that_comes_moves_no_group_that_it_does_not_join():
    before = splits.sides(splits.groups(CLIPS[:-1], [], 1).values(), 0.2, 1)
    after = splits.sides(splits.groups(CLIPS, [], 1).values(), 0.2, 1)
    assert {clip: after[clip] for clip in before} == before
    assert 0.1 < sum(side == splits.VALIDATION for side in after.values()) / 200 < 0.3
    assert splits.sides(CLIPS, 0.2, 2) != after
    larger = splits.sides(CLIPS, 0.4, 1)
    assert all(larger[clip] == "val" for clip in CLIPS if after[clip] == "val")


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_two_groups_have_one_on_either_side(share):
    assert set(splits.sides(CLIPS[:2], share, 1).values()) == set(splits.SPLITS)


def test_one_group_is_trained_on_unless_all_are_asked_for():
    assert splits.sides(CLIPS[:1], 0.0, 1) == {CLIPS[0]: splits.TRAIN}
