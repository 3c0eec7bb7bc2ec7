"""Text files from people: UTF-8, and a helpful message for those that are not."""

from __future__ import annotations

import codecs

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def not_utf_8(error: UnicodeDecodeError) -> str:
    """A phrase for an error message: where a file's bytes are not UTF-8, and which encoding they
    may have (', line 3, is not UTF-8 (...)').
    """
    data = error.object
    if data.startswith(_UTF_16):
        return " is UTF-16, not UTF-8"
    line = data.count(b"\n", 0, error.start) + 1
    begin = data.rfind(b"\n", 0, error.start) + 1
    before = data[begin : error.start].decode("utf-8", "replace").strip()[-20:]
    word = data[error.start : error.start + 10].decode("latin-1").split("\n")[0].rstrip()
    return f", line {line}, is not UTF-8 (it may be Latin-1, and mean {(before + word)!r})"
