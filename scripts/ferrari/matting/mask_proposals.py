"""Masks that are proposed to a person who mends one: by another segmenter, and along the track.

Nothing here decides anything: a proposal becomes a mask when somebody accepts it, one by one
(`review.mended.save` and a row `mask`).

Along the track: what the person changed in one crop is carried to the crops before and after it,
as long as the person's box and the alpha are nearly the same there. Where the network made
something else of the neighbour, the same change may be wrong, so the walk ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ferrari.common.errors import FerrariError
from ferrari.images import boxes, image_files, mask_files
from ferrari.ledger import stages, tables
from ferrari.ledger.columns import KEPT
from ferrari.ledger.item_ids import clip_of
from ferrari.matting import cutouts, person_gate
from ferrari.matting.crop_rows import WINDOW, box_of, people_in, with_others
from ferrari.networks import weight_files
from ferrari.networks.on_device import OnDevice
from ferrari.processes.failures import Failure
from ferrari.processes.isolated_model import Isolated
from ferrari.processes.model_verdicts import Limits
from ferrari.review import mended
from ferrari.review.mended import MendedMask, crop_row

#: IoU of two boxes in the frame from which the person has hardly moved, and of two alphas, the one
#: laid on the other, from which the network has made the same of both.
SAME_BOX, SAME_ALPHA = 0.7, 0.9
#: Crops on either side, at most.
REACH = 15
#: Levels of 255 by which a mask and the alpha before it differ where a person changed something.
_CHANGED = 64
#: Room around what was changed, in shares of the crop's size (the root of its area): a neighbour's
#: edge lies a pixel or two elsewhere, and would be left as a thin line.
_ROOM = 0.01


class ProposalError(FerrariError, ValueError):
    """No mask can be proposed; says why."""


@dataclass(frozen=True)
class Proposal:
    """A mask for a neighbour of a crop that was mended: `alpha_u8` is HxW uint8, of its own size.

    `box_iou` and `alpha_iou` say how alike it is to its neighbour on the way, `changed_px` how many
    of its pixels would change.
    """

    crop: str
    alpha_u8: np.ndarray
    box_iou: float
    alpha_iou: float
    changed_px: int


def accepted(dataset: str | os.PathLike, crop: str, mask: bytes | np.ndarray) -> MendedMask:
    """Save a mask that somebody drew (a PNG that shows grey alone) or accepted (HxW uint8), for a
    row `mask` to name.

    Raises ImageReadError for what is no grey picture, MendedMaskError for one that does not fit.
    """
    png = mask_files.grey_png(mask) if isinstance(mask, bytes) else image_files.encode_png(mask)
    return mended.save(dataset, crop, png)


# --- along the track ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cut:
    """A cut-out's crop, the person's box and the crop's window in the frame, and its alpha."""

    crop: str
    box: boxes.Box
    window: boxes.Box
    alpha_u8: np.ndarray


def along_track(dataset: str | os.PathLike, crop: str, mask_u8: np.ndarray) -> list[Proposal]:
    """Proposals for the cut-outs of one track around a crop's, nearest first, from the mask (HxW
    uint8) that a person drew on that crop's pixels.

    What was changed is what differs from the cut-out's alpha as it is on the disk: ask before the
    run that applies the mask. Raises ProposalError for a crop without a cut-out, and for a mask of
    another size.
    """
    rows = _track_of(dataset, crop)
    places = [row["item"] for row in rows]
    if crop not in places:
        raise ProposalError(f"{crop} has no cut-out that is kept: its track is not known")
    at = places.index(crop)
    start = _cut(dataset, rows[at])
    if mask_u8.shape != start.alpha_u8.shape:
        raise ProposalError(
            f"the mask's shape is {mask_u8.shape}, the crop's {start.alpha_u8.shape}"
        )
    after = list(_walk(dataset, start, mask_u8, rows[at + 1 : at + 1 + REACH]))
    before = list(_walk(dataset, start, mask_u8, rows[max(0, at - REACH) : at][::-1]))
    ranked = sorted([*enumerate(after), *enumerate(before)], key=lambda pair: pair[0])
    return [proposal for _, proposal in ranked]


def _track_of(dataset: str | os.PathLike, crop: str) -> list[dict[str, str]]:
    """The rows of the crops of its track that have a cut-out, in the order of the clip; each with
    the cut-out's `path` and `sha256`. Where nobody is told from anybody, the tracks of detections.
    """
    video, root = clip_of(crop), Path(dataset)
    crops = list(_rows(root, "crop", video))
    linked = {row["item"]: row["track"] for row in _rows(root, "detect", video)}
    tracks = {row["item"]: row["track"] or linked.get(row["parent"], "") for row in crops}
    cutouts_of = {row["item"]: row for row in _rows(root, "mask", video) if row["outcome"] == KEPT}
    files = ("path", "sha256")
    return [
        {**row, **{name: cutouts_of[row["item"]][name] for name in files}}
        for row in crops
        if row["item"] in cutouts_of and tracks[row["item"]] == tracks.get(crop)
    ]


def _rows(root: Path, stage: str, video: str) -> Iterable[dict[str, str]]:
    table = root / stages.table(stage, video)
    return tables.iter_if_there(table)


def _cut(dataset: str | os.PathLike, row: Mapping[str, str]) -> _Cut:
    path = Path(dataset) / row["path"]
    pixels = image_files.read_verified(path, row["sha256"], row["path"])
    return _Cut(row["item"], box_of(row), box_of(row, WINDOW), pixels[..., 3])


