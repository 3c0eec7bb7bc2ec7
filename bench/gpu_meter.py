"""How busy a card is, and how much of its memory is taken, asked of the driver's NVML meanwhile."""

from __future__ import annotations

import ctypes
import threading
from types import TracebackType

from ferrari.processes.nvidia_driver import MemoryInfo

_EVERY_S = 0.1


class _Busy(ctypes.Structure):
    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


class Meter:
    """Measures the first card while a `with` lasts.

    `busy`: the mean share of the time in which it computed, 0 to 1. `peak_mb`: the most of its
    memory that was taken, by all programs. Both None where NVML does not answer.
    """

    def __init__(self) -> None:
        self.busy: float | None = None
        self.peak_mb: int | None = None
        self._shares: list[int] = []
        self._used: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Meter:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._shares:
            self.busy = sum(self._shares) / len(self._shares) / 100
            self.peak_mb = max(self._used)

    def _watch(self) -> None:
        try:
            nvml = ctypes.CDLL("libnvidia-ml.so.1")
        except OSError:
            return
        card = ctypes.c_void_p()
        if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(card)):
            return
        while True:
            busy, memory = _Busy(), MemoryInfo()
            if not nvml.nvmlDeviceGetUtilizationRates(card, ctypes.byref(busy)):
                nvml.nvmlDeviceGetMemoryInfo(card, ctypes.byref(memory))
                self._shares.append(busy.gpu)
                self._used.append(memory.used >> 20)
            if self._over.wait(_EVERY_S):
                break
        nvml.nvmlShutdown()
