"""Files with the captions of many images: JSON Lines, or a JSON list with one entry per line.

With one entry per line, a million of them can be written and read one by one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from ferrari.packaging.base import PackageError


class CaptionList:
    """One such file, as it grows; `finish` reads it back and compares."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_list = name.endswith(".json")
        self._written = hashlib.sha256()
        self._count = 0

    def add(self, folder: Path, entry: Mapping[str, object]) -> None:
        """Append an entry."""
        first = "[\n" if self.is_list and not self._count else ""
        between = ",\n" if self.is_list and self._count else ""
        text = json.dumps(entry, ensure_ascii=False)
        place = folder / self.name
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(place, "a", encoding="utf-8") as stream:
            stream.write(first + between + text + ("" if self.is_list else "\n"))
        self._written.update("\n".join(item_and_caption(entry)).encode() + b"\n")
        self._count += 1

    def finish(self, folder: Path) -> None:
        """Close the file and read it back; PackageError if its content differs from what was
        given.
        """
        if self.is_list:
            with open(folder / self.name, "a", encoding="utf-8") as stream:
                stream.write("\n]\n")
        found = hashlib.sha256()
        for item, caption in captions_in(folder / self.name):
            found.update(f"{item}\n{caption}\n".encode())
        if found.digest() != self._written.digest():
            raise PackageError(f"{self.name} does not read back as written; check the disk")


def captions_in(path: Path) -> Iterator[tuple[str, str]]:
    """(item, caption) of each image in such a file, in order.

    Raises ValueError, KeyError, IndexError or TypeError for what is not of these forms.
    """
    with open(path, encoding="utf-8") as stream:
        for line in stream:
            text = line.strip()
            if text not in ("[", "]"):
                yield item_and_caption(json.loads(text.removesuffix(",")))


def item_and_caption(entry: Mapping) -> tuple[str, str]:
    """(item, caption) of one entry: imagefolder's metadata, LLaVA, sharegpt or TRL."""
    if "file_name" in entry:
        image, caption = entry["file_name"], entry["text"]
    elif "conversations" in entry:
        image, caption = entry["image"], entry["conversations"][-1]["value"]
    else:
        image, caption = entry["images"][0], entry["messages"][-1]["content"]
    return PurePosixPath(str(image)).stem, str(caption)
