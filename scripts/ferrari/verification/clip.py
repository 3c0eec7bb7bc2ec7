"""One clip's rows: do the stages' sums balance, and does each image lead back to the raw file?"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from ferrari.ledger import balance
from ferrari.ledger import tables as ledger_tables
from ferrari.ledger.columns import COLUMNS, FILE_COLUMNS, KEPT
from ferrari.ledger.stages import FOLDERS
from ferrari.verification import identities
from ferrari.verification.disk_files import Hasher, compare, sweep
from ferrari.verification.findings import Findings, Layout
from ferrari.verification.tables import Row, Tables

#: Stages whose kept rows have an image, and those that have its mask beside it.
WITH_IMAGE = frozenset({"extract", "crop", "mask", "augment", "caption", "final", "package"})
WITH_MASK = frozenset({"augment", "caption", "final", "package"})
#: Columns that `crop` copies from `detect` as they are, `caption` from `augment`, and `final` from
#: `caption`.
CUT = ("confidence", "class_name", "frame_width", "frame_height", "hardly_seen")
CAPTIONED = (
    *("path", "sha256", "background", "kind", "mask_path", "mask_sha256"),
    *("width", "height"),
)
SELECTED = (*CAPTIONED, "caption", "framing", "facing", "caption_source")
_ROUNDED_S = Fraction(1, 10**6)  # `time_s` has six digits behind the point


def fingerprint(cells: Iterable[str]) -> bytes:
    """A 16-byte digest of a sequence of cells."""
    digest = hashlib.blake2b(digest_size=16)
    for cell in cells:
        data = cell.encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.digest()


def file_faults(stage: str, row: Mapping[str, str], files: Mapping[str, str]) -> Iterator[str]:
    """What a row lacks about its files; `files` are those whose digest is in the table's stamp.

    Only captions may lie in such a file (one with the metadata of all images has no row).
    """
    for path, digest in FILE_COLUMNS:
        shared = path == "caption_path" and row.get(path) in files
        if row.get(path) and not row.get(digest) and not shared:
            yield f"{path} without {digest}"
    if row["outcome"] == KEPT:
        if stage in WITH_IMAGE and not row["path"]:
            yield "kept, but names no file"
        if stage in WITH_MASK and not row["mask_path"]:
            yield "kept, but names no mask"


def broken_chains(rows: Mapping[str, Sequence[Row]]) -> Iterator[tuple[str, str]]:
    """(item, why) of each kept caption that does not lead back to a kept probe row.

    `rows` are one clip's, by stage.
    """
    kept = {
        stage: {row["item"]: row for row in ledger_tables.kept(rows[stage])} for stage in FOLDERS
    }
    upwards = list(FOLDERS)[-2::-1]
    for item, at in kept["caption"].items():
        for stage in upwards:
            parent = at["parent"]
            if parent not in kept[stage]:
                yield item, f"{stage} kept no {parent}"
                break
            at = kept[stage][parent]
            if stage == "extract" and not _names_its_moment(at):
                yield item, f"the frame {parent} says neither its number nor its time in the clip"
                break


def _names_its_moment(frame: Mapping[str, str]) -> bool:
    """True if the frame can be found again in its clip.

    A stream without timestamps (an elementary one, say) gives no pts; its frames are counted.
    """
    return bool(frame["time_s"] and (frame["pts"] or frame["frame"]))


def time_fault(frame: Mapping[str, str]) -> str:
    """What is wrong with a frame's time; empty if `pts` times `time_base` is its `time_s`.

    A row that lacks one of the three (a lost span, a frame without a timestamp) cannot disagree.
    """
    pts, unit, time_s = (frame[name] for name in ("pts", "time_base", "time_s"))
    if not (pts and unit and time_s):
        return ""
    try:
        exact, told = int(pts) * Fraction(unit), Fraction(time_s)
        seconds = float(exact)
    except (ValueError, ZeroDivisionError, OverflowError):
        return f"pts {pts}, time_base {unit} and time_s {time_s} are no times"
    if abs(exact - told) <= _ROUNDED_S:
        return ""
    return f"pts {pts} in units of {unit} s is {seconds:.6f} s; time_s says {time_s}"


def changed_cells(
    before: Mapping[str, str], after: Mapping[str, str], columns: Iterable[str]
) -> list[str]:
    """The columns in which two rows of one item differ."""
    return [name for name in columns if before[name] != after[name]]


class Clip:
    """One clip: its rows of all stages, checked, and its files, read again."""

    def __init__(self, layout: Layout, tables: Tables, findings: Findings, video: str) -> None:
        self.layout, self.tables, self.findings, self.video = layout, tables, findings, video
        names = layout.tables_of(video)
        self.rows = {stage: list(tables.rows(names[stage], COLUMNS[stage])) for stage in FOLDERS}
        self.files: dict[str, str] = {}

    @property
    def considered(self) -> int:
        """Rows of all stages."""
        return sum(map(len, self.rows.values()))

    @property
    def kept(self) -> int:
        """Kept rows of all stages."""
        return sum(len(ledger_tables.kept(rows)) for rows in self.rows.values())

    @property
    def raw_sha256(self) -> str:
        """What stage 0 recorded of the raw file; empty if it could not be read."""
        return self.rows["probe"][0]["sha256"] if self.rows["probe"] else ""

    @property
    def raw_etag(self) -> str:
        """What stage 0 recorded of the raw clip's object in a bucket; empty if there is none."""
        return self.rows["probe"][0]["etag"] if self.rows["probe"] else ""

    def check_rows(self) -> None:
        """Check the sums from stage to stage, and the cells copied from one table into another."""
        before: list[Row] | None = None
        for stage, name in self.layout.tables_of(self.video).items():
            if name not in self.tables.digests:  # reported already; its sums would only repeat it
                before = None
                continue
            if stage == "probe":
                self._check_probe()
                before = self.rows[stage]
                continue
            self.findings.add_balance(balance.balance(stage, self.rows[stage], before))
            before = self.rows[stage]
        for row in self.rows["extract"]:
            self.findings.looked("times_as_timestamps")
            if fault := time_fault(row):
                self.findings.add("times_as_timestamps", row["item"], fault, self.video)
        self._check_carried("detect", "crop", CUT)
        for where, why in identities.faults(self.layout.dataset, self.video, self.rows):
            self.findings.add("identities_as_seen", where, why, self.video)
        self.findings.looked("identities_as_seen", len(self.rows["crop"]))
        self._check_carried("augment", "caption", CAPTIONED)

    def _check_carried(self, stage: str, into: str, columns: Sequence[str]) -> None:
        """Compare the cells that one stage's table takes over from another's."""
        offered = {row["item"]: row for row in self.rows[stage]}
        for row in self.rows[into]:
            self.findings.looked("cells_carried_forward")
            changed = changed_cells(offered.get(row["parent"], row), row, columns)
            if changed:
                why = f"{', '.join(changed)} in {FOLDERS[into]} and in {FOLDERS[stage]}"
                self.findings.add("cells_carried_forward", row["item"], why, self.video)

    def _check_probe(self) -> None:
        rows, file = self.rows["probe"], self.layout.videos[self.video]
        outcomes = Counter(row["outcome"] for row in rows)
        own = [row for row in rows if (row["item"], row["file"]) == (self.video, file)]
        orphans = [row["item"] for row in rows if row not in own]
        lost = [] if own else [self.video]
        self.findings.add_balance(balance.summed("probe", outcomes, lost, orphans))

    def check_files(self, hasher: Hasher) -> None:
        """Read the files again that the clip's rows list, and report files that no row lists."""
        names = self.layout.tables_of(self.video)
        for stage, rows in self.rows.items():
            stamped = self.tables.files.get(names[stage], {})
            for row in rows:
                self.findings.looked("rows_name_their_files")
                for why in file_faults(stage, row, stamped):
                    self.findings.add("rows_name_their_files", row["item"], why, self.video)
                self._list(row)
            self.files.update(stamped)
        compare(self.layout, hasher, self.findings, self.files, self.video)
        for folder in self.own_folders():
            sweep(self.layout, self.findings, folder, self.files, video=self.video)

    def _list(self, row: Row) -> None:
        for path, digest in ledger_tables.files_of(row):
            if self.files.setdefault(path, digest) != digest:
                why = f"{path} is listed twice, with different digests"
                self.findings.add("rows_name_their_files", row["item"], why, self.video)

    def own_folders(self) -> list[str]:
        """Folders, below the dataset, that hold nothing but this clip's images."""
        return [
            str(Path(name).with_suffix("")) for name in self.layout.tables_of(self.video).values()
        ]

    def files_elsewhere(self) -> set[str]:
        """Listed files outside of `own_folders`: refused clips and frames."""
        own = tuple(f"{folder}/" for folder in self.own_folders())
        return {path for path in self.files if not path.startswith(own)}
