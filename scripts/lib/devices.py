"""Which device a network runs on, found without importing a network's runtime."""

from __future__ import annotations

import ctypes
import functools

from scripts.lib.sandbox import Failure, run_limited


class DeviceError(RuntimeError):
    """The device asked for is not there."""


class DeviceMemoryError(RuntimeError):
    """The device's memory does not suffice for what it was given at once."""


@functools.cache
def cuda_devices() -> int:
    """Number of CUDA devices that the driver shows; 0 where there is no driver, or none answers.

    The driver is asked in a child: CUDA does not survive a fork, and decoders and models run in
    forks of this process.
    """
    found = run_limited(_shown_by_driver, timeout_s=60, memory_mb=None)
    return 0 if isinstance(found, Failure) else found


def _shown_by_driver() -> int:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def resolve(device: str) -> str:
    """'cpu' or 'cuda:N' for the setting `auto | cpu | cuda | cuda:N`; DeviceError if not there."""
    if device == "auto":
        return "cuda:0" if cuda_devices() else "cpu"
    if device == "cpu":
        return "cpu"
    index = int(device.partition(":")[2] or 0)
    if index >= cuda_devices():
        raise DeviceError(
            f"device {device!r} was asked for, but the NVIDIA driver shows {cuda_devices()} "
            "device(s); set device: auto or cpu, or check nvidia-smi"
        )
    return f"cuda:{index}"
