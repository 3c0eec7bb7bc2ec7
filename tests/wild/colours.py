"""What colour tags ask for beyond what ffmpeg's command does with them by default.

ffmpeg converts YCbCr to RGB with the matrix and range that are tagged, and stops there: it takes
clips without a tag for BT.601, grey for full range, and leaves primaries as they are. Players go
further. The pictures made here are ffmpeg's own, with that one step added.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.wild.ffmpeg_view import ShownFrame

HDR_TRANSFERS = {"smpte2084": "pq", "arib-std-b67": "hlg"}
#: CIE x, y of red, green, blue and white. ITU-T H.273, table 2.
_D65 = (0.3127, 0.3290)
_PRIMARIES = {
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    "bt470bg": ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), _D65),
    "smpte170m": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    "smpte240m": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    "smpte431": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    "smpte432": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
}
_WIDE = ("bt2020", "smpte431", "smpte432")  # the others are so near BT.709 that few players convert

#: Gives a frame as RGB: options of the scale filter, a filter in front (see `Source.picture`).
Ask = Callable[[str, str], np.ndarray | None]


@dataclass(frozen=True)
class Meaning:
    """`step` is what is added to ffmpeg's conversion, `pictures` what comes of it (more than one
    where players differ in how they do it); `required` if a picture without it counts as wrong.
    """

    step: str
    pictures: list[np.ndarray]
    required: bool


GREY = "grey of limited range stretched"
MATRIX = "matrix of untagged HD taken for BT.709"
PRIMARIES = "primaries converted"


def meaning(frame: ShownFrame, turned: bool, ask: Ask) -> Meaning | None:
    """What the frame's tags ask for beyond ffmpeg's default; None where that is all.

    `turned` is true if the frame is coded lying and shown standing, or the other way round.
    """
    if frame.transfer in HDR_TRANSFERS:
        return None
    if frame.pixel_format.startswith("gray"):
        coded = ask("", "setparams=range=pc") if frame.color_range == "tv" else None
        return None if coded is None else Meaning(GREY, [_stretched(coded)], True)
    untagged = frame.matrix == "unknown" and _is_ycbcr(frame.pixel_format) and _is_hd(frame, turned)
    if frame.primaries in _PRIMARIES and frame.primaries != "bt709":
        plain = ask("in_color_matrix=bt709" if untagged else "", "")
        wide = frame.primaries in _WIDE
        made = [] if plain is None else [_to_bt709(plain, frame.primaries, c) for c in _CURVES]
        return Meaning(PRIMARIES, made, wide) if made else None
    if untagged:
        plain = ask("in_color_matrix=bt709", "")
        return None if plain is None else Meaning(MATRIX, [plain], True)
    return None


def _is_ycbcr(pixel_format: str) -> bool:
    return pixel_format.startswith(("yuv", "nv", "p0", "p2", "p4"))


def _is_hd(frame: ShownFrame, turned: bool) -> bool:
    """How players tell HD, which is BT.709 where nothing else is said, from SD: as it is coded."""
    wide, high = (frame.height, frame.width) if turned else (frame.width, frame.height)
    return wide >= 1280 or high > 576


def _stretched(coded: np.ndarray) -> np.ndarray:
    """Coded levels 16 to 235 as 0 to 255 (BT.709-6, 4.6)."""
    return np.clip(np.rint((coded.astype(np.float32) - 16) * (255 / 219)), 0, 255).astype(np.uint8)


def _bt709_light(signal: np.ndarray) -> np.ndarray:
    return np.where(signal < 0.081, signal / 4.5, ((signal + 0.099) / 1.099) ** (1 / 0.45))


def _bt709_signal(light: np.ndarray) -> np.ndarray:
    return np.where(light < 0.018, light * 4.5, 1.099 * light**0.45 - 0.099)


def _srgb_light(signal: np.ndarray) -> np.ndarray:
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def _srgb_signal(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


#: Curves by which players go to light and back: BT.709's, sRGB's, a screen's (BT.1886).
_CURVES = (
    (_bt709_light, _bt709_signal),
    (_srgb_light, _srgb_signal),
    (lambda signal: signal**2.4, lambda light: light ** (1 / 2.4)),
)


def _to_bt709(
    picture_rgb: np.ndarray, primaries: str, curve: tuple[Callable, Callable]
) -> np.ndarray:
    """HxWx3 uint8 in other primaries, in those of BT.709; what these cannot show is clipped."""
    to_light, to_signal = curve
    change = np.linalg.inv(_to_xyz("bt709")) @ _adapted(primaries) @ _to_xyz(primaries)
    light = to_light(np.arange(256, dtype=np.float32) / 255).astype(np.float32)[picture_rgb]
    changed = np.clip(light @ change.T.astype(np.float32), 0, 1)
    return np.rint(np.clip(to_signal(changed), 0, 1) * 255).astype(np.uint8)


def _to_xyz(primaries: str) -> np.ndarray:
    """RGB to XYZ (SMPTE RP 177)."""
    *corners, white = _PRIMARIES[primaries]
    columns = np.array([_xyz(corner) for corner in corners]).T
    return columns * np.linalg.solve(columns, _xyz(white))


def _xyz(xy: tuple[float, float]) -> np.ndarray:
    x, y = xy
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adapted(primaries: str) -> np.ndarray:
    """The change of white point to D65 (Bradford)."""
    cones = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    source, target = cones @ _xyz(_PRIMARIES[primaries][3]), cones @ _xyz(_D65)
    return np.linalg.inv(cones) @ np.diag(target / source) @ cones
