"""The frames of a clip, and the two halves of stage 2 run on them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from ferrari.images import image_files
from ferrari.images.boxes import Detection, area
from ferrari.images.subject_choice import off_centre
from ferrari.ledger import item_ids, stages, tables
from ferrari.provenance.reuse import NOTHING, Earlier
from ferrari.subject import sightings_file, template_file
from ferrari.subject.appearance import LENGTH
from ferrari.subject.sightings import Linked
from ferrari.subject.sightings_file import SeenFace
from ferrari.subject.templates import Template
from ferrari.video import linking_film
from ferrari.video.linking_film import LinkingPicture
from tests.settings import section

detect_video = importlib.import_module("02_detect_people").detect_video
crop_video = importlib.import_module("02_yolo_crop").crop_video
VIDEO = "clip-0123456789"
WIDTH, HEIGHT = 320, 240
FPS = 2  # samples; a film has so many pictures between two of them:
BETWEEN = 2
LARGE = Detection((20.4, 10.2, 220.6, 230.9), 0.8, "person")
SMALL = Detection((240.0, 50.0, 310.0, 200.0), 0.9, "person")


def picture(ordinal: int) -> np.ndarray:
    """The pixels of a clip's frame."""
    return np.random.default_rng(ordinal).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@dataclass
class Clip:
    """Frames of one clip in a dataset, and the stages run on them."""

    dataset: Path
    digests: dict[str, dict[str, str]] = field(default_factory=dict)  # by stage

    def table(self, stage: str) -> Path:
        return self.dataset / stages.table(stage, VIDEO)

    def rows(self, stage: str) -> list[dict[str, str]]:
        return tables.read_stage(self.table(stage), stage)

    @property
    def film(self) -> Path:
        return linking_film.path_of(self.table("extract"))

    @property
    def tracks(self) -> Path:
        return self.dataset / stages.TRACKS / f"{VIDEO}.csv"

    @property
    def sightings(self) -> Path:
        return self.dataset / stages.SIGHTINGS / f"{VIDEO}.npz"

    @property
    def who(self) -> Path:
        return self.dataset / stages.WHO_NPZ

    @property
    def identity(self) -> Path:
        return self.dataset / stages.IDENTITY / f"{VIDEO}.csv"

    def write(self, count: int, draw=picture, between=None) -> None:
        """Write the frames, their table and the film; one frame more was dropped.

        `between(ordinal)` draws the film's pictures, numbered on from the frame before them.
        """
        rows = []
        self.write_film(
            [
                LinkingPicture(
                    ordinal * (BETWEEN + 1) + step + 1,
                    (ordinal + (step + 1) / (BETWEEN + 1)) / FPS,
                    between(ordinal * (BETWEEN + 1) + step + 1),
                )
                for ordinal in range(count if between else 0)
                for step in range(BETWEEN)
            ]
        )
        for ordinal in range(count):
            item = item_ids.frame_item(VIDEO, ordinal)
            frame = draw(ordinal)
            path = f"{stages.FOLDERS['extract']}/{VIDEO}/{item}.webp"
            data = image_files.encode_webp(frame, 101)
            digest = image_files.write_checked(self.dataset / path, data, frame.shape)
            about = {"outcome": "kept", "path": path, "sha256": digest}
            about |= {"width": WIDTH, "height": HEIGHT}
            about |= {"frame": ordinal * (BETWEEN + 1), "time_s": ordinal / FPS}
            rows.append(tables.row("extract", item=item, parent=VIDEO, **about))
        repeat = {"outcome": "dropped", "reason": "DUPLICATE_FRAME"}
        rows.append(tables.row("extract", item=f"{VIDEO}-x", parent=VIDEO, **repeat))
        tables.write_stage(self.table("extract"), "extract", rows)

    def write_film(self, pictures: Sequence[LinkingPicture]) -> None:
        """Write the linking film; without a picture it has zero bytes."""
        self.film.parent.mkdir(parents=True, exist_ok=True)
        with linking_film.written(self.film) as writer:
            for number, one in enumerate(pictures):
                height, width = one.picture_rgb.shape[:2]
                jpeg = linking_film.encoded(one, number)
                writer.add(jpeg, (width, height), Fraction(one.time_s).limit_denominator(1000))

    def file(self, ordinal: int) -> Path:
        """A frame's file."""
        name = f"{item_ids.frame_item(VIDEO, ordinal)}.webp"
        return self.table("extract").with_suffix("") / name

    def detect(
        self, earlier=NOTHING, weights="unused", faces=None, second_look=False, **changed
    ) -> list[dict[str, str]]:
        """Search the frames; the rows."""
        self.digests["detect"] = detect_video(
            frames_csv=str(self.table("extract")),
            film=str(self.film),
            video=VIDEO,
            dataset=str(self.dataset),
            out_csv=str(self.table("detect")),
            out_tracks=str(self.tracks),
            out_sightings=str(self.sightings),
            weights=[str(weights)],
            settings=section("detect", **changed),
            mask_settings=section("mask"),
            cache="unused",
            threads=1,
            faces=faces,
            second_look=second_look,
            earlier=earlier,
        )
        return self.rows("detect")

    def found(self, *frames: Sequence[Detection]) -> None:
        """Write the table of detections: what is found in the first frames, in order.

        The n-th detection of each frame is one person, of whom is known what the first frame with
        so many shows.
        """
        rows, tracks = [], {}
        for ordinal, detections in enumerate(frames):
            frame = item_ids.frame_item(VIDEO, ordinal)
            for number, one in enumerate(detections):
                item = item_ids.detection_item(frame, number)
                about = {"outcome": "kept", "confidence": one.confidence, "class_name": "person"}
                about |= dict(zip(("x1", "y1", "x2", "y2"), one.box_xyxy, strict=True))
                about |= {"frame_width": WIDTH, "frame_height": HEIGHT, "track": number}
                box = one.box_xyxy
                told = {"track_area": round(area(box) / (WIDTH * HEIGHT), 6)}
                told |= {"track_off_centre": round(off_centre(box, WIDTH, HEIGHT), 6)}
                about |= tracks.setdefault(number, told)
                rows.append(tables.row("detect", item=item, parent=frame, **about))
            if not detections:
                about = {"outcome": "dropped", "reason": "NO_SUBJECT"}
                rows.append(tables.row("detect", item=frame, parent=frame, **about))
        tables.write_stage(self.table("detect"), "detect", rows)

    def seen(self, *people: np.ndarray | None, subject: np.ndarray | None) -> None:
        """Write the sightings of what is `found`, and who the subject is.

        The n-th of `people` has this face in each frame, None: no face; faces are large and sure.
        """
        kept = tables.kept(self.rows("detect"))
        track = np.array([int(row["track"]) for row in kept], int)
        frames = [item_ids.frame_of(row["item"]) for row in kept]
        time_s = np.array([int(frame[-6:]) / FPS for frame in frames])
        looks = np.zeros((int(track.max(initial=-1)) + 1, LENGTH), np.float32)
        looks[np.arange(len(looks)), np.arange(len(looks))] = 1
        boxes = np.array(
            [[float(row[name]) for name in ("x1", "y1", "x2", "y2")] for row in kept], np.float32
        )
        items = [row["item"] for row in kept]
        linked = Linked(track, time_s, time_s, items, looks, boxes.reshape(-1, 4))
        faces = {
            row["item"]: [SeenFace(people[int(row["track"])], (0.0, 0.0, 80.0, 90.0), 0.95, 5.0)]
            for row in kept
            if people[int(row["track"])] is not None
        }
        dimensions = next((len(one) for one in people if one is not None), 4)
        sightings_file.write(self.sightings, sightings_file.seen_clip(linked, faces, dimensions))
        named = None if subject is None else Template(subject[None], np.zeros((0, len(subject))))
        template_file.write(self.who, named)

    def crop(self, earlier=NOTHING, identity=None, review=(), **changed) -> list[dict[str, str]]:
        """Choose and cut, by who is `seen` where there are rules of `identity`; the rows."""
        self.digests["crop"] = crop_video(
            frames_csv=str(self.table("extract")),
            detections_csv=str(self.table("detect")),
            video=VIDEO,
            dataset=str(self.dataset),
            out_csv=str(self.table("crop")),
            out_identity=str(self.identity),
            sightings=str(self.sightings),
            who=str(self.who),
            identity=identity,
            settings=section("detect", **changed),
            review=review,
            earlier=earlier,
        )
        return self.rows("crop")

    def earlier(self, stage: str, but: tuple[str, ...] = ()) -> Earlier:
        """What a job may take over of a run's rows; those of the parents `but` are open."""
        by_parent: dict[str, list] = {}
        for row in self.rows(stage):
            by_parent.setdefault(row["parent"], []).append(row)
        folder = self.table(stage).with_suffix("")
        beside = {str(self.sightings): self.sightings.read_bytes()} if stage == "detect" else {}
        return Earlier(self.dataset, folder, self.digests[stage], by_parent, frozenset(but), beside)
