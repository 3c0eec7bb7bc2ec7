"""The closed form by torch, whose device is the CPU here, against the closed form by the CPU."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferrari.images import image_files
from ferrari.ledger.reasons import MODEL_CRASHED
from ferrari.matting import alpha_refinement, closed_form, engines, on_card
from ferrari.networks import network, on_device
from ferrari.networks.backends import closed_form as by_torch
from ferrari.networks.backends import torch_runtime
from ferrari.networks.network import open_here
from ferrari.networks.on_device import OnDevice
from ferrari.networks.placement import MATTING_ON_CPU, Place
from ferrari.processes import devices
from ferrari.processes.devices import DeviceError, DeviceMemoryError
from ferrari.processes.failures import Failure
from ferrari.processes.model_verdicts import IsolationError, Limits, ModelDiedError
from tests.settings import section
from tests.shared import shared
from tests.unit.matting.test_closed_form import CASES, UNKNOWN, WEIGHT, figure, noise

CARD = Place("cuda:0", "torch")


@pytest.fixture
def solver(monkeypatch):
    """The card's solver, with the CPU for a card."""
    monkeypatch.setitem(
        network._RUNTIMES,
        network.CLOSED_FORM,
        lambda request: by_torch.load(replace(request, device="cpu", threads=1)),
    )
    return on_card.solver("cuda:0", open_here)


def picture(image_rgb, trimap, prior):
    return image_rgb, trimap == UNKNOWN, trimap == 255, prior, WEIGHT


def same(solver, image_rgb, trimap, prior):
    """The card's iterations and remark, once its alpha is the CPU's within the bound."""
    asked = picture(image_rgb, trimap, prior)
    alpha, iterations, remark = solver(*asked)
    ours, theirs = closed_form.solve(*asked)
    np.testing.assert_allclose(alpha, ours, rtol=0, atol=2 / 255)
    assert abs(iterations - theirs) <= 8, "it stops where the CPU stops"
    return iterations, remark


@pytest.mark.parametrize("case", CASES)
def test_alpha_is_that_of_the_cpu(solver, case):
    iterations, remark = same(solver, *CASES[case]())
    assert 0 < iterations < closed_form.MAX_ITERATIONS and not remark


def test_alpha_of_real_people_is_that_of_the_cpu(solver):
    """Footage before a green screen; what keying gives, blurred, for the network's alpha."""
    folder = shared("media/gt/chroma_mdn_man")
    for path in sorted((folder / "img").glob("*.jpg"))[:3]:
        mask = image_files.read(folder / "mask" / f"{path.stem}.png")
        keyed = (mask if mask.ndim == 2 else mask[..., 0]).astype(np.float32) / 255
        net = cv2.GaussianBlur(keyed, (0, 0), 3)
        trimap = alpha_refinement.trimap_from_alpha(net, 8)
        assert (trimap == UNKNOWN).sum() > 1000
        same(solver, image_files.read(path), trimap, net)


def test_nothing_unknown_is_nothing_to_solve(solver):
    alpha, iterations, remark = solver(*picture(*noise(9, 9, np.s_[:0])))
    assert alpha.shape == (0,) and (iterations, remark) == (0, "")


def test_the_same_bytes_each_time_and_whatever_came_before(solver):
    asked, other = picture(*figure("full", 8)), picture(*noise(40, 50, np.s_[:, :]))
    first = solver(*asked)[0].tobytes()
    solver(*other)
    assert solver(*asked)[0].tobytes() == first


# --- what the card does not solve -----------------------------------------------------------------


def test_what_does_not_converge_there_is_solved_by_the_cpu_as_the_row_says(solver, monkeypatch):
    asked = picture(*figure("full", 8))
    ours, iterations = closed_form.solve(*asked)
    made = on_card.item
    monkeypatch.setattr(on_card, "item", lambda *given: made(*given[:-1], 20))
    alpha, taken, remark = solver(*asked)
    np.testing.assert_array_equal(alpha, ours)
    assert taken == iterations
    assert remark == "refined on the CPU: not converged on the card in 500 iterations"


