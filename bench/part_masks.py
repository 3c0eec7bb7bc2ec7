"""Stage 3 against `rembg p` on the same crops and the same ONNX file, and the network alone."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from bench import peers, prepare
from bench.measure import Cost, by_turns, process, ratio, run, shared_out, task, wall
from bench.prepare import Bench
from bench.reference import matte_error
from bench.results import Part, Row, throughput_row
from ferrari.images import image_files
from ferrari.ledger import tables as ledger_tables
from ferrari.ledger.columns import KEPT
from ferrari.networks import weight_files
from ferrari.networks.backends.alpha_net import network_size
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec, FigureSpec

_REMBG, _MATTING = "rembg p", "rembg p -a (alpha matting)"
_PLAIN, _REFINED = "ours, not refined", "ours, refined (default)"
_STEADY = "ours, not refined, without start and loading"
#: Like for like: rembg has no gate, and neither has the network alone.
_PLAIN_SETTINGS = {"refine": False, "foreground": False, "person_gate": "off"}


def measure(bench: Bench) -> Part:
    """Like for like without refinement, then with it; matte errors; distance to the network."""
    part = Part("masks")
    weights = peers.isnet_weights()
    peers.rembg()
    dataset = bench.fresh("masks")
    rows = _real_crops(bench, dataset, 4 if bench.quick else 24)
    costs = _costs(bench, dataset, rows, weights)
    part.keep("masks", costs)
    part.rows = _rows(costs, len(rows))
    # Which of two things in a drawn scene a network takes for the subject is a toss: of few
    # pictures, one such toss outweighs all edges.
    judged = [("drawn figures", *_drawn(dataset, 2 if bench.quick else 36))]
    if peers.shared():
        judged.append(("keyed footage", *keyed(dataset, 3 if bench.quick else None)))
    errors = {}
    for name, truth_rows, truths in judged:
        errors[name] = _errors(bench, dataset, name, truth_rows, truths, weights)
        part.rows.extend(_error_rows(name, errors[name]))
    worst = max(found[_REFINED][1] / found[_REMBG][1] for found in errors.values())
    part.rows[0].figures["masks_error"] = worst
    part.rows[0].figures["masks_same"] = _difference(bench, dataset, rows, weights)
    return part


def _real_crops(bench: Bench, dataset: Path, most: int) -> list[dict[str, str]]:
    """Crops of people that stage 2 cuts, spread over the clips."""
    clips = prepare.clips_with_people(bench, 3 if bench.quick else 10)
    frames = prepare.frames(dataset, clips, 4.0, most)
    weights, _, size = peers.yolo_weights()
    return ledger_tables.kept(prepare.crops(bench, dataset, frames, "real", weights, size))


def _costs(bench: Bench, dataset: Path, rows: Sequence[Mapping], weights: Path) -> dict:
    full, one = _table(dataset, "all", rows), _table(dataset, "one", rows[:1])
    source = prepare.linked(dataset / "in", [dataset / row["path"] for row in rows])
    ours = partial(_ours, bench, dataset, weights)
    prepare.compile_matting(bench, weights)
    contenders = {
        _PLAIN: partial(ours, [full], **_PLAIN_SETTINGS),
        _REMBG: partial(_rembg, dataset, source, weights),
        _REFINED: partial(ours, [full]),
        _MATTING: partial(_rembg, dataset, source, weights, "-a"),
        _STEADY: partial(ours, [one, full], **_PLAIN_SETTINGS),
        "floor": partial(
            task,
            "network_alone",
            graph=weights,
            output=0,
            inputs=len(rows),
            size=_sizes(rows),
            threads=prepare.threads(),
        ),
    }
    return by_turns(bench.repeats, contenders, bench.log)


def _isnet() -> Mapping:
    return weight_files.table()["models"]["isnet"]


def _sizes(rows: Sequence[Mapping]) -> list[tuple[int, int]]:
    """(height, width) that the network is fed for each crop: the floor is that of the same work."""
    aspect = prepare.section("mask")["input"] == "aspect"
    sides = ([int(row[f"crop_{key}"]) for key in ("y1", "y2", "x1", "x2")] for row in rows)
    return [network_size(_isnet()["input"], y2 - y1, x2 - x1, aspect) for y1, y2, x1, x2 in sides]


def _ours(
    bench: Bench,
    dataset: Path,
    weights: Path,
    tables: Sequence[Path],
    out: str = "03_masked_subjects",
    **changed: object,
) -> Cost:
    settings = prepare.section("mask", segmenter="isnet", weights=str(weights), device="cpu")
    settings |= changed
    gated = weight_files.gate_of(settings, "person")[0]
    return task(
        "mask",
        tables=list(tables),
        dataset=dataset,
        out=dataset / out,
        weights=[weights, peers.selfie_weights(bench.cache)] if gated else [weights],
        settings=settings,
        cache=bench.cache,
        threads=prepare.threads(),
    )


def _rembg(dataset: Path, source: Path, weights: Path, *options: str, out: str = "rembg") -> Cost:
    target = dataset / out
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    env = peers.rembg_env(weights, dataset / "rembg_home")
    cost = run(peers.rembg_folder(source, target, *options), env=env)
    asked, got = len(list(source.iterdir())), len(list(target.glob("*.png")))
    if got != asked:  # rembg prints its errors and goes on
        raise RuntimeError(f"rembg wrote {got} of {asked}: {cost.said['output'][-500:]}")
    return cost


def _rows(costs: dict[str, list[Cost]], count: int) -> list[Row]:
    what, plain, refined = f"{count} crops", process(costs[_PLAIN]), process(costs[_REFINED])
    rows = [
        throughput_row(f"{what}, not refined", "crops/s", count, plain, _REMBG, costs[_REMBG]),
        throughput_row(f"{what}, refined", "crops/s", count, refined, _REMBG, costs[_REMBG]),
        throughput_row(f"{what}, refined", "crops/s", count, refined, _MATTING, costs[_MATTING]),
    ]
    rows[0].figures["masks_ratio"] = rows[0].ratio
    steady = shared_out(costs[_STEADY], count - 1)
    alone = shared_out(costs["floor"], count)
    row = Row(
        "crops, without start and loading", "crops/s", ours=1 / wall(steady), floor=1 / wall(alone)
    )
    row.over_floor = ratio(steady, alone).wall
    return [*rows, row]


# --- mattes against truth -------------------------------------------------------------------------


def _drawn(dataset: Path, count: int) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Crops of drawn figures, with the alpha that they were drawn with."""
    rows, truths = [], {}
    for number in range(count):
        framing = ("full", "half", "close")[number % 3]
        figure = FigureSpec(seed=7_000 + number, framing=framing)
        scene = ("room", "outdoor", "street", "gallery")[number % 4]
        spec = ClipSpec(
            seed=7_100 + number, width=960, height=720, scenes=(scene,), figures=(figure,)
        )
        drawn = render_frame(spec, 10)
        x1, y1, x2, y2 = drawn.box_xyxy
        window = np.s_[max(0, y1 - 16) : y2 + 16, max(0, x1 - 16) : x2 + 16]
        name = f"drawn-f{number:06d}-p0"
        rows.append(crop_row(dataset, "drawn", name, drawn.frame_rgb[window]))
        truths[name] = drawn.alpha_u8[window]
    return rows, truths


