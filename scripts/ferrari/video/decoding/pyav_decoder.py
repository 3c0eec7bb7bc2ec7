"""PyAV as decoder, on the CPU or with CUDA hardware acceleration (NVDEC)."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

import av
from av import VideoFrame, VideoStream
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.container import InputContainer
from av.error import FFmpegError

from ferrari.video import colours, cropping
from ferrari.video.containers import (
    all_metadata,
    aspect_of,
    container_of,
    declared_end,
    open_container,
    orientation,
    seconds,
)
from ferrari.video.decoding.base import (
    DecodePlan,
    Decoder,
    DecoderUnavailableError,
    DecodeStats,
    Frame,
)
from ferrari.video.decoding.deinterlacing import Deinterlacer, Sourced
from ferrari.video.decoding.ffmpeg_log import Complaints
from ferrari.video.decoding.pyav_full_reader import Reader, SourceFrame, require_video, source_of
from ferrari.video.decoding.pyav_pixels import Pixels
from ferrari.video.decoding.pyav_selective_reader import SelectiveReader, classifier_for


def _version() -> str:
    codec = ".".join(str(n) for n in av.library_versions["libavcodec"])
    return f"av {av.__version__}, libavcodec {codec}"


def cpu() -> Decoder:
    """PyAV on the CPU."""
    return Decoder("pyav-cpu", _version(), partial(_frames, hwaccel=None))


def cuda() -> Decoder:
    """PyAV with FFmpeg's CUDA hwaccel; frames are downloaded, so the pixels go the CPU's way."""
    return Decoder("pyav-nvdec", _version(), partial(_frames, hwaccel="cuda"), hardware=True)


def cuda_problem() -> str:
    """Why this PyAV cannot decode with CUDA on any machine, or ""."""
    if "cuda" not in hwdevices_available():
        return f"PyAV {av.__version__} was built without CUDA"
    return ""


def _frames(
    path: str, plan: DecodePlan, stats: DecodeStats, hwaccel: str | None
) -> Generator[Frame]:
    """Decode a clip; damaged packets are counted in `stats` and decoding goes on behind them.

    With `plan.fps`, only the samples and what they are made from, where packets can be told apart.
    """
    again = partial(_opened, path, plan, hwaccel)
    # `told` comes first: what FFmpeg has to say while it is asked is no complaint about the clip.
    with again() as stream, nullcontext(_told_by(stream)) as told, Complaints() as complaints:
        kind_of = classifier_for(stream, plan)
        if kind_of:
            reader = SelectiveReader(stream, kind_of, plan, stats, complaints, again)
            for frame, number in reader.frames():
                _require_cropped(frame, reader.stream)
                source = source_of(frame, number, aspect_of(reader.stream))
                # It is sound, as all before it: nothing has to wait for it.
                yield _shown_frame(frame, replace(source, depends_on_next=False), told, plan)
        else:
            container = container_of(stream)
            yield from _all_frames(container, stream, told, plan, stats, complaints)
            stats.declared_end = declared_end(container, stream, plan.frame_s, stats.packets)


@dataclass(frozen=True)
class _Told:
    """What the container tells of all frames of a stream; `codec` is the decoder's name."""

    codec: str
    cropping: cropping.Cropping
    log_tag: str


def _told_by(stream: VideoStream) -> _Told:
    left_out, log_tag = cropping.of_container(stream), colours.log_tag(all_metadata(stream))
    return _Told(stream.codec_context.name, left_out, log_tag)


def _all_frames(
    container: InputContainer,
    stream: VideoStream,
    told: _Told,
    plan: DecodePlan,
    stats: DecodeStats,
    complaints: Complaints,
) -> Iterator[Frame]:
    weave = Deinterlacer() if plan.deinterlace else None
    for frame, source in Reader(container, stream, plan, stats, complaints).frames():
        _require_cropped(frame, stream)
        ready = weave.push(frame, source) if weave else [(frame, source)]
        yield from _shown_frames(ready, told, plan)
    if weave:
        yield from _shown_frames(weave.flush(), told, plan)


@contextlib.contextmanager
def _opened(path: str, plan: DecodePlan, hwaccel: str | None) -> Iterator[VideoStream]:
    """The clip's main video stream, ready to be decoded as the plan says."""
    accel = HWAccel(hwaccel, allow_software_fallback=False) if hwaccel else None
    try:
        extra = {"hwaccel": accel} if accel else {}
        container = open_container(path, max_pixels=plan.max_pixels, **extra)
    except (FFmpegError, RuntimeError, NotImplementedError) as error:
        if accel is None:
            raise
        raise DecoderUnavailableError(f"CUDA could not open the clip: {error}") from error
    with container:
        stream = require_video(container)
        context = stream.codec_context
        if accel is not None and not context.is_hwaccel:
            raise DecoderUnavailableError(f"NVDEC does not decode {context.name} in this form")
        if accel is None:
            context.thread_type = "AUTO" if plan.threads > 1 else "NONE"
            # Frames wait for those they are made from: a few more threads keep the cores busy.
            context.thread_count = plan.threads + 2 if plan.threads > 1 else 1
            # A decoder's thread would wait for the GIL to free it, and closing holds the GIL.
            context.copy_opaque = plan.threads == 1
        yield stream


def _require_cropped(frame: VideoFrame, stream: VideoStream) -> None:
    """Raise DecoderUnavailableError where hardware keeps what the codec crops at left or top."""
    context = stream.codec_context
    if context.is_hwaccel and (frame.width > context.width or frame.height > context.height):
        raise DecoderUnavailableError("NVDEC does not apply the codec's cropping at left and top")


def _shown_frames(ready: Iterable[Sourced], told: _Told, plan: DecodePlan) -> Iterator[Frame]:
    for frame, source in ready:
        yield _shown_frame(frame, source, told, plan)


def _shown_frame(frame: VideoFrame, source: SourceFrame, told: _Told, plan: DecodePlan) -> Frame:
    sar = source.sar
    turn = orientation(frame)
    light = colours.read(frame, told.codec, plan.untagged)
    left_out = told.cropping.within(frame.width, frame.height, frame.format)
    pixels = Pixels(frame, light, left_out, sar, turn, plan.max_side)
    return Frame(
        ordinal=source.ordinal,
        pts=source.pts,
        time_base=source.time_base,
        is_key=source.is_key,
        depends_on_next=source.depends_on_next,
        damaged=bool(source.fault),
        fault=source.fault,
        lost_before=source.lost_before,
        duration_s=seconds(source.duration, source.time_base) or Fraction(0),
        interlaced=source.interlaced,
        luma=pixels.luma,
        rgb=pixels.rgb,
        yuv=pixels.yuv,
        unknown_colours=light.unknown,
        facts={
            "rotation": turn.degrees,
            "sar": f"{sar.numerator}:{sar.denominator}",
            "cropped": str(left_out),
            "bit_depth": frame.format.components[0].bits,
            "log_footage": colours.log_sign(light) or told.log_tag,
            **light.cells,
        },
    )
