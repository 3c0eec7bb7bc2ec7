"""Images of a stage opened again from the disk, in a pool of threads.

OpenCV, Pillow and hashlib release Python's global lock. Only a few images are in memory at once,
however many there are.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from ferrari.common.atomic_files import sha256_bytes
from ferrari.common.progress import Progress
from ferrari.images import image_files
from ferrari.qc import seen_before
from ferrari.reports.checks import Check, none_of

Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Opened:
    """An image file opened again: `pixels` is None and `fault` says why where it could not be."""

    pixels: np.ndarray | None
    sha256: str
    fault: str

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels; (0, 0) if unreadable."""
        return (0, 0) if self.pixels is None else (self.pixels.shape[1], self.pixels.shape[0])

    @property
    def mode(self) -> str:
        """'L', 'RGB', 'RGBA', or '' if unreadable."""
        if self.pixels is None:
            return ""
        return {2: "L"}.get(self.pixels.ndim) or {3: "RGB", 4: "RGBA"}[self.pixels.shape[2]]


def reopen(dataset: Path, path: str) -> Opened:
    """Read and decode `path` (relative to the dataset); a file with a fault raises nothing."""
    try:
        data = (Path(dataset) / path).read_bytes()
    except OSError as error:
        return Opened(None, "", f"cannot be read: {error.strerror}")
    digest = sha256_bytes(data)
    try:
        return Opened(image_files.decode(data, name=path), digest, "")
    except image_files.ImageReadError as error:
        return Opened(None, digest, str(error))


def in_threads(
    work: Callable[[Item], Found],
    items: Iterable[Item],
    what: str,
    total: int | None = None,
    workers: int | None = None,
) -> Iterator[Found]:
    """`map(work, items)` on all cores, in order, with a bounded number of items under way."""
    workers = workers or len(os.sched_getaffinity(0))
    progress = Progress(what, total)
    under_way: deque = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) >= 4 * workers:
                yield under_way.popleft().result()
                progress.step()
        while under_way:
            yield under_way.popleft().result()
            progress.step()


def inspect(
    dataset: Path,
    rows: pd.DataFrame,
    columns: Sequence[str],
    look: Callable[[Path, tuple], dict],
    what: str,
    also: Sequence[str] = (),
) -> pd.DataFrame:
    """`look(dataset, cells)` for each row's `columns`, in threads; the answers as a frame.

    What was seen before is not opened again (`seen_before`): a look depends on the cells of
    `columns` and `also` (digests of files that `columns` name by their path alone).
    The frame has the index of `rows`, so that the two can be put side by side.
    """
    cells = list(rows[list(columns)].itertuples(index=False, name=None))

    def keys() -> list[str]:
        more = rows[list(also)].itertuples(index=False, name=None)
        paths = [n for n, name in enumerate(columns) if name.endswith("path")]
        return [
            seen_before.key(dataset, (one, besides), [one[n] for n in paths if one[n]])
            for one, besides in zip(cells, more if also else [()] * len(cells), strict=True)
        ]

    def opened(fresh: Sequence[int] | None) -> list[dict]:
        some = cells if fresh is None else [cells[at] for at in fresh]
        return list(in_threads(lambda one: look(dataset, one), some, what, total=len(some)))

    found = seen_before.through(what.replace(" ", "-"), keys, opened)
    if not found:
        return pd.DataFrame({"fault": pd.Series(dtype="str"), "sha_ok": pd.Series(dtype=bool)})
    return pd.DataFrame(found, index=rows.index)


def readable_checks(what: str, rows: pd.DataFrame, seen: pd.DataFrame) -> list[Check]:
    """Every file decodes, and has exactly the bytes of its row (`seen`: fault, sha_ok)."""
    broken = rows["item"][(seen["fault"] != "").to_numpy(dtype=bool)]
    changed = rows["item"][(~seen["sha_ok"].astype(bool)).to_numpy(dtype=bool)]
    return [
        none_of(
            f"{what}_readable",
            broken,
            len(rows),
            "Each file was opened again from the disk and decodes to its last pixel.",
        ),
        none_of(
            f"{what}_unchanged",
            changed,
            len(rows),
            "The SHA-256 of each file on the disk is the one in its row.",
        ),
    ]


def scene_share(picture_rgb: np.ndarray, scene_rgb: np.ndarray, where: np.ndarray) -> float:
    """Share of the pixels `where` (HxW bool) at which a picture still shows the scene.

    A pixel counts if it equals the scene's exactly and differs from its left neighbour: where a
    flat or black fill happens to equal a flat or black scene, nothing of the scene is shown.
    """
    total = int(where.sum())
    if not total:
        return 0.0
    same = (picture_rgb == scene_rgb).all(axis=2)
    textured = np.zeros(where.shape, bool)
    textured[:, 1:] = (picture_rgb[:, 1:] != picture_rgb[:, :-1]).any(axis=2)
    return float((same & textured & where).sum() / total)


def flags(seen: pd.DataFrame, name: str) -> np.ndarray:
    """A column of `inspect`'s answers as booleans; empty where nothing was inspected."""
    return seen[name].to_numpy(dtype=bool) if name in seen else np.zeros(len(seen), bool)
