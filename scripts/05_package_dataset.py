"""Stage 5, per format: the final images as a folder that a trainer's own loader reads.

The folder is written atomically. Each image, mask and caption is re-opened in the package and
compared with the final table; a damaged one is a quarantined row and not in the package. The
manifest, one row for each image, is written last. Nothing is written while an enforced quality
check fails.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ferrari.common.atomic_files import whole_folder
from ferrari.common.progress import LOGGER, Progress
from ferrari.images.image_and_mask import Fault
from ferrari.ledger.columns import KEPT, QUARANTINED
from ferrari.ledger.spooled_rows import Spool
from ferrari.ledger.tables import Row, iter_stage, row, sorted_table
from ferrari.packaging.base import Format, PackageError, safe_subject, sample_of
from ferrari.packaging.image_preparation import Preparation, Sample, sources
from ferrari.packaging.registry import make_format
from ferrari.reports.checks import enforce as hold_back
from ferrari.reports.checks import faults_of
from ferrari.review.deeds import sentence


def package_dataset(
    *,
    final_csv: str | Path,
    dataset: str | Path,
    out_csv: str | Path,
    format: str,
    settings: Mapping,
    subject: Mapping[str, str],
    about: Mapping | None = None,
    gate: Iterable[str | Path] = (),
    enforce: bool = True,
    review: str = "",
) -> None:
    """Write `<folder of out_csv>/<format>/` and its manifest `out_csv` from the final table.

    `settings` is the configuration's `package` section, `subject` and `about` are its others;
    `review` is the digest of a person's decisions, of which the card tells; `gate` are the CSV
    files of the quality reports. Raises QualityGateError if one of them holds a FAIL while
    `enforce` is true, and PackageError for a subject that cannot name a folder, an unknown format,
    settings that a format cannot keep, or a final table without a single image to package.
    """
    if enforce:
        hold_back([gate] if isinstance(gate, (str, Path)) else gate)
    form = make_format(format, settings, safe_subject(subject))
    preparation = Preparation.of(settings, form.alpha, form.needs_squares)
    dataset, out_csv = Path(dataset), Path(out_csv)
    target = out_csv.parent / format
    root = target.relative_to(dataset).as_posix()
    with (
        sorted_table(out_csv, "package") as write,
        whole_folder(target) as folder,
        Spool(out_csv.parent) as rows,
    ):
        form.begin(folder)
        summary = PackageSummary()
        for line, sample, fault in placed(form, folder, dataset, final_csv, preparation):
            if sample:
                summary.add(sample)
            rows.add(package_row(form, root, line, sample, fault))
        rows.close_writing()
        if not summary.figures.images:
            raise PackageError(
                f"{final_csv} holds no image that could be packaged: the reports from QC0 on say "
                "at which stage the material was lost"
            )
        digests = form.finish(folder, target)
        summary.finish(folder, form, settings, about, sentence(dataset, review))
        for line in rows:
            write(_with_digests(line, root, digests))


class PackageSummary:
    """Counts made during packaging, and reported at its end."""

    def __init__(self) -> None:
        from ferrari.packaging.dataset_card import Figures

        self.figures = Figures()
        self._enlarged = 0

    def add(self, sample: Sample) -> None:
        """Count one image that is in the package."""
        self.figures.add(sample)
        self._enlarged += sample.scale > 1

    def finish(
        self,
        folder: Path,
        form: Format,
        settings: Mapping,
        about: Mapping | None,
        reviewed: str = "",
    ) -> None:
        """Write the card and the digests, if wanted; warn of enlarged images."""
        from ferrari.packaging.dataset_card import write_card, write_sums

        if self._enlarged:
            LOGGER.warning(
                "WARN %s: %d of %d images are smaller than package.fit and package.resolution ask "
                "for, and were enlarged (column upscaled)",
                *(form.name, self._enlarged, self.figures.images),
            )
        if settings["card"] and form.is_hugging_face and about:
            write_card(folder, about, self.figures, reviewed)
        if settings["checksums"]:
            write_sums(folder)


def placed(
    form: Format,
    folder: Path,
    dataset: Path,
    final_csv: str | Path,
    preparation: Preparation,
) -> Iterator[tuple[dict[str, str], Sample | None, Fault | None]]:
    """Each kept row of the final table with what was put into the package, or why nothing was."""
    progress = Progress(f"images packaged ({form.name})")
    for line in iter_stage(final_csv, "final"):
        if line["outcome"] != KEPT:
            continue
        sample = sample_of(dataset, line, preparation)
        fault = form.add(folder, sample) if isinstance(sample, Sample) else sample
        yield line, None if fault else sample, fault
        progress.step()


def package_row(
    form: Format, root: str, line: Mapping[str, str], sample: Sample | None, fault: Fault | None
) -> Row:
    """The manifest's row; paths are relative to the dataset, and empty for what was refused."""
    item = line["item"]
    known: dict[str, object] = {
        key: line[key] for key in ("caption", "sha256", "mask_sha256", "width", "height")
    }
    if sample is None:
        verdict = {"outcome": QUARANTINED, "reason": fault[0], "value": fault[1]}
    else:
        caption = form.caption_path(item, sample.split)
        known |= sample.facts()
        verdict = {
            "outcome": KEPT,
            "path": f"{root}/{form.image_path(item, sample.split)}",
            "mask_path": f"{root}/{form.mask_path(item, sample.split)}",
            "caption_path": f"{root}/{caption}" if caption else "",
            "caption_sha256": form.caption_sha256(line["caption"]),
        }
        if verdict["path"] == verdict["mask_path"]:  # one file for many images
            known |= sources(line)
    return row("package", item=item, parent=item, **known, **verdict)


def _with_digests(line: Row, root: str, digests: Mapping[str, str]) -> Row:
    """A row whose image lies in a file of many, with that file's digest."""
    digest = digests.get(str(line["path"]).removeprefix(f"{root}/"))
    return {**line, "sha256": digest, "mask_sha256": digest} if digest else line


if __name__ == "__main__":
    from ferrari.jobs.job_log import send_output_to
    from ferrari.provenance.job import ScriptJob
    from ferrari.provenance.reuse import has_work
    from ferrari.provenance.table_stamps import seal

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    this = ScriptJob.of(job, "package")
    if has_work(this, always=bool(job.params.enforce and faults_of(job.input.gate))):
        package_dataset(
            final_csv=job.input.final,
            dataset=job.config["dataset"],
            out_csv=job.output.table,
            format=job.wildcards.format,
            settings=job.params.package,
            gate=job.input.gate,
            **{name: job.params[name] for name in ("subject", "about", "enforce", "review")},
        )
        seal(this)
