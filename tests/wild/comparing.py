"""What stages 0 and 1 say of a clip, held against what ffmpeg says: every difference between both.

Nothing is excused here; that is for `causes`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from fractions import Fraction
from typing import Protocol

import numpy as np

from tests.settings import section
from tests.wild import colours, pictures
from tests.wild.ffmpeg_view import FfmpegView, Packet, ShownFrame
from tests.wild.our_view import OurPicture, OurView, damaged

REFUSED = "refused"
TAKEN = "taken"
NOT_FILM = "not film"
FRAMES = "frames"
COUNT = "count"
DISTRUST = "distrust"
TIMES = "times"
NUMBERS = "numbers"
FIELDS = "fields"
DURATION = "duration"
SIZE = "size"
ORIENTATION = "orientation"
COLOURS = "colours"
MEANING = "meaning"
LOSS = "loss"
#: What may differ, and what is compared; the order of the report.
KINDS = {
    REFUSED: "ffmpeg shows frames of a file that is refused",
    TAKEN: "a file is taken of which ffmpeg shows nothing",
    NOT_FILM: "a file is taken that is a picture or a text by ffmpeg's demuxer or the file's brand",
    FRAMES: "frames that only one of both has, by their times",
    COUNT: "`frames` of the probe row, and how many ffmpeg shows",
    DISTRUST: "rows DECODE_DAMAGE or LOST_SPAN of a clip of which ffmpeg has no complaint",
    TIMES: "`pts` and `time_s` of a frame's row, and ffmpeg's of the same frame",
    NUMBERS: "`frame` of a frame's row, and its place in ffmpeg's order",
    FIELDS: "`interlaced` of a frame's row, and ffmpeg's flag",
    DURATION: "`duration_s` of the probe row, and from the first frame to the last one's end",
    SIZE: "width and height, in the probe row and of a picture, with square pixels and upright",
    ORIENTATION: "whether a picture is turned or mirrored against ffmpeg's",
    COLOURS: "a picture without loss, and ffmpeg's of the same frame, pixel by pixel",
    MEANING: "a picture without loss, and what its colour tags ask for where ffmpeg leaves them",
    LOSS: "the first frame as it is written by default (quality 100), and without loss",
}
_NOISE = 0.25  # of 255; two pictures whose mean differences are nearer to each other are as near
#: ffmpeg's filter for interlaced frames, with the settings that stage 1 uses.
WEAVE = "bwdif=mode=send_frame:parity=auto:deint=interlaced"
FIRST, MIDDLE, LAST = "first", "middle", "last"

_ROUNDED_S = Fraction(51, 10**8)  # a row's time has six digits
_ROUNDED_MS = Fraction(2, 1000)  # the probe row's seconds have three


class Asked(Protocol):
    """Answers further questions about a file (see `ffmpeg_view.Source`)."""

    def picture(self, frame: ShownFrame, scale: str = "", first: str = "") -> np.ndarray | None:
        """The frame as HxWx3 uint8 RGB."""

    def aspect(self, frame: ShownFrame) -> Fraction | None:
        """The sample aspect ratio of the stream where the frame is."""

    def packets(self) -> list[Packet]:
        """The packets of the video, in their order in the file."""


@dataclass(frozen=True)
class Pair:
    """One of our pictures and ffmpeg's of the same frame, as ffmpeg gives it: HxWx3 uint8 RGB."""

    place: str
    ours: OurPicture
    frame: ShownFrame
    raw: np.ndarray | None

    def squared(self, picture_rgb: np.ndarray) -> np.ndarray:
        """A picture from ffmpeg with square pixels."""
        high, wide = picture_rgb.shape[:2]
        return pictures.stretched(picture_rgb, pictures.shown_size(wide, high, self.frame.sar))


@dataclass
class Difference:
    """One thing that both see differently; `cause` and `evidence` are filled in by `causes`.

    `missing` are frames that ffmpeg alone has, `extra` rows that we alone have; of TIMES, NUMBERS
    and FIELDS the frames and rows that do not agree.
    """

    kind: str
    where: str
    ours: str
    theirs: str
    missing: Sequence[ShownFrame] = ()
    extra: Sequence[dict[str, str]] = ()
    pair: Pair | None = None
    cause: str = ""
    evidence: str = ""


