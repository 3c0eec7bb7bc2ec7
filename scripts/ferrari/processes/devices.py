"""Which device a network runs on, found without importing a network's runtime."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from ferrari.common.errors import FerrariError
from ferrari.common.progress import LOGGER
from ferrari.processes import device_slots
from ferrari.processes.device_slots import Cards
from ferrari.processes.failures import Failure
from ferrari.processes.limited_call import run_limited


class DeviceError(FerrariError, RuntimeError):
    """The device asked for is not there."""


class DeviceMemoryError(FerrariError, RuntimeError):
    """The device has too little memory for the batch that it was given."""


#: What the errors of CUDA's libraries say when memory ran out, which leaves a context usable: the
#: runtime and torch, cuBLAS and cuDNN, and ONNX Runtime, of the card's memory and its own limit.
_NO_MEMORY = ("out of memory", "alloc_failed", "allocation_failed", "failed to allocate",
              "smaller than requested bytes")  # fmt: skip
#: What they say otherwise: torch, ONNX Runtime, cuDNN and cuBLAS each in their way.
_CUDA_FAILED = ("cuda error", "cuda failure", "cudnn_status", "cudnn error", "cublas")


def device_is_full(text: str) -> bool:
    """Whether an error of this text says that the device's memory did not suffice."""
    words = text.lower()
    return any(said in words for said in _NO_MEMORY)


def context_is_lost(text: str) -> bool:
    """Whether an error of this text leaves the process's CUDA context unusable.

    After an illegal access or a card that is gone, each later call fails too, whoever makes it.
    """
    words = text.lower()
    return not device_is_full(text) and any(said in words for said in _CUDA_FAILED)


def halved(at_once: int) -> str:
    """What rows say of items that were computed in smaller batches: so many were too many."""
    return f"GPU memory ran out with {at_once} at once: batches halved"


@contextlib.contextmanager
def device_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Turn what a library raises (RuntimeError, or one of `kinds`) where the device's memory did
    not suffice into DeviceMemoryError; other errors pass.
    """
    expected: tuple[type[Exception], ...] = (RuntimeError, *kinds)
    try:
        yield
    except expected as error:
        if isinstance(error, FerrariError) or not device_is_full(str(error)):
            raise
        raise DeviceMemoryError(str(error).partition("\n")[0]) from error


def cuda_devices() -> int:
    """Number of CUDA devices that the driver shows; 0 without one, or if it does not answer."""
    return len(device_slots.cards_shown())


@functools.cache
def nvdec_problem() -> str:
    """Why NVIDIA's video decoder cannot be used here, or "".

    Its library comes with the driver, but is missing in containers without the capability `video`
    and in drivers for computing alone. A child process loads it, as it does the driver.
    """
    if not cuda_devices():
        return "the NVIDIA driver shows no device"
    found = run_limited(_nvdec_loads, timeout_s=60, memory_mb=None)
    if found is True:
        return ""
    return (
        "the driver's library libnvcuvid.so.1 cannot be loaded; install the driver whole, or let "
        "the container have the capability `video`"
    )


def _nvdec_loads() -> bool:
    try:
        ctypes.CDLL("libnvcuvid.so.1")
    except OSError:
        return False
    return True


def asked_apart(question: Callable[..., str], *args: object) -> str:
    """Call `question` in a child process; it tries a runtime on a device and says what failed.

    The answer is "" where all works. If the child dies of the question, that is said instead. Jobs
    of a run ask once: to load a runtime takes seconds (`remember_in`).
    """
    if _memory is None:
        return _asked(question, *args)
    text = f"{question.__module__}.{question.__qualname__}{args!r}"
    answer = Path(f"{_memory}-asked-{zlib.crc32(text.encode()):08x}")
    with open(answer, "a+", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # whoever asks while another tries waits for it
        stream.seek(0)
        told = stream.read()
        if not told:
            told = json.dumps(_asked(question, *args))
            stream.write(told)
    return json.loads(told)


def _asked(question: Callable[..., str], *args: object) -> str:
    found = run_limited(question, *args, timeout_s=300, memory_mb=None)
    return f"trying it: {found.detail}" if isinstance(found, Failure) else found


def remember_in(place: str) -> None:
    """From now on, this process and its forks keep answers in files whose names begin so."""
    global _memory
    _memory = place


_memory: str | None = None


def index_of(device: str) -> int:
    """N of 'cuda:N'; 0 for a setting that gives no number."""
    return int(device.partition(":")[2] or 0)


def ran_on(device: str, runtime: str) -> str:
    """What rows say of where a network ran ('cpu', 'cuda:N'). Which of the cards it was, and so
    which had less to do, is for the log: the same clips give the same rows.
    """
    return f"{device.partition(':')[0]} {runtime}"


def cards_of(device: str) -> Cards:
    """The cards of the setting `auto | cuda | cuda:N`, and how many processes may open each.

    As many as the run was given tokens, else one on each. Where there is no card, the first all the
    same: what asks for it then finds out.
    """
    shown = [0] if device == "cuda" else list(range(max(1, cuda_devices())))
    if device.startswith("cuda:"):
        shown = [index_of(device)]
    return Cards.spread(shown, device_slots.given(device_slots.CUDA) or len(shown))


def nvdec_slots(device: int) -> int:
    """How many clips may be decoded at once on a card: its share of the run's tokens, and at least
    one; without tokens, as many as it has engines.
    """
    tokens = device_slots.given(device_slots.NVDEC)
    if tokens is None:
        return nvdec_engines(device)
    shares = Cards.spread(range(max(1, cuda_devices())), max(1, tokens))
    return dict(shares.slots).get(device, 1)


@functools.cache
def nvdec_engines(device: int) -> int:
    """How many NVDEC engines a card has, asked of the driver in a child process; 1 if it does not
    say (drivers from 2019 on do).
    """
    found = run_limited(_engines, device, timeout_s=60, memory_mb=None)
    return 1 if isinstance(found, Failure) else max(1, found)


class _DecoderCaps(ctypes.Structure):
    """CUVIDDECODECAPS of NVIDIA's Video Codec SDK: what is asked, then what is answered."""

    _fields_ = (
        ("codec", ctypes.c_int),
        ("chroma", ctypes.c_int),
        ("bits_over_8", ctypes.c_uint),
        ("reserved", ctypes.c_uint * 3),
        ("is_supported", ctypes.c_ubyte),
        ("engines", ctypes.c_ubyte),
        ("answers", ctypes.c_ubyte * 62),
    )