def test_what_is_no_number_there_is_solved_by_the_cpu(solver, monkeypatch):
    """It counted as converged, since no number is above the bound, and became the cut-out."""
    asked = picture(*figure("full", 8))
    monkeypatch.setattr(by_torch, "_whitened", lambda c, _: c.new_full(c.shape, float("nan")))
    alpha, _, remark = solver(*asked)
    np.testing.assert_array_equal(alpha, closed_form.solve(*asked)[0])
    assert remark.startswith("refined on the CPU: not converged on the card")


def test_what_converges_nowhere_keeps_the_networks_alpha(solver, monkeypatch):
    monkeypatch.setattr(closed_form, "MAX_ITERATIONS", 1)
    image, _, net = figure("full", 8)
    engine = engines.Engine(solver, engines.load().estimate)
    refined = alpha_refinement.refine_alpha(image, net, 8, engine=engine)
    assert not refined.refined and (refined.alpha == net).all()
    assert "on the card in 1 iterations; refinement did not converge" in refined.detail


class Fails:
    """A card on which nothing is solved."""

    def __init__(self, error):
        self.about, self.error = {"device": "cuda torch", "batch": 1}, error

    def stream(self, items):
        raise self.error


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (DeviceMemoryError("tried to allocate 7 MiB"), "the card's memory did not suffice"),
        (ModelDiedError(Failure(MODEL_CRASHED, "SIGABRT")), "MODEL_CRASHED: SIGABRT"),
    ],
)
def test_a_card_that_is_full_or_ends_costs_no_crop_its_refinement(error, why):
    image, _, net = figure("full", 8)
    solve = on_card.solver("cuda:0", lambda request: Fails(error))
    engine = engines.Engine(solve, engines.load().estimate)
    refined = alpha_refinement.refine_alpha(image, net, 8, engine=engine)
    assert refined.refined and refined.detail == f"refined on the CPU: {why}"
    ours = alpha_refinement.refine_alpha(image, net, 8)
    np.testing.assert_array_equal(refined.alpha, ours.alpha)


def test_a_card_whose_process_ends_on_every_crop_is_told_and_not_tried_for_ever():
    """Each death costs all jobs of the run their networks."""
    picture_ = picture(*figure("full", 8))
    death = ModelDiedError(Failure(MODEL_CRASHED, "SIGSEGV"))
    solve = on_card.solver("cuda:0", lambda request: Fails(death))
    assert all("SIGSEGV" in solve(*picture_)[2] for _ in range(2))
    with pytest.raises(IsolationError, match=r"SIGSEGV\); set mask\.matting: closed_form"):
        solve(*picture_)


class EndsOn(Fails):
    """A card that ends on pictures of one shape, and tells which shapes it was asked for."""

    def __init__(self, shape, network):
        super().__init__(ModelDiedError(Failure(MODEL_CRASHED, "SIGSEGV")))
        self.shape, self.network, self.asked = shape, network, []

    def stream(self, items):
        (one,) = items
        self.asked.append(one["kinds"].shape)
        yield from (
            super().stream(items) if self.asked[-1] == self.shape else self.network.stream(items)
        )


def test_crops_that_end_a_sound_card_one_after_the_other_end_it_no_more_than_three_times(
    solver, monkeypatch
):
    """After a single success each crop of such a clip cost all jobs their networks, without end."""
    hostile, sound = picture(*noise(40, 50, np.s_[:, :])), picture(*figure("full", 8))
    card = EndsOn((40, 50), solver._network)
    solve = on_card.solver("cuda:0", lambda request: card)
    assert solve(*sound)[2] == ""
    for asked in (hostile, hostile, sound):  # not in a row with what comes
        solve(*asked)
    said = [solve(*asked)[2] for asked in [hostile] * 5 + [sound]]
    assert ["SIGSEGV" in each for each in said] == [True] * 3 + [False] * 3
    assert set(said[3:]) == {"refined on the CPU: the card's process had ended on 3 crops in a row"}
    assert card.asked.count((40, 50)) == 5 and card.asked.count((12, 12)) == 1
    ours, _ = closed_form.solve(*sound)
    np.testing.assert_array_equal(solve(*sound)[0], ours)
    monkeypatch.setattr(on_card.model_process, "called_at", lambda: 7.0)
    assert solve(*sound)[2] == "", "the next clip is asked for there again"


