"""`python -m tests.conformance.loaders NAME PACKAGE [CHECKOUT]`, in .venv-trainers.

Reads a package through a trainer's own code and prints what that hands to the training, one JSON
line an image, as handed.Handed.record says.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.conformance import buckets, diffusion, hub, simpletuner


def main(name: str, folder: str, checkout: str = "") -> None:
    """Print what the loader of that name hands out."""
    out = os.dup(1)  # trainers print as they load
    os.dup2(2, 1)
    modules = diffusion, buckets, simpletuner, hub
    load = next(getattr(module, name) for module in modules if hasattr(module, name))
    lines = [json.dumps(handed.record()) for handed in load(Path(folder), Path(checkout))]
    os.write(out, ("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
