"""Stage 2, first half: who is where? One row a detection, one for each frame without any.

Every detection that reaches `detect.confidence` is kept: which of them is the subject is for
`02_yolo_crop` to say. A frame where nothing reaches it is dropped (NO_SUBJECT, with the highest
confidence that was seen). The detector runs in a child process with limits: a frame that ends it is
quarantined (MODEL_CRASHED, MODEL_TIMEOUT, OUT_OF_MEMORY), and the others go on.

The pictures of the linking film are searched too, and what is found in both is linked to tracks
(`ferrari.subject.following`): each detection's row has its track, and a table beside it tells of
the tracks. Of what is found in the film, only these sums remain.

Where people are judged, a box below `detect.confidence` counts too if a face of its own is seen in
it (`ferrari.subject.faint_people`); and a kept frame in which a track loses somebody is searched
once more around the place (`ferrari.subject.second_look`). Who is found in these ways has a row
like any other, whose detail says so.

Where faces are asked for, those of the people in a frame are found and embedded, by networks in a
child process of their own. A frame that ends these is quarantined as well: nobody could say who is
in it. Faces lie in a third file, `subject/sightings/<video>.npz`, and in no table.
"""

import heapq
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ferrari.common.progress import LOGGER, Progress
from ferrari.images import boxes, image_files, subject_choice
from ferrari.images.faces import has_room
from ferrari.ledger import item_ids, tables
from ferrari.ledger.columns import DROPPED, KEPT, QUARANTINED
from ferrari.ledger.reasons import MODEL_FAILURES, NO_SUBJECT, UNREADABLE_FRAME
from ferrari.ledger.refused_files import clear_frames, refuse_frame_file
from ferrari.networks import detectors, weight_files
from ferrari.networks import faces as face_networks
from ferrari.networks.on_device import OnDevice
from ferrari.processes.batching import by_size, in_flight
from ferrari.processes.failures import Failure
from ferrari.processes.isolated_model import Isolated
from ferrari.processes.model_process import Load
from ferrari.processes.model_verdicts import Limits
from ferrari.provenance.reuse import NOTHING, Earlier, item_digest, narrowed, refused_files
from ferrari.provenance.table_stamps import seal
from ferrari.subject import faint_people, sightings_file, track_table
from ferrari.subject.face_weights import LEAST
from ferrari.subject.faint_people import FAINT, FOUND_BY_FACE
from ferrari.subject.following import Followed, Sight, follow
from ferrari.subject.second_look import FOUND_AGAIN
from ferrari.subject.sightings_file import SeenFace
from ferrari.video import linking_film
from ferrari.video.linking_film import LinkingPicture

#: What this stage looks at in a frame's row: a frame is searched again when one of these changes.
READS = ("item", "path", "sha256", "width", "height", "frame", "time_s")


