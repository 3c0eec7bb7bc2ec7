"""Kinds of clip, small ones, and which of them a card of the GA102 kind decodes to the end.

Whatever it does, each has to end as it does where the CPU decodes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import av
import numpy as np

from tests.generator import faults, oddities, wrappers
from tests.generator.encode import Encoding, encode, frames_of
from tests.generator.spec import ClipSpec, FigureSpec

SPEC = ClipSpec(
    seed=3, width=256, height=192, fps="25", n_frames=40, gop=10,
    figures=(FigureSpec(seed=5, framing="half", motion="wave"),),
)  # fmt: skip
#: Twelve groups, of pictures that change from one to the next as those of people do: the drawn
#: figure waves six times as fast as it is encoded here.
LONG = replace(SPEC, n_frames=120, fps="150")
X264 = {"preset": "ultrafast"}
#: From a path to the clip there.
Make = Callable[[Path], object]


@cache
def _drawn(spec: ClipSpec) -> list[np.ndarray]:
    return list(frames_of(spec))


def _encoded(path: Path, spec: ClipSpec = SPEC, **encoding) -> None:
    encode(path, _drawn(spec), Encoding(**{"gop": 10, "options": X264, **encoding}))


def _hevc(pix_fmt: str = "yuv420p", params: str = "bframes=2") -> Make:
    options = {"preset": "ultrafast", "x265-params": params}
    return partial(_encoded, codec="libx265", options=options, pix_fmt=pix_fmt)


def _plain(codec: str, pix_fmt: str = "yuv420p", **options: str) -> Make:
    return partial(_encoded, codec=codec, pix_fmt=pix_fmt, options=options, b_frames=0)


def _interlaced_mpeg2(path: Path) -> None:
    rows = _drawn(SPEC)
    woven = [rows[0].copy() for _ in range(20)]
    for k, frame in enumerate(woven):
        frame[::2], frame[1::2] = rows[2 * k][::2], rows[2 * k + 1][1::2]
    options = {"flags": "+ildct+ilme", "b": "4M"}
    encode(path, woven, Encoding(codec="mpeg2video", gop=10, b_frames=0, options=options))


def _full_range(path: Path) -> None:
    _encoded(path, options={**X264, "x264-params": "fullrange=on"})


def _cut_off(path: Path) -> None:
    _encoded(path, LONG)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])


def _begins_between_key_frames(path: Path) -> None:
    whole = path.with_name(f"whole.{path.name}")
    _encoded(whole, b_frames=0)
    wrappers.cut_packets(path, whole, 3)
    whole.unlink()


def _wiped(path: Path) -> None:
    """The first bytes of the first picture are all that is left of the pictures."""
    _encoded(path, gop=50)
    places = _places(path)
    data = bytearray(path.read_bytes())
    start, end = places[0][0] + 900, max(pos + size for pos, size in places)
    data[start:end] = bytes(end - start)
    path.write_bytes(data)


def damage_inside(path: Path, pictures: Sequence[int]) -> None:
    """Change the coded data of some pictures, and nothing by which a parser would notice."""
    places = _places(path)
    data = bytearray(path.read_bytes())
    for number in pictures:
        pos, size = places[number]
        middle = np.frombuffer(data, np.uint8)[pos + size // 3 : pos + size - 8]
        middle ^= np.random.default_rng(number).integers(1, 256, len(middle), np.uint8) & 0x77
    path.write_bytes(data)


def damaged_inside(
    path: Path, pictures: Sequence[int], spec: ClipSpec = SPEC, preset: str = "ultrafast"
) -> None:
    """A clip of H.264 in which some pictures have changed data, and nothing else has."""
    _encoded(path, spec, b_frames=0, options={"preset": preset})
    damage_inside(path, pictures)


def _places(path: Path) -> list[tuple[int, int]]:
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


def _joined(path: Path, *codecs: str) -> None:
    spec = replace(SPEC, n_frames=20)
    options = {"libx264": X264, "mpeg2video": {"b": "4M"}}
    parts = [Encoding(codec=c, gop=10, b_frames=0, options=options[c]) for c in codecs]
    wrappers.joined(path, [(spec, part) for part in parts])


def _of(make: Callable, **given) -> Make:
    return lambda path: make(path, SPEC, **given)


#: name -> how it is made, and whether the card decodes it
KINDS: dict[str, tuple[Make, bool]] = {
    "h264.mp4": (_encoded, True),
    "h264_10.mp4": (partial(_encoded, pix_fmt="yuv420p10le"), False),
    "h264_422.mp4": (partial(_encoded, pix_fmt="yuv422p"), False),
    "h264_444.mp4": (partial(_encoded, pix_fmt="yuv444p"), False),
    "h264_full_range.mp4": (_full_range, True),
    "h264_wide.mp4": (partial(_encoded, spec=replace(SPEC, width=4160, height=96)), False),
    "h264_interlaced.mp4": (_of(oddities.interlaced), True),
    "hevc.mp4": (_hevc(), True),
    "hevc_open_groups.mp4": (_hevc(params="bframes=2:open-gop=1"), True),
    "hevc_10.mp4": (_hevc("yuv420p10le"), True),
    "hevc_12.mp4": (_hevc("yuv420p12le"), True),
    "hevc_422.mp4": (_hevc("yuv422p10le"), False),
    "hevc_444.mp4": (_hevc("yuv444p"), True),
    "hevc_hdr.mp4": (_of(oddities.hdr_pq), True),
    "motion_420.avi": (_plain("mjpeg", "yuvj420p"), True),
    "motion_422.avi": (_plain("mjpeg", "yuvj422p"), False),
    "mpeg2.mkv": (partial(_encoded, codec="mpeg2video", options={"b": "4M"}), True),
    "mpeg2_interlaced.mkv": (_interlaced_mpeg2, True),
    "mpeg4.avi": (partial(_encoded, codec="mpeg4", options={}), True),
    "vp8.webm": (_plain("libvpx", deadline="realtime"), True),
    "vp9.webm": (_plain("libvpx-vp9", **{"deadline": "realtime", "cpu-used": "8"}), True),
    "av1.mkv": (_plain("libsvtav1", preset="12"), False),
    "prores.mov": (_plain("prores_ks", "yuv422p10le"), False),
    "uneven_times.mkv": (_of(oddities.variable_rate), True),
    "gap.mkv": (_of(oddities.hour_gap), True),
    "turned.mp4": (_of(oddities.rotated, degrees=90), True),
    "wide_pixels.mp4": (_of(oddities.anamorphic), True),
    "cropped_by_container.mov": (_of(oddities.cropped_by_container, top=16, left=32), True),
    "cropped_by_codec.mp4": (_of(oddities.cropped_by_codec, top=16, left=32), False),
    "odd_size.mp4": (_of(faults.odd_size), False),
    "odd_macroblocks.mp4": (partial(_encoded, spec=replace(SPEC, width=250, height=186)), True),
    "one_frame.mp4": (_of(faults.one_frame), True),
    "three_frames.mp4": (partial(_encoded, spec=replace(SPEC, n_frames=3)), True),
    "hidden_start.mp4": (_of(wrappers.cut_without_encoding, start=15), True),
    "aspect_changes.ts": (_of(wrappers.aspect_switch, aspects=("1", "2")), False),
    "codec_changes.ts": (lambda path: _joined(path, "libx264", "mpeg2video"), False),
    "joined.ts": (lambda path: _joined(path, "libx264", "libx264"), False),
    "begins_between_key_frames.mp4": (_begins_between_key_frames, True),
    "cut_off.mkv": (_cut_off, False),
    "wiped.mp4": (_wiped, False),
    "damaged_start.mp4": (partial(damaged_inside, pictures=[0]), False),
    "damaged_packets.mp4": (_of(oddities.damaged), False),
    "damaged_inside.mp4": (partial(damaged_inside, pictures=[3, 4]), False),
    "damaged_inside_late.mp4": (partial(damaged_inside, pictures=[71, 72], spec=LONG), False),
}


def write(folder: Path, *names: str) -> list[Path]:
    """Write the clips of these kinds; their paths."""
    paths = [folder / name for name in names]
    for path in paths:
        KINDS[path.name][0](path)
    return paths
