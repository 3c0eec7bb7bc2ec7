"""What every package format shares: names that no trainer trips over, and placing one image.

A format is a small class (see `packages_kohya`, `packages_imagefolder`) that says where an
image, its mask and its caption go below the package's folder. Items as file stems hold only
`a-z 0-9 -`: one dot or five underscores would make some trainer take another image's caption.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scripts.lib.files import clone_or_copy, link_or_copy
from scripts.lib.final_check import CAPTION_INVALID, Fault, file_fault

_STEM = re.compile(r"[a-z0-9][a-z0-9-]*")
_FOLDER_WORD = r"[A-Za-z][A-Za-z0-9-]*"


class PackageError(ValueError):
    """The package cannot be written as asked; the message names the setting or the cause."""


class Format(Protocol):
    """One package format; all paths are relative to the package's folder, with `/`."""

    name: str

    def image_path(self, item: str) -> str:
        """Where the image goes."""

    def mask_path(self, item: str) -> str:
        """Where its mask goes."""

    def caption_path(self, item: str) -> str:
        """The file that holds its caption."""

    def caption_sha256(self, caption: str) -> str:
        """SHA-256 of that file, or empty if it holds more than this caption."""

    def begin(self, folder: Path) -> None:
        """Make the folders."""

    def add_caption(self, folder: Path, line: Mapping[str, str]) -> Fault | None:
        """Write one image's caption and read it back; only called for sound images."""

    def finish(self, folder: Path, old: Path) -> None:
        """Write what describes the whole; `old` is the package that this one replaces."""


@dataclass(frozen=True)
class Subject:
    """The subject's names, safe as parts of a folder's name."""

    token: str
    subject_class: str


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


def place(
    form: Format, folder: Path, dataset: Path, line: Mapping[str, str], link: bool
) -> Fault | None:
    """Put one image of the final table into the package, re-opening all that was written.

    What turns out unsound is taken out again and its fault returned. Raises PackageError for an
    item whose name is unsafe (a defect of ours).
    """
    item = line["item"]
    if not _STEM.fullmatch(item):
        raise PackageError(f"item {item!r} is not safe as a file name for trainers; report this")
    if line["caption"].splitlines() != [line["caption"]] or not line["caption"].strip():
        return CAPTION_INVALID, "not one line of text"
    bring = link_or_copy if link else clone_or_copy
    image, mask = folder / form.image_path(item), folder / form.mask_path(item)
    try:
        bring(dataset / line["path"], image)
        bring(dataset / line["mask_path"], mask)
    except FileNotFoundError:
        pass  # `file_fault` says which of the two is gone
    fault = file_fault(image, mask, line) or form.add_caption(folder, line)
    if fault:
        image.unlink(missing_ok=True)
        mask.unlink(missing_ok=True)
    return fault
