"""Devices are found without touching the process that asks."""

from __future__ import annotations

import ctypes
import os

import pytest

from ferrari.processes import device_slots, devices, nvidia_driver


class _Driver:
    """Stands in for libcuda with two devices; counts its initialisations in this process."""

    inits = 0

    def cuInit(self, flags):
        _Driver.inits += 1
        return 0

    def cuDeviceGetCount(self, count):
        count._obj.value = 2
        return 0

    def cuDeviceGet(self, device, index):
        return 0


def forget():
    for answer in (device_slots.cards_shown, devices.nvdec_problem, devices._say_once):
        answer.cache_clear()


def works(device):
    return ""


def fails(device):
    return f"nothing runs on {device}; install it"


@pytest.fixture
def driver(monkeypatch):
    forget()
    real = ctypes.CDLL
    monkeypatch.setattr(ctypes, "CDLL", lambda name: _Driver() if name else real(name))
    _Driver.inits = 0
    yield _Driver
    forget()


def test_the_driver_is_asked_in_a_child_because_cuda_does_not_survive_a_fork(driver):
    assert devices.cuda_devices() == 2
    assert driver.inits == 0, "the process that forks decoders must not initialise CUDA"


def test_settings_name_a_device_that_is_there(driver):
    assert devices.resolve("auto", works) == "cuda:0"
    assert devices.resolve("cuda:1", works) == "cuda:1"
    with pytest.raises(devices.DeviceError, match=r"shows 2 device\(s\)"):
        devices.resolve("cuda:2", works)


def test_auto_takes_the_cpu_where_the_runtime_fails_and_says_why_once(driver, caplog):
    assert [devices.resolve("auto", fails) for _ in range(3)] == ["cpu"] * 3
    (message,) = [record.message for record in caplog.records]
    assert "the CPU is taken, not cuda:0: nothing runs on cuda:0" in message


def test_a_device_by_name_that_the_runtime_cannot_use_is_an_error_that_says_what_to_install(driver):
    with pytest.raises(devices.DeviceError, match=r"'cuda:1'.*nothing runs on cuda:1; install it"):
        devices.resolve("cuda:1", fails)


def test_a_runtime_is_not_asked_where_it_is_not_needed(driver, monkeypatch):
    def ask(device):
        raise AssertionError(device)

    assert devices.resolve("cpu", ask) == "cpu"
    forget()
    monkeypatch.setattr(nvidia_driver, "names", lambda: ())
    assert devices.resolve("auto", ask) == "cpu"
    assert devices.nvdec_problem() == "the NVIDIA driver shows no device"


def test_a_runtime_that_dies_of_the_question_has_answered_it():
    assert "SIGABRT" in devices.asked_apart(os.abort)


def test_a_driver_that_crashes_shows_no_device(monkeypatch):
    forget()
    monkeypatch.setattr(nvidia_driver, "names", lambda: ctypes.string_at(0))
    assert devices.cuda_devices() == 0
    forget()
