"""Which jobs of a run are at work, in forks of its fork server or in processes of their own."""

from __future__ import annotations

import os
from pathlib import Path

from ferrari.jobs.stage_command import RULES


def jobs_in(folder: Path) -> list[tuple[int, str]]:
    """Process id and script of each job at work in a run's folder, the oldest first.

    Processes that a job has started may be among them, after it.
    """
    found = []
    for entry in sorted(Path("/proc").glob("[0-9]*"), key=lambda entry: int(entry.name)):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            name = (entry / "comm").read_text().strip()
            here = os.readlink(entry / "cwd") == str(folder)
        except OSError:  # it ended meanwhile
            continue
        if here and (script := _script(words, name)):
            found.append((int(entry.name), script))
    return found


def _script(words: list[str], name: str) -> str:
    if "ferrari.jobs.fork_server" in words:
        return next((stage for stage in RULES if stage[:15] == name), "")
    if "--here" in words:
        return words[words.index("--here") + 1]
    _, found, script = (words[1] if len(words) > 1 else "").partition("/.snakemake/scripts/")
    return script.partition(".")[2].removesuffix(".py") if found else ""