def _walk(
    dataset: str | os.PathLike, start: _Cut, mask_u8: np.ndarray, rows: Iterable[Mapping[str, str]]
) -> Iterator[Proposal]:
    """Proposals from crop to crop, up to the first that is not like the one before."""
    last, mask = start, mask_u8
    for row in rows:
        here = _cut(dataset, row)
        box_iou = boxes.overlap(last.box, here.box)
        moved_alpha = _laid(last.alpha_u8, last, here)
        alpha_iou = person_gate.iou(moved_alpha >= 128, here.alpha_u8 >= 128)
        if box_iou < SAME_BOX or alpha_iou < SAME_ALPHA:
            return
        changed = np.abs(mask.astype(np.int16) - last.alpha_u8) >= _CHANGED
        where = _laid(_grown(changed), last, here) >= 128
        proposed = np.where(where, _laid(mask, last, here), here.alpha_u8)
        pixels = int((np.abs(proposed.astype(np.int16) - here.alpha_u8) >= _CHANGED).sum())
        if not pixels:
            return
        yield Proposal(here.crop, proposed, round(box_iou, 4), round(alpha_iou, 4), pixels)
        last, mask = here, proposed


def _laid(picture_u8: np.ndarray, one: _Cut, other: _Cut) -> np.ndarray:
    """A picture of one crop's pixels (HxW uint8) on the pixels of another, person upon person."""
    x_scale = (other.box[2] - other.box[0]) / max(1e-6, one.box[2] - one.box[0])
    y_scale = (other.box[3] - other.box[1]) / max(1e-6, one.box[3] - one.box[1])
    x = other.box[0] - other.window[0] - x_scale * (one.box[0] - one.window[0])
    y = other.box[1] - other.window[1] - y_scale * (one.box[1] - one.window[1])
    # Centres of pixels lie on halves.
    x += (x_scale - 1) / 2
    y += (y_scale - 1) / 2
    matrix = np.array([[x_scale, 0, x], [0, y_scale, y]], np.float64)
    height, width = other.alpha_u8.shape
    size, border = (width, height), cv2.BORDER_REPLICATE
    return cv2.warpAffine(picture_u8, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)


def _grown(changed: np.ndarray) -> np.ndarray:
    """HxW uint8: 255 in what was changed (HxW bool) and the room around it."""
    side = 2 * max(2, round(_ROOM * changed.size**0.5)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.dilate(changed.astype(np.uint8) * 255, kernel)


# --- another segmenter ----------------------------------------------------------------------------


def segmenters_at_hand(config: Mapping) -> list[str]:
    """The segmenters whose weights, and those of the gate they need, lie on this machine and may be
    used; that of the settings first.
    """
    own = config["mask"]["segmenter"]
    names = [own, *(name for name in weight_files.table()["segmenters"] if name != own)]
    return [name for name in names if _is_at_hand(config, name)]


def _is_at_hand(config: Mapping, segmenter: str) -> bool:
    try:
        _weights(config, segmenter)
    except weight_files.ModelError:
        return False
    return True


def _weights(config: Mapping, segmenter: str) -> list[weight_files.Weights]:
    """What a segmenter loads; ModelError where that is not there, or may not be used."""
    wanted = weight_files.wanted({**config, "mask": _settings(config, segmenter)}, "mask")
    for weights in wanted:
        weight_files.require_terms(weights, config["models"]["accept_noncommercial"])
        if not weights.path.exists():
            raise weight_files.ModelError(
                f"{segmenter} needs the weights {weights.name}, which are not at {weights.path}: "
                f"fetch them with a run of mask.segmenter: {segmenter}, or put the file there"
            )
    return wanted


def _settings(config: Mapping, segmenter: str) -> dict:
    """The settings of `mask` for another segmenter, which ends at the network's own alpha: the run
    that applies the mask refines it.
    """
    known = {"segmenter": segmenter, "weights": None, "weights_sha256": None}
    if segmenter == config["mask"]["segmenter"]:
        known = {}
    return {**config["mask"], **known, "refine": False, "foreground": False}


def segmented_anew(
    config: Mapping, dataset: str | os.PathLike, crop: str, segmenter: str
) -> np.ndarray:
    """HxW uint8: what another segmenter makes of a crop, after the person gate and without other
    people, as the settings have it. The network runs in a child, within the limits of `mask`.

    Forks, so it is no call for a process with threads (`tools/propose_mask.py` is one without).
    Raises ModelError for weights that are not there, ProposalError where nothing came of it,
    LedgerError for a table of crops that another version wrote.
    """
    paths = [str(weights.path) for weights in _weights(config, segmenter)]
    crop_row(dataset, crop)  # says what is wrong with an id that is no kept crop's
    rows = tables.read_stage(Path(dataset) / stages.table("crop", clip_of(crop)), "crop")
    line = next(line for line in with_others(rows) if line["item"] == crop)
    settings, subject_class = _settings(config, segmenter), config["detect"]["class"]
    weight_files.ready({**config, "mask": settings}, "mask")
    image_rgb = image_files.read_verified(Path(dataset) / line["path"], line["sha256"])
    limits = Limits.of("mask", settings)
    opener = OnDevice(settings["device"], limits)
    threads = config["threads"]["mask"]
    load = cutouts.loader(paths, settings, subject_class, config["cache"], threads, opener)
    with Isolated(load, cutouts.HARMLESS, limits) as model:
        (result,), _ = model.outcomes([(image_rgb, *people_in(line))], "crops")
    if isinstance(result, Failure):
        raise ProposalError(f"{segmenter} did not survive {crop}: {result.detail}")
    if result.rgba is None:
        why = result.fault or f"it sees no subject ({result.absent.tag})"
        raise ProposalError(f"{segmenter} makes no cut-out of {crop} either: {why}")
    return np.ascontiguousarray(result.rgba[..., 3])
