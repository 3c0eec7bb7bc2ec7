"""What to say with an answer about a set: that a run is making it just now, that the last one did
not get to its end, or that there are other clips since.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from ferrari.common import places
from ferrari.common.counts import first_of
from ferrari.common.errors import FerrariError
from ferrari.common.visible_text import shown
from ferrari.jobs import run_events, run_lock
from ferrari.jobs.run_events import EventReader
from ferrari.jobs.run_progress import RunProgress
from ferrari.ledger import clips_waiting, raw_listing, raw_place, tables
from ferrari.ledger.stages import REFERENCES_CSV, VIDEOS_CSV
from ferrari.provenance import last_run
from ferrari.reports import run_end
from ferrari.subject import modes
from ferrari.video import raw_files

_NAMED = 3  # pictures, of each kind


def at_work(work: Path, dataset: Path) -> str:
    """'a run is at work since 22:41: 120 of 700 jobs are done', of the set in the folder `work`; ""
    where none is. How far it is, is not known of one that was started in another folder.
    """
    state = run_lock.at_work(dataset, work)
    if state == run_lock.JOBS:
        return "a run was killed, and jobs of it are still at work"
    if state != run_lock.RUN:
        return ""
    progress = RunProgress()
    for path in run_events.files(work)[:1]:
        events = EventReader(path)
        if events.is_written() is not False:
            list(progress.take(events.new()))
    if not progress.planned:
        return "a run is at work"
    done, jobs = progress.done.total(), progress.planned.total()
    return f"a run is at work since {_told(progress.began)}: {done:,} of {jobs:,} jobs are done"


def unfinished(work: Path, config: Mapping) -> list[str]:
    """Of the set in the folder `work`: that the run which `last_run.unfinished` names stopped, and
    what its jobs said; [] if there is none.
    """
    found = last_run.unfinished(work / config["audit"])
    if found is None:
        return []
    folder, run = found
    command = f"make run{places.as_typed(work)}"
    said = run_end.failures(work / "logs", datetime.fromisoformat(run["start"]).timestamp())
    how = "stopped" if run["status"] else "was killed, or is still at work,"
    cure = f"Mend what stopped it, run again ({command})"
    if last_run.was_asked_to_stop(folder):
        how = "was stopped from outside (Ctrl-C, or an order to end)"
        cure = f"The same run goes on where it was ({command}): let it end"
    return [
        f"The run of {run['start']} {how} before its end, and none of the whole set has got to its "
        "end since: what it had begun to make anew is missing below, or does not fit the rest. "
        f"{cure}, and verify then: what is named after that is damage.",
        *(["What it said:", *said] if said else []),
        "",
    ]


def other_clips(work: Path, config: Mapping) -> list[str]:
    """Of the set in the folder `work`: which clips were taken out of, or put into, the raw folder
    since the last run; [] where there are none, or where the folder cannot be listed.
    """
    table = work / config["dataset"] / VIDEOS_CSV
    raw = raw_place.of(config, work)
    try:
        if not table.is_file() or not raw_place.is_there(raw):
            return []
        rows = tables.read_stage(table, "videos")
        videos = raw_listing.look_through(raw, config["intake"]["ignore"]).videos
    except (FerrariError, OSError, ValueError):  # damage, which the answer itself names
        return []
    known = {row["item"] for row in rows}
    others_make_some = config["shard"] is not None
    new = [] if others_make_some else [videos[video] for video in videos.keys() - known]
    said = [
        clips_waiting.since_last_run("Gone", clips_waiting.gone(rows, videos)),
        clips_waiting.since_last_run("New", sorted(new)),
    ]
    if not any(said):
        return []
    return [
        f"{' '.join(filter(None, said))} If that is meant, run the set first (make run"
        f"{places.as_typed(work)}), and verify then: until a run has gone through, what was made "
        "with other clips is named below.",
        "",
    ]


def other_pictures(work: Path, config: Mapping) -> str:
    """Of the set in the folder `work`: which pictures of the subject, or of others, came, went or
    changed since it was last decided who the subject is; "" where there are none.

    Raises SettingsError for a folder of pictures that is not there, or is empty.
    """
    table = work / config["dataset"] / REFERENCES_CSV
    if not table.is_file():
        return ""
    then = {(row["setting"], row["file"]): row["sha256"] for row in tables.iter_table(table)}
    chosen = modes.choose(config["subject"], config["detect"]["class"], work)
    now = {
        (folder.setting, file): _digest(Path(folder.path, file))
        for folder in (chosen.references, chosen.others)
        if folder
        for file in folder.files
    }
    kinds = {
        "new": now.keys() - then.keys(),
        "gone": then.keys() - now.keys(),
        # Of a picture that could not be read no digest was kept.
        "changed": {one for one in now.keys() & then.keys() if then[one] not in ("", now[one])},
    }
    said = [
        f"{len(found):,} {kind} ({first_of(sorted(shown(file) for _, file in found), _NAMED)})"
        for kind, found in kinds.items()
        if found
    ]
    if not said:
        return ""
    return (
        f"Pictures of the subject, or of others, since the last run: {', '.join(said)}. Who the "
        "subject is gets decided anew, and with it who is in each clip."
    )


def _digest(picture: Path) -> str:
    try:
        return raw_files.read(picture).sha256
    except (raw_files.NoFileError, raw_files.RawFileChangedError):
        return ""


def _told(time_s: float) -> str:
    then = datetime.fromtimestamp(time_s)
    today = then.date() == datetime.now().date()
    return f"{then:%H:%M}" if today else f"{then:%Y-%m-%d %H:%M}"
