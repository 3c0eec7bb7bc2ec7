"""WebDataset: tar files of images, masks and captions."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ferrari.packaging.shard_formats import ROW_COLUMNS, Shard, Shards


class WebDataset(Shards):
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

    def shard(self, path: Path, name: str) -> Shard:
        """A tar."""
        return _TarShard(path, name)


class _TarShard(Shard):
    def __init__(self, path: Path, name: str) -> None:
        super().__init__(path, name)
        self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def write(self, parts: Mapping[str, bytes | str]) -> None:
        about = json.dumps({name: parts[name] for name in ROW_COLUMNS}, ensure_ascii=False)
        members = {"json": about, "mask.png": parts["mask"], "png": parts["image"]}
        item = str(parts["item"])
        for ending, data in (members | {"txt": parts["text"]}).items():
            data = data if isinstance(data, bytes) else data.encode()
            info = tarfile.TarInfo(f"{item}.{ending}")  # mode 644, time and owner 0
            info.size = len(data)
            self._tar.addfile(info, io.BytesIO(data))

    def close(self) -> None:
        self._tar.close()

    def read(self) -> Iterator[Mapping[str, bytes | str]]:
        with tarfile.open(self.path) as tar:
            files = ((info.name, tar.extractfile(info)) for info in tar)
            yield from _samples((name, file.read()) for name, file in files if file)


def _samples(members: Iterable[tuple[str, bytes]]) -> Iterator[Mapping[str, bytes | str]]:
    """Samples of four members each, in their order; a member's part of the sample is what its name
    has behind the first dot, as for readers.
    """
    found: dict[str, bytes] = {}
    for name, data in members:
        found[name.partition(".")[2]] = data
        if len(found) == 4:
            about = json.loads(found["json"])
            text = found["txt"].decode()
            yield {"image": found["png"], "mask": found["mask.png"], "text": text, **about}
            found = {}
