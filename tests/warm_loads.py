"""What a warm model may load in tests: module-level functions, so that they pickle."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from ferrari.common.progress import LOGGER


def telling_pid(note: str):
    """Serves (its process id, item); notes each load in the file `note`; some items end it."""
    with open(note, "a") as stream:
        stream.write("load\n")
    served: list = []
    broken = []

    def run(items):
        for item in items:
            if item == "deadly":
                os.abort()
            if item == "deadly after others" and served:
                os.abort()
            if item == "killed once" and not Path(note + ".killed").exists():
                Path(note + ".killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if item == "breaks the context" and not Path(note + ".broken").exists():
                Path(note + ".broken").touch()
                broken.append(item)
            if broken:
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
            if item == "slow":
                time.sleep(60)
            if item == "print":
                os.write(1, b"said by the model\n")
                LOGGER.info("logged by the model")
        served.extend(items)
        return [(os.getpid(), item) for item in items]

    return {"pid": os.getpid()}, run


def not_to_be_loaded():
    """Raises as a model does whose weights are wrong."""
    raise ValueError("wrong weights")
