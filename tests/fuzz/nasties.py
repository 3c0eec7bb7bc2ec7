"""Files made to hurt: each aims at one known weakness of demuxers, decoders or their callers."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from tests.fuzz.bases import Base


def nasties(bases: Mapping[str, Base]) -> dict[str, bytes]:
    """Names and bytes; made from the bases plain.mp4, h264.mkv, mpeg4.avi, h264.ts, anim.gif."""
    mp4, gif = bases["plain.mp4"].data, bases["anim.gif"].data
    return {
        "one byte.mp4": b"\0",
        "zeros.mp4": bytes(1 << 16),
        "ones.mkv": b"\xff" * (1 << 16),
        "only ftyp.mp4": mp4[:32],
        "text.mov": b"1\n00:00:01,000 --> 00:00:02,000\nHello\n" * 50,
        "playlist.mp4": b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n",
        "concat.mkv": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "session.mp4": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5004 RTP/AVP 96\n",
        "nested boxes.mp4": _nested_boxes(mp4),
        "nested elements.mkv": bases["h264.mkv"].data[:40]
        + b"\x18\x53\x80\x67\x10\xff\xff\xff" * 900,
        "a thousand million samples.mp4": _samples(mp4, size=1, count=1 << 30),
        "a million million samples.mp4": _samples(mp4, size=0xFFFF_FFFF, count=0xFFFF_FFFF),
        "duration of nine quadrillion.mp4": _field(
            mp4, b"mdhd", 16, struct.pack(">I", 0xFFFF_FFFF)
        ),
        "time scale of one.mp4": _field(mp4, b"mdhd", 12, struct.pack(">I", 1)),
        "time scale of nothing.mp4": _field(mp4, b"mdhd", 12, bytes(4)),
        "steps of four thousand million.mp4": _field(mp4, b"stts", 12, b"\xff" * 4),
        "turned by nonsense.mp4": _field(mp4, b"tkhd", 40, b"\x80\0\0\0" * 9),
        "65535 squared.gif": gif[:6] + b"\xff" * 4 + gif[10:],
        "40960 px high.gif": gif[:8] + b"\x00\xa0" + gif[10:],
        "no size.gif": gif[:6] + bytes(4) + gif[10:],
        "four thousand million frames.avi": _field(
            bases["mpeg4.avi"].data, b"avih", 24, b"\xff" * 4
        ),
        "null packets.ts": (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 400,
        "tables alone.ts": bases["h264.ts"].data[: 188 * 3] * 200,
        "twice.mp4": mp4 * 2,
        "backwards.ts": b"".join(
            bases["h264.ts"].data[place : place + 188]
            for place in range(len(bases["h264.ts"].data) - 188, -1, -188)
        ),
    }


def _field(data: bytes, box: bytes, offset: int, value: bytes) -> bytes:
    """`value` written `offset` bytes behind the name of the first such box or chunk."""
    place = data.index(box) + len(box) + offset
    return data[:place] + value + data[place + len(value) :]


def _samples(data: bytes, size: int, count: int) -> bytes:
    """An index that gives all samples one size, so that a count takes no room in the file."""
    return _field(data, b"stsz", 4, struct.pack(">II", size, count))


def _nested_boxes(data: bytes) -> bytes:
    body = b""
    for _ in range(5000):
        body = struct.pack(">I4s", 8 + len(body), b"moov") + body
    return data[:32] + body
