"""The product's own source, for tests that hold it to a rule: a file is parsed once a process."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file. All tests of a process share it: it is not to be changed."""
    return ast.parse(path.read_text())
