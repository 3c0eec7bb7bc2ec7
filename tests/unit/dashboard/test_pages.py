"""The pages on the disk, as they are served."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.unit.dashboard.served import INDEX, REVIEW, SCRIPT, TOKEN


def test_the_review_page_is_told_that_a_server_is_there(client):
    answer = client.get("/review")
    tag = f'<meta name="ferrari-server" content="{TOKEN}">'
    assert answer.text.count(tag) == 1 and answer.text.replace(tag, "") == REVIEW
    assert answer.text.index(tag) < answer.text.index("<body>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_the_review_page_runs_its_own_script_and_no_other(client):
    policy = client.get("/review").headers["content-security-policy"]
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy and "connect-src 'self'" in policy


def test_a_review_page_that_was_never_made_is_said(client, the_set):
    (the_set.qc / "review.html").unlink()
    answer = client.get("/review")
    assert answer.status_code == 404 and "make review" in answer.text


def test_small_pictures_lie_beside_the_page(client):
    answer = client.get("/review/walk-0a1b2c3d4e.webp")
    assert (answer.content, answer.headers["content-type"]) == (b"RIFF", "image/webp")
    assert client.get("/review/other.webp").status_code == 404


def test_the_first_page_is_the_door_s(client):
    answer = client.get("/")
    assert answer.status_code == 303 and answer.headers["location"] == f"/review?t={TOKEN}"
    assert client.get("/reports/review.html").headers["location"] == f"/review?t={TOKEN}"


def test_reports_lead_to_one_another_with_the_token_and_nowhere_else(client):
    text = client.get("/reports/index.html").text
    assert (
        f'href="qc5_masks_summary.html?t={TOKEN}"' in text and 'href="http://x.org/a.html"' in text
    )
    assert client.get("/reports/qc5_masks_summary.csv").text == "check,status\n"


@pytest.mark.parametrize(
    "name",
    [
        "../my.yaml",
        "..%2fmy.yaml",
        "notes.txt",
        "review",
        "nothing.html",
        "",
        "%2e%2e",
        "INDEX.html",
    ],
)
@pytest.mark.parametrize("folder", ["/reports/", "/app/qc_reports/", "/review/"])
def test_what_is_no_report_is_not_served(client, stranger, folder, name):
    assert client.get(folder + name).status_code in (403, 404)
    assert stranger.get(folder + name).status_code in (403, 404)


def test_reports_are_open_only_where_the_server_was_started_so(client, stranger):
    answer = stranger.get("/app/qc_reports/index.html")
    assert answer.status_code == 200 and answer.text == INDEX
    assert stranger.get("/app/qc_reports/review.html").status_code == 404
    assert stranger.get("/app/qc_reports/qc5_masks_summary.csv").status_code == 404
    assert stranger.post("/app/qc_reports/index.html").status_code == 403
    assert client.get("/app/qc_reports/index.html").status_code == 404
