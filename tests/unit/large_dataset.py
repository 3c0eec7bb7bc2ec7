"""A dataset's tables without its pictures, as large as one likes, for tests that look rows up."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from ferrari.ledger.columns import COLUMNS
from ferrari.ledger.item_ids import crop_item, detection_item, frame_item, variant_item, video_id
from ferrari.ledger.stages import FINAL_CSV, FOLDERS
from ferrari.provenance import table_stamps

DIGEST = "0123456789abcdef" * 4
SETTINGS = {"settings": {"edge_px": 8}, "caption": {"template": "{token} {class}, {background}"}}
PACKAGES = ("imagefolder", "kohya")


def write_tables(dataset: Path, clips: int, frames: int, variants: int = 4) -> dict[str, str]:
    """Tables and stamps of clips with `frames` good frames and `variants` images of each.

    Each clip has one duplicate frame more. Returns the raw files' names by the clips' ids, sorted.
    """
    named = {video_id(f"clip {n:04d}.mp4"): f"clip {n:04d}.mp4" for n in range(clips)}
    named = dict(sorted(named.items()))
    for video, file in named.items():
        before: list[str] = []
        for stage, folder in FOLDERS.items():
            table = dataset / folder / f"{video}.csv"
            _write(dataset, table, stage, _rows(stage, video, file, frames, variants), before)
            before = [str(table)]
    rows = (row for video, file in named.items() for row in _rows("probe", video, file, 0, 0))
    _write(dataset, dataset / "videos.csv", "videos", rows, [])
    final = dataset / FINAL_CSV
    for table in (final, *(final.with_name(f"{name}.csv") for name in PACKAGES)):
        stage = "final" if table == final else "package"
        rows = (row for video in named for row in _rows(stage, video, "", frames, variants))
        _write(dataset, table, stage, rows, [])
    return named


def _write(dataset: Path, table: Path, stage: str, rows: Iterator[dict], inputs: list[str]) -> None:
    table.parent.mkdir(parents=True, exist_ok=True)
    with open(table, "w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS[stage], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    table_stamps.write(
        table=table, dataset=dataset, rule=stage, code="c0de", settings=SETTINGS, inputs=inputs
    )


def _rows(stage: str, video: str, file: str, frames: int, variants: int) -> Iterator[dict]:
    if stage == "probe":
        yield {"item": video, "parent": file, "outcome": "kept", "file": file, "bytes": 3}
        return
    width = {"sha256": DIGEST, "width": 480, "height": 640, "outcome": "kept"}
    for ordinal in range(frames):
        frame = frame_item(video, ordinal)
        crop = crop_item(frame, 0)
        if stage == "extract":
            path = f"{FOLDERS[stage]}/{video}/{frame}.webp"
            known = {"decoder": "pyav-cpu", "decoder_version": "av 18.1.0, libavcodec 62.28.102"}
            yield {"item": frame, "parent": video, "path": path, **known, **width}
        elif stage == "detect":
            yield {"item": detection_item(frame, 0), "parent": frame, "outcome": "kept"}
        elif stage in ("crop", "mask"):
            parent = detection_item(frame, 0) if stage == "crop" else crop
            columns = {key: width[key] for key in ("sha256", "outcome")}
            columns |= {"refined": 1, "foreground": 1} if stage == "mask" else {}
            path = f"{FOLDERS[stage]}/{video}/{crop}.png"
            yield {"item": crop, "parent": parent, "path": path, **columns}
        else:
            for number in range(variants):
                yield _image(stage, video, crop, variant_item(crop, number), width)
    if stage == "extract":
        yield {
            **{"item": frame_item(video, frames), "parent": video, "outcome": "dropped"},
            **{"reason": "DUPLICATE_FRAME", "value": 0.5, "threshold": 1.5},
        }


def _image(stage: str, video: str, crop: str, item: str, width: dict) -> dict:
    folder = FOLDERS["augment"]
    masks = {"mask_path": f"{folder}/{video}/mask/{item}.png", "mask_sha256": DIGEST}
    row = {"item": item, "parent": item, "path": f"{folder}/{video}/{item}.png", **masks, **width}
    if stage == "augment":
        return row | {"parent": crop, "kind": "flat", "seed": 242421110728702}
    row["caption"] = "sks person, full body, empty room with sand walls background"
    return row | ({"video": video} if stage == "final" else {})
