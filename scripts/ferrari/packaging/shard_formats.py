"""The base of formats that hold many images a file (see `parquet_shards`, `webdataset_shards`).

Each file is opened again when it is full, and each image, mask and caption in it is compared with
what was given. The manifest names the file, with the file's digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from ferrari.common.atomic_files import sha256_file
from ferrari.images.image_and_mask import Fault
from ferrari.packaging.base import TRAIN, Format, PackageError, Subject
from ferrari.packaging.image_preparation import Sample

ROW_GROUP = 64  # images a row group: what a reader, and this writer, hold at a time
ROW_COLUMNS = ("item", "video", "kind", "framing")  # beside image, mask and text


class Shards(Format):
    """A file of `shard_images` images after the other, for each split its own."""

    takes_alpha = True
    is_hugging_face = True
    ending: str

    def __init__(self, settings: Mapping, subject: Subject) -> None:
        super().__init__(settings, subject)
        self._most = int(settings["shard_images"])
        self._counts: dict[str, int] = {}
        self._open: dict[str, Shard] = {}
        self._digests: dict[str, str] = {}

    def image_path(self, item: str, split: str) -> str:
        """The file that the split's images go into at present."""
        word = "train" if split == TRAIN else "validation"
        number = (self._counts[split] - 1) // self._most
        return f"data/{word}-{number:05d}.{self.ending}"

    def mask_path(self, item: str, split: str) -> str:
        """That of the image."""
        return self.image_path(item, split)

    def begin(self, folder: Path) -> None:
        """Make the folder of the files."""
        (folder / "data").mkdir()

    def add(self, folder: Path, sample: Sample) -> Fault | None:
        """Look at the sample's files, and put them into the split's open file."""
        if fault := sample.fault():
            return fault
        split = sample.split
        full = self._counts.get(split, 0) % self._most == 0
        if full and split in self._open:
            self._end(split)
        self._counts[split] = self._counts.get(split, 0) + 1
        if split not in self._open:
            name = self.image_path(sample.item, split)
            self._open[split] = self.shard(folder / name, name)
        self._open[split].add(_parts(sample))
        return None

    def shard(self, path: Path, name: str) -> Shard:
        """A new file."""
        raise NotImplementedError

    def _end(self, split: str) -> None:
        shard = self._open.pop(split)
        self._digests[shard.name] = shard.end()

    def finish(self, folder: Path, old: Path) -> dict[str, str]:
        """End the files, and explain the folder."""
        for split in list(self._open):
            self._end(split)
        (folder / "README.txt").write_text(self.readme, encoding="utf-8")
        return self._digests

    readme: str


def _parts(sample: Sample) -> dict[str, bytes | str]:
    image, mask = (
        file if isinstance(file, bytes) else file.read_bytes()
        for file in (sample.image, sample.mask)
    )
    about = {name: sample.line[name] for name in ROW_COLUMNS}
    return {"image": image, "mask": mask, "text": sample.line["caption"], **about}


class Shard:
    """One file; `end` compares all that it holds and returns its SHA-256."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self._written = hashlib.sha256()

    def add(self, parts: Mapping[str, bytes | str]) -> None:
        """Write one sample."""
        _take(self._written, parts)
        self.write(parts)

    def write(self, parts: Mapping[str, bytes | str]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def read(self) -> Iterator[Mapping[str, bytes | str]]:
        raise NotImplementedError

    def end(self) -> str:
        self.close()
        found = hashlib.sha256()
        for parts in self.read():
            _take(found, parts)
        if found.digest() != self._written.digest():
            raise PackageError(f"{self.name} does not read back as written; check the disk")
        return sha256_file(self.path)


def _take(digest: hashlib._Hash, parts: Mapping[str, bytes | str]) -> None:
    for name in ("image", "mask", "text", *ROW_COLUMNS):
        part = parts[name]
        data = part if isinstance(part, bytes) else part.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
