"""The workflow on a simulated card: how a folder is prepared for it, run, and measured.

The card's times are those of an RTX 3090 beside its owner's cores, made longer as these cores are
fewer and slower, so that the shares of time come out as there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from bench import card_idle, prepare, simulated_card
from bench.measure import ROOT, run
from bench.prepare import Bench
from bench.simulated_card import Card
from ferrari.ledger import item_ids, stages, tables
from ferrari.ledger.columns import KEPT
from ferrari.networks.backends import onnx_file

#: The card's times in seconds: for a picture in half precision, until a process has it open (CUDA
#: and a runtime), and for each network that it loads then. ISNet takes 160 G multiplications a
#: crop, YOLO11s 6.5 G a frame of 640 x 384, at 20 to 26 TFLOP/s, a third of what the card has; the
#: small networks take what launching their hundred operations takes, shared by a batch. None of it
#: was measured on one.
YOLO_S, ISNET_S, SMALL_S = 0.0005, 0.015, 0.0003
START_S, LOAD_S = 5.0, 0.5
#: The first user's machine: its cores, the cores whose work they do with two threads each, and how
#: long one of these takes for what takes these here one second. The latter two are estimates.
CORES, CORES_WITH_SMT, CORE_S = 12, 15, 0.55
#: Clips that say who the subject is, and those that lend a scene: before all of them have been
#: searched nothing is cut. Of a night's clips these are few; of the bench's few they were all.
ASKED_CLIPS = 3
_NOTHING: Mapping[str, Mapping] = MappingProxyType({})
_SLOWED = "slowed.json"  # the report of `slow_cores`, in a run's folder


@dataclass(frozen=True)
class Cores:
    """How many jobs run at a time, and how many times slower than here each of their threads is."""

    jobs: int
    times: float = 1.0


def these() -> Cores:
    """The cores of this machine, as they are."""
    return Cores(2 * prepare.threads())


def the_owners() -> Cores:
    """The first user's cores, made of those of this machine (`slow_cores`)."""
    return Cores(2 * CORES, CORES_WITH_SMT / prepare.threads())


def scale() -> float:
    """How many times the work of these cores the first user's cores do."""
    return CORES_WITH_SMT / CORE_S / prepare.threads()


def card(factor: float = 1.0) -> Card:
    """One card that jobs share, its times for pictures longer by `scale` and by a factor."""
    yolo, isnet, small = (each * scale() * factor for each in (YOLO_S, ISNET_S, SMALL_S))
    return Card(yolo, isnet, small, START_S, LOAD_S, 1, True, "")


def described() -> str:
    """What the page says of the card and of the machine that it is thought to be in."""
    threads = prepare.threads()
    return (
        f"{card_described()} The card's times for pictures are made {scale():.1f} times longer, "
        f"with {2 * threads} jobs at a time. "
        "What one thread does for all (Snakemake's choice of the next job, handing pictures to the "
        "card and back) is made no longer by this, so its share is smaller here than there. "
        f"{ASKED_CLIPS} of the clips say who the subject is, before anything is cut."
    )


def card_described() -> str:
    """What the page says of the card, and of how its owner's cores compare with these."""
    return (
        f"The simulated card is an RTX 3090: {YOLO_S * 1000:g} ms a frame (YOLO11s), "
        f"{ISNET_S * 1000:g} ms a crop (ISNet), {SMALL_S * 1000:g} ms a picture (faces, person "
        f"gate), {START_S:g} s until a process has it open and {LOAD_S:g} s a network; reckoned "
        "from their operations, not measured. "
        f"Its owner's {CORES} cores run two threads each, which do the work of {CORES_WITH_SMT} "
        f"cores with one thread (an estimate), and each takes {CORE_S:g} s for a second's work of "
        f"these: so they do {scale():.1f} times the work of the {prepare.threads()} here."
    )


def _alpha_net() -> bytes:
    """An ONNX file that says that it gives the alpha of ISNet's pictures, and has no network."""
    model = onnx_file.empty(13, version=8)
    onnx_file.add_input(model, "picture", (1, 3, 1024, 1024))
    onnx_file.set_shape(model.graph.output.add(name="alpha"), (1, 1, 1024, 1024))
    return model.SerializeToString()


