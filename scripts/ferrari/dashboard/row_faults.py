"""Rows that the next run would refuse or fail on, rejected before they are written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ferrari.captions import by_hand
from ferrari.captions.overrides import OverridesError
from ferrari.review.contract import CAPTION, Decision


class RowFaults:
    """Checks rows against what the stages will require of them.

    `work` is where relative paths of the settings begin, `config` all settings of the set.
    """

    def __init__(self, work: Path, config: Mapping) -> None:
        self._config = by_hand.seen_from(work, config)

    def of(self, row: Decision) -> str:
        """What is wrong with a row beyond its own cells; "" for a sound one.

        A mask is checked when it is written (`review.writing`).
        """
        if row.decision != CAPTION:
            return ""
        try:
            return by_hand.fault_of(self._config, row)
        except OverridesError as error:
            return str(error)
