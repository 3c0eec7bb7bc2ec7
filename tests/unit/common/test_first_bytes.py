"""What is known to be no film by its first bytes, and what never is: clips of every container."""

from __future__ import annotations

import io
import os

import av
import numpy as np
import pytest
from PIL import Image

from ferrari.common import first_bytes

PICTURES = {"a.jpg": "JPEG", "a.webp": "WEBP", "a.bmp": "BMP", "a.tif": "TIFF"}
MAY_MOVE = {"a.png": "PNG", "a.gif": "GIF", "a.avif": "AVIF"}
#: By container: the encoder. Between them, all that begin with something else.
FILM = {
    "mp4": "libx264", "mov": "mjpeg", "matroska": "libx264", "webm": "libvpx", "avi": "mpeg4",
    "mpegts": "mpeg2video", "mpeg": "mpeg1video", "flv": "flv1", "asf": "wmv2", "nut": "mpeg4",
    "yuv4mpegpipe": "rawvideo", "ivf": "libvpx", "h264": "libx264", "gxf": "mpeg2video",
    "mxf": "mpeg2video", "rm": "rv10", "mjpeg": "mjpeg", "m4v": "mpeg4", "hevc": "libx265",
    "dv": "dvvideo",
}  # fmt: skip


def picture(kind):
    stream = io.BytesIO()
    Image.new("RGB", (32, 24), (90, 120, 60)).save(stream, kind)
    return stream.getvalue()


def told(folder, name, data, *, animations=False):
    (folder / name).write_bytes(data)
    return first_bytes.no_film(folder / name, animations=animations)


@pytest.mark.parametrize("name", [*PICTURES, *MAY_MOVE])
def test_a_picture_is_known(tmp_path, name):
    data = picture({**PICTURES, **MAY_MOVE}[name])
    assert told(tmp_path, name, data) == "picture"
    wanted = "" if name in MAY_MOVE else "picture"
    assert told(tmp_path, name, data, animations=True) == wanted, "where animations are clips"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"Take 3: the garden\n", "text"),
        ("Café\n".encode("latin-1"), "text"),
        ("notes".encode("utf-16"), "text"),
        (b"<html><body>404</body></html>", "text"),
        (b"PK\x03\x04\x14\0", "archive"),
        (b"%PDF-1.7\n", "document"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "picture"),
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0", "sound file"),
        (b"ID3\4\0\0\0\0\0\0", "sound file"),
    ],
)
def test_other_things_are_known(tmp_path, data, kind):
    assert told(tmp_path, "IMG_0001", data) == kind


@pytest.mark.parametrize("container", FILM)
def test_no_film_is_taken_for_something_else(tmp_path, container):
    """Pictures of one bright grey: their bytes are letters, where a container keeps them raw."""
    path = tmp_path / "clip"
    size, rate = ((720, 576), 25) if container in ("dv", "gxf", "mxf") else ((64, 48), 25)
    pix_fmt = "yuvj420p" if FILM[container] == "mjpeg" else "yuv420p"
    try:
        with av.open(str(path), "w", format=container) as out:
            stream = out.add_stream(FILM[container], rate=rate)
            stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
            for _ in range(3):
                grey = np.full((size[1] * 3 // 2, size[0]), 100, np.uint8)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format=pix_fmt)))
            out.mux(stream.encode(None))
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"this FFmpeg writes no {container}: {error}")
    assert path.stat().st_size > 100
    for animations in (False, True):
        assert first_bytes.no_film(path, animations=animations) == ""


def test_what_cannot_be_told_may_be_film(tmp_path):
    assert told(tmp_path, "empty.txt", b"") == ""
    assert told(tmp_path, "noise", b"\x93\1\0\2" * 99) == ""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("pipe", "link", "", "missing"):
        assert first_bytes.no_film(tmp_path / name, animations=False) == ""


def test_pictures_behind_each_other_are_film_unless_their_name_is_a_pictures(tmp_path):
    jpeg = picture("JPEG")
    assert told(tmp_path, "cam.mjpeg", jpeg * 3) == "" and told(tmp_path, "cam", jpeg) == ""
    assert told(tmp_path, "IMG_1.JPG", jpeg) == "picture"
