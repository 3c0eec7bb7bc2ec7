"""Stamps: the digest of each table as its job wrote it, and of everything that it was made from.

`<dataset>/stamps/<table's path>.json` holds the SHA-256 of the table, its number of rows, the
digests of the tables it was made from, the code, the settings and the libraries that made it, and
the digests of files beside it that no row lists (such as a clip's linking film). Images are pinned
by their rows, rows by the table, the table by its stamp, and the stamp by a digest of itself. So
any changed bit is found (`verify`), and each step's code and settings are known years later
(`trace`). Nothing in a stamp depends on the machine or the clock.
"""

from __future__ import annotations

import functools
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ferrari.common.atomic_files import sha256_bytes, sha256_file, sha256_path, write_text
from ferrari.common.errors import FerrariError
from ferrari.common.foreign_files import is_desktop_file, is_leftover, is_trainer_file
from ferrari.ledger import tables
from ferrari.ledger.open_rows import limit_that_ended
from ferrari.provenance.job import Job

FOLDER = "stamps"
#: How the names of files end that jobs hand on to jobs: tables, films of linking pictures, arrays.
ARRAYS = ".npz"
_HANDED_ON = (".csv", ".mkv", ARRAYS)
#: Params of a rule that say where something lies, which differs from machine to machine, and what
#: stands elsewhere in the stamp.
_NO_SETTINGS = frozenset({"raw", "raw_state", "raw_folder", "folder", "code", "limits"})
_DECODING = ("av", "decord", "numpy", "opencv-python-headless", "pillow")
_NETWORKS = ("torch", "ultralytics-opencv-headless", "openvino", "onnxruntime", "onnxruntime-gpu")
#: Distributions that decide the bytes of a rule's output.
LIBRARIES = {
    "probe": ("av",),
    "extract": _DECODING,
    "detect": ("av", "numpy", "opencv-python-headless", "pillow", "scipy", *_NETWORKS),
    "who": ("numpy", "opencv-python-headless", "pillow", *_NETWORKS),
    "crop": ("numpy", "opencv-python-headless", "pillow"),
    "mask": (
        *("numpy", "scipy", "numba", "pymatting", "opencv-python-headless", "pillow"),
        *_NETWORKS,
    ),
    "environments": ("numpy", "opencv-python-headless", "pillow"),
    "augment": ("numpy", "opencv-python-headless", "pillow"),
    "caption": ("pillow", "instant-clip-tokenizer", "transformers"),
    "package": ("numpy", "opencv-python-headless", "pillow", "pyarrow"),
    "report": (
        *("numpy", "opencv-python-headless", "pandas", "pillow", "scipy", "jinja2"),
        "vl-convert-python",
    ),
}


#: Where Snakemake keeps what it puts back, below the working folder that jobs run in.
_SNAKEMAKES_COPIES = Path(".snakemake/backups")


class StampError(FerrariError, ValueError):
    """A stamp is missing, unreadable or not what was written."""


def place(dataset: str | os.PathLike, table: str | os.PathLike) -> Path:
    """The path of the stamp of `table` (a path at or below `dataset`)."""
    relative = Path(os.path.relpath(table, dataset))
    return Path(dataset) / FOLDER / relative.with_suffix(".json")


def seal(job: Job, items: Mapping[str, str] | None = None) -> None:
    """Stamp the table of a job that has just written it; a script's is a `ScriptJob`.

    `items`: of each parent of its rows a digest of what they were made from (see `reuse`).
    """
    write(
        table=job.output.table,
        others=[path for path in job.output if path != job.output.table],
        dataset=job.config["dataset"],
        rule=job.rule,
        code=job.params.code,
        settings=settings_of(job),
        inputs=[str(path) for path in job.input],
        limits=job.params.get("limits", {}),
        items=items,
        other_inputs=made_by(job)["other_inputs"],
    )


def withdraw(job: Job) -> None:
    """Delete a job's outputs and the stamp of its table before they are made again.

    Images are written before their table: a job that fails or is killed in between must leave
    neither an old table nor a stamp that fits it. Outputs are flagged `update`: Snakemake keeps a
    copy of them, restores it when the job fails, and considers the job done. So that copy is
    deleted as well.
    """
    place(job.config["dataset"], job.output.table).unlink(missing_ok=True)
    for output in job.output:
        take_away(Path(output))


def take_away(output: Path) -> None:
    """Delete an output that is flagged `update`, and the copy that Snakemake would restore."""
    output.unlink(missing_ok=True)
    within = output.relative_to(output.anchor) if output.is_absolute() else output
    (_SNAKEMAKES_COPIES / within).unlink(missing_ok=True)


def settings_of(job: Job) -> dict[str, object]:
    """The params of a job that decide its result."""
    return {key: value for key, value in job.params.items() if key not in _NO_SETTINGS}


def made_by(job: Job) -> dict[str, Any]:
    """What a stamp says of the maker of its table, for a job that is about to make it.

    A stage's job carries it from its start on, so that weights without a pin are read once.
    """
    if known := getattr(job, "maker", None):
        return known
    settings = settings_of(job)
    others = _digests_of_others(settings, job.input, job.params.get("folder"))
    return _maker(job.rule, job.params.code, settings, others)


