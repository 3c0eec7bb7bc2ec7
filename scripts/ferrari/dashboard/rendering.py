"""Pages that the server makes itself, in the style of the reports.

Everything is in the page: style, script. What it may fetch comes from this server alone, its
scripts are let in by their digests, and all text goes through `visible_text.shown` and the
template's escaping.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import shlex
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from ferrari.common.places import SCRIPTS
from ferrari.common.visible_text import script_json, shown

_OWN = Path(__file__).with_name("templates")
_REPORTS = SCRIPTS / "ferrari/reports/templates"
#: Pages of the server that each of them leads to, by path.
_PLACES = (("/review", "Review"), ("/live", "Live"), ("/reports/index.html", "Reports"))


def page(request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
    """The page of a template: `values` are what it shows. Links carry the server's token."""
    token = str(getattr(request.app.state, "token", ""))
    scripts = _scripts(template)
    html = (
        _environment()
        .get_template(f"{template}.html.j2")
        .render(
            scripts=[Markup(script) for script in scripts],
            at=functools.partial(_at, token),
            places=[(path, name) for path, name in _PLACES],
            here=request.url.path,
            token=token,
            server=Markup(script_json({"token": token})),
            **values,
        )
    )
    return HTMLResponse(html, status, headers={"Content-Security-Policy": _policy(scripts)})


def _at(token: str, path: str, **query: str) -> str:
    """The address of a path on this server, with the token."""
    words = {**query, **({"t": token} if token else {})}
    said = "&".join(f"{quote(key)}={quote(value, safe='')}" for key, value in words.items())
    return quote(path) + (f"?{said}" if said else "")


@functools.cache
def _scripts(template: str) -> list[str]:
    """The reports' own script (theme, tables that sort), and the page's if it has one."""
    own = _OWN / f"{template}.js"
    files = [_REPORTS / "page.js", *([own] if own.is_file() else [])]
    return [file.read_text("utf-8") for file in files]


def _policy(scripts: list[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(one.encode()).digest()) for one in scripts)
    allowed = " ".join(f"'sha256-{digest.decode()}'" for digest in digests)
    policy: Mapping[str, str] = {
        **{"default-src": "'none'", "img-src": "'self' data:", "style-src": "'unsafe-inline'"},
        **{"script-src": allowed, "connect-src": "'self'", "form-action": "'self'"},
        **{"base-uri": "'none'", "frame-ancestors": "'none'"},
    }
    return "; ".join(f"{name} {value}" for name, value in policy.items())


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_OWN),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    styles = [_REPORTS / "style.css", _OWN / "served.css"]
    environment.globals["style"] = Markup("\n".join(file.read_text("utf-8") for file in styles))
    environment.filters |= {"shown": shown, "quoted": shlex.quote}
    return environment
