"""Trains the demo network on drawn figures, exports it for OpenVINO, measures it.

    python -m models.demo.train --work /tmp/person-seg --out models/demo

Everything is seeded; no picture and no weight is fetched. Set YOLO_CONFIG_DIR to keep ultralytics'
settings out of the way. One training step sees one batch of one picture shape (see `data.GROUPS`).
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from ultralytics.utils.torch_utils import ModelEMA

from models.demo import data, net

WARM_UP_STEPS = 150
SCENE_GAIN = 5.0
SMALL = 0.5


@dataclass(frozen=True)
class Phase:
    """So many steps with so many pictures each, shrunk (a quarter of the work) or in full."""

    steps: int
    batch: int
    small: bool


class Pictures:
    """The saved samples of every group, and the batches drawn from them."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self.parts = []
        for file in sorted(folder.glob(f"{prefix}*_*.npz")):
            with np.load(file) as saved:
                part = {name: saved[name] for name in saved.files}
            part["starts"] = np.concatenate([[0], np.cumsum(part["counts"])])
            self.parts.append(part)

    def epoch(self, rng: np.random.Generator, batch: int) -> Iterator[dict[str, torch.Tensor]]:
        """Every sample once, in batches of one shape, in an order that `rng` decides."""
        plan = []
        for part in self.parts:
            order = rng.permutation(len(part["counts"]))
            plan += [(part, order[k : k + batch]) for k in range(0, len(order) - batch + 1, batch)]
        for k in rng.permutation(len(plan)):
            yield make_batch(*plan[k], rng)