def made_from(inputs: Iterable[str], dataset: Path) -> dict[str, str]:
    """The digests of those inputs that are tables or films below the dataset, by path."""
    return {
        name: sha256_file(path)
        for path in sorted({str(path) for path in inputs if str(path).endswith(_HANDED_ON)})
        if not (name := os.path.relpath(path, dataset)).startswith("..")
    }


def write(
    *,
    table: str | os.PathLike,
    dataset: str | os.PathLike,
    rule: str,
    code: str,
    settings: Mapping[str, object],
    inputs: Iterable[str],
    limits: Mapping[str, object] | None = None,
    items: Mapping[str, str] | None = None,
    other_inputs: Mapping[str, str] | None = None,
    others: Iterable[str] = (),
) -> None:
    """Write the stamp of `table`; of `inputs`, those are recorded that lie below `dataset`
    and were written by jobs.

    `limits` are recorded where a row failed by one: else they left no trace in the table.
    `other_inputs` are the digests of files that are no tables (weights, a person's pictures);
    `others` are files that the job wrote beside the table.
    """
    table, dataset, inputs = Path(table), Path(dataset), [str(path) for path in inputs]
    outcomes: Counter[str] = Counter()
    limited = False
    for row in tables.iter_table(table) if table.suffix == ".csv" else ():  # else: croissant.json
        outcomes[row["outcome"]] += 1
        limited = limited or bool(limits and limit_that_ended(row))
    sources = made_from(inputs, dataset)
    stamp = {
        "table": os.path.relpath(table, dataset),
        "sha256": sha256_file(table),
        "rows": dict(sorted(outcomes.items())),
        **_maker(rule, code, settings, other_inputs or {}),
        "inputs": sources,
        "files": _unlisted(table, dataset, sources)
        | {os.path.relpath(path, dataset): sha256_file(path) for path in others},
    }
    if limits and limited:
        stamp["limits"] = dict(limits)
    if items is not None:
        stamp["items"] = dict(items)
    stamp["stamp_sha256"] = _own_digest(stamp)
    write_text(place(dataset, table), _text(stamp))


def _maker(rule: str, code: str, settings: Mapping, others: Mapping) -> dict[str, object]:
    """The part of a stamp that says what made the table; `others` are files that are no tables."""
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False, default=str)
    return {
        "rule": rule,
        "code": code,
        "settings": json.loads(text),
        "settings_sha256": sha256_bytes(text.encode("utf-8", "surrogateescape")),
        "libraries": versions(rule),
        "other_inputs": dict(others),
    }


def _digests_of_others(
    settings: Mapping, inputs: Iterable[str], folder: str | None
) -> dict[str, str]:
    """Digests of the inputs that are no tables, by name: below `folder`, a person's pictures.

    Weights whose digest the settings hold need no other one, which would take a second a job.
    """
    if settings.get("weights") and all(one.get("sha256") for one in settings["weights"]):
        return {}
    others = sorted(str(path) for path in inputs if not str(path).endswith(_HANDED_ON))
    return {_name_of(path, folder): sha256_path(path) for path in others}


def _name_of(path: str, folder: str | None) -> str:
    return os.path.relpath(path, folder) if folder else Path(path).name


def read(path: str | os.PathLike) -> dict:
    """A stamp, after checking that it is unchanged; raises StampError."""
    try:
        text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
        stamp = json.loads(text)
    except OSError as error:
        raise StampError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StampError(f"{path} is no stamp: {error}") from error
    as_written = isinstance(stamp, dict) and text == _text(stamp)
    if not as_written or stamp.pop("stamp_sha256", None) != _own_digest(stamp):
        raise StampError(f"{path} is not as it was written: its own digest differs")
    return stamp


def _text(stamp: Mapping) -> str:
    return json.dumps(stamp, indent=1, ensure_ascii=False) + "\n"


def _own_digest(stamp: Mapping) -> str:
    text = json.dumps(stamp, sort_keys=True, ensure_ascii=False)
    return sha256_bytes(text.encode("utf-8", "surrogateescape"))


def versions(rule: str) -> dict[str, str]:
    """The versions of the libraries that decide the bytes of a rule's output."""
    found = ((name, _version(name)) for name in LIBRARIES.get(rule, ()))
    return {name: number for name, number in found if number}


@functools.cache
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:  # another build's name (onnxruntime-gpu), or not needed here
        return None


def _unlisted(table: Path, dataset: Path, known: Iterable[str]) -> dict[str, str]:
    """Digests of files in the table's folder that no row lists with a digest, nor is `known`.

    Tables with a stamp of their own (`videos/` beside `videos.csv`, with clips that are gone) and
    what trainers, desktops and killed jobs left are no part of it.
    """
    folder = table.with_suffix("")
    if not folder.is_dir():
        return {}
    listed = {path for row in tables.iter_table(table) for path, _ in tables.files_of(row)}
    listed.update(known)
    found = {}
    for path in sorted(folder.rglob("*")):
        name, within = os.path.relpath(path, dataset), path.relative_to(folder)
        others = is_trainer_file(within) or is_desktop_file(path.name)
        if others or not path.is_file() or name in listed:
            continue
        if not (any(map(is_leftover, within.parts)) or place(dataset, path).is_file()):
            found[name] = sha256_file(path)
    return found
