"""What became of the clips, in words: refused ones, copies, and files that are no videos."""

from __future__ import annotations

import pytest

from ferrari.ledger import clip_fates, clips_gone

VERDICTS = ("OK", "OK", "LOW_RESOLUTION", "DUPLICATE_VIDEO", "NOT_A_VIDEO", "SYSTEM_FILE")


def row(verdict, file="a.mp4", **cells):
    known = {"item": f"{file[:1]}-0123456789", "file": file, "verdict": verdict}
    return {"detail": "", "value": "", "threshold": "", **known, **cells}


def rows(*verdicts):
    return [row(verdict, f"{number}.mp4") for number, verdict in enumerate(verdicts)]


def test_clips_copies_and_other_files_are_counted_apart():
    fates = clip_fates.of_rows(rows(*VERDICTS))
    assert (fates.clips, fates.figure) == (4, "1 of 4")
    assert [one.file for one in fates.refused] == ["2.mp4"]
    assert [one.file for one in fates.copies] == ["3.mp4"]
    assert [one.file for one in fates.others] == ["4.mp4", "5.mp4"]
    assert fates.apart == (
        "Copies of clips that are used: 1 (3.mp4). Other files, no videos: 2 (4.mp4, 5.mp4). "
        "Of these named like clips (a copy that failed?): 1 (4.mp4)"
    )
    notes = clip_fates.of_rows([row("NOT_A_VIDEO", "notes.txt")])
    assert notes.apart == "Other files, no videos: 1 (notes.txt)"


def test_a_sound_set_has_nothing_to_say():
    fates = clip_fates.of_rows(rows("OK", "OK"))
    assert (fates.headline, fates.apart, clip_fates.as_lines(fates)) == ("", "", [])


@pytest.mark.parametrize(
    ("verdict", "cells", "cure"),
    [
        ("LOW_RESOLUTION", {"value": "360", "threshold": "480"}, "probe.min_short_side: 360 "),
        ("LOW_RESOLUTION", {"value": "359.5", "threshold": "480"}, "probe.min_short_side: 359 "),
        ("TOO_LARGE", {"value": "73.2", "threshold": "64"}, "probe.max_megapixels: 74 "),
        ("EXTRACTOR_REJECTED", {"detail": "NO_DECODER: none"}, "Set extract.decoder: auto."),
        ("CORRUPT_CONTAINER", {}, "Copy or download the clip again"),
    ],
)
def test_what_admits_a_clip_is_said(verdict, cells, cure):
    assert clip_fates.admitted_by(row(verdict, **cells)).startswith(cure)


def test_a_long_list_is_cut_short_and_says_so():
    lines = clip_fates.as_lines(clip_fates.of_rows(rows(*["ZERO_DURATION"] * 12)))
    assert lines[0] == "Clips refused: 12 of 12." and lines[-1] == "  ... and 2 more"


def test_hostile_names_are_shown_as_text():
    (one,) = clip_fates.of_rows([row("ZERO_DURATION", "a\n\udcff.mp4")]).refused
    assert one.file == "a\\n\\xff.mp4"


def test_what_is_left_of_clips_that_are_gone_is_found_in_every_folder(tmp_path):
    for place in ("videos/gone-0123456789.csv", "01_extracted_frames/gone-0123456789.linking.mkv"):
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).touch()
    faces = "subject/sightings"  # the last that somebody who asks to be taken out wants there
    (tmp_path / faces).mkdir(parents=True)
    (tmp_path / faces / "seen-0123456789.npz").touch()
    (tmp_path / "02_yolo_crops/other-0123456789").mkdir(parents=True)
    (tmp_path / "videos/here-0123456789.csv").touch()
    assert clips_gone.left_over(tmp_path, {"here-0123456789"}) == {
        "gone-0123456789": ["videos", "01_extracted_frames"],
        "other-0123456789": ["02_yolo_crops"],
        "seen-0123456789": [faces],
    }
    assert clips_gone.folders_of(tmp_path, "seen-0123456789") == [faces]
    assert clips_gone.folders_of(tmp_path, "gone-0123456789") == ["videos", "01_extracted_frames"]
    assert clips_gone.known_by_tables(tmp_path, {"here-0123456789"}) == ["gone-0123456789"]
    assert clips_gone.known_by_tables(tmp_path / "nothing", ()) == []
