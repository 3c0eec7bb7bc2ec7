"""How good the cut-outs are, beside rembg's from the same network: `python -m bench.mattes`.

Judged by drawn figures, whose alpha and colours are known, by keyed footage, and by pictures that
are composed of it (`bench.composed`); Robust Video Matting is judged beside (`bench.rvm`). Prints a
table in Markdown for each set: means over the pictures, smaller is better but for IoU (`filled`:
the share of gaps between arm and body, `bench.gaps`, that do not stay open; `others %`: of the
alpha; `refused`: how many pictures); and whether the default keeps the bounds. Last, what is left
of others where several people are in a crop (`bench.pairs`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from bench import composed, gaps, pairs, part_masks, peers, prepare, rvm
from bench.matte_metrics import composite_error, errors, iou
from bench.measure import ROOT, PeerMissingError, run, task
from bench.prepare import Bench
from ferrari.images import boxes, image_files
from ferrari.ledger import item_ids, tables
from ferrari.ledger.columns import DROPPED
from ferrari.networks import weight_files
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec, FigureSpec

_FRAME, _MARGIN = 10, 16
_COMPOSED = 10  # pictures of each composed set, at most
_PAIRS, _GAPS = "pairs", "gaps at an arm"
_NEW_SCENE = "bokeh"
_METRICS = (
    "IoU",
    "least IoU",
    "SAD",
    "median SAD",
    "MSE",
    "Grad",
    "Conn",
    "Colour",
    "filled",
    "others %",
    "refused",
    "ms",
)
_DEFAULT = "ours (default)"
_OURS = {
    _DEFAULT: {},
    "ours, held objects dropped": {"held_objects": "drop"},
    "ours, no person gate": {"person_gate": "off"},
    "ours, refined, colours as filmed": {"foreground": False},
    "ours, not refined": {"refine": False},
    "ours, not refined, colours as filmed": {"refine": False, "foreground": False},
    "ours, input: square": {"input": "square"},
}
#: Other segmenters: they are run where their weights are at hand.
_OTHERS = ("u2net", "u2netp", "selfie")
#: Mean and least IoU that the default must reach on real people; composed.SETS has the others'.
_KEYED = (0.96, 0.85)
_REMBG = {"rembg": (), "rembg -a": ("-a",), "rembg -dc": ("-dc",)}


@dataclass
class Judged:
    """A set of pictures with their truth: rows as of stage 2; alpha HxW uint8 by item.

    `over` holds, where the subject's colours are known, a new background and the subject itself
    before it, HxWx3 uint8 both, by item. `gaps`: HxW bool, where the scene shows between arm and
    body, by item. `others`: HxW uint8, the alpha of somebody else in it, by item, and `beside`
    their rows: they are no subjects. `bounds`: mean and least IoU that the default must reach.
    """

    name: str
    rows: list[dict]
    truths: dict[str, np.ndarray]
    over: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    gaps: dict[str, np.ndarray] = field(default_factory=dict)
    others: dict[str, np.ndarray] = field(default_factory=dict)
    beside: list[dict] = field(default_factory=list)
    bounds: tuple[float, float] | None = None


def drawn(dataset: Path, count: int) -> Judged:
    """Drawn figures, cut as stage 2 cuts, and the same figures before another scene."""
    judged = Judged("drawn figures", [], {})
    for number in range(count):
        framing = ("full", "half", "close")[number % 3]
        scene = ("room", "outdoor", "street", "gallery")[number % 4]
        figure = FigureSpec(seed=7_000 + number, framing=framing)
        spec = ClipSpec(
            seed=7_100 + number, width=960, height=720, scenes=(scene,), figures=(figure,)
        )
        seen = render_frame(spec, _FRAME)
        moved = replace(spec, scenes=(_NEW_SCENE,))
        x1, y1, x2, y2 = seen.box_xyxy
        window = np.s_[max(0, y1 - _MARGIN) : y2 + _MARGIN, max(0, x1 - _MARGIN) : x2 + _MARGIN]
        item = f"drawn-f{number:06d}-p0"
        judged.rows.append(part_masks.crop_row(dataset, "drawn", item, seen.frame_rgb[window]))
        judged.truths[item] = seen.alpha_u8[window]
        judged.over[item] = (
            render_frame(replace(moved, figures=()), _FRAME).frame_rgb[window],
            render_frame(moved, _FRAME).frame_rgb[window],
        )
    return judged


def sets(dataset: Path, count: int, asked: Sequence[str] = ()) -> list[Judged]:
    """All that there is to judge by, or what is asked of it: the keyed footage only where it is
    shared.
    """
    makers = {"drawn figures": lambda: drawn(dataset, count)}
    if peers.shared():
        keyed = partial(part_masks.keyed, dataset, count)
        makers["keyed footage"] = lambda: Judged("keyed footage", *keyed(), bounds=_KEYED)
        for name in composed.SETS:
            makers[name] = partial(composed_of, dataset, name, min(count, _COMPOSED))
        makers[_GAPS] = partial(with_gaps, dataset, count)
    return [make() for name, make in makers.items() if not asked or name in asked]


def composed_of(dataset: Path, name: str, count: int) -> Judged:
    """A set of `bench.composed`: where somebody else is in the frame, the subject is cut out of it
    as stage 2 cuts.
    """
    make, *bounds = composed.SETS[name]
    judged = Judged(name, [], {}, bounds=(bounds[0], bounds[1]))
    video = item_ids.video_id(f"{name}.mp4")  # who else is in a frame is told by the names of items
    for number in range(count):
        picture, item = make(number), item_ids.crop_item(item_ids.frame_item(video, number), 0)
        window = _window(picture)
        seen = np.s_[window[1] : window[3], window[0] : window[2]]
        crop_rgb = np.ascontiguousarray(picture.image_rgb[seen])
        row = part_masks.crop_row(dataset, video, item, crop_rgb)
        judged.truths[item] = picture.alpha_u8[seen]
        if picture.other_u8 is not None:
            judged.others[item] = picture.other_u8[seen]
            judged.beside.append(_somebody(row, picture.other_u8))
            row |= _columns(_box(picture.alpha_u8)) | _columns(window, "crop_")
        judged.rows.append(row)
    return judged


#: x1, y1, x2, y2 in a frame's pixels, end exclusive.
_Box = tuple[int, int, int, int]


def _window(picture: composed.Picture) -> _Box:
    """What is shown of a composed picture, in its pixels: all of it, or the subject's crop."""
    height, width = picture.alpha_u8.shape
    if picture.other_u8 is None:
        return 0, 0, width, height
    return boxes.padded(_box(picture.alpha_u8), prepare.section("detect")["pad"], width, height)


