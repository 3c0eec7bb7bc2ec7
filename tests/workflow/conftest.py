"""What holds for the tests of the workflow and its pages."""

import pytest

from tests.workflow import browser


@pytest.fixture(scope="module", autouse=True)
def browser_of_one_file():
    """The tests of a file share a browser; behind them it is ended, for memory."""
    yield
    browser.end()