@dataclass(frozen=True)
class Faces:
    """The networks for faces: what the rule's param says of them, and the files of their weights.

    `asked`: `detector`, `embedding`, and `weights`, the entry of each in models.yaml.
    """

    asked: Mapping
    weights: Sequence[str]

    @property
    def dimensions(self) -> int:
        """How many numbers an embedding has."""
        return int(self.asked["weights"][1]["dimensions"])

    def loader(self, settings: Mapping, threads: int, cache: str, opener: OnDevice) -> Load:
        """What loads them on the device of the `detect` settings."""
        means = {key: settings[key] for key in ("device", "batch")}
        return face_networks.loader({**self.asked, **means}, self.weights, threads, cache, opener)


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
    faces: Faces | None = None,
    second_look: bool = False,
    earlier: Earlier = NOTHING,
) -> dict[str, str]:
    """Write one clip's tables of detections and tracks, and its sightings; returns the digests of
    its frames' rows.

    `settings` is the `detect` section of the config, `mask_settings` the `mask` section (used by
    `detect.backend: mask`). `faces` are the networks for them, None if none are asked for. With a
    `second_look` faint boxes with a face count, and a frame is searched again where a track loses
    somebody in it. Frames whose rows `earlier` has, with their faces, are not searched again. The
    `film` is, whenever a job has anything to do: people are linked over the clip as a whole. For
    `mask` it is left alone: three times as many pictures would go through a segmenter.
    """
    lines = _lines(frames_csv)
    digests = {line["item"]: item_digest(line) for line in lines}
    if faces is not None and out_sightings not in earlier.beside:
        earlier = NOTHING  # rows without their faces are of no use
    second_look &= settings["backend"] != "mask"
    taken = _as_first_seen(earlier.take_all(digests))
    refusals = (UNREADABLE_FRAME, *MODEL_FAILURES)
    clear_frames(video, refusals, dataset, "frame", refused_files(taken))
    pictures = linking_film.read(film) if settings["backend"] != "mask" else ()
    views = _in_order(lines, pictures)
    limits = Limits.of("detect", settings)
    opener = OnDevice(settings["device"], limits)
    with ExitStack() as processes:
        stage = _Stage(settings["confidence"], Path(dataset), video, taken, second_look)
        unknown = len(taken) < len(lines) or (second_look and bool(lines))
        if unknown or (pictures and os.path.getsize(film)):
            load = detectors.loader(settings, weights, mask_settings, threads, cache, opener)
            stage.detector = processes.enter_context(Isolated(load, detectors.HARMLESS, limits))
        if faces is not None and unknown:
            load = faces.loader(settings, threads, cache, opener)
            recogniser = Isolated(load, face_networks.HARMLESS, limits)
            stage.recogniser = processes.enter_context(recogniser)
        followed = stage.followed(by_size(views, _View.pixels, settings["batch"]))
    rows = [row | followed.cells_of(row) for item in digests for row in stage.rows[item]]
    clip = replace(followed.clip, unsearched=stage.unsearched)
    track_table.write(out_tracks, clip, followed.tracks)
    known = _faces_taken(earlier, out_sightings, taken) | stage.faces
    linked, dimensions = followed.linked, faces.dimensions if faces is not None else 0
    sightings_file.write(out_sightings, sightings_file.seen_clip(linked, known, dimensions))
    tables.write_stage(out_csv, "detect", rows)
    return digests


def _lines(frames_csv: str) -> list[Mapping[str, str]]:
    """What this stage looks at of the kept frames."""
    kept = tables.kept(tables.read_stage(frames_csv, "extract"))
    return [narrowed(line, READS) for line in kept]


def _as_first_seen(taken: Mapping[str, list[dict[str, str]]]) -> dict[str, list[dict[str, str]]]:
    """Without the frames in which a second look found somebody: where one is taken, and whose its
    faces are, hangs on the clip as a whole.
    """
    return {
        frame: rows
        for frame, rows in taken.items()
        if not any(FOUND_AGAIN in row["detail"] for row in rows)
    }


def _faces_taken(
    earlier: Earlier, sightings: str, taken: Mapping[str, list[dict[str, str]]]
) -> dict[str, list[SeenFace]]:
    """The faces of detections whose rows are taken over, by item."""
    if not taken or sightings not in earlier.beside:
        return {}
    before = sightings_file.read_bytes(earlier.beside[sightings]).faces_by_item()
    items = (row["item"] for rows in taken.values() for row in rows)
    return {item: before[item] for item in items if item in before}


@dataclass
class _View:
    """A picture on its way through the stage: a kept frame with its row, or one of the film.

    `picture_rgb` of a frame is read on the way; `fault` is what is wrong with its file.
    """

    frame: int
    time_s: float
    line: Mapping | None = None
    picture_rgb: np.ndarray | None = None
    fault: str = ""
    found: Sequence[boxes.Detection] | Failure | None = None
    faint: Sequence[boxes.Detection] = ()  # those below the bound that count by their face

    def pixels(self) -> int:
        """How many pixels it has, or will have."""
        if self.line is not None:
            return int(self.line["width"]) * int(self.line["height"])
        assert self.picture_rgb is not None
        return self.picture_rgb.shape[0] * self.picture_rgb.shape[1]


def _in_order(lines: Iterable[Mapping], film: Iterable[LinkingPicture]) -> Iterator[_View]:
    """The kept frames and the film's pictures, which are of others, in the order shown."""
    kept = (_View(int(line["frame"]), float(line["time_s"]), line) for line in lines)
    filmed = (_View(one.frame, one.time_s, None, one.picture_rgb) for one in film)
    return heapq.merge(kept, filmed, key=lambda view: view.frame)


@dataclass(frozen=True)
class _Batch:
    """Pictures that the detector has seen, what rows say of it, and a remark for them."""

    views: list[_View]
    about: Mapping
    remark: str