def _box(alpha_u8: np.ndarray) -> _Box:
    found = boxes.subject_box(alpha_u8)
    assert found is not None
    return found


def _columns(box: _Box, prefix: str = "") -> dict[str, int]:
    """The columns of a row that say where a box is."""
    return dict(zip((f"{prefix}{end}" for end in ("x1", "y1", "x2", "y2")), box, strict=True))


def _somebody(row: Mapping, alpha_u8: np.ndarray) -> dict:
    """The row of somebody else in the frame of a crop's `row`."""
    item = item_ids.crop_item(row["parent"], 1)
    refused = {"outcome": DROPPED, "reason": "NOT_TARGET"}
    place = _columns(_box(alpha_u8))
    return tables.row("crop", item=item, parent=row["parent"], **refused, **place)


def with_gaps(dataset: Path, count: int) -> Judged:
    """The pictures of `bench.gaps`."""
    judged = Judged(_GAPS, [], {})
    for number, (picture, gap) in enumerate(gaps.pictures(count)):
        item = f"gaps-f{number:06d}-p0"
        judged.rows.append(part_masks.crop_row(dataset, "gaps", item, picture.image_rgb))
        judged.truths[item], judged.gaps[item] = picture.alpha_u8, gap
    return judged


#: The folder of a set's cut-outs, and seconds a picture (ours without start and loading).
_Cut = tuple[Path, float]


