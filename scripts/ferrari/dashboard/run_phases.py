"""The phases of a set's runs, and each of them as a sentence for a person."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from ferrari.common import settings
from ferrari.dashboard.reviewed_set import ReviewedSet
from ferrari.dashboard.run_control import DRY
from ferrari.jobs.run_progress import RunProgress
from ferrari.provenance import last_run

#: What is at work: a run; one that has not come to its first job; one that leaves no events; jobs
#: that a killed run left. Else how the last run ended, or that there was none.
RUNNING, STARTING, SILENT, LEFTOVERS = "running", "starting", "silent", "leftovers"
SUCCESS, FAILED, STOPPED, KILLED, NONE = "success", "failed", "stopped", "killed", "none"
_AT_WORK = {
    SILENT: "A run is at work on this set and leaves no events here: it was started in another "
    "folder, by another workflow, or with --no-hooks. The ledger below is right anyway.",
    STARTING: "A run is at work, and comes to its first job.",
    LEFTOVERS: "A run was killed, and jobs of it are still at work: no new one can start yet.",
}
_ENDED = {
    SUCCESS: "ended well",
    FAILED: "ended with failed jobs: what they say is below. Mend that and run again",
    STOPPED: "was stopped, or could not go on: the log says which. Run again to go on",
    KILLED: "was ended from outside, in the middle: run again to go on",
}
_RECORDED = {"success": "ended well", "failed": "ended with failed jobs"}


def sentence(phase: str, progress: RunProgress, started: str) -> str:
    """What goes on, or how the last run ended; of NONE see `of_record`.

    `progress` is of the latest run that left events, `started` the kind of the run that this server
    started and that goes on; "" for none.
    """
    if phase == RUNNING and not progress.running:
        return "A run is at work; between two jobs right now."
    if phase == RUNNING:
        return f"A run has been at work since {_moment(progress.began)}."
    if phase == STARTING and started:
        what = "A dry run" if started == DRY else "A run"
        return f"{what} was started here and looks at what is to be done."
    if phase in _AT_WORK:
        return _AT_WORK[phase]
    return f"The last run began {_moment(progress.began)} and {_ENDED.get(phase, _ENDED[KILLED])}."


def of_record(the_set: ReviewedSet) -> str:
    """Of a set whose runs left no events here: what the record of its last run says."""
    audit = the_set.work / settings.load(*the_set.config_files)["audit"]
    last = last_run.of(audit)
    if last is None:
        return "No run of this set is recorded yet."
    record = json.loads((last.folder / "run.json").read_bytes())
    status = _RECORDED.get(record.get("status"), "did not say how it ended")
    return f"The last run that is recorded began {last.start} and {status}."


def _moment(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
