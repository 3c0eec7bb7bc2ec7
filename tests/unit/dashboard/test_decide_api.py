"""Decisions over HTTP: written in order, once, whole, and only what the next run can carry out."""

from __future__ import annotations

import asyncio
import json
import os

import httpx
import pytest
from starlette.testclient import TestClient

from ferrari.captions import overrides
from ferrari.dashboard.application import Doors, create_app
from ferrari.dashboard.pages import REVIEW
from ferrari.ledger.stages import FINAL_CSV
from ferrari.review import contract, decision_table, decisions, writing
from tests.unit.dashboard.served import TOKEN, URL, drop, undo
from tests.unit.review.rows import HEADER, WHEN, decided

CAPTION = "sks person, {framing}, {background}"


@pytest.fixture
def image(clip):
    return clip.rows["augment"][0]["item"]


@pytest.fixture
def in_table(the_set):
    """The rows of the table as the next run reads them."""
    path = decision_table.place(the_set.dataset)
    return lambda: [line.row for line in decision_table.read(path)]


def post(client, *rows):
    return client.post("/api/decisions", json={"rows": list(rows)})


def test_nothing_is_decided_at_first(client, the_set):
    nothing = {"rows": [], "states": {}, "masks": True, "older": False}
    assert client.get("/api/decisions").json() == nothing
    assert not decision_table.place(the_set.dataset).exists()


def test_a_page_that_was_made_before_the_last_run_is_told_so(client, the_set):
    """It shows images that the run took away, and none that it added."""
    final, page = the_set.dataset / FINAL_CSV, the_set.qc / REVIEW
    for path in (final, page):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for moment, older in ((10, True), (30, False)):
        os.utime(page, (moment, moment))
        os.utime(final, (20, 20))
        assert client.get("/api/decisions").json()["older"] is older


def test_a_row_is_written_as_it_was_sent_with_what_was_left_open_filled_in(client, image, in_table):
    answer = post(client, {"scope": "image", "target": image, "decision": "drop", "note": "-2"})
    (told,) = answer.json()["rows"]
    (row,) = in_table()
    assert row._asdict() == told and answer.status_code == 200
    assert (row.who, row.note, len(row.id)) == ("ana", "-2", 12) and row.when
    whole = drop(image, who="bo", reason="blurred", target_sha256="0" * 64)
    post(client, whole)
    assert in_table()[1]._asdict() == {**dict.fromkeys(contract.COLUMNS, ""), **whole}


def test_rows_keep_their_order_and_states_are_told(client, clip, in_table):
    sent = [drop(row["item"]) for row in clip.rows["augment"]]
    post(client, *sent[:3])
    post(client, sent[3], undo(sent[0]))
    assert [row.target for row in in_table()] == [row["target"] for row in [*sent, sent[0]]]
    told = client.get("/api/decisions").json()
    assert [row["id"] for row in told["rows"]] == [row.id for row in in_table()]
    assert told["states"] == {row["id"]: ["pending", ""] for row in sent[1:]}


def test_a_row_sent_again_is_answered_and_not_written_again(client, image, in_table):
    row = drop(image)
    first = post(client, row, undo(row)).json()
    assert post(client, row).json()["rows"] == first["rows"][:1]
    opened = {name: text for name, text in row.items() if name != "when"}
    assert post(client, opened, opened).status_code == 200
    assert len(in_table()) == 2


@pytest.mark.parametrize(
    "other", [{"decision": "keep"}, {"reason": "x"}, {"when": "2026-02-01T00:00:00Z"}]
)
def test_another_row_under_the_same_id_is_refused(client, image, in_table, other):
    row = drop(image)
    post(client, row)
    answer = post(client, drop(image), {**row, **other})
    assert answer.status_code == 409 and "the id of another row" in answer.json()["error"]
    assert len(in_table()) == 1, "nothing of the request was written"
    assert (
        post(client, drop(image, id="twice"), drop(image, id="twice", note="x")).status_code == 409
    )


