"""Stage 0: is this raw file a video that can be used? One row, one verdict, never a traceback.

The file is looked at in a child process with limits (see `scripts.lib.sandbox`); what it is
refused for is listed in `scripts.lib.verdicts.VERDICTS`. A refused file is copied, or linked where
the file system can, to `bad_videos/<VERDICT>/`, with a line in the table that says why.
"""

import os

from scripts.lib import ledger, probing
from scripts.lib.files import sha256_file
from scripts.lib.refusals import refuse_video
from scripts.lib.sandbox import Failure, run_limited
from scripts.lib.verdicts import OK


def probe_video(
    *, raw: str, file: str, video: str, dataset: str, out_csv: str, settings: dict
) -> None:
    """Write the one-row probe table of a raw file.

    `file` is its path relative to the raw folder; `settings` the `probe` section of the config.
    """
    problem = probing.readable_problem(raw)
    if problem:
        look, digest, size = probing.Look("UNREADABLE", f"the file {problem}"), "", ""
    else:
        digest, size = sha256_file(raw), os.path.getsize(raw)
        look = _look_limited(raw, settings)
    look, value, threshold = _apply_bounds(look, settings)
    fine = look.verdict == OK
    refused_path = "" if fine else refuse_video(raw, file, look.verdict, dataset)
    row = ledger.row(
        "probe",
        item=video,
        parent=file,
        outcome=ledger.KEPT if fine else ledger.QUARANTINED,
        reason=look.verdict,
        value=value,
        threshold=threshold,
        path=refused_path,
        sha256=digest,
        file=file,
        bytes=size,
        detail=look.detail,
        **look.facts,
    )
    ledger.write_stage(out_csv, "probe", [row])


def _look_limited(raw: str, settings: dict) -> probing.Look:
    """`probing.look` in a child; what ends the child becomes the verdict."""
    result = run_limited(
        probing.look, raw, timeout_s=settings["timeout_s"], memory_mb=settings["memory_mb"]
    )
    if isinstance(result, Failure):
        return probing.Look(result.reason, result.detail)
    return result


def _apply_bounds(look: probing.Look, settings: dict) -> tuple[probing.Look, object, object]:
    """The verdict after the bounds, with the value and the threshold it was measured by."""
    bound = settings["min_short_side"]
    if look.verdict != OK:
        return look, "", ""
    short = min(int(look.facts["width"]), int(look.facts["height"]))
    if short < bound:
        why = f"its short side is {short} px as shown; probe.min_short_side is {bound}"
        return probing.Look("LOW_RESOLUTION", why, look.facts), short, bound
    return look, short, bound


if __name__ == "__main__":
    from scripts.lib.logs import send_output_to
    from scripts.lib.stamps import seal

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    probe_video(
        raw=job.params.raw,
        file=job.params.file,
        video=job.wildcards.video,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
        settings=job.config["probe"],
    )
    seal(job)
