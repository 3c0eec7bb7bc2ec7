"""Trains the demo's networks for faces on drawn people, and writes them as ONNX.

    python -m models.demo.train_faces --work /tmp/faces --out models/demo

Everything is seeded, on one thread; no picture and no weight is fetched. About half an hour.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ferrari.networks.backends.yunet import STRIDES
from models.demo import face_data, face_nets
from models.demo.face_data import FACE, FIRST_TRAIN

#: Sizes of face (longer side, px) that each level of the detector learns, which overlap.
_SIZES = ((0.0, 40.0), (30.0, 84.0), (64.0, 1e9))
#: A cell is a face's own if it lies within this share of the face's size from its middle; up to
#: the second share it counts neither way.
_OWN, _NEAR = 0.16, 0.45
_TEMPERATURE = 0.08


def _rate(step: int, steps: int, top: float) -> float:
    """The learning rate: up for the first 100 steps, then down along a cosine."""
    return top * min(1.0, (step + 1) / 100) * (0.02 + 0.98 * (1 + np.cos(np.pi * step / steps)) / 2)


# --- detector --------------------------------------------------------------------------------


def _cells(side: int, stride: int) -> np.ndarray:
    """(cells, 2) x, y in px at which a cell's box is said to have no offset."""
    n = side // stride
    return np.stack(np.meshgrid(np.arange(n), np.arange(n)), -1).reshape(-1, 2) * float(stride)


def targets(faces: np.ndarray, side: int, level: int) -> tuple[np.ndarray, np.ndarray]:
    """What a level's cells have to say: (cells,) 1, 0, or -1 (neither); (cells, 14) box and
    landmarks as YuNet codes them.
    """
    stride, cells = STRIDES[level], _cells(side, STRIDES[level])
    kind, values = np.zeros(len(cells), np.float32), np.zeros((len(cells), 14), np.float32)
    for row in faces[np.argsort(faces[:, 2] - faces[:, 0])[::-1]] if len(faces) else ():
        middle, size = (row[:2] + row[2:4]) / 2, row[2:4] - row[:2]
        far = (np.abs(cells + stride / 2 - middle) / size).max(1)
        low, high = _SIZES[level]
        # An eye is not a face: a level that this one is much too large for says no all over it.
        if not row[14] or 0.7 * low <= size.max() < 1.4 * high:
            kind[far < _NEAR] = -1
        if row[14] and low <= size.max() < high:
            own = far < max(_OWN, float(far.min()) + 1e-6)
            kind[own] = 1
            values[own, :2] = (middle - cells[own]) / stride
            values[own, 2:4] = np.log(size / stride)
            points = (row[4:14].reshape(5, 2) - cells[own][:, None]) / stride
            values[own, 4:] = points.reshape(-1, 10)
    return kind, values


