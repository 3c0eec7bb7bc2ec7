"""SimpleTuner: images, masks and captions by its list of backends. Read in its loader's code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ferrari.linting.findings import Finding, Trap
from ferrari.linting.training_folder import caption_text, from_folder, json_files, mappings

_TIMES = re.compile(r"-(\d+)x$")

REPEATS = Trap(
    "simpletuner/repeats",
    "repeats counts what comes after the first time: {repeats} means that each image is seen "
    "{times} times an epoch",
    "write {less} for {repeats} times; an id that ends in -{times}x says that {times} are meant",
)

SPLIT = Trap(
    "simpletuner/caption-lines",
    "each of its {count} lines is a caption of its own, of which one is drawn",
    "put the caption into one line; disable_multiline_split helps in releases that know it alone",
)

NO_MASKS = Trap(
    "simpletuner/mask-not-joined",
    "the folder {path} is a dataset of its own that no other refers to: masks in it are ignored",
    'give it dataset_type "conditioning", conditioning_type "mask" and source_dataset_id, and name '
    "it as conditioning_data",
)

CUT_APART = Trap(
    "simpletuner/mask-crop",
    "crop_style is random unless it is said, even with crop false: image and mask are each cut to "
    "a bucket at a place of their own, and the mask no longer lies on the subject",
    'write crop_style "center" into {ids}',
)

NO_TEXT_CACHE = Trap(
    "simpletuner/no-text-embeds",
    "there is no entry of type text_embeds with default: true: the run ends",
    "add one",
)


class SimpleTuner:
    """SimpleTuner: a JSON list of backends."""

    NAME = "simpletuner"

    @staticmethod
    def is_here(folder: Path) -> bool:
        """True if a JSON file in the folder lists backends."""
        return any(True for _ in _backends(folder))

    @staticmethod
    def lint(folder: Path) -> Iterator[Finding]:
        """All findings of a folder."""
        for path, backends in _backends(folder):
            place = from_folder(folder, path)
            joined = {name for b in backends for name in _conditioned_by(b)}
            joined |= {str(b.get("id")) for b in backends if b.get("source_dataset_id")}
            if not any(b.get("dataset_type") == "text_embeds" for b in backends):
                yield NO_TEXT_CACHE.found(place)
            if apart := _cut_apart(backends):
                yield CUT_APART.found(place, ids=" and ".join(apart))
            for backend in backends:
                repeats = backend.get("repeats", 0)
                repeats = repeats if isinstance(repeats, int) else 0
                meant = _TIMES.search(str(backend.get("id", "")))
                said = meant and int(meant[1]) == repeats + 1
                if repeats > 0 and not said:
                    yield REPEATS.found(place, repeats=repeats, times=repeats + 1, less=repeats - 1)
                data = str(backend.get("instance_data_dir") or "")
                if "mask" in Path(data).name.lower() and str(backend.get("id")) not in joined:
                    yield NO_MASKS.found(place, path=data)
                if not backend.get("disable_multiline_split"):
                    yield from _caption_lines(folder, folder / data)


def _cut_apart(backends: list[Mapping]) -> list[str]:
    """Ids of images and of masks joined to them whose place is drawn, each by itself."""
    wanted = {name for b in backends for name in _conditioned_by(b)}
    masks = {str(b.get("id")) for b in backends if b.get("conditioning_type") == "mask"} & wanted
    pairs = [b for b in backends if {str(b.get("id")), *_conditioned_by(b)} & masks]
    return [str(b.get("id")) for b in pairs if b.get("crop_style", "random") == "random"]


def _conditioned_by(backend: Mapping) -> list[str]:
    """The ids that a backend names as its conditioning data: one, or a list of them."""
    named = backend.get("conditioning_data") or []
    return [str(name) for name in (named if isinstance(named, list) else [named])]


def _caption_lines(folder: Path, images: Path) -> Iterator[Finding]:
    for path in sorted(images.glob("*.txt")) if images != folder and images.is_dir() else ():
        lines = [line for line in (caption_text(path) or "").splitlines() if line.strip()]
        if len(lines) > 1:
            yield SPLIT.found(from_folder(folder, path), count=len(lines))


def _backends(folder: Path) -> Iterator[tuple[Path, list[Mapping]]]:
    for path, content in json_files(folder):
        backends = mappings(content)
        if any({"instance_data_dir", "metadata_backend"} & set(one) for one in backends):
            yield path, backends
