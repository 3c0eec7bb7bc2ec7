"""The linking film: from the same pass as the samples, between which it has no hole."""

import itertools
from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from ferrari.ledger import item_ids, tables
from ferrari.video import linking_film
from ferrari.video.decoding import pyav_decoder
from ferrari.video.decoding.base import DecodePlan, DecodeStats
from ferrari.video.linking_film import SIDE
from ferrari.video.timestamps import Sampler
from tests.generator import colour_patches, faults, oddities
from tests.generator.colour_patches import PATCHES, Tags, write_patches
from tests.generator.encode import encode, encoding_of, frames_of
from tests.generator.spec import ClipSpec, FigureSpec
from tests.stage.clip_run import Run
from tests.stage.test_selective import CASES, write

SPEC = ClipSpec(
    seed=3, width=320, height=240, fps="25", n_frames=50, gop=25,
    figures=(FigureSpec(seed=5, framing="half", motion="wave"),),
)  # fmt: skip
#: In part, with holes behind the last sample of a group; single frames; in full.
KINDS = ("pyramid.mp4", "long_gop.mkv", "short_gop.mp4", "hevc_open.mkv", "motion.avi", "vp8.webm")


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "dataset")


def film_path(run, raw):
    table = run.dataset / f"01_extracted_frames/{item_ids.video_id(raw.name)}.csv"
    return linking_film.path_of(table)


def film_of(run, raw):
    return list(linking_film.read(film_path(run, raw)))


def shown(path):
    """Time and picture of each frame of a clip, in the order shown."""
    with av.open(str(path)) as container:
        return [
            (f.pts * f.time_base, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)
        ]


def grey(picture_rgb):
    return cv2.cvtColor(picture_rgb, cv2.COLOR_RGB2GRAY).astype(int)


def require_no_hole(times_s, moments, fps):
    """Each slot of the clip has a moment: of those, by number of the frame, all are given."""
    sampler = Sampler(fps, Fraction(1, 25))
    begins = [n for n, time_s in enumerate(times_s) if sampler.wants(time_s)]
    for begin, end in itertools.pairwise([*begins, len(times_s)]):
        assert any(begin <= frame < end for frame in moments), (begin, end)


@pytest.mark.parametrize(
    ("name", "fps"), [*((kind, 2.5) for kind in KINDS), ("pyramid.mp4", 0.4), ("motion.avi", 0.4)]
)
def test_each_slot_has_a_picture_or_a_kept_sample(run, tmp_path, name, fps):
    path = write(tmp_path / name, CASES[name][0])
    rows = run.extract(path, fps=fps)
    frames, film = shown(path), film_of(run, path)
    kept = [int(row["frame"]) for row in tables.kept(rows)]
    taken = [picture.frame for picture in film]
    assert taken == sorted(taken) and not set(taken) & set(kept)
    require_no_hole([time_s for time_s, _ in frames], {*taken, *kept}, 6)
    for picture in film:
        time_s, truth = frames[picture.frame]
        assert picture.time_s == round(float(time_s), 6)
        assert np.abs(grey(picture.picture_rgb) - grey(truth)).mean() < 5


@pytest.mark.parametrize("name", ("pyramid.mp4", "short_gop.mp4", "motion.avi", "vp8.webm"))
def test_the_film_changes_no_row_and_no_frame(run, tmp_path, name):
    path = write(tmp_path / name, CASES[name][0])
    found = []
    for fps in (0, 6, 11.3):
        rows = run.extract(path, linking_fps=fps)
        files = {r["path"]: (run.dataset / r["path"]).read_bytes() for r in rows if r["path"]}
        found.append((rows, files, film_path(run, path).read_bytes()))
    assert all(one[:2] == found[0][:2] for one in found)
    assert 0 == len(found[0][2]) < len(found[1][2]) < len(found[2][2])


def test_the_film_is_the_same_whatever_the_number_of_threads(run, tmp_path):
    path = write(tmp_path / "a.mp4", CASES["pyramid.mp4"][0])
    films = []
    for threads in (1, 2, 7):
        run.extract(path, threads=threads)
        films.append(film_path(run, path).read_bytes())
    assert films[0] == films[1] == films[2]


def test_samples_that_repeat_the_last_one_are_in_it(run, tmp_path):
    still = replace(SPEC, frozen_runs=((5, 40),))
    path = faults.good(tmp_path / "a.mp4", still).path
    rows = run.extract(path, fps=6)
    repeats = [int(row["frame"]) for row in rows if row["reason"] == "DUPLICATE_FRAME"]
    assert repeats and {*repeats} <= {picture.frame for picture in film_of(run, path)}


def test_it_ends_with_the_last_sample_that_was_looked_at(run, tmp_path):
    for name in ("pyramid.mp4", "vp8.webm"):
        path = write(tmp_path / name, CASES[name][0])
        rows = run.extract(path, max_frames=3)
        assert rows[-1]["reason"] == "MAX_FRAMES"
        frames = [picture.frame for picture in film_of(run, path)]
        assert frames and int(rows[1]["frame"]) < max(frames) < int(rows[-1]["frame"])


