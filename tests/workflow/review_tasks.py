"""What tests do on the review page in a browser (see `in_browser`)."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import psutil
from playwright.sync_api import Browser, BrowserContext, Page

NAME = "localStorage.setItem('ferrari-review-name', 'ana')"
#: What is waited for. The page's Content-Security-Policy lets nobody evaluate text, so Playwright
#: cannot poll a function; it can look for elements.
READY = "html[data-ready=yes]"
SAVED = "#saved:text-is('all saved')"
#: Contexts of the browser that are tried until one has a store that can be relied on.
_TRIES = 8
VIEWS = ("dataset", "people", "masks", "refused", "captions", "references")
#: Comes back when what was changed is on the screen.
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
#: Frames drawn while the grid is scrolled through, one step a frame.
SCROLL = """async (seconds) => {
  const grid = document.getElementById("grid"), gaps = [], began = performance.now();
  let last = began;
  grid.scrollTop = 0;
  while (performance.now() - began < seconds * 1000) {
    grid.scrollTop += 90;
    await new Promise(requestAnimationFrame);
    gaps.push(performance.now() - last);
    last = performance.now();
  }
  gaps.sort((a, b) => a - b);
  return { frames: gaps.length, fps: gaps.length / seconds,
    slow_ms: gaps[Math.floor(gaps.length * 0.99)],
    nodes: document.querySelectorAll(".tile").length, top: grid.scrollTop };
}"""
#: How long after the page was asked for its first small picture was drawn, in ms.
FIRST = """async () => {
  const node = document.querySelector(".tile .pic");
  const address = node.style.backgroundImage.slice(5, -2);
  const image = new Image();
  image.src = address;
  await image.decode();
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now();
}"""


def _opened(context: BrowserContext, url: str, name: str = NAME) -> Page:
    page = context.new_page()
    if name:
        page.add_init_script(name)
    page.goto(url)
    page.locator(READY).wait_for(state="attached")
    return page


def _exported(page: Page) -> str:
    with page.expect_download() as download:
        page.click("#export")
    return Path(download.value.path()).read_bytes().decode("utf-8")


def look(browser: Browser, url: str, shots: str = "") -> list[str]:
    """What is wrong with each view, light, dark and narrow; with `shots`, pictures of each."""
    faults: list[str] = []
    for width, scheme in ((1280, "light"), (1280, "dark"), (380, "dark"), (380, "light")):
        size = {"width": width, "height": 860}
        context = browser.new_context(viewport=size, color_scheme=scheme)
        page = context.new_page()
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
        page.goto(url)
        page.locator(READY).wait_for(state="attached")
        there = page.locator("#views button").count()
        for view in VIEWS[:there]:
            page.click(f"[data-view={view}]")
            page.locator(f"[data-view={view}][aria-current=page]").wait_for()
            page.evaluate(DRAWN)
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if over > 0:
                faults.append(f"{view} scrolls sideways by {over} px at {width} px")
            if not page.locator(".tile").count():
                faults.append(f"{view} shows nothing")
            if shots:
                Path(shots).mkdir(parents=True, exist_ok=True)
                page.screenshot(path=Path(shots) / f"{view}_{width}_{scheme}.png")
        context.close()
    return faults


def keys(browser: Browser, url: str, gap_ms: str, *words: str) -> dict:
    """Presses the letters of each word and exports behind it: the tables, and again after the page
    was loaded anew; what is said of the progress, and seconds.

    On a busy machine a headless Chromium may lose a context's store with a page of file://. An
    entry that is not the page's own tells: where that one is gone too, all is done once more.
    """
    for _ in range(_TRIES):
        page = _opened(browser.new_context(), url)
        page.evaluate("localStorage.setItem('shared', 'yes')")
        told = _pressed(page, gap_ms, words)
        page.reload()
        page.locator(READY).wait_for(state="attached")
        if page.evaluate("localStorage.getItem('shared')") == "yes":
            return {**told, "again": _exported(page)}
    raise RuntimeError(f"the browser lost its store {_TRIES} times, other entries too")


def _pressed(page: Page, gap_ms: str, words: tuple[str, ...]) -> dict:
    began = time.monotonic()
    tables = []
    for word in words:
        for letter in word:
            page.keyboard.press("Shift+Z" if letter == "Y" else letter)
            page.wait_for_timeout(float(gap_ms))
        tables.append(_exported(page))
    seconds = time.monotonic() - began
    page.wait_for_timeout(300)
    progress = page.locator("#progress").inner_text()
    return {"tables": tables, "seconds": seconds, "progress": progress}


def tabs(browser: Browser, url: str) -> dict:
    """Two tabs decide in turn: what each exports, and how a third one sees it."""
    context, first, second = _two_tabs(browser, url)
    for _ in range(5):
        first.keyboard.press("d")
        second.keyboard.press("k")
    first.wait_for_timeout(300)
    third = _opened(context, url)
    return {"tables": [_exported(page) for page in (first, second, third)]}


def _two_tabs(browser: Browser, url: str) -> tuple[BrowserContext, Page, Page]:
    """Two tabs that have one store: on a busy machine a headless Chromium may give each its own."""
    for _ in range(_TRIES):
        context = browser.new_context()
        first, second = _opened(context, url), _opened(context, url)
        first.evaluate("localStorage.setItem('shared', 'yes')")
        first.wait_for_timeout(500)
        if second.evaluate("localStorage.getItem('shared')") == "yes":
            return context, first, second
        context.close()
    raise RuntimeError("the browser gives each tab a store of its own")


def captions(browser: Browser, url: str, *written: str) -> dict:
    """Writes captions by keys: the table, what the page shows of the first image, and its title."""
    page = _opened(browser.new_context(), url)
    shown = page.locator("textarea").input_value()
    label = page.locator("#tile-0").text_content()
    for text in written:
        page.keyboard.press("e")
        page.locator("textarea").fill(text)
        page.keyboard.press("Enter")
    inner = page.locator("#tile-0 img").count()
    return {
        **{"table": _exported(page), "shown": shown, "label": label, "images": inner},
        "title": page.title(),
    }


def batch(browser: Browser, url: str) -> dict:
    """Drops two images, then all that a filter shows, and takes that back; replaces in captions."""
    page = _opened(browser.new_context(), url)
    for _ in range(2):
        page.keyboard.press("d")
    page.keyboard.press("/")
    page.locator("#text").fill("navy")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+D")
    asked = page.locator("dialog p").all_inner_texts()
    page.click("#confirm")
    after = _exported(page)
    page.keyboard.press("z")
    undone = _exported(page)
    page.click("[data-view=captions]")
    page.get_by_role("button", name="Find and replace").click()
    page.locator("#find").fill("navy blue")
    page.locator("#by").fill("dark blue")
    preview = page.locator("dialog [role=status]").inner_text()
    page.click("#replace")
    return {
        **{"asked": asked, "after": after, "undone": undone, "preview": preview},
        "replaced": _exported(page),
    }


def people(browser: Browser, url: str) -> dict:
    """Decides who three tracks are: subject, not, and two people, cut at the third picture."""
    page = _opened(browser.new_context(), url)
    page.keyboard.press("2")
    for key in ("s", "n", ".", ".", "x"):
        page.keyboard.press(key)
    return {"table": _exported(page)}


def of_two(browser: Browser, url: str, shots: str = "") -> dict:
    """Joins tracks and names duplicates by keys, where that can be and where it cannot: what was
    said, what was asked before a row was written, and the table where the page exports one.
    """
    page = _opened(browser.new_context(viewport={"width": 1280, "height": 860}), url)
    seen: dict = {"said": [], "asked": []}

    def press(*keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)
        seen["said"].append(page.locator("#said").inner_text())

    def ask(key: str) -> None:
        page.keyboard.press(key)
        seen["asked"].append(page.locator("dialog").inner_text())
        if shots:
            page.screenshot(path=Path(shots) / f"asks_{len(seen['asked'])}.png")
        page.keyboard.press("Enter")

    page.keyboard.press("2")
    press("w")
    press("v", "w")
    press("ArrowRight", "w")
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    ask("w")
    seen["joined"] = page.locator("#tile-10 .state").inner_text()
    press("Home", "ArrowRight", "v", *["ArrowRight"] * 10, "w")
    page.keyboard.press("1")
    press("v")
    page.keyboard.press("ArrowRight")
    ask("c")
    press("ArrowLeft", "c")
    press("v", "Home", "c")
    press("z", "z", "Shift+Z")
    page.keyboard.press("6")
    ask("d")
    press("z")
    if page.locator("#export").is_visible():
        seen["table"] = _exported(page)
    else:
        page.locator(SAVED).wait_for()
    return seen


def vain(browser: Browser, url: str) -> dict:
    """What the page says of decisions in vain, before and after the last one is taken back."""
    page = _opened(browser.new_context(), url)
    button = page.locator("#vain")
    button.wait_for()  # the page is drawn before the states of decisions are told
    seen = {"button": button.inner_text()}
    button.click()
    seen["listed"] = page.locator("dialog").inner_text()
    page.keyboard.press("Escape")
    page.keyboard.press("z")
    page.locator("#vain:text-is('1 decision in vain')").wait_for()
    return seen


def in_order(browser: Browser, url: str) -> dict:
    """In the view of masks, by clip and time: the first tiles' names, and the moments that are told
    beside the fifth.
    """
    page = _opened(browser.new_context(viewport={"width": 1280, "height": 860}), url)
    page.click("[data-view=masks]")
    page.get_by_label("order").select_option("clip and time")
    page.locator("#tile-4").click()
    page.evaluate(DRAWN)
    names = [page.locator(f"#tile-{place} .line").inner_text() for place in range(8)]
    return {"names": names, "beside": page.locator(".strip button").all_inner_texts()}


def asks_who(browser: Browser, url: str) -> dict:
    """The first decision without a name: the window that asks, and the row that follows."""
    page = _opened(browser.new_context(), url, name="")
    page.keyboard.press("d")
    asked = page.locator("#dialog-title").inner_text()
    page.keyboard.type("Ana Žárská")
    page.keyboard.press("Enter")
    return {"asked": asked, "table": _exported(page)}


def scroll(browser: Browser, url: str, seconds: str = "5") -> dict:
    """Opens a large page and scrolls: ms to the first picture, frames a second, tiles drawn.

    `first_cpu_ms` and `frame_cpu_ms` are what all of the browser's processes computed meanwhile:
    on a machine that is busy with other things, they say what a free one would take at most.
    """
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.goto("about:blank")
    began = _cpu_ms()
    page.goto(url)
    first = {"first_ms": page.evaluate(FIRST), "first_cpu_ms": _cpu_ms() - began}
    page.locator(READY).wait_for(state="attached")
    began = _cpu_ms()
    seen = page.evaluate(SCROLL, float(seconds))
    return {**first, **seen, "frame_cpu_ms": (_cpu_ms() - began) / seen["frames"]}


def _cpu_ms() -> float:
    """What the browser's processes, which are children of this one, have computed so far."""
    total = 0.0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            spent = child.cpu_times()
            total += spent.user + spent.system
    return total * 1000


