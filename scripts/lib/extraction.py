"""Frames out of one clip: sample, compare, keep, encode; one row for each sample.

Runs inside the child process of stage 1 (see `sandbox`). Pixels are converted and encoded only
for frames that are kept, comparison happens on the luma that the decoder already made, and at
most a few frames are in memory at a time, whatever the clip's length.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import PIL.WebPImagePlugin  # noqa: F401 - else Pillow loads it in the child, short of memory

from scripts.lib import images, ledger, names
from scripts.lib.damage import Losses, LostSpan, trusted
from scripts.lib.decoders import Decoder, DecoderUnavailableError, Picture, Plan, Tally
from scripts.lib.files import sha256_bytes
from scripts.lib.logs import Progress
from scripts.lib.refusals import clear_frames, refuse_frame
from scripts.lib.timing import Sampler

DUPLICATE, DAMAGED, MAX_FRAMES, HDR = "DUPLICATE_FRAME", "DECODE_DAMAGE", "MAX_FRAMES", "HDR"
LOST = "LOST_SPAN"
QUARANTINE_REASONS = (DAMAGED, HDR)  # of samples; each has its picture under bad_frames/
_COMPARE_WIDTH = 256  # px; luma is area-averaged to it before frames are compared
_THREAD_MB = 32  # room that must be there for each thread: its stack and what it allocates
_PENDING = 8  # frames being encoded at a time


class _PlanChangedError(Exception):
    """The pass found something that this plan does not handle; start again with a better one."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.plan = plan


@dataclass
class Extraction:
    """The rows of one clip and what the decoder said about it."""

    rows: list[ledger.Row] = field(default_factory=list)
    decoder: str = ""
    decoder_reason: str = ""
    tally: Tally = field(default_factory=Tally)

    @property
    def kept(self) -> int:
        """Number of frames kept."""
        return sum(row["outcome"] == ledger.KEPT for row in self.rows)


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
    return float(cv2.Laplacian(luma, cv2.CV_32F).var())


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
    max_pixels: int | None = None,
) -> Extraction:
    """Extract with the first decoder that takes the clip; `folder` gets the images.

    `passed_over` says why better decoders are not in the list; every later refusal is added to
    it and ends up in each row's `decoder_reason`. No frame beyond `max_pixels` is decoded.
    """
    reasons = [passed_over] if passed_over else []
    for decoder in decoders:
        plan = Plan(threads, max_side=settings["max_side"], max_pixels=max_pixels, frame_s=frame_s)
        while True:
            try:
                job = _Pass(video, folder, dataset, settings, decoder, frame_s)
                result = job.run(path, plan)
            except _PlanChangedError as change:
                plan = change.plan
                continue
            except DecoderUnavailableError as error:
                reasons.append(f"{decoder.name}: {error}")
                break
            result.decoder_reason = "; ".join(reasons)
            for row in result.rows:
                row["decoder_reason"] = result.decoder_reason
            return result
    raise DecoderUnavailableError("; ".join(reasons))


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
    bytearray((_THREAD_MB * (count + 2)) << 20)
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
    ) -> None:
        self.video, self.folder, self.dataset = video, Path(folder), dataset
        self.settings, self.decoder = settings, decoder
        self.sampler = Sampler(settings["fps"], frame_s)
        self.losses = Losses(frame_s)
        self.tally = Tally()
        self.rows: list[ledger.Row] = []
        self.last_kept: np.ndarray | None = None
        self.samples = 0
        self.pending: deque[tuple[ledger.Row, Future]] = deque()

    def run(self, path: str, plan: Plan) -> Extraction:
        """Decode to the end (or max_frames) and return the rows."""
        forget(self.video, self.folder, self.dataset)
        progress = Progress(f"{self.video}: frames decoded")
        limit = self.settings["max_frames"] or float("inf")
        pictures = self._watched(path, plan, progress)
        with _started(max(1, plan.threads)) as encoders, contextlib.closing(pictures):
            for picture, clean in trusted(pictures):
                time_s = self.sampler.place(picture.time_s)
                fault = picture.fault or picture.lost_before
                self.losses.see(time_s, picture.duration_s, clean, fault)
                if not self.sampler.wants(time_s):
                    continue
                if self.samples >= limit:
                    self.rows.append(self._limit_row(picture, time_s))
                    break
                self._consider(picture, time_s, clean, encoders)
            while self.pending:
                self._finish_oldest()
        self.rows += [self._lost_row(number, span) for number, span in enumerate(self._lost())]
        for row in self.rows:
            row["frames_decoded"], row["decode_errors"] = self.tally.frames, self.tally.errors
        return Extraction(self.rows, self.decoder.name, "", self.tally)

    def _lost(self) -> list[LostSpan]:
        tally = self.tally
        base = tally.time_base or Fraction(0)
        return self.losses.finish(
            (pts * base for pts in tally.packet_pts), tally.fault_at_end, tally.promise
        )

    def _watched(self, path: str, plan: Plan, progress: Progress) -> Iterator[Picture]:
        """The decoder's pictures; leaves the pass if they show that the plan does not fit."""
        with contextlib.closing(self.decoder.open(path, plan, self.tally)) as pictures:
            for picture in pictures:
                if plan.threads > 1 and (picture.damaged or self.tally.errors):
                    raise _PlanChangedError(replace(plan, threads=1))
                if picture.interlaced and self.settings["deinterlace"] and not plan.deinterlace:
                    raise _PlanChangedError(replace(plan, deinterlace=True))
                progress.step()
                yield picture
        if plan.threads > 1 and self.tally.errors:
            raise _PlanChangedError(replace(plan, threads=1))

    def _consider(self, picture: Picture, time_s: Fraction, clean: bool, encoders) -> None:
        """Give one sample its row: quarantined, dropped as a duplicate, or on its way to kept."""
        row = self._row(picture, time_s)
        self.rows.append(row)
        if not clean:
            self._quarantine(row, picture, DAMAGED, "built on data that the decoder lost")
            return
        if picture.facts["transfer"] != "sdr" and self.settings["hdr"] == "refuse":
            self._quarantine(row, picture, HDR, "extract.hdr is refuse")
            return
        luma = picture.luma()
        compared = compare_luma(luma)
        delta = round(luma_delta(compared, self.last_kept), 4)
        row |= {"value": delta, "threshold": self.settings["duplicate_delta"]}
        if delta < self.settings["duplicate_delta"]:
            row |= {"outcome": ledger.DROPPED, "reason": DUPLICATE}
            return
        self.last_kept = compared
        row["sharpness"] = round(sharpness(luma), 3)
        self.pending.append((row, encoders.submit(self._write, row["item"], picture.rgb())))
        if len(self.pending) >= _PENDING:
            self._finish_oldest()

    def _write(self, item: str, frame_rgb: np.ndarray) -> tuple[str, str, int, int]:
        """Encode, write and read back one frame: its path below the dataset, digest and size."""
        data = images.encode_webp(frame_rgb, self.settings["webp_quality"])
        name = f"{item}.webp"
        digest = images.write_checked(self.folder / name, data, frame_rgb.shape)
        height, width = frame_rgb.shape[:2]
        return name, digest, width, height

    def _finish_oldest(self) -> None:
        row, future = self.pending.popleft()
        name, digest, width, height = future.result()
        row |= {"outcome": ledger.KEPT, "reason": "OK", "path": name, "sha256": digest}
        row |= {"width": width, "height": height}

    def _quarantine(self, row: ledger.Row, picture: Picture, reason: str, detail: str) -> None:
        data = images.encode_webp(picture.rgb(), self.settings["webp_quality"])
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