@dataclass
class _Stage:
    """What the rows of one clip share. `read`, `search` and `sights` run in a thread each."""

    confidence: float
    dataset: Path
    video: str
    taken: Mapping[str, list[dict[str, str]]]  # rows of frames that are not searched again
    second_look: bool = False
    detector: Isolated | None = None
    recogniser: Isolated | None = None  # of faces
    faces: dict[str, list[SeenFace]] = field(default_factory=dict)  # by detection
    rows: dict[str, list[tables.Row]] = field(default_factory=dict)  # by frame
    shown: list[Mapping | None] = field(
        default_factory=list
    )  # each sight's frame, None: the film's
    unsearched: int = 0  # pictures of the film

    def followed(self, batches: Iterable[list[_View]]) -> Followed:
        """Search all pictures, and follow the people in them."""
        with closing(in_flight(batches, self.read, self.search)) as searched:
            return follow(self.sights(searched), _Again(self) if self.second_look else None)

    def read(self, views: list[_View]) -> list[_View]:
        """A batch with the pictures of its frames."""
        for view in views:
            if view.line is None:
                continue
            path = view.line["path"]
            try:
                where = self.dataset / path
                view.picture_rgb = image_files.read_verified(where, view.line["sha256"], path)
            except image_files.ImageReadError as error:
                view.fault = str(error)
        return views

    def search(self, views: list[_View]) -> _Batch:
        """Have the detector look at what could be read and is not known yet."""
        unknown = [view for view in views if view.picture_rgb is not None and not self._known(view)]
        frames = [view for view in unknown if view.line is not None]
        filmed = [view for view in unknown if view.line is None]
        remarks = [self._look(frames, "frames")]
        self._look(filmed, "pictures of the linking film")
        remarks.append(self._recognise(frames))
        remark = "; ".join(dict.fromkeys(filter(None, remarks)))
        return _Batch(views, self.detector.about if self.detector else {}, remark)

    def _known(self, view: _View) -> bool:
        return view.line is not None and view.line["item"] in self.taken

    def _look(self, views: list[_View], what: str) -> str:
        """Search pictures of one size; a remark for their rows."""
        if not views:
            return ""
        assert self.detector is not None
        found, remark = self.detector.outcomes([view.picture_rgb for view in views], what)
        for view, detections in zip(views, found, strict=True):
            view.found = detections
        return remark

    def _recognise(self, views: list[_View]) -> str:
        """Find and embed the faces of the people in frames that were searched; a remark for their
        rows. A frame that ends the networks is one that the detector could not search.
        """
        remark = self._embed([(view, self._people(view)) for view in views])
        for view in views if self.second_look else ():
            self._count_faint(view)
        return remark

    def _count_faint(self, view: _View) -> None:
        """Let boxes of a frame that are below the bound count where a face speaks for them."""
        if self.recogniser is None or view.found is None or isinstance(view.found, Failure):
            return
        faint = subject_choice.in_order(
            [one for one in view.found if FAINT <= one.confidence < self.confidence]
        )
        sure, before = self._people(view), dict(self.faces)
        view.faint = faint
        added = dict(list(self._people(view).items())[len(sure) :])
        # Whoever is not in touch with a faint box has no face in it.
        near = {k: one for k, one in sure.items() if any(_touch(one, other) for other in faint)}
        counted: list[int] = []
        if _with_a_face(view, added) and self._embedded(view, near | added):
            known = [before.get(item, []) for item in sure]
            faces = [self.faces.get(item, []) for item in added]
            people = [one.box_xyxy for one in sure.values()]
            counted = faint_people.with_a_face(people, known, faces)
        self.faces, view.faint = dict(before), [faint[number] for number in counted]
        if counted and not self._embedded(view, self._people(view)):
            self.faces, view.faint = before, ()

    def _embedded(self, view: _View, people: Mapping[str, boxes.Detection]) -> bool:
        """Whether the faces of a frame's people could be asked for; `found` stays as it was."""
        found = view.found
        self._embed([(view, people)])
        answer, view.found = view.found, found
        if isinstance(answer, Failure):
            why = f"{answer.reason} ({answer.detail})"
            LOGGER.warning("%s stays without its faint boxes: %s", view.line["item"], why)
        return not isinstance(answer, Failure)

    def _embed(self, views: Sequence[tuple[_View, Mapping[str, boxes.Detection]]]) -> str:
        """The same for the people in each, by item."""
        asked = [(view, some) for view, people in views if (some := _with_a_face(view, people))]
        if self.recogniser is None or not asked:
            return ""
        pictures = [(view.picture_rgb, list(people.values())) for view, people in asked]
        found, remark = self.recogniser.outcomes(pictures, "frames with faces")
        for (view, people), answer in zip(asked, found, strict=True):
            if isinstance(answer, Failure):
                view.found = replace(answer, detail=f"the networks for faces: {answer.detail}")
                continue
            for item, seen in zip(people, answer, strict=True):
                self.faces[item] = [SeenFace.of(one.face, one.embedding) for one in seen]
        return remark

    def picture(self, line: Mapping) -> np.ndarray:
        """The pixels of a frame that was read before."""
        return image_files.read_verified(self.dataset / line["path"], line["sha256"], line["path"])

    def add(self, line: Mapping, found: Sequence[boxes.Detection]) -> list[str]:
        """Give those whom a second look found in a frame rows behind the others', or in place of
        the one that says that nobody is there; their items.

        Whose the faces are is asked anew: one that was given to somebody else may be theirs. If
        the frame ends the networks for faces, nobody is added.
        """
        assert self.detector is not None
        frame = line["item"]
        view = _View(int(line["frame"]), float(line["time_s"]), line, self.picture(line))
        before = [row for row in self.rows[frame] if row["outcome"] == KEPT]
        height, width = view.picture_rgb.shape[:2]
        about = {"parent": frame, **self.detector.about, "detail": FOUND_AGAIN}
        about |= {"frame_width": width, "frame_height": height}
        rows = list(before)
        for one in found:
            item = item_ids.detection_item(frame, len(rows))
            rows.append(tables.row("detect", item=item, **about, **_about(one, view.picture_rgb)))
        faces = dict(self.faces)
        self.faces |= {str(row["item"]): [] for row in rows}
        self._embed([(view, {str(row["item"]): _detection(row) for row in rows})])
        if isinstance(view.found, Failure):
            self.faces = faces
            why = f"{view.found.reason} ({view.found.detail})"
            LOGGER.warning("%s stays without whom a second look found: %s", frame, why)
            return []
        self.rows[frame] = rows
        return [str(row["item"]) for row in rows[len(before) :]]

    def _people(self, view: _View) -> dict[str, boxes.Detection]:
        """A frame's detections, by item."""
        if view.line is None or view.found is None or isinstance(view.found, Failure):
            return {}
        frame = view.line["item"]
        counted = enumerate([*self.counted(view.found), *view.faint])
        return {item_ids.detection_item(frame, ordinal): one for ordinal, one in counted}

    def sights(self, batches: Iterable[_Batch]) -> Iterator[Sight]:
        """What is found, picture by picture; keeps the rows of frames on the way."""
        progress = Progress(f"{self.video}: pictures searched")
        for batch in batches:
            for view in batch.views:
                if view.line is not None:
                    self.rows[view.line["item"]] = self._rows(view, batch)
                    sight = self._frame_sight(view)
                else:
                    sight = self._film_sight(view)
                    self.unsearched += sight is None
                if sight is not None:
                    self.shown.append(view.line)
                    yield sight
            progress.step(len(batch.views))
        if self.unsearched:
            LOGGER.warning("%d pictures of the linking film ended the detector", self.unsearched)

    def _frame_sight(self, view: _View) -> Sight | None:
        """What a frame's rows tell; None of one that could not be searched."""
        assert view.line is not None
        rows = self.rows[view.line["item"]]
        if view.picture_rgb is None or any(row["outcome"] == QUARANTINED for row in rows):
            return None
        kept = [row for row in rows if row["outcome"] == KEPT]
        items = [str(row["item"]) for row in kept]
        return Sight(view.time_s, view.picture_rgb, list(map(_detection, kept)), items)

    def _film_sight(self, view: _View) -> Sight | None:
        """What is found in a picture of the film; None if it ended the detector."""
        if view.picture_rgb is None or view.found is None or isinstance(view.found, Failure):
            return None
        return Sight(view.time_s, view.picture_rgb, self.counted(view.found))

    def counted(self, found: Iterable[boxes.Detection]) -> list[boxes.Detection]:
        """What reaches the bound, in the order in which detections are numbered."""
        return subject_choice.in_order([d for d in found if d.confidence >= self.confidence])

    def _rows(self, view: _View, batch: _Batch) -> list[tables.Row]:
        """The rows of a frame."""
        assert view.line is not None
        frame, size = view.line["item"], {}
        if view.picture_rgb is not None:
            if self._known(view):
                return [dict(row) for row in self.taken[frame]]
            height, width = view.picture_rgb.shape[:2]
            size = {"frame_width": width, "frame_height": height}
        rows = []
        for row in self._verdicts(view, batch.remark):
            item = row.pop("item", frame)
            about = {"parent": frame, **batch.about, **size}
            rows.append(tables.row("detect", item=item, **about, **row))
        return rows

    def _verdicts(self, view: _View, remark: str) -> Iterator[dict]:
        """What is found in a frame, or that nothing is, or why nobody knows."""
        assert view.line is not None
        if view.picture_rgb is None:
            yield self._refused(view.line, UNREADABLE_FRAME, view.fault)
        elif isinstance(view.found, Failure):
            yield self._refused(view.line, view.found.reason, view.found.detail)
        else:
            found = view.found or ()
            counted = [(one, remark) for one in self.counted(found)]
            by_face = "; ".join(filter(None, [FOUND_BY_FACE, remark]))
            counted += [(one, by_face) for one in view.faint]
            for ordinal, (detection, said) in enumerate(counted):
                item = item_ids.detection_item(view.line["item"], ordinal)
                yield {"item": item, **_about(detection, view.picture_rgb), "detail": said}
            if not counted:
                best = max((d.confidence for d in found), default=0.0)
                verdict = {"outcome": DROPPED, "reason": NO_SUBJECT, "detail": remark}
                yield verdict | {"value": round(best, 6), "threshold": self.confidence}

    def _refused(self, line: Mapping, reason: str, detail: str) -> dict:
        """A frame that is quarantined as a whole; its file is copied."""
        path = self.dataset / line["path"]
        copy = refuse_frame_file(path, path.name, self.video, reason, self.dataset)
        return {"outcome": QUARANTINED, "reason": reason, "detail": detail, **copy}


