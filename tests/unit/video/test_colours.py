"""What a frame says of its colours, and what is assumed where it says nothing."""

import av
import pytest

from ferrari.video.colours import Colours, Untagged, log_sign, read


def told(width, height, pixels="yuv420p", codec="h264", untagged=None, **tags):
    frame = av.VideoFrame(width, height, pixels)
    tags = {"colorspace": 2, "color_range": 0, "color_trc": 2, "color_primaries": 2, **tags}
    for name, code in tags.items():
        setattr(frame, name, code)
    return read(frame, codec, untagged or Untagged())


@pytest.mark.parametrize(
    ("width", "height", "matrix", "primaries"),
    [
        (1280, 544, "bt709", "bt709"),
        (1278, 576, "bt601", "bt470bg"),
        (720, 578, "bt709", "bt709"),
        (720, 480, "bt601", "smpte170m"),
        (640, 360, "bt601", "bt709"),
        (720, 1280, "bt709", "bt709"),
    ],
)
def test_untagged_pictures_are_judged_by_their_size_as_players_do(width, height, matrix, primaries):
    seen = told(width, height)
    assert (seen.matrix, seen.primaries, seen.transfer) == (matrix, primaries, "bt709")
    assert not seen.full_range and seen.assumed == {"matrix", "range", "transfer", "primaries"}


def test_what_is_told_says_more_than_the_size():
    assert told(640, 480, color_primaries=9).matrix == "bt2020"
    assert told(640, 480, color_trc=16).primaries == "bt2020"
    assert told(1920, 1080, colorspace=9).primaries == "bt2020"
    seen = told(1920, 1080, colorspace=6, color_range=1, color_trc=6, color_primaries=6)
    assert seen == Colours("bt601", False, "bt601", "smpte170m")


@pytest.mark.parametrize(
    ("pixels", "codec", "full"),
    [
        ("yuv420p", "h264", False),
        ("yuvj420p", "mjpeg", True),
        ("rgb24", "png", True),
        ("gbrp", "h264", True),
        ("gray", "hevc", False),
        ("gray", "ffv1", True),
        ("ya8", "png", True),
    ],
)
def test_untagged_levels(pixels, codec, full):
    seen = told(640, 480, pixels, codec)
    assert seen.full_range is full and ("range" in seen.assumed) is (pixels != "yuvj420p")
    assert told(640, 480, pixels, codec, color_range=1).full_range is (pixels == "yuvj420p")


def test_what_swscale_makes_srgb_of_by_itself_is_not_converted_again():
    seen = told(640, 480, "xyz12le", "jpeg2000", color_trc=17, color_primaries=10)
    assert (seen.matrix, seen.transfer, seen.primaries) == ("rgb", "srgb", "bt709")


def test_a_frame_says_it_all_in_its_row():
    cells = told(640, 480, colorspace=1, color_range=2).cells
    assert cells == {
        "matrix": "bt709",
        "range": "full",
        "transfer": "bt709 (assumed)",
        "primaries": "bt709 (assumed)",
    }


def test_log_by_its_tags():
    assert "V-Log" in log_sign(told(640, 480, color_trc=256))
    assert "Apple Log" in log_sign(told(640, 480, color_primaries=9))
    assert not log_sign(told(640, 480, color_primaries=9, color_trc=14))
    assert not log_sign(told(640, 480, colorspace=9))
    assert not log_sign(told(640, 480))
