"""What axe-core says of a page in a browser (see `in_browser`): can everybody use it?"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Page

SIZES = ((1280, "light"), (1280, "dark"), (380, "light"), (380, "dark"))
_LOOK = "async () => (await axe.run(document, { resultTypes: ['violations'] })).violations"
_SETTLES_MS = 300  # what a key changes is drawn


def axe(browser: Browser, url: str, script: str, ready: str, *words: str) -> list[str]:
    """What axe-core (the path of its axe.min.js is `script`) finds in the page at `url`.

    Looks once what the selector `ready` names is there, and again behind each of `words`, which are
    keys parted by spaces (`2 v ?`), or `click:` and a selector; wide and narrow, light and dark.
    """
    library = Path(script).read_text("utf-8")
    found: list[str] = []
    for width, scheme in SIZES:
        size = {"width": width, "height": 860}
        context = browser.new_context(viewport=size, color_scheme=scheme)
        page = context.new_page()
        page.add_init_script("localStorage.setItem('ferrari-review-name', 'ana')")
        page.goto(url)
        page.locator(ready).first.wait_for(state="attached")
        page.evaluate(library)
        for word in ("", *words):
            _do(page, word)
            page.wait_for_timeout(_SETTLES_MS)
            faults = page.evaluate(_LOOK)
            where = f"{width} px, {scheme}{f', behind {word}' if word else ''}"
            found += [f"{where}: {_said(fault)}" for fault in faults]
        context.close()
    return found


def _do(page: Page, word: str) -> None:
    if word.startswith("click:"):
        page.locator(word.removeprefix("click:")).first.click()
        return
    for key in word.split():
        page.keyboard.press(key)


def _said(fault: dict) -> str:
    nodes = "; ".join(node["html"][:160] for node in fault["nodes"][:3])
    told = "; ".join(filter(None, (_why(node) for node in fault["nodes"][:2])))
    return (
        f"{fault['impact']} {fault['id']} ({len(fault['nodes'])}): {fault['help']}: {nodes} {told}"
    )


def _why(node: dict) -> str:
    return "; ".join(check["message"] for check in node["any"][:1])


TASKS = {"axe": axe}
