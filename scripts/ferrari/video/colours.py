"""What the numbers of a frame mean as colours: matrix, range, transfer and primaries.

Codes and names: ITU-T H.273 (2021), tables 2 to 4, as FFmpeg's AVCOL_* have them. What a frame
does not say of itself is assumed as players do (mpv: `mp_image_params_guess_csp`), and its name
then ends in " (assumed)".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from av import VideoFrame

from ferrari.video.hdr import HDR_TRANSFERS

#: Codes -> names. What is not here (unspecified, reserved, impossible) counts as not told.
MATRICES = {
    **{0: "rgb", 1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 8: "ycgco"},
    **{9: "bt2020", 10: "bt2020-cl", 11: "smpte2085", 12: "chroma-derived"},
    **{13: "chroma-derived-cl", 14: "ictcp", 15: "ipt-c2", 16: "ycgco-re", 17: "ycgco-ro"},
}
PRIMARIES = {
    **{1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film"},
    **{9: "bt2020", 10: "xyz", 11: "dci-p3", 12: "display-p3", 22: "ebu3213", 256: "v-gamut"},
}
TRANSFERS = {
    **{1: "bt709", 4: "gamma22", 5: "gamma28", 6: "bt601", 7: "smpte240m", 8: "linear"},
    **{9: "log100", 10: "log316", 11: "xvycc", 12: "bt1361", 13: "srgb", 14: "bt2020"},
    **{15: "bt2020", **HDR_TRANSFERS, 17: "smpte428", 256: "v-log"},
}
#: Matrices that are not linear in R'G'B', or need more bits than the planes have: not converted.
NOT_CONVERTED = {
    *("bt2020-cl", "smpte2085", "chroma-derived-cl", "ictcp", "ipt-c2", "ycgco-re", "ycgco-ro"),
}

_LIMITED, _FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
_RGB_FORMATS = (
    *("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "x2rgb", "x2bgr"),
    *("pal8", "mono", "xyz", "bayer"),
)
#: Codecs whose standard infers limited range where nothing is told, for grey too.
_LIMITED_BY_STANDARD = {
    *("h264", "hevc", "vvc", "av1", "vp8", "vp9", "mpeg1video", "mpeg2video", "mpeg4", "vc1"),
    *("libdav1d", "libvpx", "libvpx-vp9"),
}
#: Names of cameras' log profiles in a clip's metadata: Sony, Panasonic, DJI; Canon, Fujifilm,
#: Nikon; ARRI, Apple, Samsung; Blackmagic, RED.
_LOG_PROFILE = re.compile(
    r"(?<![a-z])(s-?log-?[23]?|v-?log(-?l)?|d-?log(-?[m2])?"
    r"|(c|canon)[- ]?log-?[23]?|f-?log-?2?c?|n-?log"
    r"|log-?c[34]?|apple[- ._]?log-?2?|samsung[- ._]?log"
    r"|bmdfilm|blackmagic (design )?film|red ?log(film|3g10))(?![a-z])",
    re.IGNORECASE,
)
_QUOTED = 60  # characters of a metadata entry that a row quotes


@dataclass(frozen=True)
class Untagged:
    """What to assume where a frame does not say: `auto` as players do, or a name.

    `matrix`: auto, bt601, bt709 or bt2020; `range`: auto, limited or full.
    """

    matrix: str = "auto"
    range: str = "auto"


@dataclass(frozen=True)
class Colours:
    """The four facts of a frame by name; `assumed` names those that the frame does not tell."""

    matrix: str
    full_range: bool
    transfer: str
    primaries: str
    assumed: frozenset[str] = frozenset()

    @property
    def cells(self) -> dict[str, str]:
        """The columns `matrix`, `range`, `transfer` and `primaries` of a row."""
        facts = {
            "matrix": self.matrix,
            "range": "full" if self.full_range else "limited",
            "transfer": self.transfer,
            "primaries": self.primaries,
        }
        return {k: f"{v} (assumed)" if k in self.assumed else v for k, v in facts.items()}

    @property
    def unknown(self) -> str:
        """Why these colours cannot be converted to sRGB, or ""."""
        if self.matrix in NOT_CONVERTED:
            return f"its matrix is {self.matrix}, which is not converted here"
        return ""


def read(frame: VideoFrame, codec: str, untagged: Untagged) -> Colours:
    """The colours of a decoded frame; `codec` is FFmpeg's name of its decoder."""
    pixels = frame.format.name
    primaries = PRIMARIES.get(int(frame.color_primaries))
    transfer = TRANSFERS.get(int(frame.color_trc))
    if pixels.startswith("xyz"):  # of a digital cinema package: swscale makes sRGB of it
        primaries = transfer = None
    if pixels.startswith(_RGB_FORMATS):
        matrix: str | None = "rgb"
    else:
        matrix = MATRICES.get(int(frame.colorspace))
        matrix = None if matrix == "rgb" else matrix  # not of what has luma and chroma
    full = _range(frame)
    told = {"matrix": matrix, "range": full, "transfer": transfer, "primaries": primaries}
    matrix = matrix or _assumed_matrix(frame, transfer, primaries, untagged)
    return Colours(
        matrix=matrix,
        full_range=_assumed_full(pixels, codec, untagged) if full is None else full,
        transfer=transfer or ("srgb" if matrix == "rgb" else "bt709"),
        primaries=primaries or _assumed_primaries(frame, matrix, transfer),
        assumed=frozenset(fact for fact, value in told.items() if value is None),
    )


