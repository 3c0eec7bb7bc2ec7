"""What tests do in a headless Chromium, in a process that `tests.workflow.browser` starts and ends.

Run as `python -m tests.workflow.in_browser CHROMIUM`, which is the browser's path. Each line that
it reads is a list in JSON, one of `TASKS` and words; it does the task with the words and writes
what that returns as a line of JSON. A task that fails ends it.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
    "--disable-dev-shm-usage",  # containers often have 64 MB of it; a page may then never appear
)
_DRAWN = "document.documentElement.dataset.charts === 'drawn'"
_OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"


def look(browser: Browser, url: str, shots: str = "") -> list[str]:
    """What is wrong with the page at `url` (file:// or http://), wide and narrow, light and dark.

    Looks for console messages of level error, page errors, requests beyond the page itself,
    charts that were not drawn, a status that cannot be seen, and sideways scrolling at 400 px.
    With `shots`, a folder, a screenshot of each is written there.
    """
    faults: list[str] = []
    for width, scheme in ((1280, "light"), (400, "dark")):
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, color_scheme=scheme)
        page = context.new_page()
        _listen(page, url, faults)
        page.goto(url)
        faults += [f"{width} px: {fault}" for fault in _faults(page)]
        if shots:
            Path(shots).mkdir(parents=True, exist_ok=True)
            shot = Path(shots) / f"{Path(url).stem}_{width}_{scheme}.png"
            page.screenshot(path=shot, full_page=True)
        context.close()
    return faults


def look_at_all(browser: Browser, *urls: str) -> dict[str, list[str]]:
    """What `look` says of each page."""
    return {url: look(browser, url) for url in urls}


def opens(browser: Browser, url: str, times: str = "3") -> list[float]:
    """Seconds from asking for a page until all of it is shown, its charts too: once a repeat."""
    taken = []
    for _ in range(int(times)):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        began = time.monotonic()
        page.goto(url)
        if page.locator("#chart-specs").count():
            page.wait_for_function(_DRAWN)
        taken.append(time.monotonic() - began)
        context.close()
    return taken


def use(browser: Browser, url: str) -> dict:
    """Sorts, filters, opens, changes the theme and points at a mark of a QC page, as people do.

    Returns what was seen: the heading's aria-sort, the first row's name after the second click,
    rows left by the filter, the first check's badge, whether its rows open, and the theme.
    """
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page.goto(url)
    page.wait_for_function(_DRAWN)
    seen: dict = {}
    heading = page.locator("#video-table th", has_text=re.compile("^kept"))
    heading.locator("button").click()
    seen["sort"] = heading.get_attribute("aria-sort")
    heading.locator("button").click()
    seen["first"] = page.locator("#video-table tbody tr:visible td").first.inner_text()
    page.locator("input[type=search]").fill("bert")
    seen["filtered"] = page.locator("#video-table tbody tr:visible").count()
    seen["badge"] = page.locator("#checks tbody .badge").first.inner_text()
    page.locator("#checks summary").first.click()
    seen["opened"] = page.locator("#checks details li").first.is_visible()
    page.locator("#theme").click()
    page.locator("#theme").click()
    page.wait_for_function(_DRAWN)
    seen["theme"] = page.evaluate("document.documentElement.dataset.theme")
    page.locator("#chart-0 .mark-rect path").first.hover()
    page.locator("#vg-tooltip-element.visible").wait_for(timeout=5_000)
    return seen


def links(browser: Browser, *urls: str) -> list[list[str]]:
    """The targets of all links of each page, as they are written."""
    page = browser.new_page()
    found = []
    for url in urls:
        page.goto(url)
        script = "found => found.map(a => a.getAttribute('href'))"
        found.append(page.eval_on_selector_all("a", script))
    return found


def blank(browser: Browser) -> bool:
    """Whether the browser shows a page that has nothing of ours."""
    page = browser.new_page()
    page.goto("data:text/html,<p>A page.</p>")
    return page.locator("p").inner_text() == "A page."


def hang(browser: Browser) -> None:
    """Never returns."""
    browser.new_page().evaluate("while (true) {}")


TASKS = {
    "look": look,
    "opens": opens,
    "look_at_all": look_at_all,
    "use": use,
    "links": links,
    "blank": blank,
    "hang": hang,
}


def _listen(page: Page, url: str, faults: list[str]) -> None:
    def said(message) -> None:
        if message.type in ("error", "warning"):
            faults.append(f"console: {message.text}")

    def asked(request) -> None:
        if request.url != url and not request.url.startswith("data:"):
            faults.append(f"asked for {request.url[:200]}")

    page.on("console", said)
    page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
    page.on("requestfailed", lambda request: faults.append(f"request failed: {request.url[:200]}"))
    page.on("request", asked)


def _faults(page: Page) -> list[str]:
    faults = []
    charts = page.locator(".chart").count()
    if charts:
        page.wait_for_function(_DRAWN, timeout=30_000)
    for index in range(charts):
        faults += _chart_faults(page, index)
    status = page.locator("#status")
    if not status.is_visible() or status.inner_text() not in ("PASS", "WARN", "FAIL"):
        faults.append("the status is not to be seen")
    overflow = page.evaluate(_OVERFLOW)
    if overflow > 0:
        faults.append(f"the page scrolls sideways by {overflow} px")
    return faults


def _chart_faults(page: Page, index: int) -> list[str]:
    drawing = page.locator(f"#chart-{index} svg, #chart-{index} canvas")
    if drawing.count() != 1:
        return [f"chart {index} is not drawn: {page.locator(f'#chart-{index}').inner_text()}"]
    box = drawing.bounding_box()
    if not box or box["width"] < 50 or box["height"] < 30:
        return [f"chart {index} has no size: {box}"]
    picture = Image.open(io.BytesIO(drawing.screenshot())).convert("RGB")
    return [] if picture.getcolors(3) is None else [f"chart {index} is blank"]


def main() -> None:
    """Do what is asked, line by line."""
    from tests.review_demo import tasks as whole_review
    from tests.workflow import axe_tasks, review_tasks, served_tasks

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a task prints is no answer
    tasks = {**TASKS, **axe_tasks.TASKS, **served_tasks.TASKS, **review_tasks.TASKS}
    tasks |= whole_review.TASKS
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=sys.argv[1], args=list(_FLAGS))
        for line in sys.stdin:
            task, *words = json.loads(line)
            answer = tasks[task](browser, *words)
            for context in browser.contexts:  # what one kept, the next does not find
                context.close()
            print(json.dumps(answer), file=answers, flush=True)
        browser.close()


if __name__ == "__main__":
    main()
