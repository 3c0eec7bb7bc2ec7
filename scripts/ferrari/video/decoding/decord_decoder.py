"""Decord, on the CPU (its wheel) or with NVDEC, where it was compiled with CUDA.

Decord hands out RGB without flags for damage or interlacing, cropped, turned and converted in its
own way. So clips that need any of those seen to are left to the next decoder, and of all others
samples are held against PyAV's frames (see `proof`).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial

import av
import cv2
import numpy as np
from av import VideoFrame

from ferrari.images.repeats import compare_luma, luma_delta
from ferrari.processes.devices import asked_apart
from ferrari.video.colour_conversion import is_shown_unchanged
from ferrari.video.colours import Colours, log_sign, log_tag, read
from ferrari.video.containers import all_metadata, aspect_of, open_container, orientation
from ferrari.video.cropping import of_container
from ferrari.video.decoding import proof
from ferrari.video.decoding.base import (
    DecodePlan,
    Decoder,
    DecoderUnavailableError,
    DecodeStats,
    Drifts,
    Frame,
    Proof,
)
from ferrari.video.decoding.pyav_full_reader import require_video
from ferrari.video.orientation import Orientation, make_upright
from ferrari.video.ycbcr import between_matrices

_MILLION = 1_000_000
_NEAR_S = 0.0005  # between times that are one: Decord has them as floats of 32 bits


@cache
def problem() -> str:
    """Why Decord cannot be used here at all, or ""."""
    return asked_apart(_import_problem)


@cache
def cuda_problem() -> str:
    """Why Decord cannot decode on the GPU here, or "". Asking it initialises CUDA: in a child."""
    return problem() or asked_apart(_cuda_problem)


def _import_problem() -> str:
    try:
        import decord  # noqa: F401 - loading its libraries is the question
    except (ImportError, OSError) as error:
        return f"Decord is not usable: {error}"
    return ""


def _cuda_problem() -> str:
    import decord

    return "" if decord.gpu(0).exist else f"Decord {decord.__version__} was built without CUDA"


def cuda(device: int = 0) -> Decoder:
    """Decord on a CUDA device."""
    return _decoder("decord-nvdec", device)


def cpu() -> Decoder:
    """Decord on the CPU."""
    return _decoder("decord-cpu", None)


def _decoder(name: str, device: int | None) -> Decoder:
    import decord

    return Decoder(
        name,
        f"decord {decord.__version__}",
        partial(_frames, device=device),
        device,
        partial(_prove, device=device),
    )


def _frames(
    path: str, plan: DecodePlan, stats: DecodeStats, device: int | None
) -> Generator[Frame]:
    clip = _Clip(path, plan, device)
    for index, time_s in enumerate(clip.times_s):
        stats.frames += 1
        yield Frame(
            ordinal=index,
            pts=int(time_s * _MILLION),
            time_base=Fraction(1, _MILLION),
            is_key=index in clip.keys,
            depends_on_next=False,
            damaged=False,
            interlaced=False,
            fetch=partial(clip.picture, index),
        )


def _prove(path: str, plan: DecodePlan, stats: DecodeStats, device: int | None) -> Proof:
    clip = _Clip(path, plan, device)
    stats.drifts = clip.drifts()
    return proof.against(path, plan, stats, clip)


class _Clip:
    """A clip that Decord has opened. Raises DecoderUnavailableError for one that it gets wrong.

    As one side of a proof, it gives for each packet the frame that is shown at its time.
    """

    def __init__(self, path: str, plan: DecodePlan, device: int | None) -> None:
        import decord

        first, self._sar, light, profile = _first_frame(path, plan)
        if first.interlaced_frame:
            raise DecoderUnavailableError("Decord does not deinterlace")
        if orientation(first) != Orientation():
            raise DecoderUnavailableError("Decord turns the picture in its own way")
        _require_its_colours(light, device)
        self._max_side = plan.max_side
        self._colours = None if device is None else between_matrices("bt601", light.matrix)
        self._facts = {
            "rotation": 0,
            "sar": f"{self._sar.numerator}:{self._sar.denominator}",
            "cropped": "",
            "bit_depth": first.format.components[0].bits,
            "log_footage": log_sign(light) or profile,
            **light.cells,
        }
        decord.logging.set_level(decord.logging.QUIET)
        context = decord.cpu(0) if device is None else decord.gpu(device)
        try:
            self._reader = decord.VideoReader(path, ctx=context, num_threads=plan.threads)
            starts = self._reader.get_frame_timestamp(range(len(self._reader)))[:, 0]
            self.keys = set(self._reader.get_key_indices())
            shape = self._reader[0].shape[:2]
        except (decord.DECORDError, RuntimeError, IndexError) as error:
            raise DecoderUnavailableError(f"Decord could not open the clip: {error}") from error
        if shape != (first.height, first.width):
            raise DecoderUnavailableError("Decord crops the picture otherwise")
        begin = Fraction(first.pts or 0) * (first.time_base or 0)  # Decord's clock starts at 0
        self.times_s = [
            begin + Fraction(round(float(start) * _MILLION), _MILLION) for start in starts
        ]
        self._times = np.array([float(time_s) for time_s in self.times_s])

    def picture(self, index: int) -> _Picture:
        """A frame's picture; the reader must not be called by two threads."""
        import decord

        try:
            stored = self._reader[index].asnumpy()
        except (decord.DECORDError, RuntimeError) as error:
            raise DecoderUnavailableError(f"frame {index}: {error}") from error
        if self._colours is not None:
            stored = cv2.transform(stored, self._colours)
        return _Picture(stored, self._sar, self._max_side, self._facts)

    def drifts(self) -> Drifts:
        """Of all groups; Decord decodes the whole clip for it once more."""
        found = Drifts()
        for key in sorted(self.keys - {0}):
            if key - 1 not in self.keys:
                end_luma, key_luma = (
                    compare_luma(self.picture(index).luma()) for index in (key - 1, key)
                )
                found.add(float(self.times_s[key - 1]), luma_delta(key_luma, end_luma).block)
        return found

    def decode(self, packet: av.Packet | None) -> list[proof.Shown]:
        if packet is None or packet.is_discard:
            return []
        when = packet.dts if packet.pts is None else packet.pts
        time_s = float((when or 0) * packet.time_base)
        index = int(np.argmin(np.abs(self._times - time_s)))
        if when is None or abs(self._times[index] - time_s) > _NEAR_S:
            raise DecoderUnavailableError(f"it has no frame at {time_s:.3f} s")
        return [proof.Shown(when, self.picture(index))]


