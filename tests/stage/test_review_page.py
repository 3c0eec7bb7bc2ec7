"""The review page of a fabricated dataset: each row is on it, as a decision names it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

import build_review_page
from ferrari.ledger import tables
from ferrari.ledger.columns import KEPT
from ferrari.review import decision_table, effects, targets, writing
from ferrari.review.applying import TAKEN_BACK
from tests.stage import reports
from tests.stage.fabricate import SUBJECT, fabricate
from tests.unit.review.rows import decided


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The dataset, with a crop that a rule refused, an image over the budget, and all reports."""
    made = fabricate(tmp_path_factory.mktemp("review"))
    reports.run(made, "qc0_failed_video_diagnostics")
    video = made.good[0]

    def refuse(rows):
        return [rows[0] | {"outcome": "dropped", "reason": "NOT_SUBJECT"}, *rows[1:]]

    made.edit("crop", video, refuse)
    rows = tables.read_table(made.final)
    rows[0] |= {"outcome": "dropped", "reason": "OVER_BUDGET"}
    tables.write_table(made.final, rows[0], rows)
    return made


def build(data, folder: Path, reports: tuple[str, ...] = ()) -> dict:
    """The data of the page that is built into `folder`."""
    build_review_page.build_review_page(
        dataset=str(data.dataset),
        reports=reports,
        picture_folders={"subject.references": str(data.references)},
        subject=SUBJECT,
        threads=1,
        out_html=str(folder / "review.html"),
        out_files=str(folder / "review_files.csv"),
    )
    text = (folder / "review.html").read_text("utf-8")
    found = re.search(
        r'<script type="application/json" id="review-data">(.*?)</script>', text, re.S
    )
    return json.loads(found[1])


def entries(page: dict) -> list[dict]:
    """The page's entries as records, with `target` in place of `tail`."""
    items = page["items"]
    columns = {
        name: [column["values"][at] for at in column["at"]] if isinstance(column, dict) else column
        for name, column in items.items()
    }
    records = [
        dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)
    ]
    for one in records:
        video = page["clips"][one["clip"]]["id"]
        one["target"] = f"{video}-{one['tail']}" if one["tail"] else video
        one["target"] = one["target"] if video else one["sha256"]
        one["group"] = page["groups"][one["group"]]
    return records


def test_every_row_is_there_and_a_decision_can_name_it(data, tmp_path):
    found = entries(build(data, tmp_path))
    final = tables.read_table(data.final)
    kept = [row["item"] for row in final if row["outcome"] == KEPT]
    assert [one["target"] for one in found if one["group"] == "image"] == kept
    masks = [row for path in data.tables["mask"] for row in tables.iter_table(path)]
    assert Counter(one["group"] for one in found)["mask"] == sum(
        row["outcome"] == KEPT for row in masks
    )
    refused = Counter(
        row["reason"]
        for stage in ("extract", "detect", "crop", "mask", "augment", "caption")
        for path in data.tables[stage]
        for row in tables.iter_table(path)
        if row["outcome"] != KEPT
    )
    clips = tables.read_table(data.dataset / "videos.csv")
    refused += Counter(row["verdict"] for row in clips if row["verdict"] != "OK")
    refused["OVER_BUDGET"] += 1
    assert Counter(one["reason"] for one in found if one["group"] == "refused") == refused
    assert refused["NOT_SUBJECT"] and refused["LOW_RESOLUTION"]


