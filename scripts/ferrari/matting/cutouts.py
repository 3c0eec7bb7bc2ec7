"""From a crop to its cut-out: the net's alpha, its refinement, the subject's colours at the edge.

All of this is native code that runs on hostile input, so it runs in one child process (see
`isolated_model`). Stage 3 judges the results and writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ferrari.common.atomic_files import file_states
from ferrari.images import boxes
from ferrari.ledger.reasons import EMPTY_MASK, FULL_MASK, OTHER_PERSON
from ferrari.matting import alpha_refinement, edge_colours, engines, other_people, person_gate
from ferrari.matting.engines import Engine
from ferrari.matting.other_people import NOBODY, Parting
from ferrari.matting.person_gate import Gated
from ferrari.networks import segmenters, weight_files
from ferrari.networks.network import Opener, open_here
from ferrari.networks.placement import MATTING_ON_CPU, Place

if TYPE_CHECKING:
    from ferrari.networks.backends.ram import Presence
    from ferrari.processes.model_process import Load

#: A crop's HxWx3 uint8 RGB pixels, and in them the boxes x1, y1, x2, y2 of the subject and of the
#: other people.
Crop = tuple[np.ndarray, boxes.Box, Sequence[boxes.Box]]
#: A crop that every sound segmenter survives.
HARMLESS: Crop = (np.full((96, 96, 3), 128, np.uint8), (24.0, 24.0, 72.0, 72.0), ())


@dataclass(frozen=True)
class CutOut:
    """What became of a crop: `rgba` (HxWx4 uint8, straight alpha), or else `absent` or `fault`.

    `gated`: what the person gate made of the network's alpha, if there is a gate. `absent`: the
    segmenter's verdict that the subject's class is not there. `fault`: EMPTY_MASK or FULL_MASK,
    after `share`, the subject's of the crop, which is the mean of the alpha (0 where no pixel of it
    is as much as a half), of the network's or of the refined one; or OTHER_PERSON, after `parting`,
    which tells of others in the crop. `refined` and `detail` are those of
    alpha_refinement.Refinement.
    """

    rgba: np.ndarray | None = None
    share: float = 0.0
    refined: bool = False
    detail: str = ""
    fault: str = ""
    parting: Parting = NOBODY
    absent: Presence | None = None
    gated: Gated | None = None


def loader(
    weights: Sequence[str],
    settings: Mapping,
    subject_class: str,
    cache: str,
    threads: int,
    opener: Opener = open_here,
) -> Load:
    """What a child process loads to serve `cut_outs`: the segmenter of the `mask` settings and its
    person gate, whose networks `opener` has loaded where they are to run. `weights` are those of
    `weight_files.wanted`, the gate's last.
    """
    asked = (list(weights), dict(settings), subject_class, cache, threads, opener)
    return _Loader(*asked, states=tuple(file_states(weights)))


@dataclass(frozen=True)
class _Loader:
    """As `loader` says. `states`, what the weights look like: a model is not lent to jobs that mean
    other weights.
    """

    weights: Sequence[str]
    settings: Mapping
    subject_class: str
    cache: str
    threads: int
    opener: Opener
    states: tuple

    def __call__(self) -> tuple[dict[str, str], Callable[[Sequence[Crop]], list[CutOut]]]:
        settings, opener = self.settings, self.opener
        # Asked once a process, in a fork of it: so before there are threads.
        own = self.weights[: len(weight_files.for_segmenter(settings, self.cache))]
        place = segmenters.place_of(settings["segmenter"], own, settings["device"])
        refined = engines.place_of(settings, place.device)
        matting = ThreadPoolExecutor(1, "matting")
        # On the CPU beside the network's loading. For a card, a process may be forked: not then.
        compiled = matting.submit(load_matting, settings) if place.device == "cpu" else None
        segmenter, gate = self._segmenter(own), self._gate(self.weights[len(own) :])
        engine = compiled.result() if compiled else load_matting(settings, refined, opener)
        about = {
            "segmenter": segmenter.name,
            "weights_sha256": segmenter.weights_sha256,
            "device": segmenter.device,
            "person_gate": gate.network.name if gate else "",
            "gate_sha256": gate.network.weights_sha256 if gate else "",
        }
        return about, lambda crops: cut_outs(segmenter, crops, settings, matting, engine, gate)

    def _segmenter(self, weights: Sequence[str]) -> segmenters.Segmenter:
        return segmenters.load(
            self.settings["segmenter"],
            weights,
            self.settings["device"],
            segmenters.Asked.of(self.settings, self.subject_class, self.cache),
            threads=self.threads,
            cache=self.cache,
            opener=self.opener,
        )

    def _gate(self, weights: Sequence[str]) -> person_gate.PersonGate | None:
        _, known = weight_files.for_mask(self.settings, self.subject_class, self.cache)
        if len(weights) != bool(known):
            raise weight_files.ModelError(
                f"{len(weights)} weights for the person gate ({self.settings['person_gate']}), "
                f"expected {int(bool(known))}: give those of weight_files.wanted"
            )
        if known is None:
            return None
        return person_gate.load(
            known, weights[0], self.settings, self.cache, self.threads, self.opener
        )


def load_matting(
    settings: Mapping, place: Place = MATTING_ON_CPU, opener: Opener = open_here
) -> Engine | None:
    """The engine of the `mask` settings, None if they need none. Loaded now, not in a call: the
    first use ever compiles, which takes longer than a call may.
    """
    if not (settings["refine"] or settings["foreground"]):
        return None
    return engines.load(settings["matting"], place, opener)


def cut_outs(
    segmenter: segmenters.Segmenter,
    crops: Sequence[Crop],
    settings: Mapping,
    matting: Executor,
    engine: Engine | None = None,
    gate: person_gate.PersonGate | None = None,
) -> list[CutOut]:
    """One CutOut for each crop; raises DeviceMemoryError if the GPU's memory does not suffice.

    `matting` works on a crop's alpha, by `engine`, while the network computes the next ones.
    """
    absent = _absent(segmenter, [crop[0] for crop in crops])
    there = [crop for crop, verdict in zip(crops, absent, strict=True) if verdict is None]
    made: dict[int, Future[CutOut]] = {
        place: matting.submit(cut_out, there[place], matte, claims, settings, engine)
        for place, matte, claims in _mattes(segmenter, there, gate)
    }
    cut = iter(made[place].result() for place in range(len(there)))
    return [next(cut) if verdict is None else CutOut(absent=verdict) for verdict in absent]


def _absent(
    segmenter: segmenters.Segmenter, images_rgb: Sequence[np.ndarray]
) -> list[Presence | None]:
    """The verdict on each image that does not hold the subject's class, None for the others."""
    if segmenter.presence is None:
        return [None] * len(images_rgb)
    verdicts = [verdict for image in images_rgb for verdict in segmenter.presence([image])]
    return [None if verdict.present else verdict for verdict in verdicts]