def served(browser: Browser, url: str, word: str, gap_ms: str = "30") -> dict:
    """Presses letters on a page that a server answers; waits until all is saved."""
    page = _opened(browser.new_context(), url)
    for letter in word:
        page.keyboard.press("Shift+Z" if letter == "Y" else letter)
        page.wait_for_timeout(float(gap_ms))
    page.locator(SAVED).wait_for()
    page.keyboard.press("Home")
    return {
        "trouble": page.locator("#trouble").inner_text(),
        "export": page.locator("#export").is_visible(),
        "state": page.locator("#tile-0 .state").inner_text(),
    }


def restarted(browser: Browser, url: str, restart: str) -> dict:
    """Decides twice on a page whose server was started anew, at the address `restart`, and opens
    the new page beside it: what each says once nothing waits.
    """
    context = browser.new_context()
    old = _opened(context, url)
    old.evaluate("(address) => fetch(address)", restart)
    old.keyboard.press("d")
    old.keyboard.press("d")
    old.locator("#trouble:not([hidden])").wait_for()
    refused = old.locator("#trouble").inner_text()
    new = _opened(context, url)
    for page in (new, old):
        page.locator(SAVED).wait_for()
    old.locator("#trouble:not(:text('Not saved yet'))").wait_for()
    said = [page.locator("#trouble").inner_text() for page in (old, new)]
    return {"refused": refused, "old": said[0], "new": said[1]}


