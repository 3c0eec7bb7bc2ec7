"""Pages of made entries, for tests in a browser: no workflow is run and no clip decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ferrari.common.atomic_files import write_text
from ferrari.ledger.item_ids import crop_item, frame_item, variant_item, video_id
from ferrari.review.applying import track_digest
from ferrari.review.effects import Effect
from ferrari.review_page import page, page_data, sprites
from ferrari.review_page.entries import (
    IMAGE,
    MASK,
    REFERENCE,
    REFUSED,
    TRACK,
    Entry,
    Picture,
)

VARIANTS = 3
JOINT = 5  # the first frame of a clip's second recording
SUBJECT = {"token": "ohwx", "class": "man"}
HTML = '<img src=x onerror="document.title=1"> & "ohwx"'


def sha(text: str) -> str:
    """A digest that a file called `text` might have."""
    return hashlib.sha256(text.encode()).hexdigest()


def time_s(ordinal: int) -> float:
    """When a frame is shown, by its clip's clock: each clip is joined from two recordings."""
    return ordinal % JOINT / 2


def entries(images: int, frames: int = 8) -> tuple[list[tuple[str, str]], list[Entry]]:
    """Clips (id, name) and entries: `images` kept images, in clips of `frames` frames each."""
    clips: list[tuple[str, str]] = []
    found: list[Entry] = []
    made = 0
    while made < images:
        name = f"clip {len(clips):04d}.mp4"
        video = video_id(name)
        clips.append((video, name))
        for ordinal in range(frames):
            crop = crop_item(frame_item(video, ordinal), 0)
            for variant in range(VARIANTS):
                if made < images:
                    found.append(_image(video, variant_item(crop, variant), ordinal, made))
                    made += 1
            found.append(_cutout(video, crop, ordinal))
        found.append(_track(video, frames))
        found.append(_second_track(video, frames, meets=len(clips) % 2 == 0))
        found += [_refused(video, ordinal) for ordinal in range(frames, frames + 4)]
    return clips, [*found, *map(_reference, ("side.jpg", "front.jpg"))]


def _image(video: str, item: str, ordinal: int, number: int) -> Entry:
    return Entry(
        *(IMAGE, "image", video, item, sha(item), "KDE"),
        doubt=number % 100 / 100,
        pictures=(Picture(f"04_augmented/{video}/{item}.png", sha(item)),),
        caption=f"ohwx man, half body, plain {'navy blue' if number % 2 else 'olive'} background",
        framing="half body",
        background="plain background",
        kind="flat",
        split="train",
        track="0",
        time_s=time_s(ordinal),
    )


def _cutout(video: str, crop: str, ordinal: int) -> Entry:
    path = f"03_masked_subjects/{video}/{crop}.png"
    return Entry(
        *(MASK, "cutout", video, crop, sha(crop), "KD"),
        doubt=0.25,
        pictures=(Picture(path, sha(crop)),),
        said="soft 0.1",
        track="0",
        time_s=time_s(ordinal),
    )


def _track(video: str, frames: int) -> Entry:
    seen = [frame_item(video, ordinal) for ordinal in range(frames)]
    return Entry(
        *(TRACK, "track", video, f"{video}-t0", track_digest(seen), "SNX"),
        doubt=0.9,
        pictures=tuple(Picture(f"{name}.webp", sha(name)) for name in seen),
        frames=tuple(name.rpartition("-")[2] for name in seen),
        stage="crop",
        reason="unsure",
        said="no face is seen, and no clothes of anybody known",
        track="0",
        time_s=0.0,
    )


def _second_track(video: str, frames: int, meets: bool) -> Entry:
    """The track 1 of a clip, in its later frames; in every second clip beside track 0 in one."""
    known = vars(_track(video, frames + 4)) | {"target": f"{video}-t1", "track": "1", "doubt": 0.4}
    seen = [frame_item(video, ordinal) for ordinal in range(frames, frames + 4)]
    shown = known["pictures"][frames:], known["frames"][frames:]
    own = {"sha256": track_digest(seen), "pictures": shown[0], "frames": shown[1]}
    return Entry(**known | own | {"meets": ("0",) if meets else ()})


def _reference(file: str) -> Entry:
    place = f"subject.references/{file}"
    return Entry(
        *(REFERENCE, "reference", "", sha(place), sha(place), "KD"),
        pictures=(Picture(place, sha(place)),),
        called=place,
        stage="who",
        kind="subject.references",
    )


def _refused(video: str, ordinal: int) -> Entry:
    item = crop_item(frame_item(video, ordinal), 0)
    return Entry(
        *(REFUSED, "item", video, item, sha(item), "K"),
        doubt=0.5,
        pictures=(Picture(f"02_yolo_crops/{video}/{item}.png", sha(item)),),
        stage="crop",
        reason="DUPLICATE_SUBJECT" if ordinal % 2 else "NOT_SUBJECT",
        said="0.31 (bound 0.36)",
        track="0",
        time_s=time_s(ordinal),
    )


def drawn(path: Path) -> np.ndarray:
    """HxWx3 uint8: a colour of the file's own, with a lighter square."""
    colour = hashlib.sha256(path.name.encode()).digest()[:3]
    picture = np.full((96, 128, 3), list(colour), np.uint8)
    picture[24:72, 40:88] = 255 - picture[24:72, 40:88] // 2
    return picture


def write(
    folder: Path, images: int, caption: str = "", effects: Sequence[Effect] = ()
) -> tuple[Path, dict]:
    """A page of `images` kept images with its sprites; its path and its data. `caption` is that of
    the first image, if given; `effects` are those of decisions that are in force already.
    """
    clips, made = entries(images)
    if caption:
        made[0] = Entry(**{**vars(made[0]), "caption": caption, "doubt": 1.0})
    sheets = {
        (video, group): [
            one.file
            for one in sprites.make(
                folder / "review", f"{video}-{group}", pictures, folder, {}, drawn
            )
        ]
        for (video, group), pictures in page_data.pictures_by_sheet(made).items()
    }
    data = page_data.build(
        dataset=page_data.dataset_id(sha(video) for video, _ in clips),
        subject=SUBJECT,
        root="../dataset",
        clips=clips,
        entries=made,
        sheets=sheets,
        references={"sprites": [], "names": []},
        rows=[effect.row for effect in effects],
        effects=effects,
    )
    write_text(folder / "review.html", page.html(data))
    return folder / "review.html", data