def _mattes(
    segmenter: segmenters.Segmenter, crops: Sequence[Crop], gate: person_gate.PersonGate | None
) -> Iterator[tuple[int, Gated, np.ndarray | None]]:
    """Each crop's place, its matte, through the gate if there is one, and the alpha of the others
    in it, if the segmenter knows instances. Crops of which a second look is taken come last.
    """
    if gate is None:
        for place, (alpha, claims) in enumerate(_alphas(segmenter, crops)):
            yield place, Gated(alpha), claims
        return
    lost: list[tuple[int, Gated, np.ndarray, np.ndarray | None]] = []
    for place, (alpha, claims) in enumerate(_alphas(segmenter, crops)):
        person = gate.mask(crops[place][0])
        matte = gate.through(alpha, person, *crops[place])
        if segmenter.again is not None and person_gate.is_lost(matte, person):
            lost.append((place, matte, person, claims))
        else:
            yield place, matte, claims
    if segmenter.again is not None and lost:
        looks = segmenter.again([crops[place][0] for place, *_ in lost])
        for (place, first, person, claims), alpha in zip(lost, looks, strict=True):
            yield place, gate.second(first, alpha, person, *crops[place]), claims


def _alphas(
    segmenter: segmenters.Segmenter, crops: Sequence[Crop]
) -> Iterable[tuple[np.ndarray, np.ndarray | None]]:
    """The net's alpha of each crop, and that of the others in it, if it knows instances."""
    if not crops:
        return []
    images, subjects, others = zip(*crops, strict=True)
    if segmenter.apart is None:
        return ((alpha, None) for alpha in segmenter.alpha(images, subjects))
    return segmenter.apart(images, subjects, others)


def cut_out(
    crop: Crop,
    matte: Gated,
    claims: np.ndarray | None,
    settings: Mapping,
    engine: Engine | None = None,
) -> CutOut:
    """The cut-out of a crop by its matte and, if the segmenter gives that, the others' (`claims`),
    HxW float, 0..1. `engine` does the sums, ours if None.
    """
    image_rgb, box, others = crop
    parting = other_people.part(image_rgb, matte.alpha, box, others, claims)
    told = CutOut(parting=parting.told(), gated=matte.told())
    if parting.unsure_share > settings["max_other_person"]:
        return replace(told, fault=OTHER_PERSON)
    return finished(told, image_rgb, matte.alpha, parting, settings, engine)


def finished(
    told: CutOut,
    image_rgb: np.ndarray,
    matte: np.ndarray,
    parting: Parting,
    settings: Mapping,
    engine: Engine | None = None,
) -> CutOut:
    """`told` with the cut-out of a crop by its matte (HxW float, 0..1), or the fault of that.

    The matte is limited by `parting`, its edge refined, the subject's colours estimated there.
    """
    alpha = parting.limited(matte)
    share, fault = _judged(alpha, settings)
    if fault:
        return replace(told, share=share, fault=fault)
    refinement = alpha_refinement.Refinement(alpha, False)
    if settings["refine"]:
        refinement = alpha_refinement.refine_alpha(
            image_rgb, alpha, settings["edge_px"], engine=engine
        )
    # The refinement's band reaches over the border to another's pixels.
    alpha = parting.limited(refinement.alpha)
    rgba = edge_colours.cut_out(image_rgb, alpha, settings["foreground"], engine)
    share, fault = _judged(rgba[..., 3], settings)  # the refinement may take it over a bound
    told = replace(told, share=share, refined=refinement.refined, detail=refinement.detail)
    return replace(told, fault=fault) if fault else replace(told, rgba=rgba)


def _judged(alpha: np.ndarray, settings: Mapping) -> tuple[float, str]:
    """The subject's share of a crop by its alpha (HxW, 0..1 or uint8), with the digits of its row,
    and EMPTY_MASK or FULL_MASK where that is out of bounds.
    """
    if boxes.subject_box(alpha) is None:
        # A veil of which no pixel is more subject than scene is no share of a subject.
        return 0.0, EMPTY_MASK
    share = round(float(alpha.mean()) / (255 if alpha.dtype == np.uint8 else 1), 6)
    if share < settings["min_subject"]:
        return share, EMPTY_MASK
    return share, FULL_MASK if share > settings["max_subject"] else ""
