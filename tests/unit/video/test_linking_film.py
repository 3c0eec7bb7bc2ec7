"""The linking film: what is written is read, in the order shown; what is not whole is said."""

import errno
import io
import resource
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from ferrari.images.image_files import ImageReadError
from ferrari.processes.limited_call import run_limited
from ferrari.video import linking_film
from ferrari.video.linking_film import LinkingPicture, encoded, read, written


def pictures(times_s, size=(90, 160)):
    """A ramp that grows brighter from picture to picture."""
    ramp = np.linspace(0, 120, size[1]).astype(np.uint8)
    for number, time_s in enumerate(times_s):
        grey = np.broadcast_to(ramp + 10 * number, size)
        yield LinkingPicture(25 * number, float(time_s), np.dstack([grey, grey // 2, 255 - grey]))


def write(path, times_s, **more):
    with written(path) as film:
        for number, picture in enumerate(pictures(times_s, **more)):
            height, width = picture.picture_rgb.shape[:2]
            film.add(encoded(picture, number), (width, height), Fraction(times_s[number]))
    return path


def shown(path):
    """When a player shows the pictures, in ms."""
    with av.open(str(path)) as container:
        return [packet.pts for packet in container.demux(video=0) if packet.size]


@pytest.mark.parametrize(
    ("times_s", "in_ms"),
    [
        ([0.5, 0.666667, 0.8], [0, 167, 300]),
        ([7200.0, 7200.1, 10800.1], [0, 100, 3_600_100]),
        ([-2.0, -1.5, 0.25], [0, 500, 2250]),
        ([5.0, 5.5, 0.0, 0.5], [0, 500, 501, 1000]),  # two clips joined byte by byte
        ([0.0, 1e15, 1e15 + 1], [0, 1, 1000]),  # a damaged clock
        ([1.0, 1.0, 1.0001], [0, 1, 2]),
    ],
)
def test_pictures_have_the_clips_times_and_players_get_rising_ones(tmp_path, times_s, in_ms):
    path = write(tmp_path / "a.mkv", times_s)
    found = list(read(path))
    assert [picture.time_s for picture in found] == times_s
    assert [picture.frame for picture in found] == [25 * k for k in range(len(times_s))]
    for picture, truth in zip(found, pictures(times_s), strict=True):
        assert picture.picture_rgb.dtype == np.uint8
        off = picture.picture_rgb.astype(int) - truth.picture_rgb
        assert off.shape == (90, 160, 3) and np.abs(off).mean() < 3
    assert shown(path) == in_ms


def test_the_same_pictures_are_the_same_bytes(tmp_path):
    films = [write(tmp_path / name, [0.0, 0.2, 0.4]).read_bytes() for name in ("a.mkv", "b.mkv")]
    assert films[0] == films[1] and b"Lavf6" not in films[0]


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (90, 160), (479, 640)])
def test_a_picture_is_the_jpeg_that_pillow_makes_with_the_same_comment(size):
    rng = np.random.default_rng(size[0])
    coarse = rng.integers(0, 256, (-(-size[0] // 4), -(-size[1] // 4), 3), np.uint8)
    picture = LinkingPicture(45, 1.501, coarse.repeat(4, 0).repeat(4, 1)[: size[0], : size[1]])
    note, stream = '{"picture": 7, "frame": 45, "time_s": 1.501}', io.BytesIO()
    Image.fromarray(picture.picture_rgb).save(
        stream, "JPEG", quality=85, subsampling="4:2:0", comment=note
    )
    assert encoded(picture, 7) == stream.getvalue()


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (479, 640)])
def test_odd_sizes_and_a_size_that_changes(tmp_path, size):
    with written(tmp_path / "a.mkv") as film:
        for number, shape in enumerate([size, (90, 160)]):
            (picture,) = pictures([0.0], size=shape)
            film.add(encoded(picture, number), shape[::-1], Fraction(number))
    assert [p.picture_rgb.shape[:2] for p in read(tmp_path / "a.mkv")] == [size, (90, 160)]


def test_a_film_without_a_picture_is_a_file_of_zero_bytes(tmp_path):
    path = write(tmp_path / "a.mkv", [])
    assert path.read_bytes() == b"" and list(read(path)) == []


def test_a_film_of_many_pictures_that_is_cut_anywhere_is_said_to_be(tmp_path):
    path = write(tmp_path / "a.linking.mkv", [k / 6 for k in range(9)])
    whole = path.read_bytes()
    for share in range(1, 10):
        path.write_bytes(whole[: len(whole) * share // 10])
        with pytest.raises(ImageReadError, match=r"delete a\.csv beside it"):
            list(read(path))


def test_a_damaged_picture_and_one_that_is_missing_are_said_to_be(tmp_path):
    path = write(tmp_path / "a.mkv", [0.0, 0.2, 0.4])
    data = bytearray(path.read_bytes())
    second = data.index(b"\xff\xd8", data.index(b'"picture": 1') - 100)
    data[second : second + 2] = b"\0\0"
    path.write_bytes(data)
    with pytest.raises(ImageReadError, match="picture 1 of"):
        list(read(path))
    with written(path) as film:
        for number in (0, 2):
            (picture,) = pictures([0.0])
            film.add(encoded(picture, number), (160, 90), Fraction(number))
    with pytest.raises(ImageReadError, match="lacks picture 1"):
        list(read(path))


@pytest.mark.parametrize(
    ("at", "becomes"),
    [
        (b"\xff\xd9", b"\0\0"),  # it has no end
        (b"\xff\xfe", b"\xff\xe1"),  # no comment
        (b'{"picture": 0', b'{"frame": 0,  '),
        (b'{"picture": 0', b"[1, 2, 3, 4, "),
        (b"\0\x5a\0\xa0", b"\xff\xff\xff\xff"),  # 90 x 160 px
    ],
)
def test_a_picture_that_is_not_as_it_was_written_is_said_to_be_damaged(tmp_path, at, becomes):
    path = write(tmp_path / "a.mkv", [0.0])
    data = path.read_bytes()
    place = data.rindex(at)
    path.write_bytes(data[:place] + becomes + data[place + len(becomes) :])
    with pytest.raises(ImageReadError, match=r"picture 0 of .*a\.mkv .*is damaged"):
        list(read(path))


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_film_is_read_or_said_to_be_damaged(tmp_path, seed):
    path, rng = write(tmp_path / "a.mkv", [0.0, 0.2]), np.random.default_rng(seed)
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    data[rng.integers(0, len(data), 20)] = rng.integers(0, 256, 20)
    path.write_bytes(data.tobytes())
    try:
        assert all(picture.picture_rgb.ndim == 3 for picture in read(path))
    except ImageReadError as error:
        assert "delete a.csv beside it" in str(error) or "a.mkv" in str(error)


def test_its_pixels_are_those_that_pillow_reads(tmp_path):
    for size in ((90, 160), (91, 161), (1, 1), (3, 640)):
        (picture,) = pictures([0.0], size=size)
        jpeg = encoded(picture, 0)
        with Image.open(io.BytesIO(jpeg)) as read_by_pillow:
            assert np.array_equal(linking_film._pixels(jpeg), np.asarray(read_by_pillow))


def test_a_disk_that_is_full_is_an_error_of_the_disk():
    with pytest.raises(OSError, match="No space left") as full, written("/dev/full") as film:
        for number, picture in enumerate(pictures([k / 6 for k in range(9)], size=(480, 640))):
            film.add(encoded(picture, number), (640, 480), Fraction(number))
    assert full.value.errno == errno.ENOSPC


@pytest.mark.parametrize("room", [0, 500, 5_000, 20_000])
def test_a_disk_that_fills_up_on_the_way_is_one_too(tmp_path, room):
    """FFmpeg, which then cannot write the film's end either, says nothing of a disk."""
    film = tmp_path / "a.mkv"
    times_s = [k / 6 for k in range(9)]

    def write_with_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        write(film, times_s, size=(480, 640))

    with pytest.raises(OSError) as full:
        run_limited(write_with_room, timeout_s=20, memory_mb=4096)
    assert full.value.errno == errno.EFBIG
    write(film, times_s, size=(480, 640))
    assert film.stat().st_size > 20_000


def test_the_film_lies_beside_its_table():
    assert linking_film.path_of("d/v-0123456789.csv").as_posix() == "d/v-0123456789.linking.mkv"
