"""Cuts the real people out, and films them together: `filmed_together`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench import identity_composed as composed
from bench import identity_heads, peers, prepare
from bench import identity_people as people
from bench.identity_composed import Actor, Composed, Scene
from bench.identity_look import Eyes
from ferrari.images.faces import Face
from ferrari.networks import segmenters, weight_files

#: Cut-outs of one person at most.
_MOST = 12
#: Pixels at which the network sees a picture: half of what it is made for each way. That takes a
#: third of the time, and no edge is judged here.
_SIDE = 512


def filmed_together(
    eyes: Eyes, work: Path, clips: Mapping[str, Path], trios: Sequence[tuple[str, str, str]], log
) -> list[Composed]:
    """All scenes of each trio, encoded into `work`."""
    cast = cast_of(eyes, work, clips, trios, log)
    folder = work / "composed-2"  # the number goes up when clips of the same names change
    folder.mkdir(parents=True, exist_ok=True)
    log(f"  {len(trios)} trios are filmed together")
    return [composed.film(scene, cast, folder) for scene in scenes_of(trios)]


def cast_of(
    eyes: Eyes, work: Path, clips: Mapping[str, Path], trios: Sequence[tuple[str, str, str]], log
) -> dict[str, Actor]:
    """Everybody in the trios, cut out; from `work` where they are there already."""
    names = sorted({who for trio in trios for who in trio})
    return {who: actor(eyes, work, clips, who, log) for who in names}


def scenes_of(trios: Sequence[tuple[str, str, str]]) -> list[Scene]:
    """All scenes of each trio."""
    return [
        scene
        for number, trio in enumerate(trios)
        for scene in composed.scenes(*trio, seed=100 * number)
    ]


def trios(quick: bool) -> list[tuple[str, str, str]]:
    """Everybody with everybody's next and the one after; two trios if it is to be quick."""
    names = people.PEOPLE
    ring = [tuple(names[(i + step) % len(names)] for step in (0, 1, 3)) for i in range(len(names))]
    return [(a, b, c) for a, b, c in (ring[:2] if quick else ring)]


def actor(eyes: Eyes, work: Path, clips: Mapping[str, Path], who: str, log) -> Actor:
    """The cut-outs of one of the people, from `work` where they are there."""
    path = work / f"actor-{who}.npz"
    if not path.exists():
        log(f"  {who} is cut out")
        made = _cut_out(eyes, work, clips, who)
        pictures = {f"picture{n}": one for n, one in enumerate(made.pictures)}
        np.savez_compressed(path, faces=made.faces_xyxy, **pictures)
    head = _heads(work, clips[people.BACKS], log)[identity_heads.of(who)]
    with np.load(path) as arrays:
        boxes = arrays["faces"]
        return Actor([arrays[f"picture{n}"] for n in range(len(boxes))], boxes, head)


def _heads(work: Path, clip: Path, log) -> dict[str, np.ndarray]:
    """The heads from behind, from `work` where they are there."""
    path = work / "heads.npz"
    if not path.exists():
        log("  heads from behind are cut out")
        np.savez_compressed(path, **identity_heads.cut_out(clip, _alphas))
    with np.load(path) as arrays:
        return dict(arrays)


def _cut_out(eyes: Eyes, work: Path, clips: Mapping[str, Path], who: str) -> Actor:
    shares = people.for_tests(who)
    each = max(1, _MOST // len(shares))
    pictures = [
        picture
        for share in shares
        for picture in composed.filmed(clips[share.clip], share.begin, share.end, each)
    ]
    found = [eyes.models["sface"].find(one) for one in pictures]
    return composed.actor(pictures, _alphas(pictures), [_largest(faces) for faces in found])


def _alphas(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """By the pipeline's own network, 0..1."""
    entry = weight_files.table()["models"]["isnet"]
    entry = {**entry, "input": {**entry["input"], "size": [_SIDE, _SIDE]}}
    asked = segmenters.Asked(entry, aspect=True)
    network = segmenters.load(
        "isnet", peers.isnet_weights(), "cpu", asked, threads=prepare.threads()
    )
    return [next(iter(network.alpha([one], None))) for one in pictures]


def _largest(faces: Sequence[Face]) -> tuple[float, float, float, float] | None:
    best = max(faces, key=lambda face: face.short_side, default=None)
    return best.box_xyxy if best else None
