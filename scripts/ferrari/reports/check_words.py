"""A check that is not PASS as one line, which makes sense by itself and names the clips."""

from __future__ import annotations

from collections.abc import Mapping

from ferrari.common.visible_text import shown
from ferrari.ledger import item_ids
from ferrari.reports.checks import MAX_ROWS, Check, as_named, figure_in_words
from ferrari.reports.titles import check_title
from ferrari.review.contract import track_of

_NAMED = 5
_LONGEST = 200  # characters of a figure


def line(check: Check, files: Mapping[str, str]) -> str:
    """'Clips show the subject: not so for 2 of 7 (a.mp4, b.mp4)'; `files` are those of the clips,
    by id.
    """
    names = clips_of(check, files)
    more = len(names) - _NAMED
    clips = ", ".join(names[:_NAMED])
    if more > 0:
        clips += f" and {more}{' or more' if len(check.rows) == MAX_ROWS else ''} others"
    bound = f"bound: {check.bound}" if check.bound != "0" else ""
    beside = "; ".join(filter(None, (bound, clips)))
    said = f"{check_title(check.name)}: {shown(figure_in_words(check), _LONGEST)}"
    return f"{said} ({beside})" if beside else said


def clips_of(check: Check, files: Mapping[str, str]) -> list[str]:
    """The files of the clips that a check's rows name, each once; a row that names no clip (a
    picture, a package) as it is.
    """
    clips = (files.get(_clip_of(row)) for row in check.rows)
    named = (file or as_named(row) for file, row in zip(clips, check.rows, strict=True))
    return list(dict.fromkeys(shown(name, 80) for name in named))


def _clip_of(row: str) -> str:
    """The clip that a row is about: one of a track (`<clip>-t3`), or an item."""
    track = track_of(row)
    return track[0] if track else item_ids.clip_of(row)
