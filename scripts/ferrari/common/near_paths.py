"""Paths in messages: where a relative path leads, and the nearest existing one ('Did you mean')."""

from __future__ import annotations

import difflib
import os
from pathlib import Path


def told(path: str | os.PathLike) -> str:
    """A path as given and, if relative, the absolute path: a reader need not know the working
    folder.
    """
    given, whole = os.fspath(path), os.path.abspath(path)
    return given if os.path.isabs(given) else f"{given} ({whole})"


def hint(path: str | os.PathLike) -> str:
    """' Did you mean /clips/anna?' for a path whose first missing part is nearly an existing name,
    below which the rest exists as given; ' Nothing but a shell reads ~ and $ in a path.' behind it
    for one with a `~` or a `$HOME`, whether or not what it means is there; else "".
    """
    asked = Path(path).absolute()
    missing = [part for part in (asked, *asked.parents) if not os.path.lexists(part)]
    if not missing:
        return ""
    if typed := _as_a_shell_reads(asked):
        said = f"Did you mean {typed}?" if typed.exists() else f"Nor is there {typed}."
        return f" Nothing but a shell reads ~ and $ in a path. {said}"
    first = missing[-1]
    try:
        beside = sorted(os.listdir(first.parent))
    except OSError:  # a file, or closed to us
        return ""
    near = difflib.get_close_matches(first.name, beside, n=3, cutoff=0.75)
    for name in near:
        found = first.with_name(name) / asked.relative_to(first)
        if found.exists():
            return f" Did you mean {found}?"
    return ""


def _as_a_shell_reads(path: Path) -> Path | None:
    """The path from its first part with a `~` or a `$` on, read as a shell does; None without, and
    where it names no user or variable.
    """
    for place, part in enumerate(path.parts):
        if part.startswith(("~", "$")):
            typed = os.path.expanduser(os.path.expandvars(Path(*path.parts[place:])))
            return Path(typed) if os.path.isabs(typed) else None
    return None
