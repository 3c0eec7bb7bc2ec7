"""Ports, names, addresses and tokens of a server."""

from __future__ import annotations

import socket

import pytest

from ferrari.dashboard import serve
from ferrari.dashboard.serve import ServeError


@pytest.fixture
def taken(monkeypatch):
    """A port that somebody listens on, which is the one that is tried first."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(serve, "PORT", port)
        yield port


def test_a_free_port_is_taken_where_the_usual_one_is_taken(taken):
    with serve.listen("127.0.0.1", None) as listener:
        assert listener.getsockname()[1] != taken


def test_a_port_that_was_asked_for_and_is_taken_is_said(taken):
    with pytest.raises(ServeError, match=rf"port {taken} of 127.0.0.1 cannot be had.*PORT="):
        serve.listen("127.0.0.1", taken)


def test_an_address_of_another_machine_is_said():
    with pytest.raises(ServeError, match=r"nothing can listen on 192\.0\.2\.1"):
        serve.listen("192.0.2.1", None)


@pytest.mark.parametrize("token", ["short", "with space in it ....", "a" * 201, "ä" * 20])
def test_a_token_that_an_address_cannot_hold_or_that_can_be_guessed_is_refused(token):
    with pytest.raises(ServeError, match="FERRARI_TOKEN"):
        serve.token_of({"FERRARI_TOKEN": token})


def test_a_token_is_taken_from_the_environment_or_new_each_time():
    assert serve.token_of({"FERRARI_TOKEN": "a" * 16}) == "a" * 16
    one, other = serve.token_of({}), serve.token_of({"FERRARI_TOKEN": ""})
    assert one != other and len(one) == 43


def test_a_server_on_the_loopback_goes_by_its_names_alone():
    assert serve.names("127.0.0.1", {}) == {"127.0.0.1", "localhost", "::1"}
    assert serve.warning("127.0.0.1", serve.names("127.0.0.1", {})) == ""


def test_a_server_that_others_reach_says_so_and_by_which_names():
    names = serve.names("0.0.0.0", {"FERRARI_HOSTS": "box.lan:8000, 10.0.0.7,"})
    assert {"box.lan", "10.0.0.7", socket.gethostname()} < names
    assert not names & {"0.0.0.0", ""}
    said = serve.warning("0.0.0.0", names)
    assert "listens on 0.0.0.0" in said and "10.0.0.7, " in said
    assert "192.168.1.9" in serve.names("192.168.1.9", {})


def test_a_name_that_is_none_is_said():
    with pytest.raises(ServeError, match="FERRARI_HOSTS"):
        serve.names("127.0.0.1", {"FERRARI_HOSTS": "box,[::1"})


@pytest.mark.parametrize(
    ("host", "shown"),
    [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("::1", "[::1]"), ("10.0.0.7", "10.0.0.7")],
)
def test_the_address_is_one_that_a_browser_takes(host, shown):
    assert serve.address(host, 8000, "abc") == f"http://{shown}:8000/?t=abc"
