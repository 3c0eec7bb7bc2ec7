"""Writes sound but unusual clips: odd clocks, turned or stretched pictures, deep colour, damage.

Each is drawn so that what a viewer should see is `render_frame(spec, k)` for frame k.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from tests.generator.encode import Encoding, encode, encoding_of, frames_of, write_clip
from tests.generator.faults import FileTruth
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec

HOUR_MS = 3_600_000
# tkhd matrices (a, b, c, d) by degrees that a player turns the picture clockwise.
TURNS = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


def _truth(path: Path, spec: ClipSpec, **facts) -> FileTruth:
    return FileTruth(path, "OK", spec.n_frames, spec.fps, spec, bool(spec.figures), facts)


def with_pts(path: Path, spec: ClipSpec, pts_ms: Sequence[int]) -> FileTruth:
    """A Matroska clip whose frame k is shown at `pts_ms[k]` milliseconds."""
    encoding = replace(
        encoding_of(spec), container="matroska", time_base="1/1000", pts=pts_ms, b_frames=0
    )
    encode(path, frames_of(spec), encoding)
    return _truth(path, spec, pts_ms=list(pts_ms))


def variable_rate(path: Path, spec: ClipSpec, seed: int = 0) -> FileTruth:
    """A clip with uneven times between frames (from 10 to 120 ms)."""
    steps = np.random.default_rng([seed, 43]).integers(10, 121, spec.n_frames - 1)
    return with_pts(path, spec, [0, *(int(v) for v in np.cumsum(steps))])


def hour_gap(path: Path, spec: ClipSpec) -> FileTruth:
    """A clip whose clock jumps by one hour half way."""
    step, half = Fraction(1000) / Fraction(spec.fps), spec.n_frames // 2
    pts = [round(k * step) + (HOUR_MS if k >= half else 0) for k in range(spec.n_frames)]
    return with_pts(path, spec, pts)


def rotated(path: Path, spec: ClipSpec, degrees: int, mirrored: bool = False) -> FileTruth:
    """An mp4 that a player must turn clockwise by 0, 90, 180 or 270 degrees to stand upright, and
    then mirror left and right, if it is to be `mirrored`.
    """
    frames = (np.ascontiguousarray(np.rot90(f, degrees // 90)) for f in frames_of(spec))
    encode(path, frames, encoding_of(spec))
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4
    matrix = start + (52 if data[start] == 1 else 40)
    a, b, c, d = (v * 65536 for v in TURNS[degrees])
    if mirrored:
        a, c = -a, -c
    data[matrix : matrix + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return _truth(path, spec, clockwise_degrees=degrees)


def cropped_by_container(path: Path, spec: ClipSpec, top: int, left: int) -> FileTruth:
    """A .mov whose clean aperture leaves out `top` rows and `left` columns of white at either side
    of the picture; any other ending gets the same stream, cropped as that container says it.
    """
    edges = ((top, top), (left, left), (0, 0))
    frames = (np.pad(frame, edges, constant_values=255) for frame in frames_of(spec))
    film = path.with_suffix(".mov")
    encode(film, frames, encoding_of(spec))
    add_clean_aperture(film, (spec.width, 1, spec.height, 1, 0, 1, 0, 1))
    if film != path:
        with av.open(str(film)) as source, av.open(str(path), "w") as copy:
            stream = copy.add_stream_from_template(source.streams.video[0], opaque=True)
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    copy.mux(packet)
    return _truth(path, spec, cropped=f"{top}:{top}:{left}:{left}")


def cropped_by_codec(path: Path, spec: ClipSpec, left: int, top: int) -> FileTruth:
    """A clip with white at its left and top, which H.264's own cropping leaves out."""
    edges = ((top, 0), (left, 0), (0, 0))
    frames = (np.pad(frame, edges, constant_values=255) for frame in frames_of(spec))
    options = {"crf": "20", "preset": "veryfast", "x264-params": f"crop-rect={left},{top},0,0"}
    encode(path, frames, replace(encoding_of(spec), options=options))
    return _truth(path, spec)


def add_clean_aperture(path: Path, numbers: Sequence[int], codec: bytes = b"avc1") -> None:
    """Put a box `clap` into the sample entry `codec` of a .mov of one track that PyAV has written.

    `numbers` are the fractions of ISO/IEC 14496-12, 12.1.4: width, height, and how far the middle
    lies to the right and below that of the stored picture.
    """
    data = bytearray(path.read_bytes())
    entry = data.index(codec, data.index(b"stsd")) - 4
    holders = [data.rindex(name, 0, entry) - 4 for name in _HOLDERS] + [entry]
    box = struct.pack(">I4s8i", 40, b"clap", *numbers)
    end = entry + struct.unpack_from(">I", data, entry)[0]
    data[end:end] = box
    for start in holders:
        size = struct.unpack_from(">I", data, start)[0]
        struct.pack_into(">I", data, start, size + len(box))
    path.write_bytes(data)


_HOLDERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def anamorphic(path: Path, spec: ClipSpec) -> FileTruth:
    """A clip stored at half its width with a sample aspect ratio of 2:1."""
    half = (spec.width // 4 * 2, spec.height)
    frames = (cv2.resize(f, half, interpolation=cv2.INTER_AREA) for f in frames_of(spec))
    encode(path, frames, replace(encoding_of(spec), sar="2"))
    return _truth(path, spec, stored_size=half, sar="2:1")


def hevc_10bit(path: Path, spec: ClipSpec) -> FileTruth:
    """A 10-bit HEVC clip, BT.709."""
    options = {"crf": "20", "preset": "ultrafast"}
    encoding = Encoding(
        fps=spec.fps, codec="libx265", pix_fmt="yuv420p10le", b_frames=0, options=options
    )
    encode(path, frames_of(spec), encoding)
    return _truth(path, spec, pix_fmt="yuv420p10le")


def pq_from_srgb(frame_rgb: np.ndarray, white_nits: float = 203.0) -> np.ndarray:
    """sRGB uint8 pictures as 8-bit PQ code values (SMPTE ST 2084), in BT.2020 primaries.

    Diffuse white lies at 203 cd/m2 (ITU-R BT.2408).
    """
    light = (frame_rgb / 255.0).astype(np.float32) ** 2.2
    to_2020 = np.array(
        [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    )
    y = np.clip(light @ to_2020.T.astype(np.float32) * (white_nits / 10000.0), 0, 1)
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    p = y**m1
    return np.round(255 * ((c1 + c2 * p) / (1 + c3 * p)) ** m2).astype(np.uint8)


def hdr_pq(path: Path, spec: ClipSpec) -> FileTruth:
    """A 10-bit HEVC clip in BT.2020 PQ; shown right it looks like the spec's frames."""
    options = {
        "crf": "16",
        "preset": "ultrafast",
        "x265-params": "colorprim=9:transfer=16:colormatrix=9",
    }
    encoding = Encoding(
        fps=spec.fps,
        codec="libx265",
        pix_fmt="yuv420p10le",
        b_frames=0,
        colours=(9, 16, 9),
        options=options,
    )
    encode(path, (pq_from_srgb(f) for f in frames_of(spec)), encoding)
    return _truth(path, spec, transfer="smpte2084", primaries="bt2020")


def interlaced(path: Path, spec: ClipSpec) -> FileTruth:
    """A top-field-first clip: frame k weaves the rows of the spec's frames 2k (top) and 2k + 1.

    It has half the spec's frames, at half its rate.
    """

    def woven():
        for k in range(spec.n_frames // 2):
            frame_rgb = render_frame(spec, 2 * k).frame_rgb.copy()
            frame_rgb[1::2] = render_frame(spec, 2 * k + 1).frame_rgb[1::2]
            yield frame_rgb

    options = {"crf": "18", "preset": "veryfast", "flags": "+ildct+ilme", "x264-params": "tff=1"}
    rate = str(Fraction(spec.fps) / 2)
    encode(path, woven(), Encoding(fps=rate, b_frames=0, options=options))
    return FileTruth(
        path, "OK", spec.n_frames // 2, rate, spec, bool(spec.figures), {"field_order": "tt"}
    )


def damaged(path: Path, spec: ClipSpec, seed: int = 0) -> FileTruth:
    """A clip in which the packets of the middle frames up to the next key frame hold noise.

    `facts` name the damaged byte range (start, end) and the frames that it spoils (first,
    last + 1).
    """
    spec = replace(spec, b_frames=0)
    write_clip(spec, path)
    with av.open(str(path)) as container:
        places = [(p.pos, p.size, p.is_keyframe) for p in container.demux(video=0) if p.size]
    keys = [k for k, place in enumerate(places) if place[2]] + [len(places)]
    first = spec.n_frames // 3
    last = next(k for k in keys if k > first)
    start, end = (
        places[first][0] + 8,
        places[min(first + 3, last - 1)][0] + places[min(first + 3, last - 1)][1],
    )
    data = bytearray(path.read_bytes())
    data[start:end] = np.random.default_rng([seed, 47]).bytes(end - start)
    path.write_bytes(data)
    return _truth(path, spec, damaged_bytes=[start, end], spoilt_frames=[first, last])
