"""What a process has to say of what it computes, for the rows of that: batches that were halved.

Whatever computes calls `add`, each time that it holds. Whoever answers for it takes what was said
(`taken`) and sends it along with the results, from process to process, to the job that writes rows.
One thread of a process computes.
"""

from __future__ import annotations

_said: dict[str, None] = {}


def add(remark: str) -> None:
    """Say something of what is being computed; "" says nothing."""
    if remark:
        _said[remark] = None


def taken() -> str:
    """All that was said since the last call, each once."""
    said = "; ".join(_said)
    _said.clear()
    return said
