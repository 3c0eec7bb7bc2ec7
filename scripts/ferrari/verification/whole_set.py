"""The whole set: videos.csv, the bank of scenes, the final table and the packages made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from ferrari.common.atomic_files import sha256_bytes
from ferrari.common.counts import number_of
from ferrari.ledger import tables as ledger_tables
from ferrari.ledger.balance import summed
from ferrari.ledger.columns import COLUMNS, FILE_COLUMNS, KEPT
from ferrari.ledger.reasons import of_stage
from ferrari.ledger.stages import (
    ENVIRONMENTS,
    ENVIRONMENTS_CSV,
    FINAL,
    FINAL_CSV,
    REFERENCES_CSV,
    VIDEOS_CSV,
)
from ferrari.packaging.base import Format
from ferrari.packaging.caption_lists import captions_in
from ferrari.packaging.registry import known_formats
from ferrari.verification.clip import SELECTED, Clip, broken_chains, file_faults, fingerprint
from ferrari.verification.disk_files import Hasher, compare, sweep
from ferrari.verification.findings import Findings, Layout
from ferrari.verification.tables import Row, Tables, compare_pinned

_BATCH = 4096  # rows whose files are read again together
_PIXELS = ("sha256", "mask_sha256", "width", "height")


class WholeSet:
    """What is known of all clips: a few bytes an image, so that a million images fit."""

    def __init__(self, layout: Layout, tables: Tables, findings: Findings) -> None:
        self.layout, self.tables, self.findings = layout, tables, findings
        self.probes: dict[str, tuple[str, str]] = {}
        self.captions: dict[str, bytes] = {}  # kept caption rows: what final.csv must say of them
        self.broken: dict[str, str] = {}
        self.bad_raw: dict[str, str] = {}
        self.final: dict[str, bytes] = {}  # kept final rows: _PIXELS and the caption, 16 bytes each
        self.images: Counter[str] = Counter()  # final images by clip
        self.elsewhere: set[str] = set()  # listed files that no clip's own folder holds

    def add(self, clip: Clip, raw_fault: str) -> None:
        """Add a clip; `raw_fault` says what is wrong with its raw file now, or is empty."""
        for row in clip.rows["probe"]:
            self.probes[row["item"]] = (row["file"], row["sha256"])
        if raw_fault:
            self.bad_raw[clip.video] = raw_fault
        for caption in ledger_tables.kept(clip.rows["caption"]):
            self.captions[caption["item"]] = _selected(clip.video, caption)
        self.broken.update(broken_chains(clip.rows))
        self.elsewhere |= clip.files_elsewhere()

    def check_videos(self, hasher: Hasher) -> None:
        """videos.csv: one row for each probe row, of the same file; copies of duplicates.

        Rows of files that are left out by their name have no probe row; such files come and go.
        """
        every = list(self.tables.rows(VIDEOS_CSV, COLUMNS["videos"]))
        rows = [row for row in every if row["reason"] not in of_stage("videos")]
        items = {row["item"] for row in rows}
        if VIDEOS_CSV in self.tables.digests:
            lost, orphans = self.probes.keys() - items, items - self.probes.keys()
            outcomes = Counter(row["outcome"] for row in rows)
            self.findings.add_balance(summed("videos", outcomes, lost, orphans))
        for row in rows:
            self.findings.looked("cells_carried_forward")
            said = (row["file"], row["sha256"])
            if said != self.probes.get(row["item"], said):
                why = f"file or sha256 in {VIDEOS_CSV} and in the probe's table"
                self.findings.add("cells_carried_forward", row["item"], why, row["item"])
        new = [row for row in rows if row["path"] not in self.elsewhere]
        self._read_again("probe", new, hasher, self.elsewhere, VIDEOS_CSV)

    def check_environments(self, hasher: Hasher) -> None:
        """The bank of scenes, its pictures, and the clips that it is pinned to."""
        if ENVIRONMENTS_CSV not in self.tables.digests:
            return
        rows = list(self.tables.rows(ENVIRONMENTS_CSV, COLUMNS["environments"], key="environment"))
        named = [{**row, "item": row["environment"]} for row in rows]
        listed: set[str] = set()
        self._read_again("environments", named, hasher, listed, ENVIRONMENTS_CSV)
        sweep(self.layout, self.findings, ENVIRONMENTS, listed)
        if self.layout.clip_scenes:
            compare_pinned(self.tables, rows)

    def check_who(self, hasher: Hasher) -> None:
        """Who the subject is: the files that the stamp of the references' table lists."""
        stamped = self.tables.files.get(REFERENCES_CSV, {})
        self.elsewhere.update(stamped)
        compare(self.layout, hasher, self.findings, stamped)

    def check_final(self) -> None:
        """final.csv: each captioned image once, with the cells of its caption table."""
        if FINAL_CSV not in self.tables.digests:
            return
        lost = set(self.captions)
        outcomes: Counter[str] = Counter()
        orphans = []
        for row in self.tables.rows(FINAL_CSV, COLUMNS["final"]):
            outcomes[row["outcome"]] += 1
            lost.discard(row["parent"])
            if row["parent"] not in self.captions or row["parent"] != row["item"]:
                orphans.append(row["item"])
            self._check_final_row(row)
        self.findings.add_balance(summed("final", outcomes, lost, orphans))

    def _check_final_row(self, row: Row) -> None:
        item, video = row["item"], row["video"]
        self.findings.looked("cells_carried_forward")
        self.findings.looked("rows_name_their_files")
        if self.captions.get(item, _selected(video, row)) != _selected(video, row):
            why = f"what {FINAL_CSV} and the caption's table say of it"
            self.findings.add("cells_carried_forward", item, why, video)
        for why in file_faults("final", row, {}):
            self.findings.add("rows_name_their_files", item, why, video)
        if row["outcome"] != KEPT:
            return
        self.images[video] += 1
        self.final[item] = fingerprint(row[name] for name in _PIXELS) + _text(row["caption"])
        self.findings.looked("final_images_trace_back")
        fault = self.broken.get(item) or self.bad_raw.get(video)
        if item not in self.captions:
            fault = "no clip's caption table kept it"
        if fault:
            self.findings.add("final_images_trace_back", item, fault, video)

    def check_package(self, name: str, hasher: Hasher) -> None:
        """One package: its rows against final.csv, its files against its rows."""
        table, folder = f"{FINAL}/{name}.csv", f"{FINAL}/{name}"
        if table not in self.tables.digests:
            return
        outcomes: Counter[str] = Counter()
        lost = set(self.final)
        orphans: list[str] = []
        listed: set[str] = set()
        told: Counter[str] = Counter()  # number of images, by caption file with several captions

        def looked_at() -> Iterator[Row]:
            for row in self.tables.rows(table, COLUMNS["package"]):
                outcomes[row["outcome"]] += 1
                lost.discard(row["parent"])
                if row["parent"] not in self.final or row["parent"] != row["item"]:
                    orphans.append(row["item"])
                self._check_package_row(name, row)
                if row["caption_path"] and not row["caption_sha256"]:
                    told[row["caption_path"]] += 1
                yield row

        self._read_again("package", looked_at(), hasher, listed, table)
        self.findings.add_balance(summed(name, outcomes, lost, orphans))
        for path in sorted(told):
            if hasher.look(self.layout.dataset / path)[1]:  # missing: reported already
                continue
            self._check_told(path, told[path])
        sweep(self.layout, self.findings, folder, listed)

    def _check_package_row(self, name: str, row: Row) -> None:
        self.findings.looked("packages_as_final")
        item, expected = row["item"], self.final.get(row["item"], b"")
        final = (row[f"source_{column}"] or row[column] for column in _PIXELS)
        found = fingerprint(final) + _text(row["caption"])
        if expected and found != expected:
            self.findings.add("packages_as_final", item, f"{name}.csv and final.csv differ")
        told = row["caption_sha256"]
        places = [row[column] for column, _ in FILE_COLUMNS if row.get(column)]
        if not all(place.startswith(f"{FINAL}/{name}/") for place in places):
            self.findings.add("packages_as_final", item, "a file of it lies outside the package")
        text = known_formats().get(name, Format).caption_text(row["caption"])
        if told and told != sha256_bytes(text.encode("utf-8", "surrogateescape")):
            self.findings.add("packages_as_final", item, f"{name}.csv: not its caption's digest")

    def _check_told(self, path: str, images: int) -> None:
        """Compare a file with the captions of many images with final.csv."""
        count = 0
        try:
            for item, caption in captions_in(self.layout.dataset / path):
                count += 1
                if self.final.get(item, b"")[16:] != _text(caption):
                    why = f"its caption in {path} is not that of final.csv"
                    self.findings.add("packages_as_final", item, why)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            self.findings.add("packages_as_final", path, "cannot be read as JSON of captions")
            return
        if count != images:
            why = f"has {number_of(count, 'caption')}; images packaged: {images}"
            self.findings.add("packages_as_final", path, why)

    def _read_again(
        self, stage: str, rows: Iterable[Row], hasher: Hasher, listed: set[str], table: str
    ) -> None:
        """Read the files of `rows` and of the table's stamp again; adds their paths to `listed`."""
        stamped = self.tables.files.get(table, {})
        batch: dict[str, str] = dict(stamped)
        for row in rows:
            self.findings.looked("rows_name_their_files")
            for why in file_faults(stage, row, stamped):
                self.findings.add("rows_name_their_files", row["item"], why)
            batch.update(ledger_tables.files_of(row))
            if len(batch) >= _BATCH:
                listed.update(batch)
                compare(self.layout, hasher, self.findings, batch)
                batch = {}
        listed.update(batch)
        compare(self.layout, hasher, self.findings, batch)


def _selected(video: str, row: Mapping[str, str]) -> bytes:
    return fingerprint([video, *(row[name] for name in SELECTED)])


def _text(caption: str) -> bytes:
    return fingerprint([caption])
