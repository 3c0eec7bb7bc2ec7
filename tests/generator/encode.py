"""Writes frames to video files with PyAV: exactly timed, tagged, on one thread so bytes repeat."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec

#: Frames up to this size are kept: to draw one takes several times as long as to encode it, and
#: the tests of a file write one small clip dozens of times.
_KEPT_PX, _KEPT = 320 * 240, 256


@dataclass(frozen=True)
class Encoding:
    """How to encode. `colours` are the H.273 codes (primaries, transfer, matrix); 1 is BT.709.

    `pts` gives each frame's time in `time_base` units; without it frame k has pts k at 1/`fps`.
    """

    fps: str = "25"
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    gop: int = 48
    b_frames: int = 2
    colours: tuple[int, int, int] = (1, 1, 1)
    sar: str = "1"
    options: dict[str, str] = field(default_factory=lambda: {"crf": "20", "preset": "veryfast"})
    container_options: dict[str, str] = field(default_factory=dict)
    container: str | None = None
    time_base: str | None = None
    pts: Sequence[int] | None = None


def encoding_of(spec: ClipSpec) -> Encoding:
    """The H.264 encoding that a clip's spec asks for."""
    options = {"crf": str(spec.crf), "preset": "veryfast"}
    return Encoding(fps=spec.fps, gop=spec.gop, b_frames=spec.b_frames, options=options)


def write_clip(spec: ClipSpec, path: Path, encoding: Encoding | None = None) -> Path:
    """Draw every frame of `spec` and encode it to `path`; returns the path."""
    encoding = encoding or encoding_of(spec)
    return encode(path, frames_of(spec), encoding)


def frames_of(spec: ClipSpec) -> Iterator[np.ndarray]:
    """Every frame's picture (uint8 HxWx3 RGB, not to be written to) in order; a frozen run is drawn
    once.
    """
    small = spec.width * spec.height <= _KEPT_PX
    drawn, frame_rgb = None, None
    for index in range(spec.n_frames):
        if frame_rgb is None or spec.source_of(index) != drawn:
            drawn = spec.source_of(index)
            frame_rgb = (_kept_frame if small else _frame)(spec, drawn)
        yield frame_rgb


def _frame(spec: ClipSpec, index: int) -> np.ndarray:
    frame_rgb = render_frame(spec, index).frame_rgb
    frame_rgb.flags.writeable = False
    return frame_rgb


_kept_frame = lru_cache(maxsize=_KEPT)(_frame)


def encode(path: Path, frames_rgb: Iterable[np.ndarray], encoding: Encoding) -> Path:
    """Encode uint8 HxWx3 RGB frames, all of one size, to `path`; returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = encoding.container_options
    opened = av.open(str(path), "w", format=encoding.container, options=options)
    with _same_scheduling(), opened as container:
        stream = None
        for index, frame_rgb in enumerate(frames_rgb):
            stream = stream or _open_stream(container, encoding, frame_rgb.shape)
            frame = to_frame(frame_rgb, encoding)
            frame.pts = index if encoding.pts is None else int(encoding.pts[index])
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))
    return path


@contextmanager
def _same_scheduling() -> Iterator[None]:
    """Scheduled afterwards as before.

    SVT-AV1 gives the thread that opens it real-time priority where it may (as root). Whatever this
    process did later, and its children, would then take the cores from everything else.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def _open_stream(container, encoding: Encoding, shape: tuple[int, ...]):
    options = dict(encoding.options)
    if encoding.codec == "libx265":
        quiet = f"keyint={encoding.gop}:bframes={encoding.b_frames}"
        quiet += ":log-level=error:pools=1:frame-threads=1"
        options["x265-params"] = ":".join(filter(None, (options.get("x265-params"), quiet)))
    if encoding.codec == "libx264":
        # With its macroblock tree, x264's bytes differ from run to run; else from CPU to CPU.
        same = "mbtree=0:cpu-independent=1"
        options["x264-params"] = ":".join(filter(None, (options.get("x264-params"), same)))
    rate = Fraction(encoding.fps)
    stream = container.add_stream(encoding.codec, rate=rate, options=options)
    stream.width, stream.height = shape[1], shape[0]
    stream.pix_fmt = encoding.pix_fmt
    context = stream.codec_context
    context.thread_count = 1
    context.gop_size, context.max_b_frames = encoding.gop, encoding.b_frames
    context.time_base = Fraction(encoding.time_base) if encoding.time_base else 1 / rate
    stream.time_base = context.time_base
    context.sample_aspect_ratio = Fraction(encoding.sar)
    context.color_primaries, context.color_trc, context.colorspace = encoding.colours
    context.color_range = 1
    return stream


def to_frame(frame_rgb: np.ndarray, encoding: Encoding) -> av.VideoFrame:
    """An RGB picture as a limited-range YUV frame with the encoding's matrix."""
    matrix = Colorspace.BT2020 if encoding.colours[2] == 9 else Colorspace.ITU709
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame_rgb), format="rgb24")
    return frame.reformat(
        format=encoding.pix_fmt,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        dst_colorspace=matrix,
        threads=1,
    )
