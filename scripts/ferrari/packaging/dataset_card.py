"""Optional parts of a package: a dataset card, and digests that `sha256sum -c` reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import yaml

from ferrari.common.atomic_files import sha256_file
from ferrari.common.counts import number_of
from ferrari.common.foreign_files import is_trainer_file
from ferrari.packaging.base import TRAIN
from ferrari.packaging.image_preparation import Sample

SUMS = "SHA256SUMS"
_SPDX = re.compile(r"https?://spdx\.org/licenses/([A-Za-z0-9.+-]+?)(?:\.html)?")
_COLUMNS = "image, mask (white is the subject), text, video, kind, framing"


class Figures:
    """Counts for the card: images by split, kind and framing, and the range of their sizes."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("split", "kind", "framing")
        }
        self._videos: set[str] = set()
        self._sides: list[int] = []
        self._by_hand = 0

    def add(self, sample: Sample) -> None:
        """Count one image."""
        word = "train" if sample.split == TRAIN else "validation"
        self.counts["split"][word] += 1
        for name in ("kind", "framing"):
            self.counts[name][sample.line[name]] += 1
        self._videos.add(sample.line["video"])
        self._by_hand += sample.line["caption_source"] == "override"
        sides = [*self._sides, sample.width, sample.height]
        self._sides = [min(sides), max(sides)]

    @property
    def images(self) -> int:
        """How many images there are."""
        return self.counts["split"].total()

    @property
    def captions_by_hand(self) -> int:
        """How many captions a person wrote."""
        return self._by_hand

    def as_markdown(self) -> str:
        """The figures as Markdown."""
        shortest, longest = self._sides
        lines = [
            f"{number_of(self.images, 'image')} of {number_of(len(self._videos), 'clip')}; "
            f"sides from {shortest} to {longest} px.",
            "",
            "| by | value | images |",
            "|---|---|---:|",
        ]
        for name, counts in self.counts.items():
            lines += [f"| {name} | {value} | {n} |" for value, n in sorted(counts.items())]
        return "\n".join(lines)


def write_card(folder: Path, about: Mapping, figures: Figures, reviewed: str = "") -> None:
    """`README.md` with the YAML header that the Hugging Face Hub reads.

    `about` is the configuration's section; `reviewed` says what a person decided.
    """
    header = {
        "pretty_name": about["name"],
        **_licence(str(about["licence"])),
        "tags": ["image", "text", "segmentation-mask"],
        "size_categories": [_size(figures.images)],
    }
    parts = [
        f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---",
        f"# {about['name']}",
        str(about["description"]),
        f"Columns: {_COLUMNS}.",
        figures.as_markdown(),
        *_by_a_person(reviewed, figures.captions_by_hand),
        f"Licence: {about['licence']}. Version {about['version']}.",
        "How to load it: README.txt.",
    ]
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _by_a_person(reviewed: str, captions: int) -> list[str]:
    """What of the set is a person's decision; nothing where nobody decided anything."""
    written = f"Captions here that a person wrote: {captions:,}." if captions else ""
    said = " ".join(filter(None, (reviewed, written)))
    return [said] if said else []


def _licence(licence: str) -> dict[str, str]:
    """The Hub's field: an SPDX id in small letters, or `other` with a name."""
    spdx = _SPDX.fullmatch(licence)
    if spdx:
        return {"license": spdx[1].lower()}
    link = {"license_link": licence} if licence.startswith("http") else {}
    return {"license": "other", "license_name": licence, **link}


def _size(count: int) -> str:
    """The Hub's word for a number of images."""
    bounds = (
        *((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")),
        (1_000_000, "100K<n<1M"),
    )
    return next((word for bound, word in bounds if count < bound), "1M<n<10M")


def write_sums(folder: Path) -> None:
    """`SHA256SUMS` of all that the package holds, but for what trainers left in it."""
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    with open(folder / SUMS, "w", encoding="utf-8") as stream:
        for name in names:
            if name != SUMS and not is_trainer_file(name):
                stream.write(f"{sha256_file(folder / name)}  {name}\n")
