"""Stage 1: the frames of one clip, sampled by its timestamps, upright, SDR, without repeats.

Each sample gets a row: kept, dropped as a near-duplicate (with the mean luma change and the
threshold), or quarantined because it was decoded from damaged data. A clip that the decoder crashes
on, hangs on or gets no clean frame out of is one more row, EXTRACTOR_REJECTED, and is copied to
`bad_videos/EXTRACTOR_REJECTED/`. Each stretch of time out of which nothing trustworthy came,
because of errors, is a row LOST_SPAN with the seconds lost. Decoding runs in a child process with
limits.

The same pass writes the linking film: small pictures of moments between the samples, by which
people are followed from one to the next (`ferrari.video.linking_film`). A clip that gives no frame
has one of zero bytes.

A clip that a camera made as a small copy of another (`ferrari.video.twins`) is one row,
LOW_RESOLUTION_TWIN, and is not decoded. Whether it is one hangs on the tables of that other clip,
which alone this job takes besides its own: any other clip may come and go.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from ferrari.common.atomic_files import whole_folder, written_beside
from ferrari.common.counts import number_of
from ferrari.ledger import tables
from ferrari.ledger.columns import DROPPED, KEPT, QUARANTINED
from ferrari.ledger.reasons import (
    EXTRACTOR_REJECTED,
    LOW_RESOLUTION_TWIN,
    NO_CLEAN_FRAME,
    NO_DECODER,
)
from ferrari.ledger.refused_files import clear_frames, clear_video, refuse_video
from ferrari.ledger.spooled_rows import Spool
from ferrari.processes import device_slots
from ferrari.processes.devices import nvdec_slots
from ferrari.processes.failures import Failure
from ferrari.processes.limited_call import run_limited
from ferrari.provenance.table_stamps import seal
from ferrari.storage.buckets import ObjectError
from ferrari.video import linking_film, raw_files, twins
from ferrari.video.decoding.base import Decoder, DecoderUnavailableError
from ferrari.video.decoding.card_pays import CodedClip
from ferrari.video.decoding.registry import candidates
from ferrari.video.extraction import QUARANTINE_REASONS, Clip, Extraction, extract
from ferrari.video.fetched_clips import at_hand, let_go
from ferrari.video.timestamps import frame_time


def extract_video(
    *,
    raw: str,
    probe_csv: str,
    video: str,
    dataset: str,
    out_csv: str,
    settings: dict,
    threads: int,
    max_megapixels: float | None = None,
    named_after: Sequence[tuple[str, str]] = (),
) -> None:
    """Write frames, linking film and table of one clip; one that stage 0 refused has empty ones.

    `named_after`: tables (of stages 0 and 1) of the clips that it may be a small copy of.
    `settings` is the `extract` section of the config; `out_csv` lies beside the frames' folder. No
    frame beyond `max_megapixels` is decoded. `raw` is a path, or an address in a bucket. Raises
    RawFileChangedError if the raw file is not the one that stage 0 looked at, before and after its
    frames are taken.
    """
    folder = Path(out_csv).with_suffix("")
    probed = tables.read_stage(probe_csv, "probe")[0]
    clear_frames(video, QUARANTINE_REASONS, dataset)
    clear_video(video, (EXTRACTOR_REJECTED,), dataset)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Spool(folder.parent) as spool:
        rejection: list[tables.Row] = []
        common: tables.Row = {}
        with (
            written_beside(linking_film.path_of(out_csv)) as film,
            whole_folder(folder) as scratch,
        ):
            if twin := _twin(probed, named_after):
                rejection = [twin]
                let_go(raw, video, dataset)
            elif probed["outcome"] == KEPT:
                with _at_hand(raw, probed, dataset) as path:
                    read = _probed_file(raw, path, probed, probe_csv)
                    clip = Clip(
                        *(path, video, dataset, scratch, film, spool, settings),
                        frame_s=frame_time(float(probed["fps"] or 25)),
                        threads=threads,
                        max_pixels=int(max_megapixels * 1e6) if max_megapixels else None,
                    )
                    result = _extract_limited(clip, probed)
                    _check_still(read, path, video, dataset)
                    rejection = _rejection(result, path, probed, dataset)
                common = {} if isinstance(result, Failure) else result.common
            if rejection or not film.exists():
                film.write_bytes(b"")
        with tables.streamed_table(out_csv, "extract") as write:
            for row in rejection:
                write(row)
            for row in _placed(spool, folder.relative_to(dataset)) if common else ():
                write(row | common)


def _placed(rows: Iterable[tables.Row], folder: Path) -> Iterator[tables.Row]:
    """The rows as they were spooled, with the paths of kept frames from the dataset on."""
    for row in rows:
        if row["outcome"] == KEPT:
            row["path"] = (folder / str(row["path"])).as_posix()
        yield row


def _twin(probed: dict, named_after: Sequence[tuple[str, str]]) -> tables.Row | None:
    """The row of a clip that is a low-resolution copy of one that gave frames, else None."""
    others = {}
    for probe_csv, frames_csv in named_after:
        frames = tables.iter_stage(frames_csv, "extract")
        if next(frames, {}).get("reason") != EXTRACTOR_REJECTED:
            (row,) = tables.read_stage(probe_csv, "probe")
            others[row["item"]] = row
    full = twins.full_clip(probed, others.values()) if probed["outcome"] == KEPT else ""
    if not full:
        return None
    return tables.row(
        "extract",
        item=probed["item"],
        parent=probed["item"],
        outcome=DROPPED,
        reason=LOW_RESOLUTION_TWIN,
        value=full,
        detail=twins.described(probed, others[full]),
    )


@contextmanager
def _at_hand(raw: str, probed: dict, dataset: str) -> Iterator[str]:
    """The path of the raw file, or of its copy fetched from the bucket.

    Raises RawFileChangedError for an object that can no longer be fetched. That is not a row: stage
    0 could fetch it, so something has changed since, and the next run examines it again.
    """
    try:
        with at_hand(raw, probed["item"], dataset, probed["sha256"]) as clip:
            yield clip.path
    except ObjectError as error:
        raise raw_files.RawFileChangedError(
            f"{raw} {error}: stage 0 could fetch it. Start the run again, and it is fetched anew."
        ) from error


def _probed_file(raw: str, path: str, probed: dict, probe_csv: str) -> raw_files.RawFile:
    """The file at `path`, after checking that it is the one that stage 0 examined.

    The whole digest is compared. Reading a file costs a hundredth of decoding it, and with size and
    time alone, frames of another file could enter the dataset under this one's digest.
    """
    try:
        read = raw_files.read(path)
        why = "" if read.sha256 == probed["sha256"] else "its SHA-256 differs"
    except raw_files.NoFileError as error:
        why = f"it {error}"
    if why:
        raise raw_files.RawFileChangedError(
            f"{raw!r} is not the file that stage 0 looked at: {why}. Start the run again, and it "
            f"is looked at anew; if it stays so, delete {probe_csv} first."
        )
    return read


def _check_still(read: raw_files.RawFile, raw: str, video: str, dataset: str) -> None:
    """Raise RawFileChangedError if the file changed while its frames were taken.

    Its quarantined frames are deleted first.
    """
    try:
        read.check_still(raw)
    except (raw_files.NoFileError, raw_files.RawFileChangedError) as error:
        clear_frames(video, QUARANTINE_REASONS, dataset)
        raise raw_files.RawFileChangedError(
            f"{raw!r} went away or changed while its frames were taken, so none of them is kept. "
            "Start the run again, and it is looked at anew."
        ) from error


def _extract_limited(clip: Clip, probed: dict) -> Extraction | Failure:
    """`extract` in a child process, with the first decoder that accepts the clip.

    Each decoder gets its own child, so that one that crashes or refuses cannot affect the next.
    """
    settings = clip.settings
    pictures_fps = max(settings["fps"], settings["linking_fps"])
    coded = CodedClip.of(probed)
    decoders, passed_over = candidates(settings["decoder"], coded, pictures_fps, clip.video)
    proof = None
    for decoder in decoders:
        try:
            with _slot(decoder):
                result = run_limited(
                    extract,
                    clip,
                    decoder,
                    passed_over,
                    timeout_s=settings["timeout_s"],
                    **_memory_limit(decoder, settings),
                    passing=(DecoderUnavailableError,),
                )
        except DecoderUnavailableError as error:
            result, proof = Failure(NO_DECODER, str(error)), error.proof or proof
        if not isinstance(result, Failure):
            return replace(result, proof=result.proof or proof)
        clip.forget()
        passed_over = f"{passed_over}; {decoder.name}: {result.detail}".strip("; ")
    if decoder.prove:
        return Failure(
            NO_DECODER, f"{passed_over}; with extract.decoder: nvdec_first the CPU decodes it"
        )
    return result if result.reason != NO_DECODER else Failure(NO_DECODER, passed_over)


def _slot(decoder: Decoder) -> AbstractContextManager[object]:
    """Hold one of the decode slots of the card that the decoder uses; does nothing for the CPU.

    It is held here, where no time limit runs yet, and not in the child that opens the card.
    """
    if decoder.device is None:
        return nullcontext()
    slots = nvdec_slots(decoder.device)
    return device_slots.hold(device_slots.NVDEC, decoder.device, slots)


def _memory_limit(decoder: Decoder, settings: Mapping) -> dict[str, int | None]:
    """How the child's memory is limited: by its address space or, since CUDA maps the card's whole
    memory into that, by its resident memory.
    """
    limit = settings["memory_mb"]
    if decoder.device is not None:
        return {"memory_mb": None, "resident_mb": limit}
    return {"memory_mb": limit}


def _rejection(
    result: Extraction | Failure, raw: str, probed: dict, dataset: str
) -> list[tables.Row]:
    """The row that rejects the whole clip if none of its frames was kept; else no row."""
    decoder = ""
    if isinstance(result, Failure):
        value, detail = result.reason, result.detail
        clear_frames(probed["item"], QUARANTINE_REASONS, dataset)  # their rows died with the child
    elif result.kept:
        return []
    else:
        value, decoder = NO_CLEAN_FRAME, result.decoder
        first = f"; first error: {result.first_error}" if result.first_error else ""
        decoded, errors = number_of(result.frames, "frame"), number_of(result.errors, "error")
        detail = f"{decoded} decoded, {errors}{first}"
    path = refuse_video(raw, probed["file"], EXTRACTOR_REJECTED, dataset)
    rejection = tables.row(
        "extract",
        item=probed["item"],
        parent=probed["item"],
        outcome=QUARANTINED,
        reason=EXTRACTOR_REJECTED,
        value=value,
        path=path,
        sha256=probed["sha256"],
        decoder=decoder,
        detail=detail,
    )
    return [rejection]


def run(job) -> None:
    """The job of the rule `extract` (see `ferrari.jobs.stage_job`)."""
    named_after = job.input.all("named_after")  # two tables a clip
    extract_video(
        raw=job.params.raw,
        probe_csv=job.input.probe,
        video=job.wildcards.video,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
        settings=job.settings("settings"),
        threads=job.threads,
        max_megapixels=job.params.max_megapixels,
        named_after=list(zip(named_after[::2], named_after[1::2], strict=True)),
    )
    seal(job)
