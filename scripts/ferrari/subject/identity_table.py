"""The table of identities of a clip: a row for the clip as a whole, then one for each track.

`<dataset>/subject/identity/<video>.csv` says of each track whether it is the subject, on what
evidence and how surely, after tracks that pass from one person to another were cut. Its rows are no
items with a fate (those of the crops' table are), so it is no part of the ledger; the stamp of the
crops' table has its digest. It holds no embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

from ferrari.subject import clip_table


@dataclass(frozen=True)
class IdentityRow:
    """A track, or (`track` is None) the clip: `mode`, and what was seen of faces in it.

    `linked_track` is the number that the track, before it was cut, has in the table of tracks;
    `joined` has the numbers of those that a person joined to it, parted by spaces.
    `who`, `by`, `why`, `score`, `threshold` and `sureness` are those of its judgement (see
    `judgements.Judgement`). `faces` are those that could be judged, `faces_seen` all; `face_px` is
    the median of the short side of the judged ones, or where there are none of all. `frames` are
    the kept frames in which it is seen; the clip's are those that show anybody. `decision` holds
    the ids of the rows of a person's decisions that made it what it is, parted by spaces.
    """

    track: int | None
    mode: str = ""
    linked_track: int | None = None
    who: str = ""
    by: str = ""
    why: str = ""
    score: float | None = None
    threshold: float | None = None
    sureness: float | None = None
    faces: int | None = None
    faces_seen: int | None = None
    face_px: float | None = None
    frames: int | None = None
    from_s: float | None = None
    to_s: float | None = None
    decision: str = ""
    joined: str = ""


COLUMNS = clip_table.columns(IdentityRow)