@dataclass
class Clip:
    """Both views of one file; `same` are rows and frames that are one and the same frame."""

    name: str
    ours: OurView
    theirs: FfmpegView
    asked: Asked
    same: list[tuple[dict[str, str], ShownFrame]] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.same = _same_frames(self.ours.frames, self.theirs.frames)
        self.pairs = list(self._pair_up())

    def _pair_up(self) -> Iterator[Pair]:
        frames = {(row["frame"], row["time_s"]): frame for row, frame in self.same}
        for place, picture in zip((FIRST, MIDDLE, LAST), self.ours.pictures, strict=False):
            frame = frames.get((picture.row["frame"], picture.row["time_s"]))
            if frame and not self.theirs.has_own_aspect and place != FIRST:
                frame = replace(frame, sar=self.asked.aspect(frame) or frame.sar)
            if frame:
                yield Pair(place, picture, frame, self.asked.picture(frame))


def _same_frames(
    ours: Sequence[dict[str, str]], theirs: Sequence[ShownFrame]
) -> list[tuple[dict[str, str], ShownFrame]]:
    """One by one where both have as many; else by their times, to the microsecond, in order."""
    if len(ours) == len(theirs):
        return list(zip(ours, theirs, strict=True))
    mine = [round(Fraction(row["time_s"]), 6) for row in ours]
    them = [None if frame.time_s is None else round(frame.time_s, 6) for frame in theirs]
    blocks = SequenceMatcher(None, mine, them, autojunk=False).get_matching_blocks()
    return [(ours[a + n], theirs[b + n]) for a, b, size in blocks for n in range(size)]


def differences(clip: Clip) -> list[Difference]:
    """Every difference between the two views, in the order of KINDS."""
    shown = len(clip.theirs.frames)
    if clip.ours.refused:
        if not shown:
            return []
        told = f"{clip.ours.refused}: {clip.ours.refusal}"
        return [Difference(REFUSED, "", told, f"{shown} frames of {clip.theirs.stream}")]
    if not shown:
        return [Difference(TAKEN, "", f"{len(clip.ours.frames)} frames", "none")]
    found = [
        *_not_film(clip),
        *_frames(clip),
        *_distrust(clip),
        *_rows(clip),
        *_duration(clip),
        *_probed_size(clip),
        *_unpaired(clip),
    ]
    for pair in clip.pairs:
        found += _of_picture(clip, pair)
    found += _loss(clip)
    order = list(KINDS)
    return sorted(found, key=lambda difference: order.index(difference.kind))


def _frames(clip: Clip) -> Iterator[Difference]:
    ours, theirs = clip.ours.frames, clip.theirs.frames
    rows, frames = {id(row) for row, _ in clip.same}, {id(frame) for _, frame in clip.same}
    extra = [row for row in ours if id(row) not in rows]
    missing = [frame for frame in theirs if id(frame) not in frames]
    if extra or missing:
        told = f"{len(ours)}{_some([float(row['time_s']) for row in extra])}"
        them = f"{len(theirs)}{_some([float(frame.time_s or 0) for frame in missing])}"
        yield Difference(FRAMES, "", told, them, missing, extra)
    if clip.ours.probe["frames"] != str(len(theirs)):
        yield Difference(COUNT, "", clip.ours.probe["frames"], str(len(theirs)))


def _not_film(clip: Clip) -> Iterator[Difference]:
    animations = section("probe").get("animations") == "refuse"
    what = clip.theirs.picture or (clip.theirs.animation if animations else "")
    if what:
        yield Difference(NOT_FILM, "", "a clip", what)


def _distrust(clip: Clip) -> Iterator[Difference]:
    rows = [row for row in clip.ours.frames if damaged(row)] + clip.ours.lost
    if rows and not clip.theirs.complaints:
        told = f"{len(rows)} rows, first {rows[0]['item']}: {rows[0]['detail']}"
        yield Difference(DISTRUST, "", told, "no complaint", extra=rows)


