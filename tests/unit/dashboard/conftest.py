"""A small set that is served, and clients that know its token, or do not."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from ferrari.dashboard.application import Doors, create_app
from tests.stage import final_set
from tests.unit.dashboard.served import TOKEN, URL, reports_in, set_in


@pytest.fixture
def clip(tmp_path):
    """A clip of two frames with two images each, captioned and selected."""
    clip = final_set.Clip(tmp_path / "dataset", "walk.mp4", frames=2)
    final_set.select(tmp_path / "dataset", [clip])
    return clip


@pytest.fixture
def the_set(clip, tmp_path):
    reports_in(tmp_path / "qc_reports")
    return set_in(tmp_path)


@pytest.fixture
def client(the_set):
    """A page of the server's own."""
    headers = {"X-Ferrari-Token": TOKEN, "Origin": URL}
    return TestClient(
        create_app(the_set, TOKEN, Doors()), base_url=URL, headers=headers, follow_redirects=False
    )


@pytest.fixture
def stranger(the_set):
    """Whoever reaches the server and knows nothing of it; the reports are open."""
    app = create_app(the_set, TOKEN, Doors(open_reports=True))
    return TestClient(app, base_url=URL, follow_redirects=False)
