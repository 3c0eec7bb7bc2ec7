"""The settings of a set: its own file, and those with which it was last made, from the record of
its last run.

A command without settings would answer for the defaults: another token, other formats, another
folder. Runs that only read the set (`make verify`) are ignored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from ferrari.common import near_paths, settings
from ferrari.common.counts import first_of

#: Targets that read the dataset and never write into it.
ONLY_LOOK = frozenset({"verify", "verified"})
#: The settings file that a set of one's own has (`make new`).
OWN = "my.yaml"
AUDIT = "audit"  # the default of the setting: a record elsewhere is found with CONFIG alone
#: Settings that decide how fast a set is made and where things are kept, not what is in it.
_MEANS = frozenset({"threads", "warm_workers", "shard", "cache", "audit", "models"})
_MEANS_BELOW = frozenset({"batch", "device", "timeout_s", "memory_mb"})
_MISSING = object()
#: What Snakemake logs after Ctrl-C, and after SIGTERM; of a run that failed by itself it logs
#: nothing like it.
_ASKED_TO_STOP = (
    b"Terminating processes on user request",
    b"Will exit after finishing currently running jobs",
)
#: So many commands in a row that took the settings of the one before are followed back.
_LONGEST_CHAIN = 100


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
    for folder, record in _records(audit):
        try:
            config = yaml.safe_load((folder / "config.yaml").read_text("utf-8", "surrogateescape"))
        except (OSError, ValueError, yaml.YAMLError):  # killed while it was written, or not ours
            continue
        if isinstance(config, dict):
            files = _named_first(record.get("config_files", ()), Path(audit) / "runs")
            had_file = bool(files) or "--configfile" in record["command"]
            return LastRun(folder, config, files, had_file, record["start"])
    return None


def unfinished(audit: str | os.PathLike) -> tuple[Path, dict] | None:
    """The folder and the record of the latest run that did not get to its end, if none over the
    whole set got there since; its `status` is None if it was killed. None if there is no such run.
    """
    for folder, record in _records(audit):
        if record.get("status") != "success":
            return folder, record
        if not set(record.get("targets", ())) - {"all"} and record.get("shard") is None:
            break
    return None


def was_asked_to_stop(folder: Path) -> bool:
    """Whether the run whose record is in `folder` ended because somebody wanted it to: by Ctrl-C,
    or by an order to end.
    """
    try:
        said = (folder / "snakemake.log").read_bytes()
    except OSError:  # a disk that was full
        return False
    return any(words in said for words in _ASKED_TO_STOP)


def _records(audit: str | os.PathLike) -> Iterator[tuple[Path, dict]]:
    """The folders and the records of the runs that may have made something, the latest first."""
    for path in sorted((Path(audit) / "runs").glob("*/run.json"), reverse=True):
        try:
            record = json.loads(path.read_bytes())
        except (OSError, ValueError):  # killed while it was written, or not ours
            continue
        targets = set(record.get("targets", ()))
        if not targets or not targets <= ONLY_LOOK:
            yield path.parent, record


def _named_first(files: Sequence[str], runs: Path) -> tuple[str, ...]:
    """The settings files that a person named: a command that took those of an earlier run (`make
    dashboards`) was given that run's, in whose record the person's are named.
    """
    for _ in range(_LONGEST_CHAIN):
        before = [Path(file).parent for file in files if Path(file).name == "config.yaml"]
        if len(files) != 1 or not before or before[0].parent.resolve() != runs.resolve():
            break
        try:
            files = json.loads((before[0] / "run.json").read_bytes())["config_files"]
        except (OSError, ValueError, KeyError):  # deleted, or an older record
            break
    return tuple(files)


def require_set(work: Path) -> None:
    """Raise SettingsError where the folder of a set is not there: one that is misspelt would be
    made, or looked at as one that has nothing.
    """
    if not work.exists():
        raise settings.SettingsError(
            f"there is no folder {work.absolute()}: make new begins a set, WORK= names it."
            f"{near_paths.hint(work)}"
        )


def files_for(
    work: str | os.PathLike, config_files: Sequence[str | os.PathLike]
) -> tuple[list[Path], str]:
    """The settings files for a command on the set in the folder `work`, each laid over those before
    it; and one line that says whose they are ("" where that is plain).

    What the person named (`config_files`) is laid over the set's own file, which would be dropped
    without a word else. Without any, the last run's settings count.
    """
    own = Path(work) / OWN
    if config_files:
        files = own_files(work, config_files)
        if len(files) == len(config_files):
            return files, ""
        over = ", ".join(map(str, config_files))
        return files, f"settings of {own}, with those of {over} laid over them"
    last = of(Path(work) / AUDIT)
    if last is not None:
        said = (
            f"settings of the run of {last.start} ({last.settings_file}); CONFIG=... takes others"
        )
        return [last.settings_file], said
    if own.is_file():
        return [own], f"no run is recorded in {work}: the settings of {own} are used"
    return [], f"no run is recorded in {work}: the default settings are used; WORK= names a set"


def files_to_run(
    work: str | os.PathLike, config_files: Sequence[str | os.PathLike]
) -> tuple[list[Path], str]:
    """The settings files for a run of the set in the folder `work`, and for what is asked before
    one: its own file with those that the person named (`config_files`) laid over it; where there is
    neither, the last run's. And one line that says whose they are, "" where that is plain.
    """
    own = own_files(work, ())
    return (own, "") if own and not config_files else files_for(work, config_files)


def own_files(work: str | os.PathLike, config_files: Sequence[str | os.PathLike]) -> list[Path]:
    """The set's own settings file, if there is one, and behind it those that the person named."""
    own, files = Path(work) / OWN, [Path(file) for file in config_files]
    if own.is_file() and own.resolve() not in [file.resolve() for file in files]:
        return [own, *files]
    return files


def settings_for(
    work: str | os.PathLike, config_files: Sequence[str | os.PathLike]
) -> tuple[dict, str, Path | None]:
    """The settings for a command on the set in the folder `work`; one line that says whose they
    are; and, where the person named none, the file that has them. See `files_for`.

    Raises SettingsError for a file that cannot be read.
    """
    files, said = files_for(work, config_files)
    return settings.load(*files), said, files[0] if files and not config_files else None


def other_settings(last: LastRun, config: Mapping, given: Sequence[str]) -> str:
    """What to say before a run with `config`, out of the settings files `given`, of a set that was
    last made with other files and other settings; "" where there is nothing to say.

    A file that was edited says nothing: that is meant.
    """
    before = last.config_files
    if not last.had_file or (given and (not before or list(before) == list(given))):
        return ""
    differing = differences(last.config, config)
    if not differing:
        return ""
    now = f"the settings files {' '.join(given)}" if given else "no settings file"
    return (
        f"OTHER SETTINGS: this set was last made with others ({first_of(differing, 4, '; ')}), "
        f"and this run has {now}. Stop it unless you mean it; the last had "
        f"--configfile {' '.join(map(str, before or (last.settings_file,)))}"
    )


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
