"""The index of the QC reports: a card for each report, and the ledger's counts by stage.

Made from the reports' CSV files; it links the pages beside it by name. Disk use and the costs of
clips are those at the time when the page is made.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ferrari.common.atomic_files import write_text
from ferrari.common.counts import number_of
from ferrari.common.visible_text import shown
from ferrari.ledger import clip_fates, disk_use, job_costs, tables, without_images
from ferrari.ledger.disk_use import FolderUse
from ferrari.ledger.reasons import OK
from ferrari.ledger.stages import FINAL_CSV, WORDS
from ferrari.provenance.job import listed
from ferrari.reports import check_words, checks, index_page
from ferrari.reports.checks import FAIL, PASS, Check
from ferrari.reports.index_page import Card, ClipCost, Costs, Folder, Lost, Share, Step, Trouble
from ferrari.reports.titles import FLOW, REPORTS, about

_RAW_VIDEOS = "qc0_failed_video_diagnostics"
_PARTS = ("kept", "dropped", "quarantined")
_COSTLY = 30  # clips in the table of costs
_TROUBLES = 4  # checks named on a card, at most
#: How the columns begin of the figures on a report's card: those of its last stage.
_OF_CARDS = {report: prefix for _, report, prefix in FLOW}
Lines = Sequence[Mapping[str, str]]


def build_index(
    *,
    reports: Sequence[str],
    videos: Sequence[str],
    out_html: str,
    dataset: str = "",
    older_packages: Sequence[str] = (),
    folders: Sequence[FolderUse] = (),
    seconds: Mapping[str, float] | None = None,
    sizes: Mapping[str, int] | None = None,
) -> None:
    """Write the index from the reports' checks (`<name>.csv`) and `<name>_videos.csv` files.

    `dataset` is the folder whose tables say which clips gave no image; `older_packages` are
    sentences about packages that are no longer made, `folders` the disk use; `seconds` and `sizes`
    (bytes) are those of clips, by id.
    """
    found = {Path(path).stem: checks.read(path) for path in listed(reports)}
    figures = {
        Path(path).stem.removesuffix("_videos"): tables.read_table(path) for path in listed(videos)
    }
    clips = figures.get(_RAW_VIDEOS, ())
    files = {line["video"]: line["file"] for line in clips}
    cards = [card(name, found[name], figures.get(name, ()), files) for name in in_order(found)]
    lost = lost_clips(clips, found.get(_RAW_VIDEOS, ()), older_packages, dataset)
    costs = Costs(
        folders=[folder_use(one) for one in folders],
        clips=costly_clips(clips, seconds or {}, sizes or {}),
        all_clips=f"{len(seconds or {}):,}",
    )
    write_text(out_html, index_page.html(cards, flow(found, figures), lost, costs))


def folder_use(one: FolderUse) -> Folder:
    """What the index says about one folder."""
    return Folder(
        folder=shown(one.folder),
        holds=one.holds,
        mb=f"{one.bytes / 1e6:,.1f}",
        files=f"{one.files:,}",
        may_go=one.may_go,
    )


def costly_clips(
    lines: Lines, seconds: Mapping[str, float], sizes: Mapping[str, int]
) -> list[ClipCost]:
    """The clips that took longest, of those in `seconds`; `sizes` are bytes in the dataset."""
    files = {line["video"]: line["file"] for line in lines}
    costly = sorted(seconds, key=lambda one: (-seconds[one], -sizes.get(one, 0), one))
    return [
        ClipCost(
            file=shown(files.get(one, one), 80),
            seconds=f"{seconds[one]:,.1f}",
            mb=f"{sizes.get(one, 0) / 1e6:,.1f}",
        )
        for one in costly[:_COSTLY]
    ]


def lost_clips(
    lines: Lines, found: Sequence[Check], older_packages: Sequence[str] = (), dataset: str = ""
) -> Lost:
    """What is missing from the dataset, by QC0's rows and checks and the tables in `dataset`."""
    fates = clip_fates.of_rows(lines)
    sound = {line["video"]: shown(line["file"]) for line in lines if line["verdict"] == OK}
    made = dataset and (Path(dataset) / FINAL_CSV).is_file()
    images, without = without_images.of_set(dataset, sound) if made else ({}, {})
    gone = [one for one in found if one.name == "clips_gone" and one.status != PASS]
    return Lost(
        headline=fates.headline,
        files=list(fates.refused[: clip_fates.NAMED]),
        more=max(0, len(fates.refused) - clip_fates.NAMED),
        images=without_images.given(images, fates.clips) if made else "",
        without=without_images.headline(without, fates.clips),
        reasons=list(without_images.reasons(without)),
        apart=fates.apart,
        gone=[
            f"Clips that are gone, of which files are left in the dataset: {one.figure} "
            f"({', '.join(one.rows)})"
            for one in gone
        ],
        older_packages=list(older_packages),
    )