REFUSED = {
    "decision": ({"decision": "dorp"}, "no decision 'dorp'"),
    "scope": ({"scope": "frame"}, "not of scope 'frame'"),
    "target": ({"target": "walk.mp4"}, "is no id of a thing"),
    "digest": ({"target_sha256": "abc"}, "64 hex digits"),
    "id": ({"id": "a b"}, "is no id"),
    "when": ({"when": "today"}, "a moment in UTC"),
    "two lines": ({"note": "a\nb"}, "a line break"),
    "undo of nothing": (
        {"decision": "undo", "undoes": "nothing1"},
        "no row before it has the id nothing1",
    ),
    "undoes": ({"undoes": "nothing1"}, "leaves `undoes` empty"),
    "long": ({"note": "x" * 4001}, "more than 4,000 characters"),
    "column": ({"path": "/etc"}, "rows.1.path"),
    "number": ({"note": 7}, "rows.1.note"),
}


@pytest.mark.parametrize(("cells", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_no_run_could_read_is_refused_and_nothing_is_written(
    client, image, the_set, cells, said
):
    answer = post(client, drop(image), {**drop(image), **cells})
    assert answer.status_code == 422 and said in answer.json()["error"]
    assert not decision_table.place(the_set.dataset).exists()


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"rows": {}}', b'{"rows": []}', b'{"rows": [{}]}', b"\xff", b"null"],
)
def test_what_is_no_request_is_refused(client, body):
    answer = client.post("/api/decisions", content=body)
    assert answer.status_code == 422 and answer.json()["error"]


def test_text_that_is_no_text_is_refused(client, image):
    """JSON can spell half a character, which no file can hold."""
    body = json.dumps({"rows": [drop(image, note="HALF")]}).replace("HALF", "\\ud800")
    assert client.post("/api/decisions", content=body).status_code == 422


def test_an_undo_of_another_s_row_is_refused(client, clip, in_table):
    one, other = (drop(row["item"]) for row in clip.rows["augment"][:2])
    answer = post(client, one, {**undo(one), "target": other["target"]})
    assert answer.status_code == 422 and "is about image" in answer.json()["error"]


def test_fifty_undos_and_redos_end_where_the_last_one_says(client, image, the_set):
    rows = [drop(image)]
    for _ in range(50):
        rows.append(undo(rows[-1]))
    for count, row in enumerate(rows):
        assert post(client, row).status_code == 200
        in_force = [row.id for row in decisions.load(the_set.dataset).rows]
        assert in_force == ([] if count % 2 else [rows[0]["id"]])
    assert len(client.get("/api/decisions").json()["rows"]) == 51


def test_requests_that_are_under_way_together_are_written_as_they_came(the_set, image, in_table):
    rows = [drop(image) for _ in range(40)]

    async def send() -> list[int]:
        transport = httpx.ASGITransport(create_app(the_set, TOKEN, Doors()))
        headers = {"X-Ferrari-Token": TOKEN, "Origin": URL}
        async with httpx.AsyncClient(transport=transport, base_url=URL, headers=headers) as page:
            sent = [page.post("/api/decisions", json={"rows": [row]}) for row in rows]
            return [answer.status_code for answer in await asyncio.gather(*sent)]

    assert set(asyncio.run(send())) == {200}
    assert [row.id for row in in_table()] == [row["id"] for row in rows]


def test_two_pages_see_one_another_s_rows(client, the_set, clip):
    other = TestClient(
        create_app(the_set, TOKEN, Doors()),
        base_url=URL,
        headers={"X-Ferrari-Token": TOKEN, "Origin": URL},
    )
    one, two = (drop(row["item"]) for row in clip.rows["augment"][:2])
    post(client, one)
    post(other, two)
    post(client, undo(two))
    writing.append(the_set.dataset, [decided("keep", one["target"], "image")])  # make decide
    for page in (client, other):
        rows = page.get("/api/decisions").json()["rows"]
        assert [row["decision"] for row in rows] == ["drop", "drop", "undo", "keep"]


# --- captions -------------------------------------------------------------------------------------


def caption(target, text, **cells):
    return {**drop(target), "decision": "caption", "value": text, **cells}