@dataclass(frozen=True)
class _Again:
    """A second look at a clip's frames (`following.Again`): sights are told by their number."""

    stage: _Stage

    def picture(self, number: int) -> np.ndarray:
        return self.stage.picture(self._line(number))

    def find(self, squares_rgb: Sequence[np.ndarray]) -> list[list[boxes.Detection]]:
        """What ends the detector shows nobody."""
        assert self.stage.detector is not None
        found, _ = self.stage.detector.outcomes(list(squares_rgb), "second looks")
        if failed := sum(isinstance(one, Failure) for one in found):
            LOGGER.warning("%d second looks ended the detector, and find nobody", failed)
        return [[] if isinstance(one, Failure) else self.stage.counted(one) for one in found]

    def taken(self, number: int, found: Sequence[boxes.Detection]) -> list[str]:
        return self.stage.add(self._line(number), found)

    def _line(self, number: int) -> Mapping:
        line = self.stage.shown[number]
        assert line is not None  # the film is not looked at again
        return line


def _with_a_face(view: _View, people: Mapping[str, boxes.Detection]) -> dict[str, boxes.Box]:
    """The boxes of those among a picture's people on whom a face may be that can be judged."""
    if not people:
        return {}
    assert view.picture_rgb is not None
    height, width = view.picture_rgb.shape[:2]
    inside = {item: boxes.clip(one.box_xyxy, width, height) for item, one in people.items()}
    return {item: box for item, box in inside.items() if has_room(box, LEAST)}


def _touch(one: boxes.Detection, other: boxes.Detection) -> bool:
    return boxes.shared(one.box_xyxy, other.box_xyxy) > 0


def _detection(row: Mapping) -> boxes.Detection:
    """The detection that a row tells of."""
    x1, y1, x2, y2 = (float(row[name]) for name in ("x1", "y1", "x2", "y2"))
    return boxes.Detection((x1, y1, x2, y2), float(row["confidence"]), str(row["class_name"]))


def _about(detection: boxes.Detection, frame_rgb: np.ndarray) -> dict:
    """A detection's own cells. Its box has more digits than any whole pixel depends on."""
    height, width = frame_rgb.shape[:2]
    box = boxes.clip(detection.box_xyxy, width, height)
    return {
        "outcome": KEPT,
        "confidence": round(detection.confidence, 6),
        "class_name": detection.class_name,
        **dict(zip(("x1", "y1", "x2", "y2"), (round(v, 6) for v in box), strict=True)),
    }


def _asked_for(job) -> Faces | None:
    """The networks for faces, if the rule asks for them; their weights are verified."""
    asked = job.params.faces
    return Faces(asked, weight_files.ready(job.config, "subject")) if asked else None


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
