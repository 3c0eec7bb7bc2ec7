"""Where a setting is written (file and line), for messages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml


class _Document(NamedTuple):
    file: str
    node: yaml.Node
    said: object


class Places:
    """Looks up settings in settings files, of which each overrides those before it."""

    def __init__(self, files: Sequence[str | os.PathLike]) -> None:
        self._documents = [found for file in files if (found := _read(file))]

    def of(self, path: Sequence[object], value: object) -> str:
        """'my.yaml, line 3', where the setting at `path` (keys and list positions) has the value;
        "" if no file sets it, but the command line does.
        """
        for document in reversed(self._documents):
            line, said = _look(document.node, document.said, path)
            if line:
                return f"{document.file}, line {line}" if said == value else ""
        return ""


def _read(file: str | os.PathLike) -> _Document | None:
    try:
        text = Path(file).read_bytes().decode("utf-8-sig")
        node = yaml.compose(text)
        return _Document(os.fspath(file), node, yaml.safe_load(text)) if node else None
    except (OSError, ValueError, yaml.YAMLError):  # reading the settings reports it
        return None


def _look(node: yaml.Node, said: object, path: Sequence[object]) -> tuple[int, object]:
    """The line where `path` is written below a node, from 1, and the value there; line 0 where it
    is not written. `said` is what the node says.
    """
    line = 0
    for part in path:
        if isinstance(node, yaml.MappingNode) and isinstance(said, dict):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found or part not in said:
                return 0, None
            key, node = found[-1]
            line, said = key.start_mark.line + 1, said[part]
        elif isinstance(node, yaml.SequenceNode) and isinstance(said, list):
            if not isinstance(part, int) or part >= len(node.value):
                return 0, None
            node = node.value[part]
            line, said = node.start_mark.line + 1, said[part]
        else:
            return 0, None
    return line, said
