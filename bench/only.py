"""The option `--only` of the commands here: which parts of what they do."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence


def some_of(names: Sequence[str]) -> Callable[[str], list[str]]:
    """A `type` for an argument that takes some of `names`, with commas between; in their order."""

    def chosen(text: str) -> list[str]:
        asked = {name.strip() for name in text.split(",")} - {""}
        if not asked or asked - set(names):
            raise argparse.ArgumentTypeError(f"takes some of {','.join(names)}")
        return [name for name in names if name in asked]

    return chosen
