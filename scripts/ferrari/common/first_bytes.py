"""What a file is, by its first bytes, if these show that it is not a video."""

from __future__ import annotations

import os
import stat

#: How many bytes are read. A longer text is recognised by its beginning.
HEAD_BYTES = 4096
PICTURE, TEXT, DOCUMENT, ARCHIVE, DATABASE, SOUND = (
    *("picture", "text", "document", "archive", "database", "sound file"),
)
#: Files that begin like this FFmpeg cannot open, or opens as a picture.
_BEGINNINGS = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": (DOCUMENT, "a document or a thumbnail store of Windows"),
    b"PK\x03\x04": (ARCHIVE, "a ZIP archive"),
    b"Rar!": (ARCHIVE, "a RAR archive"),
    b"7z\xbc\xaf\x27\x1c": (ARCHIVE, "a 7z archive"),
    b"\x1f\x8b": (ARCHIVE, "a gzip archive"),
    b"%PDF": (DOCUMENT, "a PDF document"),
    b"8BPS": (PICTURE, "a picture (Photoshop)"),
    b"II*\0": (PICTURE, "a picture (TIFF or camera raw)"),
    b"MM\0*": (PICTURE, "a picture (TIFF or camera raw)"),
    b"SQLite format 3\0": (DATABASE, "a database"),
}
_SOUND = (b"ID3", b"fLaC")
#: Kinds of picture that may move (setting probe.animations). Of ISO files the brand stands behind
#: the length and `ftyp`.
_MAY_MOVE = (b"GIF8", b"\x89PNG\r\n", b"\0\0\0\x0cJXL ", b"\xff\x0a")
_MAY_MOVE_BRANDS = frozenset(
    (
        *(b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"),
        *(b"mif1", b"mif2", b"msf1", b"miaf", b"crx "),
    )
)
_BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes; stands behind `BM`, a size, an offset
_JPEG = b"\xff\xd8\xff"
#: A sequence of pictures without a container is video (MJPEG), but begins like a single picture.
_JPEG_ENDINGS = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".thm", ".mpo", ".insp"))
#: Film, whose header is text and whose pictures may look like it.
_FILM_AS_TEXT = b"YUV4MPEG2"


def read(path: str | os.PathLike) -> bytes:
    """The first HEAD_BYTES of a file; fewer of a shorter one. Raises OSError."""
    with open(path, "rb") as stream:
        return stream.read(HEAD_BYTES)


def unopened(head: bytes) -> str:
    """What a file is that FFmpeg cannot open, such as 'a ZIP archive'; "" if its bytes do not
    say.
    """
    found = (what for beginning, (_, what) in _BEGINNINGS.items() if head.startswith(beginning))
    return next(found, "") or text(head)


def text(head: bytes) -> str:
    """What kind of text a file is; "" if its first bytes are not all text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "plain text"
    if not head or any(byte < 32 and byte not in b"\t\n\f\r\x1a\x1b" for byte in head):
        return ""
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page (a failed download?)"
    return "a playlist" if start.startswith((b"#extm3u", b"ffconcat ")) else "plain text"


def no_film(path: str | os.PathLike, *, animations: bool) -> str:
    """The kind of a file that cannot be a video, such as PICTURE; "" for one that may be, for an
    empty file, and for what is not a regular file or cannot be read.

    `animations`: whether animated pictures count as video.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for
            return ""
        head = read(path)
    except OSError:
        return ""
    for beginning, (kind, _) in _BEGINNINGS.items():
        if head.startswith(beginning):
            return kind
    if _is_picture(head, os.path.splitext(os.fspath(path))[1].lower()) or (
        not animations and _may_move(head)
    ):
        return PICTURE
    if head.startswith(_SOUND) or (head[:4] == b"RIFF" and head[8:12] == b"WAVE"):
        return SOUND
    return TEXT if text(head) and not head.startswith(_FILM_AS_TEXT) else ""


def _is_picture(head: bytes, ending: str) -> bool:
    if head.startswith(_JPEG):
        return ending in _JPEG_ENDINGS
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS


def _may_move(head: bytes) -> bool:
    return head.startswith(_MAY_MOVE) or (head[4:8] == b"ftyp" and head[8:12] in _MAY_MOVE_BRANDS)
