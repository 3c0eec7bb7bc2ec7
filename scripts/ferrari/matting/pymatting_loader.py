"""The two parts of pymatting that we use, without compiling the other forty.

`import pymatting` compiles every function of the package: about a minute the first time, four
seconds from its cache. Its closed-form Laplacian and its multi-level foreground estimation need
none of the others. They are imported under their own names, since numba's cache is keyed by these;
empty stand-ins take the place of their parent packages meanwhile.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path

_PARENTS = ("pymatting", "pymatting.laplacian", "pymatting.foreground")


@functools.cache
def load() -> tuple[Callable, Callable]:
    """(`cf_laplacian`, `estimate_foreground_ml`) of pymatting; compiles them on first use ever.

    Each runs in one thread. Pymatting's threads spin while they wait for each other: beside a
    network that keeps the cores busy they took ten times as long. The result is the same.
    """
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # read when numba is imported
    missing = [name for name in _PARENTS if name not in sys.modules]
    if "pymatting" in missing:
        spec = importlib.util.find_spec("pymatting")
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError("No module named 'pymatting'", name="pymatting")
        root = Path(spec.submodule_search_locations[0])
        for name in missing:
            stand_in = types.ModuleType(name)
            stand_in.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
            sys.modules[name] = stand_in
    else:
        missing = []
    try:
        laplacian = importlib.import_module("pymatting.laplacian.cf_laplacian")
        foreground = importlib.import_module("pymatting.foreground.estimate_foreground_ml")
    finally:
        for name in missing:
            del sys.modules[name]
    return laplacian.cf_laplacian, foreground.estimate_foreground_ml
