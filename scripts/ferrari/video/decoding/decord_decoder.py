"""Decord with CUDA (NVDEC), where it was compiled for it; PyPI's build decodes on the CPU only.

Decord hands out RGB without flags for damage or interlacing, cropped and converted in its own way,
so clips that need any of those seen to are left to the other decoders.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import InitVar, dataclass
from fractions import Fraction
from functools import cache, partial
from typing import Any

import cv2
import numpy as np
from av import VideoFrame

from ferrari.processes.devices import asked_apart
from ferrari.video.colour_conversion import is_shown_unchanged
from ferrari.video.colours import Colours, read
from ferrari.video.containers import aspect_of, open_container, orientation
from ferrari.video.cropping import of_container
from ferrari.video.decoding.base import (
    DecodePlan,
    Decoder,
    DecoderUnavailableError,
    DecodeStats,
    Frame,
)
from ferrari.video.decoding.pyav_full_reader import require_video
from ferrari.video.orientation import Orientation, make_upright

_MILLION = 1_000_000


@cache
def problem() -> str:
    """Why Decord cannot decode on the GPU here, or "". Asking it initialises CUDA: in a child."""
    return asked_apart(_problem)


def _problem() -> str:
    try:
        import decord
    except (ImportError, OSError) as error:
        return f"Decord is not usable: {error}"
    return "" if decord.gpu(0).exist else f"Decord {decord.__version__} was built without CUDA"


def cuda() -> Decoder:
    """Decord on the first CUDA device."""
    import decord

    version = f"decord {decord.__version__}"
    return Decoder("decord-nvdec", version, partial(_frames, device="gpu"), hardware=True)


def cpu() -> Decoder:
    """Decord on the CPU: the GPU path's twin, for tests and comparison."""
    import decord

    return Decoder("decord-cpu", f"decord {decord.__version__}", partial(_frames, device="cpu"))


def _frames(path: str, plan: DecodePlan, stats: DecodeStats, device: str) -> Generator[Frame]:
    import decord

    first, stream_sar, turn, light = _first_frame(path, plan)
    if first.interlaced_frame:
        raise DecoderUnavailableError("Decord does not deinterlace")
    _require_its_colours(light, device)
    decord.logging.set_level(decord.logging.QUIET)
    context = decord.gpu(0) if device == "gpu" else decord.cpu(0)
    try:
        reader = decord.VideoReader(path, ctx=context, num_threads=plan.threads)
    except (decord.DECORDError, RuntimeError) as error:
        raise DecoderUnavailableError(f"Decord could not open the clip: {error}") from error
    if reader[0].shape[:2] != (first.height, first.width):
        raise DecoderUnavailableError("Decord crops the picture otherwise")
    facts = {
        "rotation": turn.degrees,
        "sar": f"{stream_sar.numerator}:{stream_sar.denominator}",
        "bit_depth": first.format.components[0].bits,
        **light.cells,
    }
    starts = reader.get_frame_timestamp(range(len(reader)))[:, 0]
    keys = set(reader.get_key_indices())
    for index, start in enumerate(starts):
        time_s = Fraction(round(float(start) * _MILLION), _MILLION)
        fetch = partial(_Picture, reader, index, stream_sar, turn, plan.max_side, facts)
        stats.frames += 1
        yield Frame(
            ordinal=index,
            pts=int(time_s * _MILLION),
            time_base=Fraction(1, _MILLION),
            is_key=index in keys,
            depends_on_next=False,
            damaged=False,
            interlaced=False,
            fetch=fetch,
        )


def _first_frame(path: str, plan: DecodePlan) -> tuple[VideoFrame, Fraction, Orientation, Colours]:
    """PyAV's view of the first frame: what Decord does not tell."""
    with open_container(path, plan.max_pixels) as container:
        stream = require_video(container)
        if str(of_container(stream)):
            raise DecoderUnavailableError("Decord does not apply the container's cropping")
        frame = next(container.decode(stream))
        light = read(frame, stream.codec_context.name, plan.untagged)
        return frame, aspect_of(stream), orientation(frame), light


def _require_its_colours(light: Colours, device: str) -> None:
    """Raise DecoderUnavailableError where Decord's own conversion gives other colours.

    Its kernel for GPUs knows BT.601 of limited range (dmlc/decord, src/improc/improc.cu), and
    FFmpeg's filter on the CPU what is tagged; neither knows other primaries or curves.
    """
    on_gpu = device == "gpu" and (light.matrix != "bt601" or light.full_range)
    known = {"bt601"} if "matrix" in light.assumed else {"bt601", "bt709", "rgb"}
    unchanged = is_shown_unchanged(light.transfer, light.primaries)
    if on_gpu or light.matrix not in known or not unchanged:
        cells = light.cells
        names = ", ".join(cells[fact] for fact in ("matrix", "range", "transfer", "primaries"))
        raise DecoderUnavailableError(f"Decord does not convert colours of {names}")


@dataclass
class _Picture:
    """One frame, read when its picture is fetched; the reader must not be called by two threads."""

    reader: InitVar[Any]
    index: InitVar[int]
    sar: Fraction
    turn: Orientation
    max_side: int | None
    facts: dict[str, object]
    unknown_colours: str = ""

    def __post_init__(self, reader: Any, index: int) -> None:
        import decord

        try:
            self._stored = reader[index].asnumpy()
        except decord.DECORDError as error:
            raise DecoderUnavailableError(f"frame {index}: {error}") from error

    def luma(self) -> np.ndarray:
        return cv2.cvtColor(self._stored, cv2.COLOR_RGB2GRAY)

    def rgb(self) -> np.ndarray:
        return make_upright(self._stored, self.sar, self.turn, self.max_side)

    def yuv(self) -> None:
        return None
