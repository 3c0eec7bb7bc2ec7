"""One file through stages 0 and 1, and everything that must hold of it whatever it is."""

from __future__ import annotations

import math
import shutil
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ferrari.images import image_files
from ferrari.ledger import balance, item_ids, tables
from ferrari.ledger.columns import KEPT, QUARANTINED
from ferrari.ledger.reasons import EXTRACTOR_REJECTED, OK
from ferrari.video import linking_film
from ferrari.video.clip_verdicts import VERDICTS
from tests.stage.clip_run import Run

LIMITS = {"timeout_s": 20, "memory_mb": 2048}
FPS = 12.5
GARBAGE_MEAN = 20.0  # mean absolute difference (0-255) from the nearest true frame; dither gives 15
GARBAGE_BLOCK = 35.0  # the same in the worst block of 16x16 px
_HIT = ("DECODE_TIMEOUT", "OUT_OF_MEMORY", "DECODER_CRASHED")


@dataclass
class Result:
    """What became of a file; `problems` must be empty."""

    name: str
    verdict: str = ""
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    kept: int = 0
    quarantined: int = 0
    lost_s: float = 0.0
    off: list[tuple[str, float, float]] = field(default_factory=list)  # item, mean, worst block

    @property
    def hit_a_limit(self) -> bool:
        """True if the child that decoded was ended by a limit or a crash."""
        return any(reason in self.verdict for reason in _HIT)

    @property
    def garbage(self) -> list[tuple[str, float, float]]:
        """Kept frames that look like no true frame."""
        return [o for o in self.off if o[1] > GARBAGE_MEAN or o[2] > GARBAGE_BLOCK]


def judge(
    raw: Path, dataset: Path, truth_rgb: Sequence[np.ndarray] = (), limits: dict | None = None
) -> Result:
    """Probe and extract `raw` into `dataset`, which is emptied first, and look for faults of ours.

    `truth_rgb` are all frames that a sound decoder could get out of it, to tell garbage by.
    """
    shutil.rmtree(dataset, ignore_errors=True)
    result = Result(raw.name)
    run, limits = Run(dataset), limits or LIMITS
    started = time.monotonic()
    try:
        probe, rows = run.both(raw, probe=limits, extract={**limits, "fps": FPS})
        result.seconds = time.monotonic() - started
        result.problems += _faults(dataset, probe, rows)
    except Exception:  # noqa: BLE001 - handed on: any exception is what we are looking for
        result.seconds = time.monotonic() - started
        result.verdict = "EXCEPTION"
        result.problems.append(traceback.format_exc())
        return result
    result.verdict = probe["reason"]
    if rows and rows[0]["reason"] == EXTRACTOR_REJECTED:
        result.verdict = f"{EXTRACTOR_REJECTED}:{rows[0]['value']}"
    if result.seconds > 2 * limits["timeout_s"] + 5:
        result.problems.append(f"took {result.seconds:.0f} s")
    kept = tables.kept(rows)
    result.kept = len(kept)
    result.quarantined = sum(row["outcome"] == QUARANTINED for row in rows)
    result.lost_s = sum(float(row["value"]) for row in rows if row["reason"] == "LOST_SPAN")
    if len(truth_rgb):
        result.off = [(row["item"], *_off(dataset / row["path"], truth_rgb)) for row in kept]
    return result


def _faults(dataset: Path, probe: dict, rows: list[dict]) -> list[str]:
    found = []
    if probe["reason"] != OK and probe["reason"] not in VERDICTS:
        found.append(f"unknown verdict {probe['reason']}")
    if (probe["outcome"] == KEPT) is not (probe["reason"] == OK):
        found.append(f"outcome {probe['outcome']} with verdict {probe['reason']}")
    if not balance.balance("extract", rows, [probe]).balanced:
        found.append("the extract table does not balance")
    if probe["outcome"] != KEPT and (rows or not probe["detail"]):
        found.append("a refused clip has frames, or no detail")
    found += _file_faults(dataset, rows)
    for row in rows:
        cells = [row[name] for name in ("value", "threshold", "time_s", "sharpness")]
        if any(cell and not math.isfinite(float(cell)) for cell in cells if _number(cell)):
            found.append(f"{row['item']}: a figure is not finite")
        if row["reason"] == "NOT_WRITTEN":
            found.append(f"{row['item']}: never finished")
        if row["reason"] == "LOST_SPAN":
            found += _span_faults(row)
    return found


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _span_faults(row: dict) -> list[str]:
    lost = float(row["value"])
    start, end = (float(part) for part in _ends(row["detail"]))
    wrong = not 0 <= lost <= max(0.0, end - start) + 0.1 or row["path"] or row["sha256"]
    return [f"{row['item']}: lost {lost} s in {row['detail']}"] if wrong else []


def _ends(detail: str) -> tuple[str, str]:
    words = detail.split()
    return words[1], words[4]


def _file_faults(dataset: Path, rows: list[dict]) -> list[str]:
    found, listed = [], set()
    for row in rows:
        if not row["path"]:
            continue
        listed.add(row["path"])
        if row["path"].startswith("bad_videos/"):
            found += [] if (dataset / row["path"]).is_file() else [f"{row['path']} is missing"]
            continue
        try:
            image_files.read_verified(dataset / row["path"], row["sha256"])
        except image_files.ImageReadError as error:
            found.append(str(error))
    for folder in ("01_extracted_frames", "bad_frames"):
        for path in (dataset / folder).rglob("*"):
            inside = path.relative_to(dataset).as_posix()
            if path.is_file() and path.suffix not in (".csv", ".mkv") and inside not in listed:
                found.append(f"{inside} has no row")
    for film in (dataset / "01_extracted_frames").glob("*.linking.mkv"):
        try:
            frames = [picture.frame for picture in linking_film.read(film)]
        except image_files.ImageReadError as error:
            found.append(str(error))
            continue
        if frames != sorted(set(frames)) or (frames and not tables.kept(rows)):
            found.append(f"{film.name} has pictures twice, or of a clip without frames")
    return found


def _off(path: Path, truth_rgb: Sequence[np.ndarray]) -> tuple[float, float]:
    """Mean difference of a frame from the nearest true one, and that of the worst 16x16 block."""
    picture = image_files.read(path).astype(np.int16)
    best = (255.0, 255.0)
    for truth in truth_rgb:
        if truth.shape != picture.shape:
            continue
        apart = np.abs(picture - truth).mean(axis=2, dtype=np.float32)
        mean = float(apart.mean())
        if mean < best[0]:
            size = (max(1, apart.shape[1] // 16), max(1, apart.shape[0] // 16))
            best = (mean, float(cv2.resize(apart, size, interpolation=cv2.INTER_AREA).max()))
    return best


def video_of(raw: Path) -> str:
    """Id of the file in a dataset of its own."""
    return item_ids.video_id(raw.name)
