"""Folders of reference pictures: each file has its row, whatever it is."""

from __future__ import annotations

import itertools
import os
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from ferrari.common.settings import SettingsError
from ferrari.images.faces import EmbeddedFace, Face
from ferrari.ledger.columns import DROPPED, KEPT, QUARANTINED
from ferrari.ledger.reasons import TOO_LARGE, UNREADABLE_PICTURE
from ferrari.subject import references, templates
from ferrari.subject.references import (
    DUPLICATE_PICTURE,
    NO_REFERENCE_FACE,
    SEVERAL_FACES,
    SMALL_FACE,
    STRANGER,
    UNCLEAR_FACE,
    digest,
    examine,
    settle,
    tally,
)
from ferrari.subject.templates import ReferencesError, Thresholds
from tests.stage.test_bombs import png_bomb
from tests.unit.subject.people import SFACE, People

THRESHOLDS = SFACE.thresholds
NUMBERS = itertools.count()


class Squares:
    """Finds plain squares on black: the red of a square says whose face it is."""

    def __init__(self) -> None:
        self.people = People(SFACE)
        self.looked_at: list[tuple[int, ...]] = []

    def __call__(self, picture_rgb):
        self.looked_at.append(picture_rgb.shape)
        mask = (picture_rgb.max(axis=2) > 60).astype(np.uint8)
        _, _, found, _ = cv2.connectedComponentsWithStats(mask)
        return [self.face(picture_rgb, *map(int, box)) for box in found[1:, :4]]

    def face(self, picture_rgb, x, y, width, height):
        red, green, _ = picture_rgb[y + height // 2, x + width // 2].tolist()
        (embedding,) = self.people.faces(round(red / 50) - 2, 1)
        face = Face((x, y, x + width, y + height), np.zeros((5, 2), np.float32), 0.9)
        return EmbeddedFace(face, embedding, clarity=round(green / 200, 1))


def photo(path, *who: int, side=120, size=(800, 600), clarity=1.0, **options) -> None:
    """A picture with a square for each of `who`, side by side in its upper part; its green says how
    clear the face is.
    """
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    for place, each in enumerate(who):
        left = 20 + place * (side + 30)
        pixels[30 : 30 + side, left : left + side] = (100 + 50 * each, 200 * clarity, 200)
    pixels[-1, -1] = np.unravel_index(next(NUMBERS), (50, 50, 50))  # no two files are the same
    Image.fromarray(pixels).save(path, **options)


def look(folder) -> dict[str, references.Reference]:
    return {row.file: row for row in examine(folder, "subject.references", Squares())}


def test_a_folder_of_everything_has_a_row_for_each_file(tmp_path):
    photo(tmp_path / "good.png", 0)
    photo(tmp_path / "two.jpg", 0, 1, quality=95)
    photo(tmp_path / "none.webp")
    photo(tmp_path / "small.png", 0, side=50)
    photo(tmp_path / "blurred.png", 0, clarity=0.4)
    (tmp_path / "sub").mkdir()
    photo(tmp_path / "sub/far.png", 0, side=12)
    shutil.copy(tmp_path / "good.png", tmp_path / "more.png")
    (tmp_path / "notes.txt").write_text("whose is this?")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:300])
    (tmp_path / "IMG_1.jpg").write_bytes(b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(200))
    png_bomb(tmp_path / "bomb.png", 9000, 9000)
    os.mkfifo(tmp_path / "pipe.heic")
    os.symlink("nowhere.png", tmp_path / "link.png")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    found = look(tmp_path)
    assert {name: (row.outcome, row.reason) for name, row in found.items()} == {
        "good.png": (KEPT, ""),
        "two.jpg": (DROPPED, SEVERAL_FACES),
        "none.webp": (DROPPED, NO_REFERENCE_FACE),
        "small.png": (DROPPED, SMALL_FACE),
        "blurred.png": (DROPPED, UNCLEAR_FACE),
        "sub/far.png": (DROPPED, SMALL_FACE),
        "more.png": (DROPPED, DUPLICATE_PICTURE),
        "notes.txt": (QUARANTINED, UNREADABLE_PICTURE),
        "empty.png": (QUARANTINED, UNREADABLE_PICTURE),
        "cut.png": (QUARANTINED, UNREADABLE_PICTURE),
        "IMG_1.jpg": (QUARANTINED, UNREADABLE_PICTURE),
        "bomb.png": (QUARANTINED, TOO_LARGE),
        "pipe.heic": (QUARANTINED, UNREADABLE_PICTURE),
        "link.png": (QUARANTINED, UNREADABLE_PICTURE),
    }
    assert list(found) == sorted(found)
    assert "HEIC is not read" in found["IMG_1.jpg"].detail
    assert found["more.png"].detail == "the same file as good.png"
    assert (found["small.png"].value, found["small.png"].threshold) == (50, 64)
    assert (found["blurred.png"].value, found["blurred.png"].threshold) == (0.4, 0.5)
    assert (found["two.jpg"].value, found["two.jpg"].threshold) == (2, 1)
    assert found["bomb.png"].value == 81 and found["good.png"].value == 120
    assert str(tmp_path) not in "".join(row.detail for row in found.values())
    kept = [row.file for row in found.values() if row.embedding is not None]
    assert kept == ["good.png"]
    assert tally(found.values()) == (
        "1 of 14 pictures can be used; refused: no pictures that can be read (6), too many pixels "
        "(1), no face (1), more than one face (1), a face of less than 64 px (2), "
        "a face too blurred, dark, turned away or cut off to be told from others (1), there twice "
        "(1)"
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_looked_at_upright(tmp_path, orientation):
    """The square lies 30 px below the top where the picture is shown as its EXIF says."""
    photo(tmp_path / "a.png", 0)
    with Image.open(tmp_path / "a.png") as upright:
        undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)
        stored = upright if undo is None else upright.transpose(Image.Transpose(undo))
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(tmp_path / "b.jpg", exif=exif, quality=95)
    boxes = []

    class Recorder(Squares):
        def __call__(self, picture_rgb):
            (found,) = super().__call__(picture_rgb)
            boxes.append(found.face.box_xyxy)
            return [found]

    rows = examine(tmp_path, "subject.references", Recorder())
    assert [row.outcome for row in rows] == [KEPT, KEPT]
    assert boxes[1] == pytest.approx(boxes[0], abs=2)


