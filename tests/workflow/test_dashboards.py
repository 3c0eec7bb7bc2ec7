"""The QC pages in headless Chromium: drawn, quiet, without any network, fit for a telephone."""

from __future__ import annotations

import functools
import http.server
import re
import threading
from pathlib import Path

import psutil
import pytest

from tests.stage import reports
from tests.stage.fabricate import fabricate
from tests.workflow import browser
from tests.workflow.browser import HungError, faults_of, faults_of_all

PAGES = ("index", *reports.NAMES)


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
def faults(pages):
    return faults_of_all([pages / f"{name}.html" for name in PAGES])


@pytest.mark.parametrize("name", PAGES)
def test_page_opens_from_the_disk(faults, name):
    assert faults[name] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_pages_of_a_real_run_open_from_the_disk(demo):
    pages = sorted((demo.folder / "qc_reports").glob("*.html"))
    assert {page.stem for page in pages} == set(PAGES)
    assert faults_of_all(pages) == {name: [] for name in PAGES}


def test_page_opens_over_http_with_a_single_request(pages):
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, template, *values):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(pages))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page = f"/{reports.NAMES[3]}.html"
        assert faults_of(f"http://127.0.0.1:{server.server_port}{page}") == []
    finally:
        server.shutdown()
    assert set(asked) == {page}


def test_a_broken_page_is_seen_to_be_broken(pages, tmp_path):
    text = Path(pages / f"{reports.NAMES[1]}.html").read_text("utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(re.sub(r'("mark":\{"type":")', r"\1no-", text), "utf-8")
    assert any("chart 0" in fault or "console" in fault for fault in faults_of(broken.as_uri()))
    asks = tmp_path / "asks.html"
    asks.write_text(text.replace("<main>", '<main><img src="file:///nowhere.png">'), "utf-8")
    assert faults_of(asks.as_uri())


def test_sorting_filter_theme_and_tooltip_work(pages):
    seen = browser.ask("use", (pages / f"{reports.NAMES[3]}.html").as_uri())
    assert seen.pop("first").startswith(("script-b", "tiny"))
    assert seen == {
        **{"sort": "descending", "filtered": 1, "badge": "FAIL", "opened": True},
        "theme": "dark",
    }


def test_a_browser_that_hangs_is_ended():
    browser.chromium()
    with pytest.raises(HungError):
        browser.ask_once("hang", patience_s=5)
    of_ours = psutil.Process().children(recursive=True)
    assert not [process for process in of_ours if "chrom" in process.name()]


def test_what_goes_wrong_in_the_browser_is_told():
    browser.chromium()
    with pytest.raises(RuntimeError, match="ERR_FILE_NOT_FOUND"):
        browser.ask_once("look", "file:///nowhere.html")


def test_where_no_page_opens_the_tests_are_skipped(monkeypatch):
    def hang(task, *words, **_):
        raise HungError(task)

    monkeypatch.setattr(browser, "ask_once", hang)
    browser._works.cache_clear()
    try:
        with pytest.raises(pytest.skip.Exception, match="not even about an empty page"):
            browser.ask("look", "file:///page.html")
    finally:
        browser._works.cache_clear()