@pytest.mark.parametrize("seed", range(2))
def test_what_is_built_on_lost_data_is_not_in_it(run, tmp_path, seed):
    truth = oddities.damaged(tmp_path / "a.mp4", replace(SPEC, n_frames=75), seed)
    rows = run.extract(truth.path, fps=5)
    first, last = truth.facts["spoilt_frames"]
    assert {row["reason"] for row in rows} >= {"DECODE_DAMAGE", "LOST_SPAN"}
    frames = [picture.frame for picture in film_of(run, truth.path)]
    assert not set(frames) & set(range(first, last))
    assert min(frames) < first and max(frames) >= last


@pytest.mark.parametrize("how", ["refused by stage 0", "no frame to trust", "hdr", "crashed"])
def test_a_clip_without_frames_has_a_film_of_zero_bytes(run, tmp_path, monkeypatch, how):
    settings = {}
    path = tmp_path / "a.mp4"
    if how == "refused by stage 0":
        faults.html(path)
    elif how == "no frame to trust":
        from ferrari.video import extraction

        faults.good(path, SPEC)
        doubt = lambda frames: ((frame, frame.ordinal % 5 > 2) for frame in frames)  # noqa: E731
        monkeypatch.setattr(extraction, "trusted", doubt)
        settings = {"fps": 5}
    elif how == "hdr":
        oddities.hdr_pq(path, replace(SPEC, n_frames=10))
        settings = {"hdr": "refuse"}
    else:
        faults.good(path, SPEC)
        monkeypatch.setattr(linking_film.Recorder, "finish", lambda *_: __import__("os").abort())
    assert not tables.kept(run.extract(path, **settings))
    assert film_path(run, path).read_bytes() == b""


def test_nothing_is_left_of_a_longer_film(run, tmp_path):
    path = faults.good(tmp_path / "a.mp4", SPEC).path
    run.extract(path)
    before = film_path(run, path).stat().st_size
    run.extract(path, linking_fps=3)
    assert 0 < film_path(run, path).stat().st_size < before and film_of(run, path)
    assert not list(run.dataset.rglob("*.part"))


# --- what a small picture shows -------------------------------------------------------------------


def first_picture(path, **plan):
    frames = pyav_decoder.cpu().open(str(path), DecodePlan(**plan), DecodeStats())
    picture = next(frames).picture
    picture.rgb()  # before the decoder is closed
    return frames, picture


@pytest.mark.parametrize(
    ("size", "sar"),
    [
        *(((1280, 720), sar) for sar in ("1", "4/3", "1/2")),
        *(((852, 480), "1"), ((466, 838), "4/3"), ((320, 240), "1")),
    ],
)
def test_a_small_picture_is_the_picture_made_smaller(tmp_path, size, sar):
    spec = replace(SPEC, width=size[0], height=size[1], n_frames=1)
    path = tmp_path / "a.mp4"
    encode(path, frames_of(spec), replace(encoding_of(spec), sar=sar))
    require_smaller(path)


@pytest.mark.parametrize(
    "make", ["rotated", "anamorphic", "hevc_10bit", "hdr_pq", "container", "codec"]
)
def test_it_is_upright_cropped_and_in_srgb(tmp_path, make):
    path, spec = tmp_path / "a.mov", replace(SPEC, width=960, height=720, n_frames=3)
    if make == "rotated":
        path = oddities.rotated(path, spec, 90).path
    elif make == "container":
        path = oddities.cropped_by_container(path, spec, top=30, left=14).path
    elif make == "codec":
        path = oddities.cropped_by_codec(tmp_path / "a.mp4", spec, 18, 10).path
    else:
        path = getattr(oddities, make)(path, spec).path
    require_smaller(path)


def require_smaller(path):
    frames, picture = first_picture(path)
    whole, small = picture.rgb(), picture.small(SIDE)
    frames.close()
    scale = min(1, SIDE / max(whole.shape))
    assert max(small.shape) == min(SIDE, max(whole.shape))
    size = (round(whole.shape[1] * scale), round(whole.shape[0] * scale))
    assert small.shape == (size[1], size[0], 3)
    expected = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    off = np.abs(small.astype(int) - expected)
    assert off.mean() < 2 and np.percentile(off, 99) < 24


@pytest.mark.parametrize(
    ("pixels", "tags"),
    [
        *(("yuv420p", Tags(matrix, 1, 1, 1)) for matrix in (1, 5, 7, 9)),
        *((pixels, Tags(1, 2, 1, 1)) for pixels in ("yuv420p", "yuv444p", "yuv420p10le")),
        ("yuv444p10le", Tags(8, 1, 1, 1)),
        *((pixels, Tags(0, 2, 1, 1)) for pixels in ("gbrp", "gbrp10le")),
    ],
)
def test_its_colours_are_right(tmp_path, pixels, tags):
    path = write_patches(tmp_path / "a.mkv", PATCHES / 255, tags, pixels)
    frames, picture = first_picture(path)
    small = picture.small(colour_patches.SIDE * len(PATCHES) // 2)
    frames.close()
    assert small.shape == (colour_patches.HEIGHT // 2, colour_patches.SIDE * len(PATCHES) // 2, 3)
    doubled = np.kron(small, np.ones((2, 2, 1)))
    assert np.abs(colour_patches.measured(doubled) - PATCHES).max() <= 3
