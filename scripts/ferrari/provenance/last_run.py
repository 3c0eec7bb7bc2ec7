"""The settings that a set was last made with, out of the record of its last run.

A command that is given no settings would answer for the defaults: with another token, other
formats, another folder. Runs that only looked at the set (`make verify`) say nothing of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from ferrari.common import settings

#: Targets that read the dataset and never write into it.
ONLY_LOOK = frozenset({"verify", "verified"})
AUDIT = "audit"  # the default of the setting: a record elsewhere is found with CONFIG alone
#: Settings that decide how fast a set is made and where things are kept, not what is in it.
_MEANS = frozenset({"threads", "warm_workers", "shard", "cache", "audit", "models"})
_MEANS_BELOW = frozenset({"batch", "device", "timeout_s", "memory_mb"})
_MISSING = object()


@dataclass(frozen=True)
class LastRun:
    """A run that made (part of) a set: its record's folder, its settings, the settings files that
    it was given, named from the working folder (empty of a run whose record does not say), whether
    it was given any, and when it began.
    """

    folder: Path
    config: dict
    config_files: tuple[str, ...]
    had_file: bool
    start: str

    @property
    def settings_file(self) -> Path:
        """All settings of the run, as a file that `--configfile` takes."""
        return self.folder / "config.yaml"


def of(audit: str | os.PathLike) -> LastRun | None:
    """The last run whose record can be read in the folder `audit`; None if there is none."""
    try:
        folders = sorted((Path(audit) / "runs").iterdir(), reverse=True)
    except OSError:
        return None
    for folder in folders:
        try:
            record = json.loads((folder / "run.json").read_bytes())
            config = yaml.safe_load((folder / "config.yaml").read_text("utf-8", "surrogateescape"))
        except (OSError, ValueError, yaml.YAMLError):  # killed while it was written, or not ours
            continue
        targets = record.get("targets", [])
        if isinstance(config, dict) and not (targets and set(targets) <= ONLY_LOOK):
            files = tuple(record.get("config_files", ()))
            had_file = bool(files) or "--configfile" in record["command"]
            return LastRun(folder, config, files, had_file, record["start"])
    return None


def settings_for(
    work: str | os.PathLike, config_files: Sequence[str | os.PathLike]
) -> tuple[dict, str, Path | None]:
    """The settings for a command on the set in the folder `work`; one line that says whose they
    are; and, where they are the last run's, the file that has them.

    `config_files` are what the person named: they go before the last run's.
    """
    if config_files:
        return settings.load(*config_files), "", None
    last = of(Path(work) / AUDIT)
    if last is None:
        return settings.load(), f"no run is recorded in {work}: the default settings are used", None
    said = f"settings of the run of {last.start} ({last.settings_file}); CONFIG=... takes others"
    return settings.completed(last.config), said, last.settings_file


def differences(then: Mapping, now: Mapping) -> list[str]:
    """'subject.token: ohwx, now sks' for each setting that decides what is in a set and differs."""
    return [
        f"{name}: {_shown(before)}, now {_shown(after)}"
        for name, before, after in _differing(then, now, "")
    ]


def _differing(then: Mapping, now: Mapping, place: str) -> Iterator[tuple[str, object, object]]:
    for key in sorted({*then, *now}, key=str):
        before, after = then.get(key, _MISSING), now.get(key, _MISSING)
        if before == after or key in (_MEANS_BELOW if place else _MEANS):
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differing(before, after, f"{place}{key}.")
        elif _MISSING not in (before, after):  # else: another version of the workflow
            yield f"{place}{key}", before, after


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text.strip('"') if len(text) < 60 else f"{text[:57]}..."
