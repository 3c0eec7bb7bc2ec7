"""The ledger: what each stage's table holds, how it is written and read, and whether it balances.

Each stage writes one table a video, with one row for each thing it considered. Every row ends
`kept`, `dropped` (by a rule, with the value and the threshold) or `quarantined` (with a reason);
the `kept` of one stage are the parents of the next stage's rows. The columns are listed here and
nowhere else. Tables are CSV: UTF-8, `\\n`, no absolute path, no time of day; text that a
spreadsheet would run is guarded (see `cells`).
"""

from __future__ import annotations

import contextlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.lib import cells
from scripts.lib.files import clear_leftovers, naming, write_text

KEPT, DROPPED, QUARANTINED = "kept", "dropped", "quarantined"
OUTCOMES = (KEPT, DROPPED, QUARANTINED)
CORE = ("item", "parent", "outcome", "reason", "value", "threshold", "path", "sha256")
Row = dict[str, object]

#: The stage's own columns, behind CORE. `path` is relative to the dataset folder throughout.
COLUMNS = {
    "probe": (
        *CORE,
        *("file", "bytes", "container", "codec", "pix_fmt", "coded_width", "coded_height"),
        *("width", "height", "sar", "rotation", "fps", "duration_s", "declared_duration_s"),
        *("frames", "bitrate_kbps", "vfr", "largest_gap_s", "start_s", "detail"),
    ),
    "videos": (),  # videos.csv: the probe's columns and two more, filled in below
    "extract": (
        *CORE,
        *("time_s", "pts", "frame", "width", "height", "sharpness"),
        *("decoder", "decoder_reason", "decoder_version"),
        *("rotation", "sar", "interlaced", "transfer", "matrix", "bit_depth"),
        *("frames_decoded", "decode_errors", "detail"),
    ),
    "crop": (
        *CORE,
        *("confidence", "class_name", "x1", "y1", "x2", "y2"),
        *("crop_x1", "crop_y1", "crop_x2", "crop_y2", "frame_width", "frame_height"),
        *("detector", "weights_sha256", "device", "detail"),
    ),
    "mask": (
        *CORE,
        *("width", "height", "subject_fraction", "edge_fraction", "x1", "y1", "x2", "y2"),
        *("segmenter", "weights_sha256", "device", "refined", "foreground", "detail"),
        *("lightness", "side", "phash", "embedding"),
    ),
    "augment": (
        *CORE,
        *("variant", "kind", "wanted_kind", "colour_name", "colour_rgb", "seed"),
        *("environment", "environment_sha256", "width", "height", "offset_x", "offset_y"),
        *("scale", "background", "mask_path", "mask_sha256", "detail"),
    ),
    "caption": (
        *CORE,
        *("caption", "caption_source", "framing", "facing", "background", "kind", "clip_tokens"),
        *("mask_path", "mask_sha256", "width", "height", "removed_words"),
        *("replaced_caption", "allowed_problems"),
    ),
    "final": (
        *CORE,
        *("video", "caption", "framing", "facing", "background", "kind"),
        *("mask_path", "mask_sha256", "width", "height"),
        *("side", "light", "split", "group"),
    ),
    "package": (
        *CORE,
        *("caption", "caption_path", "caption_sha256", "mask_path", "mask_sha256"),
        *("width", "height", "split", "scale", "upscaled"),
        *("source_sha256", "source_mask_sha256", "source_width", "source_height"),
    ),
}


COLUMNS["videos"] = (*COLUMNS["probe"], "verdict", "duplicate_of")

#: Pairs of columns that name a file and its digest, in any table.
FILE_COLUMNS = (
    ("path", "sha256"),
    ("mask_path", "mask_sha256"),
    ("caption_path", "caption_sha256"),
)


class LedgerError(ValueError):
    """A table is not what the ledger promises: a missing column, an unknown outcome, a lost row."""


def row(stage: str, *, item: str, parent: str, outcome: str, **fields: object) -> Row:
    """One row of `stage`'s table; unset columns are empty, an unknown column or outcome raises."""
    if outcome not in OUTCOMES:
        raise LedgerError(f"{stage} row {item}: outcome {outcome!r} is none of {OUTCOMES}")
    unknown = set(fields) - set(COLUMNS[stage])
    if unknown:
        raise LedgerError(f"{stage} row {item}: unknown columns {sorted(unknown)}")
    if outcome != KEPT and not fields.get("reason"):
        raise LedgerError(f"{stage} row {item}: {outcome} without a reason")
    blank = dict.fromkeys(COLUMNS[stage], "")
    return {**blank, "item": item, "parent": parent, "outcome": outcome, **fields}


def write_table(path: str | os.PathLike, columns: Iterable[str], rows: Iterable[Row]) -> None:
    """Write rows as CSV, guarded and atomically; None and NaN are empty cells, booleans 0 and 1."""
    columns = list(columns)
    buffer = io.StringIO()
    writer = cells.Writer(buffer)
    writer.write(columns)
    for line in rows:
        writer.write(_in_order(line, columns))
    write_text(path, buffer.getvalue())


