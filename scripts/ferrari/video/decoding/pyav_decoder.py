"""PyAV as decoder, on the CPU or with CUDA hardware acceleration (NVDEC)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from functools import partial

import av
from av import VideoFrame, VideoStream
from av.codec.hwaccel import hwdevices_available

from ferrari.images.repeats import compare_luma, luma_delta
from ferrari.video.containers import (
    aspect_of,
    container_of,
    declared_end,
    seconds,
)
from ferrari.video.decoding import proof
from ferrari.video.decoding.base import (
    DecodePlan,
    Decoder,
    DecodeStats,
    Frame,
)
from ferrari.video.decoding.card_frames import on_host
from ferrari.video.decoding.deinterlacing import Deinterlacer, Sourced
from ferrari.video.decoding.ffmpeg_log import Complaints, require_silence
from ferrari.video.decoding.pyav_full_reader import Reader, SourceFrame, source_of
from ferrari.video.decoding.pyav_selective_reader import SelectiveReader, Watch, classifier_for
from ferrari.video.decoding.pyav_streams import Told, opened, picture_of, require_cropped, told_by
from ferrari.video.decoding.trust import JUDGE


def _version() -> str:
    codec = ".".join(str(n) for n in av.library_versions["libavcodec"])
    return f"av {av.__version__}, libavcodec {codec}"


def cpu() -> Decoder:
    """PyAV on the CPU."""
    return Decoder(JUDGE, _version(), partial(_frames, device=None))


def cuda(device: int = 0) -> Decoder:
    """PyAV with FFmpeg's CUDA hwaccel; the frames that are wanted leave the card, no others."""
    opens, proves = partial(_frames, device=device), partial(proof.of_card, device=device)
    return Decoder("pyav-nvdec", _version(), opens, device, proves)


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
    decoding = partial(opened, path, plan, device)
    # `told` comes first: what FFmpeg has to say while it is asked is no complaint about the clip.
    watch = None
    with (
        opened(path, plan) as stream,
        nullcontext(told_by(stream)) as told,
        Complaints() as complaints,
    ):
        if device is not None:
            watch = partial(_note_drift, stats, told, plan)
        kind_of = classifier_for(stream, plan)
        if kind_of:
            reader = SelectiveReader(stream, kind_of, plan, stats, complaints, decoding, watch)
            for frame, number in reader.frames():
                require_cropped(frame, reader.stream)
                source = source_of(frame, number, aspect_of(reader.stream))
                # It is sound, as all before it: nothing has to wait for it.
                yield _shown_frame(frame, replace(source, depends_on_next=False), told, plan)
        else:
            with nullcontext(stream) if device is None else decoding() as stream:
                container = container_of(stream)
                reading = Reader(container, stream, plan, stats, complaints).frames()
                watched = _watched(reading, watch) if watch else reading
                yield from _all_frames(watched, stream, told, plan)
                end = declared_end(container, stream, plan.frame_s, stats.packets)
                stats.declared_end = end
        if device is not None:
            require_silence(complaints)


def _note_drift(
    stats: DecodeStats, told: Told, plan: DecodePlan, end: VideoFrame, key: VideoFrame
) -> None:
    """Note how far the picture jumps from the end of a group to the key frame behind it."""
    before, behind = (
        compare_luma(picture_of(frame, Fraction(1), told, plan).luma()) for frame in (end, key)
    )
    end_s = float((end.pts or 0) * (end.time_base or 0))
    stats.drifts.add(end_s, luma_delta(behind, before).block)


def _watched(
    frames: Iterator[tuple[VideoFrame, SourceFrame]], watch: Watch
) -> Iterator[tuple[VideoFrame, SourceFrame]]:
    """All frames; `watch` is called for each key frame that other frames come before."""
    last: VideoFrame | None = None
    for frame, source in frames:
        if last is not None and source.is_key and not last.key_frame:
            watch(last, frame)
        last = frame
        yield frame, source


def _all_frames(
    frames: Iterator[tuple[VideoFrame, SourceFrame]],
    stream: VideoStream,
    told: Told,
    plan: DecodePlan,
) -> Iterator[Frame]:
    weave = Deinterlacer() if plan.deinterlace else None
    for frame, source in frames:
        require_cropped(frame, stream)
        ready = [(frame, source)]
        if weave:
            ready = weave.push(on_host(frame, told.pix_fmt), source)
        yield from _shown_frames(ready, told, plan)
    if weave:
        yield from _shown_frames(weave.flush(), told, plan)


def _shown_frames(ready: Iterable[Sourced], told: Told, plan: DecodePlan) -> Iterator[Frame]:
    for frame, source in ready:
        yield _shown_frame(frame, source, told, plan)


def _shown_frame(frame: VideoFrame, source: SourceFrame, told: Told, plan: DecodePlan) -> Frame:
    return Frame(
        ordinal=source.ordinal,
        pts=source.pts,
        time_base=source.time_base,
        is_key=source.is_key,
        depends_on_next=source.depends_on_next,
        damaged=bool(source.fault),
        fault=source.fault,
        lost_before=source.lost_before,
        part=source.part,
        duration_s=seconds(source.duration, source.time_base) or Fraction(0),
        interlaced=source.interlaced,
        fetch=partial(picture_of, frame, source.sar, told, plan),
    )
