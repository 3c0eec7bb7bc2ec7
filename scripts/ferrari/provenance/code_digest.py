"""Which code made an output: a digest over a script and every project module that it imports.

Snakemake notices an edited script, but not an edited library module. With this digest among the
rule's params, it reruns exactly the stages that import what was edited.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

from ferrari.common.places import ROOT

_PACKAGE = "ferrari"
_TEMPLATES = "templates"


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
    files: list[Path] = []
    tree = ast.parse(_content(path), filename=str(path))
    if _TEMPLATES.encode() in _content(path) and any(
        isinstance(node, ast.Constant) and node.value == _TEMPLATES for node in ast.walk(tree)
    ):
        files.extend(file for file in (path.parent / _TEMPLATES).glob("*") if file.is_file())
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        files.extend(file for name in modules if (file := _module_file(name)))
    return tuple(files)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below a node. Not their expressions, which are ten times as many: every start
    of the workflow looks through all modules.
    """
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield child
            yield from _statements(child)


def _module_file(module: str) -> Path | None:
    parts = module.split(".")
    if parts[0] != _PACKAGE:
        return None
    base = ROOT.joinpath("scripts", *parts)
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None
