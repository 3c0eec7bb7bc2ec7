"""People over a clip's pictures: what is told of their tracks, in any size of picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferrari.images.boxes import Detection
from ferrari.subject import clip_table, track_table
from ferrari.subject.following import Sight, follow
from ferrari.subject.sightings_file import seen_clip
from ferrari.subject.succession import ALONE_S

WIDTH, HEIGHT = 640, 360
BOX = (200.0, 60.0, 300.0, 300.0)


def picture(offset: int, scale: float = 1.0) -> np.ndarray:
    """Somebody in red before a grey wall, `offset` px further to the right."""
    drawn = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    drawn[60:300, 200 + offset : 300 + offset] = (190, 40, 30)
    return cv2.resize(drawn, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)


def sight(step: int, scale: float = 1.0, items=None, seen: bool = True) -> Sight:
    box = tuple((side + (5 * step if at % 2 == 0 else 0)) * scale for at, side in enumerate(BOX))
    found = [Detection(box, 0.8, "person")] if seen else []
    return Sight(step / 6, picture(5 * step, scale), found, items)


def test_frames_are_linked_with_smaller_pictures_between_them():
    sights = [sight(n, 3.0 if n % 3 == 0 else 1.0, [f"f{n}-d0"] if n % 3 == 0 else None)
              for n in range(7)]  # fmt: skip
    followed = follow(sights)
    assert followed.track_of == {"f0-d0": 0, "f3-d0": 0, "f6-d0": 0}
    (track,) = followed.tracks
    assert (track.moments, track.frames, track.ended_by) == (7, 3, "end")
    assert track.area == pytest.approx(100 * 240 / (WIDTH * HEIGHT), rel=1e-4)
    assert track.confidence == pytest.approx(0.8)
    assert track.consistency > 0.95
    assert (followed.clip.moments, followed.clip.frames) == (7, 3)
    assert followed.clip.consistency == pytest.approx(track.consistency)


def test_who_comes_back_after_a_while_is_a_new_track():
    there = {0, 1, 9, 10}
    sights = [
        sight(n, items=[f"f{n}-d0"] if n in there else [], seen=n in there) for n in range(11)
    ]
    followed = follow(sights)
    assert [row.ended_by for row in followed.tracks] == ["gap", "end"]
    assert followed.track_of == {"f0-d0": 0, "f1-d0": 0, "f9-d0": 1, "f10-d0": 1}


def test_a_clip_that_shows_nobody_has_a_row_and_no_track(tmp_path):
    for sights in ([], [sight(n, seen=False) for n in range(3)]):
        followed = follow(sights)
        assert followed.track_of == {} and followed.tracks == []
        assert followed.clip.moments == len(sights) and followed.clip.consistency is None
        clip_table.write(tmp_path / "t.csv", followed.clip, followed.tracks)
        (row,) = clip_table.read(tmp_path / "t.csv", track_table.COLUMNS)
        assert (row["track"], row["consistency"]) == ("", "")


def at(times_s):
    """One person in a picture of each time, who goes on walking from one to the next."""
    sights = [sight(n, items=[f"f{n}-d0"]) for n in range(len(times_s))]
    return [Sight(t, s.picture_rgb, s.found, s.items) for t, s in zip(times_s, sights, strict=True)]


SIXTHS = [n / 6 for n in range(6)]


@pytest.mark.parametrize("second", [SIXTHS, [t + 0.1 for t in SIXTHS], [t - 900 for t in SIXTHS]])
def test_whom_two_recordings_in_one_file_show_is_not_there_twice_at_once(second):
    """The second recording's clock starts anew, mostly at the times of the first."""
    times_s = [*(t + 100 for t in SIXTHS), *(t + 100 for t in second)]
    followed = follow(at(times_s))
    linked = followed.linked
    assert linked.track.tolist() == [0] * 6 + [1] * 6
    assert not seen_clip(linked, {}, 4).sightings.at_once().any()
    assert (np.diff(linked.time_s) > 0).all() and linked.clock_s.tolist() == times_s
    own = [(row.from_s, row.to_s) for row in followed.tracks]
    assert own == [(times_s[0], times_s[5]), (times_s[6], times_s[11])]


def test_how_long_lies_between_two_recordings_is_not_taken_for_short():
    linked = follow(at([*(t + 100 for t in SIXTHS), *(t + 90 for t in SIXTHS)])).linked
    assert linked.time_s[6] - linked.time_s[5] > 3600
    assert np.diff(linked.time_s[6:]) == pytest.approx(np.diff(SIXTHS))


def test_a_clock_that_stumbles_is_no_new_recording():
    times_s = [0.0, 0.2, 0.4, 0.4, 0.3, 0.5]
    linked = follow(at(times_s)).linked
    assert (np.diff(linked.time_s) > 0).all() and linked.time_s[-1] < ALONE_S
    assert linked.clock_s.tolist() == times_s
    sound = follow(at(SIXTHS)).linked
    assert sound.time_s.tolist() == sound.clock_s.tolist() == SIXTHS
