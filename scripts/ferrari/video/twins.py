"""Low-resolution twins: the small copies that cameras and editors make of each clip.

A name only says of which clip a file may be a copy; what proves it is that both last equally long
and that its picture is the smaller one, as stage 0 measured them. A small copy whose clip is not
there is a clip like any other.

Names, by those who write them: GoPro (`GL010001.LRV` of `GX010001.MP4` or `GH010001.MP4`, the
number holds the chapter; `GOPR0001.LRV`), DJI (`.LRF`), Garmin (`.GLV`), Insta360 (`LRV_..._01_001`
of `VID_..._00_001`), Sony (`SUB/C0001S03.MP4` of `CLIP/C0001.MP4`), Panasonic P2 (`PROXY` beside
`VIDEO`), DaVinci Resolve, Premiere Pro, Final Cut (folders `Proxy`, `Proxies`, names `..._Proxy`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from ferrari.ledger.columns import KEPT
from ferrari.ledger.reasons import LOW_RESOLUTION

#: How far two lengths may lie apart: a frame or two, and what two clocks drift.
TOLERANCE_S, TOLERANCE_SHARE = 0.25, 0.001
_ENDINGS = frozenset({".lrv", ".lrf", ".glv"})
_FOLDERS = frozenset({"proxy", "proxies", "sub", "lrv", "lowres", "low-res", "low_res", "lores"})
_BESIDE = frozenset({"clip", "video"})  # folders of the full clips where a twin's is beside it
_SUFFIX = re.compile(r"(?<=.)(?:[ ._-](?:proxy|low-?res|lores|lrv)|s0[0-9])")
_GOPRO = re.compile(r"g[lxhs]([0-9]{6})")
_INSTA360 = re.compile(r"(?:pro_)?(vid|lrv)_([0-9]{8}_[0-9]{6})_[01][01]_([0-9]{3})")
Key = tuple[tuple[str, ...], str]


def named_twins(videos: Mapping[str, str]) -> dict[str, list[str]]:
    """For each clip that is named as a small copy, the clips (ids, sorted) that it may be one of.

    `videos` maps ids to paths below the raw folder. A clip that is named so is no full clip of
    another, so no two clips stand for each other.
    """
    keys = {video: _key(file) for video, file in videos.items()}
    marked = {key for key, is_marked in keys.values() if is_marked}
    full: dict[Key, list[str]] = defaultdict(list)
    for video, (key, is_marked) in keys.items():
        if not is_marked and key in marked:
            full[key].append(video)
    return {
        video: sorted(full[key])
        for video, (key, is_marked) in keys.items()
        if is_marked and key in full
    }


def _key(file: str) -> tuple[Key, bool]:
    """What a small copy and its clip have in common, and whether `file` is named as a copy."""
    path = PurePosixPath(file.lower())
    folders = path.parts[:-1]
    marked = path.suffix in _ENDINGS
    in_own_folder = not _FOLDERS.isdisjoint(folders)
    stem = path.stem
    if found := _GOPRO.fullmatch(stem):
        marked, stem = marked or stem.startswith("gl"), f"gopro {found[1]}"
    elif found := _INSTA360.fullmatch(stem):
        marked, stem = marked or found[1] == "lrv", f"insta360 {found[2]} {found[3]}"
    else:
        short = re.sub(rf"{_SUFFIX.pattern}$", "", stem)
        of_sony = re.search(r"s0[0-9]$", stem) is not None
        if short != stem and (in_own_folder or not of_sony):
            marked, stem = True, short
    within = tuple(name for name in folders if name not in _FOLDERS and name not in _BESIDE)
    return (within, stem), marked or in_own_folder


def same_stem(videos: Mapping[str, str]) -> dict[str, list[str]]:
    """For each clip the others (ids, sorted) of its folder that differ from it in the ending alone.

    Such as `walk.mov` and `walk.mp4`, exported from it: either may be the small copy. Clips that
    are named as copies are left out (`named_twins`).
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for video, file in videos.items():
        if not _key(file)[1]:
            groups[str(PurePosixPath(file.lower()).with_suffix(""))].append(video)
    return {
        video: sorted(set(group) - {video})
        for group in groups.values()
        for video in group
        if len(group) > 1
    }


def full_clip(probe: Mapping[str, str], others: Iterable[Mapping[str, str]]) -> str:
    """The id of the clip of which `probe` (a row of stage 0) is proved to be a small copy, or "".

    `others` are the rows of the clips that its name leads to; of several the largest counts.
    """
    if not _measured(probe):
        return ""
    proved = [row for row in others if row["outcome"] == KEPT and _is_smaller_copy(probe, row)]
    return max(proved, key=lambda row: (_pixels(row), row["item"]))["item"] if proved else ""


def _measured(probe: Mapping[str, str]) -> bool:
    """True for a clip of known size and length; one may be too small to be used, and be a copy."""
    usable = probe["outcome"] == KEPT or probe["reason"] == LOW_RESOLUTION
    return usable and bool(probe["duration_s"]) and bool(probe["width"])


def _is_smaller_copy(probe: Mapping[str, str], other: Mapping[str, str]) -> bool:
    if not _measured(other):
        return False
    length, of_other = float(probe["duration_s"]), float(other["duration_s"])
    same_length = abs(length - of_other) <= TOLERANCE_S + TOLERANCE_SHARE * of_other
    return same_length and _pixels(probe) < _pixels(other)


def _pixels(probe: Mapping[str, str]) -> int:
    return int(probe["width"]) * int(probe["height"])


def described(probe: Mapping[str, str], full: Mapping[str, str]) -> str:
    """What proves that one clip is a small copy of another, in words."""
    return (
        f"a smaller copy of {full['file']}: {probe['width']}x{probe['height']} of "
        f"{full['width']}x{full['height']} px, {probe['duration_s']} s of {full['duration_s']} s"
    )