def in_order(names: Iterable[str]) -> list[str]:
    """Reports in the order of the workflow; unknown ones come last, by name."""
    order = {name: place for place, name in enumerate(REPORTS)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def card(name: str, found: Sequence[Check], lines: Lines, files: Mapping[str, str]) -> Card:
    """The card of one report; `files` are those of the clips, by id."""
    label, heading, question = about(name)
    troubles = sorted(
        (check for check in found if check.status != PASS),
        key=lambda check: -checks.STATUSES.index(check.status),
    )
    said = [Trouble(one.status, check_words.line(one, files)) for one in troubles[:_TROUBLES]]
    sums = sum_of(lines, _OF_CARDS.get(name, ""))
    refused = sums["dropped"] + sums["quarantined"]
    counted = f"{number_of(len(lines), 'video')}, {sums['kept']:,} kept, {refused:,} refused."
    return Card(
        href=f"{name}.html",
        label=label,
        heading=heading,
        question=question,
        status=checks.worst(check.status for check in found) if found else FAIL,
        facts=f"{checks.summary(found)} {counted}",
        troubles=said,
    )


def sum_of(lines: Lines, prefix: str) -> dict[str, int]:
    """considered, kept, dropped, quarantined over all videos; `prefix` comes before the columns."""
    return {
        name: sum(int(float(line.get(prefix + name) or 0)) for line in lines)
        for name in ("considered", *_PARTS)
    }


def flow(found: Mapping[str, Sequence[Check]], figures: Mapping[str, Lines]) -> list[Step]:
    """One step for each stage of the ledger with a report."""
    steps = []
    for stage, report, prefix in FLOW:
        if report not in figures:
            continue
        sums = sum_of(figures[report], prefix)
        whole = max(1, sum(sums[name] for name in _PARTS))
        balanced = sum(sums[name] for name in _PARTS) == sums["considered"]
        statuses = [c.status for c in found.get(report, ()) if c.name == f"{stage}_ledger_balances"]
        steps.append(
            Step(
                title=WORDS[stage].rows,
                **{name: f"{value:,}" for name, value in sums.items()},
                status=checks.worst([PASS if balanced else FAIL, *statuses]),
                said=", ".join(f"{sums[name]:,} {name}" for name in _PARTS),
                parts=[
                    Share(name, f"{100 * sums[name] / whole:.3f}") for name in _PARTS if sums[name]
                ],
            )
        )
    return steps


def run(job) -> None:
    """The job of the report (see `make_report`)."""
    (raw,) = [path for path in job.input.videos_csv if Path(path).stem == f"{_RAW_VIDEOS}_videos"]
    clips = [line["video"] for line in tables.read_table(raw)]
    build_index(
        reports=job.input.csv,
        videos=job.input.videos_csv,
        out_html=job.output.html,
        dataset=job.config["dataset"],
        older_packages=job.params.older_packages,
        folders=disk_use.by_folder(job.config),
        seconds=job_costs.of_clips(Path(job_costs.PLACE), clips),
        sizes=disk_use.bytes_of_clips(Path(job.config["dataset"])),
    )
