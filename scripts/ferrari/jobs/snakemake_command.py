"""Snakemake's command line for a set, and the numbers of jobs that a dry run prints."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ferrari.common.places import ROOT

_STATS = re.compile(r"^Job stats:\n.*?\n[- ]+\n(.*?)\n\n", re.S | re.M)
_NO_JOBS = ("total", "all")  # a sum, and the rule that only names what is to be made


def command(*words: str, cores: int, config_files: Iterable[Path] = ()) -> list[str]:
    """The command of a run on `cores` cores with these settings files, of which each overrides
    those before it.

    `words` are targets, then options. The settings files come last: `--configfile` takes all words
    that follow.
    """
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    files = [str(file.absolute()) for file in config_files]
    given = ["--configfile", *files] if files else []
    return [*snakemake, *words, "--cores", str(cores), *given]


def run_to_end(words: Sequence[str], **options: Any) -> int:
    """Run a command with the options of `subprocess.Popen`; its exit status.

    Ctrl-C reaches the command as well, and `subprocess.run` would kill it a quarter of a second
    later, while its jobs still end.
    """
    process = subprocess.Popen(words, **options)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise


def planned(output: str) -> dict[str, int]:
    """Jobs by rule, out of what a dry run prints; {} where nothing is to be done."""
    found = _STATS.search(output)
    rows = [line.split() for line in found[1].splitlines()] if found else []
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[0] not in _NO_JOBS}
