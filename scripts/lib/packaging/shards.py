"""Formats that hold many images a file: Parquet and WebDataset.

Each file is opened again when it is full, and each image, mask and caption in it is compared with
what was given. The manifest names the file, with the file's digest.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from scripts.lib.files import sha256_file
from scripts.lib.final_check import Fault
from scripts.lib.packaging.formats import TRAIN, Format, PackageError, Subject
from scripts.lib.packaging.preparing import Sample

_GROUP = 64  # images a row group: what a reader, and this writer, hold at a time
_TOLD = ("item", "video", "kind", "framing")  # beside image, mask and text


class _Shards(Format):
    """A file of `shard_images` images after the other, for each split its own."""

    takes_alpha = True
    is_hugging_face = True
    ending: str

    def __init__(self, settings: Mapping, subject: Subject) -> None:
        super().__init__(settings, subject)
        self._most = int(settings["shard_images"])
        self._counts: dict[str, int] = {}
        self._open: dict[str, _Shard] = {}
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

    def shard(self, path: Path, name: str) -> _Shard:
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
    told = {name: sample.line[name] for name in _TOLD}
    return {"image": image, "mask": mask, "text": sample.line["caption"], **told}


class _Shard:
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


def _take(digest, parts: Mapping[str, bytes | str]) -> None:
    for name in ("image", "mask", "text", *_TOLD):
        data = parts[name] if isinstance(parts[name], bytes) else parts[name].encode()
        digest.update(len(data).to_bytes(8, "little") + data)


class Parquet(_Shards):
    """The `parquet` format: images within the table, as Hugging Face `datasets` stores them."""

    name = "parquet"
    ending = "parquet"
    readme = """\
Training set as Parquet with the images in it, for the Hugging Face datasets library:

  from datasets import load_dataset
  data = load_dataset("<this folder>")["train"]
  columns: image, mask (white is the subject), text, item, video, kind, framing

The files say themselves that image and mask are images. The split validation is there if the
dataset has one. Repeats are not said here: the trainer says how often an epoch sees an image.
"""

    def shard(self, path: Path, name: str) -> _Shard:
        """A Parquet file."""
        return _ParquetShard(path, name)


class _ParquetShard(_Shard):
    def __init__(self, path: Path, name: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        super().__init__(path, name)
        picture = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        texts = {name: pa.string() for name in ("text", *_TOLD)}
        features = {name: {"_type": "Image"} for name in ("image", "mask")}
        features |= {name: {"dtype": "string", "_type": "Value"} for name in texts}
        told = json.dumps({"info": {"features": features}})
        schema = pa.schema({"image": picture, "mask": picture, **texts})
        self._schema = schema.with_metadata({"huggingface": told})
        self._rows: list[dict] = []
        self._writer = pq.ParquetWriter(path, self._schema, compression="none")

    def write(self, parts: Mapping[str, bytes | str]) -> None:
        item = parts["item"]
        pictures = {
            "image": {"bytes": parts["image"], "path": f"{item}.png"},
            "mask": {"bytes": parts["mask"], "path": f"{item}-mask.png"},
        }
        self._rows.append({**parts, **pictures})
        if len(self._rows) == _GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def read(self) -> Iterator[Mapping[str, bytes | str]]:
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(batch_size=_GROUP):
                for row in batch.to_pylist():
                    pictures = {name: row[name]["bytes"] for name in ("image", "mask")}
                    yield {**row, **pictures}


class WebDataset(_Shards):
    """The `webdataset` format: tars of `<item>.png .mask.png .txt .json`, the same bytes always."""

    name = "webdataset"
    ending = "tar"
    readme = """\
Training set as WebDataset shards: tars, each sample as <key>.png, .mask.png, .txt and .json.

  import webdataset as wds
  data = wds.WebDataset("<this folder>/data/train-00000.tar", shardshuffle=False).decode("pil")
  or with Hugging Face datasets: load_dataset("webdataset", data_dir="<this folder>/data")

White in a mask is the subject. validation-*.tar are there if the dataset has that split. Repeats
are not said here: the loader says how often an epoch sees a sample.
"""

    def shard(self, path: Path, name: str) -> _Shard:
        """A tar."""
        return _TarShard(path, name)


class _TarShard(_Shard):
    def __init__(self, path: Path, name: str) -> None:
        super().__init__(path, name)
        self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def write(self, parts: Mapping[str, bytes | str]) -> None:
        told = json.dumps({name: parts[name] for name in _TOLD}, ensure_ascii=False)
        members = {"json": told, "mask.png": parts["mask"], "png": parts["image"]}
        for ending, data in (members | {"txt": parts["text"]}).items():
            data = data if isinstance(data, bytes) else data.encode()
            info = tarfile.TarInfo(f"{parts['item']}.{ending}")  # mode 644, time and owner 0
            info.size = len(data)
            self._tar.addfile(info, io.BytesIO(data))

    def close(self) -> None:
        self._tar.close()

    def read(self) -> Iterator[Mapping[str, bytes | str]]:
        with tarfile.open(self.path) as tar:
            yield from _samples((info.name, tar.extractfile(info).read()) for info in tar)


def _samples(members: Iterable[tuple[str, bytes]]) -> Iterator[Mapping[str, bytes | str]]:
    """Samples of four members each, put together as readers do: by what is before the first dot."""
    found: dict[str, bytes] = {}
    for name, data in members:
        found[name.partition(".")[2]] = data
        if len(found) == 4:
            told = json.loads(found["json"])
            text = found["txt"].decode()
            yield {"image": found["png"], "mask": found["mask.png"], "text": text, **told}
            found = {}