def prepared(
    bench: Bench,
    name: str,
    raws: Sequence[Path],
    changed: Mapping[str, Mapping] = _NOTHING,
) -> Path:
    """A folder in which the workflow has come as far as the frames of `raws`, with `changed`
    settings by section; nothing has run in the folder `raw_only` below it.
    """
    place = bench.fresh(f"simulated-{name.partition(' ')[0]}")
    weights = {kind: place / f"simulated.{kind}" for kind in ("pt", "onnx")}
    weights["pt"].write_bytes(b"\x00no weights: the card is simulated")  # as text they are refused
    weights["onnx"].write_bytes(_alpha_net())  # as what says of itself nothing, too
    pin = hashlib.sha256(weights["pt"].read_bytes()).hexdigest()
    overlay: dict[str, Any] = {
        "raw_videos": str(prepare.linked(place / "raw", raws)),
        "cache": str(bench.cache),
        "extract": {"decoder": "cpu"},
        "detect": {"weights": "simulated.pt", "weights_sha256": pin, "duplicate_block": 0},
        "mask": {"weights": "simulated.onnx"},
        "subject": {"voting_clips": ASKED_CLIPS},
        "augment": {"environment_clips": ASKED_CLIPS},
    }
    for section, values in changed.items():
        overlay[section] = {**overlay.get(section, {}), **values}
    (place / "bench.yaml").write_text(yaml.safe_dump(overlay))
    videos = [item_ids.video_id(raw.name) for raw in raws]
    (place / "targets").write_text("\n".join(videos))
    untouched = ("raw", "bench.yaml", "targets", *(path.name for path in weights.values()))
    for entry in untouched:
        _copied(place / entry, place / "raw_only" / entry)
    frames = [f"dataset/01_extracted_frames/{video}.csv" for video in videos]
    run([sys.executable, "-m", "snakemake", *_options(prepare.threads()), *frames], cwd=place)
    return place


def _copied(source: Path, target: Path) -> None:
    """A copy of a file or folder; links stay links, sockets are left out."""
    if source.is_dir():
        sockets = shutil.ignore_patterns("*.sock", "raw_only")  # of a server that has just ended
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=sockets)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _options(cores: int) -> list[str]:
    return [
        *("--snakefile", str(ROOT / "Snakefile"), "--cores", str(cores)),
        *("--configfile", "bench.yaml", "--quiet", "rules", "host", "--"),
    ]


def measured(
    bench: Bench, base: Path, card: Card, last: str = "mask", cores: Cores | None = None
) -> dict[str, Any]:
    """The workflow in a copy of `base`, up to the stage `last` of all its clips, on the card.

    `share` and `fps` (frames a second) are those between the card's first picture and its last,
    `done_fps` until the last job's end; `waits` says for what one card waited; `slowed` what
    `slow_cores` reports, where the run was on slower cores than these.
    """
    place = bench.fresh("simulated-run")
    _copied(base, place)
    card = replace(card, notes=str(place / "notes"))
    Path(card.notes).mkdir()
    videos = (place / "targets").read_text().split()
    command = _command(place, card, cores or these())
    command += [f"dataset/{stages.table(last, video)}" for video in videos]
    began = time.monotonic()
    run(command, cwd=place, env=prepare.bench_environment())
    run_s = time.monotonic() - began
    crops = _all_rows(place, "mask", videos)
    if not crops or any(simulated_card.RUNTIME not in row["device"] for row in crops):
        raise RuntimeError("networks ran elsewhere than on the simulated card")
    if any(row["outcome"] != KEPT for row in crops):
        raise RuntimeError(f"{place}: crops were lost")
    frames = len(tables.kept(_all_rows(place, "extract", videos)))
    noted = simulated_card.busy(Path(card.notes))
    done = max(job.ended for job in card_idle.of_jobs(place) if job.what == last)
    slowed = place / _SLOWED
    return {
        "share": noted["busy_s"] / noted["span_s"] / card.devices,
        "fps": frames / noted["span_s"],
        "done_fps": frames / (done - noted["began"]),
        "span_s": noted["span_s"],
        "run_s": run_s,
        "frames": frames,
        "crops": len(crops),
        "waits": _waits(place, card),
        "slowed": json.loads(slowed.read_text()) if slowed.exists() else {},
    }


def _command(place: Path, card: Card, cores: Cores) -> list[str]:
    """Snakemake with the card, without its targets."""
    described = simulated_card.to_file(card, place / "card.json")
    command = [sys.executable, "-m", "bench.simulated_card", str(described)]
    if cores.times > 1:
        slowed = ["-m", "bench.slow_cores", str(cores.times), str(place / _SLOWED)]
        command = [sys.executable, *slowed, *command]
    if not card.shared:
        command += ["--set-resources", "detect:gpu=1", "mask:gpu=1"]
        command += ["--resources", f"gpu={card.devices}"]
    return command + _options(cores.jobs)


def _waits(place: Path, card: Card) -> str:
    if card.devices > 1:
        return ""
    noted = card_idle.of_card(Path(card.notes))
    return card_idle.told(card_idle.waits(noted, card_idle.of_jobs(place)))


def _all_rows(place: Path, stage: str, videos: Sequence[str]) -> list[tables.Row]:
    """The rows of a stage's tables of all clips."""
    dataset = place / "dataset"
    return [
        row
        for video in videos
        for row in tables.read_stage(dataset / stages.table(stage, video), stage)
    ]