def log_sign(colours: Colours) -> str:
    """What in the colours speaks for log footage, which looks flat until it is graded, or "".

    Nothing is converted for it: a log profile that no tag names cannot be known for sure.
    """
    if colours.transfer == "v-log":
        return "its transfer is V-Log"
    told = {"transfer", "primaries"} - colours.assumed
    if told == {"primaries"} and colours.primaries in ("bt2020", "v-gamut"):
        return f"{colours.primaries} primaries without a transfer, as Apple Log has them"
    return ""


def log_tag(metadata: Mapping[str, str]) -> str:
    """The first of a clip's metadata that names a camera's log profile, or ""."""
    found = (f"{k}: {v}" for k, v in metadata.items() if _LOG_PROFILE.search(v))
    return next(found, "")[:_QUOTED]


def _range(frame: VideoFrame) -> bool | None:
    """True for full range, False for limited, None where the frame does not tell."""
    if frame.format.name.startswith("yuvj"):
        return True
    return {_LIMITED: False, _FULL: True}.get(int(frame.color_range))


def _assumed_full(pixels: str, codec: str, untagged: Untagged) -> bool:
    """RGB is full, and grey where no standard says otherwise: so FFmpeg writes it."""
    if pixels.startswith(_RGB_FORMATS):
        return True
    if untagged.range != "auto":
        return untagged.range == "full"
    return pixels.startswith(("gray", "ya")) and codec not in _LIMITED_BY_STANDARD


def _assumed_matrix(
    frame: VideoFrame, transfer: str | None, primaries: str | None, untagged: Untagged
) -> str:
    """By what goes with it, else by size, as mpv has it (`mp_csp_guess_colorspace`)."""
    if untagged.matrix != "auto":
        return untagged.matrix
    if primaries in ("bt2020", "v-gamut") or transfer in ("bt2020", *HDR_TRANSFERS.values()):
        return "bt2020"
    return "bt709" if frame.width >= 1280 or frame.height > 576 else "bt601"


def _assumed_primaries(frame: VideoFrame, matrix: str, transfer: str | None) -> str:
    """By the matrix; with BT.601 by the number of lines (mpv: `mp_csp_guess_primaries`)."""
    if matrix.startswith("bt2020") or transfer in HDR_TRANSFERS.values():
        return "bt2020"
    if matrix == "bt601":
        return {576: "bt470bg", 480: "smpte170m", 486: "smpte170m"}.get(frame.height, "bt709")
    return "bt709"
