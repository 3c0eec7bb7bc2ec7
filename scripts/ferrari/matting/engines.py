"""Who does the sums of matting: the setting `mask.matting`. Loaded where it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Engine:
    """`solve` as `closed_form.solve`, `estimate` as `foreground.estimate`."""

    solve: Callable[..., tuple[np.ndarray | None, int]]
    estimate: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def load(name: str = "closed_form") -> Engine:
    """The engine for `closed_form` (ours) or `pymatting`; the first use ever compiles it."""
    if name == "pymatting":
        from ferrari.matting import pymatting_loader, with_pymatting

        pymatting_loader.load()
        return Engine(with_pymatting.solve, with_pymatting.estimate)
    from ferrari.matting import closed_form, foreground

    return Engine(closed_form.solve, foreground.estimate)
