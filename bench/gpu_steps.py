"""The steps of `make check-gpu`: each compares the card with the CPU, or measures the card.

A step calls the ordinary functions of the stages. What it needs and does not find it raises as
Lacking; a Python package that is missing counts as lacking too. Modules are imported by the step
that uses them, so that a machine with little installed gets as far as it can.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.gpu_meter import Meter
from ferrari.common.places import ROOT

OK, DIFFERS, LACKING = "ok", "differs", "lacking"
DEVICE = "cuda:0"
#: Bounds: levels of a decoded picture on the average, px of a box's corner, alpha on the average.
PIXELS, CORNER_PX, ALPHA = 2.0, 3.0, 0.01
_OVERLAP = 0.8  # of two boxes that are one
_MEASURED_S = 5.0
_CLIPS, _FPS = 6, 10


class Lacking(Exception):
    """What a step needs is not here; the message says what, and what helps."""


@dataclass(frozen=True)
class Asked:
    """What the steps are to work with: settings, a folder for scratch, and which kinds of clip."""

    config: Mapping[str, Any]
    work: Path
    kinds: Sequence[str] = ()


@dataclass
class Found:
    """What a step found: a sentence, and rows of one table."""

    status: str
    says: str
    rows: list[dict[str, Any]] = field(default_factory=list)


# --- what is here ---------------------------------------------------------------------------------


def machine(asked: Asked) -> Found:
    """The driver, the card, NVDEC, and which runtimes work on the card."""
    from ferrari.networks.backends import onnx_runtime, torch_runtime
    from ferrari.processes import devices
    from ferrari.processes.limited_call import run_limited
    from ferrari.processes.nvidia_driver import Driver, look

    driver = run_limited(look, timeout_s=60, memory_mb=None)
    if not isinstance(driver, Driver):
        raise Lacking(str(driver))
    if not driver.cards:
        raise Lacking(f"the {driver.named} shows no card")
    rows = [{"what": "driver", "answer": driver.named}]
    rows += [{"what": "card", "answer": f"{c.name}, {c.memory_mb} MB"} for c in driver.cards]
    questions = {
        "NVDEC": devices.nvdec_problem,
        "torch": partial(torch_runtime.problem, 0),
        "onnxruntime": partial(onnx_runtime.runtime_problem, 0),
    }
    answers = {name: question() for name, question in questions.items()}
    rows += [{"what": name, "answer": why or "works"} for name, why in answers.items()]
    working = [name for name, why in answers.items() if not why]
    card = driver.cards[0].name
    if not {"torch", "onnxruntime"} & set(working):
        return Found(
            LACKING,
            f"a runtime that works on the {card} (torch: {answers['torch']}; onnxruntime: "
            f"{answers['onnxruntime']}); `make setup-gpu` installs both",
            rows,
        )
    return Found(OK, f"{card}: {', '.join(working)} work", rows)


# --- stage 1 --------------------------------------------------------------------------------------


def clips(asked: Asked) -> Found:
    """Each kind of clip by NVDEC first and by the CPU: the same outcomes, the same pictures?"""
    from ferrari.processes import devices
    from ferrari.video.decoding import pyav_decoder
    from tests.fake_nvidia import clips as kinds

    if problem := devices.nvdec_problem() or pyav_decoder.cuda_problem():
        raise Lacking(problem)
    rows = []
    for name in asked.kinds or kinds.KINDS:
        try:
            (path,) = kinds.write(asked.work, name)
        except (ImportError, OSError, ValueError, RuntimeError) as error:  # an encoder is missing
            rows.append({"clip": name, "equal": f"not made: {error}"})
            continue
        rows.append({"clip": name, **_by_both(asked, path)})
    wrong = [row["clip"] for row in rows if row["equal"] != "yes"]
    by_card = sum("nvdec" in row.get("decoder", "") for row in rows)
    says = f"{len(rows)} kinds, {by_card} of them decoded on the card"
    if not by_card and not wrong:
        whys = Counter(row["why"] for row in rows if row.get("why"))
        why = whys.most_common(1)[0][0] if whys else "none could be made here"
        return Found(LACKING, f"a clip that the card decodes: {says} ({why})", rows)
    return Found(DIFFERS if wrong else OK, says + (f"; not equal: {wrong}" if wrong else ""), rows)


def _by_both(asked: Asked, path: Path) -> dict[str, Any]:
    from ferrari.images import image_files
    from ferrari.ledger import tables
    from tests.stage.clip_run import Run

    rows, seconds, folders = {}, {}, {}
    for choice in ("cpu", "nvdec_first"):
        folders[choice] = asked.work / choice / path.stem
        start = time.monotonic()
        # Without loss, so that a difference is the decoders'.
        rows[choice] = Run(folders[choice]).extract(path, decoder=choice, webp_quality=101)
        seconds[choice] = round(time.monotonic() - start, 2)
    ends = [[(row["item"], row["outcome"], row["reason"]) for row in rows[c]] for c in rows]
    shown = [
        [image_files.read(folders[c] / row["path"]).astype(int) for row in tables.kept(rows[c])]
        for c in rows
    ]
    differences = [abs(a - b).mean() for a, b in zip(*shown, strict=False)]
    worst = max(differences, default=0.0)
    equal = "yes" if ends[0] == ends[1] else "other outcomes"
    return {
        "decoder": ", ".join(sorted({row["decoder"] for row in rows["nvdec_first"]})),
        "why": rows["nvdec_first"][0]["decoder_reason"],
        "equal": equal if worst <= PIXELS else f"{worst:.1f} levels apart",
        "levels": round(float(worst), 3),
        "cpu_s": seconds["cpu"],
        "card_s": seconds["nvdec_first"],
    }


# --- stages 2 and 3: the networks -----------------------------------------------------------------


def detect(asked: Asked) -> Found:
    """The detector of the settings on the card and on the CPU: the same boxes? How fast?"""
    from ferrari.networks import detectors

    paths = _weights(asked, "detect")
    settings, mask = dict(asked.config["detect"]), dict(asked.config["mask"])
    _require_card(partial(detectors.place_of, {**settings, "device": DEVICE}, paths, mask))
    frames, cache, found = pictures(), str(asked.config["cache"]), []
    for device in ("cpu", DEVICE):
        net = detectors.load({**settings, "device": device}, paths, mask, 0, cache)
        found.append([_confident(one, settings["confidence"]) for one in net.detect(frames)])
    rows: list[dict[str, Any]] = [
        {"picture": number, **compare_boxes(ours, theirs)}
        for number, (ours, theirs) in enumerate(zip(*found, strict=True))
    ]
    boxes = sum(row["boxes"] for row in rows)
    if not boxes:
        raise Lacking("pictures in which this detector finds anything: add ultralytics, or yours")
    apart = max(row["corner_px"] for row in rows)
    unmatched = sum(row["unmatched"] for row in rows)
    batch = [frames[k % len(frames)] for k in range(settings["batch"])]
    speed = _rate(partial(net.detect, batch), len(batch))
    rows.append({"picture": "rate", "device": net.device, **speed})
    status = DIFFERS if unmatched or apart > CORNER_PX else OK
    says = f"{boxes} boxes, {unmatched} on one device alone, corners {apart:.1f} px apart at most"
    return Found(status, f"{says}; {_said(speed)}", rows)


def _confident(detections: Sequence[Any], least: float) -> list[Any]:
    return [detection for detection in detections if detection.confidence >= least]


def compare_boxes(ours: Sequence[Any], theirs: Sequence[Any]) -> dict[str, Any]:
    """How many boxes of both have no partner, and how far the corners of partners lie apart."""
    left, apart, unmatched = list(theirs), 0.0, 0
    for box in ours:
        best = max(left, key=lambda other: _overlap(box.box_xyxy, other.box_xyxy), default=None)
        if best is None or _overlap(box.box_xyxy, best.box_xyxy) < _OVERLAP:
            unmatched += 1
            continue
        left.remove(best)
        pairs = zip(box.box_xyxy, best.box_xyxy, strict=True)
        apart = max(apart, *(abs(a - b) for a, b in pairs))
    return {"boxes": len(ours), "unmatched": unmatched + len(left), "corner_px": round(apart, 2)}


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, wide) * max(0.0, high)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return both / (areas - both) if both else 0.0


def mask(asked: Asked) -> Found:
    """The segmenter of the settings on the card and on the CPU: the same alpha? How fast?"""
    from ferrari.networks import segmenters

    settings, paths = asked.config["mask"], _segmenter_weights(asked)
    name = settings["segmenter"]
    _require_card(partial(segmenters.place_of, name, paths, DEVICE))
    cache = asked.config["cache"]
    wanted = segmenters.Asked.of(settings, asked.config["detect"]["class"], cache)
    crops, alphas = pictures(), []
    whole = [(0.0, 0.0, float(crop.shape[1]), float(crop.shape[0])) for crop in crops]
    for device in ("cpu", DEVICE):
        net = segmenters.load(name, paths, device, wanted, cache=cache)
        alphas.append(list(net.alpha(crops, whole)))
    rows: list[dict[str, Any]] = [
        {"picture": number, "alpha": round(float(abs(a - b).mean()), 5)}
        for number, (a, b) in enumerate(zip(*alphas, strict=True))
    ]
    apart = max(row["alpha"] for row in rows)
    order = [number % len(crops) for number in range(settings["batch"])]
    batch = [crops[number] for number in order], [whole[number] for number in order]
    speed = _rate(lambda: list(net.alpha(*batch)), len(order))
    rows.append({"picture": "rate", "device": net.device, **speed})
    says = f"{len(crops)} crops, alpha {apart:.4f} apart at most on the average"
    return Found(DIFFERS if apart > ALPHA else OK, f"{says}; {_said(speed)}", rows)


def matting(asked: Asked) -> Found:
    """Alphas refined on the card and by the CPU: the same? How long does a crop take on each?"""
    from ferrari.matting import closed_form, on_card
    from ferrari.networks import placement
    from ferrari.networks.network import open_here

    _require_card(partial(placement.of_torch, DEVICE))
    solve, rows = on_card.solver(DEVICE, open_here), list[dict[str, Any]]()
    crops = edges()
    for number, crop in enumerate(crops):
        alpha, iterations, remark = solve(*crop)
        if remark:
            raise RuntimeError(remark)
        ours, _ = closed_form.solve(*crop)
        levels = round(float(abs(alpha - ours).max()) * 255, 3)
        seen = {"picture": number, "unknown_px": len(alpha), "iterations": iterations}
        rows.append({**seen, "levels": levels})
    speed = _rate(partial(solve, *crops[0]), 1)
    start = time.monotonic()
    closed_form.solve(*crops[0])
    speed["cpu_ms"] = round(1000 * (time.monotonic() - start), 1)
    rows.append({"picture": "rate", **speed})
    apart = max(row["levels"] for row in rows[:-1])
    says = f"{len(crops)} crops, alpha {apart} levels apart at most"
    status = DIFFERS if apart > PIXELS else OK
    return Found(status, f"{says}; {_said(speed)}; a core takes {speed['cpu_ms']} ms", rows)


def edges() -> list[Any]:
    """What refining solves for drawn people of some 900 px: arguments of `closed_form.solve`."""
    import cv2
    import numpy as np

    from ferrari.matting import alpha_refinement
    from tests.generator.render import render_frame
    from tests.generator.spec import ClipSpec, FigureSpec

    made = []
    for seed, framing in ((7003, "full"), (7011, "half"), (7003, "close")):
        figures = (FigureSpec(seed=seed, framing=framing),)
        seen = render_frame(ClipSpec(seed=7103, width=1920, height=1080, figures=figures), 10)
        x1, y1, x2, y2 = seen.box_xyxy
        window = np.s_[max(0, y1 - 8) : y2 + 8, max(0, x1 - 8) : x2 + 8]
        net = cv2.GaussianBlur(seen.alpha_u8[window].astype(np.float32) / 255, (0, 0), 3)
        trimap = alpha_refinement.trimap_from_alpha(net, 8)
        unknown, subject = trimap == alpha_refinement.UNKNOWN, trimap == 255
        crop = np.ascontiguousarray(seen.frame_rgb[window])
        made.append((crop, unknown, subject, net, alpha_refinement.PRIOR_WEIGHT))
    return made


def _weights(asked: Asked, section: str) -> list[str]:
    from ferrari.networks import weight_files

    try:
        return weight_files.ready(asked.config, section)
    except weight_files.ModelError as error:
        raise Lacking(f"{error} (`make weights` fetches listed ones)") from error


def _segmenter_weights(asked: Asked) -> list[str]:
    """The segmenter's own files, without the person gate's, which come last."""
    from ferrari.networks import weight_files

    paths = _weights(asked, "mask")
    return paths[: len(weight_files.for_segmenter(asked.config["mask"], asked.config["cache"]))]


def _require_card(place_of: Callable[[], object]) -> None:
    """Raise Lacking with what the library says where the network does not run on the card."""
    from ferrari.processes.devices import DeviceError

    try:
        place_of()
    except DeviceError as error:
        raise Lacking(str(error)) from error


def _rate(call: Callable[[], object], items: int) -> dict[str, Any]:
    """Items a second of a call that is repeated for some seconds, and what it takes of the card."""
    call()
    done, start = 0, time.monotonic()
    with Meter() as meter:
        while time.monotonic() - start < _MEASURED_S:
            call()
            done += items
    rate = done / (time.monotonic() - start)
    busy = None if meter.busy is None else round(meter.busy, 3)
    return {"per_s": float(f"{rate:.3g}"), "busy": busy, "card_mb": meter.peak_mb}


def _said(speed: Mapping[str, Any]) -> str:
    busy = "busy share not told" if speed["busy"] is None else f"{speed['busy']:.0%} busy"
    return f"{speed['per_s']} a second, {busy}, {speed['card_mb'] or '?'} MB of the card"


def pictures() -> list[Any]:
    """Pictures of people: those that ultralytics brings, or drawn figures; HxWx3 uint8 RGB."""
    from ferrari.images import image_files

    package = importlib.util.find_spec("ultralytics")
    folders = (package.submodule_search_locations if package else None) or []
    paths = sorted(path for folder in folders for path in Path(folder).glob("assets/*.jpg"))
    drawn = _drawn()
    # One size, as the frames of a clip are.
    return drawn + [_cut_to(image_files.read(path), drawn[0].shape) for path in paths]


def _drawn() -> list[Any]:
    from tests.generator.render import render_frame
    from tests.generator.spec import ClipSpec, FigureSpec

    figures = (FigureSpec(seed=5, framing="full"),)
    spec = ClipSpec(seed=3, width=854, height=480, n_frames=50, figures=figures)
    return [render_frame(spec, index).frame_rgb for index in (0, 20, 40)]


def _cut_to(image: Any, shape: Sequence[int]) -> Any:
    import cv2

    scale = max(shape[0] / image.shape[0], shape[1] / image.shape[1])
    size = (
        max(shape[1], round(image.shape[1] * scale)),
        max(shape[0], round(image.shape[0] * scale)),
    )
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)[: shape[0], : shape[1]]


# --- stages 1 to 3 as a run -----------------------------------------------------------------------


def run(asked: Asked) -> Found:
    """Some clips through stages 0 to 3 by the workflow: how fast, and how busy is the card?"""
    import yaml

    from ferrari.ledger import stages, tables
    from ferrari.ledger.item_ids import video_id
    from ferrari.networks import segmenters
    from scripts.tools import smoke

    if importlib.util.find_spec("snakemake") is None:
        raise Lacking("the Python package snakemake")
    name = asked.config["mask"]["segmenter"]
    where = partial(segmenters.place_of, name, _segmenter_weights(asked))
    _require_card(partial(where, DEVICE))
    folder = asked.work / "run"
    raw = folder / "dataset" / stages.RAW
    raw.mkdir(parents=True, exist_ok=True)
    own = smoke.settings_for(asked.config, Path())
    own["extract"] |= {"max_frames": None, "fps": _FPS}
    (folder / "run.yaml").write_text(yaml.safe_dump(own))
    names = [f"clip {number}.mp4" for number in range(_CLIPS)]
    smoke.make_clip(raw / names[0], asked.config, Path())
    for name in names[1:]:
        (raw / name).write_bytes((raw / names[0]).read_bytes())
    wanted = [f"dataset/{stages.table('mask', video_id(name))}" for name in names]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--configfile", "run.yaml", "--cores", "all", "--resources", "gpu=1"]
    start = time.monotonic()
    with Meter() as meter:
        done = subprocess.run([*command, "--", *wanted], cwd=folder, capture_output=True, text=True)
    seconds = time.monotonic() - start
    if done.returncode:
        raise RuntimeError(f"the run ended with {done.returncode}: {done.stderr[-2000:]}")
    rows = [row for table in wanted for row in tables.read_table(folder / table)]
    speed = {
        "per_s": round(len(rows) / seconds, 2),
        "busy": None if meter.busy is None else round(meter.busy, 3),
        "card_mb": meter.peak_mb,
    }
    devices = sorted({row["device"] for row in rows})
    says = f"{len(rows)} crops of {_CLIPS} clips in {seconds:.0f} s with the start, on {devices}"
    return Found(
        OK, f"{says}; {_said(speed)}", [{"crops": len(rows), "s": round(seconds, 1), **speed}]
    )


STEPS: dict[str, Callable[[Asked], Found]] = {
    "machine": machine,
    "clips": clips,
    "detect": detect,
    "mask": mask,
    "matting": matting,
    "run": run,
}


def take(name: str, asked: Asked) -> Found:
    """A step; what it lacks is a finding too."""
    noise = io.StringIO()
    try:
        with contextlib.redirect_stdout(noise):
            return STEPS[name](asked)
    except Lacking as lacking:
        return Found(LACKING, str(lacking))
    except ModuleNotFoundError as error:
        return Found(LACKING, f"the Python package {error.name}")
