"""All tables of all stages in one Parquet file, for queries that the tables are too many for."""

from collections.abc import Iterable

from scripts.lib.logs import LOGGER
from scripts.lib.parquet import Source, write_parquet

#: The stages in the order of flow; `videos`, `environments` and `final` are of the whole set.
STAGES = (
    *("probe", "videos", "extract", "crop", "mask", "environments", "augment", "caption"),
    *("final", "package"),
)
_WHOLE_SET = frozenset({"videos", "environments", "final", "package"})


def write_ledger(*, tables: dict[str, Iterable[str]], out_parquet: str) -> None:
    """Write `out_parquet` from the paths of each stage's tables; a table is named after its clip.

    Raises LedgerError for a damaged table.
    """
    sources: list[Source] = []
    for stage in STAGES:
        given = tables.get(stage, ())
        for path in sorted([given] if isinstance(given, str) else given):
            video = "" if stage in _WHOLE_SET else path.rpartition("/")[2].removesuffix(".csv")
            sources.append((stage, video, path))
    count = write_parquet(out_parquet, sources)
    LOGGER.info("%d rows of %d tables", count, len(sources))


if __name__ == "__main__":
    from scripts.lib.logs import send_output_to

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    write_ledger(
        tables={stage: job.input.get(stage, ()) for stage in STAGES},
        out_parquet=job.output.parquet,
    )