def test_digests_are_those_that_decisions_are_held_against(data, tmp_path):
    found = entries(build(data, tmp_path))
    decidable = [one for one in found if one["may"] and one["group"] != "track"]
    for one in decidable[:: max(1, len(decidable) // 40)]:
        now = targets.target_digest(data.dataset, one["scope"], one["target"])
        assert one["sha256"] == now, one["target"]
    back = [one for one in found if one["group"] == "refused" and one["may"] == "K"]
    assert back and {one["reason"] for one in back} <= TAKEN_BACK
    assert not any(one["sha256"] for one in found if not one["may"])


def test_tracks_are_found_by_their_digest(data, tmp_path):
    root = tmp_path / "dataset"
    tracks = [one for one in entries(build(data, tmp_path)) if one["group"] == "track"]
    assert len(tracks) >= len(data.good)
    rows = [
        decided("not_subject", one["target"], "track", target_sha256=one["sha256"])
        for one in tracks
    ]
    writing.append(root, rows)
    states = {one.state for one in effects.effects(rows, targets.tables_of(data.dataset))}
    assert states == {effects.PENDING}, "each is known, and none is stale"


def test_pictures_have_cells_and_only_a_changed_clips_are_made_again(data, tmp_path):
    page = build(data, tmp_path)
    found = entries(page)
    assert all(one["cell"] >= 0 for one in found if one["group"] in ("image", "mask", "track"))
    assert all(one["cell"] >= 0 for one in found if one["reason"] == "NO_SUBJECT"), "the frame"
    files = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "review").iterdir()}
    listed = [row["file"] for row in tables.read_table(tmp_path / "review_files.csv")]
    assert sorted(files) == sorted(listed)
    named = {name for clip in page["clips"] for names in clip["sprites"].values() for name in names}
    assert named | set(page["references"]["sprites"]) == set(files)
    before = (tmp_path / "review.html").read_bytes()
    build(data, tmp_path)
    assert (tmp_path / "review.html").read_bytes() == before
    again = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "review").iterdir()}
    assert again == files
    gone = next(iter(files))
    (tmp_path / "review" / gone).unlink()
    build(data, tmp_path)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "review").iterdir()}
    assert {name for name in files if files[name] != after[name]} == {gone}


def test_what_a_report_remarks_on_comes_first(data, tmp_path):
    masks = [row["item"] for row in tables.read_table(data.tables["mask"][0])]
    checks = tmp_path / "qc5.csv"
    line = {"check": "masks_do_not_flicker", "status": "WARN", "figure": "1", "bound": "0"}
    tables.write_table(
        checks, [*line, "rows", "explanation"], [{**line, "rows": masks[1], "explanation": ""}]
    )
    found = entries(build(data, tmp_path, (str(checks),)))
    (flagged,) = [one for one in found if one["flag"]]
    assert (flagged["target"], flagged["flag"]) == (masks[1], "masks do not flicker")
    assert flagged["doubt"] >= 0.9


def test_an_image_is_in_doubt_where_its_cutout_is(data, tmp_path):
    found = entries(build(data, tmp_path))
    cutouts = {one["target"]: one["doubt"] for one in found if one["group"] == "mask"}
    images = [one for one in found if one["group"] == "image"]
    behind = [
        one["target"]
        for one in images
        if one["doubt"] < 0.9 * cutouts[one["target"].rpartition("-v")[0]] - 0.01
    ]
    assert images and max(cutouts.values()) > 0 and behind == []


def test_decisions_that_are_there_already_are_on_the_page_with_their_states(data, tmp_path):
    row = decided("drop", tables.read_table(data.final)[1]["item"], "image")
    gone = decided("drop", f"{row.video}-f999999-p0", "item")
    place = decision_table.place(data.dataset)
    writing.append(data.dataset, [row, gone])
    try:
        page = build(data, tmp_path)
    finally:
        place.unlink()
    assert page["rows"] == [list(row), list(gone)]
    assert page["states"][row.id] == ["pending", ""]
    state, why = page["states"][gone.id]
    assert state == "absent" and why.startswith("its frame is not made any more")


def test_pictures_of_the_subject_are_there_and_a_decision_names_their_bytes(data, tmp_path):
    path = data.dataset / "subject/references.csv"
    before = path.read_bytes()
    rows = tables.read_table(path)
    columns = [*rows[0]]
    rows[1] |= {"outcome": "dropped", "reason": "DROPPED_BY_REVIEW"}
    rows[2] |= {"outcome": "dropped", "reason": "STRANGER"}
    unread = {"outcome": "quarantined", "reason": "UNREADABLE_PICTURE", "sha256": ""}
    rows[3] |= {"setting": "subject.not", **unread}
    tables.write_table(path, columns, rows)
    try:
        page = build(data, tmp_path)
    finally:
        path.write_bytes(before)
    found = [one for one in entries(page) if one["group"] == "reference"]
    assert [one["tail"] for one in found] == [f"{r['setting']}/{r['file']}" for r in rows]
    assert [one["may"] for one in found] == ["KD", "KD", "", ""]
    assert [one["doubt"] for one in found] == [0, 1, 1, 1], "those that do not count come first"
    assert [one["cell"] for one in found] == [0, 1, 2, -1], "the last one could not be read"
    assert found[2]["said"] == "somebody else than most of the others"
    assert [one["sha256"] for one in found] == [rows[0]["sha256"], rows[1]["sha256"], "", ""]
    decision = decided("drop", found[0]["target"], found[0]["scope"])
    assert effects.foreseen(data.dataset, decision).state == effects.PENDING
    assert page["clips"][-1]["id"] == ""