def test_a_small_face_far_behind_is_not_a_second_one(tmp_path):
    pixels = np.zeros((600, 800, 3), np.uint8)
    pixels[30:180, 20:170] = (100, 200, 200)
    pixels[30:48, 700:718] = (150, 200, 200)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert look(tmp_path)["a.png"].outcome == KEPT


def test_a_large_picture_is_looked_at_smaller(tmp_path):
    photo(tmp_path / "a.png", 0, side=900, size=(3000, 2000))
    finder = Squares()
    (row,) = examine(tmp_path, "subject.references", finder)
    assert finder.looked_at == [(1365, 2048, 3)]
    assert row.value == pytest.approx(900 * 2048 / 3000, abs=2)


def test_no_folder_and_an_empty_one_are_errors_that_name_the_setting(tmp_path):
    with pytest.raises(SettingsError, match=r"subject\.not: .*absent is not there"):
        examine(tmp_path / "absent", "subject.not", Squares())
    (tmp_path / ".hidden").touch()
    with pytest.raises(SettingsError, match=r"subject\.references: .* holds no file"):
        examine(tmp_path, "subject.references", Squares())


def test_five_hundred_pictures(tmp_path):
    for number in range(500):
        photo(tmp_path / f"{number:03d}.png", 1 if number in (7, 300) else 0, size=(160, 160))
    rows, template = settle(examine(tmp_path, "subject.references", Squares()), [], THRESHOLDS)
    assert [row.file for row in rows if row.reason == STRANGER] == ["007.png", "300.png"]
    assert len(template.members) == 498
    people = People(SFACE, 0)
    assert template.scores(people.faces(0, 20)).min() >= THRESHOLDS.above
    assert template.scores(people.faces(1, 20)).max() < THRESHOLDS.below


def rows_of(*who: int) -> list[references.Reference]:
    people = People(SFACE)
    return [
        references.Reference(
            f"{i}.png", f"{i:064d}", KEPT, value=120.0, embedding=people.faces(each, 1)[0]
        )
        for i, each in enumerate(who)
    ]


def test_a_stranger_just_below_the_bound_does_not_reach_it_in_its_row():
    (row,) = rows_of(0)
    limits = Thresholds(0.55, 0.36)
    stranger = references._checked(row, templates.STRANGER, 0.359969, limits)
    assert stranger.value < stranger.threshold == 0.36


def test_a_stranger_is_named_in_its_row():
    rows, template = settle(rows_of(0, 0, 1, 0, 0), [], THRESHOLDS)
    assert [row.reason for row in rows] == ["", "", STRANGER, "", ""]
    stranger = rows[2]
    assert stranger.outcome == QUARANTINED and stranger.embedding is None
    assert stranger.value < stranger.threshold == THRESHOLDS.below
    assert all(row.value >= row.threshold == THRESHOLDS.above for row in rows if not row.reason)
    assert len(template.members) == 4 and template.negatives.shape == (0, 128)


def test_the_same_photograph_saved_twice_is_one():
    rows = rows_of(0, 0, 0)
    again = replace(rows[0], file="again.jpg", sha256="f" * 64)
    found, template = settle([*rows, again], [], THRESHOLDS)
    assert (found[3].outcome, found[3].reason) == (DROPPED, DUPLICATE_PICTURE)
    assert len(template.members) == 3


def test_a_single_reference_is_used_and_said_to_be_unconfirmed():
    (row,), template = settle(rows_of(0), [], THRESHOLDS)
    assert row.outcome == KEPT and "nothing confirms it" in row.detail
    assert len(template.members) == 1


def test_pictures_of_which_none_counts_are_an_error_that_says_why(tmp_path):
    photo(tmp_path / "two.png", 0, 1)
    (tmp_path / "notes.txt").write_text("x")
    rows = examine(tmp_path, "subject.references", Squares())
    with pytest.raises(ReferencesError, match=r"0 of 2 .*more than one face \(1\).*64 px"):
        settle(rows, [], THRESHOLDS)


def test_two_people_half_and_half_are_an_error_that_tells_who_is_with_whom():
    with pytest.raises(ReferencesError, match=r"2 people: 0\.png, 2\.png; 1\.png, 3\.png\. Leave"):
        settle(rows_of(0, 1, 0, 1), [], THRESHOLDS)


def test_a_negative_that_is_the_subject_is_an_error():
    rows = rows_of(0, 0, 0, 1, 0)
    with pytest.raises(ReferencesError, match=r"subject\.not holds .* 4\.png"):
        settle(rows[:3], rows[3:], THRESHOLDS)
    _, template = settle(rows[:3], rows[3:4], THRESHOLDS)
    assert len(template.negatives) == 1


def test_a_digest_is_of_the_pictures_that_count_not_of_names_and_order():
    rows = rows_of(0, 0, 1)
    renamed = [replace(row, file=f"x{row.file}") for row in reversed(rows)]
    unread = references.Reference("notes.txt", "", QUARANTINED, UNREADABLE_PICTURE)
    assert digest(rows, []) == digest([*renamed, unread], [])
    assert len({digest(rows, []), digest(rows[:2], []), digest(rows[:2], rows[2:])}) == 3
