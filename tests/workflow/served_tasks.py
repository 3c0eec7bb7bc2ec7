"""Tasks for a headless Chromium before a page that a server makes (see `in_browser`)."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Page

_OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"


def served(browser: Browser, url: str, shots: str = "", ready: str = "main") -> list[str]:
    """What is wrong with a page that a server makes, wide and narrow, light and dark.

    Looks for messages of the console, page errors, requests to anybody else, and sideways
    scrolling at 380 px, once what the selector `ready` names is there. With `shots`, a folder, a
    screenshot of each is written there.
    """
    faults: list[str] = []
    for width, scheme in ((1280, "light"), (1280, "dark"), (380, "light"), (380, "dark")):
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, color_scheme=scheme)
        page = context.new_page()
        _listen(page, "/".join(url.split("/")[:3]), faults)
        page.goto(url)
        page.wait_for_selector(ready, timeout=10_000)
        overflow = page.evaluate(_OVERFLOW)
        if overflow > 0:
            faults.append(f"{width} px: the page scrolls sideways by {overflow} px")
        if shots:
            Path(shots).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(shots) / f"{width}_{scheme}.png", full_page=True)
        context.close()
    return faults


def press(browser: Browser, url: str, button: str, ready: str) -> str:
    """Opens a page, waits until a button can be pressed, presses it, and waits until what the
    selector `ready` names is to be seen; the page's text.
    """
    page = browser.new_page()
    page.goto(url)
    page.locator(button).click(timeout=10_000)
    page.locator(ready).wait_for(timeout=30_000)
    return page.locator("main").inner_text()


TASKS = {"served": served, "press": press}


def _listen(page: Page, origin: str, faults: list[str]) -> None:
    def said(message) -> None:
        if message.type in ("error", "warning"):
            faults.append(f"console: {message.text}")

    def asked(request) -> None:
        if not request.url.startswith((f"{origin}/", "data:")):
            faults.append(f"asked for {request.url[:200]}")

    page.on("console", said)
    page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
    page.on("request", asked)
