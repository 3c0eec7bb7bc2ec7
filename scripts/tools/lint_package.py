"""Lint a training folder, ours or anybody's.

    python scripts/tools/lint_package.py DIR [--trainer NAME] [--all] [--json]

Prints a finding for each trap: what the trainer would do without a word, and how to mend it. The
exit status is 0 if there is nothing to say, 1 if there are findings, 2 if the folder is not one
that can be linted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.common import command_line

if __name__ == "__main__":
    command_line.begin()

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Protocol

from ferrari.common import near_paths
from ferrari.common.errors import FerrariError
from ferrari.ledger.stages import FINAL, FINAL_CSV
from ferrari.linting import (
    ai_toolkit,
    diffusers_examples,
    diffusion_pipe,
    imagefolder,
    kohya,
    musubi,
    onetrainer,
    shard_formats,
    simpletuner,
    vlm_conversations,
)
from ferrari.linting.findings import Finding, Trap
from ferrari.provenance import last_run, older_packages


class Linter(Protocol):
    """What a trainer's module or class offers."""

    NAME: str

    def is_here(self, folder: Path) -> bool:
        """True if the folder looks like one for this trainer."""

    def lint(self, folder: Path) -> Iterator[Finding]:
        """All findings."""


LINTERS: tuple[Linter, ...] = (
    kohya,
    musubi,
    onetrainer,
    ai_toolkit.AiToolkit,
    diffusion_pipe.DiffusionPipe,
    simpletuner.SimpleTuner,
    diffusers_examples.DreamBooth,
    diffusers_examples.Diffusers,
    imagefolder.ImageFolder,
    shard_formats.WebDataset,
    shard_formats.Parquet,
    vlm_conversations.Sft,
)


_OLDER = Trap(
    "ferrari/older-set",
    "The package is {headline}; a trainer reads it all the same.",
    "{cure}",
)


class NothingToLintError(FerrariError, ValueError):
    """The folder is not there, or is no trainer's that is known; says what to do."""


def lint(folder: Path, trainers: Sequence[str] = ()) -> tuple[list[str], list[Finding]]:
    """The trainers whose rules were applied, and their findings in order.

    Without `trainers`, those whose marks the folder bears. Raises NothingToLintError.
    """
    if not folder.is_dir():
        raise NothingToLintError(f"there is no folder {folder}.{near_paths.hint(folder)}")
    known = {linter.NAME: linter for linter in LINTERS}
    names = list(trainers) or [name for name, linter in known.items() if linter.is_here(folder)]
    if not names:
        raise NothingToLintError(
            f"{folder} bears no trainer's marks (no dataset.toml, no <repeats>_<words> folder, no "
            f"metadata.jsonl, ...); say which is meant: TRAINER={' | '.join(known)}"
        )
    found = {finding for name in names for finding in known[name].lint(folder)}
    return names, sorted({*found, *older_set(folder)})


def older_set(folder: Path) -> list[Finding]:
    """A finding if the folder is a package of a set of ours that its last run would not make so."""
    folder = folder.resolve()
    dataset = folder.parent.parent
    if folder.parent.name != FINAL or not (dataset / FINAL_CSV).is_file():
        return []
    last = last_run.of(dataset.parent / last_run.AUDIT)
    if last is None or folder.name not in (found := older_packages.find(dataset, last.config)):
        return []
    return [_OLDER.found(".", headline=found[folder.name].headline, cure=found[folder.name].cure)]


def as_text(findings: Iterable[Finding], most: int) -> str:
    """The findings as text, at most `most` of each check."""
    lines: list[str] = []
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding.check] = counts.get(finding.check, 0) + 1
        if counts[finding.check] <= most:
            lines.append(str(finding))
    more = ((check, count - most) for check, count in counts.items() if count > most)
    lines.extend(f"{check}: {count} more (ALL=1 shows them)" for check, count in more)
    return "\n".join(lines)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="lint_package", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=lambda name: Path(name) if name else None)
    names = [linter.NAME for linter in LINTERS]
    parser.add_argument("--trainer", action="append", default=[], choices=names)
    parser.add_argument("--all", action="store_true", help="every finding, not the first ten")
    parser.add_argument("--json", action="store_true", help="findings as a JSON list")
    asked = parser.parse_args()
    if not asked.folder:
        print("DIR= is missing: name the folder of a package", file=sys.stderr)
        return 2
    try:
        trainers, findings = lint(asked.folder, asked.trainer)
    except NothingToLintError as error:
        print(error, file=sys.stderr)
        return 2
    if asked.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        if findings:
            print(as_text(findings, len(findings) if asked.all else 10))
        checks = len({finding.check for finding in findings})
        print(
            f"{asked.folder} as {', '.join(trainers)}: {len(findings)} findings, {checks} traps"
            if findings
            else f"{asked.folder} as {', '.join(trainers)}: no traps"
        )
    return 1 if findings else 0


if __name__ == "__main__":
    command_line.run(main)
