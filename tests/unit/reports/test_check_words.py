"""A check that is not PASS as one line: it reads rightly by itself, and names the clips."""

from __future__ import annotations

from ferrari.ledger.item_ids import crop_item, frame_item, video_id
from ferrari.reports.check_words import line
from ferrari.reports.checks import FAIL, WARN, Check, none_of

FILES = {video_id(file): file for file in ("walk.mp4", "day 2/IMG 0042.MOV")}
WALK, IMG = FILES


def test_what_should_be_and_is_not_is_no_praise_and_names_the_clips():
    check = none_of("clips_show_the_subject", [WALK, IMG], 7, "why", otherwise=WARN)
    said = "Clips show the subject: not so for 2 of 7 (walk.mp4, day 2/IMG 0042.MOV)"
    assert line(check, FILES) == said


def test_images_tracks_and_crops_are_named_by_their_clip_once():
    crops = [crop_item(frame_item(WALK, n), 0) for n in range(3)]
    check = none_of("crops_readable", [*crops, f"{IMG}-t3", f"{IMG}-t4"], 78, "why")
    said = "Crops readable: not so for 5 of 78 (walk.mp4, day 2/IMG 0042.MOV)"
    assert line(check, FILES) == said


def test_what_is_of_no_clip_is_named_as_people_know_it():
    check = none_of("references_without_strangers", ["my party.png"], 6, "why", otherwise=WARN)
    assert line(check, FILES) == "References without strangers: not so for 1 of 6 (my party.png)"


def test_a_bound_stands_beside_the_clips():
    check = Check("faces_judged", WARN, "1 of 90 faces", "at least 10%", "why", (WALK,))
    assert line(check, FILES) == "Faces judged: 1 of 90 faces (bound: at least 10%; walk.mp4)"


def test_of_many_clips_some_are_named():
    check = none_of("a", [f"clip {n}.mp4" for n in range(30)], 99, "why", otherwise=FAIL)
    assert line(check, {}).endswith("clip 4.mp4 and 15 or more others)")
    check = none_of("a", [f"clip {n}.mp4" for n in range(7)], 99, "why", otherwise=FAIL)
    assert line(check, {}).endswith("clip 4.mp4 and 2 others)")