def cut_by_us(bench: Bench, dataset: Path, judged: Judged, weights: Path, **changed) -> _Cut:
    """Cut the set out with these `mask` settings."""
    rows, name = judged.rows, item_ids.slug(judged.name)
    settings = prepare.section("mask", weights=str(weights), device="cpu", **changed)
    gated = weight_files.gate_of(settings, "person")[0]
    files = [weights, peers.selfie_weights(bench.cache)] if gated else [weights]
    written = []
    for part, some in ((f"{name}-one", rows[:1]), (name, rows)):
        written.append(dataset / f"02_yolo_crops/{part}.csv")
        tables.write_stage(written[-1], "crop", [*some, *judged.beside])
    cost = task(
        "mask",
        tables=written,
        dataset=dataset,
        out=dataset / "judged",
        weights=files,
        settings={**settings, "min_subject": 0.0, "max_subject": 1.0},
        cache=bench.cache,
        threads=prepare.threads(),
    )
    return dataset / "judged" / name, cost.wall_s / max(1, len(rows) - 1)


def cut_by_rembg(dataset: Path, judged: Judged, weights: Path, options: Sequence[str] = ()) -> _Cut:
    """Let rembg cut the set out."""
    source = prepare.linked(dataset / "in", [dataset / row["path"] for row in judged.rows])
    target = dataset / "rembg"
    target.mkdir(exist_ok=True)
    for old in target.iterdir():
        old.unlink()
    env = peers.rembg_env(weights, dataset / "rembg_home")
    cost = run(peers.rembg_folder(source, target, *options), env=env)
    return target, cost.wall_s / len(judged.rows)


def cut_by_rvm(dataset: Path, judged: Judged, weights: Path, times: int) -> _Cut:
    """Let Robust Video Matting cut the set out, each picture shown so many times."""
    target = dataset / "rvm"
    pictures = [dataset / row["path"] for row in judged.rows]
    return target, rvm.cut_out(pictures, target, weights, times, prepare.threads())


def judge(judged: Judged, folder: Path) -> dict[str, float]:
    """Means of the metrics over the set's pictures as they lie in `folder`, and the median SAD.

    A picture that is not there counts as all scene: nothing was cut out. With somebody else beside
    the subject that is no error: such a picture is refused, and the means are over the others.
    """
    found, refused = [], 0
    for item, truth in judged.truths.items():
        path = folder / f"{item}.png"
        if item in judged.others and not path.exists():
            refused += 1
            continue
        rgba = image_files.read(path) if path.exists() else np.zeros((*truth.shape, 4), np.uint8)
        figures = {"IoU": iou(rgba[..., 3] / 255, truth / 255), **errors(rgba[..., 3], truth)}
        if item in judged.others:
            theirs = pairs.of_others(rgba[..., 3] / 255, truth / 255, judged.others[item] / 255)
            figures["others %"] = 100 * theirs
        if item in judged.over:
            figures["Colour"] = composite_error(rgba, *judged.over[item], truth / 255)
        if item in judged.gaps:
            figures["filled"] = float(gaps.is_filled(rgba[..., 3] / 255, judged.gaps[item]))
        found.append(figures)
    if not found:
        return {"refused": refused}
    means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    return {
        **means,
        "least IoU": min(one["IoU"] for one in found),
        "median SAD": float(np.median([one["SAD"] for one in found])),
        **({"refused": refused} if judged.others else {}),
    }


def kept(judged: Judged, figures: Mapping[str, float]) -> str:
    """Whether the default keeps the set's bounds; "" for a set without any."""
    if judged.bounds is None:
        return ""
    mean, least = judged.bounds
    good = figures.get("IoU", 0) >= mean and figures.get("least IoU", 0) >= least
    return (
        f"Bounds of the default, IoU {mean:g} and least {least:g}: {'kept' if good else 'MISSED'}"
    )


