"""Verify: is the dataset what the pipeline wrote, to the last bit, and nothing else?

Reads everything again: each table is compared with its stamp, each file with its row, each row with
the stage before, and each final image is followed back to a raw file. Writes checks and a page; it
repairs nothing, and never fails itself (`require_verified` does).
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ferrari.common.progress import LOGGER
from ferrari.ledger import raw_place
from ferrari.ledger.raw_listing import find_videos
from ferrari.ledger.stages import ENVIRONMENTS, FINAL
from ferrari.reports.page import Report, ReportFiles, Table, publish
from ferrari.storage import buckets
from ferrari.verification.clip import Clip
from ferrari.verification.decided import Decided
from ferrari.verification.disk_files import Hasher, pruned, sweep
from ferrari.verification.findings import Findings, Layout
from ferrari.verification.tables import Tables
from ferrari.verification.whole_set import WholeSet

NAME = "verify_dataset"
_ASKED_AT_ONCE = 16  # objects of a bucket
_CLIP_COLUMNS = ("video", "file", "considered", "kept", "files", "final_images", "faults")


@dataclass
class Verdict:
    """The result: the faults, and figures of the whole set and of each clip."""

    findings: Findings
    counts: dict[str, int]
    clips: list[dict]


def verify_dataset(
    *,
    dataset: str | os.PathLike,
    raw_folder: str | os.PathLike,
    formats: Sequence[str],
    clip_scenes: bool,
    not_ours: Sequence[str | os.PathLike],
    out: ReportFiles,
    ignore: Sequence[str] = (),
    older_packages: Mapping[str, str] | None = None,
) -> None:
    """Examine the dataset and write the report; see `findings.Layout` for the first arguments."""
    layout = Layout(
        dataset=Path(dataset),
        raw=raw_folder,
        videos=find_videos(raw_folder, ignore),
        formats=tuple(formats),
        clip_scenes=clip_scenes,
        not_ours=tuple(Path(path) for path in not_ours),
        older_packages=older_packages or {},
    )
    verdict = examine(layout)
    faults = [
        {"check": one.check, "name": one.where, "why": one.why} for one in verdict.findings.listed()
    ]
    publish(
        Report(
            name=NAME,
            checks=verdict.findings.checks(),
            counts=verdict.counts,
            videos=pd.DataFrame(verdict.clips, columns=list(_CLIP_COLUMNS)),
            tables=[Table("Findings", "Each thing that a check names.", pd.DataFrame(faults))],
            fail_means="means that the dataset is not as the pipeline wrote it",
        ),
        out,
    )


def examine(layout: Layout) -> Verdict:
    """Read everything again and return the findings; writes nothing."""
    findings = Findings()
    _check_layout(layout, findings)
    with Hasher() as hasher:
        tables = Tables(layout, hasher, findings)
        tables.look()
        whole = WholeSet(layout, tables, findings)
        clips, swept = [], {ENVIRONMENTS, *(f"{FINAL}/{name}" for name in layout.formats)}
        decided = Decided(layout, tables, findings)
        raw = _raw_looks(layout, hasher)
        for video in layout.videos:
            clip = Clip(layout, tables, findings, video)
            clip.check_rows()
            clip.check_files(hasher)
            decided.add(clip)
            whole.add(clip, _raw_fault(layout, findings, clip, *raw[video]))
            swept.update(clip.own_folders())
            clips.append(_clip_figures(layout, clip))
        whole.check_videos(hasher)
        whole.check_environments(hasher)
        whole.check_who(hasher)
        whole.check_final()
        decided.check_whole_set()
        for name in layout.formats:
            whole.check_package(name, hasher)
        known = tables.known | whole.elsewhere
        sweep(layout, findings, "", known, prune=pruned(layout, swept))
        read_gb = hasher.bytes / 1e9
    for figures in clips:
        figures["final_images"] = whole.images[figures["video"]]
        figures["faults"] = findings.by_video[figures["video"]]
    LOGGER.info("%.2f GB read again, %d faults", read_gb, sum(findings.counts.values()))
    counts = {
        "Raw files": len(layout.videos),
        "Tables": len(tables.digests),
        "Files": findings.totals["files_present"],
        "Final images": len(whole.final),
        "Findings": sum(findings.counts.values()),
    }
    return Verdict(findings, counts, clips)


def _check_layout(layout: Layout, findings: Findings) -> None:
    """There are raw files, and no packages that the settings would not make."""
    findings.looked("packages_of_this_set", len({*layout.formats, *layout.older_packages}))
    for name, why in layout.older_packages.items():
        findings.add("packages_of_this_set", f"{FINAL}/{name}", why)
    findings.looked("raw_files_found", len(layout.videos))
    if not layout.videos:
        findings.add("raw_files_found", Path(layout.raw).name, "holds no raw file")


def _raw_looks(layout: Layout, hasher: Hasher) -> dict[str, tuple[str, str]]:
    """Of each raw file its SHA-256, or of one in a bucket its ETag; and why there is none."""
    places = [raw_place.join(layout.raw, file) for file in layout.videos.values()]
    if buckets.is_address(layout.raw):
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            looks = list(pool.map(_etag, places))
    else:
        looks = list(hasher.looks([Path(place) for place in places]))
    return dict(zip(layout.videos, looks, strict=True))


def _etag(address: str) -> tuple[str, str]:
    try:
        return buckets.look(address).etag, ""
    except buckets.ObjectError as error:
        return "", str(error)


def _raw_fault(layout: Layout, findings: Findings, clip: Clip, digest: str, why: str) -> str:
    """What is wrong with a clip's raw file now; told as a fault, unless stage 0 never saw it."""
    findings.looked("raw_files_unchanged")
    in_bucket = buckets.is_address(layout.raw)
    recorded = clip.raw_etag if in_bucket else clip.raw_sha256
    never_read = in_bucket and not recorded  # nothing was made of it
    if not clip.rows["probe"] or digest == recorded or never_read:
        return ""
    fault = f"the raw file {why}" if why else "the raw file is not the one that stage 0 saw"
    findings.add("raw_files_unchanged", layout.videos[clip.video], fault, clip.video)
    return fault


def _clip_figures(layout: Layout, clip: Clip) -> dict:
    return {
        "video": clip.video,
        "file": layout.videos[clip.video],
        "considered": clip.considered,
        "kept": clip.kept,
        "files": len(clip.files),
    }


if __name__ == "__main__":
    from ferrari.jobs.job_log import send_output_to
    from ferrari.provenance import older_packages

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    verify_dataset(
        dataset=job.config["dataset"],
        raw_folder=job.params.raw_folder,
        formats=job.params.formats,
        clip_scenes=job.params.clip_scenes,
        not_ours=job.params.not_ours,
        out=ReportFiles.of(job.output),
        ignore=job.params.ignore,
        older_packages={
            name: one.headline
            for name, one in older_packages.find(job.config["dataset"], job.config).items()
        },
    )
