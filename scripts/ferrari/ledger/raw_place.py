"""Where the raw clips of a set are: a folder, or the address of a bucket (`s3://...`).

Both are plain text. `pathlib` would turn an address into `s3:/...`, so paths are joined here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from ferrari.common.settings import SettingsError
from ferrari.ledger.stages import RAW
from ferrari.storage import buckets

#: Settings that name a folder which a run writes into.
_WRITTEN = ("dataset", "qc_reports", "audit", "cache")
_LOGS = "logs"


def of(config: Mapping, work: str | os.PathLike = "") -> str:
    """The place in the settings, for a set in the folder `work`."""
    place = config["raw_videos"] or os.path.join(config["dataset"], RAW)
    return place if buckets.is_address(place) else os.path.join(work, place)


def require_apart(config: Mapping, work: str | os.PathLike = "") -> None:
    """Raise SettingsError where the folder of raw clips holds a folder that runs write into: the
    next run would take films, images and logs of this one for clips.

    `work` is the folder that the set lies in. Links are followed; a bucket holds no folder of ours.
    """
    place = of(config, work)
    if buckets.is_address(place):
        return
    raw = os.path.realpath(place)
    written = [(name, os.path.join(work, config[name])) for name in _WRITTEN]
    for name, folder in (*written, (_LOGS, os.path.join(work, _LOGS))):
        own = os.path.realpath(folder)
        if os.path.commonpath((raw, own)) == raw:
            raise SettingsError(
                f"the folder of raw clips {raw} holds {own} ({name}), which runs write into: what "
                "they make would be taken for clips. Give the clips a folder of their own, and "
                "name that one (raw_videos), or begin the set in a folder beside the clips (WORK=)"
            )


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