def mend(browser: Browser, url: str, shots: str = "") -> dict:
    """Adds a stroke to a mask and takes away another one, one too many taken back; saves it, and
    looks at no neighbour.
    """
    page = _opened(browser.new_context(viewport={"width": 1280, "height": 860}), url)
    page.keyboard.press("3")
    page.locator("[data-key=B]").click()
    _stroke(page, (0.6, 0.5), (0.9, 0.5))
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Large").click()
    _stroke(page, (0.25, 0.8), (0.5, 0.8))
    _stroke(page, (0.4, 0.1), (0.4, 0.9))
    page.get_by_role("button", name="Take the last stroke back").click()
    if shots:
        page.screenshot(path=Path(shots) / "brush.png")
    page.click("#save-mask")
    page.locator("#look").wait_for()
    told = page.locator("dialog p").inner_text()
    page.keyboard.press("Escape")
    page.locator(SAVED).wait_for()
    page.keyboard.press("Home")
    return {"state": page.locator("#tile-0 .state").inner_text(), "told": told}


def _stroke(page: Page, *spots: tuple[float, float]) -> None:
    """Draws over the brush's canvas from spot to spot, in shares of its size."""
    box = page.locator("canvas").bounding_box()
    assert box
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in spots]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place)
    page.mouse.up()


