"""The last lines of a run: its results, clips without images, what to look at, and where everything
is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from ferrari.common import places
from ferrari.common.counts import number_of
from ferrari.common.job_messages import message_of
from ferrari.common.visible_text import shown
from ferrari.ledger import clip_fates, tables, without_images
from ferrari.ledger.reasons import OK
from ferrari.ledger.refused_files import BAD_FRAMES, BAD_VIDEOS
from ferrari.ledger.stages import FINAL, FINAL_CSV, VIDEOS_CSV
from ferrari.reports import check_words, checks
from ferrari.reports.checks import PASS
from ferrari.reports.titles import REPORTS, about

#: On a full disk each of 10,000 jobs names another file.
_MESSAGES = 8


def last_lines(
    dataset: Path, reports: Path, formats: Sequence[str], work: Path = Path()
) -> list[str]:
    """The lines about the dataset in `dataset`, its reports in the folder `reports` and its
    packages of `formats`; [] without a table of clips or a final table. `work` is the set's folder.

    Folders are absolute paths: the reader's working folder is seldom the set's.
    """
    dataset, reports = dataset.absolute(), reports.absolute()
    if not (dataset / VIDEOS_CSV).is_file() or not (dataset / FINAL_CSV).is_file():
        return []
    rows = tables.read_table(dataset / VIDEOS_CSV)
    fates = clip_fates.of_rows(rows)
    sound = {row["item"]: shown(row["file"]) for row in rows if row["verdict"] == OK}
    images, without = without_images.of_set(dataset, sound)
    final = dataset / FINAL
    packages = [str(final / name) for name in formats if (final / name).is_dir()]
    refused = [str(folder) for folder in _refused(dataset)]
    return [
        without_images.given(images, fates.clips),
        *clip_fates.as_lines(fates),
        *without_images.as_lines(without, fates.clips, places.as_typed(work)),
        *([f"{fates.apart}."] if fates.apart else []),
        *_questions(reports, {row["item"]: row["file"] for row in rows}),
        f"  dashboards   {reports / 'index.html'}   (open it in a browser)",
        f"  packages     {', '.join(packages) or 'none'}",
        *([f"  refused      {', '.join(refused)}"] if refused else []),
        f"  every clip   {dataset / VIDEOS_CSV}",
    ]


def _refused(dataset: Path) -> Iterator[Path]:
    """The folders of refused files that hold any."""
    for name in (BAD_VIDEOS, BAD_FRAMES):
        if any(path.is_file() for path in (dataset / name).rglob("*")):
            yield dataset / name


def failures(logs: Path, since: float, known: Collection[Path] = ()) -> list[str]:
    """The errors of failed jobs, each message once and no more than a screen holds: the ends of the
    logs with a traceback that are `known` to belong to failed jobs, or are in the folder `logs` and
    were written after `since` (seconds since 1970).
    """
    said: dict[str, Path] = {}
    for path in sorted({*logs.rglob("*.log"), *known}):
        ours = path in known or path.stat().st_mtime >= since
        if ours and (message := message_of(path)):
            said.setdefault(message, path)
    told = list(said.items())
    lines = [line for message, path in told[:_MESSAGES] for line in (f"\n{path}:", message)]
    if len(told) > _MESSAGES:
        lines.append(f"\n... and {number_of(len(told) - _MESSAGES, 'message')} more, in {logs}")
    return lines


def _questions(reports: Path, files: Mapping[str, str]) -> Iterator[str]:
    """A line for each check that is not PASS; of refused clips more was said already. `files` are
    those of the clips, by id.
    """
    for name in REPORTS:
        path = reports / f"{name}.csv"
        if name == "verify_dataset" or not path.is_file():
            continue
        for check in checks.read(path):
            if check.status != PASS and check.name != clip_fates.CHECK:
                said = check_words.line(check, files)
                yield f"{check.status} {about(name)[0]}, {said}. {check.explanation}"
