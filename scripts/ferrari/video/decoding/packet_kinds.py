"""What a packet says about its frame before decoding: do other frames depend on it?

Read are the few bytes that a decoder itself goes by (H.264: ITU-T H.264 7.3.1 and 7.4.1; HEVC:
ITU-T H.265 7.3.1.2 and table 7-1), and nothing is guessed: what is not understood, or is unusual,
raises NotUnderstoodError, and the clip is decoded in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ferrari.common.errors import FerrariError

#: Bits of a packet's kind. Nothing at or behind a RESTART (in the order of decoding) depends on
#: anything before it; no frame is made from a DISPOSABLE one.
RESTART, DISPOSABLE = 1, 2
_LAYER_SHIFT = 2  # HEVC: the temporal layer lies in the bits above
#: Codecs whose packets each hold one whole frame.
_ALONE = {"prores", "dnxhd", "png", "rawvideo", "v210", "jpeg2000", "huffyuv"}

#: A packet's bytes to its kind.
Classifier = Callable[[bytes | memoryview], int]


class NotUnderstoodError(FerrariError, ValueError):
    """The stream is not one whose packets can be told apart; the message says why."""


def classifier(codec: str, extradata: bytes | None) -> Classifier:
    """A function from a packet's bytes to its kind, for one clip; call it for every packet.

    `extradata` is the stream's, as the container has it, None if it has none. Raises
    NotUnderstoodError, as the function does.
    """
    if codec in _ALONE:
        return lambda data: RESTART | DISPOSABLE
    if codec == "mjpeg":
        return _Mjpeg()
    if codec == "h264":
        return _H264(extradata or b"")
    if codec == "hevc":
        return _Hevc(extradata or b"")
    raise NotUnderstoodError(f"packets of {codec} are not looked into")


def settled(kinds: bytearray) -> bytearray:
    """Kinds of all packets of a clip, the layers taken out.

    HEVC's "sub-layer non-reference" pictures are free only in the highest temporal layer.
    """
    highest = max((kind >> _LAYER_SHIFT for kind in set(kinds)), default=0)
    table = bytes(
        kind & (RESTART | DISPOSABLE) if kind >> _LAYER_SHIFT == highest else kind & RESTART
        for kind in range(256)
    )
    return kinds.translate(table)


class _Mjpeg:
    """JPEG pictures with their own quantisation; Huffman tables in each of them, or in none."""

    def __init__(self) -> None:
        self._own_codes: bool | None = None

    def __call__(self, data: bytes | memoryview) -> int:
        head = bytes(data[:4096])
        scan = head.find(b"\xff\xda")
        own_codes = 0 <= head.find(b"\xff\xc4") < scan
        if not 0 <= head.find(b"\xff\xdb") < scan:
            raise NotUnderstoodError("a JPEG picture without tables of its own")
        if self._own_codes not in (None, own_codes):
            raise NotUnderstoodError("JPEG pictures with and without Huffman tables")
        self._own_codes = own_codes
        return RESTART | DISPOSABLE


class _H264:
    """One progressive frame a packet, of NAL units behind their lengths or behind start codes."""

    _OTHER = frozenset({6, 8, 9, 12})  # SEI, picture parameters, access unit delimiter, filler

    def __init__(self, extradata: bytes) -> None:
        self._length_bytes = 0
        if extradata[:1] == b"\x01" and len(extradata) > 6:
            self._length_bytes = (extradata[4] & 3) + 1
            parameters = _avcc_parameters(extradata)
        else:
            parameters = list(_by_start_codes(extradata))
        for unit in parameters:
            if len(unit) and unit[0] & 31 == 7:
                _only_frames(unit)

    def __call__(self, data: bytes | memoryview) -> int:
        pictures, kinds, references = 0, set(), set()
        for unit in _units(data, self._length_bytes):
            kind = unit[0] & 0x9F  # with the bit that has to be 0
            if kind in (1, 5):
                pictures += unit[1] >> 7  # first_mb_in_slice is 0: the code 1
                kinds.add(kind)
                references.add(unit[0] & 0x60 > 0)
            elif kind == 7:
                _only_frames(unit)
            elif kind not in self._OTHER:
                raise NotUnderstoodError(f"a NAL unit of type {kind}")
        if pictures != 1 or len(kinds) != 1 or len(references) != 1:
            raise NotUnderstoodError("a packet that does not hold one frame")
        if kinds == {5}:
            return RESTART
        return 0 if references == {True} else DISPOSABLE


class _Hevc:
    """One frame a packet; CRA pictures are no restart, for what leads them leans on both sides."""

    _REFERENCES, _FREE = frozenset({1, 3, 5, 7, 9, 21}), frozenset({0, 2, 4, 6, 8})
    _IDR = frozenset({19, 20})

    def __init__(self, extradata: bytes) -> None:
        self._length_bytes = 0
        if extradata[:1] == b"\x01" and len(extradata) > 22:
            self._length_bytes = (extradata[21] & 3) + 1

    def __call__(self, data: bytes | memoryview) -> int:
        pictures, kinds = 0, set()
        for unit in _units(data, self._length_bytes):
            kind, layer = unit[0] >> 1 & 63, (unit[0] & 1) << 5 | unit[1] >> 3
            if layer or unit[0] & 0x80:
                raise NotUnderstoodError("a picture of another layer")
            if kind < 32:
                pictures += unit[2] >> 7  # first_slice_segment_in_pic_flag
                kinds.add((kind, (unit[1] & 7) - 1))
            elif 36 <= kind <= 37 or 41 <= kind < 48:
                raise NotUnderstoodError(f"a NAL unit of type {kind}")
        if pictures != 1 or len(kinds) != 1:
            raise NotUnderstoodError("a packet that does not hold one frame")
        kind, temporal = kinds.pop()
        if kind in self._IDR:
            return RESTART | temporal << _LAYER_SHIFT
        if kind not in self._REFERENCES | self._FREE or temporal < 0:
            raise NotUnderstoodError(f"a picture of type {kind}")
        return temporal << _LAYER_SHIFT | (DISPOSABLE if kind in self._FREE else 0)


def _units(data: bytes | memoryview, length_bytes: int) -> Iterator[bytes | memoryview]:
    """The NAL units of a packet, each of three bytes or more; they must fill it to its end."""
    units = _by_lengths(data, length_bytes) if length_bytes else _by_start_codes(data)
    for unit in units:
        if len(unit) < 3:
            if len(unit) == 2 and unit[0] & 31 == 9:  # H.264's access unit delimiter
                continue
            raise NotUnderstoodError("a NAL unit that is too short")
        yield unit


def _by_lengths(data: bytes | memoryview, length_bytes: int) -> Iterator[bytes | memoryview]:
    place, end = 0, len(data)
    while place < end:
        start = place + length_bytes
        place = start + int.from_bytes(data[place:start], "big")
        if place > end or start >= place:
            raise NotUnderstoodError("NAL units that do not fill their packet")
        yield data[start:place]


def _by_start_codes(data: bytes | memoryview) -> Iterator[bytes]:
    data = bytes(data)
    place = data.find(b"\x00\x00\x01")
    if place < 0 and data:
        raise NotUnderstoodError("no start code")
    while place >= 0:
        start = place + 3
        place = data.find(b"\x00\x00\x01", start)
        yield data[start : place if place >= 0 else len(data)].rstrip(b"\x00")


def _avcc_parameters(extradata: bytes) -> list[bytes]:
    """The sequence parameter sets in an avcC box (ISO/IEC 14496-15, 5.3.3.1)."""
    found, place = [], 6
    for _ in range(extradata[5] & 31):
        size = int.from_bytes(extradata[place : place + 2], "big")
        found.append(extradata[place + 2 : place + 2 + size])
        place += 2 + size
    return found


class _Bits:
    """Bits of a NAL unit's payload, emulation prevention taken out."""

    def __init__(self, unit: bytes | memoryview) -> None:
        payload = bytes(unit).replace(b"\x00\x00\x03", b"\x00\x00")
        self._bits = int.from_bytes(payload, "big")
        self._left = 8 * len(payload)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise NotUnderstoodError("a sequence's parameters end too soon")
        return self._bits >> self._left & ((1 << count) - 1)

    def golomb(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        value = self.golomb()
        return (value + 1) // 2 if value & 1 else -(value // 2)


_WITH_CHROMA = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}


