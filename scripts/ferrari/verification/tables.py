"""Tables and stamps: does each exist unchanged, was it made from the present inputs, are its rows
sound?
"""

from __future__ import annotations

import contextlib
import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ferrari.ledger import tables as ledger_tables
from ferrari.ledger.columns import KEPT, OUTCOMES
from ferrari.ledger.item_ids import VIDEO_ID
from ferrari.ledger.stages import FINAL, FINAL_CSV, FOLDERS, PINNED_CSV
from ferrari.provenance import table_stamps
from ferrari.verification.disk_files import Hasher
from ferrari.verification.findings import Findings, Layout

Row = dict[str, str]


class Tables:
    """The tables that the dataset should have; digests and stamps of those that are there."""

    def __init__(self, layout: Layout, hasher: Hasher, findings: Findings) -> None:
        self.layout, self.hasher, self.findings = layout, hasher, findings
        self.digests: dict[str, str] = {}
        self.stamps: dict[str, dict] = {}
        #: Paths of tables and stamps, of files that stamps list, and of all that stale tables list.
        self.known: set[str] = set()
        #: Files (path: SHA-256) that a table's stamp lists.
        self.files: dict[str, dict[str, str]] = {}

    def look(self) -> None:
        """Read all tables and stamps once; report what is missing, changed or stale."""
        for video in self.layout.videos:
            self._look_at_clip(video)
        for table in self.layout.whole_set_tables().values():
            if not self._take(table):
                self.findings.add("tables_present", table, "is not there")
        self._look_at_stale()
        for table in sorted(self.stamps):
            self._compare_inputs(table)

    def _look_at_clip(self, video: str) -> None:
        tables = self.layout.tables_of(video).values()
        missing = [table for table in tables if not self._take(table, video)]
        self.findings.looked("raw_files_have_tables")
        if len(missing) == len(FOLDERS):
            file = self.layout.videos[video]
            self.findings.add("raw_files_have_tables", file, f"no stage has a table of {video}")
        else:
            for table in missing:
                self.findings.add("tables_present", table, "is not there", video)

    def _take(self, table: str, video: str = "") -> bool:
        """Compare a table with its stamp; False if it is not there."""
        self.known.add(table)
        self.known.add(_stamp_of(table))
        self.findings.looked("tables_present")
        digest, why = self.hasher.look(self.layout.dataset / table)
        if why == "is not there":
            return False
        for check in ("stamps_sound", "tables_as_stamped"):
            self.findings.looked(check)
        self.digests[table] = digest
        stamp = self._stamp(table, video)
        if why:
            self.findings.add("tables_as_stamped", table, why, video)
        elif stamp and digest != stamp["sha256"]:
            why = f"its SHA-256 begins {digest[:12]}, its stamp says {stamp['sha256'][:12]}"
            self.findings.add("tables_as_stamped", table, why, video)
        return True

    def _stamp(self, table: str, video: str) -> dict | None:
        """The stamp of a table, kept in `stamps`; if it is not sound, the fault is reported."""
        path = self.layout.dataset / _stamp_of(table)
        if not path.is_file():
            self.findings.add("stamps_sound", table, "has no stamp", video)
            return None
        try:
            stamp = table_stamps.read(path)
        except table_stamps.StampError:
            self.findings.add("stamps_sound", table, "its stamp is not as it was written", video)
            return None
        lacking = {"table", "sha256", "rows", "inputs", "files"} - stamp.keys()
        if lacking or stamp["table"] != table:
            why = f"its stamp lacks {sorted(lacking)}" if lacking else "it has another's stamp"
            self.findings.add("stamps_sound", table, why, video)
            return None
        self.stamps[table] = stamp
        self.files[table] = stamp["files"]
        return stamp

    def _compare_inputs(self, table: str) -> None:
        for name, digest in self.stamps[table]["inputs"].items():
            self.findings.looked("inputs_as_stamped")
            why = ""
            if not self.digests.get(name):
                self.digests[name], why = self.hasher.look(self.layout.dataset / name)
            if self.digests[name] != digest:
                found = why or "is another now"
                self.findings.add("inputs_as_stamped", table, f"{name}, which it read, {found}")

    def _look_at_stale(self) -> None:
        """Add sound tables and files of clips that are gone to `known`: stale, but ours."""
        for table in sorted(_candidates(self.layout) - self.known):
            stamp_path = _stamp_of(table)
            try:
                stamp = table_stamps.read(self.layout.dataset / stamp_path)
            except table_stamps.StampError:
                continue  # not the pipeline's: the sweep reports it
            digest, why = self.hasher.look(self.layout.dataset / table)
            if why != "is not there" and stamp.get("sha256") != digest:
                continue
            self.known.add(stamp_path)
            older = self.layout.older_packages.get(Path(table).stem)
            if not (digest and older and table.startswith(f"{FINAL}/") and table.count("/") == 1):
                self.findings.add("nothing_of_clips_gone", table if digest else stamp_path, "stale")
            if digest:
                self.known |= {table, *stamp.get("files", {})}
                for row in ledger_tables.iter_table(self.layout.dataset / table):
                    self.known.update(path for path, _ in ledger_tables.files_of(row))

    def rows(self, table: str, columns: Sequence[str], key: str = "item") -> Iterator[Row]:
        """The rows of a table that can be read; what is wrong with them is reported on the way."""
        if not self.digests.get(table):  # missing or not readable: reported already
            return
        video = Path(table).stem
        outcomes: Counter[str] = Counter()
        seen: set[str] = set()
        try:
            for row in self._readable(table, columns):
                outcomes[row["outcome"]] += 1
                self.findings.looked("rows_sound")
                for why in _row_faults(row, row[key] in seen):
                    self.findings.add("rows_sound", row[key] or table, why, video)
                seen.add(row[key])
                yield row
        except (ledger_tables.LedgerError, csv.Error, OSError) as error:
            why = str(error).replace(f"{self.layout.dataset}/", "")
            self.findings.add("rows_sound", table, why, video)
        stamped = self.stamps[table]["rows"] if table in self.stamps else outcomes
        if dict(stamped) != dict(outcomes):
            why = f"has the outcomes {dict(outcomes)}, its stamp says {dict(stamped)}"
            self.findings.add("tables_as_stamped", table, why, video)

    def rows_again(self, table: str, columns: Sequence[str]) -> Iterator[Row]:
        """The rows of a table as far as they can be read; `rows` tells what is wrong with them."""
        if not self.digests.get(table):
            return
        with contextlib.suppress(ledger_tables.LedgerError, csv.Error, OSError):
            yield from ledger_tables.iter_table(self.layout.dataset / table, columns)

    def _readable(self, table: str, columns: Sequence[str]) -> Iterator[Row]:
        lines = ledger_tables.iter_lines(self.layout.dataset / table, columns)
        header = next(lines)
        if header != list(columns):
            self.findings.add("rows_sound", table, "its columns are not those of the stage")
        for line in lines:
            yield dict(zip(header, line, strict=True))


