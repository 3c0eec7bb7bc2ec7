"""Rows that a limit of the machine ended: a higher limit may give another row."""

from __future__ import annotations

from collections.abc import Mapping

from ferrari.ledger.reasons import DECODE_TIMEOUT, MODEL_TIMEOUT, OUT_OF_MEMORY

#: Reasons that a limit gives, and the setting that is the limit.
LIMIT_OF = {
    OUT_OF_MEMORY: "memory_mb",
    MODEL_TIMEOUT: "timeout_s",
    DECODE_TIMEOUT: "timeout_s",
}


def limit_that_ended(row: Mapping[str, object]) -> str:
    """The limit that a row's reason (or a whole clip's value) stands for, or ""."""
    return LIMIT_OF.get(str(row["reason"])) or LIMIT_OF.get(str(row["value"]), "")


def is_open(row: Mapping[str, object], before: Mapping, now: Mapping) -> bool:
    """True if a limit ended the row, and was lower `before` than it is `now`."""
    limit = limit_that_ended(row)
    return bool(limit) and before.get(limit, 0) < now.get(limit, 0)
