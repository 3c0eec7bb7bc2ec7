"""The job of a report: left as it is if it would come out the same, else made by its own script.

The scripts of the reports load pandas and what draws charts, which takes two seconds. Whether there
is anything to do is asked first, without them.
"""

import importlib
from pathlib import Path

from ferrari.jobs.job_log import send_output_to
from ferrari.provenance import table_stamps
from ferrari.provenance.report_stamps import FOLDER, ReportStamp
from ferrari.reports import vega


def make_report(job) -> None:
    """Make a report with `run(job)` of the script that the param `made_by` names, if need be."""
    stamp = ReportStamp(job)
    if not stamp.left_alone():
        stamp.withdraw()
        vega.keep_in(Path(job.config["cache"]))
        keep_what_is_seen(job)
        importlib.import_module(job.params.made_by).run(job)
        stamp.seal()


def keep_what_is_seen(job) -> None:
    """Have the report open only images that it has not seen as they are."""
    from ferrari.qc import seen_before

    maker = f"{job.params.code} {table_stamps.versions('report')}"
    seen_before.remember_in(Path(job.output[0]).parent / FOLDER, job.params.made_by, maker)


if __name__ == "__main__":
    send_output_to(snakemake.log[0])  # noqa: F821
    make_report(snakemake)  # noqa: F821
