"""How page templates are loaded, and the style and script that the reports share with other
pages.
"""

from __future__ import annotations

from pathlib import Path

import jinja2
from markupsafe import Markup

TEMPLATES = Path(__file__).with_name("templates")


def environment(*folders: Path) -> jinja2.Environment:
    """The templates of several folders, of which the first match is used; all values are escaped, a
    missing one raises.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )


def of_reports(*own: Path) -> jinja2.Environment:
    """The reports' templates, behind those of other folders that are built on them; `style` and
    `script`, which the base shows, are there.
    """
    made = environment(*own, TEMPLATES)
    made.globals |= {"style": Markup(style()), "script": Markup(script())}
    return made


def style() -> str:
    """The reports' style, in light and dark."""
    return (TEMPLATES / "style.css").read_text("utf-8")


def script() -> str:
    """The reports' script: the theme's button, tables that sort."""
    return (TEMPLATES / "page.js").read_text("utf-8")
