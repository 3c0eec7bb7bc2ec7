"""Stage 5, whole set: which captioned images make the dataset, once each?

Clips that are byte for byte the same file would weigh twice: videos.csv says which of them stays,
and the images of the others go. Images with the same bytes stay once too. Streams: the memory it
takes is that of the digests.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from scripts.lib.ledger import (
    DROPPED,
    KEPT,
    QUARANTINED,
    Row,
    iter_stage,
    kept,
    read_table,
    row,
    sorted_table,
)
from scripts.lib.verdicts import DUPLICATE

DUPLICATE_IMAGE = "DUPLICATE_IMAGE"
UNREADABLE = "UNREADABLE_IMAGE"
CARRIED = (
    *("path", "sha256", "caption", "framing", "facing", "background", "kind"),
    *("mask_path", "mask_sha256", "width", "height"),
)


def in_order(tables: Mapping[str, Path]) -> Iterator[tuple[str, dict[str, str]]]:
    """(video, row) of all kept caption rows, sorted by item.

    Items begin with their video's id and `-f`, so tables in that order give rows in order, one
    table in memory at a time; ids that begin like another's item are read together with it.
    """
    group: list[tuple[str, Path]] = []
    for video in sorted(tables, key=lambda video: video + "-f"):
        if group and not (video + "-f").startswith(group[0][0] + "-f"):
            yield from _merged(group)
            group = []
        group.append((video, tables[video]))
    yield from _merged(group)


def _merged(group: list[tuple[str, Path]]) -> list[tuple[str, dict[str, str]]]:
    pairs = [(video, line) for video, path in group for line in kept(iter_stage(path, "caption"))]
    return sorted(pairs, key=lambda pair: pair[1]["item"])


def final_row(
    video: str, line: Mapping[str, str], kept_video: str, kept_image: str, missing: bool
) -> Row:
    """The final row of a captioned image; the three last arguments say why it may not stay."""
    verdict: dict[str, str] = {"outcome": KEPT}
    if kept_video:
        verdict = {"outcome": DROPPED, "reason": DUPLICATE, "value": kept_video}
    elif missing:
        verdict = {"outcome": QUARANTINED, "reason": UNREADABLE, "value": "the file is gone"}
    elif kept_image:
        verdict = {"outcome": DROPPED, "reason": DUPLICATE_IMAGE, "value": kept_image}
    carried = {key: line[key] for key in CARRIED}
    return row("final", item=line["item"], parent=line["item"], video=video, **carried, **verdict)


def select_final(
    *,
    caption_csvs: Iterable[str | Path],
    videos_csv: str | Path,
    dataset: str | Path,
    out_csv: str | Path,
) -> None:
    """Write the final table: one row for each captioned image of every video, sorted by item.

    Tables are named after their video; `videos_csv` says which videos repeat another's bytes.
    Raises LedgerError if two rows have the same item.
    """
    dataset = Path(dataset)
    tables = {Path(path).stem: Path(path) for path in _paths(caption_csvs)}
    repeats = {line["item"]: line["duplicate_of"] for line in read_table(videos_csv)}
    seen: dict[bytes, str] = {}
    with sorted_table(out_csv, "final") as write:
        for video, line in in_order(tables):
            kept_video = repeats.get(video, "")
            missing = not kept_video and not (dataset / line["path"]).is_file()
            digest = bytes.fromhex(line["sha256"])
            kept_image = seen.get(digest, "")
            if not (kept_video or missing or kept_image):
                seen[digest] = line["item"]
            write(final_row(video, line, kept_video, kept_image, missing))


def _paths(given: Iterable[str | Path] | str | Path) -> Iterable[str | Path]:
    """Snakemake hands over a single file as a bare string."""
    return [given] if isinstance(given, (str, Path)) else given


if __name__ == "__main__":
    from scripts.lib.logs import send_output_to
    from scripts.lib.stamps import seal

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    select_final(
        caption_csvs=job.input.captions,
        videos_csv=job.input.videos,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
    )
    seal(job)
