"""Which device a run's jobs are told, the tokens they take, and what is said before the first."""

from dataclasses import replace

import pytest

from ferrari.common import settings
from ferrari.jobs import run_devices
from ferrari.jobs.run_devices import RunDevices
from ferrari.networks import section_places
from ferrari.networks.placement import Place
from ferrari.processes.devices import DeviceError

CARD, CPU = Place("cuda:0", "onnxruntime"), Place("cpu", "openvino")


@pytest.fixture
def run(monkeypatch):
    """A run on a machine with `cards`, on which `works` says where a section's network can run."""

    def made(cards=1, works=CARD, device="auto", **facts):
        monkeypatch.setattr(run_devices, "cuda_devices", lambda: cards)

        def place_of(config, section):
            if isinstance(works, Exception):
                raise works
            return works

        monkeypatch.setattr(section_places, "place_of", place_of)
        sections = ("detect", "mask", "caption")
        config = settings.completed({section: {"device": device} for section in sections})
        known = {"gpu_tokens": None, "local": True, "served": True, "known_python": True}
        return RunDevices(config, **(known | {"decides": True} | facts))

    return made


@pytest.mark.parametrize(
    ("facts", "told", "tokens"),
    [
        ({}, "auto", 0),  # the one process of the card has it open
        ({"served": False}, "auto", 1),
        ({"local": False}, "auto", 1),  # on a node, where each job opens the card
        ({"cards": 0}, "cpu", 0),
        ({"cards": 0, "local": False}, "auto", 0),  # the node may have what this machine has not
        ({"works": CPU, "served": False}, "cpu", 0),
        ({"works": CPU, "known_python": False, "served": False}, "auto", 1),  # not ours to ask
        ({"works": CPU, "decides": False, "served": False}, "auto", 1),
        ({"gpu_tokens": 0}, "cpu", 0),
        ({"device": "cuda:1", "served": False}, "cuda:1", 1),
        ({"device": "cpu", "served": False}, "cpu", 0),
    ],
)
def test_what_jobs_are_told_and_take(run, facts, told, tokens):
    found = run(**facts)
    assert (found.device("detect"), found.tokens_of("detect")) == (told, tokens)


def test_a_card_that_is_named_and_not_given_ends_the_run(run):
    with pytest.raises(DeviceError, match=r"detect\.device is cuda, but .* leave gpu=0 out"):
        run(device="cuda", gpu_tokens=0).device("detect")


def test_each_network_is_told_once_where_there_is_a_card(run):
    said = list(run().told(faces=True))
    assert [line.partition(":")[0] for line in said] == ["detect", "subject", "mask"]
    assert said[0] == "detect: its network runs on cuda:0 (onnxruntime)"
    assert [line.partition(":")[0] for line in run().told(faces=False)] == ["detect", "mask"]
    assert list(run(gpu_tokens=0).told(faces=False)) == [
        "detect: its network runs on the CPU (gpu=0)",
        "mask: its network runs on the CPU (gpu=0)",
    ]


def test_matting_is_told_of_where_it_may_be_on_the_card(run):
    made = run()
    config = settings.completed({**made.config, "mask": {"matting": "card", "device": "auto"}})
    assert list(replace(made, config=config).told(faces=False))[-1] == (
        "matting: alphas are refined on cuda:0 (onnxruntime)"
    )


@pytest.mark.parametrize("facts", [{"cards": 0}, {"local": False}, {"known_python": False}])
def test_nothing_is_told_without_a_card_or_of_other_machines(run, facts):
    assert list(run(**facts).told(faces=True)) == []


def test_a_named_card_that_does_not_work_names_its_setting(run):
    broken = run(cards=0, device="cuda", works=DeviceError("no driver; install one"))
    with pytest.raises(DeviceError, match=r"detect\.device: no driver; install one"):
        list(broken.told(faces=True))
