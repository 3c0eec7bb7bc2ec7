"""Seeds: fixed values, no collisions by concatenation, no dependence on order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ferrari.common.seeds import from_seed, generator, ranked, seed_of


def test_seed_is_the_documented_digest():
    # sha256 of [1,"clip-0123456789","clip-0123456789-f000001-p0",2], first 48 bits
    assert seed_of(1, "clip-0123456789", "clip-0123456789-f000001-p0", 2) == 229244760928424


def test_generator_draws_the_same_on_every_run():
    draws = generator(1, "v", "i", 0).integers(0, 2**32, 3)
    assert draws.tolist() == [3779507075, 2086277092, 3458695810]


def test_every_part_of_the_tuple_counts():
    base = (1, "ab", "c", 0)
    others = [(2, "ab", "c", 0), (1, "a", "bc", 0), (1, "ab", "c", 1), (1, "ab", "c", "0")]
    assert len({seed_of(*base), *(seed_of(*other) for other in others)}) == 5


def test_separators_and_quotes_in_names_do_not_collide():
    assert seed_of(1, 'a","b', "c", 0) != seed_of(1, "a", 'b","c', 0)


def test_seed_is_exact_in_a_double():
    seeds = [seed_of(1, "v", "i", variant) for variant in range(500)]
    assert all(int(float(seed)) == seed < 2**48 for seed in seeds)
    assert len(set(seeds)) == 500


def test_streams_of_one_seed_differ_and_repeat():
    first, second = from_seed(5).random(8), from_seed(5, stream=1).random(8)
    assert not np.array_equal(first, second)
    assert np.array_equal(second, from_seed(5, stream=1).random(8))


def test_ranked_ignores_the_order_given_and_repeats():
    assert ranked("abcdef", 1, "v", "i") == ranked("fedcbaab", 1, "v", "i")


def test_ranked_keeps_the_others_order_when_one_goes():
    names = [f"n{i}" for i in range(30)]
    full = ranked(names, 1, "v", "i")
    for gone in names:
        left = ranked([name for name in names if name != gone], 1, "v", "i")
        assert left == [name for name in full if name != gone]


def test_ranked_differs_between_items():
    names = [f"n{i}" for i in range(30)]
    assert ranked(names, 1, "v", "i") != ranked(names, 1, "v", "j")


_CHOICES = st.tuples(
    st.integers(0, 2**31), st.text(max_size=8), st.text(max_size=8), st.integers(0, 99) | st.text()
)


@given(_CHOICES, _CHOICES)
def test_only_equal_choices_share_a_seed(first, second):
    assert (seed_of(*first) == seed_of(*second)) == (first == second)
