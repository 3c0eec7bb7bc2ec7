"""Where an image comes from, and what happened to a clip, a frame or a crop, from the tables.

Item ids contain their ancestry (`item_ids`), so each step is one row of one table. Tables are read
from top to bottom as bytes, and only the wanted rows are parsed; no table is held in memory whole.
"""

from __future__ import annotations

import difflib
import heapq
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ferrari.common.atomic_files import sha256_file
from ferrari.common.errors import FerrariError
from ferrari.ledger import clips_gone, item_ids, raw_place, stages
from ferrari.ledger import tables as ledger_tables
from ferrari.ledger.item_ids import Item, parse
from ferrari.ledger.stages import FINAL_CSV, FOLDERS
from ferrari.provenance import older_packages, table_stamps
from ferrari.provenance.descendants import Fate, follow
from ferrari.provenance.row_lookup import Table
from ferrari.review import decision_table
from ferrari.review.applying import track_digest
from ferrari.review.contract import track_of
from ferrari.review.targets import tables_of, track_items
from ferrari.storage import buckets

#: The stage whose table has an item's own row, by its kind.
_LEVELS = {"clip": "probe", "frame": "extract", "detection": "detect", "crop": "crop"} | {
    "image": "caption"
}
#: The cure of a table that another one has overtaken.
_RUN_AGAIN = "run the pipeline again"


class UnknownItemError(FerrariError, LookupError):
    """Nothing in the dataset has this id or name; `near` lists the most similar ones."""

    def __init__(self, asked: str, near: list[str]) -> None:
        super().__init__(asked, near)
        self.asked, self.near = asked, near

    def __str__(self) -> str:
        return self.asked


@dataclass
class Step:
    """One stage's row of the item or its ancestor, and how its table was made."""

    stage: str
    table: str
    row: dict[str, str]
    made: dict = field(default_factory=dict)  # parts of the table's stamp
    decided: str = ""  # what a person decided of it, and who and when
    warnings: list[str] = field(default_factory=list)


@dataclass
class Trace:
    """The answer: the steps that led to the item, and what came after it."""

    asked: str
    item: str
    kind: str
    steps: list[Step]
    raw: dict[str, object]
    packages: list[dict[str, str]]
    fates: list[Fate]
    left: list[str] = field(default_factory=list)  # of a clip that is gone: folders with files


