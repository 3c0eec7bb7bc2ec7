"""People together in one frame, whose every pixel is known: what stage 3 leaves of the others.

Frames of `bench.identity_composed`: real people, cut out, before drawn scenes. Each of them in turn
is the subject, the boxes are those that the detector finds, and stage 3 runs at its defaults, with
the person gate and with everybody's boxes. No constant of `matting.other_people` was set on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from bench import identity_cast, identity_people, peers, prepare
from bench import identity_composed as composed
from bench.identity_look import Eyes
from bench.matte_metrics import iou
from bench.measure import task
from bench.prepare import Bench
from ferrari.images import boxes, hardly_seen, image_files, subject_choice
from ferrari.ledger import item_ids, tables
from ferrari.ledger.columns import DROPPED, KEPT
from ferrari.ledger.reasons import OTHER_PERSON

#: Scenes in which several people are in one frame, all of them there.
KINDS = ("beside", "cross", "hug", "hidden", "small", "crowd", "twins")
#: Who is filmed to the waist: of the others there is a head alone, above drawn clothes.
TO_THE_WAIST = frozenset({"s18", "s20", "man", "woman"})
#: Where in a clip its frames are taken, as shares of it.
_AT = (0.35, 0.65)
#: Overlap of a box with whom it is of, at least.
_IS_OF = 0.5
_VEIL_PX = 6  # from where somebody is solid: further away alpha is no edge of theirs
#: The clip that all frames are said to be of. Who is in one frame is told by the names of items.
_VIDEO = item_ids.video_id("pairs.mp4")
_EDGE_PX = 2  # of another's edge, which no border between two people can be exact to


@dataclass(frozen=True)
class Subject:
    """A crop whose subject is known: what is theirs (`own`) and what is others' (`others`) in it,
    HxW float 0..1. `apart`: no box of anybody else overlaps theirs.
    """

    kind: str
    own: np.ndarray
    others: np.ndarray
    apart: bool


@dataclass(frozen=True)
class Left:
    """What became of such a crop. Of a cut-out: the share of its alpha that is others' (`others`),
    the same without their edges (`inner`), and how well it covers the subject.
    """

    reason: str
    others: float = 0.0
    inner: float = 0.0
    iou: float = 0.0


#: Cuts out the crops of stage 2's rows in a dataset's folder; the folder of <item>.png.
Peer = Callable[[Path, list[tables.Row]], Path]


def measured(bench: Bench, weights: Path, quick: bool, peers: Mapping[str, Peer]) -> str:
    """The tables, in Markdown: ours by kinds of scenes, and the `peers`, who know no boxes, beside
    it. PeerMissingError where there are no real people.
    """
    work = bench.work / "identity"
    work.mkdir(parents=True, exist_ok=True)
    eyes = Eyes(work, prepare.threads())
    trios = identity_cast.trios(identity_people.PEOPLE, quick=False)
    if quick:
        trios = [trio for trio in trios if set(trio[:2]) <= TO_THE_WAIST]
    cast = identity_cast.cast_of(eyes, work, identity_people.clips(), trios, bench.log)
    cast = {who: solid(actor) for who, actor in cast.items()}
    scenes = [s for s in identity_cast.scenes_of(trios) if s.name.split("-")[0] in KINDS]
    dataset = bench.fresh("pairs")
    rows, subjects = crops_of(scenes, cast, eyes, dataset)
    masked = cut_out(bench, dataset, rows, weights)
    found = {item: left(subjects[item], masked[item], dataset) for item in subjects}
    _log_worst(bench, found)
    beside = {"ours (default)": found}
    for name, cut in peers.items():
        folder = cut(dataset, tables.kept(rows))
        beside[name] = {
            item: left_by(one, folder / f"{item}.png") for item, one in subjects.items()
        }
    return f"{table(subjects, found)}\n\n{side_by_side(subjects, beside)}"


def _log_worst(bench: Bench, found: Mapping[str, Left], most: int = 20) -> None:
    for item in sorted(found, key=lambda item: -found[item].others)[:most]:
        bench.log(f"  {item}: {found[item]}")


def solid(actor: composed.Actor) -> composed.Actor:
    """The actor alone: what the network left half there of a room, or cut out beside them, is
    nobody's pixel.
    """
    kernel = np.ones((2 * _VEIL_PX + 1,) * 2, np.uint8)
    pictures = []
    for rgba in actor.pictures:
        solid = (rgba[..., 3] > 230).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(solid)
        body = labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        near = cv2.dilate(body.astype(np.uint8), kernel) > 0
        alpha = np.where(near, rgba[..., 3], 0).astype(np.uint8)
        pictures.append(np.dstack([rgba[..., :3], alpha]))
    return composed.Actor(pictures, actor.faces_xyxy)


def crops_of(
    scenes: Sequence[composed.Scene],
    cast: Mapping[str, composed.Actor],
    eyes: Eyes,
    dataset: Path,
) -> tuple[list[tables.Row], dict[str, Subject]]:
    """Rows of stage 2 for frames of the scenes, with their pictures; and by item who is in them.

    Whom the detector does not find is no subject, but stays in the others' pixels.
    """
    rows: list[tables.Row] = []
    subjects: dict[str, Subject] = {}
    for scene in scenes:
        last = round(scene.seconds * composed.FPS) - 1
        for number in (round(at * last) for at in _AT):
            image, shown = composed.picture(scene, cast, number)
            frame = f"{_VIDEO}-f{len(rows):06d}"
            made, found = _of_frame(image, [alpha for _, alpha in shown], eyes, dataset, frame)
            rows += made
            kind = scene.name.split("-")[0]
            subjects |= {item: Subject(kind, *rest) for item, rest in found.items()}
    return rows, subjects


def _of_frame(
    image: np.ndarray, alphas: Sequence[np.ndarray], eyes: Eyes, dataset: Path, frame: str
):
    settings = prepare.section("detect")
    every = eyes.detector.detect([image])[0]
    seen = [one for one in every if one.confidence >= settings["confidence"]]
    places = [one.box_xyxy for one in subject_choice.in_order(seen)]
    hints = hardly_seen.within(places, every, settings["confidence"])
    truths = [boxes.subject_box(alpha) for alpha in alphas]
    rows, found = [], {}
    for place, box in enumerate(places):
        fits = [boxes.overlap(box, truth) if truth else 0.0 for truth in truths]
        item = f"{frame}-p{place}"
        corners = dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))
        if max(fits, default=0.0) < _IS_OF:
            row = {"outcome": DROPPED, "reason": "NOT_TARGET"}
            rows.append(tables.row("crop", item=item, parent=frame, **row, **corners))
            continue
        x1, y1, x2, y2 = boxes.padded(box, settings["pad"], image.shape[1], image.shape[0])
        window = np.s_[y1:y2, x1:x2]
        crop = dict(
            zip(("crop_x1", "crop_y1", "crop_x2", "crop_y2"), (x1, y1, x2, y2), strict=True)
        )
        hint = {"hardly_seen": hardly_seen.told(hints[place])}
        rows.append(_kept(dataset, item, image[window], {**corners, **crop, **hint}))
        who = int(np.argmax(fits))
        others = sum((a for n, a in enumerate(alphas) if n != who), np.zeros(image.shape[:2]))
        apart = all(boxes.shared(box, o) == 0 for n, o in enumerate(places) if n != place)
        found[item] = (alphas[who][window], others[window], apart)
    return rows, found


def _kept(dataset: Path, item: str, crop_rgb: np.ndarray, corners: Mapping) -> tables.Row:
    path = dataset / "02_yolo_crops" / _VIDEO / f"{item}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    crop_rgb = np.ascontiguousarray(crop_rgb)
    digest = image_files.write_checked(path, image_files.encode_png(crop_rgb), crop_rgb.shape)
    about = {"path": path.relative_to(dataset).as_posix(), "sha256": digest}
    parent = item.rpartition("-")[0]
    return tables.row("crop", item=item, parent=parent, outcome=KEPT, **about, **corners)


def cut_out(
    bench: Bench, dataset: Path, rows: Sequence[tables.Row], weights: Path
) -> dict[str, dict]:
    """Stage 3's rows for those of stage 2, by item; its settings are the defaults."""
    crops = dataset / f"02_yolo_crops/{_VIDEO}.csv"
    tables.write_stage(crops, "crop", rows)
    task(
        "mask",
        tables=[crops],
        dataset=dataset,
        out=dataset / "03_masked_subjects",
        weights=[weights, peers.selfie_weights(bench.cache)],
        settings=prepare.section("mask", weights=str(weights), device="cpu"),
        cache=bench.cache,
        threads=prepare.threads(),
    )
    made = tables.read_stage(dataset / f"03_masked_subjects/{_VIDEO}.csv", "mask")
    return {row["item"]: row for row in made}


