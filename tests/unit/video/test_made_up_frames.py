import av
import pytest

from ferrari.video.decoding.pyav_full_reader import is_made_up

INTRA = 1  # AV_PICTURE_TYPE_I


@pytest.mark.parametrize(
    ("codec", "kind", "made_up"),
    [("hevc", 0, True), ("hevc", INTRA, False), ("rawvideo", 0, False)],
)
def test_a_frame_of_hevc_without_a_kind_was_never_coded(codec, kind, made_up):
    frame = av.VideoFrame(16, 16, "yuv420p")
    frame.pict_type = kind
    assert is_made_up(frame, codec) is made_up