def _some(times_s: Sequence[float]) -> str:
    if not times_s:
        return ""
    shown = ", ".join(f"{time:.3f}" for time in times_s[:3])
    return f", {len(times_s)} alone: {shown}{' ...' * (len(times_s) > 3)} s"


def _rows(clip: Clip) -> Iterator[Difference]:
    """What the rows say of frames that both have."""
    for kind, agrees, mine, them in (
        (TIMES, _times_agree, _row_time, _frame_time),
        (NUMBERS, _numbers_agree, lambda row: row["frame"], lambda frame: str(frame.number)),
        (FIELDS, _fields_agree, _row_fields, lambda frame: _FIELDS[frame.interlaced]),
    ):
        wrong = [pair for pair in clip.same if not agrees(*pair)]
        if wrong:
            row, frame = wrong[0]
            where = f"{len(wrong)} of {len(clip.same)}, first {row['frame']}"
            rows, frames = [row for row, _ in wrong], [frame for _, frame in wrong]
            yield Difference(kind, where, mine(row), them(frame), frames, rows)


def _times_agree(row: dict[str, str], frame: ShownFrame) -> bool:
    if frame.pts is None or frame.time_s is None:
        return row["pts"] == ""
    near = abs(Fraction(row["time_s"]) - frame.time_s) <= _ROUNDED_S
    return near and row["pts"] == str(frame.pts)


def _numbers_agree(row: dict[str, str], frame: ShownFrame) -> bool:
    return row["frame"] == str(frame.number)


_FIELDS = {True: "interlaced", False: "progressive"}


def _row_fields(row: dict[str, str]) -> str:
    return _FIELDS[row["interlaced"] in ("1", "True")]


def _fields_agree(row: dict[str, str], frame: ShownFrame) -> bool:
    return _row_fields(row) == _FIELDS[frame.interlaced]


def _row_time(row: dict[str, str]) -> str:
    return f"pts {row['pts'] or 'none'}, {row['time_s']} s"


def _frame_time(frame: ShownFrame) -> str:
    if frame.pts is None or frame.time_s is None:
        return "no pts"
    return f"pts {frame.pts}, {float(frame.time_s):.6f} s"


def _duration(clip: Clip) -> Iterator[Difference]:
    shown = shown_duration(clip.theirs.frames)
    if shown is None:
        return
    ours, step = Fraction(clip.ours.probe["duration_s"]), usual_step(clip.theirs.frames)
    if abs(ours - shown) > step + _ROUNDED_MS:
        yield Difference(DURATION, "", f"{float(ours):.3f} s", f"{float(shown):.3f} s")


