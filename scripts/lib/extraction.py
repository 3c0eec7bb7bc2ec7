"""Frames out of one clip: sample, compare, keep, encode; one row for each sample.

Runs inside the child process of stage 1 (see `sandbox`). Pixels are converted and encoded only
for frames that are kept, comparison happens on the luma that the decoder already made, and at
most a few frames and rows are in memory at a time, whatever the clip's length.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import PIL.WebPImagePlugin  # noqa: F401 - else Pillow loads it in the child, short of memory

from scripts.lib import images, ledger, names
from scripts.lib.damage import Losses, LostSpan, PacketTimes, trusted
from scripts.lib.decoders import (
    Decoder,
    DecoderUnavailableError,
    Picture,
    Plan,
    PlanChangedError,
    Tally,
)
from scripts.lib.files import sha256_bytes
from scripts.lib.logs import Progress
from scripts.lib.refusals import clear_frames, refuse_frame
from scripts.lib.spool import Spool
from scripts.lib.timing import Sampler

DUPLICATE, DAMAGED, MAX_FRAMES, HDR = "DUPLICATE_FRAME", "DECODE_DAMAGE", "MAX_FRAMES", "HDR"
LOST = "LOST_SPAN"
QUARANTINE_REASONS = (DAMAGED, HDR)  # of samples; each has its picture under bad_frames/
_COMPARE_WIDTH = 256  # px; luma is area-averaged to it before frames are compared
_THREAD_MB = 32  # room that must be there for each thread: its stack and what it allocates
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of mallopt(3)
_LARGEST_MB = 32  # glibc's own upper bound for the second
_PENDING = 8  # frames being encoded at a time


@dataclass(frozen=True)
class Extraction:
    """What became of one clip, beside its rows; `common` are cells that all of these share."""

    kept: int
    decoder: str
    frames: int
    errors: int
    first_error: str
    decoder_reason: str = ""

    @property
    def common(self) -> ledger.Row:
        """Cells of every row of the clip."""
        return {
            "decoder_reason": self.decoder_reason,
            "frames_decoded": self.frames,
            "decode_errors": self.errors,
        }


def compare_luma(luma: np.ndarray) -> np.ndarray:
    """HxW uint8 luma, area-averaged to 256 px width (never enlarged), to compare frames by."""
    height, width = luma.shape
    if width <= _COMPARE_WIDTH:
        return luma.copy()
    size = (_COMPARE_WIDTH, max(1, round(height * _COMPARE_WIDTH / width)))
    return cv2.resize(luma, size, interpolation=cv2.INTER_AREA)


def luma_delta(a: np.ndarray, b: np.ndarray | None) -> float:
    """Mean absolute difference (0-255) of two compare images; 255 if there is no second."""
    if b is None or a.shape != b.shape:
        return 255.0
    return float(cv2.norm(a, b, cv2.NORM_L1)) / a.size


def sharpness(luma: np.ndarray) -> float:
    """Variance of the Laplacian of HxW uint8 luma (Pech-Pacheco et al. 2000); blur lowers it."""
    edges = cv2.Laplacian(luma, cv2.CV_16S)
    mean = cv2.sumElems(edges)[0] / edges.size
    return max(0.0, cv2.norm(edges, cv2.NORM_L2SQR) / edges.size - mean**2)


def extract(
    path: str,
    video: str,
    folder: str,
    dataset: str,
    settings: dict,
    decoders: list[Decoder],
    passed_over: str,
    frame_s: Fraction,
    threads: int,
    max_pixels: int | None,
    spool: Spool,
) -> Extraction:
    """Extract with the first decoder that takes the clip; `folder` gets the images, `spool` the
    rows, in order, without the cells that they have in common.

    `passed_over` says why better decoders are not in the list; every later refusal is added to
    it and ends up in each row's `decoder_reason`. No frame beyond `max_pixels` is decoded.
    """
    gc.freeze()  # what the parent left to be collected may wait for threads that are not here
    _reuse_memory()
    reasons = [passed_over] if passed_over else []
    most = settings["max_frames"] and settings["max_frames"] + 1
    first = Plan(
        threads,
        max_side=settings["max_side"],
        max_pixels=max_pixels,
        frame_s=frame_s,
        fps=settings["fps"],
        most=most,
    )
    for decoder in decoders:
        plan = first
        while True:
            try:
                job = _Pass(video, folder, dataset, settings, decoder, frame_s, spool)
                result = job.run(path, plan)
            except PlanChangedError as change:
                plan = change.plan
                continue
            except DecoderUnavailableError as error:
                reasons.append(f"{decoder.name}: {error}")
                break
            spool.close_writing()
            return replace(result, decoder_reason="; ".join(reasons))
    raise DecoderUnavailableError("; ".join(reasons))


def _reuse_memory() -> None:
    """Have glibc keep the memory of one picture for the next, where it would give it back.

    A page that is taken anew costs the kernel as much as OpenCV needs to fill it.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if tune:
        tune(_M_MMAP_THRESHOLD, _LARGEST_MB << 20)
        tune(_M_TRIM_THRESHOLD, 4 * _LARGEST_MB << 20)
        tune(_M_ARENA_MAX, 1)