_H264, _CHROMA_420 = 4, 1


def _engines(device: int) -> int:
    driver, decoder = ctypes.CDLL("libcuda.so.1"), ctypes.CDLL("libnvcuvid.so.1")
    handle, context = ctypes.c_int(), ctypes.c_void_p()
    caps = _DecoderCaps(_H264, _CHROMA_420)
    fine = (
        driver.cuInit(0) == 0
        and driver.cuDeviceGet(ctypes.byref(handle), device) == 0
        and driver.cuCtxCreate_v2(ctypes.byref(context), 0, handle) == 0
        and decoder.cuvidGetDecoderCaps(ctypes.byref(caps)) == 0
    )
    return caps.engines if fine else 0


@functools.cache
def _say_once(message: str) -> None:
    LOGGER.warning(message)


def resolve(device: str, problem: Callable[[str], str]) -> str:
    """'cpu' or 'cuda:N' for the setting `auto | cpu | cuda | cuda:N`.

    `problem` says why the runtime cannot use 'cuda:N', and what helps, or "". It is called only for
    devices that the driver shows. Where there is a problem, `auto` takes the CPU and the log says
    why. A device that was named and is missing, or cannot be used, raises DeviceError.
    """
    if device == "cpu" or (device == "auto" and not cuda_devices()):
        return "cpu"
    index = index_of(device)
    if index >= cuda_devices():
        raise DeviceError(
            f"device {device!r} was asked for, but the NVIDIA driver shows {cuda_devices()} "
            "device(s); set device: auto or cpu, or check nvidia-smi"
        )
    why = problem(f"cuda:{index}")
    if why and device != "auto":
        raise DeviceError(f"device {device!r} was asked for, but {why}; or set device: auto or cpu")
    if why:
        _say_once(f"device auto: the CPU is taken, not cuda:{index}: {why}")
        return "cpu"
    return f"cuda:{index}"
