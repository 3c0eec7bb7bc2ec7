"""Inputs made after public reports of footage that tools got wrong (FERRARI_SHARED, `wild/`): what
must become of each.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ferrari.images import image_files
from ferrari.ledger import raw_folder, tables
from tests.generator.colour_patches import PATCHES
from tests.shared import shared
from tests.stage.clip_run import Run

pytestmark = pytest.mark.real
GREY = np.repeat((PATCHES @ [0.2126, 0.7152, 0.0722])[:, None], 3, axis=1)
#: Of each clip: frames shown, seconds, sizes of the images, images of two samples a second.
CLIPS = {
    "trims/trimmed_by_edit_list.mp4": (122, 4.1, {(960, 720)}, 9),
    "trims/trimmed.mkv": (212, 7.1, {(960, 720)}, 15),
    "trims/slideshow_each_15s.mp4": (12, 180.0, {(960, 720)}, 12),
    "trims/slideshow_each_5s.mp4": (12, 60.0, {(960, 720)}, 12),
    "trims/clean_aperture.mov": (60, 2.0, {(1280, 540)}, 4),
    "containers/trim_both.mov": (26, 0.9, {(1280, 720)}, 2),
    "containers/trim_copy.mp4": (59, 1.967, {(1280, 720)}, 4),
    "containers/slideshow_15s.mp4": (12, 165.033, {(1280, 720)}, 12),
    "containers/timelapse_15s.webm": (12, 165.033, {(1280, 720)}, 12),
    "containers/screenrec_gaps.mp4": (84, 2.767, {(1280, 720)}, 9),
    "containers/sar_switch.ts": (90, 2.967, {(768, 576), (1024, 576)}, 6),
    "containers/two_tracks_default.mkv": (89, 2.966, {(1280, 720)}, 6),
    "containers/sps_crop.mp4": (89, 2.967, {(960, 704)}, 6),
    "containers/coded1088_shown1080.mp4": (45, 1.5, {(1920, 1080)}, 3),
    "containers/hflip.mp4": (89, 2.967, {(1280, 720)}, 6),
    "containers/rot90_hflip.mp4": (89, 2.967, {(720, 1280)}, 6),
    "containers/no_index.avi": (89, 2.967, {(1280, 720)}, 6),
    "containers/negative.mkv": (89, 2.966, {(1280, 720)}, 6),
    "joined/interlaced_dv_like.mpg": (36, 2.4, {(768, 576)}, 5),
    "joined/psf_flagged_interlaced.mp4": (60, 2.0, {(1920, 1080)}, 4),
    "joined/joined_other_size.mp4": (90, 3.0, {(1280, 720), (960, 540)}, 6),
    "joined/joined_other_size.mkv": (90, 3.0, {(1280, 720), (960, 540)}, 6),
    "joined/joined_other_encoder.mp4": (90, 3.0, {(1280, 720)}, 6),
    "scenes/far_away_still_camera.mp4": (180, 6.0, {(1920, 1080)}, 12),
    "scenes/dim_evening.mp4": (180, 6.0, {(960, 720)}, 12),
    "scenes/poster_on_the_wall.mp4": (150, 5.0, {(1280, 720)}, 10),
    "folder/sidecars/holiday.mkv.crdownload": (17, 0.567, {(640, 480)}, 2),
}
#: Of each file that is none: the verdict, and what its row says.
NO_CLIPS = {
    "containers/camera_raw.mov": ("UNSUPPORTED_CODEC", "CRAW"),
    "containers/song_with_cover.mp4": ("NO_VIDEO_STREAM", "a cover picture"),
    "photos/IMG_0002.avif": ("NOT_A_VIDEO", "one picture (AVIF)"),
    "photos/IMG_0003.JPG": ("NOT_A_VIDEO", "a picture"),
    "photos/sticker_anim.avif": ("NOT_A_VIDEO", "an animation (AVIF, 8 pictures)"),
    "photos/sticker_anim.gif": ("NOT_A_VIDEO", "an animation (GIF, 4 pictures)"),
    "photos/sticker_anim.webp": ("NOT_A_VIDEO", "moves"),
    "folder/sidecars/notes.txt": ("NOT_A_VIDEO", "plain text"),
    "folder/sidecars/release.nfo": ("NOT_A_VIDEO", "plain text"),
    "folder/sidecars/art.diz": ("NOT_A_VIDEO", "plain text"),
    "folder/sidecars/Thumbs.db": ("NOT_A_VIDEO", "Windows"),
    "folder/sidecars/holiday.mp4.part": ("CORRUPT_CONTAINER", "cut off"),
    "folder/GOPRO/GX010001.THM": ("NOT_A_VIDEO", "a picture"),
}
#: Levels by which patches may be off. BT.2020 was made by the camera's curve and is shown by the
#: screen's; HLG is toned down to a screen's range.
COLOURS = {
    **dict.fromkeys(("c01_709tv.mp4", "c02_709pc.mp4", "c05_smpte240m.mp4", "c06_fcc.mp4"), 3),
    **dict.fromkeys(("c07_yuv444_10_pc.mp4", "c08_gbrp.mp4"), 3),
    **dict.fromkeys(("c15_vp9_601tag_720.webm", "c17_hevc_709pc_10.mp4"), 3),
    **dict.fromkeys(("c03_untagged_wide_1280x544.mp4", "c19_hevc_gray_tv.mp4"), 3),
    **{"c20_hevc_gray10_tv.mp4": 3, "c13_sdr2020.mp4": 12, "c21_hlg.mp4": 40},
}


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "dataset")


def file_of(name: str) -> Path:
    return shared("wild") / name


@pytest.mark.parametrize("name", CLIPS)
def test_what_players_show_is_taken(run, name):
    frames, seconds, sizes, images = CLIPS[name]
    row, rows = run.probe(file_of(name)), run.extract(file_of(name))
    kept = tables.kept(rows)
    assert (row["reason"], row["frames"]) == ("OK", str(frames))
    assert float(row["duration_s"]) == pytest.approx(seconds, abs=0.002)
    assert {(int(r["width"]), int(r["height"])) for r in kept} == sizes
    assert len(kept) == images


@pytest.mark.parametrize("name", NO_CLIPS)
def test_what_is_no_clip_is_refused_with_what_it_is(run, name):
    verdict, said = NO_CLIPS[name]
    row = run.probe(file_of(name))
    assert row["reason"] == verdict and said in row["detail"]


@pytest.mark.parametrize("name", COLOURS)
def test_patches_have_the_colours_that_they_were_made_of(run, name):
    (row, *_) = run.extract(file_of(f"colours/{name}"))
    picture = image_files.read(run.dataset / row["path"])
    middles = [picture[24:56, 16 + 64 * number :][:, 16:40] for number in range(8)]
    found = np.array([middle.reshape(-1, 3).mean(axis=0) for middle in middles])
    wanted = GREY if "gray" in name else PATCHES
    assert np.abs(found - wanted).max() <= COLOURS[name], found.round()


def test_a_track_that_is_passed_over_is_named(run):
    row = run.probe(file_of("containers/two_tracks_default.mkv"))
    assert (
        row["other_tracks"] == "track 1 (h264 1600x1200): another film track, not the default one"
    )


def test_pictures_that_are_flagged_interlaced_and_are_not_are_nearly_unharmed(run):
    clip = file_of("joined/psf_flagged_interlaced.mp4")
    rebuilt, plain = (tables.kept(run.extract(clip, deinterlace=on)) for on in (True, False))
    assert {row["interlaced"] for row in rebuilt} == {"1"} and len(rebuilt) == len(plain) == 4
    for one, other in zip(rebuilt, plain, strict=True):
        assert float(one["sharpness"]) == pytest.approx(float(other["sharpness"]), rel=0.1)


def test_interlaced_frames_keep_their_evidence(run):
    row = run.extract(file_of("joined/interlaced_dv_like.mpg"))[0]
    assert (row["frame"], row["pts"], row["interlaced"]) == ("0", "51000", "1")


def test_what_systems_keep_in_a_folder_is_left_out():
    found = raw_folder.look_through(file_of("folder/NAS"))
    assert found.videos == {}
    assert {why.reason for why in found.left_out.values()} == {"SYSTEM_FILE"}
