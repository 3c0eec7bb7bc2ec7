"""Rows that may end differently when their job runs again on the same input: a limit of the machine
ended them, or a file was damaged and may have been restored.
"""

from __future__ import annotations

from collections.abc import Mapping

from ferrari.ledger.reasons import (
    DECODE_TIMEOUT,
    MASK_MISMATCH,
    MODEL_TIMEOUT,
    OUT_OF_MEMORY,
    SHA_MISMATCH,
    UNREADABLE_CROP,
    UNREADABLE_CUTOUT,
    UNREADABLE_FRAME,
    UNREADABLE_IMAGE,
    UNREADABLE_PICTURE,
)

#: Reasons that a limit gives, and the setting that is the limit.
LIMIT_OF = {
    OUT_OF_MEMORY: "memory_mb",
    MODEL_TIMEOUT: "timeout_s",
    DECODE_TIMEOUT: "timeout_s",
}


#: Reasons that speak of a file on the disk: somebody may have put it right.
OF_A_FILE = frozenset(
    {
        *(UNREADABLE_FRAME, UNREADABLE_CROP, UNREADABLE_CUTOUT, UNREADABLE_IMAGE),
        *(UNREADABLE_PICTURE, SHA_MISMATCH, MASK_MISMATCH),
    }
)


def limit_that_ended(row: Mapping[str, object]) -> str:
    """The limit behind a row's reason (or a whole clip's value), or ""."""
    return LIMIT_OF.get(str(row["reason"])) or LIMIT_OF.get(str(row["value"]), "")


def is_open(row: Mapping[str, object], before: Mapping, now: Mapping) -> bool:
    """True if the row blames a file, or a limit that was lower `before` than it is `now`."""
    if row["reason"] in OF_A_FILE:
        return True
    limit = limit_that_ended(row)
    return bool(limit) and before.get(limit, 0) < now.get(limit, 0)
