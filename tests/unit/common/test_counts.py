"""Numbers of things and of bytes, as people read them."""

from __future__ import annotations

import pytest

from ferrari.common.counts import first_of, megabytes, number_of


def test_one_is_no_plural():
    assert (number_of(1, "clip"), number_of(2000, "clip")) == ("1 clip", "2,000 clips")


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0.0 MB"), (260_000, "0.3 MB"), (53_400_000, "53 MB"), (1_240_000_000, "1.2 GB")],
)
def test_bytes_have_the_digits_that_matter(count, said):
    assert megabytes(count) == said


def test_of_thousands_of_names_the_first_are_said_and_how_many_more():
    names = [f"{n}.mp4" for n in range(10_000)]
    assert first_of(names, 2) == "0.mp4, 1.mp4 and 9,998 more"
    assert first_of(names[:2], 2) == "0.mp4, 1.mp4" and first_of([], 2) == ""
