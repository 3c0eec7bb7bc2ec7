"""Pictures of the user's: upright, opaque, and refused with a reason where they are none."""

import numpy as np
import pytest
from PIL import Image

from ferrari.images import user_pictures
from ferrari.images.image_files import ImageReadError


def test_a_picture_is_read_upright_and_opaque(tmp_path):
    pixels = np.zeros((20, 40, 3), dtype=np.uint8)
    pixels[:, :20] = 250
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    turned = user_pictures.read(tmp_path / "turned.png", 640)
    assert turned.shape == (40, 20, 3)
    assert turned[5].mean() == 250 and turned[-5].mean() == 0

    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (user_pictures.read(tmp_path / "clear.png", 640) == 128).all()


@pytest.mark.parametrize("content", [b"", b"<html>not a picture</html>", b"\x89PNG\r\n\x1a\n12"])
def test_what_is_no_picture_is_said_to_be_none(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(ImageReadError, match="no picture"):
        user_pictures.read(tmp_path / "x.png", 640)


def test_the_same_file_is_refused_in_the_same_words_each_time(tmp_path):
    """Tables hold the words: Pillow's name the open file, by a number that changes."""
    (tmp_path / "notes.txt").write_text("no picture")
    said = []
    for _ in range(2):
        with pytest.raises(ImageReadError) as caught, open(tmp_path / "notes.txt"):
            user_pictures.read(tmp_path / "notes.txt", 64)
        said.append(str(caught.value))
    assert said[0] == said[1] and "name=" not in said[0]


def test_shrink_keeps_the_aspect_and_enlarges_nothing():
    assert user_pictures.shrink(np.zeros((1000, 2000, 3), np.uint8), 640).shape == (320, 640, 3)
    assert user_pictures.shrink(np.zeros((30, 20, 3), np.uint8), 640).shape == (30, 20, 3)