def _only_frames(unit: bytes | memoryview) -> None:
    """Raise unless an H.264 sequence (7.3.2.1.1) has frames alone: no fields, none left out."""
    bits = _Bits(unit[1:])
    profile = bits.take(8)
    bits.take(16)
    bits.golomb()  # its id
    if profile in _WITH_CHROMA:
        _skip_chroma(bits)
    bits.golomb()  # bits of a frame's number, less four
    _skip_order(bits)
    bits.golomb()  # reference frames
    gaps = bits.take(1)
    bits.golomb()  # width
    bits.golomb()  # height
    if gaps:
        raise NotUnderstoodError("frames may be left out of the sequence")
    if not bits.take(1):
        raise NotUnderstoodError("the sequence may hold fields")


def _skip_chroma(bits: _Bits) -> None:
    if bits.golomb() == 3:
        bits.take(1)
    bits.golomb()
    bits.golomb()
    bits.take(1)
    if bits.take(1):  # scaling lists
        raise NotUnderstoodError("a sequence with scaling lists")


def _skip_order(bits: _Bits) -> None:
    """Skip how a sequence numbers its pictures in the order shown."""
    kind = bits.golomb()
    if kind == 0:
        bits.golomb()
    elif kind == 1:
        bits.take(1)
        bits.signed()
        bits.signed()
        for _ in range(min(bits.golomb(), 255)):
            bits.signed()
