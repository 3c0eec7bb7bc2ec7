"""Frames out of one clip: sample, compare, keep, encode; one row for each sample; and its linking
film, of frames between the samples.

Runs inside the child process of stage 1 (see `limited_call`). Pixels are converted and encoded only
for frames that are kept, comparison happens on the luma that the decoder already made, and at
most a few frames and rows are in memory at a time, whatever the clip's length.
"""

from __future__ import annotations

import contextlib
import gc
from collections import deque
from collections.abc import Generator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from ferrari.common.atomic_files import sha256_bytes
from ferrari.common.progress import Progress
from ferrari.images.repeats import compare_luma, glimpse, luma_delta
from ferrari.ledger import item_ids, tables
from ferrari.ledger.columns import DROPPED, QUARANTINED
from ferrari.ledger.reasons import (
    DECODE_DAMAGE,
    DUPLICATE_FRAME,
    HDR,
    LOST_SPAN,
    MAX_FRAMES,
    UNKNOWN_COLOURS,
)
from ferrari.ledger.refused_files import clear_frames, refuse_frame
from ferrari.ledger.spooled_rows import Spool
from ferrari.video import linking_film, native_memory
from ferrari.video.colours import Untagged
from ferrari.video.decoding.base import (
    DecodePlan,
    Decoder,
    DecoderUnavailableError,
    DecodeStats,
    Frame,
    PlanChangedError,
    Proof,
)
from ferrari.video.frame_encoding import encoded, started, write_frame
from ferrari.video.frame_trust import trusted
from ferrari.video.hdr import HDR_TRANSFERS
from ferrari.video.lost_footage import Losses, LostSpan, PacketTimes
from ferrari.video.timestamps import Sampler

#: Of samples; each has its frame under bad_frames/.
QUARANTINE_REASONS = (DECODE_DAMAGE, HDR, UNKNOWN_COLOURS)
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
    proof: Proof | None = None

    @property
    def common(self) -> tables.Row:
        """Cells of every row of the clip."""
        return {
            "decoder_reason": self.decoder_reason,
            "frames_decoded": self.frames,
            "decode_errors": self.errors,
            "proof_frames": self.proof.frames if self.proof else "",
            "proof_difference": self.proof.difference if self.proof else "",
        }


@dataclass(frozen=True)
class Clip:
    """A clip to be extracted, and where what is made of it goes.

    `folder` gets the images, `film` becomes the linking film, `spool` gets the rows. `settings` is
    the `extract` section of the config; `frame_s` the time of a frame, in seconds. No frame beyond
    `max_pixels` is decoded.
    """

    path: str
    video: str
    dataset: str
    folder: Path
    film: Path
    spool: Spool
    settings: Mapping
    frame_s: Fraction
    threads: int
    max_pixels: int | None

    def forget(self) -> None:
        """Remove what a pass has written before it was given up: no row names it."""
        for leftover in self.folder.iterdir():
            leftover.unlink()
        clear_frames(self.video, QUARANTINE_REASONS, self.dataset)


def extract(clip: Clip, decoder: Decoder, passed_over: str) -> Extraction:
    """Extract with one decoder; the rows are spooled in order, without the cells that they have in
    common.

    `passed_over` says why it is not another one: each row's `decoder_reason`. Raises
    DecoderUnavailableError if the decoder does not take the clip.
    """
    gc.freeze()  # what the parent left to be collected may wait for threads that are not here
    native_memory.keep()
    settings = clip.settings
    most = settings["max_frames"] and settings["max_frames"] + 1
    plan = DecodePlan(
        clip.threads,
        max_side=settings["max_side"],
        max_pixels=clip.max_pixels,
        frame_s=clip.frame_s,
        fps=settings["fps"],
        most=most,
        linking_fps=settings["linking_fps"],
        untagged=Untagged(settings["untagged_colours"], settings["untagged_range"]),
    )
    while True:
        try:
            result = _Pass(clip, decoder).run(plan)
        except PlanChangedError as change:
            plan = change.plan
            continue
        clip.spool.close_writing()
        return replace(result, decoder_reason=passed_over)


