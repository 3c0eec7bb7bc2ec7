"""Print the settings file that a command on a set is to use, and say on standard error whose it is.

    python scripts/tools/last_settings.py [--work DIR] [--config FILE ...]

Prints what --config names (behind the set's own my.yaml); else the settings of the set's last run,
as recorded; else nothing. Exit status 2 for a file that cannot be read.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.common import settings
from ferrari.provenance import last_run


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="last_settings", description=__doc__.partition("\n")[0])
    parser.add_argument("--work", default=".", help="folder that the pipeline was started in")
    parser.add_argument("--config", nargs="*", default=[], help="settings files that go before")
    given = parser.parse_args(arguments)
    try:
        files, said = last_run.files_for(given.work, given.config)
        settings.load(*files)
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    if said:
        print(said, file=sys.stderr)
    for file in files:
        print(file.absolute())
    return 0


if __name__ == "__main__":
    sys.exit(main())
