"""Content-Security-Policies: what a page may run, load and ask for; all else is refused."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

_OF_ALL = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


def script_source(script: bytes) -> str:
    """The source that lets in one inline script (its bytes as they stand in the page)."""
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def of_page(scripts: Iterable[bytes], *, images: str, forms: str = "'none'") -> str:
    """The header's text for a page that runs these inline scripts and asks its own server alone.

    `images` and `forms` are the sources of pictures and the targets of forms, as `img-src` and
    `form-action` take them.
    """
    allowed = " ".join(map(script_source, scripts)) or "'none'"
    return (
        f"{_OF_ALL}; script-src {allowed}; connect-src 'self'; "
        f"img-src {images}; form-action {forms}"
    )


def of_report() -> str:
    """The same for a report. Its charts (Vega) compile their expressions; it fetches nothing."""
    return f"{_OF_ALL}; script-src 'unsafe-inline' 'unsafe-eval'; img-src data:; form-action 'none'"
