"""Robust Video Matting as a peer, with a network that says what it was shown."""

from __future__ import annotations

import numpy as np
import pytest

from bench import rvm
from bench.measure import PeerMissingError


class Counting:
    """Remembers how often it has been asked, and gives that as alpha, in tenths."""

    def __init__(self) -> None:
        self.asked: list[dict] = []

    def run(self, _, given):
        self.asked.append(given)
        high, wide = given["src"].shape[2:]
        count = given["r1i"] + 1
        alpha = np.full((1, 1, high, wide), count.item() / 10, np.float32)
        return [given["src"], alpha, count, *[np.zeros((1, 1, 1, 1), np.float32)] * 3]


PICTURE = np.random.default_rng(0).integers(0, 256, (40, 1024, 3), np.uint8)


@pytest.mark.parametrize("times", [1, 4])
def test_a_picture_is_shown_as_often_as_asked_and_the_last_one_counts(times):
    network = Counting()
    rgba = rvm._seen(network, PICTURE, times)
    assert len(network.asked) == times
    assert np.array_equal(rgba[..., :3], PICTURE)  # RGB in, RGB out
    assert (rgba[..., 3] == round(times * 25.5)).all()


def test_its_first_pass_sees_512_px_and_small_pictures_whole():
    network = Counting()
    rvm._seen(network, PICTURE, 1)
    rvm._seen(network, PICTURE[:, :300], 1)
    assert [one["downsample_ratio"].item() for one in network.asked] == [0.5, 1.0]


def test_weights_that_are_not_the_pinned_ones_are_not_run(tmp_path):
    file = tmp_path / "weights/rvm/rvm_mobilenetv3_fp32.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"something else")
    with pytest.raises(ValueError, match="size"):
        rvm.weights(tmp_path)


def test_what_cannot_be_fetched_is_a_peer_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(rvm._ENTRY, "sources", [])
    with pytest.raises(PeerMissingError, match="rvm"):
        rvm.weights(tmp_path)
