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
from ferrari.video.decoding.deinterlacing import Deinterlacer, Flagged
from ferrari.video.decoding.ffmpeg_log import Complaints
from ferrari.video.decoding.pyav_full_reader import FrameFlags, Reader, aspect_of, require_video
from ferrari.video.decoding.pyav_pixels import Pixels
from ferrari.video.decoding.pyav_selective_reader import SelectiveReader, classifier_for

_B_FRAMES = {3, 7}  # AV_PICTURE_TYPE_B, _BI
_SOUND = FrameFlags(is_key=False, fault="", lost_before="")


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
                picture = _shown_frame(frame, _SOUND, reader.stream, told, plan, number)
                yield replace(picture, depends_on_next=False)  # it is sound, as all before it
        else:
            container = container_of(stream)
            yield from _all_frames(container, stream, told, plan, stats, complaints)
            stats.declared_end = declared_end(container, stream, plan.frame_s, stats.packets)


@dataclass(frozen=True)
class _Told:
    """What the container tells of all frames of a stream."""

    cropping: cropping.Cropping
    log_tag: str


def _told_by(stream: VideoStream) -> _Told:
    return _Told(cropping.of_container(stream), colours.log_tag(all_metadata(stream)))


def _all_frames(
    container: InputContainer,
    stream: VideoStream,
    told: _Told,
    plan: DecodePlan,
    stats: DecodeStats,
    complaints: Complaints,
) -> Iterator[Frame]:
    weave = Deinterlacer() if plan.deinterlace else None
    for frame, flags in Reader(container, stream, stats, complaints).frames(plan.max_pixels):
        ready = weave.push(frame, flags) if weave else [(frame, flags)]
        yield from _shown_frames(ready, stream, told, plan, stats)
    if weave:
        yield from _shown_frames(weave.flush(), stream, told, plan, stats)


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


def _shown_frames(
    ready: Iterable[Flagged],
    stream: VideoStream,
    told: _Told,
    plan: DecodePlan,
    stats: DecodeStats,
) -> Iterator[Frame]:
    for frame, flags in ready:
        yield _shown_frame(frame, flags, stream, told, plan, stats.frames - 1)


def _shown_frame(
    frame: VideoFrame,
    flags: FrameFlags,
    stream: VideoStream,
    told: _Told,
    plan: DecodePlan,
    ordinal: int,
) -> Frame:
    _require_cropped(frame, stream)
    sar = aspect_of(stream)
    turn = orientation(frame)
    light = colours.read(frame, stream.codec_context.name, plan.untagged)
    left_out = told.cropping.within(frame.width, frame.height, frame.format)
    pixels = Pixels(frame, light, left_out, sar, turn, plan.max_side)
    return Frame(
        ordinal=ordinal,
        pts=frame.pts,
        time_s=seconds(frame.pts, frame.time_base),
        is_key=flags.is_key,
        depends_on_next=int(frame.pict_type) in _B_FRAMES,
        damaged=bool(flags.fault),
        fault=flags.fault,
        lost_before=flags.lost_before,
        duration_s=seconds(frame.duration, frame.time_base) or Fraction(0),
        interlaced=bool(frame.interlaced_frame),
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