def forget(video: str, folder: str | Path, dataset: str | Path) -> None:
    """Remove what a pass has written of a clip before it was given up: no row names it."""
    for leftover in Path(folder).iterdir():
        leftover.unlink()
    clear_frames(video, QUARANTINE_REASONS, dataset)


@contextlib.contextmanager
def _started(count: int) -> Iterator[ThreadPoolExecutor]:
    """`count` threads, all running, or MemoryError.

    A thread that is refused memory while it starts is waited for for ever (CPython), so they start
    before a decoder has taken what the limit leaves, and only if there is room.
    """
    try:
        mmap.mmap(-1, (_THREAD_MB * (count + 2)) << 20).close()  # asked for, never touched
    except OSError as error:
        raise MemoryError(str(error)) from error
    gate = threading.Barrier(count + 1)
    with ThreadPoolExecutor(count) as pool:
        try:
            for _ in range(count):
                pool.submit(gate.wait)
        except RuntimeError as error:
            gate.abort()
            raise MemoryError(str(error)) from error
        gate.wait()
        yield pool


class _Pass:
    """One pass over a clip with one decoder and one plan."""

    def __init__(
        self,
        video: str,
        folder: str,
        dataset: str,
        settings: dict,
        decoder: Decoder,
        frame_s: Fraction,
        spool: Spool,
    ) -> None:
        self.video, self.folder, self.dataset = video, Path(folder), dataset
        self.settings, self.decoder = settings, decoder
        self.sampler = Sampler(settings["fps"], frame_s)
        self.losses = Losses(frame_s)
        self.tally = Tally()
        self.spool = spool
        self.last_kept: np.ndarray | None = None
        self.samples = self.kept = self.encoding = 0
        self.pending: deque[tuple[ledger.Row, Future | None]] = deque()  # rows not yet in the spool

    def run(self, path: str, plan: Plan) -> Extraction:
        """Decode to the end (or max_frames), with the rows going to the spool."""
        forget(self.video, self.folder, self.dataset)
        self.spool.clear()
        limit = self.settings["max_frames"] or float("inf")
        seen = None
        pictures = self._watched(path, plan)
        with _started(max(1, plan.threads)) as encoders, contextlib.closing(pictures):
            for picture, clean in trusted(pictures):
                time_s = self.sampler.place(picture.time_s)
                fault = picture.fault or picture.lost_before
                self.losses.see(time_s, picture.duration_s, clean, fault)
                if not self.sampler.wants(time_s):
                    continue
                if self.samples >= limit:
                    self.pending.append((self._limit_row(picture, time_s), None))
                    seen = picture.ordinal + 1
                    break
                self._consider(picture, time_s, clean, encoders)
                self._finish(_PENDING)
            self._finish(0)
        for number, span in enumerate(self._spans(plan)):
            self.spool.add(self._lost_row(number, span))
        tally = self.tally
        frames = tally.frames if seen is None else seen
        return Extraction(self.kept, self.decoder.name, frames, tally.errors, tally.first_error)

    def _spans(self, plan: Plan) -> list[LostSpan]:
        if self.tally.end:
            self.losses.see(*self.tally.end, clean=True, fault="")
        spans = self._lost()
        if spans and self.tally.end:
            raise PlanChangedError(replace(plan, fps=None, threads=1))
        return spans

    def _lost(self) -> list[LostSpan]:
        tally = self.tally
        packets = PacketTimes(tally.packet_pts, tally.time_base)
        return self.losses.finish(packets, tally.fault_at_end, tally.promise)

    def _watched(self, path: str, plan: Plan) -> Iterator[Picture]:
        """The decoder's pictures; leaves the pass if they show that the plan does not fit."""
        progress, told = Progress(f"{self.video}: frames read"), 0
        with contextlib.closing(self.decoder.open(path, plan, self.tally)) as pictures:
            for picture in pictures:
                if plan.threads > 1 and (picture.damaged or self.tally.errors):
                    raise PlanChangedError(replace(plan, threads=1))
                if picture.interlaced and self.settings["deinterlace"] and not plan.deinterlace:
                    raise PlanChangedError(replace(plan, deinterlace=True))
                progress.step(picture.ordinal + 1 - told)
                told = picture.ordinal + 1
                yield picture
        if plan.threads > 1 and self.tally.errors:
            raise PlanChangedError(replace(plan, threads=1))

    def _consider(self, picture: Picture, time_s: Fraction, clean: bool, encoders) -> None:
        """Give one sample its row: quarantined, dropped as a duplicate, or on its way to kept."""
        row, future = self._row(picture, time_s), None
        if not clean:
            self._quarantine(row, picture, DAMAGED, "built on data that the decoder lost")
        elif picture.facts["transfer"] != "sdr" and self.settings["hdr"] == "refuse":
            self._quarantine(row, picture, HDR, "extract.hdr is refuse")
        else:
            luma = picture.luma()
            compared = compare_luma(luma)
            delta = round(luma_delta(compared, self.last_kept), 4)
            row |= {"value": delta, "threshold": self.settings["duplicate_delta"]}
            if delta < self.settings["duplicate_delta"]:
                row |= {"outcome": ledger.DROPPED, "reason": DUPLICATE}
            else:
                self.last_kept = compared
                future = encoders.submit(self._write, row["item"], picture, luma)
                self.encoding += 1
        self.pending.append((row, future))

    def _write(self, item: str, picture: Picture, luma: np.ndarray) -> ledger.Row:
        """Encode, write and read back one frame: its cells."""
        data, shape = self._encoded(picture)
        name = f"{item}.webp"
        digest = images.write_checked(self.folder / name, data, shape)
        height, width = shape[:2]
        return {
            **{"outcome": ledger.KEPT, "reason": "OK", "path": name, "sha256": digest},
            **{"width": width, "height": height},
            "sharpness": round(sharpness(luma), 3),
        }

    def _encoded(self, picture: Picture) -> tuple[bytes, tuple[int, int, int]]:
        """The WebP of a picture and its shape."""
        quality = self.settings["webp_quality"]
        i420 = picture.yuv() if quality <= 100 else None
        if i420 is None:
            frame_rgb = picture.rgb()
            return images.encode_webp(frame_rgb, quality), frame_rgb.shape
        data = images.encode_webp_yuv(i420, quality)
        return data, (i420.shape[0] * 2 // 3, i420.shape[1], 3)

    def _finish(self, most: int) -> None:
        """Hand rows on in order, until no more than `most` frames are being encoded, or done."""
        while self.pending:
            row, future = self.pending[0]
            if future is not None:
                if self.encoding <= most and not future.done():
                    return
                row |= future.result()
                self.encoding -= 1
                self.kept += 1
            self.spool.add(row)
            self.pending.popleft()

    def _quarantine(self, row: ledger.Row, picture: Picture, reason: str, detail: str) -> None:
        data, _ = self._encoded(picture)
        where = refuse_frame(f"{row['item']}.webp", data, self.video, reason, self.dataset)
        row |= {"outcome": ledger.QUARANTINED, "reason": reason, "detail": detail}
        row |= {"path": where, "sha256": sha256_bytes(data)}

    def _row(self, picture: Picture, time_s: Fraction) -> ledger.Row:
        item = names.frame_item(self.video, self.samples)
        self.samples += 1
        return ledger.row(
            "extract",
            item=item,
            parent=self.video,
            outcome=ledger.QUARANTINED,  # until its file is written and read back
            reason="NOT_WRITTEN",
            time_s=round(float(time_s), 6),
            pts=picture.pts,
            frame=picture.ordinal,
            decoder=self.decoder.name,
            decoder_version=self.decoder.version,
            interlaced=picture.interlaced,
            **picture.facts,
        )

    def _limit_row(self, picture: Picture, time_s: Fraction) -> ledger.Row:
        row = self._row(picture, time_s)
        limit = self.settings["max_frames"]
        row |= {"outcome": ledger.DROPPED, "reason": MAX_FRAMES, "value": limit}
        row |= {"threshold": limit, "detail": "this sample and all that follow were not looked at"}
        return row

    def _lost_row(self, number: int, span: LostSpan) -> ledger.Row:
        start, end = float(span.start_s), float(span.end_s)
        return ledger.row(
            "extract",
            item=names.lost_item(self.video, number),
            parent=self.video,
            outcome=ledger.QUARANTINED,
            reason=LOST,
            value=round(float(span.lost_s), 6),
            time_s=round(start, 6),
            decoder=self.decoder.name,
            decoder_version=self.decoder.version,
            detail=f"from {start:.3f} s to {end:.3f} s, {span.evidence}; first error: {span.fault}",
        )
