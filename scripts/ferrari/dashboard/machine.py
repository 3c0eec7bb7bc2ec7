"""Free resources of the machine: disk, memory, and GPUs if there are any."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

_PATIENCE_S = 5.0
_ASK_AGAIN_S = 10.0
_QUERY = ("name", "utilization.gpu", "memory.used", "memory.total")


class Machine:
    """Asks the machine; of cards no more often than every ten seconds, since that takes a while."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cards: list[dict[str, str]] = []
        self._asked = 0.0
        self._has_driver = shutil.which("nvidia-smi") is not None

    def state(self) -> dict[str, object]:
        """Free bytes of the dataset's disk and of memory, of how many; `cards` with name, load in
        per cent and memory in MiB. What cannot be told is left out.
        """
        told: dict[str, object] = {"cards": self._ask_cards()}
        try:
            disk = shutil.disk_usage(self._folder)
        except OSError:  # not there yet, or its disk is gone
            pass
        else:
            told |= {"disk_free": disk.free, "disk": disk.total}
        memory = _memory()
        if {"MemAvailable", "MemTotal"} <= memory.keys():
            told |= {"memory_free": memory["MemAvailable"], "memory": memory["MemTotal"]}
        return told

    def _ask_cards(self) -> list[dict[str, str]]:
        now = time.monotonic()
        if self._has_driver and (not self._asked or now - self._asked > _ASK_AGAIN_S):
            self._asked = now
            self._cards = _cards()
        return self._cards


def _memory() -> dict[str, int]:
    """What /proc/meminfo says, in bytes."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:  # no such thing on this system
        return {}
    cells = (line.replace(":", "").split() for line in lines)
    return {cell[0]: int(cell[1]) << 10 for cell in cells if len(cell) == 3}


def _cards() -> list[dict[str, str]]:
    command = ["nvidia-smi", f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = [line.split(", ") for line in done.stdout.splitlines()] if not done.returncode else []
    keys = ("name", "load", "used", "total")
    return [dict(zip(keys, row, strict=True)) for row in rows if len(row) == len(keys)]
