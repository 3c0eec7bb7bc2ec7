"""A whole run on a machine whose driver shows a card that nothing installed here can use."""

from __future__ import annotations

import csv
import io

import pytest

from tests import compare_datasets
from tests.fake_nvidia import DRIVER, VIDEO, Machine, outcomes, require_no_driver
from tests.workflow import small_run
from tests.workflow.small_run import FINAL


def rows(dataset, name):
    """A table without what it says of the decoder."""
    table = csv.DictReader(io.StringIO((dataset / name).read_text()))
    return [outcomes.of_clip(row) for row in table]


@pytest.mark.slow
def test_a_card_that_nothing_can_use_changes_no_image_and_the_run_says_why(tmp_path):
    """The driver is of CUDA 12.4, and the lock's packages are for the CPU and for CUDA 13."""
    require_no_driver()
    with_card, without = (small_run.start(tmp_path / name) for name in ("with", "without"))
    machine = Machine(tmp_path / "driver", DRIVER, VIDEO)
    words = with_card.words("--cores", "2", FINAL)
    done = machine.run("-m", "snakemake", "--directory", with_card.folder, *words)
    assert done.returncode == 0, done.stderr[-6000:]
    assert "AFTER FORK" not in machine.log
    for network in ("detect", "mask"):
        assert f"{network}: its network runs on cpu (openvino" in done.stderr
    assert "device auto: the CPU is taken, not cuda:0" in done.stderr
    without.run("--cores", "2", FINAL)
    names = compare_datasets.files(without.dataset)
    assert compare_datasets.files(with_card.dataset) == names
    images = {name for name in names if name.endswith((".png", ".webp", ".mkv"))}
    tables = {name for name in names if name.endswith(".csv")}
    assert len(images) > 20 and len(tables) > 10
    for name in sorted(images):
        assert (with_card.dataset / name).read_bytes() == (without.dataset / name).read_bytes()
    for name in sorted(tables):
        assert rows(with_card.dataset, name) == rows(without.dataset, name), name
