"""How templates of pages are read, and the files that the reports share with other pages."""

from __future__ import annotations

from pathlib import Path

import jinja2

TEMPLATES = Path(__file__).with_name("templates")


def environment(folder: Path) -> jinja2.Environment:
    """The templates of a folder: all values are escaped, one that is missing raises."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )


def style() -> str:
    """The reports' style, in light and dark."""
    return (TEMPLATES / "style.css").read_text("utf-8")


def script() -> str:
    """The reports' script: the theme's button, tables that sort."""
    return (TEMPLATES / "page.js").read_text("utf-8")
