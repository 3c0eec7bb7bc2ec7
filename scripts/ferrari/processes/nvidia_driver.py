"""What the NVIDIA driver says of itself and of its cards, asked of its own libraries.

Standard library only, and no syntax of a newer Python: `envs/install.py` asks before anything is
installed. `look` and `names` initialise CUDA: for a process that forks nothing afterwards.
"""

from __future__ import annotations

import ctypes
import uuid
from dataclasses import dataclass
from typing import Union

#: What the packages of `make setup-gpu` need: the CUDA, and the first driver that runs it.
NEEDED_CUDA, NEEDED_RELEASE = (12, 4), "550"
_MB = 1 << 20
_NAME_BYTES = 96
_UUID_BYTES = 16
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


@dataclass(frozen=True)
class Card:
    """A card: name, memory (MB; 0: not told), what is free of it (None), compute capability."""

    name: str
    memory_mb: int
    free_mb: int | None
    capability: tuple[int, int]


@dataclass(frozen=True)
class Driver:
    """The driver: its release ("550.54.14", or "": not told), its newest CUDA, the cards shown."""

    release: str
    cuda: tuple[int, int]
    cards: tuple[Card, ...]

    @property
    def named(self) -> str:
        """In a few words, for a message."""
        release = f" {self.release}" if self.release else ""
        return f"driver{release} for CUDA {self.cuda[0]}.{self.cuda[1]}"


def look() -> Union[Driver, str]:  # noqa: UP007 - evaluated nowhere, but read by older Pythons
    """The driver with the cards that it shows, or why there is none."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver: libcuda.so.1 cannot be loaded"
    version, count = ctypes.c_int(0), ctypes.c_int(0)
    if cuda.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return "the NVIDIA driver does not tell its version"
    failed = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count))
    release, free = _of_nvml()
    cards = [] if failed else [_card(cuda, index, free) for index in range(count.value)]
    return Driver(release, divmod(version.value // 10, 100), tuple(cards))


def names() -> tuple[str, ...]:
    """What names each card that the driver shows, however CUDA_VISIBLE_DEVICES numbers them: its
    UUID, else where it sits; "" for one of which the driver tells neither. () without a driver.
    """
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return ()
    count = ctypes.c_int(0)
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return ()
    return tuple(_uuid(cuda, index) or _sits(cuda, index) for index in range(count.value))


def _uuid(cuda: ctypes.CDLL, index: int) -> str:
    """The UUID as NVIDIA's tools write it. Of a part of a card (MIG) it is the part's."""
    ask = getattr(cuda, "cuDeviceGetUuid_v2", None) or getattr(cuda, "cuDeviceGetUuid", None)
    device, found = ctypes.c_int(0), ctypes.create_string_buffer(_UUID_BYTES)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    if ask is None or ask(found, device) != 0 or not any(found.raw):
        return ""
    return f"GPU-{uuid.UUID(bytes=found.raw)}"


def _sits(cuda: ctypes.CDLL, index: int) -> str:
    device = ctypes.c_int(0)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    return _bus_id(cuda, device)


def _card(cuda: ctypes.CDLL, index: int, free: dict[str, int]) -> Card:
    device, memory = ctypes.c_int(0), ctypes.c_size_t(0)
    name = ctypes.create_string_buffer(_NAME_BYTES)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, _NAME_BYTES, device)
    if hasattr(cuda, "cuDeviceTotalMem_v2"):
        cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    values = (ctypes.c_int(0), ctypes.c_int(0))
    for value, attribute in zip(values, (_MAJOR, _MINOR)):  # noqa: B905 - older Pythons
        cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
    return Card(
        name.value.decode("utf-8", "replace"),
        memory.value // _MB,
        free.get(_bus_id(cuda, device)),
        (values[0].value, values[1].value),
    )


def _bus_id(cuda: ctypes.CDLL, device: ctypes.c_int) -> str:
    """Where a card sits: CUDA_VISIBLE_DEVICES renumbers cards for CUDA, and not for NVML."""
    text = ctypes.create_string_buffer(_NAME_BYTES)
    if not hasattr(cuda, "cuDeviceGetPCIBusId"):
        return ""
    cuda.cuDeviceGetPCIBusId(text, _NAME_BYTES, device)
    return text.value.decode("ascii", "replace").lower()[-12:]


class MemoryInfo(ctypes.Structure):
    """nvmlMemory_t, in bytes."""

    _fields_ = [(name, ctypes.c_ulonglong) for name in ("total", "free", "used")]


class _Bus(ctypes.Structure):
    """nvmlPciInfo_t; of its fields only `bus_id` is read."""

    _fields_ = [
        ("legacy", ctypes.c_char * 16),
        ("numbers", ctypes.c_uint * 5),
        ("bus_id", ctypes.c_char * 32),
    ]


def _of_nvml() -> tuple[str, dict[str, int]]:
    """The driver's release, and the free memory (MB) of each card by where it sits.

    NVML is the driver's own, and missing where a container lacks the capability `utility`.
    """
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return "", {}
    if nvml.nvmlInit_v2() != 0:
        return "", {}
    release = ctypes.create_string_buffer(_NAME_BYTES)
    nvml.nvmlSystemGetDriverVersion(release, _NAME_BYTES)
    count = ctypes.c_uint(0)
    nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
    free = {}
    for index in range(count.value):
        handle, memory, bus = ctypes.c_void_p(), MemoryInfo(), _Bus()
        nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle))
        nvml.nvmlDeviceGetPciInfo_v3(handle, ctypes.byref(bus))
        if nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0:
            free[bus.bus_id.decode("ascii", "replace").lower()[-12:]] = memory.free // _MB
    nvml.nvmlShutdown()
    return release.value.decode("ascii", "replace"), free