def make_batch(part: dict, rows: np.ndarray, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """What the loss takes: img (B,3,H,W) 0..1, batch_idx, cls, bboxes (xywh 0..1), masks 0..1."""
    img = torch.from_numpy(part["images"][rows]).permute(0, 3, 1, 2).float() / 255
    b, _, h, w = img.shape
    spans = [np.arange(part["starts"][r], part["starts"][r + 1]) for r in rows]
    take, owner = np.concatenate(spans), np.repeat(np.arange(b), [len(s) for s in spans])
    xyxy = torch.from_numpy(part["boxes"][take]) / torch.tensor([w, h, w, h])
    xywh = torch.cat([(xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]], 1)
    masks = torch.from_numpy(part["masks"][take]).float() / 255
    if rng.uniform() < 0.5:
        img, masks, xywh[:, 0] = img.flip(3), masks.flip(2), 1 - xywh[:, 0]
    if rng.uniform() < 0.3:
        img = img[:, torch.from_numpy(rng.permutation(3))]
    gain = torch.from_numpy(rng.uniform(0.75, 1.25, (b, 3, 1, 1)).astype(np.float32))
    shift = torch.from_numpy(rng.uniform(-0.06, 0.06, (b, 1, 1, 1)).astype(np.float32))
    img = (img * gain + shift).clamp_(0, 1)
    return {
        "img": img,
        "batch_idx": torch.from_numpy(owner).float(),
        "cls": torch.zeros(len(take), 1),
        "bboxes": xywh,
        "masks": masks,
    }


def as_float(tree):
    """The same nest of dicts, lists and tensors, in float32."""
    if isinstance(tree, dict):
        return {key: as_float(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(as_float(value) for value in tree)
    return tree.float() if torch.is_tensor(tree) else tree


def scene_loss(proto: torch.Tensor, items: dict[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy plus Dice between the first prototype and the union of a picture's figures.

    It teaches the prototypes what a figure is long before the mask coefficients settle.
    """
    union = torch.zeros(len(proto), *proto.shape[2:])
    union.index_add_(0, items["batch_idx"].long(), items["masks"]).clamp_(0, 1)
    entropy = F.binary_cross_entropy_with_logits(proto[:, 0], union)
    seen = proto[:, 0].sigmoid()
    overlap, sizes = (seen * union).sum((1, 2)), seen.sum((1, 2)) + union.sum((1, 2))
    return entropy + (1 - (2 * overlap + 1) / (sizes + 1)).mean()


def optimiser_for(model: torch.nn.Module, rate: float) -> torch.optim.Optimizer:
    """AdamW; weight decay on convolution weights only."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    plain = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}], lr=rate
    )


def rate_share(step: int, steps: int) -> float:
    """Share of the top learning rate: linear warm-up, then a cosine down to 2 %."""
    if step < WARM_UP_STEPS:
        return (step + 1) / WARM_UP_STEPS
    part = (step - WARM_UP_STEPS) / max(1, steps - WARM_UP_STEPS)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * part))


def shrunk(items: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same batch at half its size, sides held to multiples of 32."""
    h, w = (round(SMALL * side / 32) * 32 for side in items["img"].shape[2:])
    return items | {
        "img": F.adaptive_avg_pool2d(items["img"], (h, w)),
        "masks": F.adaptive_avg_pool2d(items["masks"][:, None], (h // 2, w // 2))[:, 0],
    }


def batches(pictures: Pictures, phases: Sequence[Phase], rng) -> Iterator[dict[str, torch.Tensor]]:
    """The batches of every phase in turn, over as many epochs as it takes."""
    for phase in phases:
        left = phase.steps
        while left:
            for items in itertools.islice(pictures.epoch(rng, phase.batch), left):
                yield shrunk(items) if phase.small else items
                left -= 1


def step_loss(model, criterion, items: dict[str, torch.Tensor]) -> tuple[torch.Tensor, list[float]]:
    """The loss to go down, and its (box, seg, cls, dfl, scene) parts."""
    with torch.autocast("cpu", torch.bfloat16):
        preds = model(items["img"])
    preds = as_float(preds)
    loss, parts = criterion(preds, items)
    scene = scene_loss(preds["proto"], items)
    shown = [float(parts[name]) for name in ("box_loss", "seg_loss", "cls_loss", "dfl_loss")]
    return loss.sum() + len(items["img"]) * SCENE_GAIN * scene, [*shown, float(scene.detach())]


def share_gradients(model: torch.nn.Module, workers: int) -> None:
    """Average the gradients of all workers, in place."""
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([grad.reshape(-1) for grad in grads])
    dist.all_reduce(flat)
    parts = torch.split(flat / workers, [grad.numel() for grad in grads])
    for grad, part in zip(grads, parts, strict=True):
        grad.copy_(part.view_as(grad))


def work_on(rank: int, workers: int, phases: Sequence[Phase], args: argparse.Namespace) -> None:
    """One worker's training: its own pictures, gradients shared with the others at every step."""
    torch.set_num_threads(1)
    meeting = f"file://{(args.work / 'meeting').resolve()}"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=workers)
    torch.manual_seed(args.seed)
    rng, steps = np.random.default_rng([args.seed, rank]), sum(phase.steps for phase in phases)
    model = net.build().train()
    if args.init:
        model.load_state_dict(torch.load(args.init))
    criterion, optimiser = model.init_criterion(), optimiser_for(model, args.rate)
    ema, began, seen = ModelEMA(model, decay=0.998, tau=200), time.monotonic(), []
    pictures = Pictures(args.work, "train")
    for step, items in enumerate(batches(pictures, phases, rng), start=1):
        for group in optimiser.param_groups:
            group["lr"] = args.rate * rate_share(step - 1, steps)
        loss, parts = step_loss(model, criterion, items)
        optimiser.zero_grad()
        loss.backward()
        share_gradients(model, workers)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
        seen.append(parts)
        if rank:
            continue
        ema.update(model)
        if step % 50 == 0:
            means = " ".join(f"{v:.3f}" for v in np.mean(seen[-50:], axis=0))
            spent = time.monotonic() - began
            print(f"step {step}/{steps} {spent:.0f} s box seg cls dfl scene {means}", flush=True)
        if step % 250 == 0 or step == steps:
            torch.save(ema.ema.state_dict(), args.work / "ema.pt")
    dist.destroy_process_group()


def train(phases: Sequence[Phase], args: argparse.Namespace) -> torch.nn.Module:
    """Train through the phases, one thread a worker, and return the averaged network.

    Threads that wait for each other at every operation crawl on a busy machine; workers that meet
    once a step do not.
    """
    (args.work / "meeting").unlink(missing_ok=True)
    torch.multiprocessing.spawn(work_on, (args.workers, phases, args), nprocs=args.workers)
    model = net.build().eval()
    model.load_state_dict(torch.load(args.work / "ema.pt"))
    return model


def export(model, work: Path, out: Path) -> Path:
    """Write the network as an OpenVINO folder (fp16, any shape) under `out`; returns the folder."""
    from ultralytics import YOLO, __version__

    file = work / "person-seg.pt"
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    args = vars(model.args) | {"model": "person-seg.yaml"}
    torch.save({"model": model.float(), "train_args": args, "version": __version__}, file)
    made = YOLO(str(file)).export(format="openvino", quantize=16, dynamic=True, imgsz=320)
    folder = out / "person-seg_openvino_model"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made, folder)
    return folder


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS (as `sha256sum -c` reads it) beside an exported folder, for its files."""
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {folder.name}/{file.name}\n"
        for file in sorted(folder.iterdir())
    ]
    (folder.parent / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def draw_pictures(folder: Path, clips: int, workers: int) -> None:
    """Draw the training pictures, one share a worker, unless they are there."""
    if any(folder.glob("train*.npz")):
        return
    share = clips // workers
    with ProcessPoolExecutor(workers) as pool:
        jobs = [
            pool.submit(
                data.generate, folder, data.FIRST_TRAIN_SEED + k * share, share, f"train{k}"
            )
            for k in range(workers)
        ]
        for job in jobs:
            job.result()


def main() -> None:
    """Command line: draw, train, export, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for pictures and checkpoints"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder that gets the export")
    parser.add_argument(
        "--clips", type=int, default=1280, help="random clips, up to 6 pictures each"
    )
    parser.add_argument("--small-steps", type=int, default=2200, help="steps at half size")
    parser.add_argument("--full-steps", type=int, default=700, help="steps at full size")
    parser.add_argument("--rate", type=float, default=2e-3, help="top learning rate")
    parser.add_argument("--init", type=Path, help="checkpoint (ema.pt) to go on from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes; 8 pictures each a step")
    args = parser.parse_args()
    draw_pictures(args.work, args.clips, args.workers)
    phases = (Phase(args.small_steps, 8, True), Phase(args.full_steps, 8, False))
    model = train(phases, args)
    folder = export(model, args.work, args.out)
    write_sums(folder)
    from models.demo.evaluate import measure

    print(json.dumps(measure(folder), indent=2))


if __name__ == "__main__":
    main()
