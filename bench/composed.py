"""Pictures with known alpha, made of a keyed man before drawn scenes: what a matte gets wrong.

He stands at each border of the picture, holds something, stands beside something, moves, is dark
before a dark scene, or has somebody else beside him; then each of the two is the subject once. One
picture a number, the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from bench import peers
from ferrari.images import image_files
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec, FigureSpec

_HIGH, _WIDE = 480, 720
_FRAME = 10
_SCENES = ("room", "outdoor", "street", "gallery", "bokeh")


@dataclass(frozen=True)
class Picture:
    """HxWx3 uint8 RGB, and the HxW uint8 alpha that a cut-out of its subject should have.

    `other_u8` is the alpha of somebody else in it, who is no part of the cut-out.
    """

    image_rgb: np.ndarray
    alpha_u8: np.ndarray
    other_u8: np.ndarray | None = None


@dataclass(frozen=True)
class Layer:
    """Something to lay over a scene: HxWx3 float RGB, HxW float alpha 0..1."""

    rgb: np.ndarray
    alpha: np.ndarray


@cache
def _men() -> list[Layer]:
    """The keyed man at twice his size. Two pixels at his edge are left out: they are green."""
    folder, found = peers.shared() / "media/gt/chroma_mdn_man", []
    for path in sorted((folder / "img").glob("*.jpg")):
        image = image_files.read(path)
        mask = image_files.read(folder / "mask" / f"{path.stem}.png")
        alpha = (mask if mask.ndim == 2 else mask[..., 0]).astype(np.float32) / 255
        size = (image.shape[1] * 2, image.shape[0] * 2)
        alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR)
        alpha = cv2.erode(alpha, np.ones((5, 5)), borderType=cv2.BORDER_REPLICATE)
        alpha = cv2.GaussianBlur(alpha, (0, 0), 1.2)
        image = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
        if max(alpha[:2].max(), alpha[:, :2].max(), alpha[:, -2:].max()) < 0.5:  # all is there
            found.append(Layer(image.astype(np.float32), alpha))
    return found


def backdrop(number: int, *figures: FigureSpec) -> tuple[np.ndarray, np.ndarray]:
    """A drawn scene and what its figures cover: HxWx3 float, HxW float 0..1."""
    kind = _SCENES[number % len(_SCENES)]
    spec = ClipSpec(seed=7_500 + number, width=_WIDE, height=_HIGH, scenes=(kind,), figures=figures)
    drawn = render_frame(spec, _FRAME)
    return drawn.frame_rgb.astype(np.float32), drawn.alpha_u8.astype(np.float32) / 255


def _man(number: int, left: int | None = None, down: int = 0) -> Layer:
    """A man on an empty layer, his picture's left edge at `left` (None: in the middle), moved
    `down`; what is beyond the picture is cut off.
    """
    man = _men()[number % len(_men())]
    high, wide = man.alpha.shape
    left = (_WIDE - wide) // 2 if left is None else left
    top = _HIGH - high + down
    moved = np.float32([[1, 0, left], [0, 1, top]])
    border = {"dsize": (_WIDE, _HIGH), "borderMode": cv2.BORDER_CONSTANT}
    return Layer(
        cv2.warpAffine(man.rgb, moved, **border), cv2.warpAffine(man.alpha, moved, **border)
    )


def over(scene: np.ndarray, layer: Layer) -> np.ndarray:
    alpha = layer.alpha[..., None]
    return layer.rgb * alpha + scene * (1 - alpha)


def finished(image: np.ndarray, alpha: np.ndarray, other: np.ndarray | None = None) -> Picture:
    image_rgb = np.clip(image + 0.5, 0, 255).astype(np.uint8)
    return Picture(image_rgb, _u8(alpha), None if other is None else _u8(other))


def _u8(alpha: np.ndarray) -> np.ndarray:
    return np.clip(alpha * 255 + 0.5, 0, 255).astype(np.uint8)


def _thing(number: int, centre: tuple[int, int], size: tuple[int, int], round_one: bool) -> Layer:
    """A ball or a box in a colour of its own, with an edge as soft as the man's."""
    alpha = np.zeros((_HIGH, _WIDE), np.float32)
    if round_one:
        cv2.ellipse(alpha, centre, size, 0, 0, 360, 1, -1)
    else:
        (x, y), (wide, high) = centre, size
        cv2.rectangle(alpha, (x - wide, y - high), (x + wide, y + high), 1, -1)
    colour = np.random.default_rng(number).integers(30, 226, 3)
    shade = np.linspace(1.15, 0.8, _WIDE)[None, :, None]
    return Layer(
        np.broadcast_to(colour, (_HIGH, _WIDE, 3)) * shade, cv2.GaussianBlur(alpha, (0, 0), 1.2)
    )


