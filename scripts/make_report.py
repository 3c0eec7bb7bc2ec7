"""The job of a report: leave it as it is if nothing has changed, else run its own script.

The scripts of the reports load pandas and the chart library, which takes two seconds. Whether there
is anything to do is checked first, without them.
"""

import importlib
from pathlib import Path

from ferrari.jobs.job_log import send_output_to
from ferrari.provenance import table_stamps
from ferrari.provenance.report_stamps import FOLDER, ReportStamp
from ferrari.reports import vega


def make_report(job) -> None:
    """Make a report with `run(job)` of the script named by the param `made_by`, unless it is up to
    date.
    """
    stamp = ReportStamp(job)
    if not stamp.left_alone():
        stamp.withdraw()
        vega.keep_in(Path(job.config["cache"]))
        keep_what_is_seen(job)
        importlib.import_module(job.params.made_by).run(job)
        stamp.seal()


def keep_what_is_seen(job) -> None:
    """Have the report open only images that have changed since it last saw them."""
    from ferrari.qc import seen_before

    maker = f"{job.params.code} {table_stamps.versions('report')}"
    seen_before.remember_in(Path(job.output[0]).parent / FOLDER, job.params.made_by, maker)


if __name__ == "__main__":
    send_output_to(snakemake.log[0])  # noqa: F821
    make_report(snakemake)  # noqa: F821
