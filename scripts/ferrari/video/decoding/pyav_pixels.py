"""The pixels of a frame that PyAV decoded: its luma, its picture in sRGB, its planes for WebP, and
a small picture of it.

swscale converts YCbCr to R'G'B' by the common matrices. It takes grey and RGB for full range
whatever they say, and does not know the other matrices: that is done here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from av import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from ferrari.video import hdr
from ferrari.video.colour_conversion import is_shown_unchanged, to_srgb, to_xyz
from ferrari.video.colours import Colours, log_sign
from ferrari.video.cropping import Cropping
from ferrari.video.decoding.conversion import converted
from ferrari.video.orientation import Orientation, limited_size, make_upright
from ferrari.video.ycbcr import i420

_LUMA_FIRST = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray")
#: How the names of pixel formats begin that swscale shrinks as they are, in each of their kinds.
_SHRUNK_AS_THEY_ARE = ("yuv4", "yuvj4", "nv12")
_SWS_MATRICES = {
    "bt709": Colorspace.ITU709,
    "bt601": Colorspace.ITU601,
    "fcc": Colorspace.FCC,
    "smpte240m": Colorspace.SMPTE240M,
    "bt2020": Colorspace.BT2020,
}
_WHITE = 255 << 8  # white in 16 bits, as swscale makes it of YCbCr
_FULL_WHITE = (1 << 16) - 1  # and of RGB and grey, which it takes for full range


@dataclass(frozen=True)
class Pixels:
    """What can be made of a frame; nothing is converted before it is asked for."""

    frame: VideoFrame
    colours: Colours
    cropping: Cropping  # of this frame (see `Cropping.within`)
    sar: Fraction
    turn: Orientation
    max_side: int | None
    log_tag: str = ""  # what the container says of a camera's log profile

    @property
    def facts(self) -> dict[str, object]:
        """The columns of the table that a frame's picture fills."""
        return {
            "rotation": self.turn.degrees,
            "sar": f"{self.sar.numerator}:{self.sar.denominator}",
            "cropped": str(self.cropping),
            "bit_depth": self.frame.format.components[0].bits,
            "log_footage": log_sign(self.colours) or self.log_tag,
            **self.colours.cells,
        }

    @property
    def unknown_colours(self) -> str:
        """Why `rgb` cannot have the right colours, or ""."""
        return self.colours.unknown

    def has_planes_of(self, other: Pixels) -> bool:
        """Whether both frames have the same format and the same numbers, up to their margins."""
        ours, theirs = self.frame, other.frame
        shapes = [(frame.width, frame.height, len(frame.planes)) for frame in (ours, theirs)]
        if shapes[0] != shapes[1] or _plain_name(ours) != _plain_name(theirs):
            return False
        wide = 1 if ours.format.components[0].bits <= 8 else 2
        pairs = zip(ours.planes, theirs.planes, strict=True)
        return all(np.array_equal(_bytes(a, wide), _bytes(b, wide)) for a, b in pairs)

    def luma(self) -> np.ndarray:
        """HxW uint8 luma, cropped: the decoder's own plane where it has 8 bits, else converted."""
        if self.frame.format.name not in _LUMA_FIRST:
            return self.cropping.of(self._converted("gray"))
        return self.cropping.of(_plane(self.frame.planes[0]))

    def rgb(self) -> np.ndarray:
        """HxWx3 uint8 sRGB, cropped, upright, with square pixels."""
        return make_upright(self.cropping.of(self._srgb()), self.sar, self.turn, self.max_side)

    def small(self, side: int) -> np.ndarray:
        """What `rgb` shows, its longer side at most `side` px: HxWx3 uint8.

        Shrunk before it is converted, which takes a fifth of the time and differs by a level.
        """
        return replace(self._shrunk(side), max_side=side).rgb()

    def _shrunk(self, side: int) -> Pixels:
        """With a frame that has the small picture's size as stored, and square pixels.

        One whose container crops it is left as it is: its edges would not be cut to the pixel.
        """
        frame = self.frame
        size = limited_size(frame.width, frame.height, self.sar, side)
        smaller = size[0] <= frame.width and size[1] <= frame.height
        plain = frame.format.name.startswith(_SHRUNK_AS_THEY_ARE) and self.cropping == Cropping()
        if not (plain and smaller) or size == (frame.width, frame.height):
            return self
        name, area = frame.format.name, Interpolation.AREA
        shrunk = self._with_numbers_kept(name, size, interpolation=area)
        return replace(self, frame=shrunk, sar=Fraction(1))

    def _with_numbers_kept(
        self, pixels: str, size: tuple[int, int] | None = None, **how: Any
    ) -> VideoFrame:
        """The frame in another layout or size: its matrix and range stay what they are."""
        levels = ColorRange.JPEG if self.colours.full_range else ColorRange.MPEG
        return converted(
            self.frame,
            pixels,
            size,
            src_colorspace=Colorspace.ITU709,  # of both sides: so no matrix is applied
            dst_colorspace=Colorspace.ITU709,
            src_color_range=levels,
            dst_color_range=levels,
            **how,
        )

    def yuv(self) -> np.ndarray | None:
        """The upright picture's planes in BT.601 and limited range, if the frame's own are as good
        as that: 8 bits, 4:2:0, even sides, square pixels, no larger than `max_side`.
        """
        frame, colours = self.frame, self.colours
        width, height = self.cropping.size(frame.width, frame.height)
        plain = frame.format.name in ("yuv420p", "yuvj420p", "nv12")
        small = not self.max_side or max(width, height) <= self.max_side
        whole = frame.width % 2 == 0 and frame.height % 2 == 0
        known = colours.matrix in ("bt601", "bt709")
        if not (plain and small and whole and known and self.sar == 1 and self._shown_unchanged):
            return None
        if frame.format.name == "nv12":
            frame = self._with_numbers_kept("yuv420p")
        planes = [
            self.cropping.of(_plane(plane), shrunk)
            for plane, shrunk in zip(frame.planes, (1, 2, 2), strict=True)
        ]
        if self.turn != Orientation():
            planes = [make_upright(plane, Fraction(1), self.turn) for plane in planes]
        luma, cb, cr = planes
        return i420(luma, cb, cr, colours.matrix == "bt709", colours.full_range)

    @property
    def _shown_unchanged(self) -> bool:
        return is_shown_unchanged(self.colours.transfer, self.colours.primaries)

    def _srgb(self) -> np.ndarray:
        """HxWx3 uint8 sRGB of the whole frame, as stored."""
        colours = self.colours
        if self._shown_unchanged and self._is_ordinary:
            return self._by_swscale("rgb24")
        rgb, white = self._rgb48()
        if colours.transfer in hdr.HDR_TRANSFERS.values():
            return hdr.to_sdr(rgb, white, colours.transfer, colours.primaries)
        if self._shown_unchanged:
            return cv2.convertScaleAbs(rgb, alpha=255 / white)
        return to_srgb(rgb, white, colours.transfer, colours.primaries)

    @property
    def _is_grey(self) -> bool:
        return self.frame.format.name.startswith(("gray", "ya"))

    @property
    def _is_ordinary(self) -> bool:
        """Whether swscale's fast conversions to 8 bits, which lose a level or two, will do."""
        if self._is_grey or self.colours.matrix == "rgb":
            return self.colours.full_range
        return self.colours.matrix in ("bt709", "bt601") or bool(self.colours.unknown)

    def _rgb48(self) -> tuple[np.ndarray, int]:
        """HxWx3 uint16 R'G'B' of the whole frame, full range, and its level of white."""
        colours = self.colours
        if self._is_grey:
            grey = self._by_swscale("gray16le")
            return cv2.merge([self._stretched(grey)] * 3), _FULL_WHITE
        if colours.matrix == "rgb":
            return self._stretched(self._by_swscale("gbrp16le")), _FULL_WHITE
        if colours.matrix in _SWS_MATRICES or colours.unknown:
            return self._by_swscale("gbrp16le"), _WHITE
        return self._by_own_matrix(), _FULL_WHITE

    def _stretched(self, levels: np.ndarray) -> np.ndarray:
        """uint16 levels of the frame's own range in those of full range (H.273, 8.3)."""
        if self.colours.full_range:
            return levels
        depth = self.frame.format.components[0].bits
        most = (1 << depth) - 1
        black, white = (level * _FULL_WHITE / most for level in _limited(16, 235, depth))
        signal = (np.arange(1 << 16) - black) / (white - black)
        return np.rint(np.clip(signal, 0, 1) * _FULL_WHITE).astype(np.uint16)[levels]

    def _by_swscale(self, pixels: str) -> np.ndarray:
        full = self.colours.full_range
        return self._converted(pixels, ColorRange.JPEG if full else ColorRange.MPEG)

    def _converted(self, pixels: str, levels: ColorRange | None = None) -> np.ndarray:
        """The whole frame in a format of swscale; a matrix that it lacks counts as BT.709."""
        matrix = None
        if self.colours.matrix != "rgb":
            matrix = _SWS_MATRICES.get(self.colours.matrix, Colorspace.ITU709)
        return converted(
            self.frame,
            pixels,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=levels,
        ).to_ndarray()

    def _by_own_matrix(self) -> np.ndarray:
        """HxWx3 uint16 R'G'B' of YCgCo, or of YCbCr whose matrix follows from its primaries."""
        frame = self._with_numbers_kept("yuv444p16le")
        planes = np.moveaxis(frame.to_ndarray(channel_last=True), -1, 0).astype(np.float32)
        low, high = (0, _FULL_WHITE) if self.colours.full_range else _limited(16, 235, 16)
        span = high if self.colours.full_range else 224 << 8
        signals = [(planes[0] - low) / (high - low)]
        signals += [(plane - (1 << 15)) / span for plane in planes[1:]]
        rgb = cv2.transform(cv2.merge(signals), self._from_differences())
        return np.rint(np.clip(rgb, 0, 1) * _FULL_WHITE).astype(np.uint16)

    def _from_differences(self) -> np.ndarray:
        """3x3 float32 from Y' of 0..1, and differences of -0.5..0.5, to R'G'B' (H.273, 8.3)."""
        if self.colours.matrix == "ycgco":
            return np.array([[1, -1, 1], [1, 1, 0], [1, -1, -1]], np.float32)
        red, green, blue = to_xyz(self.colours.primaries)[1]
        wide_cb, wide_cr = 2 * (1 - blue), 2 * (1 - red)
        middle = [1, -blue * wide_cb / green, -red * wide_cr / green]
        return np.array([[1, 0, wide_cr], middle, [1, wide_cb, 0]], np.float32)


def _limited(black: int, white: int, depth: int) -> tuple[int, int]:
    """Levels of black and white in limited range of `depth` bits, from those in 8 bits."""
    return black << (depth - 8), white << (depth - 8)


def _plane(plane: VideoPlane) -> np.ndarray:
    """HxW uint8 view of a plane of 8 bits."""
    flat = np.frombuffer(memoryview(plane), np.uint8)
    return flat.reshape(-1, plane.line_size)[: plane.height, : plane.width]


def _bytes(plane: VideoPlane, wide: int) -> np.ndarray:
    """HxB uint8 view of a planar plane whose levels take `wide` bytes."""
    flat = np.frombuffer(memoryview(plane), np.uint8)
    return flat.reshape(-1, plane.line_size)[: plane.height, : plane.width * wide]


def _plain_name(frame: VideoFrame) -> str:
    """The format's name without the J that old FFmpeg names have for full range."""
    return frame.format.name.replace("yuvj", "yuv")
