"""The dataset's description for others: croissant.json, which loaders and catalogues read."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from ferrari.common.atomic_files import sha256_file, write_text
from ferrari.provenance.croissant import describe, described_package


def describe_dataset(
    *,
    final_csv: str,
    dataset: str,
    about: Mapping,
    formats: Iterable[str],
    out_json: str,
    reviewed: str = "",
) -> None:
    """Write the Croissant description `out_json` of one of the packages of these `formats`.

    `about` is the configuration's section of that name; `reviewed` says what a person decided.
    `out_json` must lie in the dataset's folder: its paths are relative to it.
    """
    final = {
        "path": Path(final_csv).relative_to(dataset).as_posix(),
        "sha256": sha256_file(final_csv),
        "bytes": Path(final_csv).stat().st_size,
    }
    description = describe(about, described_package(formats), final, reviewed)
    write_text(out_json, json.dumps(description, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    from ferrari.jobs.job_log import send_output_to
    from ferrari.provenance.job import ScriptJob
    from ferrari.provenance.table_stamps import seal
    from ferrari.review import deeds

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    describe_dataset(
        final_csv=job.input.final,
        dataset=job.config["dataset"],
        about=job.params.about,
        formats=job.params.formats,
        out_json=job.output.table,
        reviewed=deeds.sentence(job.config["dataset"], job.params.review),
    )
    seal(ScriptJob.of(job, "croissant"))
