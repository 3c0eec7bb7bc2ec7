"""Somebody at the review page who has keys alone, and a pointer for the brush."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import ConsoleMessage, Page

from tests.workflow.review_tasks import READY, SAVED

#: In the page itself, so that what drives the browser costs nothing of what is measured: ms from
#: the last key that went down until the page says that all is saved, for each time that it does.
MEASURED = """
window.saved_after_ms = [];
let pressed = 0;
addEventListener("keydown", () => { pressed = performance.now(); }, true);
addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("saved");
  if (!place) { return; }
  let was = true;
  new MutationObserver(() => {
    const is = place.textContent === "all saved";
    if (is && !was) { window.saved_after_ms.push(performance.now() - pressed); }
    was = is;
  }).observe(place, { childList: true, characterData: true, subtree: true });
});
"""
_FOCUSED = "selector => document.activeElement.matches(selector)"
#: More than the elements of any of the pages that Tab comes to.
_MOST_TABS = 400


class Keyboard:
    """Drives the page; `shots` is where its pictures go, `seen` lists them with what they show."""

    def __init__(self, page: Page, shots: Path) -> None:
        self.page, self._shots = page, shots
        self.seen: list[list[str]] = []
        self.troubles: list[str] = []
        page.on("console", self._told)
        page.on("pageerror", lambda error: self.troubles.append(f"page error: {error}"))
        page.add_init_script(MEASURED)
        shots.mkdir(parents=True, exist_ok=True)

    def _told(self, message: ConsoleMessage) -> None:
        where = message.location.get("url", "").partition("?")[0]  # behind it is the token
        self.troubles.append(f"console: {message.text} {where}")

    def open(self, url: str) -> None:
        """Open the review page at its address, and wait until it can be used."""
        self.page.goto(url)
        self.page.locator(READY).wait_for(state="attached")

    def press(self, *keys: str) -> None:
        """Press keys one after the other; a name is one key, as Playwright calls it."""
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        """Press the keys of a text."""
        self.page.keyboard.type(text)

    def tab_to(self, selector: str, key: str = "Tab") -> None:
        """Press Tab, or Shift+Tab, until what the selector names has the focus.

        Raises AssertionError where no number of them gets there: it cannot be reached by keys.
        """
        for _ in range(_MOST_TABS):
            if self.page.evaluate(_FOCUSED, selector):
                return
            self.press(key)
        raise AssertionError(f"{key} never comes to {selector}")

    def draw(self, *spots: tuple[float, float]) -> None:
        """A stroke with the pointer over the brush's canvas, in shares of its size."""
        box = self.page.locator("#dialog canvas").bounding_box()
        assert box
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in spots]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place)
        self.page.mouse.up()

    def shoot(self, name: str, shows: str) -> None:
        """Take a picture of what is to be seen."""
        file = f"{len(self.seen) + 1:02d}_{name}.png"
        self.page.screenshot(path=self._shots / file)
        self.seen.append([file, shows])

    def wait_until_saved(self) -> None:
        """Wait until the page says that all is saved; what it says is amiss is noted."""
        self.page.locator(SAVED).wait_for()
        trouble = self.page.locator("#trouble")
        if trouble.is_visible():
            self.troubles.append(trouble.inner_text())
            self.press("Escape")

    def saved_after_ms(self) -> list[float]:
        """How long each saving took since the last call, from its key on."""
        return self.page.evaluate("() => window.saved_after_ms.splice(0)")

    @property
    def said(self) -> str:
        """The page's last words about a key."""
        return self.page.locator("#said").inner_text()

    @property
    def target(self) -> str:
        """The id of what is selected; "" where nothing is."""
        heading = self.page.locator("#detail h2")
        return heading.inner_text() if heading.count() else ""

    @property
    def views(self) -> list[str]:
        """The names of the views, in the order of their keys: 1 is the first one's."""
        buttons = self.page.locator("#views button").all()
        return [button.get_attribute("data-view") or "" for button in buttons]

    def fact(self, name: str) -> str:
        """What the panel says of what is selected, by the name of the fact."""
        return self.page.locator(f"#detail dt:text-is('{name}') + dd").inner_text()

    @property
    def place(self) -> str:
        """The place of the selected tile in the list; "" where nothing is selected."""
        return self.page.locator("#grid").get_attribute("aria-activedescendant") or ""

    def offers(self, key: str) -> bool:
        """Whether the button of a key is there, and may be pressed about what is selected."""
        button = self.page.locator(f'#actions [data-key="{key}"]')
        return bool(button.count()) and button.is_enabled()
