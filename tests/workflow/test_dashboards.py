"""The QC pages in headless Chromium: drawn, quiet, without any network, fit for a telephone."""

from __future__ import annotations

import functools
import http.server
import re
import threading
from pathlib import Path

import pytest

from tests.stage import reports
from tests.stage.fabricate import fabricate
from tests.workflow.browser import HungError, browser, faults_of


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The folder of all pages, built on a fabricated dataset that holds a FAIL as well."""
    data = fabricate(tmp_path_factory.mktemp("dashboards"))
    video = data.good[0]
    data.edit("crop", video, lambda rows: [rows[0] | {"confidence": "7"}, *rows[1:]])
    for name in reports.NAMES:
        reports.run(data, name)
    reports.run_index(data)
    return data.reports


@pytest.fixture(scope="module")
def opened():
    """One browser for all tests of the file."""
    with browser() as chromium:
        yield chromium


@pytest.mark.parametrize("name", ["index", *reports.NAMES])
def test_page_opens_from_the_disk(opened, pages, name):
    assert faults_of(opened, (pages / f"{name}.html").as_uri()) == []


@pytest.mark.timeout(900)
def test_the_pages_of_a_real_run_open_from_the_disk(opened, demo):
    pages = sorted((demo.folder / "qc_reports").glob("*.html"))
    assert {page.stem for page in pages} == {"index", *reports.NAMES}
    assert [fault for page in pages for fault in faults_of(opened, page.as_uri())] == []


def test_page_opens_over_http_with_a_single_request(opened, pages):
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, template, *values):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(pages))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page = f"/{reports.NAMES[2]}.html"
        assert faults_of(opened, f"http://127.0.0.1:{server.server_port}{page}") == []
    finally:
        server.shutdown()
    assert set(asked) == {page}


def test_a_broken_page_is_seen_to_be_broken(opened, pages, tmp_path):
    text = Path(pages / f"{reports.NAMES[1]}.html").read_text("utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(re.sub(r'("mark":\{"type":")', r"\1no-", text), "utf-8")
    assert any(
        "chart 0" in fault or "console" in fault for fault in faults_of(opened, broken.as_uri())
    )
    asks = tmp_path / "asks.html"
    asks.write_text(text.replace("<main>", '<main><img src="file:///nowhere.png">'), "utf-8")
    assert faults_of(opened, asks.as_uri())


def test_sorting_filter_theme_and_tooltip_work(opened, pages):
    with opened.watched() as chromium:
        page = chromium.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        _use(page, (pages / f"{reports.NAMES[2]}.html").as_uri())
        page.close()


def test_a_browser_that_hangs_is_ended_and_another_started(opened):
    with pytest.raises(HungError), opened.watched(2) as chromium:
        chromium.new_page().evaluate("while (true) {}")
    with opened.watched() as chromium:
        page = chromium.new_page()
        assert page.evaluate("1 + 1") == 2
        page.close()


def _use(page, url):
    page.goto(url)
    page.wait_for_function("document.documentElement.dataset.charts === 'drawn'")
    first = page.locator("#video-table tbody tr:visible td").first
    heading = page.locator("#video-table th", has_text="kept")
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    heading.locator("button").click()
    assert first.inner_text().startswith(("script-b", "tiny"))
    page.locator("input[type=search]").fill("bert")
    assert page.locator("#video-table tbody tr:visible").count() == 1
    assert page.locator("#checks tbody .badge").first.inner_text() == "FAIL"
    page.locator("#checks summary").first.click()
    assert page.locator("#checks details li").first.is_visible()
    page.locator("#theme").click()
    page.locator("#theme").click()
    page.wait_for_function("document.documentElement.dataset.charts === 'drawn'")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.locator("#chart-0 .mark-rect path").first.hover()
    page.locator("#vg-tooltip-element.visible").wait_for(timeout=5_000)
