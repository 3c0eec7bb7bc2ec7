"""A folder without a single clip is told before any job; whatever could be one is never refused."""

from __future__ import annotations

import pytest

from ferrari.ledger import raw_listing
from ferrari.ledger.raw_listing import NoClipsError, look_through

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
CLIP = b"\0\0\0\x18ftypisom" + bytes(40)


def put(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name.replace("_", ".")).write_bytes(data)
    return folder


def require(folder, *, animations=False):
    raw_listing.require_clips(folder, look_through(folder), animations=animations)


def test_a_folder_of_pictures_and_texts_names_them(tmp_path):
    files = {f"{n}_png": PNG for n in "abcd"}
    folder = put(tmp_path / "refs", **files, notes_txt=b"Take one\n")
    with pytest.raises(NoClipsError) as caught:
        require(folder)
    assert str(caught.value) == (
        f"the folder of raw clips {folder} holds 5 files, and none is a video (4 pictures: a.png, "
        "b.png, c.png and 1 more; 1 text: notes.txt): put your clips there, or point the setting "
        "raw_videos at the folder that has them."
    )
    require(folder, animations=True)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("clip_mp4", CLIP),
        ("clip", CLIP),
        ("damaged_bin", b"\1\2\3"),
        ("empty_txt", b""),
        ("page_mp4", b"<html>not found</html>"),
        ("scan_MOV", PNG),
    ],
)
def test_one_file_that_may_be_a_clip_is_enough(tmp_path, name, data):
    require(put(tmp_path / "raw", a_png=PNG, notes_txt=b"text", zz_png=PNG, **{name: data}))


def test_what_is_named_as_film_is_not_opened(tmp_path, monkeypatch):
    folder = put(tmp_path / "raw", **{f"{n}_mp4": CLIP for n in "abc"}, d_png=PNG)
    asked = []
    monkeypatch.setattr(
        raw_listing.first_bytes, "no_film", lambda path, **_: asked.append(path) or "picture"
    )
    require(folder)
    assert asked == [], "of ten thousand clips on a slow disk none is opened to begin a run"
    found = raw_listing.no_film(folder, look_through(folder).videos, animations=False)
    assert list(found.values()) == ["picture"] and asked == [str(folder / "d.png")]


def test_in_a_bucket_nothing_is_known_of_a_file():
    """Each look would be a request."""
    assert raw_listing.no_film("s3://b/c", {"a-0123456789": "a.png"}, animations=False) == {}
