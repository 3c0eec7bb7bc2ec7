"""Stage 0: is this raw file a usable video? One row, one verdict, never a traceback.

The file is examined in a child process with limits (see `ferrari.processes.limited_call`); the
reasons for a refusal are in `ferrari.ledger.reasons`. A refused file is copied, or
linked where the file system can, to `bad_videos/<VERDICT>/`, with a line in the table that says
why. A clip that lies in a bucket is fetched for it, and handed on to stage 1; one that cannot be
fetched is a row too, and is tried again in each run.
"""

from ferrari.ledger import tables
from ferrari.ledger.columns import KEPT, QUARANTINED
from ferrari.ledger.reasons import (
    LOW_RESOLUTION,
    NOT_FETCHED,
    OK,
    TOO_LARGE,
    UNREADABLE,
    of_stage,
)
from ferrari.ledger.refused_files import clear_video, refuse_video
from ferrari.processes.failures import Failure
from ferrari.processes.limited_call import run_limited
from ferrari.provenance.table_stamps import seal
from ferrari.storage import buckets
from ferrari.video import fetched_clips, probing, raw_files
from ferrari.video.containers import is_too_large


def probe_video(
    *, raw: str, file: str, video: str, dataset: str, out_csv: str, settings: dict
) -> None:
    """Write the one-row probe table of a raw file.

    `raw` is its path, or its address in a bucket; `file` its path relative to the raw folder;
    `settings` the `probe` section of the config. Raises RawFileChangedError if the file was removed
    after the folder was listed, BucketError if its bucket cannot be asked.
    """
    clear_video(video, of_stage("probe"), dataset)
    try:
        with fetched_clips.at_hand(raw, video, dataset) as clip:
            row = _probed(clip, file, video, dataset, settings)
            clip.hand_on = row["outcome"] == KEPT
        fetched_clips.forget_failure(video, dataset)
    except buckets.ObjectError as error:
        row = _row(video, file, probing.Look(NOT_FETCHED, f"the object {error}"))
        fetched_clips.note_failure(video, dataset)
    tables.write_stage(out_csv, "probe", [row])


def _probed(
    clip: fetched_clips.ClipAtHand, file: str, video: str, dataset: str, settings: dict
) -> tables.Row:
    """The row of a file on the disk; a refused file is copied."""
    look, digest, size = _read_and_look(clip.path, settings)
    look, value, threshold = _apply_bounds(look, settings)
    refused = "" if look.verdict == OK else refuse_video(clip.path, file, look.verdict, dataset)
    told = {"value": value, "threshold": threshold, "path": refused, "sha256": digest}
    return _row(video, file, look, bytes=size, etag=clip.etag, **told)


def _row(video: str, file: str, look: probing.Look, **told: object) -> tables.Row:
    return tables.row(
        "probe",
        item=video,
        parent=file,
        outcome=KEPT if look.verdict == OK else QUARANTINED,
        reason=look.verdict,
        file=file,
        detail=look.detail,
        **look.facts,
        **told,
    )


def _read_and_look(raw: str, settings: dict) -> tuple[probing.Look, str, int | str]:
    """What the file is, its SHA-256 and its size; the last two are empty if it cannot be read to
    its end.
    """
    try:
        read = raw_files.read(raw)
        look = _look_limited(raw, settings)
        read.check_still(raw)
    except raw_files.NoFileError as error:
        return probing.Look(UNREADABLE, f"the file {error}"), "", ""
    return look, read.sha256, read.size


def _look_limited(raw: str, settings: dict) -> probing.Look:
    """`probing.look` in a child process; if the child crashes or reaches a limit, that is the
    verdict.
    """
    result = run_limited(
        probing.look,
        raw,
        settings["max_megapixels"],
        settings["animations"],
        timeout_s=settings["timeout_s"],
        memory_mb=settings["memory_mb"],
    )
    if isinstance(result, Failure):
        return probing.Look(result.reason, result.detail)
    return result


def _apply_bounds(look: probing.Look, settings: dict) -> tuple[probing.Look, object, object]:
    """The verdict after applying the bounds, with the value and the threshold that decided."""
    bound, most = settings["min_short_side"], settings["max_megapixels"]
    if look.verdict not in (OK, TOO_LARGE):
        return look, "", ""
    width, height = int(look.facts["width"]), int(look.facts["height"])
    if look.verdict == TOO_LARGE or is_too_large(width, height, int(most * 1e6)):
        refused = probing.too_large(width, height, most)  # as stored, or as shown
        facts = {**look.facts, **refused.facts}
        return probing.Look(TOO_LARGE, refused.detail, facts), width * height / 1e6, most
    short = min(width, height)
    if short < bound:
        why = f"its short side is {short} px as shown; probe.min_short_side is {bound}"
        return probing.Look(LOW_RESOLUTION, why, look.facts), short, bound
    return look, short, bound


def still_holds(job) -> bool:
    """True if the raw file is still the one in the table.

    A new modification time alone is no reason to examine it again. A file that could not be read to
    its end is examined again. An object in a bucket is identified by its ETag, without fetching it.
    """
    (row,) = tables.read_stage(job.output.table, "probe")
    try:
        if buckets.is_address(job.params.raw):
            return row["etag"] == buckets.look(job.params.raw).etag != ""
        return row["sha256"] == raw_files.read(job.params.raw).sha256
    except (raw_files.NoFileError, buckets.ObjectError):
        return False


def run(job) -> None:
    """The job of the rule `probe` (see `ferrari.jobs.stage_job`)."""
    probe_video(
        raw=job.params.raw,
        file=job.params.file,
        video=job.wildcards.video,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
        settings=job.settings("settings"),
    )
    seal(job)
