"""What is still valid of a job's last run, so that only changed items are worked on.

Snakemake runs a job when anything that it may depend on has changed, and then all downstream jobs,
even if the result is the same. So each job compares its inputs with its table's stamp: the digests
of the table and of the tables it was made from, settings, code, libraries, and for each item (a
frame, a crop, a cut-out, an image) a digest of what its rows were made from.

`holds`: nothing changed, and the table stays as it is. `Earlier`: something changed; the rows of
unchanged items are reused, and their files are hard-linked into the new folder after their digests
have been checked. A row that a limit ended (memory, time) is tried again once that limit is raised.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ferrari.common.atomic_files import link_or_copy, sha256_bytes, sha256_file
from ferrari.common.progress import LOGGER
from ferrari.ledger import tables
from ferrari.ledger.columns import KEPT
from ferrari.ledger.open_rows import is_open
from ferrari.provenance import table_stamps
from ferrari.provenance.job import Job

#: Params of which each item's digest has its own part: what a person said of single items, and what
#: decides who is who.
OF_ITEMS = frozenset({"overrides", "review", "identity"})


def chained_digests(lines: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """By item, the digest of its row and of all rows before it."""
    digests: dict[str, str] = {}
    before = ""
    for line in lines:
        before = digests[line["item"]] = item_digest(line, before)
    return digests


def item_digest(*parts: object) -> str:
    """16 hex digits over what an item's rows are made from: rows, settings of its own, digests."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return sha256_bytes(text.encode("utf-8", "surrogateescape"))[:16]


def stamp_of(job: Job) -> dict | None:
    """The stamp of a job's table, if both are there and as they were written; else None."""
    table = Path(job.output.table)
    try:
        stamp = table_stamps.read(table_stamps.place(job.config["dataset"], table))
    except table_stamps.StampError:
        return None
    if not table.is_file() or sha256_file(table) != stamp["sha256"]:
        return None
    return stamp


def same_maker(stamp: Mapping, job: Job, but: frozenset[str] = frozenset()) -> bool:
    """True if the job's code, settings, weights and libraries are those of the stamp.

    Settings named in `but` may differ.
    """
    now = table_stamps.made_by(job)
    then = {name: stamp.get(name) for name in now}
    return _without(then, but) == _without(now, but)


def _without(maker: Mapping, names: frozenset[str]) -> dict:
    left = {name: value for name, value in maker.items() if name != "settings_sha256"}
    return left | {"settings": {k: v for k, v in maker["settings"].items() if k not in names}}


def holds(stamp: Mapping | None, job: Job) -> bool:
    """True if the job would make its table as it is: it need not run.

    Its files have to exist; that they match their rows is for `verify` to prove.
    """
    if stamp is None or not same_maker(stamp, job):
        return False
    dataset = Path(job.config["dataset"])
    if table_stamps.made_from(job.input, dataset) != stamp["inputs"]:
        return False
    before, now = stamp.get("limits", {}), job.params.get("limits", {})
    for row in tables.iter_table(job.output.table):
        files = [path for path, _ in tables.files_of(row)]
        if is_open(row, before, now) or not all((dataset / path).is_file() for path in files):
            return False
    return all((dataset / path).is_file() for path in stamp["files"])


def leave_alone(job: Job) -> None:
    """Set the times of the outputs to now, for a job whose table `holds`: Snakemake compares
    times.
    """
    LOGGER.info("nothing to do: the table is what this job would make")
    for path in job.output:
        os.utime(path)


def has_work(job: Job, always: bool = False) -> bool:
    """False for a job over the whole set whose table `holds`, which is then left alone.

    Otherwise, or with `always`, the table and its stamp are deleted, for the job to make both
    again.
    """
    if not always and holds(stamp_of(job), job):
        leave_alone(job)
        return False
    table_stamps.withdraw(job)
    return True


