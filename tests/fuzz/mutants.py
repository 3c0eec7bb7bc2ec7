"""Seeded damage to clips: mutant N of seed S is the same bytes for ever (with the same encoders).

Each mutation takes a base clip's bytes and a random generator and gives the damaged bytes; those
that know the container's structure fall back to plain damage where it is another container.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import av
import numpy as np

from tests.fuzz.bases import Base

_LATEST = 2**63 - 1
_EXTREMES = (0, 1, 7, 8, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0xFFFF_FFF0)
_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex"}
_EBML_PARENTS = {0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0x1F43B675, 0x1C53BB6B, 0x1254C367}
_EXACT = {"fflags": "bitexact"}
_MUXERS = {
    **{".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"},
    **{".ts": "mpegts", ".mpg": "vob", ".flv": "flv", ".gif": "gif", ".h264": "h264"},
}


@dataclass(frozen=True)
class Mutant:
    """A damaged clip: its name says number, mutation and base; `of` are the clips in it."""

    name: str
    mutation: str
    data: bytes
    of: tuple[Base, ...]


def mutant(number: int, seed: int, bases: Sequence[Base]) -> Mutant:
    """Mutant `number` of `seed`."""
    rng = np.random.default_rng([seed, number])
    base = bases[int(rng.integers(len(bases)))]
    name = list(MUTATIONS)[int(rng.integers(len(MUTATIONS)))]
    of = (base,)
    if name == "splice":
        other = bases[int(rng.integers(len(bases)))]
        of = (base, other)
        data = _splice(base.data, other.data, rng)
    else:
        data = MUTATIONS[name](base, rng)
    return Mutant(f"{seed}-{number:06d}-{name}-{base.name}", name, data, of)


def flips(base: Base, rng) -> bytes:
    """Single bits turned over, from one in a clip to one in a hundred bits' bytes."""
    data = np.frombuffer(base.data, np.uint8).copy()
    density = 10.0 ** -rng.integers(2, 6)
    count = max(1, rng.binomial(data.size, density))
    places = rng.integers(data.size, size=count)
    np.bitwise_xor.at(data, places, (1 << rng.integers(8, size=count)).astype(np.uint8))
    return data.tobytes()


def truncate(base: Base, rng) -> bytes:
    """The clip's beginning alone."""
    return base.data[: int(rng.integers(1, len(base.data)))]


def _splice(first: bytes, second: bytes, rng) -> bytes:
    return first[: int(rng.integers(len(first)))] + second[int(rng.integers(len(second))) :]


def header(base: Base, rng) -> bytes:
    """Random bytes among the first 4 KiB."""
    data = bytearray(base.data)
    for place in rng.integers(min(4096, len(data)), size=int(rng.integers(1, 65))):
        data[place] = int(rng.integers(256))
    return bytes(data)


def lost_blocks(base: Base, rng) -> bytes:
    """A stretch of zeros, ones or noise, as a bad disk or a lost packet leaves it."""
    data = bytearray(base.data)
    start, end = _range(len(data), rng)
    fill = int(rng.integers(3))
    data[start:end] = rng.bytes(end - start) if fill == 2 else bytes([255 * fill]) * (end - start)
    return bytes(data)


def cut_out(base: Base, rng) -> bytes:
    """A stretch missing: everything behind it lies elsewhere than the index says."""
    start, end = _range(len(base.data), rng)
    return base.data[:start] + base.data[end:]


def repeat(base: Base, rng) -> bytes:
    """A stretch that is there twice."""
    start, end = _range(len(base.data), rng)
    return base.data[:end] + base.data[start:]


def numbers(base: Base, rng) -> bytes:
    """Fields of four or eight bytes near the beginning or the end set to extremes."""
    data = bytearray(base.data)
    reach = min(4096, len(data) - 8)
    for _ in range(int(rng.integers(1, 9))):
        place = int(rng.integers(reach))
        place = place if rng.integers(2) else len(data) - 8 - place
        value = _EXTREMES[int(rng.integers(len(_EXTREMES)))]
        order = "<" if rng.integers(2) else ">"
        field = struct.pack(f"{order}{'I' if rng.integers(2) else 'Q'}", value)
        data[place : place + len(field)] = field
    return bytes(data)


def boxes(base: Base, rng) -> bytes:
    """Sizes, or the first fields, of mp4 boxes: 0, 1, huge, overlapping the box behind."""
    found = list(_boxes(base.data, 0, len(base.data)))
    if not found:
        return numbers(base, rng)
    data = bytearray(base.data)
    for _ in range(int(rng.integers(1, 4))):
        place, size = found[int(rng.integers(len(found)))]
        near = (size * 2, max(0, size - 1), size + 1, len(data))
        choices = (*_EXTREMES, *near)
        value = choices[int(rng.integers(len(choices)))] & 0xFFFF_FFFF
        inside = place + 8 + 4 * int(rng.integers(6))
        where = place if rng.integers(2) or inside + 4 > len(data) else inside
        data[where : where + 4] = struct.pack(">I", value)
    return bytes(data)


