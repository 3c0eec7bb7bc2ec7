"""Vega, Vega-Lite and Vega-Embed as one script, which is part of each page with charts.

Bundling takes two seconds and always gives the same script, so reports cache it (`keep_in`).
"""

from __future__ import annotations

import fcntl
import functools
from importlib import metadata
from pathlib import Path

from markupsafe import Markup

from ferrari.common.atomic_files import sha256_bytes, write_bytes
from ferrari.common.progress import LOGGER

_folder: Path | None = None


def keep_in(folder: Path) -> None:
    """From now on, this process takes the script from `folder`, and puts it there."""
    global _folder
    _folder = folder


def in_page() -> Markup:
    """The script as it may stand in a page: nothing in it ends the element or begins a comment."""
    return Markup(bundle().replace("</script", "<\\/script").replace("<!--", "<\\!--"))


@functools.cache
def bundle() -> str:
    """The script, of the version that altair writes for."""
    import altair

    version = ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    if _folder is None:
        return _made(version)
    place = _folder / f"vega-{version}-{metadata.version('vl-convert-python')}.js"
    try:
        return _kept(place, version)
    except OSError as error:
        LOGGER.info("the script of the charts is not kept (%s): each report makes it", error)
        return _made(version)


def _kept(place: Path, version: str) -> str:
    """The script in the file at `place`, behind a line with its digest; made if it is not that."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.with_suffix(".lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first of several reports makes it
        digest, _, script = (place.read_bytes() if place.exists() else b"").partition(b"\n")
        if digest.decode("ascii", "replace") != sha256_bytes(script):
            script = _made(version).encode()
            write_bytes(place, sha256_bytes(script).encode() + b"\n" + script)
    return script.decode()


def _made(version: str) -> str:
    import vl_convert

    # The stub gives `snippet` no default, as the function has
    return vl_convert.javascript_bundle(vl_version=version)  # type: ignore[call-arg]