def _in_order(line: Row, columns: Sequence[str]) -> list[object]:
    if len(line) != len(columns):
        raise LedgerError(f"a row has the columns {sorted(line)}, the table {sorted(columns)}")
    return [line[name] for name in columns]


def write_stage(path: str | os.PathLike, stage: str, rows: Iterable[Row]) -> None:
    """Write one video's table of `stage`; two rows with one item raise LedgerError."""
    rows = list(rows)
    twice = [item for item, n in Counter(str(line["item"]) for line in rows).items() if n > 1]
    if twice:
        raise LedgerError(f"{path}: these items have more than one row: {twice[:5]}")
    write_table(path, COLUMNS[stage], rows)


def read_table(path: str | os.PathLike) -> list[dict[str, str]]:
    """The rows of a CSV table as dictionaries of text, guards taken off."""
    return list(iter_table(path))


def read_stage(path: str | os.PathLike, stage: str) -> list[dict[str, str]]:
    """`read_table`, after checking that the columns are those of `stage`."""
    return list(iter_stage(path, stage))


def iter_stage(path: str | os.PathLike, stage: str) -> Iterator[dict[str, str]]:
    """`read_stage` row by row, for the tables over the whole set (a million rows)."""
    return iter_table(path, COLUMNS[stage])


def iter_table(path: str | os.PathLike, wanted: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """`read_table` row by row; a column of `wanted` that is missing raises LedgerError."""
    lines = iter_lines(path, wanted)
    header = next(lines)
    for line in lines:
        yield dict(zip(header, line, strict=True))


def iter_lines(
    path: str | os.PathLike, wanted: Sequence[str] = (), errors: str = "surrogateescape"
) -> Iterator[list[str]]:
    """The header of a table and then its rows, as lists of text, guards taken off.

    Raises LedgerError where a column of `wanted` is missing, or a row is longer or shorter than the
    header. `errors` says what becomes of bytes that are no UTF-8 (see `open`).
    """
    lines = cells.read(path, errors)
    header = next(lines, [])
    missing = set(wanted) - set(header)
    if missing:
        raise LedgerError(
            f"{path} lacks the columns {sorted(missing)}: it was written by another version; "
            "delete it, and the next run makes it anew"
        )
    yield header
    for number, line in enumerate(lines, start=1):
        if len(line) != len(header):
            raise LedgerError(
                f"{path}: row {number} has {len(line)} cells, the header {len(header)}: the table "
                "is damaged; delete it, and the next run makes it anew"
            )
        yield line


def files_of(line: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(path, sha256) of each file that a row lists with its digest."""
    for path, digest in FILE_COLUMNS:
        if line.get(path) and line.get(digest):
            yield line[path], line[digest]


@contextlib.contextmanager
def streamed_table(path: str | os.PathLike, stage: str) -> Iterator[Callable[[Row], None]]:
    """A function that takes the rows of a table one by one; for tables larger than one likes to
    hold. The table is there only if the block ends without an error.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with (
            naming(path),
            open(temporary, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
        ):
            writer = cells.Writer(stream)
            writer.write(COLUMNS[stage])
            yield lambda line: writer.write(_in_order(line, COLUMNS[stage]))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def sorted_table(path: str | os.PathLike, stage: str) -> Iterator[Callable[[Row], None]]:
    """`streamed_table` for the rows of a whole-set table, in the order of their items.

    An item that does not come after the one before it (out of order, or twice) raises LedgerError.
    """
    last = ""
    with streamed_table(path, stage) as write_any:

        def write(line: Row) -> None:
            nonlocal last
            if str(line["item"]) <= last:
                raise LedgerError(f"{path}: item {line['item']} comes after {last}")
            last = str(line["item"])
            write_any(line)

        yield write


def kept(rows: Iterable[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """The rows whose outcome is kept."""
    return [line for line in rows if line["outcome"] == KEPT]


@dataclass(frozen=True)
class Balance:
    """The sums of one stage over any number of videos."""

    stage: str
    considered: int
    kept: int
    dropped: int
    quarantined: int
    unaccounted: tuple[str, ...]  # kept by the stage before, parent of no row here
    orphans: tuple[str, ...]  # rows here whose parent the stage before did not keep

    @property
    def balanced(self) -> bool:
        """True if every item has one outcome and the stage before is accounted for."""
        total = self.kept + self.dropped + self.quarantined
        return total == self.considered and not self.unaccounted and not self.orphans


def balance(
    stage: str,
    rows: Iterable[Mapping[str, str]],
    before: Iterable[Mapping[str, str]] | None = None,
) -> Balance:
    """Count a stage's outcomes and match its parents with what the stage `before` kept."""
    rows = list(rows)
    counts = Counter(line["outcome"] for line in rows)
    parents = {line["parent"] for line in rows}
    offered = parents if before is None else {line["item"] for line in kept(before)}
    return Balance(
        stage=stage,
        considered=len(rows),
        kept=counts[KEPT],
        dropped=counts[DROPPED],
        quarantined=counts[QUARANTINED],
        unaccounted=tuple(sorted(offered - parents)),
        orphans=tuple(sorted(parents - offered)),
    )
