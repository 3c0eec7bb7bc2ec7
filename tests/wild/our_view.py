"""A clip as stages 0 and 1 see it: its probe row, a row for every frame, and three pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ferrari.images import image_files
from ferrari.ledger.columns import KEPT
from ferrari.ledger.reasons import DECODE_DAMAGE, EXTRACTOR_REJECTED, LOST_SPAN
from tests.settings import section
from tests.stage.clip_run import Run

_EVERY_FRAME = 90_000  # samples a second: the time base of MPEG, the finest in common use
#: Bounds of luma changes: below the greatest one every frame repeats the first, below 0 none does.
_REPEATS = [name for name in section("extract") if name.startswith("duplicate_")]
_ALL_REPEAT, _NONE_REPEATS = dict.fromkeys(_REPEATS, 255), dict.fromkeys(_REPEATS, 0)
_LOSSLESS = 101
#: Nothing is refused for its size alone; a clip may take long, but not for ever.
_PROBE = {"min_short_side": 1, "timeout_s": 60}
_EXTRACT = {"decoder": "cpu", "timeout_s": 600}
_PICTURES = 3


@dataclass(frozen=True)
class OurPicture:
    """A frame that stage 1 wrote: its row, and what its file holds (HxWx3 uint8 RGB)."""

    row: dict[str, str]
    rgb: np.ndarray

    @property
    def time_s(self) -> float:
        """Its time by its row."""
        return float(self.row["time_s"])


@dataclass
class OurView:
    """What stages 0 and 1 make of one file.

    `probe` is its probe row, `frames` the rows of all frames that came out, sound or not, `lost`
    the rows of its lost spans, `rejection` that of stage 1 if it refused the clip. `pictures` are
    the first, the middle and the last frame, as near as stage 1 samples them, without loss; `lossy`
    is the first one as it is written by default, from the video's own planes.
    """

    probe: dict[str, str]
    frames: list[dict[str, str]] = field(default_factory=list)
    lost: list[dict[str, str]] = field(default_factory=list)
    rejection: dict[str, str] | None = None
    pictures: list[OurPicture] = field(default_factory=list)
    lossy: OurPicture | None = None
    too_long: bool = False

    @property
    def refused(self) -> str:
        """The code of the stage that refused the clip, or ""."""
        if self.probe["outcome"] != KEPT:
            return self.probe["reason"]
        return EXTRACTOR_REJECTED if self.rejection else ""

    @property
    def refusal(self) -> str:
        """What the refusing row says."""
        row = self.rejection or self.probe
        return f"{row['value']}: {row['detail']}" if self.rejection else row["detail"]


def look(raw: Path, work: Path, most_frames: int = 20_000, threads: int = 1) -> OurView:
    """Run stages 0 and 1 on `raw`, with a dataset of their own in the folder `work`.

    A clip of more than `most_frames` is not decoded, and the view is `too_long`.
    """
    run = Run(work)
    view = OurView(run.probe(raw, **_PROBE))
    view.too_long = int(view.probe["frames"] or 0) > most_frames
    if view.refused or view.too_long:
        return view
    rows = run.extract_probed(
        raw, threads, **_EXTRACT,
        fps=_EVERY_FRAME, **_ALL_REPEAT, webp_quality=100,
    )  # fmt: skip
    view.lost = [row for row in rows if row["reason"] == LOST_SPAN]
    view.rejection = next((row for row in rows if row["reason"] == EXTRACTOR_REJECTED), None)
    view.frames = [row for row in rows if row["frame"] != "" and row not in view.lost]
    view.lossy = next(iter(_written(rows, work)), None)
    if view.rejection is None and view.frames:
        samples = run.extract_probed(
            raw, threads, **_EXTRACT,
            fps=_thirds(view.frames), **_NONE_REPEATS, webp_quality=_LOSSLESS,
        )  # fmt: skip
        view.pictures = _three(_written(samples, work, most=None))
    return view


def damaged(row: dict[str, str]) -> bool:
    """True for the row of a frame that stage 1 does not trust."""
    return row["reason"] == DECODE_DAMAGE


def _thirds(rows: list[dict[str, str]]) -> float:
    """Samples a second by which the last frame is the third sample, where times are in order."""
    times = [float(row["time_s"]) for row in rows]
    span = max(times) - min(times)
    return min(_EVERY_FRAME, (_PICTURES - 1) / span * 1.0001) if span else 1.0


def _written(rows: list[dict[str, str]], work: Path, most: int | None = 1) -> list[OurPicture]:
    kept = [row for row in rows if row["outcome"] == KEPT][:most]
    files = ((row, image_files.read_verified(work / row["path"], row["sha256"])) for row in kept)
    return [OurPicture(row, picture_rgb) for row, picture_rgb in files]


def _three(pictures: list[OurPicture]) -> list[OurPicture]:
    places = sorted({0, len(pictures) // 2, len(pictures) - 1})
    return [pictures[place] for place in places if pictures]
