"""QC5: is each cut-out complete, as large as its crop, neither empty nor full, and free of its
scene and of other people?

Opens each cut-out and its crop. Under alpha 0 there must be no pixels of the crop: an image editor
or a loader that drops the alpha channel would reveal the scene. In the same pass silhouettes are
measured, by which flickering masks are found (see `mask_flicker`).
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from ferrari.ledger.stages import FOLDERS
from ferrari.qc import mask_flicker, other_people, reopened_images, stage_checks, stage_tables
from ferrari.reports import charts, thumbnails
from ferrari.reports.checks import WARN, Check, none_of
from ferrari.reports.page import Gallery, Report, ReportFiles, publish

NAME = "qc5_masks_summary"
FOLDER = FOLDERS["mask"]
SAMPLES = 12
FLICKERS = 8  # shown, each between its neighbours
MAX_SCENE_SHARE = 0.02  # of the hidden pixels; a leak shows nearly all, chance next to none
JUMP = 2.0  # a neighbour's subject is this many times larger or smaller
MAX_JUMP_RATIO = 0.25  # of a clip's neighbours
MIN_PAIRS = 4
_GRID = 48  # cells a side of the coarse mask in frame coordinates
_CROP = ("crop_x1", "crop_y1", "crop_x2", "crop_y2", "frame_width", "frame_height")


def report_masks(
    *,
    tables: Sequence[str],
    previous: Sequence[str],
    dataset: str,
    qc_settings: dict,
    mask_settings: dict,
    out: ReportFiles,
) -> None:
    """Write QC5 from the mask `tables` and the crop tables (`previous`)."""
    root = Path(dataset)
    rows, crops = stage_tables.load(tables, "mask"), stage_tables.load(previous, "crop")
    ids = stage_tables.videos_of(previous)
    kept = stage_tables.kept(rows)
    named = {"path": "crop_path", "sha256": "crop_sha256"}
    facts = crops.set_index("item")[[*named, *_CROP]].rename(columns=named)
    kept = kept.join(facts[~facts.index.duplicated()], on="parent")
    kept["crop_path"] = kept["crop_path"].fillna("")
    kept["cell_px"] = mask_flicker.cell_sizes(kept)
    kept["beside"] = pd.Series(other_people.beside(kept, crops), index=kept.index, dtype=object)
    columns = ("path", "sha256", "width", "height", "crop_path", "cell_px", "beside", *_CROP)
    seen = reopened_images.inspect(
        root, kept, columns, look, "cut-outs opened again", also=["crop_sha256"]
    )
    pairs = neighbours(kept, seen)
    found = mask_flicker.find(
        kept, seen.get("silhouette", pd.Series(dtype=object)), qc_settings["max_flicker"]
    )
    videos = per_clip(rows, pairs, found, ids)
    refused = stage_tables.refused(rows)
    crop_paths = stage_tables.paths_of(crops, refused["parent"])
    publish(
        Report(
            name=NAME,
            checks=[
                *stage_checks.folder_checks(root, FOLDER, stage_tables.with_files(rows), ids),
                *reopened_images.readable_checks("cutouts", kept, seen),
                *cutout_checks(kept, seen, mask_settings),
                other_people.check(kept, seen),
                *stability_checks(videos),
                flicker_check(found, qc_settings["max_flicker"]),
                *stage_checks.ledger_checks("mask", rows, crops),
            ],
            counts=stage_tables.counts(rows, ids, "Cut-outs kept"),
            videos=videos,
            charts=pictures(rows, pairs, videos, mask_settings),
            refused=thumbnails.of_rows(dataset, refused, qc_settings["thumbnails"], crop_paths),
            refused_total=len(refused),
            refused_hint="The picture is the crop, or what was made of it.",
            galleries=[
                other_people.gallery(root, kept, seen),
                flicker_gallery(root, kept, found),
            ],
            samples=thumbnails.of_rows(dataset, kept.assign(reason=""), SAMPLES),
        ),
        out,
    )


def look(dataset: Path, cells: tuple) -> dict:
    """Open one cut-out and its crop: fault, sha_ok, mode and size, alpha's range, scene share.

    `grid` is the subject in the frame's coordinates, packed bits of _GRID x _GRID cells;
    `silhouette` the subject around its centroid; `other_px` and `other_share` are others' pixels.
    """
    path, sha256, width, height, crop_path, cell_px, beside, *box = cells
    opened = reopened_images.reopen(dataset, path)
    seen = {
        "fault": opened.fault,
        "sha_ok": opened.sha256 == sha256,
        "rgba": opened.mode == "RGBA",
        "size_ok": opened.size == (width, height),
        "crop_size_ok": False,
        "plain_alpha": False,
        "scene_share": np.nan,
        "grid": b"",
        "silhouette": b"",
        "other_px": 0,
        "other_share": 0.0,
    }
    if opened.mode != "RGBA":
        return seen
    alpha_u8 = opened.pixels[:, :, 3]
    seen["plain_alpha"] = int(alpha_u8.max()) == 0 or int(alpha_u8.min()) == 255
    seen["grid"] = frame_grid(alpha_u8, box)
    seen["other_px"], seen["other_share"] = other_people.pixels(alpha_u8, beside)
    seen["silhouette"] = mask_flicker.silhouette(alpha_u8, cell_px)
    crop = reopened_images.reopen(dataset, crop_path)
    if crop.mode == "RGB":
        seen["crop_size_ok"] = crop.size == opened.size
    if seen["crop_size_ok"]:
        hidden = alpha_u8 == 0
        seen["scene_share"] = reopened_images.scene_share(
            opened.pixels[:, :, :3], crop.pixels, hidden
        )
    return seen


def frame_grid(alpha_u8: np.ndarray, box: Sequence[float]) -> bytes:
    """The subject (alpha over half) in a coarse grid over the frame, as packed bits.

    `box` is the crop's x1, y1, x2, y2 and the frame's width and height, px; b'' if unknown.
    """
    if not np.isfinite(box).all() or box[4] <= 0 or box[5] <= 0:
        return b""
    left, top, right, bottom, frame_width, frame_height = box
    to_grid = np.array([_GRID / frame_width, _GRID / frame_height] * 2)
    x1, y1, x2, y2 = np.array([left, top, right, bottom]) * to_grid
    x1, y1 = np.clip([int(x1), int(y1)], 0, _GRID - 1)
    x2, y2 = np.clip([int(np.ceil(x2)), int(np.ceil(y2))], [x1 + 1, y1 + 1], _GRID)
    small = cv2.resize(alpha_u8, (int(x2 - x1), int(y2 - y1)), interpolation=cv2.INTER_AREA)
    grid = np.zeros((_GRID, _GRID), bool)
    grid[y1:y2, x1:x2] = small > 127
    return np.packbits(grid).tobytes()


def neighbours(kept: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """Columns video, item, iou, growth: each cut-out against the one before it in its clip.

    With several subjects a frame, the n-th cut-out is held against the n-th of the frame before.
    `growth` is the ratio of the larger to the smaller area. Areas are counted on the coarse grid.
    """
    if not len(kept):
        return pd.DataFrame({"video": [], "item": [], "iou": [], "growth": []})
    bits = np.zeros((len(kept), _GRID * _GRID // 8), np.uint8)
    known = seen["grid"].map(len).to_numpy() > 0
    if known.any():
        bits[known] = np.frombuffer(b"".join(seen["grid"][known]), np.uint8).reshape(
            int(known.sum()), -1
        )
    clip = pd.factorize(kept["video"], sort=True)[0]
    frame = pd.factorize(kept["item"].str.replace(r"-p\d+$", "", regex=True), sort=True)[0]
    nth = pd.Series(frame).groupby(frame).cumcount().to_numpy()
    order = np.lexsort((frame, nth, clip))
    before, after = order[:-1], order[1:]
    same = (clip[before] == clip[after]) & (nth[before] == nth[after])
    same &= known[before] & known[after]
    before, after = before[same], after[same]
    area = np.bitwise_count(bits).sum(axis=1)
    both = np.bitwise_count(bits[before] & bits[after]).sum(axis=1)
    either = np.bitwise_count(bits[before] | bits[after]).sum(axis=1)
    small, large = np.minimum(area[before], area[after]), np.maximum(area[before], area[after])
    return pd.DataFrame(
        {
            "video": kept["video"].to_numpy()[after],
            "item": kept["item"].to_numpy()[after],
            "iou": np.where(either > 0, both / np.maximum(either, 1), np.nan),
            "growth": large / np.maximum(small, 1),
        }
    )


def per_clip(
    rows: pd.DataFrame, pairs: pd.DataFrame, found: pd.DataFrame, ids: Sequence[str]
) -> pd.DataFrame:
    """Counts, median subject share, and how steady the masks are, for each clip."""
    table = stage_tables.per_video(rows, ids).set_index("video")
    table["median_subject_fraction"] = (
        stage_tables.kept(rows).groupby("video")["subject_fraction"].median()
    )
    by_video = pairs.groupby("video")
    table["neighbours"] = by_video.size().reindex(ids, fill_value=0).astype(int)
    table["median_neighbour_iou"] = by_video["iou"].median()
    jumps = pairs["growth"].gt(JUMP).groupby(pairs["video"]).mean()
    table["jump_ratio"] = jumps
    for name, figures in mask_flicker.per_clip(found).items():
        table[name] = figures
    table["flickers"] = table["flickers"].fillna(0).astype(int)
    table["segmenter"] = rows[rows["segmenter"] != ""].groupby("video")["segmenter"].first()
    table["segmenter"] = table["segmenter"].fillna("")
    return table.rename_axis("video").reset_index()


def cutout_checks(kept: pd.DataFrame, seen: pd.DataFrame, mask_settings: dict) -> list[Check]:
    """Mode, size, alpha, share of subject, and no scene under alpha 0."""
    items, total = kept["item"], len(kept)
    low, high = mask_settings["min_subject"], mask_settings["max_subject"]
    share = seen["scene_share"] if total else pd.Series(dtype=float)
    shows = (share > MAX_SCENE_SHARE).to_numpy(dtype=bool)
    return [
        none_of(
            "cutouts_rgba",
            items[~reopened_images.flags(seen, "rgba")],
            total,
            "Each cut-out is RGBA, eight bits a channel.",
        ),
        none_of(
            "cutout_sizes_equal_crops",
            items[
                ~(
                    reopened_images.flags(seen, "crop_size_ok")
                    & reopened_images.flags(seen, "size_ok")
                )
            ],
            total,
            "Each cut-out is as large as the crop it was made from, and as its row says.",
        ),
        none_of(
            "alpha_has_both_ends",
            items[reopened_images.flags(seen, "plain_alpha")],
            total,
            "No cut-out is fully transparent, and none is fully opaque.",
        ),
        none_of(
            "subject_share_within_bounds",
            items[~kept["subject_fraction"].between(low, high)],
            total,
            "The subject's share of each kept crop lies within mask.min_subject and max_subject.",
            bound=f"{low:g} to {high:g}",
        ),
        none_of(
            "no_scene_under_alpha",
            items[shows],
            total,
            "Cut-outs whose transparent pixels still hold the crop's own texture.",
            bound=f"at most {MAX_SCENE_SHARE:.0%} of the transparent pixels",
            figure=f"highest {share.max():.2%}" if share.notna().any() else "no cut-out",
        ),
    ]


def stability_checks(videos: pd.DataFrame) -> list[Check]:
    """Masks whose size jumps from frame to frame."""
    judged = videos[videos["neighbours"] >= MIN_PAIRS]
    highest = judged["jump_ratio"].max()
    return [
        none_of(
            "masks_steady_along_clips",
            judged["video"][judged["jump_ratio"] > MAX_JUMP_RATIO],
            len(judged),
            f"Clips in which the subject's area often changes more than {JUMP:g} times from one "
            "cut-out to the next: the segmenter may lose the subject in some frames.",
            otherwise=WARN,
            bound=f"at most {MAX_JUMP_RATIO:.0%} of a clip's neighbours",
            figure=f"highest {highest:.1%}" if highest == highest else "no clip is long enough",
        )
    ]


def flicker_check(found: pd.DataFrame, max_flicker: float) -> Check:
    """Cut-outs that lack for one frame what their neighbours have."""
    worst = found["flicker"].max()
    flagged = found[found["flagged"]].sort_values("flicker", ascending=False, kind="stable")
    return none_of(
        "masks_do_not_flicker",
        flagged["item"],
        len(found),
        "Cut-outs that lack something that both the cut-out before and the one after have, or have "
        "something that both lack; the three are compared with their centroids on one spot. In a "
        "clip with much motion the bound is higher (the clip's median and six robust standard "
        "deviations), but at most three times qc.max_flicker.",
        otherwise=WARN,
        bound=f"at most {max_flicker:.0%} of the overlap",
        figure=f"{len(flagged):,} of {len(found):,}; largest {max(worst, 0):.1%}"
        if worst == worst
        else "no clip has three cut-outs in a row",
    )


def flicker_gallery(root: Path, kept: pd.DataFrame, found: pd.DataFrame) -> Gallery:
    """The worst flickers, each between the cut-outs before and after it."""
    flagged = found[found["flagged"]].sort_values("flicker", ascending=False, kind="stable")
    worst = flagged.head(FLICKERS)
    paths = stage_tables.paths_of(kept, worst[["before", "item", "after"]].to_numpy().ravel())
    shown = []
    for line in worst.itertuples():
        change = f"{line.flicker:.1%} (bound {line.threshold:.1%}), area x {line.area_ratio:.2f}"
        beside = other_people.circumstances(kept, [line.before, line.item, line.after])
        change = "; ".join(filter(None, (change, beside)))
        for item, what, detail in (
            (line.before, "before", ""),
            (line.item, "FLICKER", change),
            (line.after, "after", ""),
        ):
            picture = thumbnails.data_uri(root / paths[item])
            shown.append(thumbnails.Thumb(item, what, detail=detail, uri=picture))
    note = (
        f"{len(worst)} of {len(flagged):,}, worst first, each between its neighbours. "
        "Look for an arm or a head that comes and goes; a quick gesture may look the same."
    )
    return Gallery("Flicker", note if len(flagged) else "No cut-out flickers.", shown)


def pictures(
    rows: pd.DataFrame, pairs: pd.DataFrame, videos: pd.DataFrame, mask_settings: dict
) -> list[charts.Chart]:
    """Outcomes, subject's share, soft edge, steadiness, clips."""
    kept = stage_tables.kept(rows)
    return [
        charts.bars(stage_tables.reasons(rows), "Outcomes", note="Kept, or why not."),
        charts.histogram(
            rows["subject_fraction"],
            "Subject's share of the crop",
            "share; refused crops included",
            bounds=[mask_settings["min_subject"], mask_settings["max_subject"]],
            limits=(0, 1),
            count_title="crops",
        ),
        charts.histogram(
            kept["edge_fraction"],
            "Soft edge",
            "share of half-transparent pixels",
            count_title="cut-outs",
        ),
        charts.histogram(
            pairs["iou"],
            "Overlap with the cut-out before",
            "IoU in the frame, coarse",
            limits=(0, 1),
            count_title="neighbours",
            note="Low where the subject moves fast.",
        ),
        charts.histogram(
            pairs["growth"].clip(upper=6),
            "Change of area",
            "times larger or smaller, 6 and more in one",
            bounds=[JUMP],
            limits=(1, 6),
            count_title="neighbours",
        ),
        charts.clips(videos, "crops"),
    ]


def run(job) -> None:
    """The job of the report (see `make_report`)."""
    report_masks(
        tables=job.input.tables,
        previous=job.params.previous,
        dataset=job.config["dataset"],
        qc_settings=job.params.qc_settings,
        mask_settings=job.params.mask_settings,
        out=ReportFiles.of(job.output),
    )
