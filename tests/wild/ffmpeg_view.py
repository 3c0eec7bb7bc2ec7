"""A clip as the program ffmpeg sees it: its frames, their times and shapes, and single pictures.

Only the program `ffmpeg` is needed, of version 5.1 or later; `ffprobe` is not. Frames are those
that ffmpeg would show: behind edit lists, rotated, and (since 7.1) cropped as the container asks.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

TEXT_DEMUXER = "tty"  # draws the letters of a text
_PICTURE_DEMUXERS = ("image2", "ico", "_pipe")
_PICTURE_BRANDS = ("avif", "heic", "heix", "heim", "heis", "mif1")
_ANIMATIONS = ("gif", "apng", "webp_anim", "jpegxl_anim")
_ANIMATED_BRANDS = ("avis", "hevc", "hevx", "msf1")  # ISO/IEC 23008-12 and AVIF: image sequences
OLDEST = (5, 1)  # has `-fps_mode`
_TIMEOUT_S = 600  # of one call
_MOST_BYTES = 1 << 30  # of one picture; beyond it a size was misread
#: Loglevel with its level before each line: `[error]` parts complaints from what ffmpeg tells.
_QUIET = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info")
_FRAME = re.compile(
    r"\bn: *\d+ pts: *(-?\d+|NOPTS) .*?fmt:(\S+).*? sar:(\d+)/(\d+) s:(\d+)x(\d+) i:(\S)"
)
_SHOWINFO = re.compile(r"\[Parsed_showinfo_\d+ @ [^]]+\] (?:\[\w+\] )?")
_TAGS = re.compile(r"color_range:(\S+) color_space:(\S+) color_primaries:(\S+) color_trc:(\S+)")
_TIME_BASE = re.compile(r"config in time_base: (\d+)/(\d+)")
_INPUT = re.compile(r"Input #0, (.+), from '")
_STREAM = re.compile(r"Stream #0:(\d+)\S*: (Video: .*)")
_MAPPED = re.compile(r"Stream #0:(\d+) -> #0:0 ")
_COMPLAINT = re.compile(r"\[(?:error|fatal|panic)\]|\[warning\].*(?:corrupt|conceal|missing)", re.I)
_ASPECT = re.compile(r"Video: .*SAR (\d+):(\d+) ")
_NO_PTS = -(1 << 63)  # AV_NOPTS_VALUE
_DURATION = re.compile(r" duration: *(\d+) ")


class NoFfmpegError(Exception):
    """There is no ffmpeg that can be asked; the text says why."""


@dataclass(frozen=True)
class ShownFrame:
    """One frame that ffmpeg shows.

    `number` counts the frames from 0, `occurrence` those before it that have the same pts. `time_s`
    is exact, None where the file gives none. `width` and `height` are those of its pixels after
    rotation and cropping, before the sample aspect ratio `sar`, which is turned with them. The tags
    are ffmpeg's own names, `unknown` where the file has none.
    """

    number: int
    pts: int | None
    time_s: Fraction | None
    duration_s: Fraction | None
    width: int
    height: int
    sar: Fraction
    pixel_format: str
    interlaced: bool
    occurrence: int = 0
    color_range: str = "unknown"
    matrix: str = "unknown"
    primaries: str = "unknown"
    transfer: str = "unknown"


@dataclass(frozen=True)
class Packet:
    """A packet of the video; `time_s` is when it is shown, None if the container does not say."""

    time_s: Fraction | None
    is_key: bool


@dataclass
class FfmpegView:
    """What ffmpeg makes of one file; without frames where it shows nothing.

    `format` is the demuxer's name, `streams` the lines that describe the video streams, by index,
    `chosen` the one that ffmpeg takes, `header` all that it tells of the file before it decodes,
    `errors` its complaints.
    """

    version: tuple[int, ...]
    format: str = ""
    header: str = ""
    streams: dict[int, str] = field(default_factory=dict)
    chosen: int | None = None
    frames: list[ShownFrame] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def stream(self) -> str:
        """The line that describes the stream that ffmpeg takes, or ""."""
        return self.streams.get(-1 if self.chosen is None else self.chosen, "")

    @property
    def start_s(self) -> Fraction:
        """Where the file begins, in seconds."""
        found = re.search(r"Duration: .*, start: (-?[\d.]+)", self.header)
        return Fraction(found[1]) if found else Fraction(0)

    @property
    def brand(self) -> str:
        """The major brand of a file like MP4; "" of others."""
        found = re.search(r"major_brand *: (\S+)", self.header)
        return found[1] if found else ""

    @property
    def picture(self) -> str:
        """What the file is if it is one picture, or a text; "" if it may be film."""
        if self.format == TEXT_DEMUXER:
            return f"demuxer {self.format}"
        still = self.format.endswith(_PICTURE_DEMUXERS) or self.brand in _PICTURE_BRANDS
        return f"{self.format} {self.brand}".strip() * (still and len(self.frames) == 1)

    @property
    def animation(self) -> str:
        """What the file is if it is an animated picture; "" if it may be film."""
        moves = self.format in _ANIMATIONS or self.brand in _ANIMATED_BRANDS
        return f"{self.format} {self.brand}".strip() * moves

    @property
    def turned(self) -> bool:
        """True if frames are turned by a quarter before they are shown."""
        found = re.search(r"display ?matrix: rotation of (-?[\d.]+) degrees", self.header, re.I)
        return bool(found) and round(float(found[1]) / 90) % 2 == 1

    @property
    def has_own_aspect(self) -> bool:
        """False for containers that leave the sample aspect ratio to the stream in them."""
        return not self.format.startswith(("mpeg", "h264", "hevc", "m4v", "avi"))


class Ffmpeg:
    """The program; raises NoFfmpegError if there is none on the PATH that answers."""

    def __init__(self, program: str = "ffmpeg") -> None:
        found = shutil.which(program)
        if not found:
            raise NoFfmpegError(f"there is no {program} on the PATH")
        self.program = found
        told = self._call("-version").stdout.decode(errors="replace").splitlines()
        self.named = told[0].split(" Copyright")[0] if told else ""
        self.version = version_of(self.named)
        if self.version and self.version < OLDEST:
            raise NoFfmpegError(f"{self.named} is too old")

    def look(self, path: Path) -> FfmpegView:
        """Decode the whole file as ffmpeg's command line does by default."""
        told = self._call(
            *_QUIET, "-threads", "1", "-copyts", *_input(path), *_VIDEO_ALONE,
            "-vf", "showinfo=checksum=0", "-fps_mode", "passthrough", "-f", "null", "-",
        ).stderr.decode(errors="replace")  # fmt: skip
        return read_told(told, self.version)

    def picture(
        self, path: Path, frame: ShownFrame, scale: str = "", first: str = ""
    ) -> np.ndarray | None:
        """The frame as HxWx3 uint8 RGB, converted by ffmpeg itself, with the tags as they are.

        `scale` holds options of the filter that converts (`in_color_matrix=bt709`), `first` is a
        filter in front of everything (`bwdif`). None if the frame does not come out a second time.
        """
        # Filters start anew where the shape changes, and then `n` of `select` does, too.
        by_time = frame.pts is not None and not first
        choose = rf"select=eq(pts\,{frame.pts})" if by_time else rf"select=eq(n\,{frame.number})"
        chain = (first, choose, scale and f"scale={scale}", "format=rgb24", "showinfo=checksum=0")
        done = self._call(
            *_QUIET, "-threads", "1", "-copyts", *_input(path), *_VIDEO_ALONE,
            "-vf", ",".join(part for part in chain if part), "-fps_mode", "passthrough",
            "-noautoscale", "-f", "rawvideo", "-pix_fmt", "rgb24", "-",
        )  # fmt: skip
        shown = read_told(done.stderr.decode(errors="replace")).frames
        found = _cut(done.stdout, shown)
        place = frame.occurrence if by_time else 0
        return found[place] if place < len(found) else None

    def aspect_from(self, path: Path, frame: ShownFrame, start_s: Fraction) -> Fraction | None:
        """The sample aspect ratio that the stream itself gives where `frame` is.

        Since version 7 ffmpeg reads it once, at the stream's begin. So it is given the rest of the
        clip alone, from the last key frame on, in a container that has no place for an aspect. None
        where that does not work.
        """
        for earlier_s in (0, 0.5, 1, 2):
            begin = max(0.0, float((frame.time_s or start_s) - start_s) - earlier_s)
            rest = self._call(
                *_QUIET, "-ss", f"{begin:.6f}", *_input(path), *_VIDEO_ALONE,
                "-c", "copy", "-f", "mpegts", "-",
            ).stdout  # fmt: skip
            told = self._call("-hide_banner", "-i", "-", given=rest).stderr.decode(errors="replace")
            if found := _ASPECT.search(told):
                return Fraction(int(found[1]), int(found[2]) or 1)
        return None

    def packets(self, path: Path) -> list[Packet]:
        """The packets of the video as they come out of the container, in order."""
        told = self._call(
            "-loglevel", "error", "-copyts", *_input(path), *_VIDEO_ALONE,
            "-c", "copy", "-copyinkf", "-f", "framecrc", "-",
        ).stdout.decode(errors="replace")  # fmt: skip
        return list(read_packets(told))

    def _call(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                [self.program, *arguments],
                input=given, capture_output=True, timeout=_TIMEOUT_S, check=False,
            )  # fmt: skip
        except OSError as error:
            raise NoFfmpegError(f"{self.program} does not start: {error.strerror}") from error
        except subprocess.TimeoutExpired as late:
            return subprocess.CompletedProcess(late.cmd, 124, b"", late.stderr or b"")


