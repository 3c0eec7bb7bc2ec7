"""Which code made an output: a digest over a script and every project module that it imports.

Snakemake notices an edited script, but not an edited library module. With this digest among the
rule's params, it reruns exactly the stages that import what was edited.
"""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path

from ferrari.common.places import ROOT

_PACKAGE = "ferrari"
_TEMPLATES = "templates"

# Every start of the workflow looks through all modules: parsing them took half of its time. These
# read what the formatter leaves, and tests/conventions hold them to the parser.
_FROM = re.compile(rf"^[ \t]*from ({_PACKAGE}[\w.]*) import (\([^)]*\)|.*)", re.MULTILINE)
_IMPORT = re.compile(rf"^[ \t]*import ({_PACKAGE}[\w.]*)", re.MULTILINE)
_SAYS_TEMPLATES = re.compile(rf"""(["']){_TEMPLATES}\1""")


def code_digest(script: str) -> str:
    """First 16 hex digits of the SHA-256 over `script` (relative to the root) and its imports."""
    digest = hashlib.sha256()
    for path in sorted(source_files(ROOT / script)):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
        digest.update(_content(path) + b"\0")
    return digest.hexdigest()[:16]


def source_files(script: Path) -> set[Path]:
    """The script and the project's modules that it imports, at any depth, inside functions too."""
    found: set[Path] = set()
    waiting = [script.resolve()]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_imports(path))
    return found


@functools.cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


@functools.cache
def _imports(path: Path) -> tuple[Path, ...]:
    """Files that one file needs: `import ferrari.x`, `from ferrari.x import y`, its templates.

    A module with the string "templates" needs all files of the folder `templates` beside it.
    """
    if path.suffix != ".py":
        return ()
    text = _content(path).decode()
    names = _IMPORT.findall(text)
    for module, imported in _FROM.findall(text):
        names += [module, *(f"{module}.{name}" for name in re.findall(r"\w+", imported))]
    modules = _modules(ROOT)
    files = [modules[name] for name in dict.fromkeys(names) if name in modules]
    if _SAYS_TEMPLATES.search(text):
        files.extend(file for file in (path.parent / _TEMPLATES).glob("*") if file.is_file())
    return tuple(files)


@functools.cache
def _modules(root: Path) -> dict[str, Path]:
    """The library's modules by their names; a package is its `__init__.py`."""
    scripts = root / "scripts"
    files = {
        ".".join(file.relative_to(scripts).with_suffix("").parts): file
        for file in (scripts / _PACKAGE).rglob("*.py")
    }
    return {name.removesuffix(".__init__"): file for name, file in files.items()}
