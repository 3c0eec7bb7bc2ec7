"""Comments, docstrings and documents name only files, modules and tests that exist."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LISTED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
).stdout.split()
FILES = sorted(name for name in LISTED if (ROOT / name).is_file())
#: Files by their names without a folder, and the functions of the tests' files.
NAMES = {Path(name).name for name in FILES}
TESTS = {
    function
    for name in FILES
    if re.fullmatch(r"tests/.*\.py", name)
    for function in re.findall(r"def (\w+)\(", (ROOT / name).read_text())
}
LIBRARY = [ROOT / name for name in FILES if re.match(r"scripts/ferrari/.*\.py", name)]
PACKAGES = {path.parent.name for path in LIBRARY}
SETTINGS = yaml.safe_load((ROOT / "config/config.yaml").read_text())

#: Records of what was: they may name what is gone.
HISTORY = re.compile(r"CHANGELOG\.md|docs/decisions/.*")
TEXTS = [
    name
    for name in FILES
    if re.search(r"\.(py|smk|md|yaml|toml)$|^(Snakefile|Makefile|Dockerfile)$", name)
    and not HISTORY.fullmatch(name)
]
#: Behind a dot, they make a file's name.
ENDINGS = {"csv", "html", "json", "jsonl", "log", "md", "parquet", "py", "smk", "toml", "yaml"}

#: What a run of the benchmark writes there.
WRITTEN = {"bench/work", "bench/results.html", "bench/results.json"}

_PATH = re.compile(
    r"(?<![\w/.`-])`?((?:scripts|docs|tests|rules|config|bench|envs|profiles)/[\w./-]*\w)(?![\w*<{])"
)
_TEST = re.compile(r"\b(?:\w+/)*(test_[a-z0-9_]+)(?:\.py)?\b")
_MEMBER = re.compile(r"`([a-z]\w*)\.([A-Za-z_]\w*)(?:\(\))?`")


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def prose(name: str) -> str:
    """A document's text; of code, the docstrings and comments."""
    text = (ROOT / name).read_text()
    if name.endswith(".md"):
        return text
    if name.endswith(".py"):
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
        nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, _DOCUMENTED))
        return "\n".join([*comments, *(ast.get_docstring(node) or "" for node in nodes)])
    return "\n".join(re.findall(r"#.*|\"\"\"(?s:.*?)\"\"\"", text))


def stale(text: str) -> Iterator[str]:
    """What a text names that does not exist."""
    for path in _PATH.findall(text):
        known = (ROOT / path).exists() or any(name.startswith(path) for name in FILES)
        if not known and f"{path}.py" not in FILES and path not in WRITTEN:
            yield path
    for test in _TEST.findall(text):
        if not {test, f"{test}.py"} & NAMES and test not in TESTS:
            yield test
    for owner, member in _MEMBER.findall(text):
        if not _is_member(owner, member):
            yield f"{owner}.{member}"


def _is_member(owner: str, member: str) -> bool:
    """True as well where `owner` is none of the library's: a file's stem, or another library."""
    modules = [path for path in LIBRARY if path.stem == owner]
    if member in ENDINGS or member in (SETTINGS.get(owner) or {}):
        return True
    if any(path.parent.name == owner and path.stem == member for path in LIBRARY):
        return True
    if modules:
        return any(member in _words(path) for path in modules)
    return owner not in PACKAGES


@cache
def _words(path: Path) -> set[str]:
    return set(re.findall(r"\w+", path.read_text()))


def test_what_is_named_exists():
    found = {name: list(stale(prose(name))) for name in TEXTS}
    assert {name: gone for name, gone in found.items() if gone} == {}
    assert len(found) > 500


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see docs/nowhere.md and docs/audit.md", ["docs/nowhere.md"]),
        ("`scripts/lib/png.py`", ["scripts/lib/png.py"]),
        ("`unit/test_nothing.py`, `test_a_killed_decoder`", ["test_nothing"]),
        ("`tables.read_rows` is not `tables.read_table`", ["tables.read_rows"]),
        ("`curation.planning` is not `curation.splits`", ["curation.planning"]),
        ("`package.formats` is a setting, `cv2.nothing` another's", []),
    ],
)
def test_what_is_gone_is_found(text, found):
    assert list(stale(text)) == found