def usual_step(frames: Sequence[ShownFrame]) -> Fraction:
    """The median of the steps between frames, in seconds."""
    steps = steps_of(frames)
    return steps[len(steps) // 2] if steps else Fraction(0)


def steps_of(frames: Sequence[ShownFrame]) -> list[Fraction]:
    """The steps from frame to frame as shown, in rising order; jumps back are none."""
    times = [frame.time_s for frame in frames if frame.time_s is not None]
    return sorted(b - a for a, b in itertools.pairwise(times) if b >= a)


def shown_duration(frames: Sequence[ShownFrame]) -> Fraction | None:
    """From the first frame to the end of the last one; None where ffmpeg does not tell.

    Where the clock jumps back, as in clips joined byte by byte, another part begins; the parts add
    up. Before version 6 ffmpeg does not tell how long a frame lasts: then it is as long as others.
    """
    times = [frame.time_s for frame in frames if frame.time_s is not None]
    lasts = (frames[-1].duration_s or usual_step(frames)) if frames else None
    if len(times) < len(frames) or not lasts:
        return None
    starts = [0, *(n for n in range(1, len(times)) if times[n] < times[n - 1]), len(times)]
    return sum(
        (times[end - 1] - times[start] + lasts for start, end in itertools.pairwise(starts)),
        Fraction(0),
    )


def _probed_size(clip: Clip) -> Iterator[Difference]:
    first, probe = clip.theirs.frames[0], clip.ours.probe
    shown = pictures.shown_size(first.width, first.height, first.sar)
    ours = int(probe["width"]), int(probe["height"])
    if ours != shown:
        pair = next(iter(clip.pairs), None)
        told = f"{ours[0]}x{ours[1]}", f"{shown[0]}x{shown[1]}"
        yield Difference(SIZE, "probe row", *told, pair=pair)


def size_of(picture_rgb: np.ndarray) -> str:
    """Width and height as differences tell them."""
    return f"{picture_rgb.shape[1]}x{picture_rgb.shape[0]}"


def _unpaired(clip: Clip) -> Iterator[Difference]:
    """Our pictures at times at which ffmpeg shows nothing."""
    paired = {id(pair.ours) for pair in clip.pairs if pair.raw is not None}
    for picture in clip.ours.pictures:
        if id(picture) not in paired:
            where = f"frame {picture.row['frame']}"
            yield Difference(
                COLOURS, where, f"a picture at {picture.time_s} s", "none", extra=[picture.row]
            )


def _of_picture(clip: Clip, pair: Pair) -> Iterator[Difference]:
    if pair.raw is None:
        return
    ours, theirs = pair.ours.rgb, pair.squared(pair.raw)
    turn = pictures.turn_between(ours, theirs)
    if turn:
        yield Difference(ORIENTATION, pair.place, turn, "as it is", pair=pair)
    sizes = [size_of(picture) for picture in (ours, theirs)]
    if sizes[0] != sizes[1]:
        yield Difference(SIZE, pair.place, *sizes, pair=pair)
        return
    gap = pictures.apart(ours, theirs)
    if not gap.alike and not turn:
        yield Difference(COLOURS, pair.place, str(gap), tags(pair.frame), pair=pair)
    elif not turn and pair.place == FIRST:  # tags are nearly always those of the whole clip
        yield from _of_meaning(clip, pair)


def _of_meaning(clip: Clip, pair: Pair) -> Iterator[Difference]:
    """A picture that is nearer to ffmpeg's than to what its tags ask for."""
    meant = meaning_of(clip, pair)
    if not meant or not meant.required or pair.raw is None:
        return
    ours = pair.ours.rgb
    gaps = [pictures.apart(ours, pair.squared(picture)) for picture in meant.pictures]
    nearest, plain = (
        min(gaps, key=lambda gap: gap.mean),
        pictures.apart(ours, pair.squared(pair.raw)),
    )
    if not nearest.alike or nearest.mean > plain.mean + _NOISE:
        told = f"{nearest} of what is meant"
        yield Difference(MEANING, pair.place, told, f"{meant.step}: {tags(pair.frame)}", pair=pair)


def meaning_of(clip: Clip, pair: Pair, first: str = "") -> colours.Meaning | None:
    """`meaning` of the pair's frame, behind the filter `first` if there is one."""

    def ask(scale: str, before: str) -> np.ndarray | None:
        filters = ",".join(part for part in (first, before) if part)
        return clip.asked.picture(pair.frame, scale, filters)

    return colours.meaning(pair.frame, clip.theirs.turned, ask)


def tags(frame: ShownFrame) -> str:
    """The frame's pixel format and colour tags in one line."""
    parts = (frame.color_range, frame.matrix, frame.primaries, frame.transfer)
    return f"{frame.pixel_format}, {'/'.join(parts)}"


def _loss(clip: Clip) -> Iterator[Difference]:
    """What the lossy way through the video's own planes changes in the first frame."""
    lossy, plain = clip.ours.lossy, next(iter(clip.ours.pictures), None)
    if not lossy or not plain or lossy.row["frame"] != plain.row["frame"]:
        return
    if lossy.rgb.shape != plain.rgb.shape:
        sizes = (size_of(picture.rgb) for picture in (lossy, plain))
        yield Difference(LOSS, FIRST, *sizes)
    elif not (gap := pictures.apart(lossy.rgb, plain.rgb)).alike:
        yield Difference(LOSS, FIRST, str(gap), "without loss")
