"""What every package format shares: its interface, and names that are safe for all trainers.

Items, which are the stems of files, contain only `a-z 0-9 -`: with a dot or five underscores, some
trainers would use another image's caption.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ferrari.common.errors import FerrariError
from ferrari.images.image_and_mask import Fault
from ferrari.ledger.reasons import CAPTION_INVALID
from ferrari.packaging.image_preparation import Preparation, Sample

TRAIN, VAL = "train", "val"
_STEM = re.compile(r"[a-z0-9][a-z0-9-]*")
_FOLDER_WORD = r"[A-Za-z][A-Za-z0-9-]*"


class PackageError(FerrariError, ValueError):
    """The package cannot be written as asked; the message names the setting or the cause."""


@dataclass(frozen=True)
class Subject:
    """The subject's names, safe as parts of a folder's name."""

    token: str
    subject_class: str

    @property
    def words(self) -> str:
        """Token and class, as captions begin."""
        return f"{self.token} {self.subject_class}"


class Format:
    """One package format; all paths are relative to the package's folder, with `/`.

    `settings` is the configuration's `package` section. A format has to define at least
    `image_path`, `mask_path`, `begin`, `add` and `finish`.
    """

    name: str
    takes_alpha = False  # package.image may be rgba
    needs_squares = False  # images are padded to squares
    is_hugging_face = False  # package.card writes a card

    def __init__(self, settings: Mapping, subject: Subject) -> None:
        self.subject = subject
        self.repeats = int(settings["repeats"])
        self.resolution = int(settings["resolution"])
        self.link = bool(settings["link"])
        self.alpha = settings["image"] == "rgba"
        if self.alpha and not self.takes_alpha:
            raise PackageError(
                f"package.image: rgba is not for the format {self.name}, whose trainer drops or "
                "paints over the alpha; take rgb, or leave the format out"
            )

    def image_path(self, item: str, split: str) -> str:
        """Where the image goes."""
        raise NotImplementedError

    def mask_path(self, item: str, split: str) -> str:
        """Where its mask goes."""
        raise NotImplementedError

    def caption_path(self, item: str, split: str) -> str:
        """The file with its caption; empty if there is none, or if the caption is in the image's
        file.
        """
        return ""

    @staticmethod
    def caption_text(caption: str) -> str:
        """What the caption's own file says, for the trainer to train on the caption."""
        return caption

    def caption_sha256(self, caption: str) -> str:
        """SHA-256 of that file, or empty if it holds more than this caption."""
        return ""

    def begin(self, folder: Path) -> None:
        """Make the folders."""
        raise NotImplementedError

    def add(self, folder: Path, sample: Sample) -> Fault | None:
        """Write one sample and read it back; if it is damaged, remove it and return its fault."""
        raise NotImplementedError

    def finish(self, folder: Path, old: Path) -> dict[str, str]:
        """Write the files that describe the whole package; `old` is the package that it replaces.

        Returns the SHA-256 of each file with many images, by its path.
        """
        raise NotImplementedError


def sample_of(dataset: Path, line: Mapping[str, str], preparation: Preparation) -> Sample | Fault:
    """What a row of the final table contributes to a package, or why nothing.

    Raises PackageError for an item whose name is unsafe (a bug of ours).
    """
    if not _STEM.fullmatch(line["item"]):
        raise PackageError(f"item {line['item']!r} is not safe as a file name; report this")
    if line["caption"].splitlines() != [line["caption"]] or not line["caption"].strip():
        return CAPTION_INVALID, "not one line of text"
    split = VAL if line.get("split") == VAL else TRAIN
    return preparation.sample(dataset, line, split)


def safe_subject(subject: Mapping[str, str]) -> Subject:
    """The subject if its token and class can name a folder; PackageError names the setting.

    kohya cuts a folder's name at underscores and reads a number in front; slashes and dots make
    other folders; letters beyond ASCII arrive in other forms on other file systems.
    """
    token, subject_class = str(subject["token"]), str(subject["class"])
    rule = "must begin with a letter and hold only the letters a-z, digits and hyphens"
    if not re.fullmatch(_FOLDER_WORD, token):
        raise PackageError(f"subject.token {token!r} cannot name the package's folder: it {rule}")
    if not re.fullmatch(rf"{_FOLDER_WORD}(?: {_FOLDER_WORD})*", subject_class):
        raise PackageError(
            f"subject.class {subject_class!r} cannot name the package's folder: each of its words "
            f"{rule}"
        )
    return Subject(token, subject_class)