def elements(base: Base, rng) -> bytes:
    """Sizes of Matroska elements: unknown, nothing, huge."""
    found = list(_elements(base.data, 0, len(base.data)))
    if not found:
        return header(base, rng)
    data = bytearray(base.data)
    for _ in range(int(rng.integers(1, 4))):
        place, length = found[int(rng.integers(len(found)))]
        mark = 1 << (8 - length)
        kind = int(rng.integers(4))
        if kind == 0:
            size = bytes([mark | (mark - 1)]) + b"\xff" * (length - 1)
        elif kind == 1:
            size = bytes([mark]) + b"\0" * (length - 1)
        elif kind == 2:
            size = bytes([mark | (mark - 1) >> 1]) + b"\xfe" * (length - 1)
        else:
            size = rng.bytes(length)
        data[place : place + length] = size
    return bytes(data)


def packets(base: Base, rng) -> bytes:
    """Packets dropped, repeated, swapped or with odd times, muxed anew.

    What a muxer refuses half way stays half written, as a recorder that crashed leaves it.
    """
    source = av.open(io.BytesIO(base.data))
    sink = io.BytesIO()
    with source, av.open(sink, "w", format=_MUXERS[base.suffix], options=_EXACT) as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        found = [packet for packet in source.demux(video=0) if packet.size]
        kind = int(rng.integers(5))
        for index in rng.integers(len(found), size=int(rng.integers(1, 6))):
            _damage_packets(found, int(index) % len(found), kind, rng)
        for packet in found:
            packet.stream = stream
            try:
                container.mux(packet)
            except (av.FFmpegError, ValueError, OverflowError):
                continue
    return sink.getvalue()


def _damage_packets(found: list, index: int, kind: int, rng) -> None:
    packet = found[index]
    if kind == 0 and len(found) > 1:
        del found[index]
    elif kind == 1:
        data = bytearray(bytes(packet))
        data[: int(rng.integers(len(data)))] = b""
        new = av.Packet(bytes(data) or b"\0")
        new.pts, new.dts, new.time_base = packet.pts, packet.dts, packet.time_base
        found[index] = new
    elif kind == 2:
        found[index], found[index - 1] = found[index - 1], found[index]
    elif kind == 3:
        shift = int(rng.choice([10**4, 10**7, 2**31, 2**40, 2**62]))
        for later in found[index:]:
            if later.pts is not None and later.dts is not None:
                later.pts = min(later.pts + shift, _LATEST)
                later.dts = min(later.dts + shift, _LATEST)
    elif packet.pts is not None:
        packet.pts = packet.pts + int(rng.choice([-(10**6), 10**6, 2**33]))
        packet.duration = int(rng.choice([0, 10**9, 2**40]))


def _range(length: int, rng) -> tuple[int, int]:
    start = int(rng.integers(length))
    return start, min(length, start + 1 + int(length * rng.random() ** 3 / 2))


def _boxes(data: bytes, start: int, end: int):
    """(place, size) of each box and those inside it."""
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        if size < 8 or start + size > end or not kind.isalnum():
            return
        yield start, size
        if kind in _PARENTS:
            yield from _boxes(data, start + 8, start + size)
        start += size


def _elements(data: bytes, start: int, end: int):
    """(place of the size, its length) of each EBML element and those inside it."""
    if start == 0 and data[:4] != b"\x1a\x45\xdf\xa3":
        return
    while start + 2 <= end:
        id_length = 9 - data[start].bit_length()
        place = start + id_length
        if id_length > 4 or place >= end:
            return
        length = 9 - data[place].bit_length()
        if length > 8:
            return
        size = int.from_bytes(data[place : place + length], "big") & ((1 << 7 * length) - 1)
        body = place + length
        if body + size > end:
            return
        yield place, length
        if int.from_bytes(data[start:place], "big") in _EBML_PARENTS:
            yield from _elements(data, body, body + size)
        start = body + size


#: Every mutation by name; the order decides what a number means. `splice` takes two clips.
MUTATIONS: dict[str, Callable[..., bytes]] = {
    "flips": flips,
    "truncate": truncate,
    "splice": _splice,
    "header": header,
    "lost_blocks": lost_blocks,
    "cut_out": cut_out,
    "repeat": repeat,
    "numbers": numbers,
    "boxes": boxes,
    "elements": elements,
    "packets": packets,
}
