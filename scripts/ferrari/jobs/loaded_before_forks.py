"""What the fork server loads before its first fork, so that not every job loads it again."""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
from collections.abc import Iterator

from ferrari.jobs.stage_command import RULES

#: Modules that jobs import inside functions; the server loads them before the first fork too.
LATE = (
    "numpy.ma",  # by numpy itself, for the first median or quantile
    "numpy.random",
    "scipy.optimize",
    "ferrari.jobs.error_advice",
    "ferrari.video.decoding.decord_decoder",
    "ferrari.video.decoding.pyav_decoder",
    "ferrari.jobs.stage_job",
    "ferrari.jobs.run_lock",
)


def load() -> None:
    """Import what jobs import, and fill the caches that each of them would fill.

    An environment made for some stages lacks the packages of others: a stage that cannot be
    imported is not one of its jobs.
    """
    import PIL.Image

    from ferrari.captions import clip_tokens
    from ferrari.jobs import stage_job
    from ferrari.networks import weight_files
    from ferrari.processes import devices
    from ferrari.provenance import table_stamps
    from ferrari.video import native_memory

    native_memory.keep()  # jobs and models inherit it, and take fewer pages anew
    PIL.Image.init()
    for module in (*LATE, *RULES):
        with _unless_not_installed(module):
            importlib.import_module(module)
    for rule in table_stamps.LIBRARIES:
        table_stamps.versions(rule)
    weight_files.table()
    with _unless_not_installed("the captions' tokenizer"):
        clip_tokens.count_clip_tokens("")
    devices.nvdec_problem()
    # A job that has more threads raises it (`stage_job`); the models' processes keep to one. Not to
    # be called in a fork of a process whose OpenCV has started threads: it would wait for them.
    stage_job.limit_opencv(1)
    _fill_opencv()
    gc.collect()
    gc.freeze()  # else a garbage collection in a fork would copy all that is loaded


def _fill_opencv() -> None:
    """Have OpenCV, if it is loaded, compute its tables for CIELAB: 70 ms in each fork else."""
    if "cv2" in sys.modules:
        import cv2
        import numpy as np

        cv2.cvtColor(np.zeros((1, 1, 3), np.uint8), cv2.COLOR_RGB2LAB)


@contextlib.contextmanager
def _unless_not_installed(what: str) -> Iterator[None]:
    """Ignore that a third-party module is not installed; a missing module of ours is an error."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("", "ferrari", *RULES):
            raise
        print(f"{what} is not loaded: there is no {error.name} here", file=sys.stderr)
