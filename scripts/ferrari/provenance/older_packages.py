"""Packages in the dataset that differ from what a run with the present settings would make.

A format that is no longer requested keeps its folder, with its old token and images. Its bytes are
sound, but whoever trains on it trains on an old set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ferrari.common.atomic_files import sha256_file
from ferrari.ledger.stages import FINAL, FINAL_CSV
from ferrari.provenance import last_run, table_stamps

#: Of the section `package`: says which packages there are, not what is in one.
_FORMATS = "formats"


@dataclass(frozen=True)
class OlderPackage:
    """A package of an older set: its format, the token of its captions, and why it is older."""

    format: str
    token: str
    why: str
    asked_for: bool

    @property
    def headline(self) -> str:
        """'of an earlier run (token sks), not made any more: package.formats does not name it'; one
        that is asked for is 'of an older set (token sks): ' and why.
        """
        if self.asked_for:
            return f"of an older set (token {self.token}): {self.why}"
        return f"of an earlier run (token {self.token}), not made any more: {self.why}"

    @property
    def cure(self) -> str:
        """What to do about it."""
        if self.asked_for:
            return "Run the pipeline with these settings, and it is made anew."
        return (
            f"`make tidy` deletes {FINAL}/{self.format} with its table and its stamp; or name "
            f"{self.format} in package.formats again."
        )

    def __str__(self) -> str:
        return f"{self.format}: {self.headline}. {self.cure}"


def find(dataset: str | os.PathLike, config: Mapping) -> dict[str, OlderPackage]:
    """The packages of `dataset` that a run with the settings `config` would make differently, by
    format.

    A package without a sound stamp is left out: `make verify` reports it.
    """
    found = {}
    for name in _packaged(Path(dataset)):
        stamp = _stamp(Path(dataset), name)
        why = _difference(Path(dataset), stamp, config) if stamp and _asked(config, name) else ""
        if stamp and (why or not _asked(config, name)):
            found[name] = _older(name, stamp, why)
    return found


def not_asked_for(dataset: str | os.PathLike, config: Mapping) -> list[str]:
    """Those of a format that is not asked for, a sentence each. Reads their stamps alone."""
    names = formats_not_asked_for(dataset, config)
    stamps = {name: _stamp(Path(dataset), name) for name in names}
    return [str(_older(name, stamp, "")) for name, stamp in stamps.items() if stamp]


def formats_not_asked_for(dataset: str | os.PathLike, config: Mapping) -> list[str]:
    """The formats that have a package, sound or not, and are not asked for; sorted."""
    return [name for name in _packaged(Path(dataset)) if not _asked(config, name)]


def _older(name: str, stamp: Mapping, why: str) -> OlderPackage:
    token = stamp["settings"].get("subject", {}).get("token", "unknown")
    return OlderPackage(name, str(token), why or "package.formats does not name it", bool(why))


def _asked(config: Mapping, name: str) -> bool:
    return name in config["package"][_FORMATS]


def _packaged(dataset: Path) -> list[str]:
    """The formats that have a manifest, sorted."""
    manifests = sorted((dataset / FINAL).glob("*.csv"))
    return [path.stem for path in manifests if path.name != Path(FINAL_CSV).name]


def _stamp(dataset: Path, name: str) -> dict | None:
    try:
        stamp = table_stamps.read(table_stamps.place(dataset, dataset / FINAL / f"{name}.csv"))
    except table_stamps.StampError:
        return None
    return stamp if isinstance(stamp.get("settings"), dict) else None


def _difference(dataset: Path, stamp: Mapping, config: Mapping) -> str:
    """Why a package that is asked for is not what would be made now; empty if it is."""
    made = stamp["settings"]
    asked = {key: value for key, value in config["package"].items() if key != _FORMATS}
    then = {"package": made.get("package", {}), "subject": made.get("subject", {})}
    differing = last_run.differences(then, {"package": asked, "subject": config["subject"]})
    if differing:
        return "; ".join(differing)
    final = dataset / FINAL_CSV
    was = stamp.get("inputs", {}).get(FINAL_CSV)
    if was and final.is_file() and was != sha256_file(final):
        return f"{FINAL_CSV} has other images now"
    return ""
