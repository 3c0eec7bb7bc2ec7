"""Fail, naming every fault, unless the last `verify` found the dataset sound."""

import os
import sys
from pathlib import Path

from ferrari.common.errors import FerrariError
from ferrari.reports import checks


class VerificationError(FerrariError, RuntimeError):
    """The dataset is not what the pipeline wrote; names check, figure and rows."""


def require_verified(*, checks_csv: str | os.PathLike) -> str:
    """One line that says what was verified; VerificationError if a check of `checks_csv` failed."""
    found = checks.read(checks_csv)
    page = Path(checks_csv).with_suffix(".html").absolute()
    if not found:
        raise VerificationError(f"{checks_csv} holds no check: nothing was verified")
    failed = [check for check in found if check.status == checks.FAIL]
    if failed:
        raise VerificationError(
            f"{len(failed)} of {len(found)} checks failed: the dataset is not as the pipeline "
            "wrote it:\n  "
            + "\n  ".join(map(_format_check, failed))
            + f"\nEach finding is on {page}."
        )
    warned = [check for check in found if check.status == checks.WARN]
    also = f"\nTo look at, no fault of the dataset: {len(warned)}." if warned else ""
    also += "".join(f"\n  {_format_check(check)}" for check in warned)
    return f"Verified: {len(found)} checks, none failed. The page is {page}.{also}"


def _format_check(check: checks.Check) -> str:
    where = f"; {', '.join(map(checks.as_named, check.rows))}" if check.rows else ""
    return f"{check.name}: {checks.in_words(check)}{where}. {check.explanation}"


if __name__ == "__main__":
    from ferrari.jobs.job_log import send_output_to

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    try:
        print(require_verified(checks_csv=job.input.csv))
    except VerificationError as error:
        sys.exit(str(error))
