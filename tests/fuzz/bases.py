"""The small sound clips that mutants are made from, in many containers and codecs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.generator.encode import encode, encoding_of, frames_of
from tests.generator.spec import ClipSpec, FigureSpec

_MPEG4 = {"codec": "mpeg4", "options": {"qscale": "3"}, "b_frames": 0}
_VPX = {"options": {"b": "400k", "deadline": "realtime", "cpu-used": "8"}, "b_frames": 0}
_HEVC = {"codec": "libx265", "options": {"preset": "ultrafast", "crf": "20"}}
_EXACT = {"container_options": {"fflags": "bitexact"}}  # no random ids
_LACED = {"crf": "18", "preset": "veryfast", "flags": "+ildct+ilme", "x264-params": "tff=1"}
#: name -> what differs from an H.264 clip of 25 frames a second with B-frames
ENCODINGS: dict[str, dict] = {
    "plain.mp4": {},
    "faststart.mp4": {"container_options": {"movflags": "faststart"}},
    "fragmented.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "interlaced.mov": {"options": _LACED, "b_frames": 0},
    "hevc.mp4": _HEVC,
    "h264.mkv": _EXACT,
    "hevc10.mkv": {**_EXACT, **_HEVC, "pix_fmt": "yuv420p10le", "b_frames": 0},
    "vp8.webm": {**_EXACT, "codec": "libvpx", **_VPX},
    "vp9.webm": {**_EXACT, "codec": "libvpx-vp9", **_VPX},
    "mpeg4.avi": _MPEG4,
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "options": {}, "b_frames": 0},
    "h264.ts": {},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"b": "800k"}},
    "h264.flv": {},
    "anim.gif": {"codec": "gif", "pix_fmt": "rgb8", "options": {}, "b_frames": 0},
    "raw.h264": {"container": "h264"},
}


@dataclass(frozen=True)
class Base:
    """A sound clip: its name, its bytes and the frames in it (N x HxWx3 uint8 RGB)."""

    name: str
    data: bytes
    frames_rgb: list[np.ndarray] = field(repr=False)

    @property
    def suffix(self) -> str:
        """The name's suffix, with its dot."""
        return Path(self.name).suffix


def write_bases(folder: Path, names: tuple[str, ...] = tuple(ENCODINGS)) -> list[Base]:
    """Encode the base clips into `folder` (made if need be); the same bytes every time."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name in names:
        number = list(ENCODINGS).index(name)
        spec = ClipSpec(
            seed=700 + number, width=128 if number % 3 else 96, height=96, fps="25", n_frames=36,
            gop=12, scenes=("room", "street"), cuts=(20,),
            figures=(FigureSpec(seed=900 + number, framing="half", motion="wave"),),
        )  # fmt: skip
        path = folder / name
        encode(path, frames_of(spec), replace(encoding_of(spec), **ENCODINGS[name]))
        found.append(Base(name, path.read_bytes(), _decode(path)))
    return found


def _decode(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def duration_s(base: Base) -> Fraction:
    """Length of a base clip at its 25 frames a second."""
    return Fraction(len(base.frames_rgb), 25)
