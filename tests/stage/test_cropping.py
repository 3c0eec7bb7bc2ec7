"""The shown rectangle: what codec and container leave out is in no picture."""

import struct
from dataclasses import replace

import av
import numpy as np
import pytest

from ferrari.images import image_files
from ferrari.video import cropping
from ferrari.video.containers import open_container
from ferrari.video.cropping import Cropping
from tests.generator import oddities
from tests.generator.encode import encode, encoding_of, frames_of
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec, FigureSpec
from tests.stage.clip_run import Run

SPEC = ClipSpec(
    seed=3, width=320, height=240, fps="25", n_frames=3, gop=25,
    figures=(FigureSpec(seed=5, framing="half", motion="wave"),),
)  # fmt: skip
TRUTH = render_frame(SPEC, 0).frame_rgb.astype(int)


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "dataset")


def picture(run, row):
    return image_files.read(run.dataset / row["path"]).astype(int)


@pytest.mark.parametrize("name", ["a.mov", "a.mkv"])
def test_the_containers_cropping_is_applied_and_told(run, tmp_path, name):
    truth = oddities.cropped_by_container(tmp_path / name, SPEC, top=30, left=14)
    row = run.extract(truth.path)[0]
    assert np.abs(picture(run, row) - TRUTH).mean() < 6
    assert row["cropped"] == truth.facts["cropped"]
    probed = run.probe(truth.path)
    assert (probed["width"], probed["height"], probed["coded_width"]) == ("320", "240", "348")
    assert probed["cropped"] == row["cropped"]


@pytest.mark.parametrize("quality", [92, 101])
@pytest.mark.parametrize(("left", "top"), [(160, 0), (18, 10), (2, 2)])
def test_the_codecs_cropping_is_applied_to_the_pixel(run, tmp_path, left, top, quality):
    path = oddities.cropped_by_codec(tmp_path / "a.mp4", SPEC, left, top).path
    row = run.extract(path, webp_quality=quality)[0]
    assert picture(run, row).shape == TRUTH.shape
    assert np.abs(picture(run, row) - TRUTH).mean() < 6 and row["cropped"] == ""
    assert run.probe(path)["width"] == "320"


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_cropping_comes_before_rotation(run, tmp_path, degrees):
    plain = oddities.cropped_by_container(tmp_path / "a.mov", SPEC, top=30, left=14).path
    upright = picture(run, run.extract(plain)[0])
    data = bytearray(plain.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (v * 65536 for v in oddities.TURNS[degrees])
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    turned = tmp_path / "turned.mov"
    turned.write_bytes(data)
    row = run.extract(turned)[0]
    expected = np.rot90(upright, -degrees // 90)
    assert picture(run, row).shape == expected.shape
    assert np.abs(picture(run, row) - expected).mean() < 2


def test_cropping_comes_before_aspect(run, tmp_path):
    path = tmp_path / "a.mov"
    encode(path, frames_of(SPEC), replace(encoding_of(SPEC), sar="2"))
    oddities.add_clean_aperture(path, (160, 1, 240, 1, 0, 1, 0, 1))
    row = run.extract(path)[0]
    assert (row["width"], row["height"], row["cropped"]) == ("320", "240", "0:0:80:80")


@pytest.mark.parametrize(
    ("numbers", "edges"),
    [
        ((300, 1, 200, 1, 5, 1, -7, 1), (13, 27, 15, 5)),
        ((301, 1, 201, 1, 0, 1, 0, 1), (19, 20, 9, 10)),
        ((300, 1, 200, 1, -10, 1, 20, 1), (40, 0, 0, 20)),
        ((2, 1, 2, 1, 0, 1, 0, 1), (119, 119, 159, 159)),
        ((0, 1, 0, 1, 0, 1, 0, 1), (0, 0, 0, 0)),
        ((400, 1, 300, 1, 0, 1, 0, 1), (0, 0, 0, 0)),
        ((100, 1, 100, 1, 200, 1, 0, 1), (0, 0, 0, 0)),
        ((-100, 1, 100, 1, 0, 1, 0, 1), (0, 0, 0, 0)),
        ((100, 0, 100, 1, 0, 1, 0, 1), (0, 0, 0, 0)),
        ((2147483647, 1, 2147483647, 1, 0, 1, 0, 1), (0, 0, 0, 0)),
    ],
)
def test_clean_apertures_are_read_as_ffmpeg_reads_them(tmp_path, numbers, edges):
    path = tmp_path / "a.mov"
    encode(path, frames_of(SPEC), encoding_of(SPEC))
    oddities.add_clean_aperture(path, numbers)
    with open_container(path) as container:
        found = cropping.of_container(container.streams.video[0])
    assert (found.top, found.bottom, found.left, found.right) == edges


@pytest.mark.parametrize(
    ("codec", "pixels"), [("qtrle", "rgb24"), ("png", "rgb24"), ("mjpeg", "yuvj422p")]
)
def test_codecs_that_only_one_of_the_containers_holds(run, tmp_path, codec, pixels):
    """Of each that a .mov may hold: what it leaves out is known all the same."""
    path = tmp_path / "a.mov"
    encoding = replace(encoding_of(SPEC), codec=codec, pix_fmt=pixels, options={}, b_frames=0)
    encode(path, frames_of(SPEC), encoding)
    name = {"qtrle": b"rle ", "png": b"png ", "mjpeg": b"jpeg"}[codec]
    oddities.add_clean_aperture(path, (300, 1, 200, 1, 0, 1, 0, 1), name)
    row = run.extract(path)[0]
    assert (row["width"], row["height"], row["cropped"]) == ("300", "200", "20:20:10:10")


@pytest.mark.parametrize(
    ("pixels", "shown"),
    [
        ("yuv420p", Cropping(12, 28, 14, 6)),
        ("yuv422p", Cropping(13, 27, 14, 6)),
        ("yuv444p", Cropping(13, 27, 15, 5)),
        ("rgb24", Cropping(13, 27, 15, 5)),
        ("gray", Cropping(13, 27, 15, 5)),
        ("yuv410p", Cropping(12, 28, 12, 8)),
    ],
)
def test_whole_samples_of_chroma_are_cropped(pixels, shown):
    asked = Cropping(13, 27, 15, 5)
    assert asked.within(320, 240, av.VideoFormat(pixels)) == shown


def test_a_cropping_that_leaves_nothing_is_none():
    pixels = av.VideoFormat("yuv420p")
    for edges in (Cropping(120, 120), Cropping(left=319), Cropping(500, 0, 0, 0)):
        assert edges.within(320, 240, pixels) == Cropping()
    assert str(Cropping()) == "" and str(Cropping(left=2)) == "0:0:2:0"
