"""One known picture under many colour tags: each patch within 3 of 255 of what it is."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from av import VideoFrame

from ferrari.images import image_files
from ferrari.video.colours import Untagged
from ferrari.video.decoding import pyav_decoder
from ferrari.video.decoding.base import DecodePlan, DecodeStats
from ferrari.video.frame_encoding import encode_webp_yuv
from tests.generator import oddities
from tests.generator.colour_patches import PATCHES, Tags, measured, write_patches
from tests.generator.encode import encode, encoding_of, frames_of
from tests.generator.spec import ClipSpec, FigureSpec
from tests.stage.clip_run import Run

SPEC = ClipSpec(
    seed=3, width=320, height=240, fps="25", n_frames=8, gop=4,
    figures=(FigureSpec(seed=5, framing="half", motion="wave"),),
)  # fmt: skip
WITHIN = 3
GREY = np.repeat((PATCHES @ [0.2126, 0.7152, 0.0722])[:, None], 3, axis=1)
SIGNAL = PATCHES / 255
LIGHT = np.where(SIGNAL <= 0.04045, SIGNAL / 12.92, ((SIGNAL + 0.055) / 1.055) ** 2.4)
#: From linear BT.709: ITU-R BT.2087-0, table 2; SMPTE EG 432-1; P3 with its own white, by Bradford.
FROM_BT709 = {
    9: [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]],
    12: [[0.8225, 0.1774, 0.0000], [0.0332, 0.9669, 0.0000], [0.0171, 0.0724, 0.9108]],
    11: [[0.8686, 0.1289, 0.0025], [0.0345, 0.9618, 0.0036], [0.0168, 0.0710, 0.9122]],
}
#: By code of the transfer: the curve by which a screen shows it.
GAMMA = {1: 2.4, 4: 2.2, 5: 2.8, 6: 2.4, 14: 2.4, 15: 2.4}


def first(path, **plan):
    """The first frame, and its picture and luma."""
    frames = pyav_decoder.cpu().open(str(path), DecodePlan(**plan), DecodeStats())
    frame = next(frames)
    picture, luma = frame.picture.rgb(), frame.picture.luma()
    frames.close()
    return frame, picture, luma


def worst(picture, expected=PATCHES):
    return np.abs(measured(picture) - expected).max()


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le", "yuv444p10le"])
@pytest.mark.parametrize("matrix", [1, 4, 5, 6, 7, 8, 9])
def test_matrix_and_range_are_read(tmp_path, matrix, pixels):
    for levels in (1, 2):
        clip = write_patches(tmp_path / "a.mkv", SIGNAL, Tags(matrix, levels, 1, 1), pixels)
        frame, picture, luma = first(clip)
        assert worst(picture) <= WITHIN
        assert frame.picture.facts["range"] == ("limited", "full")[levels - 1]
        assert luma.shape == picture.shape[:2]


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("matrix", [1, 5, 6])
def test_the_planes_for_webp_show_what_the_picture_shows(tmp_path, matrix, levels):
    clip = write_patches(tmp_path / "a.mkv", SIGNAL, Tags(matrix, levels, 1, 1))
    frame, _, _ = first(clip)
    planes = frame.picture.yuv()
    assert worst(image_files.decode(encode_webp_yuv(planes, 100))) <= WITHIN
    two_planes = VideoFrame.from_ndarray(woven(frame.picture.frame), "nv12")
    assert np.array_equal(replace(frame.picture, frame=two_planes).yuv(), planes)


def woven(frame):
    """The planes of a 4:2:0 frame as NV12, which cards give: Cb and Cr by turns."""
    luma, cb, cr = np.split(frame.to_ndarray().ravel(), np.cumsum([96 * 256, 48 * 128]))
    return np.vstack([luma.reshape(96, 256), np.stack([cb, cr], -1).reshape(48, 256)])


@pytest.mark.parametrize("pixels", ["gbrp", "gbrp10le", "gray", "gray10le"])
@pytest.mark.parametrize("levels", [1, 2])
def test_the_range_of_rgb_and_grey_is_read(tmp_path, pixels, levels):
    tags = Tags(0 if pixels.startswith("gbr") else 1, levels, 1, 1)
    clip = write_patches(tmp_path / "a.mkv", SIGNAL, tags, pixels)
    _, picture, _ = first(clip)
    assert worst(picture, PATCHES if pixels.startswith("gbr") else GREY) <= WITHIN


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv444p10le", "gbrp10le"])
@pytest.mark.parametrize("primaries", FROM_BT709)
@pytest.mark.parametrize("transfer", [*GAMMA, 13])
def test_other_primaries_become_those_of_srgb(tmp_path, primaries, transfer, pixels):
    if transfer == 13:
        light = LIGHT @ np.transpose(FROM_BT709[primaries])
        signal = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    else:
        light = SIGNAL ** GAMMA[transfer] @ np.transpose(FROM_BT709[primaries])
        signal = light ** (1 / GAMMA[transfer])
    matrix = 0 if pixels.startswith("gbr") else 9
    clip = write_patches(tmp_path / "a.mkv", signal, Tags(matrix, 1, transfer, primaries), pixels)
    _, picture, _ = first(clip)
    assert worst(picture) <= WITHIN


@pytest.mark.parametrize("primaries", [1, 5, 6, 7, 22])
def test_primaries_that_players_leave_alone_are_left_alone(tmp_path, primaries):
    clip = write_patches(tmp_path / "a.mkv", SIGNAL, Tags(6, 1, 6, primaries))
    frame, picture, _ = first(clip)
    assert worst(picture) <= WITHIN and frame.picture.yuv() is not None


@pytest.mark.parametrize("transfer", [1, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_ordinary_curves_are_shown_as_they_are(tmp_path, transfer):
    clip = write_patches(tmp_path / "a.mkv", SIGNAL, Tags(1, 1, transfer, 1))
    frame, picture, _ = first(clip)
    assert worst(picture) <= WITHIN and frame.picture.yuv() is not None


@pytest.mark.parametrize(
    ("transfer", "signal"),
    [
        (8, LIGHT),
        (9, 1 + np.log10(LIGHT) / 2),
        (10, 1 + np.log10(LIGHT) / 2.5),
        (17, (LIGHT * 48 / 52.37) ** (1 / 2.6)),
    ],
)
def test_curves_that_no_screen_has_become_srgbs(tmp_path, transfer, signal):
    clip = write_patches(tmp_path / "a.mkv", signal, Tags(1, 1, transfer, 1), "yuv444p10le")
    frame, picture, _ = first(clip)
    dark = 5  # a step of 10 bits of linear light is more than 3 levels there
    bright = [i for i in range(8) if i != dark]
    assert np.abs(measured(picture) - PATCHES)[bright].max() <= WITHIN
    assert frame.picture.yuv() is None


@pytest.mark.parametrize("pixels", ["yuv420p10le", "gray10le"])
def test_hdr_is_told_from_sdr_in_any_format(tmp_path, pixels):
    clip = write_patches(tmp_path / "a.mkv", SIGNAL, Tags(9, 1, 16, 9), pixels)
    frame, picture, _ = first(clip)
    assert frame.picture.facts["transfer"] == "pq" and measured(picture)[4].min() > 240


@pytest.mark.parametrize("code", [10, 11, 13, 14])
def test_matrices_that_are_not_converted_are_refused_with_a_row_and_the_frame(tmp_path, code):
    clip = write_patches(tmp_path / "a.mkv", SIGNAL, Tags(code, 1, 1, 9), "yuv420p10le", matrix=9)
    run = Run(tmp_path / "dataset")
    rejected, row = run.extract(clip)
    assert (rejected["reason"], row["reason"]) == ("EXTRACTOR_REJECTED", "UNKNOWN_COLOURS")
    assert row["matrix"] in row["detail"] and "(assumed)" not in row["matrix"]
    assert image_files.read(run.dataset / row["path"]).shape == (96, 256, 3)


def test_a_matrix_that_follows_from_the_primaries_is_derived(tmp_path):
    clip = write_patches(tmp_path / "a.mkv", SIGNAL, Tags(12, 1, 1, 1), "yuv444p", matrix=1)
    frame, picture, _ = first(clip)
    assert worst(picture) <= WITHIN and frame.picture.facts["matrix"] == "chroma-derived"


@pytest.mark.parametrize(("code", "pixels"), [(0, "yuv420p"), (3, "yuv420p"), (2, "yuv420p")])
def test_what_a_clip_does_not_tell_is_assumed_told_and_settable(tmp_path, code, pixels):
    """A code that cannot be is no better than none."""
    tags = Tags(code, 0, 2, 2)
    clip = write_patches(tmp_path / "a.mkv", SIGNAL, tags, pixels, matrix=6, full=False)
    frame, picture, _ = first(clip)
    assert worst(picture) <= WITHIN
    assert frame.picture.facts["matrix"] == "bt601 (assumed)"
    assert frame.picture.facts["range"] == "limited (assumed)"
    assert frame.picture.facts["primaries"] == frame.picture.facts["transfer"] == "bt709 (assumed)"
    for matrix, full in itertools.product((1, 6, 9), (False, True)):
        clip = write_patches(tmp_path / "a.mkv", SIGNAL, tags, pixels, matrix=matrix, full=full)
        names = {1: "bt709", 6: "bt601", 9: "bt2020"}
        levels = "full" if full else "limited"
        frame, picture, _ = first(clip, untagged=Untagged(names[matrix], levels))
        assert frame.picture.facts["matrix"] == f"{names[matrix]} (assumed)"
        assert (worst(picture) <= WITHIN) == (matrix != 9)  # 9: and BT.2020 primaries with it


def test_each_frame_is_taken_at_its_own_word(tmp_path):
    """Two recordings in one file: each part has the colours that it says."""
    parts = b""
    for name, colours in (("a.ts", (1, 1, 1)), ("b.ts", (5, 6, 5))):
        encoding = replace(encoding_of(SPEC), colours=colours)
        parts += encode(tmp_path / name, frames_of(SPEC), encoding).read_bytes()
    clip = tmp_path / "both.ts"
    clip.write_bytes(parts)
    rows = Run(tmp_path / "dataset").extract(clip, fps=25)
    told = [(row["matrix"], row["transfer"], row["primaries"]) for row in rows if row["frame"]]
    assert set(told) == {("bt709",) * 3, ("bt601", "bt601", "bt470bg")}
    assert told[0] != told[-1]


def test_a_rebuilt_frame_has_the_colours_of_its_fields(tmp_path):
    clip = oddities.interlaced(tmp_path / "a.mp4", SPEC).path
    row = Run(tmp_path / "dataset").extract(clip)[0]
    facts = ("matrix", "range", "transfer", "primaries")
    assert [row[fact] for fact in facts] == ["bt709", "limited", "bt709", "bt709"]


def test_settings_of_untagged_clips_reach_the_frames(tmp_path):
    clip = write_patches(tmp_path / "a.mkv", SIGNAL, Tags(2, 0, 2, 2), matrix=1, full=True)
    run = Run(tmp_path / "dataset")
    row = run.extract(clip, untagged_colours="bt709", untagged_range="full")[0]
    assert worst(image_files.read(run.dataset / row["path"])) <= WITHIN
    assert (row["matrix"], row["range"]) == ("bt709 (assumed)", "full (assumed)")


def test_log_footage_by_its_tags_is_told(tmp_path):
    tags = Tags(9, 1, 2, 9)
    frame, _, _ = first(write_patches(tmp_path / "a.mkv", SIGNAL, tags, "yuv420p10le"))
    assert "Log" in frame.picture.facts["log_footage"]


@pytest.mark.parametrize(
    ("value", "is_log"),
    [
        ("S-Log3", True),
        ("Gamma: V-Log L", True),
        ("D-Log M", True),
        ("LogC4", True),
        ("com.apple.AppleLog", True),
        ("Canon Log 2", True),
        ("video log of our holiday", False),
        ("blog 2", False),
        ("Lavf62.12.102", False),
        ("a vlogger's clip", False),
    ],
)
def test_log_footage_by_its_metadata_is_told_and_nothing_is_changed(tmp_path, value, is_log):
    tags = Tags(1, 1, 1, 1)
    clip = write_patches(tmp_path / "a.mkv", SIGNAL, tags, metadata={"comment": value})
    frame, picture, _ = first(clip)
    assert bool(frame.picture.facts["log_footage"]) is is_log
    assert worst(picture) <= WITHIN
