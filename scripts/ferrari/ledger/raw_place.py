"""Where the raw clips of a set are: a folder, or the address of a bucket (`s3://...`).

Both are plain text. `pathlib` would turn an address into `s3:/...`, so paths are joined here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from ferrari.ledger.stages import RAW
from ferrari.storage import buckets


def of(config: Mapping, work: str | os.PathLike = "") -> str:
    """The place in the settings, for a set in the folder `work`."""
    place = config["raw_videos"] or os.path.join(config["dataset"], RAW)
    return place if buckets.is_address(place) else os.path.join(work, place)


def is_there(place: str | os.PathLike) -> bool:
    """True for a folder. True for any address: listing it shows whether it exists.

    Raises OSError for a path that exists but cannot be examined, such as a disconnected mount.
    """
    if buckets.is_address(place):
        return True
    try:
        return stat.S_ISDIR(os.stat(place).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def join(place: str | os.PathLike, file: str) -> str:
    """The path or address of a raw file, from its path below the place."""
    if buckets.is_address(place):
        return f"{os.fspath(place).rstrip('/')}/{file}"
    return os.path.join(place, file)