@dataclass(frozen=True)
class Source:
    """One file, and the program to ask about it."""

    ffmpeg: Ffmpeg
    path: Path
    start_s: Fraction = Fraction(0)

    def picture(self, frame: ShownFrame, scale: str = "", first: str = "") -> np.ndarray | None:
        """`Ffmpeg.picture` of this file."""
        return self.ffmpeg.picture(self.path, frame, scale, first)

    def aspect(self, frame: ShownFrame) -> Fraction | None:
        """`Ffmpeg.aspect_from` of this file."""
        return self.ffmpeg.aspect_from(self.path, frame, self.start_s)

    def packets(self) -> list[Packet]:
        """`Ffmpeg.packets` of this file."""
        return self.ffmpeg.packets(self.path)


_VIDEO_ALONE = ("-an", "-sn", "-dn")


def _input(path: Path) -> tuple[str, ...]:
    """Local files alone, whatever the name looks like, as in `ferrari.video.containers`."""
    return ("-protocol_whitelist", "file", "-i", f"file:{path.absolute()}")


def version_of(named: str) -> tuple[int, ...]:
    """(5, 1, 9) of `ffmpeg version n5.1.9-0+deb12u1`; () where none is told (a build of a day)."""
    found = re.match(r"ffmpeg version n?(\d+(?:\.\d+)*)", named)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def _cut(data: bytes, frames: Sequence[ShownFrame]) -> list[np.ndarray]:
    """The pictures that lie one behind the other in `data`, as far as it reaches."""
    pictures, at = [], 0
    for frame in frames:
        length = frame.width * frame.height * 3
        if not 0 < length <= min(len(data) - at, _MOST_BYTES):
            break
        flat = np.frombuffer(data, np.uint8, length, at)
        pictures.append(flat.reshape(frame.height, frame.width, 3))
        at += length
    return pictures