def keyed(dataset: Path, most: int | None) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Footage shot before a green screen, with the mask that keying gives."""
    folder, rows, truths = peers.shared() / "media/gt/chroma_mdn_man", [], {}
    for picture in sorted((folder / "img").glob("*.jpg"))[:most]:
        name = f"keyed-f{int(picture.stem):06d}-p0"
        rows.append(crop_row(dataset, "keyed", name, image_files.read(picture)))
        mask = image_files.read(folder / "mask" / f"{picture.stem}.png")
        truths[name] = mask if mask.ndim == 2 else mask[..., 0]
    return rows, truths


def crop_row(dataset: Path, video: str, item: str, image_rgb: np.ndarray) -> dict:
    """A row of stage 2 for a picture that is a crop as a whole; writes the picture."""
    folder = dataset / "02_yolo_crops" / video
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{item}.png"
    digest = image_files.write_checked(path, image_files.encode_png(image_rgb), image_rgb.shape)
    height, width = image_rgb.shape[:2]
    box = {"x1": 0, "y1": 0, "x2": width, "y2": height}
    return ledger_tables.row(
        "crop",
        item=item,
        parent=item.rpartition("-")[0],
        outcome=KEPT,
        reason="OK",
        path=path.relative_to(dataset).as_posix(),
        sha256=digest,
        **box,
        **{f"crop_{key}": value for key, value in box.items()},
    )


def _table(dataset: Path, name: str, rows: Sequence[Mapping]) -> Path:
    path = dataset / f"02_yolo_crops/{name}.csv"
    ledger_tables.write_stage(path, "crop", rows)
    return path


def _errors(bench: Bench, dataset: Path, name: str, rows, truths, weights: Path) -> dict:
    """(SAD in thousands a picture, MSE) of each contender, by name."""
    table = _table(dataset, f"truth-{name.split()[0]}", rows)
    everything = {"min_subject": 0.0, "max_subject": 1.0}
    folder = dataset / "judged" / table.stem
    _ours(bench, dataset, weights, [table], "judged", **everything)
    refined = {item: _ours_or_nothing(folder / f"{item}.png", truths[item]) for item in truths}
    _ours(bench, dataset, weights, [table], "judged", **everything, **_PLAIN_SETTINGS)
    plain = {item: _ours_or_nothing(folder / f"{item}.png", truths[item]) for item in truths}
    source = prepare.linked(dataset / "truth_in", [dataset / row["path"] for row in rows])
    _rembg(dataset, source, weights, out="rembg_judged")
    theirs = {item: _alpha(dataset / f"rembg_judged/{item}.png") for item in truths}
    return {
        who: np.mean([matte_error(found[item], truths[item]) for item in truths], axis=0).tolist()
        for who, found in ((_REFINED, refined), (_PLAIN, plain), (_REMBG, theirs))
    }


def _ours_or_nothing(path: Path, truth: np.ndarray) -> np.ndarray:
    """Our alpha; none at all where stage 3 refused the picture, as it found no subject."""
    return _alpha(path) if path.exists() else np.zeros_like(truth)


def _alpha(path: Path) -> np.ndarray:
    return image_files.read(path)[..., 3]


def _error_rows(name: str, errors: Mapping[str, Sequence[float]]) -> list[Row]:
    """Errors as they are: smaller is better, no ratio of speeds."""
    rows = []
    for who in (_REFINED, _PLAIN):
        for unit, index in (("SAD / 1000", 0), ("MSE", 1)):
            ours, theirs = errors[who][index], errors[_REMBG][index]
            what = f"error, {name}, {'refined' if who == _REFINED else 'not refined'}"
            rows.append(Row(what, unit, ours=ours, peer_name=_REMBG, peer=theirs))
    return rows


def _difference(bench: Bench, dataset: Path, rows: Sequence[Mapping], weights: Path) -> float:
    """The largest difference, in 1/255, between our alpha and the slow path's, at 99.9 % of it."""
    table = _table(dataset, "same", rows)
    everything = {"min_subject": 0.0, "max_subject": 1.0}
    _ours(bench, dataset, weights, [table], "judged", **everything, **_PLAIN_SETTINGS)
    out = dataset / "plain"
    out.mkdir()
    task(
        "plain_alpha",
        pictures=[dataset / row["path"] for row in rows],
        out=out,
        weights=weights,
        entry=_isnet(),
        aspect=prepare.section("mask")["input"] == "aspect",
    )
    found = []
    for row in rows:
        name = f"{row['item']}.png"
        slow = cv2.imread(str(out / name), cv2.IMREAD_GRAYSCALE).astype(int)
        found.append(np.abs(_alpha(dataset / "judged/same" / name).astype(int) - slow).ravel())
    return float(np.quantile(np.concatenate(found), 0.999))
