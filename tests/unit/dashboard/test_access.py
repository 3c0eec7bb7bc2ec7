"""Who is let in: nobody without the token, no other host, no page of another origin."""

from __future__ import annotations

import pytest
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from tests.unit.dashboard.served import TOKEN, URL

OWN = {"X-Ferrari-Token": TOKEN, "Origin": URL}
PLACES = ["/", "/review", "/api/decisions", "/reports/index.html", "/review/x.webp", "/nowhere"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("token", ["", "x" * 43, TOKEN[:-1], TOKEN + "t", "tökén"])
def test_nothing_is_told_without_the_token(stranger, place, token):
    for answer in (
        stranger.get(place, params={"t": token}),
        stranger.get(place, headers={"X-Ferrari-Token": token.encode()}),
    ):
        assert answer.status_code == 403
        assert "token is missing or is another server's" in answer.text
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    "host",
    [
        "evil.org",
        "evil.org:8000",
        "localhost.evil.org",
        "127.0.0.1.evil.org",
        "[::1",
        "",
        "0.0.0.0",
    ],
)
def test_another_host_is_refused_whatever_the_token(stranger, host):
    """A foreign name that was made to point here (DNS rebinding) is the page's own origin."""
    headers = {"X-Ferrari-Token": TOKEN, "Host": host}
    for place in ("/review", "/app/qc_reports/index.html"):
        answer = stranger.get(place, headers=headers)
        assert answer.status_code == 403 and "does not go by that name" in answer.text


@pytest.mark.parametrize("hosts", [("localhost", "evil.org"), ("localhost", "localhost")])
def test_a_request_with_two_hosts_is_refused(stranger, hosts):
    """Which of them a proxy before the server went by is not known."""
    headers = [("X-Ferrari-Token", TOKEN), *(("Host", host) for host in hosts)]
    assert stranger.get("/review", headers=headers).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "127.0.0.1:8000", "[::1]:8000"])
def test_the_machine_s_own_names_are_known_on_any_port(stranger, host):
    """Behind a tunnel or a container's published port the number is another."""
    assert stranger.get("/review", headers={"X-Ferrari-Token": TOKEN, "Host": host}).is_success


@pytest.mark.parametrize(
    "origin", ["http://evil.org", "null", "file://", "http://localhost:8001", "http://localhost"]
)
def test_a_page_of_another_origin_is_refused(stranger, origin):
    headers = {"X-Ferrari-Token": TOKEN, "Origin": origin}
    for answer in (
        stranger.get("/api/decisions", headers=headers),
        stranger.post("/api/decisions", headers=headers, json={"rows": []}),
        stranger.options("/api/decisions", headers=headers),
    ):
        assert answer.status_code == 403 and "another origin" in answer.text
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_post_needs_its_origin_and_its_header(stranger):
    """A form of a foreign page sends neither; a token in the address is for what is only read."""
    body = {"json": {"rows": []}}
    token = {"X-Ferrari-Token": TOKEN}
    assert stranger.post("/api/decisions", headers=token, **body).status_code == 403
    posted = stranger.post(f"/api/decisions?t={TOKEN}", headers={"Origin": URL}, **body)
    assert posted.status_code == 403 and "token" in posted.json()["error"]
    assert stranger.post("/api/decisions", headers=OWN, **body).status_code == 422


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "TRACE"])
def test_other_methods_are_not_answered(stranger, method):
    assert stranger.request(method, "/review", headers=OWN).status_code == 405


def test_every_answer_is_kept_to_itself(stranger, client):
    for answer in (
        stranger.get("/review"),
        client.get("/review"),
        client.get("/nowhere"),
        client.get("/api/decisions"),
    ):
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "set-cookie" not in headers


def test_a_body_too_large_is_not_read_however_its_length_is_told(client):
    caption = b'{"rows": [{"decision": "caption", "value": "' + b"x" * 10_000_000 + b'"}]}'
    told = client.post("/api/decisions", content=caption)
    pieces = (caption[start : start + 100_000] for start in range(0, len(caption), 100_000))
    untold = client.post("/api/decisions", content=pieces)
    for answer in (told, untold):
        assert answer.status_code == 413 and "1,000,000 bytes" in answer.json()["error"]


def test_a_websocket_is_closed(client):
    with (
        pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)),
        client.websocket_connect("/api/decisions", headers=OWN),
    ):
        pass
