"""Small pictures: each in its cell, made again only where the pictures are others."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ferrari.images import image_files
from ferrari.review_page import sprites
from ferrari.review_page.entries import Picture

RED, BLUE = (200, 20, 20), (20, 20, 200)


def flat(colour, size_hw=(60, 120)) -> np.ndarray:
    return np.full((*size_hw, 3), colour, np.uint8)


@pytest.fixture
def made(tmp_path):
    """Makes sprites of pictures by name; `reads` are the files that were opened."""
    reads: list[str] = []
    files = {"red.png": flat(RED), "blue.png": flat(BLUE)}
    halves = np.concatenate([flat(RED), flat(BLUE)], axis=1)
    files |= {
        "both.png": halves,
        "clear.png": np.dstack([flat(RED), np.zeros((60, 120), np.uint8)]),
    }

    def read(path):
        reads.append(path.name)
        if path.name not in files:
            raise image_files.ImageReadError(f"{path.name} is gone")
        return files[path.name]

    def make(*pictures, known=None):
        reads.clear()
        return sprites.make(tmp_path, "clip-image", pictures, tmp_path, known or {}, read), reads

    make.folder, make.files = tmp_path, files
    return make


def middle(folder, sprite, place) -> tuple[int, ...]:
    """The colour in the middle of a cell."""
    left, top = place % sprites.COLUMNS * sprites.CELL, place // sprites.COLUMNS * sprites.CELL
    with Image.open(folder / sprite.file) as sheet:
        return sheet.convert("RGBA").getpixel((left + sprites.CELL // 2, top + sprites.CELL // 2))


def near(colour, wanted) -> bool:
    return max(abs(one - other) for one, other in zip(colour, wanted, strict=True)) < 16


def test_each_picture_is_in_its_cell_and_its_file_is_read_once(made):
    pictures = [
        Picture("red.png", "1"),
        Picture("blue.png", "2"),
        Picture("both.png", "3", (0, 0, 120, 60)),
    ]
    pictures += [Picture("both.png", "3", (120, 0, 240, 60))] + [Picture("blue.png", "2")] * 6
    (sprite,), reads = made(*pictures)
    colours = [middle(made.folder, sprite, place)[:3] for place in range(10)]
    wanted = [RED, BLUE, RED, BLUE] + [BLUE] * 6
    assert all(map(near, colours, wanted)) and sorted(reads) == ["blue.png", "both.png", "red.png"]
    with Image.open(made.folder / sprite.file) as sheet:
        assert sheet.size == (8 * sprites.CELL, 2 * sprites.CELL)


def test_what_a_picture_does_not_fill_is_transparent_and_so_is_a_cutouts_background(made):
    (sprite,), _ = made(
        Picture("red.png", "1"), Picture("clear.png", "2"), Picture("gone.png", "3")
    )
    with Image.open(made.folder / sprite.file) as sheet:
        alpha = np.asarray(sheet.convert("RGBA"))[:, :, 3]
    assert alpha[64, 64] == 255 and alpha[4, 64] == 0
    assert alpha[:, sprites.CELL :].max() == 0, (
        "nothing of a cut-out without a subject, or of no file"
    )


def test_a_file_stays_while_its_pictures_and_its_bytes_are_the_same(made):
    first, second = Picture("red.png", "1"), Picture("blue.png", "2")
    (sprite,), _ = made(first, second)
    known = {sprite.file: sprite.sha256}
    (again,), reads = made(first, second, known=known)
    assert again == sprite and reads == []
    (other,), reads = made(first, Picture("blue.png", "9"), known=known)
    assert other.file != sprite.file and reads
    (made.folder / sprite.file).write_bytes(b"damaged")
    (mended,), reads = made(first, second, known=known)
    assert mended == sprite and reads


def test_a_file_with_a_picture_that_could_not_be_read_is_made_again(made):
    """The cell stayed empty for ever, though the picture was there again."""
    pictures = Picture("red.png", "1"), Picture("later.png", "2")
    (sprite,), _ = made(*pictures)
    assert sprite.sha256 == ""
    made.files["later.png"] = flat(BLUE)
    (again,), reads = made(*pictures, known={sprite.file: sprite.sha256})
    assert again.file == sprite.file and again.sha256 and "later.png" in reads
    assert near(middle(made.folder, again, 1)[:3], BLUE)


def test_many_pictures_fill_several_files_and_old_files_go(made):
    pictures = [Picture("red.png", str(number)) for number in range(sprites.CELLS + 3)]
    found, _ = made(*pictures)
    assert [sprite.cells for sprite in found] == [sprites.CELLS, 3]
    assert [sprite.file for sprite in found] == sprites.names("clip-image", pictures)
    sprites.clear(made.folder, found[1:])
    assert [path.name for path in made.folder.glob("*.webp")] == [found[1].file]