def test_an_error_that_nobody_foresaw_is_no_reason_to_go_on():
    solve = on_card.solver("cuda:0", lambda request: Fails(ValueError("a defect")))
    with pytest.raises(ValueError, match="a defect"):
        solve(*picture(*figure("full", 8)))


def memory_taken(side):
    """Bytes more than before, at their peak, for a picture of `side` px all unknown."""
    net = by_torch.load(network.NetworkRequest("", network.CLOSED_FORM, "cpu", "", threads=1))
    bounds = (closed_form.EPSILON, closed_form.TOLERANCE, 2)
    tiny, large = (
        by_torch.item(*picture(*noise(size, size, np.s_[:, :])), *bounds) for size in (8, side)
    )
    list(net.stream([tiny]))
    # The kernel's other figure, ru_maxrss, is at least the peak of whoever started this process.
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins again at what is held now
    before = peak_bytes()
    list(net.stream([large]))
    return peak_bytes() - before


def peak_bytes():
    """The most memory that this process has held since its peak was begun again."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak) << 10


def test_memory_is_bounded_by_the_share_that_is_asked_for():
    """A quarter of the largest picture takes no more than a quarter of it.

    In a process that no test began by a fork: what one has freed and not given back is taken by its
    forks unseen.
    """
    side = round((alpha_refinement.MAX_PIXELS / 4) ** 0.5)
    asked = f"from {__name__} import memory_taken; print(memory_taken({side}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    told = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=False, env=environment
    )
    assert told.returncode == 0, told.stderr
    taken = int(told.stdout)
    assert by_torch.SHARE / 16 < taken < by_torch.SHARE / 4


# --- where it runs --------------------------------------------------------------------------------


def test_the_cards_process_solves_it_and_the_job_opens_no_card(tmp_path, monkeypatch, solver):
    monkeypatch.setenv("FERRARI_LOCKS", str(tmp_path / "ferrari"))
    monkeypatch.delenv("FERRARI_WARM", raising=False)
    opener, asked = OnDevice("cuda:0", Limits("mask", 60, 8192)), picture(*figure("full", 8))
    opened = []

    def noting(request):
        opened.append(opener(request))
        return opened[-1]

    there = on_card.solver("cuda:0", noting)(*asked)
    assert isinstance(opened[0], on_device.DeviceModel)
    opened[0].close()
    here = solver(*asked)
    assert there[0].tobytes() == here[0].tobytes() and there[1:] == here[1:]


@pytest.mark.parametrize(
    ("changed", "segmenter", "works", "place"),
    [
        ({"matting": "card"}, "cuda:0", True, CARD),
        ({"matting": "card"}, "cpu", True, MATTING_ON_CPU),  # beside the segmenter, or not at all
        ({"matting": "card"}, "cuda:0", False, MATTING_ON_CPU),
        ({"matting": "card", "refine": False}, "cuda:0", True, MATTING_ON_CPU),
        ({}, "cuda:0", True, MATTING_ON_CPU),
    ],
)
def test_it_is_solved_where_torch_has_the_card(monkeypatch, changed, segmenter, works, place):
    why = "" if works else "torch is for CUDA 13"
    monkeypatch.setattr(devices, "cuda_devices", lambda: 1)
    monkeypatch.setattr(torch_runtime, "problem", lambda index: why)
    assert engines.place_of(section("mask", **changed), segmenter) == place
    if why:
        with pytest.raises(DeviceError, match="CUDA 13"):
            engines.place_of(section("mask", **changed, device="cuda"), segmenter)
