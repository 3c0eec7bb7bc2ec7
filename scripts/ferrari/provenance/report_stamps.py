"""Stamps of reports: what a report was made from, so that an unchanged one is not made again.

`<qc_reports>/stamps/<script>.json` holds the digests of the report's own files and of the tables
that it was made from, its code, settings and libraries, and one digest over the sizes of all files
that those tables name. A copied project has new times and the same content: without this, each
report would open every image of the dataset again. A report with a FAIL is always made again,
because whoever repaired what it names wants to see it pass.

That files hold the bytes of their rows is for `verify` to prove; it reads all of them each time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferrari.common.atomic_files import sha256_file, write_text
from ferrari.common.progress import LOGGER
from ferrari.ledger import tables
from ferrari.ledger.raw_listing import find_videos, sizes
from ferrari.provenance import table_stamps
from ferrari.provenance.job import Job, ScriptJob
from ferrari.provenance.reuse import item_digest
from ferrari.reports import checks

FOLDER = "stamps"


#: Params of the reports' rules that are paths of tables, beside their inputs.
_TABLES = ("probe", "extract", "detections", "tracks", "identities", "previous", "masks")


class ReportStamp:
    """What a report's job knows before it runs, and whether its files are up to date.

    `job` is Snakemake's object of the script. Its param `made_by` is the name of the report's own
    script; one with the param `raw_folder` also depends on the sizes of the raw files.
    """

    def __init__(self, job: Job) -> None:
        given = dict(job.params.items())
        this = ScriptJob.of(job, job.params.made_by, [name for name in _TABLES if name in given])
        self._rule, self._dataset = this.rule, Path(job.config["dataset"])
        self._outputs = [Path(path) for path in job.output]
        self._place = self._outputs[0].parent / FOLDER / f"{this.rule}.json"
        self._tables = sorted({path for path in this.input if path.endswith(".csv")})
        self._told = sorted({path for path in this.input if path.endswith(".json")})
        self._code, self._settings = job.params.code, table_stamps.settings_of(this)
        folder = given.get("raw_folder")
        raw = find_videos(folder, given["ignore"]) if folder else {}
        self._raw = sizes(raw, folder or "")

    def left_alone(self) -> bool:
        """True if the report is up to date; its files' times are then set to now."""
        try:
            before = json.loads(self._place.read_bytes())
        except (OSError, ValueError):
            return False
        if before != self._now() or self._has_failed():
            return False
        LOGGER.info("nothing to do: the report is what this job would make")
        for path in self._outputs:
            os.utime(path)
        return True

    def withdraw(self) -> None:
        """Delete the files of the last run before they are made again (`table_stamps`)."""
        self._place.unlink(missing_ok=True)
        for path in self._outputs:
            table_stamps.take_away(path)

    def seal(self) -> None:
        """Record what the report, which has just been made, was made from."""
        write_text(self._place, json.dumps(self._now(), indent=1, sort_keys=True) + "\n")

    def _now(self) -> dict[str, Any]:
        settings = json.loads(json.dumps(self._settings, sort_keys=True, default=str))
        return {
            "made_by": self._rule,
            "code": self._code,
            "settings": settings,
            "libraries": table_stamps.versions("report"),
            "tables": {
                self._name(path): sha256_file(path) for path in (*self._tables, *self._told)
            },
            "disk": item_digest(sorted(self._sizes().items()), sorted(self._raw.items())),
            "report": {
                path.name: sha256_file(path) if path.is_file() else "" for path in self._outputs
            },
        }

    def _name(self, path: str) -> str:
        return os.path.relpath(path, self._dataset)

    def _sizes(self) -> Mapping[str, int]:
        """Bytes of each file that a table names, -1 of one that is not there."""
        found = {}
        for table in self._tables:
            for row in tables.iter_table(table):
                for path, _ in tables.files_of(row):
                    if path not in found:
                        found[path] = _size(self._dataset / path)
        return found

    def _has_failed(self) -> bool:
        lists = [path for path in self._outputs if path.suffix == ".csv"]
        return any(
            row.get("status") == checks.FAIL for path in lists for row in tables.iter_table(path)
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
