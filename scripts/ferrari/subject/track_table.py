"""The table of a clip's tracks: a row for the clip as a whole, then one for each track.

`<dataset>/subject/tracks/<video>.csv` says when each person that a clip shows is there, how the
track ended, how much of the picture it takes, and how steadily it shows one person. Its rows are
no items with a fate, so it is no part of the ledger; the stamp of the detections' table has its
digest.
"""

from __future__ import annotations

from dataclasses import dataclass

from ferrari.subject import clip_table


@dataclass(frozen=True)
class TrackRow:
    """A track, or (`track` is None) the clip: what was searched, and whether people stay.

    `moments` are those in which it was found, kept frames and pictures of the linking film alike;
    `frames` the kept frames among them. `area` is the mean of its box as a share of the picture,
    `off_centre` the mean of how far its box is from the middle (0 to 1, see
    `subject_choice.off_centre`), `consistency` 0 to 1 (see `subject.consistency`). `unsearched`, of
    a clip alone, is how many pictures of its film the detector could not search; `looks_again` and
    `found_again` how many second looks were taken at places where a track lost somebody, and how
    many found them (None: none were asked for).
    """

    track: int | None
    from_s: float | None
    to_s: float | None
    moments: int
    frames: int
    ended_by: str = ""
    area: float | None = None
    off_centre: float | None = None
    confidence: float | None = None
    consistency: float | None = None
    unsearched: int | None = None
    looks_again: int | None = None
    found_again: int | None = None


COLUMNS = clip_table.columns(TrackRow)
