"""Whether everybody can use the pages, as axe-core sees them: its rules, not our eyes.

axe-core is no dependency (MPL-2.0, npm). FERRARI_AXE names its `axe.min.js`:
`npm pack axe-core && tar xf axe-core-*.tgz`.
"""

from __future__ import annotations

import os

import pytest

from ferrari.dashboard.run_control import RunControl
from ferrari.ledger import tables
from tests.workflow import browser, review_set
from tests.workflow.review_tasks import READY
from tests.workflow.small_run import FINAL
from tests.workflow.test_live import SLEEP, server, set_of

pytestmark = pytest.mark.timeout(600)
#: What is said of what would keep somebody from using the page.
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def axe():
    """Path of axe-core; skips without one."""
    path = os.environ.get("FERRARI_AXE", "")
    if not os.path.isfile(path):
        pytest.skip("FERRARI_AXE names no axe.min.js (npm pack axe-core)")
    return path


def looked(url: str, axe: str, ready: str, *words: str) -> object:
    """What axe-core says of a page; it looks dozens of times, each for a second."""
    browser.chromium()
    return browser.ask_once("axe", url, axe, ready, *words, patience_s=400)


def grave(found: object) -> list[str]:
    assert isinstance(found, list)
    return [said for said in found if said.split(": ")[1].startswith(GRAVE)]


def test_the_review_page_keeps_nobody_out(axe, tmp_path):
    page, _ = review_set.write(tmp_path, 60)
    views = ("1", "2", "3", "4", "5", "6", "1 Enter")
    asked = ("Escape 2 v End w", "Escape Home v End v Home w", "Escape 6 d", "Escape 1 Shift+D")
    words = (*views, *asked, "Escape ?")
    assert grave(looked(page.as_uri(), axe, READY, *words)) == []


def test_the_pages_of_the_server_keep_nobody_out(axe, small):
    image = tables.read_table(small.folder / FINAL)[0]["item"]
    the_set = set_of(small)
    with server(the_set, RunControl(the_set, lambda *_: SLEEP)) as address:
        live = looked(f"{address}/live", axe, "#sums tr", "click:#log-open summary")
        trace = looked(f"{address}/trace/{image}", axe, ".step")
    assert grave(live) == [] and grave(trace) == []


def test_what_keeps_somebody_out_is_seen(axe, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<title>x</title><main><img src='data:,'><p style='color:#ccc'>pale</p></main>")
    found = grave(looked(page.as_uri(), axe, "p"))
    assert any("image-alt" in said for said in found)
    assert any("color-contrast" in said for said in found)