def contenders(bench: Bench, dataset: Path, isnet: Path) -> Mapping[str, partial]:
    """What cuts a set out, by name: ours in several ways, other segmenters, the demo's network,
    rembg in three ways, and Robust Video Matting in two.
    """
    ours = partial(cut_by_us, bench, dataset)
    found = {
        name: partial(ours, weights=isnet, segmenter="isnet", **how) for name, how in _OURS.items()
    }
    for name in _OTHERS:
        at = peers.listed_weights(name, bench.cache)
        at = peers.selfie_weights(bench.cache) if name == "selfie" else at
        if at is None:
            continue
        found[f"ours, segmenter: {name}"] = partial(ours, weights=at, segmenter=name)
        if name != "selfie":
            alone = {"segmenter": name, "person_gate": "off"}
            found[f"ours, segmenter: {name}, no gate"] = partial(ours, weights=at, **alone)
    demo = ROOT / "models/demo/person-seg_openvino_model"
    yolo = {"segmenter": "yolo-seg", "image_size": 320}
    found["ours (default), yolo-seg (demo's)"] = partial(ours, weights=demo, **yolo)
    return found | {name: partial(cut, dataset) for name, cut in _peers(bench, isnet).items()}


def _peers(bench: Bench, isnet: Path) -> dict[str, Callable[[Path, Judged], _Cut]]:
    """Other tools, by name: each cuts out a set that lies in a dataset's folder."""
    cuts: dict[str, Callable[[Path, Judged], _Cut]] = {
        name: partial(cut_by_rembg, weights=isnet, options=options)
        for name, options in _REMBG.items()
    }
    try:
        weights = rvm.weights(bench.cache)
    except PeerMissingError as missing:
        bench.log(f"without it: {missing}")
        return cuts
    return cuts | {
        name: partial(cut_by_rvm, weights=weights, times=times) for name, times in rvm.WAYS.items()
    }


def _beside_pairs(bench: Bench, isnet: Path) -> dict[str, pairs.Peer]:
    """Who cuts the crops of several people out beside us."""

    def alone(cut: Callable[[Path, Judged], _Cut], dataset: Path, rows: list[dict]) -> Path:
        return cut(dataset, Judged(_PAIRS, rows, {}))[0]

    cuts = _peers(bench, isnet)
    return {name: partial(alone, cuts[name]) for name in ("rembg", *rvm.WAYS) if name in cuts}


def table(name: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table of one set's figures."""
    head = ["", *_METRICS]
    lines = [f"**{name}**", "", f"| {' | '.join(head)} |", "|---|" + "---:|" * len(_METRICS)]
    for who, figures in rows.items():
        cells = [f"{figures[key]:.3g}" if key in figures else "-" for key in _METRICS]
        lines.append(f"| {who} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(given: Sequence[str] | None = None) -> int:
    """Cut all sets out by all contenders and print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.mattes", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--pictures", type=int, default=36, help="of each set, at most")
    parser.add_argument(
        "--only", nargs="*", default=[], help="contenders, by their names in the table"
    )
    parser.add_argument("--sets", nargs="*", default=[], help="sets, by their names; and `pairs`")
    parser.add_argument(
        "--quick", action="store_true", help="pairs: those filmed to the waist alone"
    )
    parser.add_argument("--work", type=Path, default=Path(__file__).parent / "work")
    options = parser.parse_args(given)
    bench = Bench(options.work.resolve())
    try:
        isnet = peers.isnet_weights()
        peers.selfie_weights(bench.cache)
        peers.rembg()
    except PeerMissingError as missing:
        print(f"no table of mattes: {missing}")
        return 1
    dataset = bench.fresh("mattes")
    for judged in sets(dataset, options.pictures, options.sets):
        figures = {}
        for name, cut in contenders(bench, dataset, isnet).items():
            if options.only and name not in options.only:
                continue
            folder, seconds = cut(judged)
            figures[name] = {**judge(judged, folder), "ms": seconds * 1000}
            print(f"{judged.name}: {name}: {figures[name]}", flush=True)
        print("\n" + table(f"{judged.name}, {len(judged.rows)} pictures", figures))
        print("\n" + (kept(judged, figures[_DEFAULT]) if _DEFAULT in figures else "") + "\n")
    if peers.shared() and (not options.sets or _PAIRS in options.sets):
        print(pairs.measured(bench, isnet, options.quick, _beside_pairs(bench, isnet)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
