"""Untrusted text (file names, messages) made safe to show on a page or in a chart."""

from __future__ import annotations

import json
import unicodedata

_BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c")


def shown(value: object, limit: int = 400) -> str:
    """`value` as one line of visible text of at most `limit` characters.

    Undecodable bytes (lone surrogates), control characters, line breaks and marks that turn the
    direction of writing are spelled out as `\\xff`, `\\n`, `\\u202e`. HTML is not escaped here.
    """
    text = "" if value is None or value != value else str(value)
    if len(text) > limit:
        text = f"{text[: limit - 1]}…"
    return "".join(char if _plain(char) else _spelled(char) for char in text)


def _plain(char: str) -> bool:
    return char not in _BIDI and unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp", "Co")


def _spelled(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: the byte that could not be decoded
        return f"\\x{code - 0xDC00:02x}"
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char, f"\\u{code:04x}")


def script_json(value: object) -> str:
    """JSON that may stand inside a `<script>` element, whatever strings it holds."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