def test_a_caption_that_the_next_run_takes_is_written(client, image, in_table):
    assert post(client, caption(image, CAPTION)).status_code == 200
    assert in_table()[0].value == CAPTION


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("person, {background}", "TOKEN_MISSING"),
        ("sks person", "RECIPE_CONTRADICTED"),
        ("sks person, {colour}, {background}", "UNKNOWN_SLOT:colour"),
        ("sks person, " + "very " * 90 + "{background}", "TOO_LONG"),
        ("sks person in a kitchen, {background}", "CONTEXT_WORD:kitchen"),
        ("", "caption needs a value"),
    ],
)
def test_a_caption_that_the_next_run_would_refuse_is_refused_now(
    client, image, the_set, text, said
):
    answer = post(client, caption(image, text))
    assert answer.status_code == 422 and said in answer.json()["error"]
    assert not decision_table.place(the_set.dataset).exists()


def test_a_problem_that_the_author_accepts_is_none(client, image, in_table):
    text = "sks person in a kitchen, {background}"
    assert post(client, caption(image, text, reason="CONTEXT_WORD:kitchen")).status_code == 200
    answer = post(client, caption(image, text, reason="because"))
    assert answer.status_code == 422 and "'because'" in answer.json()["error"]
    assert len(in_table()) == 1


def test_a_caption_of_a_cut_out_is_held_against_all_of_its_images(client, clip):
    crop = clip.rows["mask"][0]["item"]
    fixed = caption(crop, "sks person, plain olive background", scope="cutout")
    assert "RECIPE_CONTRADICTED" in post(client, fixed).json()["error"]
    assert post(client, caption(crop, CAPTION, scope="cutout")).status_code == 200


def test_an_item_has_its_caption_from_one_file(client, clip, image):
    path = clip.dataset / overrides.PLACE
    path.parent.mkdir()
    path.write_text(f"item,caption\n{image},sks person\n")
    answer = post(client, caption(image, CAPTION))
    assert answer.status_code == 422 and "has a line for" in answer.json()["error"]


def test_html_in_a_text_stays_the_text_that_it_is(client, image, in_table):
    text = "<img src=x onerror=alert(1)></script>&lt;"
    post(client, drop(image, note=text))
    answer = client.get("/api/decisions")
    assert answer.headers["content-type"] == "application/json"
    assert in_table()[0].note == answer.json()["rows"][0]["note"] == text


# --- a table that something happened to -----------------------------------------------------------


def test_a_line_that_a_killed_server_left_is_put_aside_and_said(client, image, the_set, in_table):
    post(client, drop(image))
    path = decision_table.place(the_set.dataset)
    with open(path, "ab") as stream:
        stream.write(b"abcd1234,2026-01-")
    assert client.get("/api/decisions").status_code == 503
    answer = post(client, drop(image))
    assert answer.status_code == 200 and "was cut off" in answer.json()["said"]
    assert len(in_table()) == 2
    assert (path.parent / writing.TORN).read_bytes() == b"abcd1234,2026-01-\n"


def test_a_table_that_was_edited_is_read_anew(client, image, the_set):
    rows = [drop(image), drop(image)]
    post(client, *rows)
    path = decision_table.place(the_set.dataset)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    assert [row["id"] for row in client.get("/api/decisions").json()["rows"]] == [rows[0]["id"]]
    path.write_text(HEADER + "nonsense\n")
    for answer in (client.get("/api/decisions"), post(client, drop(image))):
        assert answer.status_code == 503, "409 and 422 would have the page give its rows up"
        assert "line 2" in answer.json()["error"]


def test_a_full_disk_is_said_and_leaves_no_half_row(client, image, the_set, in_table, monkeypatch):
    post(client, drop(image))

    def full(dataset, rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "append", full)
    answer = post(client, drop(image))
    assert answer.status_code == 507 and "No space left" in answer.json()["error"]
    assert len(in_table()) == 1


def test_a_row_has_its_moment_where_the_page_names_none(client, image, in_table):
    post(client, {**drop(image), "when": ""})
    assert in_table()[0].when >= WHEN