def _row_faults(row: Row, twice: bool) -> Iterator[str]:
    if row["outcome"] not in OUTCOMES:
        yield f"outcome {row['outcome']!r} is none of {', '.join(OUTCOMES)}"
    elif row["outcome"] != KEPT and not row["reason"]:
        yield f"{row['outcome']} without a reason"
    if twice:
        yield "stands in two rows"


def _stamp_of(table: str) -> str:
    return table_stamps.place("", table).as_posix()


def _candidates(layout: Layout) -> set[str]:
    """Tables of clips and packages that exist, or whose stamp exists, whether expected or not."""
    found = set()
    for folder in (*FOLDERS.values(), FINAL):
        stem = re.compile("[a-z]+" if folder == FINAL else VIDEO_ID)
        for place, suffix in ((folder, ".csv"), (f"{table_stamps.FOLDER}/{folder}", ".json")):
            paths = (layout.dataset / place).glob(f"*{suffix}")
            found |= {f"{folder}/{p.stem}.csv" for p in paths if stem.fullmatch(p.stem)}
    return found - {FINAL_CSV}


def compare_pinned(tables: Tables, bank: Sequence[Row]) -> None:
    """`environments_pinned.csv` against the clips that the bank's rows (`bank`) were drawn from.

    The file has no stamp, since it is written before any job. It must name exactly the drawn clips,
    sorted. Clips that are no longer among the raw files stay in it; in the bank those of them stay
    that lent no scene.
    """
    layout, findings = tables.layout, tables.findings
    drawn = {row["video"] for row in bank}
    refused = {row["video"] for row in bank if row["outcome"] != KEPT}
    path = layout.dataset / PINNED_CSV
    findings.looked("pinned_clips_as_drawn", len(drawn))
    _, why = tables.hasher.look(path)
    if why:
        findings.add("pinned_clips_as_drawn", PINNED_CSV, why)
        return
    found = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    clips = found[1:-1]
    if found != ["video", *sorted(set(clips)), ""]:
        findings.add("pinned_clips_as_drawn", PINNED_CSV, "is not as it was written")
    for clip in clips:
        if not re.fullmatch(VIDEO_ID, clip):
            findings.add("pinned_clips_as_drawn", PINNED_CSV, f"{clip!r} is no clip's id")
    gone = refused & set(clips) - layout.videos.keys()
    for clip in sorted((set(clips) & layout.videos.keys()) ^ (drawn - gone)):
        why = "the bank has no row of it" if clip in clips else "the bank has a row of it"
        findings.add("pinned_clips_as_drawn", clip, why, clip)