@dataclass(frozen=True)
class Earlier:
    """The reusable rows of a table's last state, by parent.

    `digests` has, for each parent, the digest of what its rows were made from. An empty one stands
    for a table that is made for the first time.
    """

    dataset: Path = Path()
    folder: Path = Path()  # the images beside the table, which the new ones will take the place of
    digests: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, list[dict[str, str]]] = field(default_factory=dict)
    opened: frozenset[str] = frozenset()  # parents one of whose rows may end otherwise now
    beside: Mapping[str, bytes] = field(default_factory=dict)  # by path: what rows of this job lack

    @classmethod
    def of(cls, stamp: Mapping | None, job: Job) -> Earlier:
        """What a job may reuse if its stamp does not hold as a whole."""
        if stamp is None or not same_maker(stamp, job, OF_ITEMS):
            return cls()
        before, now = stamp.get("limits", {}), job.params.get("limits", {})
        rows, opened = defaultdict(list), set()
        for row in tables.iter_table(job.output.table):
            rows[row["parent"]].append(row)
            if is_open(row, before, now):
                opened.add(row["parent"])
        beside = _beside(stamp, job)
        if beside is None:
            LOGGER.info("a file beside the table is not as it was written: all is made anew")
            return cls()
        folder = Path(job.output.table).with_suffix("")
        items = stamp.get("items", {})
        return cls(Path(job.config["dataset"]), folder, items, rows, frozenset(opened), beside)

    def grouped(self, group_of: Callable[[str], str]) -> Earlier:
        """The same rows by a group of their parents, for a stage that judges several parents at
        once: where one of them is open, all are. `digests` are then those of groups.
        """
        rows: dict[str, list[dict[str, str]]] = defaultdict(list)
        for parent, found in self.rows.items():
            rows[group_of(parent)] += found
        return replace(self, rows=rows, opened=frozenset(map(group_of, self.opened)))

    def take(self, parent: str, digest: str, scratch: Path | None = None) -> list[dict[str, str]]:
        """The rows of a parent that are still valid, or none; their files are linked into
        `scratch`.

        Files elsewhere (in another stage's folder, among the refused) stay where they are.
        """
        rows = self.rows.get(parent, [])
        if self.digests.get(parent) != digest or not rows or parent in self.opened:
            return []
        files = [file for row in rows for file in tables.files_of(row)]
        if not all(self._is_as_written(path, sha256) for path, sha256 in files):
            return []
        for path, _ in files:
            within = Path(os.path.relpath(self.dataset / path, self.folder))
            if scratch is not None and within.parts[0] != os.pardir:
                link_or_copy(self.dataset / path, scratch / within)
        return rows

    def take_all(
        self, digests: Mapping[str, str], scratch: Path | None = None
    ) -> dict[str, list[dict[str, str]]]:
        """`take` for each parent and its digest; those whose rows have to be made are left out."""
        taken = {parent: self.take(parent, digest, scratch) for parent, digest in digests.items()}
        return _told({parent: rows for parent, rows in taken.items() if rows}, digests)

    def take_first(
        self, digests: Mapping[str, str], scratch: Path | None = None
    ) -> dict[str, list[dict[str, str]]]:
        """`take` for each parent in order, up to the first whose rows have to be made.

        For a stage that compares each item with those before it: the result for the first one may
        change all that follow.
        """
        found: dict[str, list[dict[str, str]]] = {}
        for parent, digest in digests.items():
            rows = self.take(parent, digest, scratch)
            if not rows:
                break
            found[parent] = rows
        return _told(found, digests)

    def _is_as_written(self, path: str, sha256: str) -> bool:
        file = self.dataset / path
        return file.is_file() and sha256_file(file) == sha256


def _beside(stamp: Mapping, job: Job) -> dict[str, bytes] | None:
    """The outputs of arrays, by path: rows cannot be taken over without them. None unless all are
    as the stamp says.
    """
    found = {}
    for path in map(str, job.output):
        if path.endswith(table_stamps.ARRAYS):
            data = Path(path).read_bytes() if Path(path).is_file() else b""
            name = os.path.relpath(path, job.config["dataset"])
            if stamp["files"].get(name) != sha256_bytes(data):
                return None
            found[path] = data
    return found


def _told(found: dict[str, list[dict[str, str]]], digests: Mapping[str, str]) -> dict:
    LOGGER.info("%d of %d items to work on", len(digests) - len(found), len(digests))
    return found


NOTHING = Earlier()


def refused_files(taken: Mapping[str, Iterable[Mapping[str, str]]]) -> frozenset[str]:
    """Paths of the files of rows that are not kept: they are among the refused, and stay there."""
    return frozenset(
        row["path"] for rows in taken.values() for row in rows if row["outcome"] != KEPT
    )
