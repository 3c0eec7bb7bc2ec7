"""One run of the demo for all workflow tests."""

import pytest

from tests.workflow.demo_run import make_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The finished demo; tests that change anything work on a copy."""
    return make_demo(tmp_path_factory.mktemp("demo"))
