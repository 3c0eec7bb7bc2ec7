"""A server in a process of its own, which a test kills: `python -m tests.unit.dashboard.server`."""

from __future__ import annotations

import sys
from pathlib import Path

from ferrari.dashboard import serve
from ferrari.dashboard.application import Doors, create_app
from tests.unit.dashboard.served import TOKEN, set_in


def main(work: Path) -> None:
    """Serve the set in `work` on a free port, which is printed, and then that it ended."""
    listener = serve.listen("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    serve.run(create_app(set_in(work), TOKEN, Doors()), listener)
    print("ended", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