def left(subject: Subject, row: Mapping[str, str], dataset: Path) -> Left:
    """What a row of stage 3 and its cut-out have of a crop's subject and of others."""
    if row["outcome"] != KEPT:
        return Left(row["reason"])
    return left_by(subject, dataset / row["path"])


def left_by(subject: Subject, cut_out: Path) -> Left:
    """The same of a cut-out, whoever made it."""
    alpha = image_files.read(cut_out)[..., 3] / 255
    total = max(float(alpha.sum()), 1e-6)
    kernel = np.ones((2 * _EDGE_PX + 1,) * 2, np.uint8)
    inner = cv2.erode((subject.others > 0.5).astype(np.uint8), kernel) > 0
    others = of_others(alpha, subject.own, subject.others)
    return Left("", others, float(alpha[inner].sum()) / total, iou(alpha, subject.own))


def of_others(alpha: np.ndarray, own: np.ndarray, others: np.ndarray) -> float:
    """The share of an alpha that is `others`', and not its subject's `own`; all HxW float 0..1."""
    # At a border both have a part of a pixel, and the subject's own is no fault.
    theirs = np.minimum(np.maximum(alpha - own, 0), others)
    return float(theirs.sum()) / max(float(alpha.sum()), 1e-6)


_HEAD = (
    "crops", "kept", "OTHER_PERSON", "otherwise refused",
    "others, mean", "most", "without edges, mean", "most",
    "IoU apart: mean", "least", "IoU overlapping: mean", "least",
)  # fmt: skip


