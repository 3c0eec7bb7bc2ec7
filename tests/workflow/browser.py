"""Opens QC pages in a real browser and says what is wrong with them; for tests."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
)
#: A page takes a second or two. Not all that is asked of a browser has a limit of its own.
PATIENCE_S = 90
_DRAWN = "document.documentElement.dataset.charts === 'drawn'"
_OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"


def chromium() -> str:
    """Path of the browser; skips the test without one, fails it where CI must have one."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say("chromium is not installed: apt-get install chromium")
    return found


class HungError(Exception):
    """The browser gave no answer within `PATIENCE_S`."""


class Browser:
    """A headless Chromium, which is ended and started again where it hangs."""

    def __init__(self) -> None:
        self._start()

    def close(self) -> None:
        """End it."""
        self._chromium.close()
        self._playwright.stop()

    @contextmanager
    def watched(self, patience_s: float = PATIENCE_S) -> Iterator:
        """Playwright's browser, for one page; raises HungError if that takes too long."""
        from playwright.sync_api import Error

        hung = threading.Event()

        def give_up() -> None:
            hung.set()
            self._kill()

        timer = threading.Timer(patience_s, give_up)
        timer.start()
        try:
            yield self._chromium
        except Error as error:
            if not hung.is_set():
                raise
            raise HungError(f"the browser gave no answer within {patience_s:g} s") from error
        finally:
            timer.cancel()
            if hung.is_set():
                with contextlib.suppress(Error):
                    self._playwright.stop()
                self._start()

    def _start(self) -> None:
        from playwright.sync_api import sync_playwright

        before = psutil.Process().children(recursive=True)
        self._playwright = sync_playwright().start()
        self._chromium = self._playwright.chromium.launch(
            executable_path=chromium(), args=list(_FLAGS)
        )
        now = psutil.Process().children(recursive=True)
        self._processes = [process for process in now if process not in before]

    def _kill(self) -> None:
        """End Chromium and the process through which Playwright talks to it."""
        for process in self._processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    opened = Browser()
    try:
        yield opened
    finally:
        opened.close()


def faults_of(opened: Browser, url: str, *, shots: Path | None = None) -> list[str]:
    """What is wrong with the page at `url` (file:// or http://), wide and narrow, light and dark.

    Looks for console messages of level error, page errors, requests beyond the page itself,
    charts that were not drawn, a status that cannot be seen, and sideways scrolling at 400 px.
    With `shots`, a screenshot of each is written there. A page whose browser hangs is looked at
    once more, in a new one: pages of ours that hang a browser hang the second one too.
    """
    try:
        return _faults_of(opened, url, shots)
    except HungError:
        return _faults_of(opened, url, shots)


def _faults_of(opened: Browser, url: str, shots: Path | None) -> list[str]:
    faults: list[str] = []
    for width, scheme in ((1280, "light"), (400, "dark")):
        with opened.watched() as chromium:
            size = {"width": width, "height": 900}
            context = chromium.new_context(viewport=size, color_scheme=scheme)
            page = context.new_page()
            _listen(page, url, faults)
            page.goto(url)
            faults += [f"{width} px: {fault}" for fault in _look(page)]
            if shots:
                shots.mkdir(parents=True, exist_ok=True)
                shot = shots / f"{Path(url).stem}_{width}_{scheme}.png"
                page.screenshot(path=shot, full_page=True)
            context.close()
    return faults


def _listen(page, url: str, faults: list[str]) -> None:
    page.on(
        "console",
        lambda message: (
            faults.append(f"console: {message.text}")
            if message.type in ("error", "warning")
            else None
        ),
    )
    page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
    page.on("requestfailed", lambda request: faults.append(f"request failed: {request.url[:200]}"))

    def asked(request) -> None:
        if request.url != url and not request.url.startswith("data:"):
            faults.append(f"asked for {request.url[:200]}")

    page.on("request", asked)


def _look(page) -> list[str]:
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


def _chart_faults(page, index: int) -> list[str]:
    drawing = page.locator(f"#chart-{index} svg, #chart-{index} canvas")
    if drawing.count() != 1:
        return [f"chart {index} is not drawn: {page.locator(f'#chart-{index}').inner_text()}"]
    box = drawing.bounding_box()
    if not box or box["width"] < 50 or box["height"] < 30:
        return [f"chart {index} has no size: {box}"]
    pixels = np.asarray(Image.open(io.BytesIO(drawing.screenshot())).convert("RGB"))
    different = len(np.unique(pixels.reshape(-1, 3), axis=0))
    return [] if different > 3 else [f"chart {index} is blank"]