def _side(layer: Layer, row: int, right: bool) -> int:
    """The column at which a man ends in a row, on his right or left in the picture."""
    columns = np.flatnonzero(layer.alpha[row] > 0.5)
    return int(columns[-1] if right else columns[0])


# --- the sets -------------------------------------------------------------------------------------


def at_a_border(number: int) -> Picture:
    """Cut off by the left border, the right one, the bottom, a corner, or the top."""
    where = ({"left": -200}, {"left": _WIDE - 440}, {"down": 150}, {"left": -180, "down": 120}, {})
    man = _man(number, **where[number % len(where)])
    scene, _ = backdrop(number)
    first = 0 if where[number % len(where)] else int(np.argmax(man.alpha.max(1) > 0.5)) + 60
    return finished(over(scene, man)[first:], man.alpha[first:])


def holding(number: int) -> Picture:
    """A ball or a box of a twentieth of him at his shoulder: it belongs to the cut-out."""
    man = _man(number)
    row, right = _HIGH - 90, number % 2 == 0
    centre = (_side(man, row, right) + (14 if right else -14), row)
    thing = _thing(number, centre, (30, 36), number % 4 < 2)
    scene, _ = backdrop(number)
    alpha = np.maximum(man.alpha, thing.alpha)
    return finished(over(over(scene, man), thing), alpha)


def beside(number: int) -> Picture:
    """A post or a board behind him that goes on beyond the picture: it is no part of him."""
    man = _man(number)
    edge = _side(man, _HIGH - 40, number % 2 == 0)
    size = (26, _HIGH) if number % 4 < 2 else (120, 40)
    centre = (
        (edge, _HIGH // 2) if number % 4 < 2 else (edge + (60 if number % 2 == 0 else -60), 440)
    )
    thing = _thing(number, centre, size, False)
    scene, _ = backdrop(number)
    return finished(over(over(scene, thing), man), man.alpha)


def moving(number: int) -> Picture:
    """Blurred along his way by 13 to 25 pixels."""
    man, length = _man(number), 13 + 4 * (number % 4)
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    alpha = cv2.filter2D(man.alpha, -1, kernel)
    rgb = (
        cv2.filter2D(man.rgb * man.alpha[..., None], -1, kernel)
        / np.maximum(alpha, 1e-3)[..., None]
    )
    scene, _ = backdrop(number)
    return finished(over(scene, Layer(rgb, alpha)), alpha)


def dark(number: int) -> Picture:
    """In a dark pullover, under little light, before a scene as dark."""
    man = _man(number)
    scene, _ = backdrop(number)
    return finished(over(scene * 0.18, Layer(man.rgb * 0.55, man.alpha)), man.alpha)


def _two(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A drawn figure stands beside him: the picture, his alpha, and what shows of the figure."""
    figure = FigureSpec(seed=7_600 + number, framing="half", x=0.12 if number % 2 else 0.88, sway=0)
    scene, covered = backdrop(number, figure)
    man = _man(number)
    return over(scene, man), man.alpha, covered * (1 - man.alpha)


def beside_a_figure(number: int) -> Picture:
    """He is the subject, and the figure beside him is somebody else."""
    image, man, figure = _two(number)
    return finished(image, man, figure)


def beside_the_man(number: int) -> Picture:
    """The same picture, with the figure as its subject."""
    image, man, figure = _two(number)
    return finished(image, figure, man)


#: The sets, and what the default must reach on each: mean and least IoU. Set before the first run.
SETS: Mapping[str, tuple[Callable[[int], Picture], float, float]] = {
    "at a border": (at_a_border, 0.93, 0.80),
    "holding something": (holding, 0.93, 0.80),
    "beside something": (beside, 0.93, 0.80),
    "moving": (moving, 0.90, 0.80),
    "dark on dark": (dark, 0.90, 0.75),
    "two people, the man": (beside_a_figure, 0.95, 0.90),
    "two people, the drawn one": (beside_the_man, 0.85, 0.60),
}
