"""PyAV as decoder, on the CPU or with CUDA hardware acceleration (NVDEC)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import av
import numpy as np
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.error import FFmpegError

from scripts.lib import hdr
from scripts.lib.containers import main_video, open_container, orientation, seconds
from scripts.lib.decoders import Decoder, DecoderUnavailableError, Picture, Plan, Tally
from scripts.lib.orientation import make_upright, sane_aspect

_B_FRAMES = {3, 7}  # AV_PICTURE_TYPE_B, _BI
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
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
    return Decoder("pyav-nvdec", _version(), partial(_frames, hwaccel="cuda"))


def cuda_problem() -> str | None:
    """Why PyAV cannot decode with CUDA here, or None."""
    if "cuda" not in hwdevices_available():
        return f"PyAV {av.__version__} was built without CUDA"
    return None


def _frames(path: str, plan: Plan, tally: Tally, hwaccel: str | None) -> Iterator[Picture]:
    """Decode a clip; damaged packets are counted in `tally` and decoding goes on behind them."""
    accel = HWAccel(hwaccel, allow_software_fallback=False) if hwaccel else None
    try:
        container = open_container(path, **({"hwaccel": accel} if accel else {}))
    except (FFmpegError, RuntimeError, NotImplementedError) as error:
        if accel is None:
            raise
        raise DecoderUnavailableError(f"CUDA could not open the clip: {error}") from error
    with container:
        stream = main_video(container)
        context = stream.codec_context
        if accel is not None and not context.is_hwaccel:
            raise DecoderUnavailableError(f"NVDEC does not decode {context.name} in this form")
        if accel is None:
            context.thread_type = "AUTO" if plan.threads > 1 else "NONE"
            context.thread_count = plan.threads
        weave = _Deinterlacer(stream) if plan.deinterlace else None
        for frame, damaged in _decode(container, stream, tally):
            ready = weave.push(frame, damaged) if weave else [(frame, damaged, frame.key_frame)]
            yield from _pictures(ready, stream, plan, tally)
        if weave:
            yield from _pictures(weave.flush(), stream, plan, tally)


def _decode(container, stream, tally: Tally) -> Iterator[tuple[av.VideoFrame, bool]]:
    """Frames with a mark on the first one that follows an error, and on concealed ones."""
    after_error = False
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except FFmpegError as error:  # the demuxer lost its way and does not find it again
            tally.add_error(f"demuxing: {error.strerror}")
            return
        try:
            frames = packet.decode()
        except FFmpegError as error:
            tally.add_error(error.strerror)
            after_error = True
            continue
        for frame in frames:
            tally.frames += 1
            yield frame, after_error or frame.is_corrupt
            after_error = False


class _Deinterlacer:
    """FFmpeg's bwdif on frames that are flagged interlaced; each output keeps its marks."""

    def __init__(self, stream) -> None:
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(template=stream)
        weaver = self._graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        sink = self._graph.add("buffersink")
        source.link_to(weaver)
        weaver.link_to(sink)
        self._graph.configure()
        self._marks: list[tuple[bool, bool]] = []

    def push(self, frame, damaged: bool) -> list[tuple]:
        self._marks.append((damaged, frame.key_frame))
        self._graph.push(frame)
        return self._pull()

    def flush(self) -> list[tuple]:
        self._graph.push(None)
        return self._pull()

    def _pull(self) -> list[tuple]:
        ready = []
        while self._marks:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            ready.append((frame, *self._marks.pop(0)))
        return ready


def _pictures(ready, stream, plan: Plan, tally: Tally) -> Iterator[Picture]:
    for frame, damaged, is_key in ready:
        yield _picture(frame, damaged, is_key, stream, plan, tally.frames - 1)


def _picture(frame, damaged: bool, is_key: bool, stream, plan: Plan, ordinal: int) -> Picture:
    sar = sane_aspect(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio)
    turn = orientation(frame)
    transfer = hdr.HDR_TRANSFERS.get(int(frame.color_trc))
    matrix = _matrix(frame)
    return Picture(
        ordinal=ordinal,
        pts=frame.pts,
        time_s=seconds(frame.pts, frame.time_base),
        is_key=bool(is_key),
        depends_on_next=int(frame.pict_type) in _B_FRAMES,
        damaged=bool(damaged),
        interlaced=bool(frame.interlaced_frame),
        luma=partial(_luma, frame),
        rgb=partial(_rgb, frame, sar, turn, transfer, matrix, plan.max_side),
        facts={
            "rotation": turn.degrees,
            "sar": f"{sar.numerator}:{sar.denominator}",
            "transfer": transfer or "sdr",
            "matrix": matrix,
            "bit_depth": frame.format.components[0].bits,
        },
    )


def _luma(frame) -> np.ndarray:
    """HxW uint8 luma: the decoder's own plane where it has 8 bits, else converted."""
    if frame.format.name not in _LUMA_FIRST:
        return frame.to_ndarray(format="gray")
    plane = frame.planes[0]
    flat = np.frombuffer(plane, np.uint8)
    return flat.reshape(-1, plane.line_size)[: frame.height, : frame.width]


def _matrix(frame) -> str:
    """Name of the YCbCr matrix to use; an unmarked HD frame counts as BT.709, as players do."""
    space = int(frame.colorspace)
    if space in _BT2020:
        return "bt2020"
    if space == _UNSPECIFIED:
        return "bt709 (assumed)" if frame.height >= 720 else "bt601 (assumed)"
    return {"ITU709": "bt709", "ITU601": "bt601"}.get(
        _SWS_MATRICES.get(space, ""), "rgb" if space == 0 else f"code {space}"
    )


def _rgb(frame, sar: Fraction, turn, transfer, matrix: str, max_side) -> np.ndarray:
    space = {"bt709": "ITU709", "bt601": "ITU601"}.get(matrix.split()[0])
    if matrix == "bt2020":
        space = 9
    options = {"src_colorspace": space, "dst_colorspace": space} if space else {}
    if transfer:
        signal = frame.reformat(format="rgb48le", **options).to_ndarray()
        rgb = hdr.to_sdr(signal, transfer)
    else:
        rgb = frame.reformat(format="rgb24", **options).to_ndarray()
    return make_upright(rgb, sar, turn, max_side)
