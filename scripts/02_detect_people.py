"""Stage 2, first half: where are people? One row for each detection, one for a frame without any.

Every detection that reaches `detect.confidence` is kept; which of them is the subject is decided by
`02_yolo_crop`. A frame without such a detection is dropped (NO_SUBJECT, with the highest confidence
seen). The detector runs in a child process with limits: a frame that crashes it is quarantined
(MODEL_CRASHED, MODEL_TIMEOUT, OUT_OF_MEMORY), and the others go on.

The detector also runs on the pictures of the linking film. The detections of both are linked to
tracks (`ferrari.subject.following`): each detection's row names its track, and a table beside it
has the tracks. Of the detections in the film, only sums over their tracks are stored. If a picture
of the film crashes the detector, a quarantined row follows those of the kept frame before it. When
the limit is raised, that frame and the film are searched again.

A box below `detect.confidence` that lies within somebody's names nobody, but is told in that row
(`hardly_seen`): the mask has to know that somebody may be behind them (`images.hardly_seen`). The
backend `mask` gives no such box: a faint part of a mask may be the subject's own arm.

Where people are judged, a box below `detect.confidence` also counts if a face of its own is found
in it (`ferrari.subject.faint_people`). And if a track loses somebody in a kept frame, the frame is
searched once more around that place (`ferrari.subject.second_look`). People found in these ways
have a row like any other, whose detail says so. If such a second look crashes a network, the frame
stays as it was, and the look has a quarantined row of its own. When the limit is raised, the frame
is searched again.

Where faces are needed, those of the people in a frame are detected and embedded by networks in
their own child process. A frame that crashes these is quarantined as well, because nobody could say
who is in it. Faces are stored in a third file, `subject/sightings/<video>.npz`, and in no table.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ferrari.detection import views
from ferrari.detection.clip_search import ClipSearch
from ferrari.detection.detection_rows import is_unseen
from ferrari.detection.face_search import FaceNetworks, FaceSearch
from ferrari.detection.views import View
from ferrari.ledger import tables
from ferrari.ledger.reasons import MODEL_FAILURES, UNREADABLE_FRAME
from ferrari.ledger.refused_files import clear_frames
from ferrari.networks import detectors, weight_files
from ferrari.networks import faces as face_networks
from ferrari.networks.on_device import OnDevice
from ferrari.processes.batching import by_size
from ferrari.processes.isolated_model import Isolated
from ferrari.processes.model_verdicts import Limits
from ferrari.provenance.reuse import NOTHING, Earlier, item_digest, refused_files
from ferrari.provenance.table_stamps import seal
from ferrari.subject import clip_table, sightings_file
from ferrari.subject.second_look import FOUND_AGAIN
from ferrari.subject.sightings_file import SeenFace
from ferrari.video import linking_film

#: The columns of a frame that this stage uses: it is searched again when one of them changes.
READS = ("item", "path", "sha256", "width", "height", "frame", "time_s")


def detect_video(
    *,
    frames_csv: str,
    film: str,
    video: str,
    dataset: str,
    out_csv: str,
    out_tracks: str,
    out_sightings: str,
    weights: Sequence[str],
    settings: Mapping,
    mask_settings: Mapping,
    cache: str,
    threads: int,
    faces: FaceNetworks | None = None,
    second_look: bool = False,
    earlier: Earlier = NOTHING,
) -> dict[str, str]:
    """Write one clip's tables of detections and tracks, and its sightings; returns the digests of
    its frames' rows.

    `settings` is the `detect` section of the config, `mask_settings` the `mask` section (used by
    `detect.backend: mask`). `faces` are the face networks, or None. With `second_look`, faint boxes
    with a face count, and a frame is searched again where a track loses somebody. Frames whose rows
    and faces are in `earlier` are not searched again. The `film` always is, because people are
    linked over the whole clip; but not with the backend `mask`, since that would send three times
    as many pictures through a segmenter.
    """
    lines = _lines(frames_csv)
    digests = {line["item"]: item_digest(line) for line in lines}
    if faces is not None and out_sightings not in earlier.beside:
        earlier = NOTHING  # rows without their faces are of no use
    second_look &= (by_people := settings["backend"] != "mask")
    taken = _as_first_seen(earlier.take_all(digests))
    refusals = (UNREADABLE_FRAME, *MODEL_FAILURES)
    clear_frames(video, refusals, dataset, "frame", refused_files(taken))
    pictures = linking_film.read(film) if by_people else ()
    shown = views.in_order(lines, pictures)
    limits = Limits.of("detect", settings)
    opener = OnDevice(settings["device"], limits)
    with opener.one_slot(), ExitStack() as processes:
        seen = FaceSearch(settings["confidence"])
        search = ClipSearch(Path(dataset), video, taken, seen, second_look, hints=by_people)
        unknown = len(taken) < len(lines) or (second_look and bool(lines))
        if unknown or (pictures and os.path.getsize(film)):
            load = detectors.loader(settings, weights, mask_settings, threads, cache, opener)
            search.detector = processes.enter_context(Isolated(load, detectors.HARMLESS, limits))
        if faces is not None and unknown:
            load = faces.loader(settings, threads, cache, opener)
            recogniser = Isolated(load, face_networks.HARMLESS, limits)
            seen.recogniser = processes.enter_context(recogniser)
        followed = search.followed(by_size(shown, View.pixels, settings["batch"]))
    rows = [row | followed.cells_of(row) for item in digests for row in search.rows[item]]
    clip = replace(followed.clip, unsearched=search.unsearched)
    clip_table.write(out_tracks, clip, followed.tracks)
    known = _faces_taken(earlier, out_sightings, taken) | seen.faces
    linked, dimensions = followed.linked, faces.dimensions if faces is not None else 0
    sightings_file.write(out_sightings, sightings_file.seen_clip(linked, known, dimensions))
    tables.write_stage(out_csv, "detect", rows)
    return digests


def _lines(frames_csv: str) -> list[Mapping[str, str]]:
    """The columns of the kept frames that this stage uses."""
    kept = tables.kept(tables.read_stage(frames_csv, "extract"))
    return [tables.narrowed(line, READS) for line in kept]


def _as_first_seen(taken: Mapping[str, list[dict[str, str]]]) -> dict[str, list[dict[str, str]]]:
    """The rows without frames that depend on the whole clip: those in which a second look found
    somebody, or with a row of a second look or of the film that crashed a network.
    """
    return {
        frame: rows
        for frame, rows in taken.items()
        if not any(FOUND_AGAIN in row["detail"] or is_unseen(row) for row in rows)
    }


def _faces_taken(
    earlier: Earlier, sightings: str, taken: Mapping[str, list[dict[str, str]]]
) -> dict[str, list[SeenFace]]:
    """The faces of detections whose rows are reused, by item."""
    if not taken or sightings not in earlier.beside:
        return {}
    before = sightings_file.read_bytes(earlier.beside[sightings]).faces_by_item()
    items = (row["item"] for rows in taken.values() for row in rows)
    return {item: before[item] for item in items if item in before}


def _asked_for(job) -> FaceNetworks | None:
    """The face networks, if the rule asks for them; their weights are verified."""
    asked = job.params.faces
    return FaceNetworks(asked, weight_files.ready(job.config, "subject")) if asked else None


def run(job) -> None:
    """The job of the rule `detect` (see `ferrari.jobs.stage_job`)."""
    settings, mask_settings = job.settings("settings"), job.params.mask or {}
    digests = detect_video(
        frames_csv=job.input.table,
        film=job.input.film,
        video=job.wildcards.video,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
        out_tracks=job.output.tracks,
        out_sightings=job.output.sightings,
        weights=weight_files.ready(
            {"detect": settings, "mask": mask_settings, "cache": job.config["cache"]}, "detect"
        ),
        settings=settings,
        mask_settings=mask_settings,
        cache=job.config["cache"],
        threads=job.threads,
        faces=_asked_for(job),
        second_look=job.params.second_look,
        earlier=job.earlier,
    )
    seal(job, digests)
