"""What a report found in images, cached for its next run, so that one new clip in a set of
thousands does not reopen the images of all the others.

A cached result is used if the report asks the same of the image (its row's digest included), its
files have the same size and modification time, and the report's code is the same. Images with a
fault are never cached: whoever repairs one wants to see it pass. That files hold the bytes of their
rows is for `make verify` to prove; it reads all of them each time.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

from ferrari.common.atomic_files import sha256_bytes, write_bytes
from ferrari.common.progress import LOGGER

_KEY = "key"
_place: tuple[Path, str] | None = None


def remember_in(folder: Path, report: str, maker: str) -> None:
    """From now on, this process caches in `folder` what the `report` finds; `maker` stands for its
    code and libraries.
    """
    global _place
    _place = folder / f"{report}.seen", maker


def forget() -> None:
    """From now on, this process caches nothing."""
    global _place
    _place = None


def key(root: Path, asked: object, files: Iterable[str]) -> str:
    """What stands for a look at an image: what was `asked` (its repr), and the state of its
    `files`, paths below `root`.
    """
    states = [_state(root / path) for path in files]
    maker = _place[1] if _place else ""
    return sha256_bytes(repr((maker, asked, states)).encode("utf-8", "surrogateescape"))[:24]


def through(
    what: str, keys: Callable[[], Sequence[str]], look: Callable[[Sequence[int] | None], list[dict]]
) -> list[dict]:
    """The results for images in order: those cached, and those of `look`, which gets the positions
    of the others, or None for all.

    `keys` has a `key` for each image; `what` names the question among those of the report.
    """
    if _place is None:
        return look(None)
    place, asked = _place[0].with_name(f"{_place[0].name}-{what}.parquet"), keys()
    known = _read(place)
    fresh = [at for at, one in enumerate(asked) if one not in known]
    LOGGER.info(
        "%s: %d of %d images opened, the others were seen before", what, len(fresh), len(asked)
    )
    answers = [known.get(one, {}) for one in asked]
    for at, answer in zip(fresh, look(fresh), strict=True):
        answers[at] = answer
    _keep(place, asked, answers)
    return answers


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _read(place: Path) -> dict[str, dict]:
    try:
        rows = pd.read_parquet(place).to_dict("records")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        LOGGER.warning("%s cannot be read (%s): all images are opened", place, error)
        return {}
    return {str(row.pop(_KEY)): {str(name): value for name, value in row.items()} for row in rows}


def _keep(place: Path, keys: Sequence[str], answers: Sequence[dict]) -> None:
    sound = {one: answer for one, answer in zip(keys, answers, strict=True) if _is_sound(answer)}
    if not sound:
        place.unlink(missing_ok=True)
        return
    table = pd.DataFrame([{_KEY: one, **answer} for one, answer in sound.items()])
    held = io.BytesIO()
    table.to_parquet(held, index=False)
    os.makedirs(place.parent, exist_ok=True)
    write_bytes(place, held.getvalue(), durable=False)


def _is_sound(answer: dict) -> bool:
    """True if nothing is wrong with an image, and the answer is small enough to be kept."""
    plain = all(value is None or isinstance(value, _PLAIN) for value in answer.values())
    return plain and answer.get("fault") == "" and bool(answer.get("sha_ok"))


_PLAIN = (bool, int, float, str, bytes)
