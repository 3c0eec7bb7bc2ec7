"""HDR to SDR: PQ and HLG become the sRGB pictures that an ordinary screen shows.

Formulae: ITU-R BT.2100-2 (PQ EOTF, HLG inverse OETF and OOTF), sRGB's transfer function, and the
tone curve of Reinhard et al. 2002, eq. 4, on the brightest channel.
"""

from __future__ import annotations

import functools

import numpy as np

from ferrari.video.colour_conversion import to_bt709

#: AVColorTransferCharacteristic -> name, of the two HDR transfers.
HDR_TRANSFERS = {16: "pq", 18: "hlg"}

_WHITE_NITS = 203.0  # BT.2408: HDR reference white
_PEAK_NITS = 1000.0


def pq_to_nits(signal: np.ndarray) -> np.ndarray:
    """PQ signal 0..1 to display light in cd/m2 (BT.2100 table 4)."""
    m1, m2 = 2610 / 16384, 2523 / 32
    c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
    power = np.power(signal, 1 / m2)
    return 10_000 * np.power(np.maximum(power - c1, 0) / (c2 - c3 * power), 1 / m1)


def hlg_to_scene(signal: np.ndarray) -> np.ndarray:
    """HLG signal 0..1 to scene light 0..1 (BT.2100 table 5, inverse OETF)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


@functools.cache
def _to_linear_table(transfer: str, white: int) -> np.ndarray:
    signal = np.minimum(np.arange(1 << 16) / white, 1)
    light = pq_to_nits(signal) / _WHITE_NITS if transfer == "pq" else hlg_to_scene(signal)
    return light.astype(np.float32)


@functools.cache
def _srgb_table() -> np.ndarray:
    light = np.linspace(0, 1, 16384)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * curve).astype(np.uint8)


def to_sdr(frame_rgb48: np.ndarray, white: int, transfer: str, primaries: str) -> np.ndarray:
    """HxWx3 uint16 R'G'B' (`transfer` pq or hlg) to HxWx3 uint8 sRGB.

    `white` is the level of a signal of 1, and 0 that of black.
    """
    light = _to_linear_table(transfer, white)[frame_rgb48]
    if transfer == "hlg":
        luma = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        gain = np.power(np.maximum(luma, 1e-6), 0.2) * (_PEAK_NITS / _WHITE_NITS)
        light *= gain[..., None]
    peak = _PEAK_NITS / _WHITE_NITS
    brightest = np.maximum(light.max(axis=2), 1e-6)
    mapped = brightest * (1 + brightest / peak**2) / (1 + brightest)
    light *= (np.minimum(mapped * 1.35, 1.0) / brightest)[..., None]
    light = np.clip(light @ to_bt709(primaries).T.astype(np.float32), 0, 1)
    return _srgb_table()[np.rint(light * 16383).astype(np.uint16)]
