"""Colours of other primaries and transfers as the sRGB pictures that an ordinary screen shows.

Players leave most SDR footage as it is, and so does this: the curves in `SHOWN_CURVES` and the
primaries in `SHOWN_PRIMARIES` are shown unchanged. The rest goes by way of linear light, and grey
stays grey. Formulae: ITU-T H.273 (2021), tables 2 and 3 (chromaticities, curves); ITU-R BT.1886
(how a display shows BT.601, BT.709 and BT.2020); SMPTE RP 177 (from chromaticities to matrices);
Bradford's adaptation to another white (Lam 1985, as in ICC.1:2022, annex E).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import cv2
import numpy as np

_WHITE_D65, _WHITE_C, _WHITE_DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
_WHITE_E = (1 / 3, 1 / 3)
#: Chromaticities x, y of red, green, blue and white.
CHROMATICITIES = {
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _WHITE_D65),
    "bt470m": ((0.670, 0.330), (0.210, 0.710), (0.140, 0.080), _WHITE_C),
    "bt470bg": ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), _WHITE_D65),
    "smpte170m": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _WHITE_D65),
    "smpte240m": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _WHITE_D65),
    "film": ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _WHITE_C),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _WHITE_D65),
    "xyz": ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), _WHITE_E),
    "dci-p3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _WHITE_DCI),
    "display-p3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _WHITE_D65),
    "ebu3213": ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _WHITE_D65),
    "v-gamut": ((0.730, 0.280), (0.165, 0.840), (0.100, -0.030), _WHITE_D65),
}
#: Shown as they are: BT.709, and what differs from it by so little that players leave it alone.
#: V-Gamut comes with V-Log, which is left to be graded.
SHOWN_PRIMARIES = {"bt709", "bt470bg", "smpte170m", "smpte240m", "ebu3213", "v-gamut"}

_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_STEPS = 65536

#: A curve from a signal of 0..1 to light of 0..1.
Curve = Callable[[np.ndarray], np.ndarray]


def _power(gamma: float) -> Curve:
    return lambda signal: np.power(signal, gamma)


def _log(decades: float) -> Curve:
    return lambda signal: np.where(signal > 0, np.power(10.0, decades * (signal - 1)), 0)


def srgb_to_light(signal: np.ndarray) -> np.ndarray:
    """sRGB signal 0..1 to light 0..1 (IEC 61966-2-1)."""
    return np.where(signal <= 0.04045, signal / 12.92, np.power((signal + 0.055) / 1.055, 2.4))


#: Curves that are shown unchanged; what they are here is needed for other primaries alone.
SHOWN_CURVES: dict[str, Curve] = {
    **dict.fromkeys(("bt709", "bt601", "bt2020", "smpte240m", "xvycc", "bt1361"), _power(2.4)),
    **{"gamma22": _power(2.2), "gamma28": _power(2.8), "srgb": srgb_to_light},
    "v-log": _power(2.4),
}
#: Curves that no ordinary screen has: they become sRGB's.
CONVERTED_CURVES: dict[str, Curve] = {
    "linear": _power(1.0),
    "log100": _log(2.0),
    "log316": _log(2.5),
    "smpte428": lambda signal: np.minimum(52.37 / 48 * np.power(signal, 2.6), 1),
}


def is_shown_unchanged(transfer: str, primaries: str) -> bool:
    """True if R'G'B' of these is shown as it is."""
    return transfer in SHOWN_CURVES and primaries in SHOWN_PRIMARIES


def to_xyz(primaries: str) -> np.ndarray:
    """3x3 matrix from linear RGB of `primaries` to CIE XYZ, white at Y = 1 (SMPTE RP 177)."""
    *corners, white = (_xyz(*xy) for xy in CHROMATICITIES[primaries])
    columns = np.stack(corners, axis=1)
    return columns * np.linalg.solve(columns, white)


@functools.cache
def to_bt709(primaries: str) -> np.ndarray:
    """3x3 matrix from linear RGB of `primaries` to that of BT.709; white stays white."""
    theirs, ours = (_BRADFORD @ _xyz(*CHROMATICITIES[p][3]) for p in (primaries, "bt709"))
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(ours / theirs) @ _BRADFORD
    return np.linalg.inv(to_xyz("bt709")) @ adapt @ to_xyz(primaries)


def to_srgb(frame_rgb48: np.ndarray, white: int, transfer: str, primaries: str) -> np.ndarray:
    """HxWx3 uint16 R'G'B' to HxWx3 uint8 sRGB; `white` is the level of white, 0 that of black.

    A curve that is shown unchanged is also the one that the result has. HDR has `hdr.to_sdr`.
    """
    linear = _light_table(transfer, white)
    code = _code_table(transfer if transfer in SHOWN_CURVES else "srgb")
    matrix = None if primaries in SHOWN_PRIMARIES else to_bt709(primaries).astype(np.float32)
    shown = np.empty(frame_rgb48.shape, np.uint8)
    rows = max(1, (1 << 18) // max(1, frame_rgb48.shape[1]))  # a band that fits the caches
    for top in range(0, len(shown), rows):
        light = linear[frame_rgb48[top : top + rows]]
        if matrix is not None:
            light = np.maximum(cv2.transform(light, matrix), 0)
        root = np.minimum(cv2.sqrt(light), 1)
        shown[top : top + rows] = code[(root * (_STEPS - 1) + 0.5).astype(np.uint16)]
    return shown


@functools.cache
def _light_table(transfer: str, white: int) -> np.ndarray:
    signal = np.minimum(np.arange(1 << 16) / white, 1)
    return {**SHOWN_CURVES, **CONVERTED_CURVES}[transfer](signal).astype(np.float32)


@functools.cache
def _code_table(transfer: str) -> np.ndarray:
    """8-bit code by the root of light in steps: so dark colours have as many as they need."""
    light = np.square(np.linspace(0, 1, _STEPS))
    signal = np.linspace(0, 1, 1 << 16)
    return np.rint(255 * np.interp(light, SHOWN_CURVES[transfer](signal), signal)).astype(np.uint8)


def _xyz(x: float, y: float) -> np.ndarray:
    """CIE XYZ of a chromaticity; Y is 1, but for one without any (the corners X and Z)."""
    return np.array([x, y, 1 - x - y]) / (y or 1)
