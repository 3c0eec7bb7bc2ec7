"""PyAV as decoder, on the CPU or with CUDA hardware acceleration (NVDEC)."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial

import av
import numpy as np
from av import VideoFrame, VideoStream
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.container import InputContainer
from av.error import FFmpegError
from av.video.plane import VideoPlane

from ferrari.video import hdr
from ferrari.video.containers import (
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
from ferrari.video.decoding.deinterlacing import Deinterlacer, Sourced, filter_errors
from ferrari.video.decoding.ffmpeg_log import Complaints
from ferrari.video.decoding.pyav_full_reader import Reader, SourceFrame, require_video, source_of
from ferrari.video.decoding.pyav_selective_reader import SelectiveReader, classifier_for
from ferrari.video.orientation import Orientation, make_upright
from ferrari.video.ycbcr import i420

_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_SWS_MATRICES = {1: "ITU709", 5: "ITU601", 6: "ITU601", 4: "FCC", 7: "SMPTE240M"}
_BT2020 = {9, 10}
_LUMA_FIRST = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray")


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
    with again() as stream, Complaints() as complaints:
        kind_of = classifier_for(stream, plan)
        if kind_of:
            reader = SelectiveReader(stream, kind_of, plan, stats, complaints, again)
            for frame, number in reader.frames():
                source = source_of(frame, number, aspect_of(reader.stream))
                # It is sound, as all before it: nothing has to wait for it.
                yield _shown_frame(frame, replace(source, depends_on_next=False), plan)
        else:
            container = container_of(stream)
            yield from _all_frames(container, stream, plan, stats, complaints)
            stats.declared_end = declared_end(container, stream, plan.frame_s, stats.packets)


def _all_frames(
    container: InputContainer,
    stream: VideoStream,
    plan: DecodePlan,
    stats: DecodeStats,
    complaints: Complaints,
) -> Iterator[Frame]:
    weave = Deinterlacer() if plan.deinterlace else None
    for frame, source in Reader(container, stream, plan, stats, complaints).frames():
        ready = weave.push(frame, source) if weave else [(frame, source)]
        yield from _shown_frames(ready, plan)
    if weave:
        yield from _shown_frames(weave.flush(), plan)


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


def _shown_frames(ready: Iterable[Sourced], plan: DecodePlan) -> Iterator[Frame]:
    for frame, source in ready:
        yield _shown_frame(frame, source, plan)


def _shown_frame(frame: VideoFrame, source: SourceFrame, plan: DecodePlan) -> Frame:
    sar = source.sar
    turn = orientation(frame)
    transfer = hdr.HDR_TRANSFERS.get(int(frame.color_trc))
    matrix = _matrix(frame)
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
        luma=partial(_luma, frame),
        rgb=partial(_rgb, frame, sar, turn, transfer, matrix, plan.max_side),
        yuv=partial(_yuv, frame, sar, turn, transfer, matrix, plan.max_side),
        facts={
            "rotation": turn.degrees,
            "sar": f"{sar.numerator}:{sar.denominator}",
            "transfer": transfer or "sdr",
            "matrix": matrix,
            "bit_depth": frame.format.components[0].bits,
        },
    )


def _luma(frame: VideoFrame) -> np.ndarray:
    """HxW uint8 luma: the decoder's own plane where it has 8 bits, else converted."""
    if frame.format.name not in _LUMA_FIRST:
        with filter_errors():
            return frame.to_ndarray(format="gray")
    return _plane(frame.planes[0])


def _plane(plane: VideoPlane) -> np.ndarray:
    """HxW uint8 view of a plane of 8 bits."""
    flat = np.frombuffer(memoryview(plane), np.uint8)
    return flat.reshape(-1, plane.line_size)[: plane.height, : plane.width]


def _matrix(frame: VideoFrame) -> str:
    """Name of the YCbCr matrix to use; an unmarked HD frame counts as BT.709, as players do."""
    space = int(frame.colorspace)
    if space in _BT2020:
        return "bt2020"
    if space == _UNSPECIFIED:
        return "bt709 (assumed)" if frame.height >= 720 else "bt601 (assumed)"
    return {"ITU709": "bt709", "ITU601": "bt601"}.get(
        _SWS_MATRICES.get(space, ""), "rgb" if space == 0 else f"code {space}"
    )


def _rgb(
    frame: VideoFrame,
    sar: Fraction,
    turn: Orientation,
    transfer: str | None,
    matrix: str,
    max_side: int | None,
) -> np.ndarray:
    spaces: dict[str, str | int] = {"bt709": "ITU709", "bt601": "ITU601", "bt2020": 9}
    space = spaces.get(matrix.split()[0])
    with filter_errors():
        pixels = "rgb48le" if transfer else "rgb24"
        rgb = frame.reformat(format=pixels, src_colorspace=space, dst_colorspace=space).to_ndarray()
    if transfer:
        rgb = hdr.to_sdr(rgb, transfer)
    return make_upright(rgb, sar, turn, max_side)


def _yuv(
    frame: VideoFrame,
    sar: Fraction,
    turn: Orientation,
    transfer: str | None,
    matrix: str,
    max_side: int | None,
) -> np.ndarray | None:
    """The upright picture's planes in BT.601, if the frame's own are as good as that: 8 bits,
    4:2:0, limited range, even sides, square pixels, no larger than `max_side`.
    """
    plain = frame.format.name in ("yuv420p", "nv12") and frame.color_range != _FULL_RANGE
    small = not max_side or max(frame.width, frame.height) <= max_side
    whole = frame.width % 2 == 0 and frame.height % 2 == 0
    known = matrix.startswith(("bt601", "bt709"))
    if not (plain and small and whole and known) or sar != 1 or transfer:
        return None
    if frame.format.name == "nv12":
        with filter_errors():
            frame = frame.reformat(format="yuv420p")
    planes = [_plane(plane) for plane in frame.planes]
    if turn != Orientation():
        planes = [make_upright(plane, Fraction(1), turn) for plane in planes]
    luma, cb, cr = planes
    return i420(luma, cb, cr, bt709=matrix.startswith("bt709"))
