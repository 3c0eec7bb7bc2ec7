"""Images are the planes that they were made of, and whole when they are said to be there."""

import io

import numpy as np
import pytest
from PIL import Image

from ferrari.images import image_files
from ferrari.video import frame_encoding
from ferrari.video.ycbcr import CHROMA_PARTS, i420

RNG = np.random.default_rng(1)


def encoding(red, blue):
    """RGB 0..1 to Y 0..219, Cb and Cr -112..112 (ITU-R BT.601 and BT.709, section 3)."""
    luma = np.array([red, 1 - red - blue, blue])
    cb = (np.array([0.0, 0.0, 1.0]) - luma) / (2 * (1 - blue))
    cr = (np.array([1.0, 0.0, 0.0]) - luma) / (2 * (1 - red))
    return np.stack([219 * luma, 224 * cb, 224 * cr])


def test_the_change_of_matrix_is_that_of_the_standards():
    change = encoding(0.299, 0.114) @ np.linalg.inv(encoding(0.2126, 0.0722))
    assert np.allclose(change, np.column_stack([(1, 0, 0), CHROMA_PARTS]), atol=1e-5)


def test_planes_in_bt601_look_like_those_in_bt709():
    height, width = 32, 48
    cb, cr = (
        RNG.integers(60, 190, (2, height // 2 // 4, width // 2 // 4), np.uint8)
        .repeat(4, axis=1)
        .repeat(4, axis=2)
    )
    luma = RNG.integers(60, 190, (height, width), np.uint8)
    changed = i420(luma, cb, cr, bt709=True)
    shown = [i420(luma, cb, cr), changed]
    rgb = []
    for stacked, weights in zip(shown, ((0.2126, 0.0722), (0.299, 0.114)), strict=True):
        planes = np.stack([
            stacked[:height] - 16.0,
            *(p.repeat(2, 0).repeat(2, 1) - 128.0
              for p in stacked[height:].reshape(2, height // 2, width // 2)),
        ])  # fmt: skip
        rgb.append(255 * np.tensordot(np.linalg.inv(encoding(*weights)), planes, 1))
    inside = np.ones((height, width), bool)
    for edge in range(0, width, 8):  # where chroma is bent between two patches of it
        inside[:, max(0, edge - 1) : edge + 1] = False
    for edge in range(0, height, 8):
        inside[max(0, edge - 1) : edge + 1] = False
    assert np.abs(rgb[0] - rgb[1])[:, inside].max() < 2.5


def test_extreme_chroma_is_cut_off_and_does_not_wrap():
    flat = np.full((4, 4), 16, np.uint8)
    low, high = np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8)
    assert (i420(flat, low, high, bt709=True)[4:].reshape(2, 2, 2)[0] == 0).all()
    assert (i420(flat, high, low, bt709=True)[4:].reshape(2, 2, 2)[0] == 255).all()


def test_full_range_becomes_limited_range_level_by_level():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    chroma = levels[4:12, 4:12]
    stacked = i420(levels, chroma, chroma[::-1], full_range=True)
    told = 16 + np.arange(256) * 219 / 255  # H.273, 8.3
    assert np.abs(stacked[:16].ravel() - told).max() <= 0.5
    assert (stacked[0, 0], stacked[15, 15]) == (16, 235)
    cb, cr = stacked[16:].reshape(2, 8, 8)
    told = 128 + (chroma - 128.0) * 224 / 255
    assert np.abs(cb - told).max() <= 0.5 and np.abs(cr[::-1] - told).max() <= 0.5


def test_range_and_matrix_change_together_as_one_after_the_other():
    luma = RNG.integers(40, 215, (32, 48), np.uint8)
    cb, cr = RNG.integers(60, 190, (2, 16, 24), np.uint8)
    once = i420(luma, cb, cr, bt709=True, full_range=True)
    limited = i420(luma, cb, cr, full_range=True)
    rest = limited[32:].reshape(2, 16, 24)
    twice = i420(limited[:32], *rest, bt709=True)
    assert np.abs(once.astype(int) - twice).max() <= 1
    assert (once != limited).any() and not (once == i420(luma, cb, cr, bt709=True)).all()


def picture(height=64, width=96):
    grid = np.add.outer(np.arange(height), np.arange(width)) % 120 + 60
    chroma = np.full((height // 2, width), 128)
    return np.vstack([grid, chroma]).astype(np.uint8)


def test_webp_holds_the_planes_it_was_given():
    import av

    data = frame_encoding.encode_webp_yuv(picture(), 95)
    decoder = av.CodecContext.create("webp", "r")
    (frame,) = decoder.decode(av.Packet(data)) + decoder.decode(None)
    assert np.abs(frame.to_ndarray().astype(int) - picture()).mean() < 1.5
    assert image_files.decode(data).shape == (64, 96, 3)
    assert data == frame_encoding.encode_webp_yuv(picture(), 95)


def test_what_is_written_is_read_back(tmp_path, monkeypatch):
    data = frame_encoding.encode_webp_yuv(picture(), 90)
    digest = image_files.write_checked(tmp_path / "a.webp", data, (64, 96, 3))
    assert image_files.read_verified(tmp_path / "a.webp", digest).shape == (64, 96, 3)
    with pytest.raises(image_files.ImageReadError, match="expected"):
        image_files.write_checked(tmp_path / "a.webp", data, (96, 64, 3))
    monkeypatch.setattr(
        image_files, "write_bytes", lambda path, *_, **__: path.write_bytes(data[:-1])
    )
    with pytest.raises(image_files.ImageReadError, match="not what was written"):
        image_files.write_checked(tmp_path / "b.webp", data, (64, 96, 3))


@pytest.mark.parametrize("place", [4, 16, 20, 22, 23, 24])
def test_a_webp_whose_parts_do_not_fill_it_is_none(tmp_path, place):
    data = bytearray(frame_encoding.encode_webp_yuv(picture(), 90))
    data[place] ^= 0x21
    with pytest.raises(image_files.ImageReadError):
        image_files.write_checked(tmp_path / "a.webp", bytes(data), (64, 96, 3))


def test_a_webp_that_is_cut_off_is_none(tmp_path):
    data = frame_encoding.encode_webp_yuv(picture(), 90)
    for left in (20, 29, len(data) // 2, len(data) - 1):
        with pytest.raises(image_files.ImageReadError):
            image_files.write_checked(tmp_path / "a.webp", data[:left], (64, 96, 3))


@pytest.mark.parametrize("left", range(16, 32))
def test_a_webp_that_ends_in_its_head_is_none(left):
    data = frame_encoding.encode_webp_yuv(picture(), 90)[:left]
    with pytest.raises(image_files.ImageReadError, match="is cut off, or is no WebP picture"):
        image_files.decode(data)


def test_lossless_webp_and_png_are_decoded_to_be_checked(tmp_path):
    frame = RNG.integers(0, 255, (8, 12, 3), np.uint8)
    for data in (image_files.encode_webp(frame, 101), image_files.encode_png(frame)):
        image_files.write_checked(tmp_path / "a", data, frame.shape)
        broken = data[:-12] + bytes(12)
        with pytest.raises(image_files.ImageReadError):
            image_files.write_checked(tmp_path / "a", broken[:-20], frame.shape)


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (48, 64)])
def test_a_lossy_webp_gives_the_pixels_that_pillow_reads(size):
    picture = RNG.integers(0, 255, (*size, 3), np.uint8)
    data = image_files.encode_webp(picture, 90)
    with Image.open(io.BytesIO(data)) as opened:
        assert (image_files.decode(data) == np.asarray(opened.convert("RGB"))).all()
    for damaged in (data[:-4], data[: len(data) // 2], data[:26] + bytes(len(data) - 26)):
        with pytest.raises(image_files.ImageReadError):
            image_files.decode(damaged)