def _first_frame(path: str, plan: DecodePlan) -> tuple[VideoFrame, Fraction, Colours, str]:
    """What Decord does not tell: PyAV's first frame, its aspect and colours, and a log profile."""
    with open_container(path, plan.max_pixels) as container:
        stream = require_video(container)
        if str(of_container(stream)):
            raise DecoderUnavailableError("Decord does not apply the container's cropping")
        frame = next(container.decode(stream), None)
        if frame is None:
            raise DecoderUnavailableError("its first frame cannot be decoded")
        light = read(frame, stream.codec_context.name, plan.untagged)
        return frame, aspect_of(stream), light, log_tag(all_metadata(stream))


def _require_its_colours(light: Colours, device: int | None) -> None:
    """Raise DecoderUnavailableError where Decord's own conversion loses the right colours.

    Its kernel for GPUs knows BT.601 of limited range (dmlc/decord, src/improc/improc.cu): another
    matrix is put right here, another range is cut off by then. FFmpeg's filter on the CPU knows
    what is tagged. Neither knows other primaries or curves.
    """
    known = {"bt601", "bt709"}
    if device is None:
        known = {"bt601"} if "matrix" in light.assumed else {"bt601", "bt709", "rgb"}
    cut_off = device is not None and light.full_range
    unchanged = is_shown_unchanged(light.transfer, light.primaries)
    if cut_off or light.matrix not in known or not unchanged:
        cells = light.cells
        names = ", ".join(cells[fact] for fact in ("matrix", "range", "transfer", "primaries"))
        raise DecoderUnavailableError(f"Decord does not convert colours of {names}")


@dataclass
class _Picture:
    """HxWx3 RGB as Decord stored it, and what becomes of it."""

    stored: np.ndarray
    sar: Fraction
    max_side: int | None
    facts: dict[str, object]
    unknown_colours: str = ""

    def luma(self) -> np.ndarray:
        return cv2.cvtColor(self.stored, cv2.COLOR_RGB2GRAY)

    def rgb(self) -> np.ndarray:
        return make_upright(self.stored, self.sar, Orientation(), self.max_side)

    def small(self, side: int) -> np.ndarray:
        return make_upright(self.stored, self.sar, Orientation(), side)

    def yuv(self) -> None:
        return None
