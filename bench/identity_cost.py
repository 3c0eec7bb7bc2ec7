"""What it costs to tell who is who: `python -m bench.identity_cost`.

Crowds of real people, cut out and put side by side, go through `detect` and `crop` with faces
searched and people judged, and as in the mode `single`, in turns; the subject's crops then through
`mask`. Start and loading are left out: what is counted is a clip of five seconds less one of one
second. CPU seconds, one thread a job.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from bench import identity_cast as cast
from bench import identity_people as people
from bench import identity_scores as scoring
from bench import peers, prepare
from bench.identity_composed import Actor
from bench.identity_look import Eyes, looked_at
from bench.measure import Cost, by_turns, median, task
from ferrari.ledger import item_ids, tables
from ferrari.networks import weight_files
from ferrari.subject import modes, template_file
from tests.generator.encode import Encoding, encode

_HERE = Path(__file__).parent
FPS = 12
SHORT_S, LONG_S = 1, 5


@dataclass(frozen=True)
class Crowd:
    """People in columns and rows, in a picture of `wide` x `high` px."""

    columns: int
    rows: int
    wide: int = 1920
    high: int = 1080


#: By their number. In 1080 rows the detector, which sees 360 of them, finds six of fifty.
CROWDS = {2: Crowd(2, 1), 10: Crowd(5, 2), 50: Crowd(10, 5, high=1920)}


def main(given: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.identity_cost", description=__doc__)
    parser.add_argument("--work", type=Path, default=_HERE / "work/identity")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--people", type=int, nargs="*", default=list(CROWDS), choices=CROWDS)
    options = parser.parse_args(given)
    work = options.work.resolve()
    eyes, files = Eyes(work), people.clips()
    actors = [cast.actor(eyes, work, files, who, print) for who in people.PEOPLE]
    dataset = work / "cost"
    who = _template(eyes, work, files, dataset)
    # An odd number of turns ends with `judged`, whose files are looked at.
    print("| people | frames | boxes a frame | faces a frame | single | judged | more | masks |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for count in options.people:
        print(_row(dataset, actors, count, who, options.repeats | 1), flush=True)
    return 0


def _template(eyes: Eyes, work: Path, files, dataset: Path) -> Path:
    """The first of the people, by references from another part of their clip."""
    name = people.PEOPLE[0]
    some = {clip: files[clip] for clip in people.clips_of(name)}
    looked = looked_at(eyes, work, some)
    share = people.for_references(name)
    members = people.references(looked[share.clip], share, "sface")
    path = dataset / "who.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    template_file.write(path, scoring.Template(members, members[:0]))
    return path


def _row(dataset: Path, actors: Sequence[Actor], count: int, who: Path, repeats: int) -> str:
    videos = _filmed(dataset, actors, count)
    weights, _, size = peers.yolo_weights()
    face = {"detector": "yunet", "embedding": "sface"}
    asked = weight_files.for_faces(face)
    folder = (peers.shared() or Path()) / "weights/face"
    entry = asked[1].entry
    subject = prepare.section("subject")
    found = modes.thresholds(subject, entry)
    judging = {
        "mode": modes.REFERENCES,
        "above": found.above,
        "below": found.below,
        **{key: subject[key] for key in ("body_similarity", "body_gap_s", "sureness_decay")},
    }
    common = {
        "dataset": dataset,
        "videos": videos,
        "weights": weights,
        "settings": prepare.detect_settings(weights, size) | {"batch": 1},
        "cache": dataset / "cache",
        "who": who,
    }
    nobody = {"faces": None, "face_weights": [], "judging": None}
    everybody = {
        "faces": face | {"weights": [one.entry for one in asked]},
        "face_weights": [str(folder / one.entry["file"]) for one in asked],
        "judging": judging,
    }
    costs = by_turns(
        repeats,
        {
            "single": partial(task, "people", **common, **nobody),
            "judged": partial(task, "people", **common, **everybody),
        },
        lambda said: None,
    )
    frames, boxes, faces = _seen(dataset, videos)
    single, judged = (_cpu(costs[name]) for name in ("single", "judged"))
    return (
        f"| {count} | {frames} | {boxes / frames:.1f} | {faces / frames:.1f} | {single:.2f} "
        f"| {judged:.2f} | {judged / single - 1:.0%} | {_masked(dataset, videos, repeats):.2f} |"
    )


def _masked(dataset: Path, videos: Sequence[str], repeats: int) -> float:
    """CPU seconds of `mask` on the subject's crops of the long clip beyond those of the short one;
    NaN where none is kept.
    """
    crops = [dataset / f"02_yolo_crops/{video}.csv" for video in videos]
    if not tables.kept(tables.read_stage(crops[1], "crop")):
        return float("nan")
    weights = [peers.isnet_weights(), peers.selfie_weights(dataset / "cache")]
    settings = prepare.section("mask", weights=str(weights[0]), device="cpu")
    means = {"weights": weights, "settings": settings, "cache": dataset / "cache", "threads": 1}
    places = {"dataset": dataset, "out": dataset / "03_masked_subjects"}
    return _cpu([task("mask", tables=crops, **places, **means) for _ in range(repeats)])


def _cpu(costs: Sequence[Cost]) -> float:
    return median([cost.cpu_s for cost in costs])


def _seen(dataset: Path, videos: Sequence[str]) -> tuple[int, int, int]:
    """Kept frames of the long clip beyond those of the short one; boxes and faces in them."""
    from ferrari.subject import sightings_file

    sums = []
    for video in videos:
        rows = tables.kept(
            tables.read_stage(dataset / f"01_extracted_frames/{video}.csv", "extract")
        )
        seen = sightings_file.read(dataset / f"subject/sightings/{video}.npz")
        sums.append(np.array([len(rows), sum(map(bool, seen.items)), len(seen.faces)]))
    frames, boxes, faces = (sums[1] - sums[0]).tolist()
    return frames, boxes, faces


def _filmed(dataset: Path, actors: Sequence[Actor], count: int) -> list[str]:
    """A short and a long clip of a crowd, extracted; their ids."""
    clips = []
    for seconds in (SHORT_S, LONG_S):
        clip = dataset / "raw" / f"crowd{count}-{seconds}s.mp4"
        clip.parent.mkdir(parents=True, exist_ok=True)
        if not clip.exists():
            options = {"crf": "18", "preset": "veryfast"}
            frames = _frames(actors, count, seconds * FPS)
            encode(clip, frames, Encoding(fps=str(FPS), gop=24, options=options))
        clips.append(clip)
    prepare.probed(dataset, clips)
    settings = prepare.extract_settings()
    task("extract", raws=clips, dataset=dataset, settings=settings, threads=1)
    return [item_ids.video_id(clip.name) for clip in clips]


def _frames(actors: Sequence[Actor], count: int, number: int) -> Iterator[np.ndarray]:
    """People in columns and rows before a grey wall, each swaying in their own time."""
    crowd = CROWDS[count]
    wide, high = crowd.wide / crowd.columns, crowd.high / crowd.rows
    wall = np.linspace(120, 190, crowd.high, dtype=np.float32)[:, None, None]
    for frame in range(number):
        canvas = np.broadcast_to(wall, (crowd.high, crowd.wide, 3)).copy()
        for place in range(count):
            row, column = divmod(place, crowd.columns)
            sway = 0.06 * wide * np.sin(0.9 * frame / FPS + 1.7 * place)
            middle = (column + 0.5) * wide + sway
            _put(canvas, actors[place % len(actors)], frame // 2 + 3 * place, middle, row, high)
        yield np.clip(np.rint(canvas), 0, 255).astype(np.uint8)


def _put(
    canvas: np.ndarray, actor: Actor, number: int, middle: float, row: int, high: float
) -> None:
    """Somebody with the feet at the row's lower edge and the head a tenth below its upper one."""
    rgba = actor.pictures[number % len(actor.pictures)]
    scale = 0.88 * high / rgba.shape[0]
    size = (max(1, round(rgba.shape[1] * scale)), max(1, round(rgba.shape[0] * scale)))
    small = cv2.resize(rgba, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    left, top = round(middle - size[0] / 2), round((row + 1) * high) - size[1]
    x1, x2 = max(left, 0), min(left + size[0], canvas.shape[1])
    part = small[: canvas.shape[0] - top, x1 - left : x2 - left]
    alpha = part[..., 3:] / 255
    where = canvas[top : top + part.shape[0], x1:x2]
    where[:] = where * (1 - alpha) + part[..., :3] * alpha


if __name__ == "__main__":
    raise SystemExit(main())
