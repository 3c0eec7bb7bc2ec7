"""All tables of all stages in one Parquet file, for queries over many tables."""

from collections.abc import Iterable

from ferrari.common.progress import LOGGER
from ferrari.ledger.stages import FOLDERS, ORDER
from ferrari.provenance.job import listed
from ferrari.provenance.ledger_parquet import Source, write_parquet


def write_ledger(*, tables: dict[str, Iterable[str]], out_parquet: str) -> None:
    """Write `out_parquet` from the paths of each stage's tables; a table is named after its clip.

    Raises LedgerError for a damaged table.
    """
    sources: list[Source] = []
    for stage in ORDER:
        given = tables.get(stage, ())
        for path in sorted(listed(given)):
            video = path.rpartition("/")[2].removesuffix(".csv") if stage in FOLDERS else ""
            sources.append((stage, video, path))
    count = write_parquet(out_parquet, sources)
    LOGGER.info("%d rows of %d tables", count, len(sources))


if __name__ == "__main__":
    from ferrari.jobs.job_log import send_output_to

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    write_ledger(
        tables={stage: job.input.get(stage) or job.params.get(stage, ()) for stage in ORDER},
        out_parquet=job.output.parquet,
    )
