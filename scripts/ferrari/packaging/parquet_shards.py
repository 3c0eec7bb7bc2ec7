"""Parquet files for Hugging Face `datasets`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from ferrari.packaging.shard_formats import ROW_COLUMNS, ROW_GROUP, Shard, Shards


class Parquet(Shards):
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

    def shard(self, path: Path, name: str) -> Shard:
        """A Parquet file."""
        return _ParquetShard(path, name)


class _ParquetShard(Shard):
    def __init__(self, path: Path, name: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        super().__init__(path, name)
        picture = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        texts = {name: pa.string() for name in ("text", *ROW_COLUMNS)}
        features = {name: {"_type": "Image"} for name in ("image", "mask")}
        features |= {name: {"dtype": "string", "_type": "Value"} for name in texts}
        about = json.dumps({"info": {"features": features}})
        schema = pa.schema({"image": picture, "mask": picture, **texts})
        self._schema = schema.with_metadata({"huggingface": about})
        self._rows: list[dict] = []
        self._writer = pq.ParquetWriter(path, self._schema, compression="none")

    def write(self, parts: Mapping[str, bytes | str]) -> None:
        item = str(parts["item"])
        pictures = {
            "image": {"bytes": parts["image"], "path": f"{item}.png"},
            "mask": {"bytes": parts["mask"], "path": f"{item}-mask.png"},
        }
        self._rows.append({**parts, **pictures})
        if len(self._rows) == ROW_GROUP:
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
            for batch in file.iter_batches(batch_size=ROW_GROUP):
                for row in batch.to_pylist():
                    pictures = {name: row[name]["bytes"] for name in ("image", "mask")}
                    yield {**row, **pictures}