class Dataset:
    """A dataset's tables; `raw` is the folder of raw clips. `config` are the settings that say
    which packages are of an older set; without them nothing is said of that.
    """

    def __init__(
        self, root: str | os.PathLike, raw: str | os.PathLike, config: Mapping | None = None
    ) -> None:
        self.root, self.raw = Path(root), os.fspath(raw)
        self._older = older_packages.find(root, config) if config else {}
        self._digests: dict[str, str] = {}

    def trace(self, asked: str, limit: int | None = 40) -> Trace:
        """All that is known of `asked` (an id, a file's name or a path); `limit` bounds each list.

        A track of a clip may be asked for too (`<clip>-t3`). Raises UnknownItemError.
        """
        name = Path(asked).name
        if (track := track_of(name)) and self._has(track[0]):
            return self._track(name, *track, limit)
        item = self.identify(asked)
        steps = [step for stage in FOLDERS if (step := self._step(stage, item))]
        if not any(step.row["item"] == item.id for step in steps):
            raise UnknownItemError(asked, self._near(asked, item))
        steps += self._final_step(item)
        packages = list(self._packages(item)) if item.variant else []
        fates = [] if item.variant else self._fates(item, limit)
        raw = self._raw(steps[0].row)
        left = clips_gone.folders_of(self.root, item.video) if raw["gone"] else []
        return Trace(asked, item.id, item.kind, steps, raw, packages, fates, left)

    def _track(self, asked: str, video: str, number: int, limit: int | None) -> Trace:
        """What is known of a track, and what became of the crops of its detections."""
        table = f"{stages.IDENTITY}/{video}.csv"
        path = self.root / table
        rows = list(ledger_tables.iter_if_there(path))
        known = {row["track"]: row for row in rows if row["track"]}
        row, items = known.get(str(number)), track_items(tables_of(self.root), asked)
        if row is None:
            raise UnknownItemError(asked, [f"{video}-t{track}" for track in known][:3] or [video])
        cells = {"item": asked, "outcome": row["who"], "reason": "", "value": row["score"]}
        cells |= {"path": "", "sha256": track_digest(items) if items else ""}
        step = Step("identity", table, {**row, **cells})
        step.decided = "; ".join(map(self._decided, row["decision"].split()))
        clip = Item(video)
        crops = frozenset(re.sub("-d(?=[0-9]+$)", "-p", item).encode() for item in items)
        steps = [found for found in (self._step("probe", clip), step) if found]
        fates = self._fates(clip, limit, "detect", crops)
        raw = self._raw(steps[0].row)
        left = clips_gone.folders_of(self.root, video) if raw["gone"] else []
        return Trace(asked, asked, "track", steps, raw, [], fates, left)

    def identify(self, asked: str) -> Item:
        """The item that an id, a file name or a path stands for; raises UnknownItemError."""
        name = Path(asked).name
        stem = re.split(r"[._]", name)[0]  # ids hold no dot; a trainer's cache adds `_...`
        for candidate in (asked, *self._as_raw(asked), stem):
            if re.fullmatch(item_ids.VIDEO_ID, candidate) and self._has(candidate):
                return Item(candidate)
            item = parse(candidate)
            if item and self._has(item.video):
                return item
        for row in self._videos():
            if row["file"] == asked or Path(row["file"]).name == name:
                return Item(row["item"])
        raise UnknownItemError(asked, self._near(asked, None))

    def _as_raw(self, asked: str) -> Iterator[str]:
        """The ids that `asked` would have if it were a raw file's path."""
        if buckets.is_address(self.raw):
            below = raw_place.join(self.raw, "")
            if asked.startswith(below):
                yield item_ids.video_id(asked.removeprefix(below))
        else:
            raw, path = os.path.abspath(self.raw), os.path.abspath(asked)
            if path.startswith(raw + os.sep):
                yield item_ids.video_id(os.path.relpath(path, raw))
        yield item_ids.video_id(asked)

    def _has(self, video: str) -> bool:
        return (self.root / stages.table("probe", video)).is_file()

    def _videos(self) -> Iterator[dict[str, str]]:
        table = self.root / stages.VIDEOS_CSV
        return ledger_tables.iter_if_there(table)

    def _step(self, stage: str, item: Item) -> Step | None:
        """The stage's row of the item or its ancestor; None where there is none (yet)."""
        table = stages.table(stage, item.video)
        wanted = item.at(stage)
        if not wanted or not (self.root / table).is_file():
            return None
        row = Table(self.root / table).find(wanted)
        return self._with_stamp(Step(stage, table, row)) if row else None

    def _final_step(self, item: Item) -> list[Step]:
        if not item.variant or not (self.root / FINAL_CSV).is_file():
            return []
        row = Table(self.root / FINAL_CSV).find(item.variant)
        return [self._with_stamp(Step("final", FINAL_CSV, row))] if row else []

    def _with_stamp(self, step: Step) -> Step:
        """Fill in how the step's table was made, and warn where its stamp no longer matches."""
        digest = self._digest(step.table)
        try:
            stamp = table_stamps.read(table_stamps.place(self.root, self.root / step.table))
        except table_stamps.StampError as error:
            step.warnings.append(f"{error}; run make verify")
            return step
        if stamp["sha256"] != digest:
            step.warnings.append(
                f"{step.table} is not what its job wrote (its SHA-256 differs): run make verify"
            )
        for name, then in stamp["inputs"].items():
            if name in self._digests and self._digests[name] != then:
                step.warnings.append(
                    f"{step.table} was made from another state of {name}: {_RUN_AGAIN}"
                )
        step.decided = self._decided(step.row.get("decision", ""))
        told = ("rule", "code", "settings", "settings_sha256", "libraries")
        step.made = {key: stamp[key] for key in told}
        return step

    def _decided(self, decision: str) -> str:
        """What a row's decision says, of those that were taken back too."""
        if not decision:
            return ""
        path = decision_table.place(self.root)
        rows = [line.row for line in decision_table.read(path)] if path.is_file() else []
        row = next((row for row in rows if row.id == decision), None)
        if row is None:
            return f"{decision}, of which {decision_table.PLACE} holds no row: run make verify"
        value = f" {row.value!r}" if row.value else ""
        return f"{row.decision}{value} of {row.target} by {row.said()} ({decision})"

    def _digest(self, table: str) -> str:
        if table not in self._digests:
            self._digests[table] = sha256_file(self.root / table)
        return self._digests[table]

    def _raw(self, probe: Mapping[str, str]) -> dict[str, object]:
        """Whether the raw file is still there, with the size that was recorded.

        `gone` is true where it was taken out: a folder or a bucket that cannot be asked says
        nothing of its files. `known` is true while the table of clips still names it.
        """
        path = raw_place.join(self.raw, probe["file"])
        told: dict[str, object] = {"path": path, "there": False, "gone": False}
        try:
            size = buckets.look(path).size if buckets.is_address(path) else os.stat(path).st_size
        except (FileNotFoundError, NotADirectoryError):
            there = raw_place.is_there(self.raw)
            told |= {"gone": there, "fault": "" if there else f"the folder {self.raw} is not there"}
        except OSError as error:
            told |= {"fault": error.strerror}
        except (buckets.ObjectError, buckets.BucketError) as error:
            told |= {"gone": isinstance(error, buckets.GoneObjectError), "fault": str(error)}
        else:
            return told | {
                "there": True,
                "bytes": size,
                "same_size": probe["bytes"] in ("", str(size)),
            }
        return told | {"known": any(row["item"] == probe["item"] for row in self._videos())}

    def _manifests(self) -> Iterator[str]:
        """The packages' manifests, relative to the dataset."""
        for path in sorted((self.root / FINAL_CSV).parent.glob("*.csv")):
            if path.name != Path(FINAL_CSV).name:
                yield path.relative_to(self.root).as_posix()

    def _packages(self, item: Item) -> Iterator[dict[str, str]]:
        for manifest in self._manifests():
            row = Table(self.root / manifest).find(item.variant)
            if row:
                step = self._with_stamp(Step("package", manifest, row))
                told = ("outcome", "reason", "value", "path", "mask_path", "caption_path")
                step.warnings = self._with_age(manifest, step.warnings)
                warned = {"warning": "; ".join(step.warnings)} if step.warnings else {}
                yield {"package": Path(manifest).stem} | {key: row[key] for key in told} | warned

    def _with_age(self, manifest: str, warnings: list[str]) -> list[str]:
        """The warnings of a package; of one of an older set, that it is, and what to do about it.

        No run makes that one anew, so another one is no cure.
        """
        older = self._older.get(Path(manifest).stem)
        if older is None:
            return warnings
        others = [text for text in warnings if not text.endswith(_RUN_AGAIN)]
        return [*others, f"{older.headline}. {older.cure}"]

    def _fates(
        self,
        item: Item,
        limit: int | None,
        level: str = "",
        crops: frozenset[bytes] | None = None,
    ) -> list[Fate]:
        """One fate for each stage below the item's own (or `level`), the final table and each
        package; of `crops` alone where they are given.
        """
        below = list(FOLDERS)[list(FOLDERS).index(level or _LEVELS[item.kind]) + 1 :]
        tables = {stages.table(stage, item.video): stage for stage in below} | {FINAL_CSV: "final"}
        tables |= dict.fromkeys(self._manifests(), "package")
        there = [table for table in tables if (self.root / table).is_file()]
        with ThreadPoolExecutor(1) as pool:
            hashing = [pool.submit(self._digest, table) for table in there]  # beside the counting
            fates = [
                follow(Table(self.root / table), tables[table], table, item, limit, crops)
                for table in there
            ]
        for done in hashing:
            done.result()
        for fate in fates:
            fate.warnings = self._with_stamp(Step(fate.stage, fate.table, {})).warnings
            if fate.stage == "package":
                fate.warnings = self._with_age(fate.table, fate.warnings)
        return fates

    def _near(self, asked: str, item: Item | None) -> list[str]:
        """Up to three ids, or names of raw files, that are most like `asked`."""
        if item is None:
            ids = (path.stem for path in (self.root / FOLDERS["probe"]).glob("*.csv"))
            known = sorted({*ids, *(row["file"] for row in self._videos())})
            return difflib.get_close_matches(asked, known, n=3, cutoff=0.5)
        parent = item.video
        found = ("crop", item.crop) if item.crop else ("detect", item.detection)
        for stage, own in (("extract", item.frame), found, ("augment", item.variant)):
            if own and not self._step(stage, item):
                return self._nearest_below(parent, stage, own, item.video)
            parent = own or parent
        return [parent]

    def _nearest_below(self, parent: str, stage: str, own: str, video: str) -> list[str]:
        """A stage's ids below `parent` that are most like `own`; the parent if there are none."""
        table = self.root / stages.table(stage, video)
        if not table.is_file():
            return [parent]
        number = _last_number(own)
        heads = (record.split(b",", 1)[0] for record in Table(table).records())
        ids = (head.decode("utf-8", "replace") for head in heads)
        below = (name for name in ids if name.startswith(parent + "-"))
        close = heapq.nsmallest(50, below, key=lambda name: abs(_last_number(name) - number))
        return difflib.get_close_matches(own, close, n=3) or [parent]


def _last_number(item: str) -> int:
    return int(item[len(item.rstrip("0123456789")) :] or 0)
