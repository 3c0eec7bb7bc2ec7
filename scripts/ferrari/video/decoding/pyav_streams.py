"""A clip's film as PyAV opens it, and what becomes of the frames that come out of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from av import VideoFrame, VideoStream
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError

from ferrari.video import colours, cropping
from ferrari.video.containers import all_metadata, open_container, orientation
from ferrari.video.decoding.base import DecodePlan, DecoderUnavailableError
from ferrari.video.decoding.card_frames import on_host
from ferrari.video.decoding.pyav_full_reader import require_video
from ferrari.video.decoding.pyav_pixels import Pixels


@dataclass(frozen=True)
class Told:
    """What the container tells of all frames of a stream; `codec` is the decoder's name."""

    codec: str
    pix_fmt: str
    cropping: cropping.Cropping
    log_tag: str


def told_by(stream: VideoStream) -> Told:
    """Ask the container, before the stream is decoded."""
    left_out, log_tag = cropping.of_container(stream), colours.log_tag(all_metadata(stream))
    context = stream.codec_context
    return Told(context.name, context.pix_fmt or "", left_out, log_tag)


@contextlib.contextmanager
def opened(path: str, plan: DecodePlan, device: int | None = None) -> Iterator[VideoStream]:
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


def require_cropped(frame: VideoFrame, stream: VideoStream) -> None:
    """Raise DecoderUnavailableError where hardware keeps what the codec crops at left or top."""
    context = stream.codec_context
    if context.is_hwaccel and (frame.width > context.width or frame.height > context.height):
        raise DecoderUnavailableError("NVDEC does not apply the codec's cropping at left and top")


def picture_of(frame: VideoFrame, sar: Fraction, told: Told, plan: DecodePlan) -> Pixels:
    """The picture of a decoded frame; a frame on a card is downloaded."""
    frame = on_host(frame, told.pix_fmt)
    light = colours.read(frame, told.codec, plan.untagged)
    left_out = told.cropping.within(frame.width, frame.height, frame.format)
    return Pixels(frame, light, left_out, sar, orientation(frame), plan.max_side, told.log_tag)
