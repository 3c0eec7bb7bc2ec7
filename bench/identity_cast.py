"""Cuts real people out (`cast_of`, `cut_out`), and films them together (`filmed_together`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Source:
    """What one person is cut out of: clips from the front, each with a part of it (from and to, as
    shares), and perhaps one from behind. `high`: px, of the pictures. Who is filmed from head to
    foot has a small face in them.
    """

    front: Sequence[tuple[Path, float, float]]
    back: Path | None = None
    high: int = composed.CUT_FROM


def filmed_together(
    cast: Mapping[str, Actor], work: Path, trios: Sequence[tuple[str, str, str]], log
) -> list[Composed]:
    """All scenes of each trio, encoded into `work`."""
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


def trios(names: Sequence[str], quick: bool) -> list[tuple[str, str, str]]:
    """Everybody with the next, and with one who is not; two trios if it is to be quick. Three names
    or more.
    """
    steps = (0, 1, 3 if len(names) > 3 else 2)
    ring = [tuple(names[(i + step) % len(names)] for step in steps) for i in range(len(names))]
    return [(a, b, c) for a, b, c in (ring[:2] if quick else ring)]


def actor(eyes: Eyes, work: Path, clips: Mapping[str, Path], who: str, log) -> Actor:
    """The cut-outs of one of the people, with a head from behind."""
    parts = [(clips[one.clip], one.begin, one.end) for one in people.for_tests(who)]
    made = cut_out(eyes, work, who, Source(parts), log)
    return replace(made, head=_heads(work, clips[people.BACKS], log)[identity_heads.of(who)])


def cut_out(eyes: Eyes, work: Path, who: str, source: Source, log) -> Actor:
    """The cut-outs of somebody, from `work` where they are there."""
    path = work / f"actor-{who}.npz"
    if not path.exists():
        log(f"  {who} is cut out")
        np.savez_compressed(path, **_arrays(_cut_out(eyes, source)))
    with np.load(path) as arrays:
        return _actor(arrays)


def _arrays(made: Actor) -> dict[str, np.ndarray]:
    views = {"picture": made.pictures, "behind": made.behind}
    found = {f"{name}{n}": one for name, some in views.items() for n, one in enumerate(some)}
    if made.heads_xyxy is not None:
        found["heads"] = made.heads_xyxy
    return {"faces": made.faces_xyxy, "painted": np.array(made.painted), **found}


def _actor(arrays: Mapping[str, np.ndarray]) -> Actor:
    """Of what `_arrays` gave; what was kept before anybody had film of their back says less."""
    faces, heads = arrays["faces"], arrays.get("heads")
    return Actor(
        [arrays[f"picture{n}"] for n in range(len(faces))],
        faces,
        behind=[arrays[f"behind{n}"] for n in range(0 if heads is None else len(heads))],
        heads_xyxy=heads,
        painted=bool(arrays.get("painted", True)),
    )


def _heads(work: Path, clip: Path, log) -> dict[str, np.ndarray]:
    """The heads from behind, from `work` where they are there."""
    path = work / "heads.npz"
    if not path.exists():
        log("  heads from behind are cut out")
        np.savez_compressed(path, **identity_heads.cut_out(clip, _alphas))
    with np.load(path) as arrays:
        return dict(arrays)


def _cut_out(eyes: Eyes, source: Source) -> Actor:
    each = max(1, _MOST // len(source.front))
    pictures = [
        picture
        for path, begin, end in source.front
        for picture in composed.filmed(path, begin, end, each, source.high)
    ]
    found = [eyes.models["sface"].find(one) for one in pictures]
    front = composed.actor(pictures, _alphas(pictures), [_largest(faces) for faces in found])
    if source.back is None:
        return front
    backs = composed.filmed(source.back, 0.0, 1.0, _MOST, source.high)
    return composed.with_backs(front, backs, _alphas(backs))


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
