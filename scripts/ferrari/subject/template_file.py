"""The subject as a file: `<dataset>/subject/who.npz`, the template that all clips share.

It holds embeddings, as the sightings do, and stays beside them.
"""

from __future__ import annotations

import os

import numpy as np

from ferrari.common.atomic_files import write_bytes
from ferrari.subject.sightings_file import packed, unpacked_file
from ferrari.subject.templates import Template


def write(path: str | os.PathLike, template: Template | None, dimensions: int = 0) -> None:
    """Write the template, or that nobody was named (None)."""
    nobody = np.zeros((0, dimensions), np.float32)
    known = template or Template(nobody, nobody)
    arrays = {
        "named": np.array(template is not None),
        "members": known.members.astype(np.float64),
        "negatives": known.negatives.astype(np.float64),
        "alone": np.array(known.alone),
    }
    write_bytes(path, packed(arrays))


def read(path: str | os.PathLike) -> Template | None:
    """The template, None where nobody was named; LedgerError for what is no such file."""
    arrays = unpacked_file(path, ("named", "members", "negatives", "alone"))
    if not arrays["named"]:
        return None
    return Template(arrays["members"], arrays["negatives"], bool(arrays["alone"]))
