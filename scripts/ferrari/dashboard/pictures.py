"""Pictures of the dataset, by kind and id.

A client never names a path. The id is parsed by the grammar of ids, which leads to one clip's table
of one stage; the row of that id names the file. A file that no table names cannot be requested.
"""

from __future__ import annotations

import functools
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, Response

from ferrari.images import image_files
from ferrari.ledger import stages, tables
from ferrari.ledger.item_ids import Item, parse

#: The stage whose table knows a picture, and the kind of the item, by the kind of the picture.
_STAGES = {
    "frame": ("extract", "frame"),
    "crop": ("crop", "crop"),
    "cutout": ("mask", "crop"),
    "image": ("augment", "image"),
}
MASK = "mask"
TYPES = {".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
_CLIPS_KEPT = 64  # whose paths are kept in memory: who looks at a clip asks for all its pictures

router = APIRouter()


@router.get("/picture/{kind}/{name}")
def picture(request: Request, kind: str, name: str) -> Response:
    """The picture of an item: a frame, a crop, a cut-out or an image as they lie in the dataset.

    `mask` is the alpha, as a grey PNG of 8 bits: of an image the file beside it, of a crop that of
    its cut-out.
    """
    dataset = request.app.state.set.dataset
    if kind == MASK:
        return mask_of(dataset, name)
    path = find(dataset, kind, name)
    if path is None:
        raise HTTPException(404, f"there is no {kind} of this id")
    return FileResponse(path, media_type=TYPES[path.suffix.lower()])


def find(dataset: Path, kind: str, name: str) -> Path | None:
    """The file of a picture; None where no table has it, or the file is gone."""
    stage, wanted = _STAGES.get(kind, ("", ""))
    item = parse(name)
    if item is None or item.kind != wanted:
        return None
    return _file(dataset, stage, item, "path")


def mask_of(dataset: Path, name: str) -> Response:
    """The alpha of a crop or an image as a grey PNG; raises 404 where there is none."""
    item = parse(name)
    if item is not None and item.kind == "image":
        path = _file(dataset, "augment", item, "mask_path")
        if path:
            return FileResponse(path, media_type=TYPES[path.suffix.lower()])
    cutout = find(dataset, "cutout", name)
    if cutout is None:
        raise HTTPException(404, "there is no mask of this id")
    try:
        rgba = image_files.read(cutout)
    except image_files.ImageReadError as error:
        raise HTTPException(404, f"the cut-out cannot be read: {error}") from error
    if rgba.ndim != 3 or rgba.shape[2] != 4:
        raise HTTPException(404, "the cut-out has no alpha")
    return Response(image_files.encode_png(rgba[..., 3]), media_type=TYPES[".png"])


def _file(dataset: Path, stage: str, item: Item, column: str) -> Path | None:
    table = dataset / stages.table(stage, item.video)
    try:
        state = table.stat()
    except OSError:
        return None
    listed = _listed(table, (state.st_mtime_ns, state.st_size), column).get(item.id, "")
    path = (dataset / listed).resolve()
    below = path.is_relative_to(dataset.resolve())  # a table from elsewhere may say anything
    if not listed or not below or path.suffix.lower() not in TYPES or not path.is_file():
        return None
    return path


@functools.lru_cache(maxsize=_CLIPS_KEPT)
def _listed(table: Path, state: tuple[int, int], column: str) -> dict[str, str]:
    """The files that a clip's table names in a column, by item; `state` is when it was so."""
    del state
    return {row["item"]: row[column] for row in tables.iter_table(table) if row.get(column)}
