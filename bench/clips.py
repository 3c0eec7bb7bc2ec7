"""The clips that the bench makes itself: H.264 with B-frames and GOPs of 250, as phones write them.

A figure dances and walks through panning scenes with hard cuts; some stretches stand still, so that
dropping near-duplicates has something to drop. Ten seconds are drawn and encoded; longer clips
repeat their packets, which costs a decoder the same as drawing on would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.generator.encode import Encoding, encode, frames_of
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec, FigureSpec

VERSION = "1"  # of the clips' content; part of the cache's name
GOP = 250
_SCENES = ("room", "outdoor", "street", "gallery", "bokeh")
_MOTIONS = (("full", "dance"), ("half", "wave"), ("full", "walk"), ("close", "turn"))


@dataclass(frozen=True)
class Group:
    """Clips that are measured together, and how many frames they have in all."""

    name: str
    clips: tuple[Path, ...]

    @property
    def frames(self) -> int:
        """Frames of footage: counted packets, nothing is decoded."""
        return sum(count_frames(clip) for clip in self.clips)


def spec(number: int, width: int, height: int, seconds: float, fps: int = 25) -> ClipSpec:
    """The `number`-th clip: a cut in the middle, and a quarter of its time standing still."""
    framing, motion = _MOTIONS[number % len(_MOTIONS)]
    count = round(seconds * fps)
    scenes = tuple(_SCENES[(number + k) % len(_SCENES)] for k in range(2))
    still = count // 8
    return ClipSpec(
        seed=9_000 + number,
        width=width,
        height=height,
        fps=str(fps),
        n_frames=count,
        scenes=scenes,
        cuts=(count // 2,),
        frozen_runs=((count // 4, still), (3 * count // 4, still)),
        figures=(FigureSpec(seed=9_100 + number, framing=framing, motion=motion),),
    )


def encoding(fps: str, crf: int = 21, preset: str = "medium") -> Encoding:
    """x264 as it comes: three B-frames, references among them, a key frame every GOP frames."""
    return Encoding(fps=fps, gop=GOP, b_frames=3, options={"crf": str(crf), "preset": preset})


def footage(work: Path, quick: bool = False) -> list[Group]:
    """The groups for extraction, made where they are not there yet."""
    folder = _folder(work)
    if quick:
        return [
            Group("720p 2 s", (_drawn(folder, 0, 1280, 720, 2),)),
            Group("480p short", tuple(short_clips(work, 3))),
        ]
    groups = []
    for name, width, height, number in (("1080p", 1920, 1080, 1), ("720p", 1280, 720, 2)):
        ten = _drawn(folder, number, width, height, 10)
        groups.append(Group(f"{name} 10 s", (ten,)))
        groups.append(Group(f"{name} 60 s", (repeated(ten, folder, 6),)))
    return [*groups, Group("480p short", tuple(short_clips(work, 100)))]


def short_clips(work: Path, count: int) -> list[Path]:
    """`count` different clips of two seconds, 854x480: windows of ten drawn scenes."""
    folder, made = _folder(work) / "short", []
    for number in range(count):
        scene, start = number // 10 % 10, (number % 10) * 5
        path = folder / f"short_{number:03d}.mp4"
        made.append(_once(path, lambda to, s=scene, k=start: _window(to, s, k)))
    return made


def large_clips(work: Path, count: int, seconds: int) -> list[Path]:
    """`count` clips, 1920x1080, of an even number of seconds: by turns of two drawn ones."""
    folder, made = _folder(work) / "large", []
    sources = [_drawn(_folder(work), number, 1920, 1080, 2) for number in (4, 5)]
    for number in range(count):
        source = sources[number % len(sources)]
        path = folder / f"large_{seconds}s_{number:02d}.mp4"
        made.append(_once(path, lambda to, s=source: _repeat(s, to, seconds // 2)))
    return made


def long_clip(work: Path, seconds: int) -> Path:
    """A 480p clip of `seconds` (a multiple of ten) at a low rate of bits."""
    folder = _folder(work)
    ten = _drawn(folder, 3, 640, 480, 10, crf=30)
    return repeated(ten, folder, seconds // 10)


def tiny_clips(work: Path, count: int, refused: bool) -> list[Path]:
    """Clips of a tenth of a second: one sample each; `refused` ones are LOW_RESOLUTION."""
    width, height = (64, 48) if refused else (640, 480)
    kind, made = "refused" if refused else "tiny", []
    for number in range(count):
        path = _folder(work) / kind / f"{kind}_{number:03d}.mp4"
        made.append(
            _once(path, lambda to, n=number: _write(to, spec(n, width, height, 0.2, 10), 21))
        )
    return made


def repeated(clip: Path, folder: Path, times: int) -> Path:
    """The packets of `clip` muxed `times` in a row; every copy starts with its key frame."""
    return _once(folder / f"{clip.stem}_x{times}.mp4", lambda to: _repeat(clip, to, times))


def mirrored(clip: Path, path: Path) -> Path:
    """The clip the other way round, encoded anew: another clip of the same length and kind."""

    def write(to: Path) -> None:
        with av.open(str(clip)) as source:
            stream = source.streams.video[0]
            frames = (frame.to_ndarray(format="rgb24")[:, ::-1] for frame in source.decode(stream))
            encode(to, frames, encoding(str(round(stream.average_rate)), preset="veryfast"))

    return _once(path, write)


def count_frames(clip: Path) -> int:
    """Number of video packets with data."""
    with av.open(str(clip)) as container:
        return sum(1 for packet in container.demux(container.streams.video[0]) if packet.size)


def _folder(work: Path) -> Path:
    return work / f"clips-{VERSION}"


def _once(path: Path, write: Callable[[Path], None]) -> Path:
    """`path`, written whole if it is not there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"part-{path.name}")
        write(part)
        part.rename(path)
    return path


def _drawn(folder: Path, number: int, width: int, height: int, seconds: int, crf: int = 21) -> Path:
    path = folder / f"drawn{number}_{height}p_{seconds}s.mp4"
    return _once(path, lambda to: _write(to, spec(number, width, height, seconds), crf))


def _write(path: Path, drawn: ClipSpec, crf: int) -> None:
    encode(path, frames_of(drawn), encoding(drawn.fps, crf))


def _window(path: Path, scene: int, start: int) -> None:
    drawn = spec(10 + scene, 854, 480, 4)
    encode(path, _cut(drawn, start, 50), encoding(drawn.fps, preset="veryfast"))


def _cut(drawn: ClipSpec, start: int, count: int) -> Iterator[np.ndarray]:
    return (render_frame(drawn, index).frame_rgb for index in range(start, start + count))


def _repeat(clip: Path, path: Path, times: int) -> None:
    with av.open(str(clip)) as source, av.open(str(path), "w") as sink:
        given = source.streams.video[0]
        stream = sink.add_stream_from_template(given)
        base = given.time_base
        packets = [
            (bytes(p), p.pts, p.dts, p.duration, p.is_keyframe)
            for p in source.demux(given)
            if p.size
        ]
        step = round(Fraction(len(packets)) / given.average_rate / base)
        for copy in range(times):
            for data, pts, dts, duration, key in packets:
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, base
                packet.pts, packet.dts = pts + copy * step, dts + copy * step
                packet.duration, packet.is_keyframe = duration, key
                sink.mux(packet)
