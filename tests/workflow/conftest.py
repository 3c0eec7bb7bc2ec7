"""One run of the demo for all workflow tests."""

import os
from pathlib import Path

import pytest

from tests.workflow.demo_run import Demo, make_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The finished demo; FERRARI_DEMO names the folder of one that is there already.

    Tests that change anything work on a copy.
    """
    if os.environ.get("FERRARI_DEMO"):
        return Demo(Path(os.environ["FERRARI_DEMO"]).resolve())
    return make_demo(tmp_path_factory.mktemp("demo"))
