"""Who does the sums of matting: the setting `mask.matting`. Loaded where it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ferrari.networks import placement
from ferrari.networks.network import Opener, open_here
from ferrari.networks.placement import MATTING_ON_CPU, Place

#: As `closed_form.solve`, with a remark for the row beside the alpha and the iterations.
Solve: TypeAlias = Callable[
    [np.ndarray, np.ndarray, np.ndarray, np.ndarray, float], tuple[np.ndarray | None, int, str]
]
#: As `foreground.estimate`.
Estimate: TypeAlias = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Engine:
    """What does both sums of matting."""

    solve: Solve
    estimate: Estimate


def place_of(settings: Mapping, segmenter: str) -> Place:
    """Where the `mask` settings have alphas refined, whose segmenter runs on a device ('cpu',
    'cuda:N'). Raises DeviceError for a device that was named and that torch cannot use.
    """
    if settings["refine"] and settings["matting"] == "card":
        return placement.of_matting(segmenter, settings["device"])
    return MATTING_ON_CPU


def load(
    name: str = "closed_form", place: Place = MATTING_ON_CPU, opener: Opener = open_here
) -> Engine:
    """The engine for `closed_form` (ours), `card` or `pymatting`; the first use ever compiles it.

    `card` is ours, with the alpha solved at `place`, which `opener` opens. Its colours come from
    the CPU, as its alpha does where that is the place.
    """
    if name == "pymatting":
        from ferrari.matting import pymatting_loader, with_pymatting

        pymatting_loader.load()
        return Engine(_without_remark(with_pymatting.solve), with_pymatting.estimate)
    from ferrari.matting import closed_form, foreground

    if place.device == "cpu":
        return Engine(_without_remark(closed_form.solve), foreground.estimate)
    from ferrari.matting import on_card

    return Engine(on_card.solver(place.device, opener), foreground.estimate)


def _without_remark(solve: Callable[..., tuple[np.ndarray | None, int]]) -> Solve:
    return lambda *picture: (*solve(*picture), "")
