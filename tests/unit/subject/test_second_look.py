"""A second look: squares of a picture, what is found in them, how many are looked at."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.images.boxes import Detection
from ferrari.subject import second_look
from ferrari.subject.following import Sight, follow
from ferrari.subject.second_look import ROOM, SIDE, Window

BOX = (200.0, 60.0, 300.0, 300.0)


def marked(width: int, height: int) -> np.ndarray:
    """Each pixel says where it is."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.arange(width) * 255 // width
    picture[..., 1] = (np.arange(height) * 255 // height)[:, None]
    return picture


@pytest.mark.parametrize(
    "box", [BOX, (0.0, 0.0, 80.0, 350.0), (600.0, 300.0, 640.0, 360.0), (0.0, 0.0, 640.0, 360.0)]
)
def test_what_is_found_in_a_square_lies_where_it_was_cut_from(box):
    window, picture = Window.around(box), marked(640, 360)
    square = window.cut(picture)
    assert square.shape == (SIDE, SIDE, 3) and square.dtype == np.uint8
    middle = window.placed(
        Detection((SIDE / 2 - 4, SIDE / 2 - 4, SIDE / 2 + 4, SIDE / 2 + 4), 0.5, "person"), 640, 360
    )
    x = (middle.box_xyxy[0] + middle.box_xyxy[2]) / 2
    y = (middle.box_xyxy[1] + middle.box_xyxy[3]) / 2
    assert abs(x - (box[0] + box[2]) / 2) <= 1 and abs(y - (box[1] + box[3]) / 2) <= 1
    seen = square[SIDE // 2, SIDE // 2].astype(int)
    assert np.abs(seen - picture[int(y), int(x)]).max() <= 2
    assert window.side == pytest.approx(ROOM * max(box[2] - box[0], box[3] - box[1]), abs=1)


def test_beyond_the_picture_it_is_grey_and_nothing_is_found_there():
    window = Window.around((600.0, 100.0, 640.0, 300.0))
    assert (window.cut(marked(640, 360))[:, -1] == 114).all()
    placed = window.placed(Detection((0, 0, SIDE, SIDE), 0.5, "person"), 640, 360)
    assert placed.box_xyxy[2] == 640 and placed.confidence == 0.5


class Clip:
    """Somebody in red stands there; the first look misses them in some pictures."""

    def __init__(self, count: int, missed: set[int], takes: bool = True) -> None:
        self.count, self.missed, self.takes, self.looks = count, missed, takes, 0
        self.at_once = 0
        self.items: list[str] = []

    def sights(self):
        for number in range(self.count):
            seen = [] if number in self.missed else [Detection(BOX, 0.8, "person")]
            kept = number % 3 == 0
            items = [f"f{number}-d0"] * len(seen) if kept else None
            yield Sight(number / 6, self.picture(number), seen, items)

    def picture(self, number: int) -> np.ndarray:
        picture = np.full((360, 640, 3), 120, np.uint8)
        picture[60:300, 200:300] = (190, 40, 30)
        return picture

    def find(self, numbers, squares_rgb):
        found = []
        self.at_once = max(self.at_once, len(squares_rgb))
        for square in squares_rgb:
            self.looks += 1
            rows, columns = np.where(square[..., 0] > square[..., 1] + 60)
            box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            found.append([Detection(tuple(map(float, box)), 0.5, "person")])
        return found

    def taken(self, number, found) -> list[str]:
        self.items += [f"f{number}-d{at}" for at in range(len(found))] if self.takes else []
        return self.items[-len(found) :] if self.takes else []


def test_who_was_missed_between_is_found_and_is_the_same_track():
    clip = Clip(7, {3})
    followed = follow(clip.sights(), clip)
    assert clip.items == ["f3-d0"] and followed.track_of["f3-d0"] == 0
    (track,) = followed.tracks
    assert (track.moments, track.frames) == (7, 3)
    assert (followed.clip.looks_again, followed.clip.found_again) == (1, 1)
    place = followed.linked.items.index("f3-d0")
    assert followed.linked.boxes[place].tolist() == pytest.approx(BOX, abs=1)


def test_one_look_leads_to_the_next():
    clip = Clip(13, set(range(5, 13)))
    followed = follow(clip.sights(), clip)
    assert clip.items == ["f6-d0", "f9-d0", "f12-d0"] and clip.looks == 3
    assert {followed.track_of[item] for item in clip.items} == {0}


def test_of_large_pictures_few_are_held_and_the_same_is_found(monkeypatch):
    together, apart = Clip(19, {3, 9, 15}), Clip(19, {3, 9, 15})
    follow(together.sights(), together)
    monkeypatch.setattr(second_look, "PIXELS", 640 * 360 - 1)
    follow(apart.sights(), apart)
    assert (together.at_once, apart.at_once) == (3, 1)
    assert together.items == apart.items == ["f3-d0", "f9-d0", "f15-d0"]


def test_without_a_second_look_nothing_is_said_of_it():
    clip = Clip(7, {3})
    followed = follow(clip.sights())
    assert "f3-d0" not in followed.track_of and clip.looks == 0
    assert followed.clip.looks_again is None and followed.clip.found_again is None


def test_where_nobody_is_missed_nothing_is_looked_at_again():
    clip = Clip(7, set())
    assert follow(clip.sights(), clip).clip.looks_again == 0 and clip.looks == 0


def test_who_cannot_be_taken_in_is_in_no_track():
    clip = Clip(7, {3}, takes=False)
    followed = follow(clip.sights(), clip)
    assert (followed.clip.looks_again, followed.clip.found_again) == (1, 0)
    assert len(followed.linked.items) == 6
