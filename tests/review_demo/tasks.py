"""The two visits to the review page, for a headless Chromium (see `tests.workflow.in_browser`)."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from playwright.sync_api import Browser

from tests.review_demo.keyboard import Keyboard
from tests.review_demo.kinds import KINDS, Kind, clip_of, related
from tests.review_demo.record import Made

#: Views that are put in another order than doubt first: so that decisions of a kind are about few
#: clips, and leave others alone.
BY_CLIP = ("dataset", "people", "masks", "captions")
_SIZE = {"width": 1280, "height": 860}
#: For what the server answers at once, on a machine that has other work; for a whole run.
_ANSWER_MS, _RUN_MS = 60_000, 1_800_000
#: A line of the jobs that would run.
_JOBS = re.compile(r".* (\w+): ([\d,]+)")
_NOTHING_LEFT = "There is nothing to undo."


def visit(browser: Browser, url: str, shots: str) -> Keyboard:
    """The page, opened by somebody who has keys alone."""
    context = browser.new_context(viewport=_SIZE, color_scheme="light")
    context.set_default_timeout(_ANSWER_MS)
    hands = Keyboard(context.new_page(), Path(shots))
    hands.open(url)
    return hands


def review(browser: Browser, url: str, shots: str, number: str) -> dict:
    """Looks at all views, makes `number` decisions of each kind, asks what runs again, starts that
    run and waits for its end. What was made, what the page said, pictures.
    """
    hands = visit(browser, url, shots)
    shown = _look_around(hands)
    made: list[Made] = []
    touched: list[str] = []
    altered: set[str] = set()
    for kind in KINDS:
        made.append(_decided(hands, kind, min(int(number), kind.most), touched, altered))
        if kind.alters_clip:
            altered |= set(map(clip_of, made[-1].targets))
        hands.shoot(kind.decision, f"{kind.name}, with {kind.key}: {len(made[-1].targets)} decided")
    told = hands.page.locator("#progress").inner_text()
    forecast, ended = _run_again(hands)
    troubles = list(hands.troubles)
    hands.open(url)  # some of its pictures are gone
    hands.page.locator("#older").wait_for()
    hands.shoot("older", "The page says that a run has changed the dataset since it was made")
    return {
        **{"shown": shown, "made": [asdict(one) for one in made], "progress": told},
        **{"forecast": forecast, "ended": ended},
        **{"troubles": troubles, "seen": hands.seen},
    }


def take_back(browser: Browser, url: str, shots: str) -> dict:
    """Presses Z until nothing is left to undo, and has that run. How many were taken back."""
    hands = visit(browser, url, shots)
    hands.shoot("after", "The page of the dataset as it is now")
    undone = []
    while True:
        hands.press("z")
        if hands.said == _NOTHING_LEFT:
            break
        undone.append(hands.said)
        hands.wait_until_saved()
    ms = hands.saved_after_ms()
    hands.shoot("undone", f"Z, {len(undone)} times: nothing is left to undo")
    forecast, ended = _run_again(hands)
    return {
        **{"undone": undone, "ms": ms, "forecast": forecast, "ended": ended},
        **{"troubles": hands.troubles, "seen": hands.seen},
    }


TASKS = {"whole_review": review, "whole_review_undone": take_back}


def _look_around(hands: Keyboard) -> dict[str, str]:
    """All views; what each says that it shows. The keys' own list comes first."""
    hands.press("?")
    hands.page.locator("#dialog dl").wait_for()
    hands.shoot("keys", "The list of keys, with ?")
    hands.press("Escape")
    shown = {}
    for key, name in enumerate(hands.views, 1):
        hands.press(str(key))
        hands.page.wait_for_timeout(500)  # the whole picture comes once the selection rests
        shown[name] = hands.page.locator("#progress").inner_text()
        hands.shoot(f"view_{name}", f"The view {name}, with {key}")
        if name in BY_CLIP:
            hands.tab_to("select[data-filter=order]", "Shift+Tab")
            hands.press("ArrowDown", "Escape")
    return shown


def _decided(
    hands: Keyboard, kind: Kind, number: int, touched: list[str], altered: set[str]
) -> Made:
    """`number` decisions of a kind, or as many as the view has things for that nothing was decided
    about yet. `touched` are the ids of what was decided about; those of this kind are added. The
    clips `altered` come last, but for what alters them itself.
    """
    made = Made(kind.name, kind.decision, number)
    began = time.monotonic()
    for spared in (set(),) if kind.alters_clip else (altered, set()):
        hands.press(kind.view, "Home")
        while len(made.targets) < number:
            target = hands.target
            fits = hands.offers(kind.key) and clip_of(target) not in spared
            fresh = kind.again or not any(related(target, one) for one in touched)
            if decided := kind.act(hands, len(made.targets)) if fits and fresh else ():
                touched += decided
                made.targets.append(decided[0])
                made.said.append(hands.said)
                hands.wait_until_saved()
            elif not _moved_on(hands):
                break
    made.seconds = time.monotonic() - began
    made.ms = hands.saved_after_ms()
    return made


def _moved_on(hands: Keyboard) -> bool:
    """Go to the next thing of the view; False where there is none."""
    before = hands.place
    hands.press("ArrowRight")
    return hands.place != before


def _run_again(hands: Keyboard) -> tuple[dict, str]:
    """Ask the page what runs again and, where that is something, start it and wait for its end.

    What the page said, with the jobs by rule; how the run ended by the page of the run, or "".
    """
    page = hands.page
    hands.tab_to("#reruns", "Shift+Tab")
    hands.press("Enter")
    page.locator("#dialog p:not(:text('Asking the workflow'))").first.wait_for(timeout=_RUN_MS)
    jobs: Counter[str] = Counter()
    for line in map(_JOBS.fullmatch, page.locator("#dialog li").all_inner_texts()):
        if line:
            jobs[line[1]] += int(line[2].replace(",", ""))
    forecast = {"said": page.locator("#dialog p").first.inner_text(), "jobs": jobs}
    hands.shoot("reruns", f"What runs again: {forecast['said']}")
    if not jobs:
        hands.press("Escape")
        return forecast, ""
    hands.tab_to("#start")
    hands.press("Enter")
    page.locator("#phase.busy").wait_for(timeout=_RUN_MS)
    page.locator("#now tr").first.wait_for(timeout=_RUN_MS)
    hands.shoot("run", "The run, as it goes")
    page.locator("#phase.PASS, #phase.WARN, #phase.FAIL").wait_for(timeout=_RUN_MS)
    ended = page.locator("#phase").text_content() or ""
    # Its process ends after its last event.
    page.locator("#stop").wait_for(state="hidden", timeout=_RUN_MS)
    hands.shoot("run_ended", f"The run {ended}")
    return forecast, ended
