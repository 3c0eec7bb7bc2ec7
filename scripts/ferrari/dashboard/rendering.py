"""Pages that the server renders itself, in the style of the reports.

Style and scripts are in the page. It may fetch only from this server, its scripts are allowed by
their digests, and all text goes through `visible_text.shown` and the template's escaping.
"""

from __future__ import annotations

import functools
import shlex
from pathlib import Path
from urllib.parse import quote

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from ferrari.common import page_policy
from ferrari.common.visible_text import script_json, shown
from ferrari.dashboard.access import PARAMETER
from ferrari.reports import templating

_OWN = Path(__file__).with_name("templates")
#: Pages of the server that each of them leads to, by path.
_PLACES = (("/review", "Review"), ("/live", "Live"), ("/reports/index.html", "Reports"))


def page(request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
    """The page of a template: `values` are what it shows. Links carry the server's token."""
    token = request.app.state.token
    scripts = _scripts(template)
    html = (
        _environment()
        .get_template(f"{template}.html.j2")
        .render(
            scripts=[Markup(script) for script in scripts],
            at=functools.partial(_at, token),
            places=_PLACES,
            here=request.url.path,
            token=token,
            server=Markup(script_json({"token": token})),
            **values,
        )
    )
    policy = page_policy.of_page(
        (script.encode() for script in scripts), images="'self' data:", forms="'self'"
    )
    return HTMLResponse(html, status, headers={"Content-Security-Policy": policy})


def _at(token: str, path: str, **query: str) -> str:
    """The address of a path on this server, with the token."""
    words = {**query, **({PARAMETER: token} if token else {})}
    said = "&".join(f"{quote(key)}={quote(value, safe='')}" for key, value in words.items())
    return quote(path) + (f"?{said}" if said else "")


@functools.cache
def _scripts(template: str) -> list[str]:
    """The reports' own script (theme, tables that sort), and the page's if it has one."""
    own = _OWN / f"{template}.js"
    return [templating.script(), *([own.read_text("utf-8")] if own.is_file() else [])]


@functools.cache
def _environment() -> jinja2.Environment:
    environment = templating.environment(_OWN)
    own = (_OWN / "served.css").read_text("utf-8")
    environment.globals["style"] = Markup(f"{templating.style()}\n{own}")
    environment.filters |= {"shown": shown, "quoted": shlex.quote}
    return environment
