"""torch for networks: on a device in a share of its memory, with the same results each time."""

from __future__ import annotations

import contextlib
import functools
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

from ferrari.networks.backends import device_memory
from ferrari.processes.devices import DeviceMemoryError, asked_apart, device_errors

if TYPE_CHECKING:
    import torch

#: Bytes of each device that the networks of this process may take, by the networks' own names.
_shares: dict[str, dict[object, int]] = {}


@functools.cache
def problem(index: int) -> str:
    """Why torch cannot use CUDA device `index`, and what helps, or ""."""
    return asked_apart(_tried, index)


def _tried(index: int) -> str:
    try:
        import torch
    except (ImportError, OSError) as error:
        return f"torch cannot be imported ({error}); install torch built for CUDA"
    build = torch.version.cuda
    if build is None:
        return f"torch {torch.__version__} is built for the CPU; install one that is built for CUDA"
    try:
        with warnings.catch_warnings(record=True):  # the error says it again
            torch.cuda.init()
        torch.ones(2, device=f"cuda:{index}").sum().item()
    except (RuntimeError, torch.cuda.DeferredCudaCallError) as error:
        why = str(error).partition("\n")[0].partition(" Please update your GPU driver")[0]
        return (
            f"torch {torch.__version__}, built for CUDA {build}, cannot use it ({why}); install a "
            "driver for that CUDA, or torch built for the driver's"
        )
    return ""


def start(device: str, threads: int) -> ModuleType:
    """torch, so that a network gives the same bytes in each process: no algorithm is chosen by
    timing, and nothing is rounded to TF32. `threads` are the CPU's.
    """
    import torch

    if device == "cpu":
        torch.set_num_threads(max(1, threads))
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return torch


def take(device: str, network: object, share: int) -> None:
    """Let a network have `share` bytes more of a device (0: whatever there is)."""
    if device == "cpu":
        return
    import torch

    total = device_memory.of(device).total
    shares = _shares.setdefault(device, {})
    shares[network] = share
    bounded = total and all(shares.values())
    fraction = min(1.0, sum(shares.values()) / total) if bounded else 1.0
    torch.cuda.set_per_process_memory_fraction(fraction, torch.device(device))


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """Turn torch's out-of-memory error into DeviceMemoryError; what torch keeps is given back."""
    try:
        with device_errors():
            yield
    except DeviceMemoryError:
        sys.modules["torch"].cuda.empty_cache()
        raise


def in_full_precision(module: torch.nn.Module) -> torch.nn.Module:
    """The module, computing in full precision between others that do not."""
    import torch

    class FullPrecision(torch.nn.Module):  # type: ignore[misc]  # not followed: see pyproject
        def __init__(self) -> None:
            super().__init__()
            self.inner = module.float()

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return self.inner(values.float())

    return FullPrecision()
