"""Plain, noisy and photographic backgrounds: pure functions from colours and a generator to pixels.

Every function returns HxWx3 uint8 RGB and draws from nothing but the generator that it is given,
so that a recorded seed gives the same picture again. Smooth ones are painted small and enlarged.
`ferrari.backgrounds.procedural` holds the procedural scenes.
"""

from __future__ import annotations

import cv2
import numpy as np

Rgb = tuple[int, int, int]
_WORKING_SIDE = 400  # px; longer side at which fields without fine detail are computed
_BLUR_SIGMA = 6.0  # px; a wider Gaussian is applied to a picture made smaller first


def flat(size_hw: tuple[int, int], colour: Rgb) -> np.ndarray:
    """One colour all over."""
    return np.full((*size_hw, 3), colour, dtype=np.uint8)


def small_size(size_hw: tuple[int, int], longest: int = _WORKING_SIDE) -> tuple[int, int]:
    """`size_hw` made smaller, at its aspect, so that its longer side is at most `longest`."""
    factor = min(1.0, longest / max(size_hw))
    return max(2, round(size_hw[0] * factor)), max(2, round(size_hw[1] * factor))


def enlarge(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """float32 or uint8 HxWxC in 0-255 at `size_hw`, bilinear, as uint8."""
    pixels = np.clip(image + 0.5, 0, 255).astype(np.uint8) if image.dtype != np.uint8 else image
    return cv2.resize(pixels, size_hw[::-1], interpolation=cv2.INTER_LINEAR)


def octaves(
    rng: np.random.Generator,
    size_hw: tuple[int, int],
    first: float = 2.0,
    count: int = 5,
    gain: float = 0.5,
) -> np.ndarray:
    """Fractal value noise, HxW float32 stretched to 0..1.

    Sum of `count` octaves of cubic-interpolated random lattices; the first has `first` cells
    along the longer side, each next one twice as many at `gain` times the strength.
    """
    total = np.zeros(size_hw, dtype=np.float32)
    longest = max(size_hw)
    for octave in range(count):
        cell = longest / (first * 2**octave)
        if cell < 2:
            break
        lattice_hw = tuple(int(np.ceil(side / cell)) + 3 for side in size_hw)
        lattice = rng.random(lattice_hw, dtype=np.float32)
        shift = rng.random(2) * cell
        matrix = np.array([[1 / cell, 0, 1 + shift[1] / cell], [0, 1 / cell, 1 + shift[0] / cell]])
        total += gain**octave * cv2.warpAffine(
            lattice,
            matrix,
            size_hw[::-1],
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def mix(field: np.ndarray, first: np.ndarray | Rgb, second: np.ndarray | Rgb) -> np.ndarray:
    """HxWx3 float32 from `first` (field 0) to `second` (field 1), field HxW float32 in 0..1."""
    start, end = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return start + field[..., None] * (end - start)


def shade(colour: Rgb, amount: float) -> np.ndarray:
    """`colour` moved towards black (amount < 0) or white (> 0) by that share, float32."""
    target, start = np.float32(255 if amount > 0 else 0), np.asarray(colour, np.float32)
    return start + abs(amount) * (target - start)


def contrast_room(colour: Rgb) -> float:
    """How much of the usual shading a colour bears: pale ones darken into another name sooner."""
    return 0.6 if sum(colour) > 660 else 1.0


def soft_noise(rng: np.random.Generator, size_hw: tuple[int, int], colour: Rgb) -> np.ndarray:
    """Smooth clouds of lighter and darker `colour`, as behind a portrait in a studio."""
    small = small_size(size_hw)
    field = octaves(rng, small, first=1.5 + 2 * rng.random(), count=5, gain=0.45)
    depth = (0.14 + 0.1 * rng.random()) * contrast_room(colour)
    return enlarge(mix(field, shade(colour, -depth), shade(colour, depth)), size_hw)


def grain(rng: np.random.Generator, size_hw: tuple[int, int], colour: Rgb) -> np.ndarray:
    """Film-like grain on `colour`: luminance noise 1 to 2 px wide, a little of it coloured."""
    strength = 0.35 + 0.65 * rng.random()
    width = 0.5 + 0.7 * rng.random()
    height_px, width_px = size_hw
    noise = np.frombuffer(rng.bytes(4 * height_px * width_px), dtype=np.uint8)
    luma = noise[: height_px * width_px].reshape(size_hw)
    tint = noise[height_px * width_px :].reshape(height_px, width_px, 3)
    # Blurred uniform noise is close to normal; OpenCV's 8-bit blur and sums are exact everywhere.
    grey = cv2.cvtColor(cv2.GaussianBlur(luma, (5, 5), width), cv2.COLOR_GRAY2RGB)
    sums = cv2.addWeighted(grey, strength, tint, 0.12 * strength, 128 - 127.5 * 1.12 * strength)
    steps = np.arange(256)[:, None] - 128
    table = np.clip(steps + np.array(colour), 0, 255).astype(np.uint8)
    return cv2.LUT(sums, table.reshape(256, 1, 3))


def colourful_noise(rng: np.random.Generator, size_hw: tuple[int, int]) -> np.ndarray:
    """Smooth patches of every colour: three independent noise fields as red, green and blue."""
    small = small_size(size_hw)
    first = 2 + 6 * rng.random()
    channels = [octaves(rng, small, first=first, count=4, gain=0.5) for _ in range(3)]
    return enlarge(np.stack(channels, axis=-1) * np.float32(255), size_hw)


def gaussian_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of HxWxC uint8; wide ones are made on a smaller copy, which looks the same."""
    if sigma <= 0:
        return image
    factor = max(1.0, sigma / _BLUR_SIGMA)
    size_hw = image.shape[:2]
    small_hw = tuple(max(1, round(side / factor)) for side in size_hw)
    small = cv2.resize(image, small_hw[::-1], interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=cv2.BORDER_REFLECT)
    return cv2.resize(blurred, size_hw[::-1], interpolation=cv2.INTER_CUBIC)


def blurred_scene(
    rng: np.random.Generator, size_hw: tuple[int, int], scene_rgb: np.ndarray, blur: float
) -> np.ndarray:
    """A part of a scene, out of focus.

    The largest window of the canvas's aspect, drawn to between 0.7 and 1 of that size, at a drawn
    place, mirrored half of the time; the Gaussian's sigma is `blur` times the longer side.
    """
    height, width = scene_rgb.shape[:2]
    zoom = 0.7 + 0.3 * rng.random()
    fit = zoom * min(height / size_hw[0], width / size_hw[1])
    window_h = min(height, max(1, round(size_hw[0] * fit)))
    window_w = min(width, max(1, round(size_hw[1] * fit)))
    top = round(float(rng.random()) * (height - window_h))
    left = round(float(rng.random()) * (width - window_w))
    window = scene_rgb[top : top + window_h, left : left + window_w]
    if rng.random() < 0.5:
        window = window[:, ::-1]
    # Blurring the window first gives the same picture as blurring the canvas, on fewer pixels.
    small = gaussian_blur(np.ascontiguousarray(window), blur * max(window_h, window_w))
    method = cv2.INTER_CUBIC if fit < 1 else cv2.INTER_AREA
    return cv2.resize(small, size_hw[::-1], interpolation=method)
