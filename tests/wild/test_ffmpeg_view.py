"""What ffmpeg writes is read as it is meant, of old versions and new ones."""

from fractions import Fraction

import pytest

from tests.wild.ffmpeg_view import Packet, read_packets, read_told, version_of

OLD = """\
[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/clips/one.mp4':
[info]   Metadata:
[info]     major_brand     : isom
[info]   Duration: 00:00:04.10, start: 1.500000, bitrate: 1977 kb/s
[info]   Stream #0:0[0x1](und): Video: h264 (High) (avc1 / 0x31637661), yuv420p, 64x48, 30 fps
[info]     Side data:
[info]       displaymatrix: rotation of -90.00 degrees
[info]   Stream #0:1[0x2](und): Audio: aac (LC), 48000 Hz
[info] Stream mapping:
[info]   Stream #0:0 -> #0:0 (h264 (native) -> wrapped_avframe (native))
[Parsed_showinfo_0 @ 0x55d0] [info] config in time_base: 1/15360, frame_rate: 30/1
[Parsed_showinfo_0 @ 0x55d0] [info] n:   0 pts:  -512 pts_time:-0.0333333 pos:   48 fmt:yuv420p \
sar:16/15 s:48x64 i:P iskey:1 type:I
[Parsed_showinfo_0 @ 0x55d0] [info]   side data - User Data Unregistered:
[Parsed_showinfo_0 @ 0x55d0] [info] color_range:tv color_space:bt709 color_primaries:unknown \
color_trc:unknown
[Parsed_showinfo_0 @ 0x77aa] [info] config in time_base: 1/15360, frame_rate: 30/1
[Parsed_showinfo_0 @ 0x77aa] [info] n:   0 pts:  -512 pts_time:-0.0333333 pos:  943 fmt:gray10le \
sar:0/1 s:32x24 i:T iskey:0 type:P
[h264 @ 0x561a] [error] error while decoding MB 17 15, bytestream -5
[mpegts @ 0x561b] [warning] Packet corrupt (stream = 0, dts = 270000).
[null @ 0x561c] [error] Application provided invalid, non monotonically increasing dts to muxer
"""
NEW = """\
[info] Input #0, matroska,webm, from 'file:/clips/two.mkv':
[info]   Stream #0:1: Video: h264 (High), yuv420p(tv), 64x48, 30 fps (default)
[info] Stream mapping:
[info]   Stream #0:1 -> #0:0 (h264 (native) -> wrapped_avframe (native))
[Parsed_showinfo_0 @ 0x7f] [info] config in time_base: 1/1000, frame_rate: 30/1
[Parsed_showinfo_0 @ 0x7f] [info] n:   0 pts:   NOPTS pts_time:NOPTS   duration:     33 \
duration_time:0.033   fmt:yuv420p cl:left sar:0/1 s:64x48 i:P iskey:1 type:I
[Parsed_showinfo_0 @ 0x7f] [info] color_range:unknown color_space:unknown \
color_primaries:unknown color_trc:unknown
"""


def test_what_old_versions_tell():
    view = read_told(OLD, (5, 1, 9))
    assert (view.format, view.brand, view.chosen, view.turned) == (
        *("mov,mp4,m4a,3gp,3g2,mj2", "isom", 0, True),
    )
    assert view.start_s == Fraction(3, 2)
    assert view.stream.startswith("Video: h264")
    first, second = view.frames
    assert (first.number, first.pts, first.time_s) == (0, -512, Fraction(-1, 30))
    assert (first.width, first.height, first.sar) == (48, 64, Fraction(16, 15))
    assert (first.color_range, first.matrix, first.interlaced) == ("tv", "bt709", False)
    assert (second.number, second.occurrence, second.pixel_format) == (1, 1, "gray10le")
    assert (second.sar, second.interlaced, second.duration_s) == (1, True, None)
    assert [line.split("]")[0] for line in view.complaints] == [
        "[h264 @ 0x561a",
        "[mpegts @ 0x561b",
    ]


def test_a_turn_under_its_new_name():
    new = OLD.replace("displaymatrix:", "Display Matrix:")
    assert read_told(new).turned and not read_told(NEW).turned


def test_what_new_versions_tell():
    view = read_told(NEW, (9, 0, 2))
    (frame,) = view.frames
    assert (view.chosen, view.has_own_aspect, view.turned) == (1, True, False)
    assert (frame.pts, frame.time_s, frame.duration_s) == (None, None, Fraction(33, 1000))


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("ffmpeg version 5.1.9-0+deb12u1", (5, 1, 9)),
        ("ffmpeg version n9.0.2-17-g2a571b6068-20260930", (9, 0, 2)),
        ("ffmpeg version N-121000-gabcdef", ()),
    ],
)
def test_versions(told, version):
    assert version_of(told) == version


def test_packets():
    told = """\
#software: Lavf59.27.100
#tb 0: 1/1000
0,        -67, -9223372036854775808,       33,    33010, 0x451e0339
0,        -34,         40,       33,    12703, 0x98b9bb19, F=0x0
0,         80,         80,       33,     5621, 0xa9cb128c, S=1,        8
"""
    assert list(read_packets(told)) == [
        *(Packet(None, True), Packet(Fraction(1, 25), False), Packet(Fraction(2, 25), True)),
    ]
