"""Frames and pictures that unpack to more than the machine has are refused before they do."""

import importlib
import os
import struct
import zlib
from dataclasses import replace

import av
import numpy as np
import pytest

from ferrari.images import user_pictures
from ferrari.ledger import tables
from tests.generator import faults
from tests.generator.encode import encode, encoding_of, frames_of
from tests.generator.spec import ClipSpec
from tests.stage.clip_run import Run

SPEC = ClipSpec(seed=1, width=160, height=128, n_frames=12, fps="25", gop=6, b_frames=0)
MEGAPIXELS = SPEC.width * SPEC.height / 1e6


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "dataset")


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("a.mp4", {}),
        ("a.mkv", {}),
        ("a.ts", {}),
        ("a.mpg", {"codec": "mpeg2video", "options": {"b": "800k"}}),
        ("a.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p", "options": {}}),
        ("a.gif", {"codec": "gif", "pix_fmt": "rgb8", "options": {}}),
    ],
)
def test_frames_above_the_limit_are_refused_by_their_header(run, tmp_path, name, changed):
    path = encode(tmp_path / name, frames_of(SPEC), replace(encoding_of(SPEC), **changed))
    fine = run.probe(path, max_megapixels=MEGAPIXELS, animations="take")
    assert fine["reason"] == "OK"
    row = run.probe(path, max_megapixels=MEGAPIXELS * 0.99)
    assert (row["reason"], row["value"]) == ("TOO_LARGE", str(MEGAPIXELS))
    assert "160x128" in row["detail"] and float(row["threshold"]) < MEGAPIXELS
    assert row["path"].startswith("bad_videos/TOO_LARGE/") and run.extract_probed(path) == []


def test_the_limit_holds_for_the_shown_size_too(run, tmp_path):
    path = encode(tmp_path / "w.mp4", frames_of(SPEC), replace(encoding_of(SPEC), sar="2"))
    assert run.probe(path, max_megapixels=MEGAPIXELS * 1.5)["reason"] == "TOO_LARGE"
    assert run.probe(path, max_megapixels=MEGAPIXELS * 2)["reason"] == "OK"


def test_a_side_that_no_webp_can_have_is_too_large(run, tmp_path):
    encoding = replace(encoding_of(SPEC), codec="gif", pix_fmt="rgb8", options={})
    data = encode(tmp_path / "w.gif", frames_of(SPEC), encoding).read_bytes()
    long = tmp_path / "long.gif"
    long.write_bytes(data[:8] + struct.pack("<H", 40960) + data[10:])
    row = run.probe(long)
    assert row["reason"] == "TOO_LARGE" and "16383" in row["detail"]
    stretched = encode(
        tmp_path / "s.mkv", [np.zeros((16, 6000, 3), np.uint8)] * 12,
        replace(encoding_of(SPEC), sar="3"),
    )  # fmt: skip
    assert run.probe(stretched, min_short_side=8)["reason"] == "TOO_LARGE"


def test_nothing_is_decoded_to_find_that_out(run, tmp_path, monkeypatch):
    from ferrari.video import probing

    path = faults.good(tmp_path / "a.mp4", SPEC).path
    monkeypatch.setattr(probing, "open_container", lambda *_, **__: os.abort())
    assert run.probe(path, max_megapixels=0.001)["reason"] == "TOO_LARGE"


def grown(path):
    """A transport stream whose frames are eight times as large from its second half on."""
    small = faults.good(path.with_name("small.ts"), SPEC).path
    large = faults.good(path.with_name("large.ts"), replace(SPEC, width=640, height=256)).path
    path.write_bytes(small.read_bytes() + large.read_bytes())
    return path


def test_a_clip_that_grows_on_its_way_keeps_what_is_within_the_limit(run, tmp_path):
    path = grown(tmp_path / "g.ts")
    assert {row["width"] for row in tables.kept(run.extract(path, fps=25))} == {"160", "640"}
    run.probe(path)
    rows = run.extract_probed(path, fps=25, max_megapixels=0.1)
    assert {row["width"] for row in tables.kept(rows)} == {"160"}
    (span,) = [row for row in rows if row["reason"] == "LOST_SPAN"][-1:]
    assert "probe.max_megapixels" in span["detail"] or float(rows[0]["decode_errors"]) > 0


def png_bomb(path, width, height):
    """A PNG of a few hundred KB at most that unpacks to width x height x 3 bytes."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    packer = zlib.compressobj(9)
    line = packer.compress(b"\0" * (1 + 3 * width)) + packer.flush()
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", line)
        + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize(("width", "height"), [(8001, 8000), (12000, 12000), (60000, 60000)])
def test_a_picture_that_unpacks_to_too_much_is_a_row(tmp_path, width, height):
    folder = tmp_path / "mine"
    folder.mkdir()
    png_bomb(folder / "bomb.png", width, height)
    with pytest.raises(user_pictures.PictureTooLargeError):
        user_pictures.read(folder / "bomb.png", 640)
    draw = importlib.import_module("04_draw_environments").draw_environments
    out = tmp_path / "dataset/environments.csv"
    draw(
        probe_csvs=[], frames_csvs=[], detections_csvs=[], folder=folder,
        dataset=tmp_path / "dataset", out_csv=out,
    )  # fmt: skip
    (row,) = tables.read_table(out)
    assert (row["outcome"], row["reason"], row["path"]) == ("quarantined", "TOO_LARGE", "")
    assert row["threshold"] == "64.0" and row["value"] in ("", str(width * height / 1e6))


def test_a_fifo_among_the_pictures_does_not_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(user_pictures.ImageReadError, match="no regular file"):
        user_pictures.read(tmp_path / "pipe.png", 640)


def test_pyav_takes_the_limit(tmp_path):
    """What all of the above stands on: FFmpeg's own max_pixels reaches the decoder."""
    path = faults.good(tmp_path / "a.mp4", SPEC).path
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"max_pixels": "1000"}
        with pytest.raises(av.FFmpegError):
            next(container.decode(stream))
