"""Models in a child process of their own, which loads them once and then serves calls.

Networks, their runtimes and compiled matting are native code that runs on hostile input. A
segfault, a hang or runaway memory ends the child, not the job, and costs the one image that caused
it. The parent never imports what the child runs. While it waits for the child, it watches the time
and the memory that the child holds for itself. (The child's address space is not limited: CUDA and
torch reserve far more than they use.)

    with Isolated(load, harmless, Limits.of("mask", settings)) as model:
        results, remark = model.outcomes(items, "crops")

`load` is called in the child. It returns `about` (what rows say of the model) and `run` (which
turns items into a list of as many results). Items, results and `about` must pickle. If `load`
pickles too, the process may be one that has served other jobs with the same model (`model_lease`).
When such a process dies, the items are tried again in a fresh one before they are blamed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ferrari.common.progress import LOGGER, CountedWarnings
from ferrari.processes import model_lease
from ferrari.processes.batching import halving
from ferrari.processes.failures import ChildError
from ferrari.processes.model_process import Child, Load, OverMemoryError
from ferrari.processes.model_verdicts import KilledModelError, Limits, ModelDiedError, Verdicts


class Isolated:
    """A model in a process of its own, which starts at once and loads while the caller goes on.

    `harmless` is an item that any sound model survives. When an image ends the process, `harmless`
    is tried: if it ends the process too, the image is not to blame.
    """

    def __init__(self, load: Load, harmless: object, limits: Limits) -> None:
        self._load, self._harmless, self._limits = load, harmless, limits
        self._about: Mapping[str, object] | None = None
        self._verdicts = Verdicts(limits)
        self._child: Child | None = model_lease.begin(load)
        self._loaded = False
        self._warnings = CountedWarnings()
        self._remarks: dict[str, None] = {}  # on the results since the last `outcomes`

    @property
    def about(self) -> Mapping[str, object]:
        """What rows say of the model; waits for it. Raises what `load` raises."""
        while self._about is None:
            self._verdicts.retried(self._ready)
        return self._about

    def run(self, items: Sequence[Any]) -> list:
        """One result for each item.

        Raises ModelDiedError if the items ended the process; if there was only one, it is to blame.
        Raises what the model raises (an exception of a library as ChildError, with its traceback),
        and IsolationError if the process dies here on any input.
        """
        try:
            results = self._verdicts.retried(self._ask, items)
        except ModelDiedError as death:
            if len(items) == 1:
                self._verdicts.blame(death, self._try_harmless)
            raise
        self._verdicts.worked()
        return results

    def outcomes(self, items: Sequence[Any], what: str) -> tuple[list, str]:
        """`run` in smaller pieces where need be: results and Failures, and a remark for the rows:
        that of `batching.halving`, and what the model's process had to say (`remarks`).
        """
        self._remarks.clear()
        results, remark = halving(self.run, items, what, self._warnings)
        return results, "; ".join(dict.fromkeys(filter(None, [remark, *self._remarks])))

    def close(self) -> None:
        """Give the process up: a warm one goes back to its server, a child of this process ends."""
        self._warnings.sum_up()
        if self._child is not None:
            self._child.release()
        self._child, self._loaded = None, False

    def __enter__(self) -> Isolated:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _try_harmless(self) -> None:
        self._verdicts.retried(self._ask, [self._harmless])

    def _ready(self) -> Child:
        """A child that has loaded the model."""
        if self._child is None:
            self._child = model_lease.begin(self._load, fresh=True)
        if self._loaded:
            return self._child
        try:
            self._about = self._answer(self._child, self._limits.load_timeout_s)
        except ModelDiedError as death:
            raise self._verdicts.ended_while_loading(death) from death
        self._loaded = True
        return self._child

    def _ask(self, items: Sequence[Any]) -> list:
        child = self._ready()
        child.channel.connection.settimeout(self._limits.timeout_s)
        try:
            child.channel.send(items)
        except OSError:  # it is gone, or does not read: `_answer` finds out which
            LOGGER.debug("the model's process did not take its items")
        return self._answer(child, self._limits.timeout_s)

    def _answer(self, child: Child, timeout_s: float) -> Any:
        """The child's answer; ModelDiedError or KilledModelError without one, and it is ended."""
        try:
            kind, value, remark = child.answer(timeout_s, self._limits.memory_mb << 20)
        except (EOFError, ConnectionError, TimeoutError, OverMemoryError) as error:
            code, used = child.end(), child.used
            self._child, self._loaded = None, False
            verdict = self._verdicts.of_exit(error, code, timeout_s)
            raise KilledModelError(f"after other jobs: {verdict}") if used else verdict from None
        if kind == "result":
            self._remarks |= {remark: None} if remark else {}
            return value
        raise value if kind == "raise" else ChildError(value)
