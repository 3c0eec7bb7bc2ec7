"""What packets say of themselves: read as a decoder reads it, refused where it is not plain."""

from array import array
from fractions import Fraction
from functools import cache

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferrari.video.decoding.packet_kinds import (
    DISPOSABLE,
    RESTART,
    NotUnderstoodError,
    classifier,
    settled,
)
from ferrari.video.decoding.packet_selection import select
from ferrari.video.timestamps import Sampler, first_of_slots


@cache
def parameters(flags="", params=""):
    """x264's parameter sets, behind start codes."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 64, 64, "yuv420p"
    context.time_base = Fraction(1, 25)
    context.options = {"flags": "+global_header" + flags, "x264-params": params}
    context.open()
    return bytes(context.extradata)


SPS = parameters().split(b"\x00\x00\x00\x01")[1]


def avcc(*sps):
    sets = b"".join(len(s).to_bytes(2, "big") + s for s in sps)
    return bytes([1, 100, 0, 13, 0xFF, 0xE0 | len(sps)]) + sets + b"\x00"


def packet(*units):
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


I_FRAME, P_FRAME, B_FRAME = b"\x65\x88\x80", b"\x41\x9a\x80", b"\x01\x9e\x80"
SEI, AUD = b"\x06\x05\x10\x80", b"\x09\xf0"


@pytest.mark.parametrize(
    ("units", "kind"),
    [
        ([SEI, I_FRAME], RESTART),
        ([AUD, P_FRAME], 0),
        ([B_FRAME], DISPOSABLE),
        ([B_FRAME, b"\x01\x20\x80"], DISPOSABLE),  # a second slice, of a later macroblock
    ],
)
def test_h264_frames(units, kind):
    assert classifier("h264", avcc(SPS))(packet(*units)) == kind
    stream = b"".join(b"\x00\x00\x00\x01" + unit for unit in units)
    assert classifier("h264", b"")(stream) == kind


@pytest.mark.parametrize(
    ("units", "why"),
    [
        ([B_FRAME, B_FRAME], "two pictures, or two fields"),
        ([P_FRAME, b"\x01\x20\x80"], "slices that differ"),
        ([SEI], "no picture"),
        ([b"\x01\x20\x80"], "a picture without its first slice"),
        ([b"\x62\x88\x80"], "data partitioning"),
        ([b"\x74\x88\x80"], "another layer"),
        ([b"\xe5\x88\x80"], "a bit that has to be 0"),
    ],
)
def test_h264_that_is_not_plain(units, why):
    with pytest.raises(NotUnderstoodError):
        classifier("h264", avcc(SPS))(packet(*units))


def test_broken_packets_are_noticed_though_they_would_be_passed_over():
    look = classifier("h264", avcc(SPS))
    for broken in (packet(B_FRAME)[:-1], packet(B_FRAME) + b"\x00\x00\x00\x09\x01", b"\xff" * 9):
        with pytest.raises(NotUnderstoodError):
            look(broken)


def test_sequences_with_fields_are_decoded_in_full():
    fields = parameters("+ildct+ilme", "tff=1")
    with pytest.raises(NotUnderstoodError, match="fields"):
        classifier("h264", fields)
    look = classifier("h264", b"")
    with pytest.raises(NotUnderstoodError, match="fields"):
        look(fields + b"\x00\x00\x01" + I_FRAME)
    assert look(parameters() + b"\x00\x00\x01" + I_FRAME) == RESTART


def hevc(kind, layer=0, temporal=0, first=True):
    return bytes([kind << 1 | layer >> 5, (layer & 31) << 3 | temporal + 1, 0x80 * first, 0x80])


HVCC = b"\x01" + bytes(20) + b"\x03" + b"\x00"


def test_hevc_pictures_are_free_in_the_highest_layer_alone():
    look = classifier("hevc", HVCC)
    kinds = bytearray(
        look(packet(unit))
        for unit in (hevc(19), hevc(1), hevc(0), hevc(0, temporal=1), hevc(2, temporal=1), hevc(21))
    )
    free = [kind & DISPOSABLE > 0 for kind in settled(kinds)]
    assert free == [False, False, False, True, True, False]
    assert [kind & RESTART > 0 for kind in settled(kinds)] == [True, *[False] * 5]
    assert settled(kinds[:3])[2] == DISPOSABLE


@pytest.mark.parametrize("unit", [hevc(16), hevc(36), hevc(1, layer=1), hevc(22), hevc(1, first=0)])
def test_hevc_that_is_not_plain(unit):
    with pytest.raises(NotUnderstoodError):
        classifier("hevc", HVCC)(packet(unit))


def test_jpeg_pictures_need_tables_of_their_own():
    own, codes = b"\xff\xd8\xff\xdb\x00\x04", b"\xff\xc4\x00\x04"
    scan = b"\xff\xda\x00"
    assert classifier("mjpeg", b"")(own + codes + scan) == RESTART | DISPOSABLE
    look = classifier("mjpeg", b"")
    look(own + scan)
    for bad in (own + codes + scan, b"\xff\xd8" + scan):
        with pytest.raises(NotUnderstoodError):
            look(bad)
    with pytest.raises(NotUnderstoodError):
        classifier("vp9", b"")


# --- which packets are decoded --------------------------------------------------------------------

IBBP = [(0, RESTART), (3, 0), (1, 2), (2, 2), (6, 0), (4, 2), (5, 2)]


def chosen(packets, fps=1.0, base=Fraction(1, 4), **more):
    pts, kinds = zip(*packets, strict=True)
    return select(array("q", pts), bytearray(kinds), base, fps, **more)


def test_samples_and_what_they_are_made_from():
    packets = [(4 * k + p, kind) for k in range(5) for p, kind in IBBP[:4]]  # five GOPs of four
    selection = chosen(packets, fps=0.4)  # the first frame of each ten
    assert list(selection.decode) == [
        *(1, 1, 1, 1, 1, 1, 1, 0),  # with three B-frames that are tried: the sample 10 is a fourth
        *(1, 1, 0, 1),  # all that it may be made from
        *(0, 0, 0, 0),  # no sample in this GOP
        *(0, 0, 0, 0),
    ]
    assert list(selection.pts) == [*range(6), 7, 8, 10, 11]
    assert list(selection.sampled) == [1, *[0] * 7, 1, 0]
    assert list(selection.frames) == list(selection.pts) and selection.total == 20
    assert list(chosen(packets, fps=0.4, most=1).sampled) == [1, *[0] * 7]


def test_frames_that_nothing_wants_are_tried_only_where_few_of_their_kind_are_samples():
    packets = [(4 * k + p, kind) for k in range(5) for p, kind in IBBP[:4]]
    assert set(range(20)) - set(chosen(packets, fps=2).pts) == {1, 5, 9, 13, 17}
    assert set(range(20)) - set(chosen(packets, fps=1).pts) >= {9, 10, 13, 14, 17, 18}


def test_a_group_is_decoded_to_its_end_and_the_next_key_frame_where_that_is_asked_for():
    packets = [(4 * k + p, kind) for k in range(5) for p, kind in IBBP[:4]]
    plain, watched = (chosen(packets, fps=0.4, to_the_end=asked) for asked in (False, True))
    assert [p for p, ends in zip(watched.pts, watched.ending, strict=True) if ends] == [3, 11]
    assert set(watched.pts) - set(plain.pts) == {4, 12} - set(plain.pts)
    samples = [p for p, wanted in zip(watched.pts, watched.sampled, strict=True) if wanted]
    assert samples == [0, 10] and not any(plain.ending)


def test_of_single_frames_there_is_no_end_to_watch():
    single = [(k, RESTART | DISPOSABLE) for k in range(20)]
    assert chosen(single, to_the_end=True) == chosen(single)


def test_of_single_frames_the_samples_alone_are_decoded():
    selection = chosen([(k, RESTART | DISPOSABLE) for k in range(20)])
    assert list(np.flatnonzero(selection.decode)) == [0, 4, 8, 12, 16]


def marked(selection, which):
    return [p for p, one in zip(selection.pts, getattr(selection, which), strict=True) if one]


def test_the_linking_film_takes_what_is_decoded_anyway_and_asks_for_no_more_than_it_must():
    packets = [(4 * k + p, kind) for k in range(5) for p, kind in IBBP[:4]]
    plain = chosen(packets, fps=0.4)
    linked = chosen(packets, fps=0.4, linking_fps=2)  # slots of two frames
    assert marked(linked, "sampled") == marked(plain, "sampled") == [0, 10]
    # 8, not 9: decoded for 10. 14 rests on 15, and 15 alone is in the slot too; so is 19.
    assert marked(linked, "linking") == [0, 2, 4, 7, 8, 10, 12, 15, 16, 19]
    assert set(linked.pts) - set(plain.pts) == {12, 15, 16, 19}
    assert marked(chosen(packets, fps=0.4, linking_fps=0.9), "linking") == [0, 5, 10, 15, 19]
    assert list(chosen(packets, fps=0.4, linking_fps=0.4).decode) == list(plain.decode)


def test_the_linking_film_ends_with_the_last_sample_that_is_wanted():
    single = [(k, RESTART | DISPOSABLE) for k in range(20)]
    linked = chosen(single, linking_fps=2, most=3)
    assert marked(linked, "sampled") == [0, 4, 8]
    assert list(np.flatnonzero(linked.decode)) == [0, 2, 4, 6, 8]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
    st.floats(0.05, 5),
    st.floats(0.05, 5),
)
def test_of_each_slot_the_first_frame_that_is_decoded_is_filmed(groups, draw, fps, linking_fps):
    """`groups`: of each group of pictures, how many B-frames come before each P-frame."""
    places, kinds = [], []
    for group in groups:
        places, kinds = [*places, len(places)], [*kinds, RESTART]
        for free in group:
            places += [len(places) + free, *range(len(places), len(places) + free)]
            kinds += [0, *[DISPOSABLE] * free]
    steps = [draw.randint(1, 9) for _ in places]
    times = [sum(steps[: place + 1]) for place in places]
    packets = list(zip(times, kinds, strict=True))
    plain = chosen(packets, fps)
    linked = chosen(packets, fps, linking_fps=linking_fps)
    watched = chosen(packets, fps, linking_fps=linking_fps, to_the_end=True)
    assert marked(linked, "sampled") == marked(plain, "sampled")
    assert set(plain.pts) <= set(linked.pts) <= set(watched.pts)
    assert marked(linked, "linking") == marked(watched, "linking")
    every, some = (Sampler(linking_fps, Fraction(1)) for _ in range(2))
    slots = [k for k in sorted(times) if every.wants(k * Fraction(1, 4))]
    filmed = marked(linked, "linking")
    assert len(filmed) == len(slots)
    for begin, end, taken in zip(slots, [*slots[1:], max(times) + 1], filmed, strict=True):
        assert taken == min(p for p in linked.pts if begin <= p < end)
    out = sorted({*filmed, *marked(linked, "sampled")})  # of which a Sampler takes the same
    assert [p for p in out if some.wants(p * Fraction(1, 4))] == filmed


@pytest.mark.parametrize(
    ("packets", "why"),
    [
        ([], "nothing there"),
        (IBBP[1:], "no key frame at the start"),
        ([*IBBP, (6, 0)], "one time twice"),
        ([(1, RESTART), (0, 2), (2, 0)], "a frame before the first key frame"),
        ([*IBBP, (5, RESTART)], "a restart that is shown before what it follows"),
        ([*IBBP, (9, 0), (10, 2)], "a free frame at the end of what was shown"),
        ([(0, RESTART), (40, 0), *((k, 0) for k in range(1, 40))], "too far from its place"),
    ],
)
def test_times_that_do_not_tell_the_order(packets, why):
    with pytest.raises(NotUnderstoodError):
        select(
            array("q", [p for p, _ in packets]), bytearray(k for _, k in packets), Fraction(1), 1.0
        )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=0, max_size=60),
    st.integers(-1000, 1000),
    st.sampled_from([Fraction(1, 25), Fraction(1001, 30000), Fraction(1, 90000), Fraction(1, 7)]),
    st.floats(0.01, 1000),
)
def test_the_first_of_each_slot_is_what_the_sampler_takes(steps, start, base, fps):
    pts = np.cumsum([start, *steps]).tolist()
    sampler = Sampler(fps, Fraction(1, 25))
    assert first_of_slots(pts, base, fps) == [
        place for place, time in enumerate(pts) if sampler.wants(time * base)
    ]