def along(browser: Browser, url: str, scheme: str = "light", shots: str = "") -> dict:
    """Takes another segmenter's mask and gives it up; removes what is right of the body, saves;
    accepts the first neighbour, skips the second, and leaves the third by Escape. What was seen.
    """
    size = {"width": 1280, "height": 860}
    page = _opened(browser.new_context(viewport=size, color_scheme=scheme), url)
    seen: dict = {}

    def shot(name: str) -> None:
        if shots:
            page.screenshot(path=Path(shots) / f"{name}_{scheme}.png")

    page.keyboard.press("3")
    page.keyboard.press("b")
    page.locator("#segment").wait_for()
    page.keyboard.press("Escape")
    page.locator("canvas").wait_for(state="detached")
    seen["left"] = page.locator(":focus").get_attribute("id")
    page.keyboard.press("b")
    page.locator("#segment").wait_for()
    seen["names"] = page.locator("#segmenter option").all_inner_texts()
    page.locator("#segmenter").select_option("u2net")
    page.click("#segment")
    page.get_by_text("Working...").wait_for()
    shot("working")
    page.get_by_text("This is what u2net makes of it.").wait_for()
    page.get_by_role("button", name="Take the last stroke back").click()
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Large").click()
    _stroke(page, (0.76, 0.5), (0.76, 0.98))
    shot("brush")
    page.click("#save-mask")
    page.locator("#look").wait_for()
    seen["told"] = page.locator("dialog p").inner_text()
    shot("saved")
    page.keyboard.press("l")
    seen["titles"] = []
    for key in ("a", "s", "Escape"):
        page.locator("button[data-key=A]:enabled").wait_for()
        title = page.locator("#dialog-title").inner_text()
        seen["titles"].append(title)
        shot(f"neighbour_{len(seen['titles'])}")
        page.keyboard.press(key)
        page.locator(f"#dialog-title:text-is('{title}')").wait_for(state="detached")
    page.locator(SAVED).wait_for()
    seen["focus"] = page.locator(":focus").get_attribute("id")
    seen["trouble"] = page.locator("#trouble").inner_text()
    seen["states"] = page.locator(".tile .state").all_inner_texts()
    shot("after")
    return seen


TASKS = {
    f"review_{task.__name__}": task
    for task in (
        *(look, keys, tabs, captions, batch, people, of_two, vain, in_order, asks_who),
        *(scroll, served, restarted, mend, along),
    )
}
