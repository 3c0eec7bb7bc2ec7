"""The live page and the trace page over HTTP: what they answer, and that text stays text."""

import base64
import hashlib
import re
import sys

import pytest
from starlette.testclient import TestClient

from ferrari.dashboard import live_routes
from ferrari.dashboard.access import HEADER
from ferrari.dashboard.application import Doors, create_app
from ferrari.dashboard.run_control import LOGS, RunControl
from ferrari.dashboard.run_state import RunState
from ferrari.ledger.stages import FOLDERS
from tests.unit.dashboard import live_set
from tests.unit.dashboard.served import URL
from tests.unit.large_dataset import write_tables

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")
HOSTILE = "<script>alert(1)</script>"


def client_of(the_set) -> TestClient:
    """A page of the server's own, which knows its token."""
    app = create_app(the_set, "to-ken", Doors())
    headers = {HEADER: "to-ken", "Origin": URL}
    return TestClient(app, base_url=URL, headers=headers, raise_server_exceptions=False)


@pytest.fixture
def client(tmp_path):
    return client_of(live_set.make(tmp_path))


@pytest.fixture
def traced(tmp_path):
    """A client before a set of one clip with two frames, and an image's id."""
    the_set = live_set.make(tmp_path)
    (video,) = write_tables(the_set.dataset, 1, 2)
    return client_of(the_set), f"{video}-f000001-p0-v2"


def test_the_live_page_lets_in_its_own_scripts_alone(client):
    answer = client.get("/live")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy
    assert "unsafe-eval" not in policy and "script-src 'unsafe" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", answer.text, re.S)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert 'href="/review?t=to-ken"' in answer.text and '"token":"to-ken"' in answer.text
    assert not re.search(r"""(src|href)=["']?https?:""", answer.text)


def test_the_state_is_json(client):
    state = client.get("/api/run").json()
    assert state["phase"] == "none" and len(state["ledger"]) == 8
    assert client.get("/api/run/log").text == ""


def test_starting_a_run(client, tmp_path):
    the_set = client.app.state.set
    control = RunControl(the_set, lambda *_: SLEEP)
    client.app.state.live = live_routes.Live(control, RunState(the_set, control))
    answer = client.post("/api/run/start", json={"kind": "dry"})
    try:
        assert answer.status_code == 202 and answer.json()["kind"] == "dry"
        again = client.post("/api/run/start", json={"kind": "run"})
        assert again.status_code == 409 and "still going" in again.json()["error"]
        assert client.post("/api/run/stop").status_code == 202
        assert control.last.process.wait(20) != 0
        assert client.post("/api/run/stop").status_code == 409
    finally:
        control.last.process.kill()
        control.last.process.wait()


@pytest.mark.parametrize("body", [{"kind": "all"}, {}, {"kind": ""}, [], {"kind": 3}, "run"])
def test_what_is_no_kind_of_run_is_refused(client, body):
    assert client.post("/api/run/start", json=body).status_code == 422
    assert not hasattr(client.app.state, "live") or client.app.state.live.control.last is None


def test_a_run_whose_log_cannot_be_written_is_not_started(tmp_path):
    """As on a disk that is read-only or full."""
    the_set = live_set.make(tmp_path)
    folder = the_set.work / LOGS
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file in the folder's place")
    answer = client_of(the_set).post("/api/run/start", json={"kind": "run"})
    assert answer.status_code == 507
    assert answer.json()["error"].startswith("The run's log cannot be written: ")


def test_a_server_that_starts_no_runs_says_so(tmp_path):
    client = client_of(live_set.make(tmp_path, may_start_runs=False))
    answer = client.post("/api/run/start", json={"kind": "run"})
    assert answer.status_code == 409 and "starts no runs" in answer.json()["error"]
    assert "starts no runs" in client.get("/api/run").json()["why_not"]


def test_a_get_starts_nothing(client):
    assert client.get("/api/run/start").status_code == 405


def test_the_trace_of_an_image(traced):
    client, image = traced
    answer = client.get(f"/trace/{image}")
    assert answer.status_code == 200
    crop, frame = image[:-3], image[:-6]
    for kind, item in (("frame", frame), ("crop", crop), ("cutout", crop), ("image", image)):
        assert f'src="/picture/{kind}/{item}?t=to-ken"' in answer.text
    for said in ("0 raw clip", "5 final verdict", "an image of the final dataset", "kohya"):
        assert said in answer.text
    assert f'href="/trace/{frame}?t=to-ken"' in answer.text, "each step leads on"


def test_the_trace_of_a_clip_and_of_a_frame(traced):
    client, image = traced
    video = image.rpartition("-f")[0]
    clip = client.get(f"/trace/{video}").text
    assert "What became of the clip" in clip and "DUPLICATE_FRAME" in clip
    assert clip.count(f"/trace/{video}-f000000-p0-v") == 4, "its images lead on"
    assert "What became of the frame" in client.get(f"/trace/{image[:-6]}").text


@pytest.mark.parametrize("asked", ["clip 0000.mp4", "kohya/clip%200000.mp4"])
def test_a_clip_by_its_file_s_name(traced, asked):
    client, _ = traced
    assert client.get(f"/trace/{asked}").status_code == 200
    assert client.get("/trace", params={"item": "clip 0000.mp4"}).status_code == 200


def test_near_misses_are_offered(traced):
    client, image = traced
    for asked, near in (("clip 000.mp4", "clip%200000.mp4"), (f"{image[:-2]}v9", image[:-1])):
        answer = client.get(f"/trace/{asked}")
        assert answer.status_code == 404
        assert "Did you mean" in answer.text and f"/trace/{near}" in answer.text


@pytest.mark.parametrize(
    "asked",
    [
        *("..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd", "a%00b", "%ff%fe", "x" * 5000, "-n"),
        *("a" * 300 + "-0123456789", "a" * 3000 + "-0123456789-f000001"),
    ],
)
def test_what_is_nothing_is_told_as_nothing(traced, asked):
    answer = traced[0].get(f"/trace/{asked}")
    assert answer.status_code == 404 and "Nothing in this set" in answer.text
    assert "root:" not in answer.text


def test_text_from_outside_stays_text(traced):
    client, _ = traced
    for answer in (client.get(f"/trace/{HOSTILE}"), client.get("/trace", params={"item": HOSTILE})):
        assert HOSTILE not in answer.text and "&lt;script&gt;alert(1)" in answer.text
    probe = next((client.app.state.set.dataset / FOLDERS["probe"]).glob("*.csv"))
    probe.write_text(probe.read_text().replace("clip 0000.mp4", "<img src=x onerror=alert(1)>"))
    page = client.get(f"/trace/{probe.stem}").text
    assert "<img src=x" not in page and "&lt;img src=x" in page
    assert "run make verify" in page, "the table is not what its job wrote"


def test_a_damaged_table_is_told(traced):
    client, image = traced
    probe = next((client.app.state.set.dataset / FOLDERS["probe"]).glob("*.csv"))
    probe.write_text(probe.read_text() + '"half a')
    answer = client.get(f"/trace/{image}x")
    assert answer.status_code in (404, 500) and "Traceback" not in answer.text
    probe.write_text("")
    answer = client.get(f"/trace/{image}")
    assert answer.status_code == 500 and "the next run makes it anew" in answer.text


def test_an_empty_question_asks(client):
    answer = client.get("/trace")
    assert answer.status_code == 200 and "What led to an image" in answer.text
