"""Stage 5, per format: the final images as a folder that a trainer's own loader reads.

The folder is there whole or not at all. Each image, mask and caption is re-opened in the package
and compared with the final table; what is unsound is a quarantined row and not in the package.
The manifest, one row an image, is written last. Nothing is written while a quality check that is
enforced fails.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from scripts.lib.files import whole_folder
from scripts.lib.final_check import Fault
from scripts.lib.ledger import KEPT, QUARANTINED, Row, iter_stage, row, sorted_table
from scripts.lib.logs import Progress
from scripts.lib.packages import Format, PackageError, Subject, place, safe_subject


def make_format(name: str, settings: Mapping, subject: Subject) -> Format:
    """The format of that name; PackageError lists those there are."""
    from scripts.lib.packages_imagefolder import ImageFolder
    from scripts.lib.packages_kohya import Kohya

    formats = {form.name: form for form in (Kohya, ImageFolder)}
    if name not in formats:
        raise PackageError(f"package.formats: unknown format {name!r}; known: {', '.join(formats)}")
    return formats[name](settings, subject)


def package_dataset(
    *,
    final_csv: str | Path,
    dataset: str | Path,
    out_csv: str | Path,
    format: str,
    settings: Mapping,
    subject: Mapping[str, str],
    gate: Iterable[str | Path] = (),
    enforce: bool = True,
) -> None:
    """Write `<folder of out_csv>/<format>/` and its manifest `out_csv` from the final table.

    `settings` is the configuration's `package` section, `subject` its `subject` section; `gate`
    are the CSV files of the quality reports. Raises QualityGateError if one of them holds a FAIL
    while `enforce` is true, and PackageError for a subject that cannot name a folder, an unknown
    format, or a final table without a single image to package.
    """
    if enforce:
        from scripts.lib.checks import enforce as hold_back

        hold_back([gate] if isinstance(gate, (str, Path)) else gate)
    form = make_format(format, settings, safe_subject(subject))
    dataset, out_csv = Path(dataset), Path(out_csv)
    target = out_csv.parent / format
    packaged = 0
    with sorted_table(out_csv, "package") as write, whole_folder(target) as folder:
        form.begin(folder)
        for line, fault in placed(form, folder, dataset, final_csv, bool(settings["link"])):
            packaged += fault is None
            write(package_row(form, target.relative_to(dataset).as_posix(), line, fault))
        if not packaged:
            raise PackageError(
                f"{final_csv} holds no image that could be packaged: the reports from QC0 on say "
                "at which stage the material was lost"
            )
        form.finish(folder, target)


def placed(
    form: Format, folder: Path, dataset: Path, final_csv: str | Path, link: bool
) -> Iterator[tuple[dict[str, str], Fault | None]]:
    """Each kept row of the final table and what kept its image out of the package, in order."""
    progress = Progress(f"images packaged ({form.name})")
    for line in iter_stage(final_csv, "final"):
        if line["outcome"] == KEPT:
            yield line, place(form, folder, dataset, line, link)
            progress.step()


def package_row(form: Format, root: str, line: Mapping[str, str], fault: Fault | None) -> Row:
    """The manifest's row; paths are relative to the dataset, and empty for what was refused."""
    item = line["item"]
    known = {key: line[key] for key in ("caption", "sha256", "mask_sha256", "width", "height")}
    if fault:
        verdict = {"outcome": QUARANTINED, "reason": fault[0], "value": fault[1]}
    else:
        verdict = {
            "outcome": KEPT,
            "path": f"{root}/{form.image_path(item)}",
            "mask_path": f"{root}/{form.mask_path(item)}",
            "caption_path": f"{root}/{form.caption_path(item)}",
            "caption_sha256": form.caption_sha256(line["caption"]),
        }
    return row("package", item=item, parent=item, **known, **verdict)


if __name__ == "__main__":
    from scripts.lib.logs import send_output_to
    from scripts.lib.stamps import seal

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    package_dataset(
        final_csv=job.input.final,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
        format=job.wildcards.format,
        settings=job.params.package,
        subject=job.params.subject,
        gate=job.input.gate,
        enforce=job.params.enforce,
    )
    seal(job)
