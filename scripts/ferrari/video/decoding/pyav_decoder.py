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
from ferrari.video.decoding.card_frames import on_host
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
    return Decoder("pyav-cpu", _version(), partial(_frames, device=None))


def cuda(device: int = 0) -> Decoder:
    """PyAV with FFmpeg's CUDA hwaccel; the frames that are wanted leave the card, no others."""
    opens = partial(_frames, device=device)
    return Decoder("pyav-nvdec", _version(), opens, hardware=True)


def cuda_problem() -> str:
    """Why this PyAV cannot decode with CUDA on any machine, or ""."""
    if "cuda" not in hwdevices_available():
        return f"PyAV {av.__version__} was built without CUDA"
    return ""


def _frames(
    path: str, plan: DecodePlan, stats: DecodeStats, device: int | None
) -> Generator[Frame]:
    """Decode a clip; damaged packets are counted in `stats` and decoding goes on behind them.

    With `plan.fps`, only the samples and what they are made from, where packets can be told apart.
    With a `device` NVDEC decodes, and is opened when it is known what it has to decode.
    """
    decoding = partial(_opened, path, plan, device)
    # `told` comes first: what FFmpeg has to say while it is asked is no complaint about the clip.
    with (
        _opened(path, plan) as stream,
        nullcontext(_told_by(stream)) as told,
        Complaints() as complaints,
    ):
        kind_of = classifier_for(stream, plan)
        if kind_of:
            reader = SelectiveReader(
                stream, kind_of, plan, stats, complaints, decoding, again=device is not None
            )
            for frame, number in reader.frames():
                _require_cropped(frame, reader.stream)
                source = source_of(frame, number, aspect_of(reader.stream))
                # It is sound, as all before it: nothing has to wait for it.
                yield _shown_frame(frame, replace(source, depends_on_next=False), told, plan)
        else:
            with nullcontext(stream) if device is None else decoding() as stream:
                container = container_of(stream)
                yield from _all_frames(container, stream, told, plan, stats, complaints)
                end = declared_end(container, stream, plan.frame_s, stats.packets)
                stats.declared_end = end
        if device is not None:
            _require_silence(complaints)


def _require_silence(complaints: Complaints) -> None:
    """Raise DecoderUnavailableError if FFmpeg said anything of a clip that NVDEC decoded.

    What a line means for the pixels is known of FFmpeg's own decoders only.
    """
    complaints.fresh()
    if complaints.first:
        raise DecoderUnavailableError(f"FFmpeg complains of the clip: {complaints.first}")


@dataclass(frozen=True)
class _Told:
    """What the container tells of all frames of a stream; `codec` is the decoder's name."""

    codec: str
    pix_fmt: str
    cropping: cropping.Cropping
    log_tag: str


def _told_by(stream: VideoStream) -> _Told:
    left_out, log_tag = cropping.of_container(stream), colours.log_tag(all_metadata(stream))
    context = stream.codec_context
    return _Told(context.name, context.pix_fmt or "", left_out, log_tag)


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
        ready = [(frame, source)]
        if weave:
            ready = weave.push(on_host(frame, told.pix_fmt), source)
        yield from _shown_frames(ready, told, plan)
    if weave:
        yield from _shown_frames(weave.flush(), told, plan)


@contextlib.contextmanager
def _opened(path: str, plan: DecodePlan, device: int | None = None) -> Iterator[VideoStream]:
    """The clip's main video stream, ready to be decoded as the plan says, by NVDEC of a device."""
    with _container(path, plan, device) as container:
        stream = require_video(container)
        context = stream.codec_context
        if device is not None and not context.is_hwaccel:
            raise DecoderUnavailableError(f"NVDEC does not decode {context.name} in this form")
        if device is None:
            context.thread_type = "AUTO" if plan.threads > 1 else "NONE"
            # Frames wait for those they are made from: a few more threads keep the cores busy.
            context.thread_count = plan.threads + 2 if plan.threads > 1 else 1
            # A decoder's thread would wait for the GIL to free it, and closing holds the GIL.
            context.copy_opaque = plan.threads == 1
        yield stream


def _container(path: str, plan: DecodePlan, device: int | None) -> InputContainer:
    if device is None:
        return open_container(path, max_pixels=plan.max_pixels)
    # Frames that the card owns bring its primary context with them: one a process, not one a track.
    accel = HWAccel("cuda", str(device), allow_software_fallback=False, is_hw_owned=True)
    try:
        return open_container(path, max_pixels=plan.max_pixels, hwaccel=accel)
    except (FFmpegError, RuntimeError, NotImplementedError) as error:
        raise DecoderUnavailableError(f"CUDA could not open the clip: {error}") from error


def _require_cropped(frame: VideoFrame, stream: VideoStream) -> None:
    """Raise DecoderUnavailableError where hardware keeps what the codec crops at left or top."""
    context = stream.codec_context
    if context.is_hwaccel and (frame.width > context.width or frame.height > context.height):
        raise DecoderUnavailableError("NVDEC does not apply the codec's cropping at left and top")


def _shown_frames(ready: Iterable[Sourced], told: _Told, plan: DecodePlan) -> Iterator[Frame]:
    for frame, source in ready:
        yield _shown_frame(frame, source, told, plan)


def _shown_frame(frame: VideoFrame, source: SourceFrame, told: _Told, plan: DecodePlan) -> Frame:
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
        fetch=partial(_picture, frame, source.sar, told, plan),
    )


def _picture(frame: VideoFrame, sar: Fraction, told: _Told, plan: DecodePlan) -> Pixels:
    frame = on_host(frame, told.pix_fmt)
    light = colours.read(frame, told.codec, plan.untagged)
    left_out = told.cropping.within(frame.width, frame.height, frame.format)
    return Pixels(frame, light, left_out, sar, orientation(frame), plan.max_side, told.log_tag)
