"""A PNG that is written is proved to its last pixel without being decoded."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from ferrari.images import image_files, png

SHAPES = [(1, 1), (7, 5), (64, 33, 3), (31, 40, 4), (1, 300, 3)]


def picture(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_shape_is_that_of_a_decoder(shape, tmp_path):
    data = image_files.encode_png(picture(shape))
    assert image_files._png_shape(data, "x") == shape == image_files.decode(data).shape
    image_files.write_checked(tmp_path / "x.png", data, shape)
    with pytest.raises(image_files.ImageReadError, match="expected"):
        image_files.write_checked(tmp_path / "x.png", data, (*shape[:1], 999, *shape[2:]))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_pixel_comes_back_from_decoders_that_are_not_ours(shape):
    image = picture(shape)
    data = image_files.encode_png(image)
    with Image.open(io.BytesIO(data)) as by_pillow:
        assert (np.asarray(by_pillow) == image).all()
    by_opencv = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image.ndim == 3:
        channels = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
        by_opencv = cv2.cvtColor(by_opencv, channels[image.shape[2]])
    assert (by_opencv == image).all()


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), bool), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_what_is_no_picture_of_8_bits_is_refused(image):
    with pytest.raises(ValueError, match="no PNG can be made"):
        image_files.encode_png(image)


def test_every_flipped_bit_and_every_cut_is_seen():
    data = image_files.encode_png(picture((9, 7, 3)))
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << at % 8
        if at < 8:  # no PNG any more: left to the decoder
            assert image_files._png_shape(bytes(flipped), "x") is None
        else:
            with pytest.raises(image_files.ImageReadError):
                image_files._png_shape(bytes(flipped), "x")
        with pytest.raises(image_files.ImageReadError):
            image_files._png_shape(data[: max(8, at)], "x")


def other(mode: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (8, 8)).save(stream, "PNG", **options)
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["P", "1", "LA", "I;16"])
def test_other_kinds_of_png_are_left_to_a_decoder(mode):
    assert image_files._png_shape(other(mode), "x") is None


def test_a_header_that_promises_more_than_there_is():
    import struct
    import zlib

    data = image_files.encode_png(picture((9, 7, 3)))
    header = struct.pack(">II", 7, 10) + data[24:29]
    crc = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    with pytest.raises(image_files.ImageReadError, match="not what its header says"):
        image_files._png_shape(data[:16] + header + crc + data[33:], "x")


@pytest.mark.parametrize("size", [(0, 4), (4, 0)])
def test_a_header_without_a_pixel_is_refused(size):
    import struct
    import zlib

    data = image_files.encode_png(picture((4, 4)))
    header = struct.pack(">II", *size) + data[24:29]
    crc = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    with pytest.raises(image_files.ImageReadError, match="it has no pixel"):
        image_files._png_shape(data[:16] + header + crc + data[33:], "x")


@pytest.mark.parametrize("shape", [(40, 31), *SHAPES])
def test_what_is_written_here_is_read_here_to_the_last_byte(shape):
    image = picture(shape)
    found = png.decode(image_files.encode_png(image))
    assert found.shape == image.shape and (found == image).all()
    assert (image_files.decode(image_files.encode_png(image)) == image).all()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "1", "I;16"])
def test_pngs_of_others_come_out_as_pillow_reads_them(mode):
    drawn = Image.fromarray(picture((40, 31, 3))).convert("I" if mode == "I;16" else mode)
    stream = io.BytesIO()
    (drawn.convert(mode) if mode == "I;16" else drawn).save(stream, "PNG")
    with Image.open(io.BytesIO(stream.getvalue())) as by_pillow:
        kind = by_pillow.mode if by_pillow.mode in ("L", "RGB", "RGBA") else "RGB"
        expected = np.asarray(by_pillow.convert(kind))
    assert (image_files.decode(stream.getvalue()) == expected).all()


def test_a_damaged_png_is_refused_as_pillow_refuses_it():
    data = bytearray(image_files.encode_png(picture((30, 20, 3))))
    data[-20] ^= 255
    with pytest.raises(image_files.ImageReadError, match="cannot be decoded"):
        image_files.decode(bytes(data))
