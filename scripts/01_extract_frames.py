"""Stage 1: the frames of one clip, sampled on its own clock, upright, SDR, without repeats.

Each sample gets a row: kept, dropped as a near-duplicate (with the mean luma change and the
threshold), or quarantined because it was built on damaged data. A clip that the decoder crashes
on, hangs on or gets no clean frame out of is one more row, EXTRACTOR_REJECTED, and is copied to
`bad_videos/EXTRACTOR_REJECTED/`. Decoding runs in a child process with limits.
"""

from fractions import Fraction
from pathlib import Path

from scripts.lib import ledger
from scripts.lib.decoders import DecoderUnavailableError, candidates
from scripts.lib.extraction import QUARANTINE_REASONS, Extraction, extract
from scripts.lib.files import whole_folder
from scripts.lib.refusals import clear_frames, refuse_video
from scripts.lib.sandbox import Failure, run_limited
from scripts.lib.verdicts import REJECTED


def extract_video(
    *,
    raw: str,
    probe_csv: str,
    video: str,
    dataset: str,
    out_csv: str,
    settings: dict,
    threads: int,
) -> None:
    """Write the frames and the table of one clip; a clip that stage 0 refused gets an empty table.

    `settings` is the `extract` section of the config; `out_csv` lies beside the frames' folder.
    """
    folder = Path(out_csv).with_suffix("")
    probed = ledger.read_stage(probe_csv, "probe")[0]
    clear_frames(video, QUARANTINE_REASONS, dataset)
    with whole_folder(folder) as scratch:
        rows: list[ledger.Row] = []
        if probed["outcome"] == ledger.KEPT:
            result = _extract_limited(raw, video, scratch, dataset, settings, probed, threads)
            rows = _with_rejection(result, raw, probed, dataset)
    for row in rows:
        if row["outcome"] == ledger.KEPT:
            row["path"] = (folder / str(row["path"])).relative_to(dataset).as_posix()
    ledger.write_stage(out_csv, "extract", rows)


def _extract_limited(
    raw: str, video: str, scratch: Path, dataset: str, settings: dict, probed: dict, threads: int
) -> Extraction | Failure:
    """`extract` in a child; a GPU decoder that dies leaves the clip to the CPU, with the reason."""
    fps = float(probed["fps"] or 25)
    frame_s = Fraction(1) / Fraction(fps).limit_denominator(1000)
    decoders, passed_over = candidates(settings["decoder"])
    while True:
        try:
            result = run_limited(
                extract,
                raw,
                video,
                str(scratch),
                dataset,
                settings,
                decoders,
                passed_over,
                frame_s,
                threads,
                timeout_s=settings["timeout_s"],
                memory_mb=_memory_mb(decoders, settings),
                passing=(DecoderUnavailableError,),
            )
        except DecoderUnavailableError as error:
            return Failure("NO_DECODER", str(error))
        if isinstance(result, Failure) and len(decoders) > 1:
            passed_over = f"{passed_over}; {decoders[0].name}: {result.detail}".strip("; ")
            decoders = decoders[1:]
            continue
        return result


def _memory_mb(decoders, settings: dict) -> int | None:
    """CUDA maps the card's whole memory, so an address limit would stop it before it starts."""
    return settings["memory_mb"] if all(d.name == "pyav-cpu" for d in decoders) else None


def _with_rejection(
    result: Extraction | Failure, raw: str, probed: dict, dataset: str
) -> list[ledger.Row]:
    """The clip's rows, and one that rejects the clip as a whole if no frame of it was kept."""
    if isinstance(result, Failure):
        rows, value, detail, decoder = [], result.reason, result.detail, ""
    elif result.kept:
        return result.rows
    else:
        rows, decoder = result.rows, result.decoder
        value = "NO_CLEAN_FRAME"
        first = f"; first error: {result.tally.first_error}" if result.tally.first_error else ""
        detail = f"{result.tally.frames} frames decoded, {result.tally.errors} errors{first}"
    path = refuse_video(raw, probed["file"], REJECTED, dataset)
    rejection = ledger.row(
        "extract",
        item=probed["item"],
        parent=probed["item"],
        outcome=ledger.QUARANTINED,
        reason=REJECTED,
        value=value,
        path=path,
        sha256=probed["sha256"],
        decoder=decoder,
        detail=detail,
    )
    return [rejection, *rows]


if __name__ == "__main__":
    from scripts.lib.logs import send_output_to
    from scripts.lib.stamps import seal

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    extract_video(
        raw=job.params.raw,
        probe_csv=job.input.probe,
        video=job.wildcards.video,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
        settings=job.config["extract"],
        threads=job.threads,
    )
    seal(job)