class _Pass:
    """One pass over a clip with one decoder and one plan."""

    def __init__(self, clip: Clip, decoder: Decoder) -> None:
        self.clip, self.decoder, self.settings = clip, decoder, clip.settings
        self.sampler = Sampler(clip.settings["fps"], clip.frame_s)
        self.losses = Losses(clip.frame_s)
        self.stats = DecodeStats()
        self.last_kept: np.ndarray | None = None
        self.samples = self.kept = self.encoding = 0
        self.latest: Frame | None = None  # one of a card keeps its context open for the proof
        self.pending: deque[tuple[tables.Row, Future | None]] = deque()  # rows not yet in the spool

    def run(self, plan: DecodePlan) -> Extraction:
        """Decode to the end (or max_frames), with the rows going to the spool."""
        self.clip.forget()
        self.clip.spool.clear()
        seen = self._take(plan)
        spans = self._spans(plan)
        if self.decoder.prove and (spans or not self.kept):
            why = f"it lost frames: {spans[0].fault}" if spans else "it gave no frame to keep"
            raise DecoderUnavailableError(why)
        for number, span in enumerate(spans):
            self.clip.spool.add(self._lost_row(number, span))
        stats = self.stats
        count = stats.frames if seen is None else seen
        proof = self.decoder.prove(self.clip.path, plan, stats) if self.decoder.prove else None
        return Extraction(
            *(self.kept, self.decoder.name, count, stats.errors, stats.first_error), proof=proof
        )

    def _take(self, plan: DecodePlan) -> int | None:
        """Give every sample its row, and film what lies between; how many frames were seen, where
        that is not to the end.
        """
        limit = self.settings["max_frames"] or float("inf")
        seen = None
        frames = self._watched(plan)
        with (
            started(max(1, plan.threads)) as encoders,
            linking_film.written(self.clip.film) as film,  # its end takes memory
            contextlib.closing(frames),
        ):
            recorder = self._recorder(film, encoders)
            for frame, clean in trusted(frames):
                self.latest = frame
                time_s = self.sampler.place(frame.time_s)
                fault = frame.fault or frame.lost_before
                self.losses.see(time_s, frame.duration_s, clean, fault, frame.part)
                kept = False
                if self.sampler.wants(time_s):
                    if self.samples >= limit:
                        self.pending.append((self._limit_row(frame, time_s), None))
                        seen = frame.ordinal + 1
                        break
                    kept = self._consider(frame, time_s, clean, encoders)
                    self._finish(_PENDING)
                if clean and recorder.wants(time_s) and not (kept or self._refusal(frame)[0]):
                    recorder.add(frame, time_s)
            self._finish(0)
            recorder.finish()
        return seen

    def _recorder(self, film: linking_film.Writer, pool: Executor) -> linking_film.Recorder:
        side = min(linking_film.SIDE, self.settings["max_side"] or linking_film.SIDE)
        return linking_film.Recorder(
            film, self.settings["linking_fps"], self.clip.frame_s, side, pool
        )

    def _spans(self, plan: DecodePlan) -> list[LostSpan]:
        if self.stats.end:
            self.losses.see(*self.stats.end, clean=True, fault="")
        spans = self._lost()
        if spans and self.stats.end:
            raise PlanChangedError(replace(plan, fps=None, threads=1))
        return spans

    def _lost(self) -> list[LostSpan]:
        stats = self.stats
        parts = [PacketTimes(pts, stats.time_base) for pts in stats.packet_parts]
        return self.losses.finish(parts, stats.fault_at_end, stats.declared_end)

    def _watched(self, plan: DecodePlan) -> Generator[Frame]:
        """The decoder's frames; leaves the pass if they show that the plan does not fit."""
        progress, told = Progress(f"{self.clip.video}: frames read"), 0
        with contextlib.closing(self.decoder.open(self.clip.path, plan, self.stats)) as frames:
            for frame in frames:
                self._leave_to_the_next(frame)
                if plan.threads > 1 and (frame.damaged or self.stats.errors):
                    raise PlanChangedError(replace(plan, threads=1))
                if frame.interlaced and self.settings["deinterlace"] and not plan.deinterlace:
                    raise PlanChangedError(replace(plan, deinterlace=True))
                progress.step(frame.ordinal + 1 - told)
                told = frame.ordinal + 1
                yield frame
        self._leave_to_the_next()
        if plan.threads > 1 and self.stats.errors:
            raise PlanChangedError(replace(plan, threads=1))

    def _leave_to_the_next(self, frame: Frame | None = None) -> None:
        """Leave the clip to the next decoder if one that is no judge met anything at all in it."""
        fault = self.stats.first_error or (frame and frame.damaged and frame.fault)
        if self.decoder.prove and fault:
            frames = self.stats.frames
            raise DecoderUnavailableError(f"it stopped at frame {frames}: {fault}")

    def _consider(self, frame: Frame, time_s: Fraction, clean: bool, encoders: Executor) -> bool:
        """Give one sample its row: quarantined, dropped as a duplicate, or (True) soon kept."""
        row, future = self._row(frame, time_s), None
        reason, detail = self._refusal(frame)
        if not clean:
            self._quarantine(row, frame, DECODE_DAMAGE, "built on data that the decoder lost")
        elif reason:
            self._quarantine(row, frame, reason, detail)
        else:
            luma = frame.picture.luma()
            compared = compare_luma(luma)
            if self.decoder.prove:
                self.stats.glimpses[float(frame.time_s or 0)] = glimpse(compared)
            delta = luma_delta(compared, self.last_kept)
            row |= {"value": delta.block, "threshold": delta.bound(self.settings)}
            row |= {"mean_change": delta.mean, "noise_change": delta.noise}
            if delta.is_repeat(self.settings):
                row |= {"outcome": DROPPED, "reason": DUPLICATE_FRAME}
            else:
                self.last_kept = compared
                future = encoders.submit(
                    write_frame,
                    str(row["item"]),
                    frame.picture,
                    luma,
                    self.clip.folder,
                    self.settings["webp_quality"],
                )
                self.encoding += 1
        self.pending.append((row, future))
        return future is not None

    def _refusal(self, frame: Frame) -> tuple[str, str]:
        """Why the colours of a frame are not to be had, and in detail; or ("", "")."""
        picture, refused = frame.picture, self.settings["hdr"] == "refuse"
        if refused and picture.facts["transfer"] in HDR_TRANSFERS.values():
            return HDR, "extract.hdr is refuse"
        return (UNKNOWN_COLOURS if picture.unknown_colours else ""), picture.unknown_colours

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
            self.clip.spool.add(row)
            self.pending.popleft()

    def _quarantine(self, row: tables.Row, frame: Frame, reason: str, detail: str) -> None:
        data, _ = encoded(frame.picture, self.settings["webp_quality"])
        where = refuse_frame(
            f"{row['item']}.webp", data, self.clip.video, reason, self.clip.dataset
        )
        row |= {"outcome": QUARANTINED, "reason": reason, "detail": detail}
        row |= {"path": where, "sha256": sha256_bytes(data)}

    def _row(self, frame: Frame, time_s: Fraction) -> tables.Row:
        item = item_ids.frame_item(self.clip.video, self.samples)
        self.samples += 1
        return tables.row(
            "extract",
            item=item,
            parent=self.clip.video,
            outcome=QUARANTINED,  # until its file is written and read back
            reason="NOT_WRITTEN",
            time_s=round(float(time_s), 6),
            pts=frame.pts,
            time_base=str(frame.time_base or ""),
            frame=frame.ordinal,
            decoder=self.decoder.name,
            decoder_version=self.decoder.version,
            interlaced=frame.interlaced,
            **frame.picture.facts,
        )

    def _limit_row(self, frame: Frame, time_s: Fraction) -> tables.Row:
        row = self._row(frame, time_s)
        limit = self.settings["max_frames"]
        row |= {"outcome": DROPPED, "reason": MAX_FRAMES, "value": limit}
        row |= {"threshold": limit, "detail": "this sample and all that follow were not looked at"}
        return row

    def _lost_row(self, number: int, span: LostSpan) -> tables.Row:
        start, end = float(span.start_s), float(span.end_s)
        several = len(self.stats.packet_parts) > 1
        where = f" of part {span.part + 1}, in each of which time starts anew" if several else ""
        return tables.row(
            "extract",
            item=item_ids.lost_item(self.clip.video, number),
            parent=self.clip.video,
            outcome=QUARANTINED,
            reason=LOST_SPAN,
            value=round(float(span.lost_s), 6),
            time_s=round(start, 6),
            decoder=self.decoder.name,
            decoder_version=self.decoder.version,
            detail=f"from {start:.3f} s to {end:.3f} s{where}, {span.evidence}; first error: "
            f"{span.fault}",
        )
