"""Formats with many images a file: WebDataset shards, and Parquet for Hugging Face `datasets`.

Met by running both libraries' loaders on small files.
"""

from __future__ import annotations

import json
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ferrari.linting.findings import Finding, Trap

DOTTED = Trap(
    "webdataset/dotted-key",
    "a key ends at the first dot: {name} is taken for {key!r} with the extension {rest!r}",
    "use names without dots",
)
UNEQUAL = Trap(
    "webdataset/unequal-samples",
    "samples have different files ({one} and {other}): Hugging Face datasets refuses the shard",
    "write the same files for each sample",
)
NO_FEATURES = Trap(
    "parquet/images-as-bytes",
    "nothing says that {columns} holds images: the loader gives bytes, which trainers refuse",
    'write the features ({{"_type": "Image"}}) into the schema\'s metadata under `huggingface`',
)
OTHER_COLUMNS = Trap(
    "parquet/unequal-columns",
    "its columns are not those of {other}: the loader refuses the set",
    "write the same columns into each file of a split",
)
NOT_PARQUET = Trap("parquet/unreadable", "it cannot be opened: {why}", "write it again")


def _files(folder: Path, ending: str) -> list[Path]:
    """Files with that ending in a folder and in those directly below it."""
    return sorted([*folder.glob(f"*.{ending}"), *folder.glob(f"*/*.{ending}")])


class WebDataset:
    """WebDataset shards: tars of `key.extension`."""

    NAME = "webdataset"

    @staticmethod
    def is_here(folder: Path) -> bool:
        """True if there are tars in the folder."""
        return any(_files(folder, "tar"))

    @staticmethod
    def lint(folder: Path) -> Iterator[Finding]:
        """All findings of a folder; one a shard for each trap."""
        for shard in _files(folder, "tar"):
            samples = defaultdict(set)
            told = False
            with tarfile.open(shard) as tar:
                for name in (member.name for member in tar if member.isfile()):
                    key, _, extension = Path(name).name.partition(".")
                    samples[str(Path(name).parent / key)].add(extension)
                    usual = extension.count(".") <= (extension.split(".")[0] in ("mask", "cond"))
                    if not usual and not told:
                        told = True
                        yield DOTTED.found(
                            shard.relative_to(folder), name=name, key=key, rest=extension
                        )
            kinds = sorted({tuple(sorted(each)) for each in samples.values()})
            if len(kinds) > 1:
                one, other = (", ".join(kind) for kind in kinds[:2])
                yield UNEQUAL.found(shard.relative_to(folder), one=one, other=other)


class Parquet:
    """Parquet files with images in columns of {bytes, path}."""

    NAME = "parquet"

    @staticmethod
    def is_here(folder: Path) -> bool:
        """True if there are Parquet files in the folder."""
        return any(_files(folder, "parquet"))

    @staticmethod
    def lint(folder: Path) -> Iterator[Finding]:
        """All findings of a folder."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        first: tuple[Path, list[str]] | None = None
        for path in _files(folder, "parquet"):
            place = path.relative_to(folder)
            try:
                schema = pq.read_schema(path)
            except (OSError, pa.ArrowInvalid) as error:
                yield NOT_PARQUET.found(place, why=type(error).__name__)
                continue
            first = first or (place, schema.names)
            if schema.names != first[1]:
                yield OTHER_COLUMNS.found(place, other=first[0])
            told = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
            features = told.get("info", {}).get("features", {})
            plain = [
                name
                for name in schema.names
                if pa.types.is_struct(schema.field(name).type)
                and schema.field(name).type.get_field_index("bytes") >= 0
                and features.get(name, {}).get("_type") != "Image"
            ]
            if plain:
                yield NO_FEATURES.found(place, columns=", ".join(plain))