def table(subjects: Mapping[str, Subject], found: Mapping[str, Left]) -> str:
    """A Markdown table, a line for each kind of scene and one for all."""
    rows = {}
    for kind in (*KINDS, "all"):
        some = [item for item, one in subjects.items() if kind in ("all", one.kind)]
        rows[kind] = _cells(some, subjects, found)
    title = "**Several people in a crop** (shares of the cut-outs' alpha that are others')"
    return _markdown(title, rows)


def side_by_side(subjects: Mapping[str, Subject], found: Mapping[str, Mapping[str, Left]]) -> str:
    """A Markdown table, a line for each contender in `found`, by name."""
    rows = {name: _cells(list(subjects), subjects, one) for name, one in found.items()}
    return _markdown("**The same, beside others**", rows)


def _markdown(title: str, rows: Mapping[str, Sequence[str]]) -> str:
    head = [f"| | {' | '.join(_HEAD)} |", "|---|" + "---:|" * len(_HEAD)]
    lines = [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    return "\n".join([title, "", *head, *lines])


def _cells(items: Sequence[str], subjects: Mapping[str, Subject], found: Mapping[str, Left]):
    kept = [item for item in items if not found[item].reason]
    theirs = sum(found[item].reason == OTHER_PERSON for item in items)
    shares = [[getattr(found[item], name) for item in kept] for name in ("others", "inner")]
    apart = [found[item].iou for item in kept if subjects[item].apart]
    near = [found[item].iou for item in kept if not subjects[item].apart]
    counts = [f"{n:,}" for n in (len(items), len(kept), theirs, len(items) - len(kept) - theirs)]
    percents = [f"{how(s):.3%}" if s else "-" for s in shares for how in (np.mean, np.max)]
    covered = [f"{how(s):.3f}" if s else "-" for s in (apart, near) for how in (np.mean, np.min)]
    return [*counts, *percents, *covered]
