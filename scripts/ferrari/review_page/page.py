"""The HTML of the page: data, style and script inside one file, pictures in files beside it.

It opens from `file://`, where decisions wait in the browser until they are exported, and is served
by the dashboard, where each is saved at once: the script is the same. All text from outside is set
as text, never as HTML. The Content-Security-Policy names the script by its digest and allows no
other; it asks nobody but its own server. No clock: the same tables give the same page.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ferrari.common.page_policy import script_source
from ferrari.common.visible_text import script_json
from ferrari.reports import templating

_TEMPLATES = Path(__file__).with_name("templates")
#: The parts of the one module, in order: a browser loads no module from another file of a folder.
_SCRIPTS = (
    *("table.js", "saving.js", "items.js", "pairs.js", "grid.js", "detail.js"),
    *("dialogs.js", "mask_pixels.js", "brush.js", "neighbours.js", "page.js"),
)


def html(data: Mapping[str, Any]) -> str:
    """The page with `data` (see `page_data`)."""
    script = module()
    template = templating.environment(_TEMPLATES).get_template("review.html.j2")
    return template.render(
        data=Markup(script_json(data)),
        style=Markup((_TEMPLATES / "review.css").read_text("utf-8")),
        script=Markup(script),
        script_source=Markup(script_source(script.encode("utf-8"))),
    )


def module() -> str:
    """The page's script: its parts, one behind the other."""
    parts = [(_TEMPLATES / name).read_text("utf-8") for name in _SCRIPTS]
    return '"use strict";\n' + "\n".join(parts)
