"""Devices are found without touching the process that asks."""

from __future__ import annotations

import ctypes

import pytest

from scripts.lib import devices


class _Driver:
    """Stands in for libcuda with two devices; counts its initialisations in this process."""

    inits = 0

    def cuInit(self, flags):
        _Driver.inits += 1
        return 0

    def cuDeviceGetCount(self, count):
        count._obj.value = 2
        return 0


@pytest.fixture
def driver(monkeypatch):
    devices.cuda_devices.cache_clear()
    real = ctypes.CDLL
    monkeypatch.setattr(ctypes, "CDLL", lambda name: _Driver() if name else real(name))
    _Driver.inits = 0
    yield _Driver
    devices.cuda_devices.cache_clear()


def test_the_driver_is_asked_in_a_child_because_cuda_does_not_survive_a_fork(driver):
    assert devices.cuda_devices() == 2
    assert driver.inits == 0, "the process that forks decoders must not initialise CUDA"


def test_settings_name_a_device_that_is_there(driver):
    assert devices.resolve("auto") == "cuda:0" and devices.resolve("cuda:1") == "cuda:1"
    with pytest.raises(devices.DeviceError, match=r"shows 2 device\(s\)"):
        devices.resolve("cuda:2")


def test_a_driver_that_crashes_shows_no_device(monkeypatch):
    devices.cuda_devices.cache_clear()
    monkeypatch.setattr(devices, "_shown_by_driver", lambda: ctypes.string_at(0))
    assert devices.cuda_devices() == 0
    devices.cuda_devices.cache_clear()