def read_told(told: str, version: tuple[int, ...] = ()) -> FfmpegView:
    """What ffmpeg wrote on its error stream while the filter `showinfo` was at work."""
    view = FfmpegView(version)
    time_base, header = Fraction(0), []
    before: Counter[int | None] = Counter()
    for raw in told.splitlines():
        line = raw.replace("[info] ", "")
        if "Parsed_showinfo" not in line:
            _read_header(line, view, header)
            continue
        line = _SHOWINFO.sub("", line)
        if found := _TIME_BASE.search(line):
            time_base = Fraction(int(found[1]), int(found[2]) or 1)
        elif found := _FRAME.search(line):
            frame = _frame(len(view.frames), found, line, time_base)
            before[frame.pts] += 1
            view.frames.append(replace(frame, occurrence=before[frame.pts] - 1))
        elif (found := _TAGS.search(line)) and view.frames:
            view.frames[-1] = _tagged(view.frames[-1], found)
    view.header = "\n".join(header)
    return view


def read_packets(told: str) -> Iterator[Packet]:
    """The packets in what ffmpeg's muxer `framecrc` writes."""
    time_base = Fraction(0)
    for line in told.splitlines():
        if found := re.match(r"#tb 0: (\d+)/(\d+)", line):
            time_base = Fraction(int(found[1]), int(found[2]))
        elif not line.startswith("#") and line.count(",") >= 5:
            pts = int(line.split(",")[2])
            is_key = re.search(r", F=0x", line) is None  # flags are told where they are not "key"
            yield Packet(None if pts == _NO_PTS else pts * time_base, is_key)


def _read_header(line: str, view: FfmpegView, header: list[str]) -> None:
    if _COMPLAINT.search(line) and not line.startswith("[null @"):  # of what comes out of it
        view.complaints.append(line)
    elif (found := _MAPPED.search(line)) and view.chosen is None:
        view.chosen = int(found[1])
    elif view.chosen is None:
        header.append(line)
        if found := _INPUT.search(line):
            view.format = found[1]
        elif found := _STREAM.search(line):
            view.streams[int(found[1])] = found[2]


def _frame(number: int, found: re.Match, line: str, time_base: Fraction) -> ShownFrame:
    pts, pixels, over, under, width, height, fields = found.groups()
    lasts = _DURATION.search(line)
    sar = Fraction(int(over), int(under)) if int(over) and int(under) else Fraction(1)
    units = None if pts == "NOPTS" else int(pts)
    return ShownFrame(
        number=number,
        pts=units,
        time_s=None if units is None else units * time_base,
        duration_s=int(lasts[1]) * time_base if lasts and int(lasts[1]) else None,
        width=int(width),
        height=int(height),
        sar=sar,
        pixel_format=pixels,
        interlaced=fields in "TB",
    )


def _tagged(frame: ShownFrame, found: re.Match) -> ShownFrame:
    names = ("color_range", "matrix", "primaries", "transfer")
    return replace(frame, **dict(zip(names, found.groups(), strict=True)))
