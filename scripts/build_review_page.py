"""The review page: every image, cut-out, track and refusal of the set, for a person to decide.

Made on request; no other rule needs it. It reads tables, and opens pictures only for clips whose
sprites do not exist yet. Pictures of strangers are on it, because a person has to see them to
decide.
"""

import itertools
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ferrari.common.atomic_files import write_text
from ferrari.common.counts import megabytes
from ferrari.common.progress import LOGGER
from ferrari.jobs.job_log import send_output_to
from ferrari.ledger import stages, tables
from ferrari.ledger.columns import KEPT
from ferrari.reports import checks
from ferrari.review import decision_table, decisions, effects
from ferrari.review.contract import Decision
from ferrari.review_page import page, page_data, reference_entries, sprites
from ferrari.review_page.clip_entries import Clip
from ferrari.review_page.entries import REFERENCE, TRACK, Entry, Picture
from ferrari.subject import judgements

SPRITES = "review"
#: The table of the sprites, which is also what is there to be used again.
COLUMNS = ("file", "cells", "bytes", "sha256")
OF_SUBJECT = "subject.references"
BESIDE = 6  # pictures of the subject, to compare


def build_review_page(
    *,
    dataset: str,
    reports: Sequence[str],
    picture_folders: Mapping[str, str],
    subject: Mapping[str, str],
    threads: int,
    out_html: str,
    out_files: str,
) -> None:
    """Write the page, its sprites (in `review/` beside it) and the table of these.

    `reports` are the reports' tables of checks, `picture_folders` the folders of the pictures that
    say who is who, by their settings, `subject` has `token` and `class`.
    """
    root, folder = Path(dataset), Path(out_html).parent / SPRITES
    clips = list(tables.iter_table(root / stages.VIDEOS_CSV))
    pictures = list(tables.iter_if_there(root / stages.REFERENCES_CSV))
    of_clips, of_pictures = (
        entries_of(root, clips, remarks(reports)),
        reference_entries.entries(pictures),
    )
    known = known_sprites(out_files)
    made = make_sheets(folder, page_data.pictures_by_sheet(of_clips), root, known, threads)
    read = reference_entries.reader(picture_folders)
    for key, shown in page_data.pictures_by_sheet(of_pictures).items():
        made[key] = sprites.make(folder, REFERENCE, shown, Path(), known, read)
    references, of_references = make_references(folder, root, pictures, read, of_clips, known)
    files = [*of_references, *itertools.chain.from_iterable(made.values())]
    sprites.clear(folder, files)
    write_files(out_files, files)
    data = page_data.build(
        dataset=page_data.dataset_id(row["sha256"] for row in clips),
        subject=subject,
        root=os.path.relpath(root, Path(out_html).parent),
        clips=[(row["item"], row["file"]) for row in clips],
        entries=[*of_clips, *of_pictures],
        sheets={key: [sprite.file for sprite in found] for key, found in made.items()},
        references=references,
        rows=rows_so_far(dataset),
        effects=effects.of_dataset(dataset, decisions.load(dataset)),
    )
    text = page.html(data)
    write_text(out_html, text)
    LOGGER.info(f"{len(of_clips) + len(of_pictures):,} things to look at, {megabytes(len(text))}")


def entries_of(root: Path, clips: Sequence[Mapping], flags: Mapping[str, str]) -> list[Entry]:
    """The entries of all `clips` (rows of videos.csv), clip by clip."""
    final: dict[str, list] = defaultdict(list)
    for row in tables.iter_stage(root / stages.FINAL_CSV, "final"):
        final[row["video"]].append(row)

    def rows_of(stage: str, video: str) -> Iterable[Mapping[str, str]]:
        identity = stage == "identity"
        place = f"{stages.IDENTITY}/{video}.csv" if identity else stages.table(stage, video)
        return tables.iter_if_there(root / place)

    found: list[Entry] = []
    for row in clips:
        found += Clip(row["item"], rows_of, row, final[row["item"]], flags).entries()
    return found


def remarks(reports: Iterable[str]) -> dict[str, str]:
    """The remarks of reports, by the ids that they name: the check that is not PASS."""
    found: dict[str, str] = {}
    for path in reports:
        for check in checks.read(path):
            if check.status != checks.PASS:
                for name in check.rows:
                    found.setdefault(name, check.name.replace("_", " "))
    return found


def make_sheets(
    folder: Path,
    sheets: Mapping[tuple[str, str], Sequence[Picture]],
    root: Path,
    known: dict[str, str],
    threads: int,
) -> dict[tuple[str, str], list[sprites.Sprite]]:
    """The sprites of each clip and group, several at a time: decoders release Python's lock."""

    def one(key: tuple[str, str]) -> list[sprites.Sprite]:
        video, group = key
        return sprites.make(folder, f"{video}-{group}", sheets[key], root, known)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        return dict(zip(sheets, pool.map(one, sheets), strict=True))


def make_references(
    folder: Path,
    root: Path,
    pictures: Sequence[Mapping[str, str]],
    read: sprites.Reader,
    entries: Sequence[Entry],
    known: dict[str, str],
) -> tuple[dict[str, list[str]], list[sprites.Sprite]]:
    """Who the subject is: the references, or without any the tracks that are surest to be it.

    `pictures` are the rows of subject/references.csv, which `read` opens.
    """
    used = [row for row in pictures if row["outcome"] == KEPT and row["setting"] == OF_SUBJECT]
    if used:
        chosen = used[:BESIDE]
        shown = [Picture(f"{OF_SUBJECT}/{row['file']}", row["sha256"]) for row in chosen]
        found = sprites.make(folder, "subject", shown, Path(), known, read)
        names = [row["file"] for row in chosen]
        return {"sprites": [one.file for one in found], "names": names}, found
    sure = [one for one in entries if one.group == TRACK and one.reason == judgements.SUBJECT]
    sure = sorted((one for one in sure if one.pictures), key=lambda one: one.doubt)[:BESIDE]
    middle = [one.pictures[len(one.pictures) // 2] for one in sure]
    found = sprites.make(folder, "subject", middle, root, known)
    return {"sprites": [one.file for one in found], "names": [one.target for one in sure]}, found


def rows_so_far(dataset: str) -> list[Decision]:
    """All rows of the table of decisions, undone ones included."""
    return [line.row for line in decision_table.read(decision_table.place(dataset))]


def known_sprites(path: str) -> dict[str, str]:
    """The digests of the sprites that an earlier run wrote, by name."""
    if not Path(path).is_file():
        return {}
    return {row["file"]: row["sha256"] for row in tables.iter_table(path, COLUMNS)}


def write_files(path: str, found: Iterable[sprites.Sprite]) -> None:
    """Write the table of the sprites; files are named below `review/`."""
    lines = [
        {"file": one.file, "cells": one.cells, "bytes": one.size, "sha256": one.sha256}
        for one in found
    ]
    tables.write_table(path, COLUMNS, lines)


if __name__ == "__main__":
    send_output_to(snakemake.log[0])  # noqa: F821
    build_review_page(
        dataset=snakemake.config["dataset"],  # noqa: F821
        reports=snakemake.input.reports,  # noqa: F821
        picture_folders=snakemake.params.picture_folders,  # noqa: F821
        subject=snakemake.params.subject,  # noqa: F821
        threads=snakemake.threads,  # noqa: F821
        out_html=snakemake.output.html,  # noqa: F821
        out_files=snakemake.output.files,  # noqa: F821
    )