class Pictures:
    """The drawn pictures, and batches of them."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as saved:
            self.rgb, faces, counts = saved["rgb"], saved["faces"], saved["counts"]
        self.faces = np.split(faces, np.cumsum(counts)[:-1])

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[tuple]:
        """(bgr, [(kinds, values) of each level]) for ever; pictures are turned over and tinted."""
        while True:
            order = rng.permutation(len(self.rgb))
            for start in range(0, len(order) - size + 1, size):
                yield self._batch(order[start : start + size], rng)

    def _batch(self, rows: np.ndarray, rng: np.random.Generator) -> tuple:
        images, faces, side = [], [], self.rgb.shape[1]
        for row in rows.tolist():
            image, found = self.rgb[row].astype(np.float32), self.faces[row]
            if rng.uniform() < 0.5:
                image, found = image[:, ::-1], _turned_over(found, side)
            tint = rng.uniform(0.8, 1.2, 3) * rng.uniform(0.8, 1.2) + 0.0
            images.append(np.clip(image * tint + rng.uniform(-15, 15), 0, 255)[..., ::-1])
            faces.append(found)
        bgr = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).astype(np.float32))
        levels = []
        for level in range(len(STRIDES)):
            made = [targets(found, side, level) for found in faces]
            levels.append(
                tuple(torch.from_numpy(np.stack(part)) for part in zip(*made, strict=True))
            )
        return bgr, levels


def _turned_over(faces: np.ndarray, side: int) -> np.ndarray:
    found = faces.copy()
    found[:, [0, 2]] = side - faces[:, [2, 0]]
    points = faces[:, 4:14].reshape(-1, 5, 2)[:, [1, 0, 2, 4, 3]].copy()
    points[..., 0] = side - points[..., 0]
    found[:, 4:14] = points.reshape(-1, 10)
    return found


def detector_loss(found: list[torch.Tensor], levels: list[tuple]) -> torch.Tensor:
    """Binary cross-entropy of both scores, and smooth L1 of boxes and landmarks of own cells."""
    total, own_cells = torch.zeros(()), sum(int((kind == 1).sum()) for kind, _ in levels)
    for out, (kind, values) in zip(found, levels, strict=True):
        rows = out.flatten(2).transpose(1, 2)
        judged = kind >= 0
        for score in (rows[..., 0], rows[..., 1]):
            chance = torch.sigmoid(score)
            loss = F.binary_cross_entropy_with_logits(score, kind.clamp(0), reduction="none")
            # Focal: of the many cells that are no face, the few that look like one count.
            weight = torch.where(kind == 1, 1.0, chance.detach() ** 2)
            total = total + (loss * weight)[judged].sum()
        own = kind == 1
        total = (
            total
            + 3
            * F.smooth_l1_loss(
                rows[..., 2:6][own], values[..., :4][own], beta=0.05, reduction="sum"
            )
            / 4
        )
        total = (
            total
            + 6
            * F.smooth_l1_loss(rows[..., 6:][own], values[..., 4:][own], beta=0.05, reduction="sum")
            / 10
        )
    return total / max(1, own_cells)


def train_detector(path: Path, steps: int, seed: int) -> face_nets.Detector:
    """Train on the pictures in an npz file."""
    torch.manual_seed(seed)
    rng, net = np.random.default_rng(seed), face_nets.Detector().train()
    net = net.to(memory_format=torch.channels_last)
    with torch.no_grad():  # pictures are 0 to 255
        net.levels[0][0].weight /= 64
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=1e-3)
    batches, began, seen = Pictures(path).batches(16, rng), time.monotonic(), []
    for step in range(steps):
        bgr, levels = next(batches)
        for group in optimiser.param_groups:
            group["lr"] = _rate(step, steps, 3e-3)
        loss = detector_loss(net(bgr.contiguous(memory_format=torch.channels_last)), levels)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimiser.step()
        seen.append(float(loss.detach()))
        _say("detector", step, steps, began, seen)
    return net.eval()


def _say(what: str, step: int, steps: int, began: float, seen: list[float]) -> None:
    if (step + 1) % 50 == 0:
        spent = time.monotonic() - began
        print(f"{what} {step + 1}/{steps} {spent:.0f} s {np.mean(seen[-50:]):.4f}", flush=True)


# --- embedding -------------------------------------------------------------------------------


def _distorted(rgb: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """(N, 3, FACE, FACE) of (N, FACE, FACE, 3) uint8, as the network is fed: tinted, some of them
    blurred by way of fewer pixels.
    """
    x = torch.from_numpy(rgb.astype(np.float32)).permute(0, 3, 1, 2)
    tint = rng.uniform(0.9, 1.1, (len(x), 3, 1, 1)) * rng.uniform(0.85, 1.15, (len(x), 1, 1, 1))
    x = x * torch.from_numpy(tint.astype(np.float32))
    x = x + torch.from_numpy(rng.uniform(-12, 12, (len(x), 1, 1, 1)).astype(np.float32))
    few = torch.from_numpy(rng.uniform(size=len(x)) < 0.35)
    if few.any():
        fewer = int(rng.integers(24, 48))
        shrunk = F.interpolate(x[few], size=(fewer, fewer), mode="area")
        x[few] = F.interpolate(shrunk, size=(FACE, FACE), mode="bilinear")
    return (_misplaced(x, rng).clamp(0, 255) - 127.5) / 127.5


def _misplaced(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Faces as landmarks that are off by a tenth of a face turn them upright."""
    scale, angle = rng.uniform(0.82, 1.2, len(x)), rng.normal(0, 0.07, len(x))
    shift = rng.normal(0, 0.1, (len(x), 2))  # in halves of the picture
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    rows = np.stack([cos, -sin, shift[:, 0], sin, cos, shift[:, 1]], 1).reshape(-1, 2, 3)
    grid = F.affine_grid(torch.from_numpy(rows.astype(np.float32)), list(x.shape), False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def embedding_loss(found: torch.Tensor, people: torch.Tensor) -> torch.Tensor:
    """Each face against all others of a batch: its own person's have to be the likest (supervised
    contrastive loss, Khosla et al., 2020).
    """
    unit = F.normalize(found)
    alike = unit @ unit.T / _TEMPERATURE
    alike = alike - 1e9 * torch.eye(len(alike))
    own = (people[:, None] == people[None]).float() - torch.eye(len(alike))
    chance = alike - torch.logsumexp(alike, 1, keepdim=True)
    return -((chance * own).sum(1) / own.sum(1)).mean()


def train_embedding(path: Path, steps: int, seed: int) -> face_nets.Embedding:
    """Train on the faces in an npz file: 48 people a step, four faces each."""
    torch.manual_seed(seed)
    rng, net = np.random.default_rng(seed), face_nets.Embedding().train()
    net = net.to(memory_format=torch.channels_last)
    with np.load(path) as saved:
        rgb = saved["rgb"]
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=1e-3)
    began, seen = time.monotonic(), []
    for step in range(steps):
        people = rng.choice(len(rgb), 48, replace=False)
        views = np.stack([rng.choice(rgb.shape[1], 4, replace=False) for _ in people])
        batch = rgb[np.repeat(people, 4), views.ravel()]
        for group in optimiser.param_groups:
            group["lr"] = _rate(step, steps, 3e-3)
        fed = _distorted(batch, rng).contiguous(memory_format=torch.channels_last)
        found = net(fed)
        loss = embedding_loss(found, torch.from_numpy(np.repeat(people, 4)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen.append(float(loss.detach()))
        _say("embedding", step, steps, began, seen)
    return net.eval()


def main() -> None:
    """Command line: draw what is not drawn yet, train, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for what is drawn")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets the networks")
    parser.add_argument("--pictures", type=int, default=2400)
    parser.add_argument("--people", type=int, default=800)
    parser.add_argument("--detector-steps", type=int, default=1300)
    parser.add_argument("--embedding-steps", type=int, default=1600)
    parser.add_argument("--only", choices=("detector", "embedding"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    args.work.mkdir(parents=True, exist_ok=True)
    if args.only != "embedding":
        path = args.work / "pictures.npz"
        if not path.exists():
            face_data.draw_pictures(path, FIRST_TRAIN, args.pictures)
        net = train_detector(path, args.detector_steps, args.seed)
        (args.out / "face-detector.onnx").write_bytes(face_nets.detector_file(net))
    if args.only != "detector":
        path = args.work / "faces.npz"
        if not path.exists():
            face_data.draw_faces(path, FIRST_TRAIN, args.people, 5)
        net = train_embedding(path, args.embedding_steps, args.seed)
        (args.out / "face-embedding.onnx").write_bytes(face_nets.embedding_file(net, FACE))


if __name__ == "__main__":
    main()
