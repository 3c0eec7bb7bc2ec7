"""Draws the demo network's training pictures: whole frames, crops of a figure, empty scenes.

Pictures come in three shapes (groups), long side 320 or 256, letterboxed with grey 114 as
ultralytics does. Masks are kept soft (alpha 0..255) at half the picture's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tests.generator import ClipSpec, FigureSpec, render_frame, tight_box
from tests.generator.spec import FRAMINGS, MOTIONS, SCENES

GROUPS = {"wide": (192, 320), "tall": (320, 192), "square": (256, 256)}
SIZES = ((854, 480), (854, 480), (960, 540), (640, 480), (1280, 720), (480, 854), (540, 720))
FIRST_TRAIN_SEED = 1_000_000
FIRST_VAL_SEED = 9_000_000
FRAMES_PER_CLIP = 6
FRAMES_PER_EMPTY_CLIP = 4


@dataclass(frozen=True)
class Sample:
    """`image_rgb` uint8 HxWx3; `masks_u8` uint8 N x H/2 x W/2; `boxes_xyxy` float32 Nx4, pixels."""

    image_rgb: np.ndarray
    masks_u8: np.ndarray
    boxes_xyxy: np.ndarray


def random_figures(rng: np.random.Generator) -> tuple[FigureSpec, ...]:
    """0 to 3 figures; beside the first they are all seen in full."""
    count = int(rng.choice([0, 1, 2, 3], p=[0.16, 0.66, 0.13, 0.05]))
    framing = FRAMINGS[int(rng.choice(3, p=[0.5, 0.28, 0.22]))]
    return tuple(
        FigureSpec(
            seed=int(rng.integers(1 << 30)),
            framing=framing if k == 0 else "full",
            motion=MOTIONS[int(rng.integers(len(MOTIONS)))],
            x=float(rng.uniform(0.3, 0.7) if count < 2 else rng.uniform(0.1, 0.9)),
            scale=float(rng.uniform(0.85, 1.1) if count < 2 else rng.uniform(0.6, 1.05)),
            blend=float(rng.choice([0.0, rng.uniform(0.2, 0.8)], p=[0.7, 0.3])),
        )
        for k in range(count)
    )


def random_spec(rng: np.random.Generator) -> ClipSpec:
    """A random clip with its figures; its own seed comes from `rng`."""
    width, height = SIZES[int(rng.integers(len(SIZES)))]
    figures = random_figures(rng)
    return ClipSpec(
        seed=int(rng.integers(1 << 30)),
        width=width,
        height=height,
        n_frames=200,
        scenes=(SCENES[int(rng.integers(len(SCENES)))],),
        figures=figures,
        light=float(rng.uniform(0.0, 0.3)),
        noise=float(rng.uniform(0.0, 6.0)),
    )


def degrade(rng: np.random.Generator, image_rgb: np.ndarray) -> np.ndarray:
    """What a codec and a lens do: blur, JPEG blocks, gain; or nothing."""
    if rng.uniform() < 0.3:
        image_rgb = cv2.GaussianBlur(image_rgb, (0, 0), float(rng.uniform(0.4, 1.4)))
    if rng.uniform() < 0.5:
        quality = int(rng.integers(35, 96))
        ok, coded = cv2.imencode(".jpg", image_rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        image_rgb = cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1] if ok else image_rgb
    if rng.uniform() < 0.4:
        gains = rng.uniform(0.8, 1.2, 3)
        image_rgb = np.clip(image_rgb * gains + rng.uniform(-12, 12), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(image_rgb)


def crop_box(rng, box_xyxy, width: int, height: int) -> tuple[int, int, int, int]:
    """The box padded by a random share of its size, as the crop stage pads, within the frame."""
    x0, y0, x1, y1 = box_xyxy
    left, top, right, bottom = (
        rng.uniform(0.0, 0.22, 4) if rng.uniform() < 0.5 else [rng.uniform(0, 0.2)] * 4
    )
    w, h = x1 - x0, y1 - y0
    return (
        int(max(0, x0 - left * w)), int(max(0, y0 - top * h)),
        int(min(width, x1 + right * w)), int(min(height, y1 + bottom * h)),
    )  # fmt: skip


def group_of(width: int, height: int) -> str:
    """The group whose shape wastes least on a picture of this size."""
    ratio = width / height
    return "tall" if ratio <= 0.61 else "wide" if ratio >= 1.65 else "square"


def letterbox(image: np.ndarray, shape: tuple[int, int], fill: int) -> np.ndarray:
    """Fit an image (HxW or HxWxC) into `shape` (rows, columns), centred, the rest set to `fill`."""
    gain = min(shape[0] / image.shape[0], shape[1] / image.shape[1])
    w, h = round(image.shape[1] * gain), round(image.shape[0] * gain)
    way = cv2.INTER_LINEAR if gain > 0.6 or fill == 114 else cv2.INTER_AREA
    small = cv2.resize(image, (w, h), interpolation=way)
    out = np.full((*shape, *image.shape[2:]), fill, np.uint8)
    top, left = round((shape[0] - h) / 2 - 0.1), round((shape[1] - w) / 2 - 0.1)
    out[top : top + h, left : left + w] = small
    return out


def make_sample(image_rgb: np.ndarray, alphas_u8, shape: tuple[int, int]) -> Sample:
    """Letterbox a picture and its figures' masks; figures too small to learn from are left out."""
    masks, boxes = [], []
    for alpha_u8 in alphas_u8:
        full = letterbox(alpha_u8, shape, 0)
        box = tight_box(full)
        if box is None or (box[2] - box[0]) * (box[3] - box[1]) < 0.004 * shape[0] * shape[1]:
            continue
        masks.append(cv2.resize(full, (shape[1] // 2, shape[0] // 2), interpolation=cv2.INTER_AREA))
        boxes.append(box)
    empty = np.zeros((0, shape[0] // 2, shape[1] // 2), np.uint8)
    return Sample(
        letterbox(image_rgb, shape, 114),
        np.stack(masks) if masks else empty,
        np.asarray(boxes, np.float32).reshape(-1, 4),
    )


def draw_clip(seed: int) -> list[tuple[str, Sample]]:
    """The (group, sample) pairs of one random clip: whole frames, and crops around its figures."""
    rng = np.random.default_rng(seed)
    spec, samples = random_spec(rng), []
    for _ in range(FRAMES_PER_CLIP if spec.figures else FRAMES_PER_EMPTY_CLIP):
        drawn = render_frame(spec, int(rng.integers(spec.n_frames)))
        image_rgb = degrade(rng, drawn.frame_rgb)
        boxes = [b for b in drawn.boxes_xyxy if (b[2] - b[0]) * (b[3] - b[1]) > 1500]
        if boxes and rng.uniform() < 0.62:
            x0, y0, x1, y1 = crop_box(
                rng, boxes[int(rng.integers(len(boxes)))], spec.width, spec.height
            )
            image_rgb = np.ascontiguousarray(image_rgb[y0:y1, x0:x1])
            alphas = [a[y0:y1, x0:x1] for a in drawn.alphas_u8]
        else:
            alphas = list(drawn.alphas_u8)
        group = group_of(image_rgb.shape[1], image_rgb.shape[0])
        samples.append((group, make_sample(image_rgb, alphas, GROUPS[group])))
    return samples


def generate(folder: Path, first_seed: int, clips: int, name: str) -> None:
    """Draw `clips` random clips and save their samples as `<name>_<group>.npz` in `folder`."""
    cv2.setNumThreads(1)
    groups: dict[str, list[Sample]] = {group: [] for group in GROUPS}
    for seed in range(first_seed, first_seed + clips):
        for group, sample in draw_clip(seed):
            groups[group].append(sample)
    folder.mkdir(parents=True, exist_ok=True)
    for group, samples in groups.items():
        if samples:
            np.savez(
                folder / f"{name}_{group}.npz",
                images=np.stack([s.image_rgb for s in samples]),
                masks=np.concatenate([s.masks_u8 for s in samples]),
                boxes=np.concatenate([s.boxes_xyxy for s in samples]),
                counts=np.asarray([len(s.boxes_xyxy) for s in samples]),
            )
