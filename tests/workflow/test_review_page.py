"""The review page in headless Chromium: each key a row, undo, tabs, export, a server's faults."""

from __future__ import annotations

import io
import shutil

import pytest

from ferrari.ledger import stages, tables
from ferrari.ledger.csv_cells import Writer
from ferrari.review import decision_table, decisions
from ferrari.review.contract import COLUMNS
from ferrari.review.effects import Effect
from tests.unit.review.rows import CROP, IMAGE, decided
from tests.workflow import browser, review_set, review_stub
from tests.workflow.review_stub import Faults

IMAGES = 240


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a page of 240 images, whose first caption is HTML."""
    folder = tmp_path_factory.mktemp("review")
    review_set.write(folder, IMAGES, caption=review_set.HTML)
    return folder


@pytest.fixture(scope="module")
def url(made):
    return (made / "review.html").as_uri()


def rows_of(table: str, folder) -> list:
    """The rows of an exported table as a run reads them; its bytes must be those of Python."""
    place = decision_table.place(folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(table.encode("utf-8"))
    rows = [line.row for line in decision_table.read(place)]
    text = io.StringIO()
    writer = Writer(text)
    for cells in (COLUMNS, *rows):
        writer.write(cells)
    assert text.getvalue() == table
    return rows


def test_each_view_shows_its_entries_and_nothing_goes_wrong(url):
    assert browser.ask("review_look", url) == []


def test_two_hundred_keys_are_two_hundred_rows_in_order(url, tmp_path):
    seen = browser.ask("review_keys", url, "5", "kd" * 100)
    (table,) = seen["tables"]
    rows = rows_of(table, tmp_path)
    assert [row.decision for row in rows] == ["keep", "drop"] * 100
    assert len({row.target for row in rows}) == 200 and {row.who for row in rows} == {"ana"}
    assert all(row.target_sha256 == review_set.sha(row.target) for row in rows)
    assert seen["again"] == table, "the browser keeps them"
    assert seen["progress"].startswith("decided 200 of 240 shown, ")


def test_fifty_undos_and_redos_bring_the_state_back(url, tmp_path):
    once, back, there = browser.ask("review_keys", url, "0", "d" * 50, "z" * 50, "Y" * 50)["tables"]
    dropped = [row.target for row in rows_of(once, tmp_path)]
    assert len(rows_of(back, tmp_path)) == 100 and decisions.load(tmp_path).rows == ()
    assert len(rows_of(there, tmp_path)) == 150
    assert [row.target for row in decisions.load(tmp_path).rows] == dropped


def test_undo_takes_back_what_was_made_again_and_a_new_decision_ends_redo(url, tmp_path):
    again, ended = browser.ask("review_keys", url, "0", "kdzYzzYY", "zzdY")["tables"]
    rows_of(again, tmp_path)
    assert [row.decision for row in decisions.load(tmp_path).rows] == ["keep", "drop"]
    rows = rows_of(ended, tmp_path)
    assert len(rows) == 11, "nothing was made again"
    assert [row.decision for row in decisions.load(tmp_path).rows] == ["drop"]


def test_a_clip_of_two_recordings_is_shown_in_their_order(url):
    """Its clock starts anew on the way: by time alone, frames of both were shown in turn."""
    seen = browser.ask("review_in_order", url)
    assert [name.split("-")[0] for name in seen["names"]] == [f"f{at:06d}" for at in range(8)]
    assert seen["beside"] == ["1.00 s", "1.50 s", "2.00 s", "0.00 s", "0.50 s"]


def test_two_tabs_lose_nothing(url, tmp_path):
    first, second, third = browser.ask("review_tabs", url)["tables"]
    rows = rows_of(third, tmp_path)
    assert sorted(row.decision for row in rows) == ["drop"] * 5 + ["keep"] * 5
    assert sorted(first.splitlines()) == sorted(second.splitlines()) == sorted(third.splitlines())


#: What is written, and what of it a line of the table can hold.
HOSTILE = {
    '=1+1, "quoted" \u2028 ohwx': '=1+1, "quoted" \u2028 ohwx',
    "tab\there and\nthere": "tab here and there",
    **{
        text: text
        for text in (
            *("'tis @ohwx", "-2", "-inf", "+1_000.5e-3", "-1__0", "-.5", "-.", "+", "@SUM(A1)"),
            *("\u0661\u0662", "-\u0661", "ohwx, café, \U0001f600", "a" * 1900),
        )
    },
}


def test_whatever_is_written_is_exported_as_python_writes_it(url, tmp_path):
    seen = browser.ask("review_captions", url, *HOSTILE)
    rows = rows_of(seen["table"], tmp_path)
    assert [row.value for row in rows] == list(HOSTILE.values())
    assert {row.decision for row in rows} == {"caption"}


def test_html_in_a_caption_is_text(url):
    seen = browser.ask("review_captions", url)
    assert seen["shown"] == review_set.HTML and review_set.HTML in seen["label"]
    assert seen["title"] == "Review: look and decide" and seen["images"] == 0


def test_many_at_once_are_counted_before_and_taken_back_at_once(url, tmp_path):
    seen = browser.ask("review_batch", url)
    before = 2
    navy = IMAGES // 2
    said = " ".join(seen["asked"])
    after = rows_of(seen["after"], tmp_path)
    written = len(after) - before
    assert f"{navy} things shown: {written} decisions would be written, {written} of them" in said
    dropped = {row.target for row in decisions.load(tmp_path).rows}
    assert len(dropped) == len(after) and {row.decision for row in after} == {"drop"}
    rows_of(seen["undone"], tmp_path)
    assert len(decisions.load(tmp_path).rows) == before
    assert seen["preview"] == f"{navy} of {IMAGES} captions would change."
    rows_of(seen["replaced"], tmp_path)
    written = [row.value for row in decisions.load(tmp_path).rows if row.decision == "caption"]
    assert set(written) == {"ohwx man, half body, plain dark blue background"}
    assert len(written) == navy


def test_people_are_decided_and_cut(url, tmp_path):
    rows = rows_of(browser.ask("review_people", url)["table"], tmp_path)
    assert [row.decision for row in rows] == ["is_subject", "not_subject", "split_track"]
    assert rows[2].value == f"{rows[2].video}-f000002"


#: What the keys of `review_tasks.of_two` write: decision, scope, whether it was taken back.
OF_TWO = [
    *(("merge_tracks", "track"), ("duplicate_of", "image"), ("undo", "image"), ("undo", "track")),
    *(("undo", "track"), ("drop", "reference"), ("undo", "reference")),
]


def test_tracks_are_joined_and_duplicates_named_once_the_page_has_said_what_that_does(
    made, url, tmp_path
):
    seen = browser.ask("review_of_two", url)
    rows = rows_of(seen["table"], tmp_path)
    assert [(row.decision, row.scope) for row in rows] == OF_TWO
    of_tracks = {one.target: one for one in review_set.entries(IMAGES)[1] if one.scope == "track"}
    join, repeat = rows[:2]
    first, second = of_tracks[f"{join.video}-t0"], of_tracks[join.target]
    assert join.target == f"{join.video}-t1" and join.target_sha256 == second.sha256
    assert join.value == f"{first.target} {first.sha256}"
    assert repeat.value != repeat.target and repeat.target_sha256 == review_set.sha(repeat.target)
    assert [row.decision for row in decisions.load(tmp_path).rows] == ["merge_tracks"]
    asked = seen["asked"]
    assert "become one person" in asked[0] and "other clips stay as they are" in asked[0]
    assert f"goes: this one\n{repeat.target}" in asked[1]
    assert f"stays: the marked one\n{repeat.value}" in asked[1]
    assert "all 10 clips anew" in asked[2]
    said = seen["said"]
    assert said[0].startswith("Mark one first") and said[1].startswith("This is the marked one")
    assert "is of another clip" in said[2] and "joined within one clip" in said[2]
    assert "A frame shows both tracks" in said[3]
    assert said[5] == "It goes as a duplicate of that already."
    assert said[6].startswith("The marked one goes itself")
    assert "all 10 clips anew" in said[-1], "taking it back moves who the subject is as well"
    assert seen["joined"] == "one person with another track"


def test_a_served_page_writes_the_same_rows_of_two(made, url, tmp_path):
    """Both lives write one table, but for the moments, the names and the ids."""
    with review_stub.serving(made, tmp_path / "served", Faults()) as address:
        browser.ask_once("review_of_two", address)
    served = [line.row for line in decision_table.read(decision_table.place(tmp_path / "served"))]
    exported = rows_of(browser.ask("review_of_two", url)["table"], tmp_path)
    known = {"when": "", "who": "", "id": "", "undoes": ""}
    assert [row._replace(**known) for row in served] == [row._replace(**known) for row in exported]
    places = [[row.id for row in rows] for rows in (served, exported)]
    undone = [
        [ids.index(row.undoes) for row in rows if row.undoes]
        for rows, ids in zip((served, exported), places, strict=True)
    ]
    assert undone[0] == undone[1]


def test_decisions_that_change_nothing_are_listed_with_why(tmp_path):
    gone = decided("drop", IMAGE, "image")
    told = [
        Effect(gone, "absent", "its crop was refused: DROPPED_BY_REVIEW (decision abcd1234)"),
        Effect(decided("keep", CROP, "cutout"), "pending"),
        Effect(decided("drop", CROP, "item"), "stale"),
    ]
    page, _ = review_set.write(tmp_path, 3, effects=told)
    seen = browser.ask("review_vain", page.as_uri())
    assert seen["button"] == "2 decisions in vain"
    assert f"{IMAGE}\nabsent: {told[0].reason}" in seen["listed"]
    assert f"{CROP}\nstale" in seen["listed"] and "pending" not in seen["listed"]


def test_the_first_decision_asks_who_decides(url, tmp_path):
    seen = browser.ask("review_asks_who", url)
    assert seen["asked"] == "Who decides?"
    assert [row.who for row in rows_of(seen["table"], tmp_path)] == ["Ana Žárská"]


# --- served -------------------------------------------------------------------------------------


def ask_served(made, dataset, faults: Faults, word: str) -> tuple[dict, list]:
    """Presses letters on the page as a server answers it; what is seen, and the rows written."""
    with review_stub.serving(made, dataset, faults) as address:
        seen = browser.ask_once("review_served", address, word)
    return seen, [line.row for line in decision_table.read(decision_table.place(dataset))]


def test_a_served_page_saves_each_key_in_order(made, tmp_path):
    seen, rows = ask_served(made, tmp_path, Faults(), "kd" * 30)
    assert [row.decision for row in rows] == ["keep", "drop"] * 30
    assert {row.who for row in rows} == {review_stub.WHO}
    assert seen == {"trouble": "", "export": False, "state": "kept"}


def test_lost_answers_and_a_server_that_is_gone_lose_no_row_and_write_none_twice(made, tmp_path):
    faults = Faults(lost=2, down=2)
    _, rows = ask_served(made, tmp_path, faults, "kdzY" * 5)
    assert [row.decision for row in rows] == ["keep", "drop", "undo", "undo"] * 5
    assert len({row.id for row in rows}) == 20 and faults.requests > 4


def test_a_row_that_the_server_refuses_is_said_and_the_others_are_written(made, tmp_path):
    first = review_set.entries(1)[1][0].target
    seen, rows = ask_served(made, tmp_path, Faults(refused=(first,)), "d" * 30)
    assert f"Not saved: drop of {first}: {first} is not taken" in seen["trouble"]
    assert len({row.target for row in rows} - {first}) == len(rows) == 29
    assert seen["state"].strip() == "", "what was not written is not shown as decided"


def test_what_waits_for_a_server_that_is_another_now_is_sent_by_its_new_page(made, tmp_path):
    """The old page has a token that nobody takes any more; it does not say for ever that it
    waits.
    """
    with review_stub.serving(made, tmp_path, Faults()) as address:
        restart = address.replace("/review", review_stub.RESTART)
        seen = browser.ask_once("review_restarted", address, restart)
    said = "The server answered 403: a wrong token."
    assert seen["refused"].startswith(f"{said} Not saved yet: ")
    assert "kept in this browser for the server at 127.0.0.1:" in seen["refused"]
    assert (seen["old"], seen["new"]) == (said, "")
    rows = [line.row for line in decision_table.read(decision_table.place(tmp_path))]
    assert [row.decision for row in rows] == ["drop", "drop"]


# --- large --------------------------------------------------------------------------------------


def test_a_page_of_two_thousand_images_is_small(tmp_path):
    page, _ = review_set.write(tmp_path, 2_000)
    assert page.stat().st_size / 2_000 < 500, "5 MB at 10,000 images"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_images_scroll(tmp_path):
    page, _ = review_set.write(tmp_path, 10_000)
    try:
        seen = browser.ask("review_scroll", page.as_uri())
    finally:
        shutil.rmtree(tmp_path)
    assert min(seen["first_ms"], seen["first_cpu_ms"]) <= 1000, seen
    assert seen["fps"] >= 30 or seen["frame_cpu_ms"] <= 1000 / 30, seen
    assert seen["nodes"] < 150 and seen["top"] > 1000, seen


# --- in the workflow ----------------------------------------------------------------------------

PAGE = "qc_reports/review.html"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_is_made_where_it_is_asked_for_and_follows_decisions(small, tmp_path):
    run = small.copy(tmp_path / "copy")
    assert run.planned() == {}, "no part of a run"
    run.run(PAGE, "--cores", "1")
    assert run.planned(PAGE) == {} and run.planned() == {}
    url = (run.folder / PAGE).as_uri()
    faults = browser.ask("review_look", url)
    assert set(faults) <= {"people shows nothing"}, "nobody is judged in the small run"
    (table,) = browser.ask("review_keys", url, "0", "d")["tables"]
    rows = rows_of(table, run.dataset)
    assert [row.decision for row in rows] == ["drop"]
    assert run.planned(PAGE)["review_page"] == 1, "of all that is to be made"
    run.run("--cores", "2")
    run.run(PAGE, "--cores", "1")
    final = {row["item"]: row for row in tables.iter_table(run.dataset / stages.FINAL_CSV)}
    assert final[rows[0].target]["reason"] == "DROPPED_BY_REVIEW"
