"""Is data of a transport stream's first frame missing? FFmpeg does not say.

Its flag for a gap is on the packet that its parser hands on when it is given the data: for that of
the first frame there is none. So the counters of its packets are looked at here (ISO/IEC 13818-1,
2.4.3), by FFmpeg's own rule, and a packet that is sent twice is none that is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from av import VideoStream

from ferrari.video.containers import container_of

_READ_BYTES = 8 << 20  # a first frame that is larger is looked at so far
_SYNC = 0x47
#: Where a packet starts, and the bytes from packet to packet; BDAV puts a time before each.
_LAYOUTS = ((0, 188), (4, 192))


def first_frame_has_one(stream: VideoStream) -> bool:
    """Whether a packet is missing between the first two starts of the stream's frames."""
    container = container_of(stream)
    if "mpegts" not in container.format.name:
        return False
    with open(container.name.removeprefix("file:"), "rb") as file:
        data = file.read(_READ_BYTES)
    starts, last = 0, -1
    for packet in _of(data, stream.id):
        starts += bool(packet[1] & 0x40)
        if not starts:
            continue
        counter, has_data, has_fields = packet[3] & 15, packet[3] & 16, packet[3] & 32
        announced = has_fields and packet[4] and packet[5] & 128
        due = (last, (last + 1) % 16) if has_data else (last,)
        if last >= 0 and counter not in due and not announced:
            return True
        if starts == 2:
            return False
        last = counter
    return False


def _of(data: bytes, pid: int) -> Iterator[bytes]:
    """The packets of one stream, as far as they follow one another without a hole."""
    first, step = next(
        ((a, n) for a, n in _LAYOUTS if data[a : a + 2 * n : n] == bytes([_SYNC, _SYNC])), (0, 0)
    )
    places = range(first, len(data) - 187, step) if step else range(0)
    for place in takewhile(lambda at: data[at] == _SYNC, places):
        if int.from_bytes(data[place + 1 : place + 3], "big") & 0x1FFF == pid:
            yield data[place : place + 188]
