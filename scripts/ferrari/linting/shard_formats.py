"""Formats with many images a file: WebDataset shards, and Parquet for Hugging Face `datasets`.

Met by running both libraries' loaders on small files.
"""

from __future__ import annotations

import json
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ferrari.linting.findings import Finding, Trap
from ferrari.linting.training_folder import mapping

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
NOT_TAR = Trap(
    "webdataset/unreadable",
    "it cannot be read to its end ({why}): the loader stops there, or leaves out the rest",
    "write it again",
)


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
            try:
                names = _names(shard)
            except (OSError, tarfile.TarError) as error:
                yield NOT_TAR.found(shard.relative_to(folder), why=type(error).__name__)
            else:
                yield from _members(shard.relative_to(folder), names)


def _names(shard: Path) -> list[str]:
    """The names of a tar's files; raises TarError where it is damaged or cut off."""
    with tarfile.open(shard) as tar:
        names = [member.name for member in tar if member.isfile()]
        stream = tar.fileobj
        if stream is not None:
            stream.seek(tar.offset)
            # Python takes a header that is cut off for the end, which is a block of zeros.
            if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("cut off")
    return names


def _members(place: Path, names: Sequence[str]) -> Iterator[Finding]:
    """The findings of a tar with files of these names."""
    samples = defaultdict(set)
    told = False
    for name in names:
        key, _, extension = Path(name).name.partition(".")
        samples[str(Path(name).parent / key)].add(extension)
        usual = extension.count(".") <= (extension.split(".")[0] in ("mask", "cond"))
        if not usual and not told:
            told = True
            yield DOTTED.found(place, name=name, key=key, rest=extension)
    kinds = sorted({tuple(sorted(each)) for each in samples.values()})
    if len(kinds) > 1:
        one, other = (", ".join(kind) for kind in kinds[:2])
        yield UNEQUAL.found(place, one=one, other=other)


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
            features = _features(schema.metadata or {})
            plain = [
                name
                for name in schema.names
                if pa.types.is_struct(schema.field(name).type)
                and schema.field(name).type.get_field_index("bytes") >= 0
                and mapping(features.get(name)).get("_type") != "Image"
            ]
            if plain:
                yield NO_FEATURES.found(place, columns=", ".join(plain))


def _features(metadata: Mapping[bytes, bytes]) -> Mapping:
    """What a schema's metadata say of its columns, as Hugging Face `datasets` reads it."""
    try:
        told = json.loads(metadata.get(b"huggingface", b"{}"))
    except ValueError:
        return {}
    return mapping(mapping(mapping(told).get("info")).get("features"))
