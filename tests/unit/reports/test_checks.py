"""Checks, their CSV and gate, and the pure parts of the QC reports."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from ferrari.common.visible_text import script_json, shown
from ferrari.jobs import error_advice
from ferrari.ledger import balance, tables
from ferrari.qc import reopened_images, stage_checks, stage_tables
from ferrari.reports import charts, checks, thumbnails
from ferrari.reports.checks import FAIL, PASS, SOME_IMAGE, WARN, Check, QualityGateError, none_of
from tests.settings import ROOT


def test_checks_come_back_as_they_were_written(tmp_path):
    written = [
        Check("a", PASS, "0 of 3", "0", "All is well."),
        Check("b", FAIL, "-2", "at least 1", "=dangerous, but text", ("v-f000001", "v-f000002")),
    ]
    checks.write(tmp_path / "report.csv", written)
    assert checks.read(tmp_path / "report.csv") == written


def test_unknown_status_and_repeated_names_are_our_bugs(tmp_path):
    with pytest.raises(ValueError, match="MAYBE"):
        Check("a", "MAYBE", "", "", "")
    twice = [Check("a", PASS, "", "", ""), Check("a", FAIL, "", "", "")]
    with pytest.raises(ValueError, match="twice"):
        checks.write(tmp_path / "report.csv", twice)


def test_none_of_counts_all_and_lists_twenty():
    check = none_of("x", [f"i{n}" for n in range(30)], 100, "why", otherwise=WARN)
    assert (check.status, check.figure, len(check.rows)) == (WARN, "30 of 100", 20)
    assert none_of("x", [], 100, "why").status == PASS


def test_offending_ids_hold_no_space():
    name = "a b\n\udcff;c.webp"
    assert none_of("x", [name], 1, "why").rows == ("a%20b%0A%FF%3Bc.webp",)


def test_gate_names_report_check_figure_and_rows(tmp_path):
    checks.write(tmp_path / "qc4.csv", [Check("sound", PASS, "0", "0", "fine")])
    checks.write(
        tmp_path / "qc5.csv",
        [
            Check("masks_ok", FAIL, "2 of 9", "0", "Because.", ("item-1", "item-2")),
            Check("steady", WARN, "1", "0", "only a warning"),
        ],
    )
    with pytest.raises(QualityGateError) as caught:
        checks.enforce([tmp_path / "qc4.csv", tmp_path / "qc5.csv"])
    message = str(caught.value)
    for part in (
        "qc5",
        "masks_ok",
        "2 of 9",
        "item-1, item-2",
        "Because.",
        "qc.enforce",
        f"{tmp_path}/qc5.html",
    ):
        assert part in message
    assert "steady" not in message and "qc4" not in message
    assert error_advice.of_error(caught.value) is None, "the message says what to do itself"


@pytest.mark.parametrize(("failed", "offered"), [("masks_ok", True), (SOME_IMAGE, False)])
def test_to_package_all_the_same_is_offered_where_there_is_an_image(tmp_path, failed, offered):
    checks.write(tmp_path / "a.csv", [Check("x", FAIL, "1", "0", "Because.")])
    checks.write(tmp_path / "b.csv", [Check(failed, FAIL, "0", "at least 1", "Because.")])
    with pytest.raises(QualityGateError) as caught:
        checks.enforce([tmp_path / "a.csv", tmp_path / "b.csv"])
    end = str(caught.value).rpartition("WHAT TO DO: ")[2]
    assert ("qc.enforce: false" in end) is offered and "run the same command again" in end


def test_gate_opens_for_pass_and_warn_only(tmp_path):
    checks.write(tmp_path / "a.csv", [Check("x", PASS, "", "", ""), Check("y", WARN, "", "", "")])
    checks.enforce([tmp_path / "a.csv"])
    checks.write(tmp_path / "b.csv", [])
    with pytest.raises(QualityGateError, match="holds no check"):
        checks.enforce([tmp_path / "a.csv", tmp_path / "b.csv"])


def test_worst():
    assert checks.worst([PASS, FAIL, WARN]) == FAIL
    assert checks.worst([]) == PASS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\nb\tc", "a\\nb\\tc"),
        ("\udcff.mp4", "\\xff.mp4"),
        ("\ud800", "\\ud800"),
        ("evil\u202egpj", "evil\\u202egpj"),
        ("Çelik 李 <b>", "Çelik 李 <b>"),
        (None, ""),
    ],
)
def test_text_from_outside_is_one_visible_line(text, said):
    assert shown(text) == said
    assert len(shown("x" * 999)) == 400


def test_json_in_a_script_element_cannot_end_it():
    value = ["</script><script>alert(1)</script>", "<!--", "\u2028", "\udcff"]
    text = script_json(value)
    assert not re.search(r"[<>&\u2028]", text)
    assert json.loads(text) == value


def frame_of(stage, rows):
    """A frame as `stage_tables.load` gives it, from rows of item, parent, outcome."""
    lines = [
        tables.row(stage, item=i, parent=p, outcome=o, reason="" if o == "kept" else "R")
        for i, p, o in rows
    ]
    return pd.DataFrame(lines).assign(video="v")


BEFORE = [("a", "v", "kept"), ("b", "v", "kept"), ("c", "v", "dropped")]


@pytest.mark.parametrize(
    ("rows", "lost", "orphans"),
    [
        ([("a0", "a", "kept"), ("b0", "b", "dropped")], (), ()),
        ([("a0", "a", "kept")], ("b",), ()),
        ([("a0", "a", "kept"), ("b0", "b", "quarantined"), ("c0", "c", "kept")], (), ("c",)),
    ],
)
def test_balance_is_the_ledgers(rows, lost, orphans):
    now, before = frame_of("crop", rows), frame_of("extract", BEFORE)
    ours = stage_tables.balance("crop", now, before)
    theirs = balance.balance("crop", now.to_dict("records"), before.to_dict("records"))
    assert ours == theirs
    assert (ours.unaccounted, ours.orphans) == (lost, orphans)
    status = stage_checks.ledger_checks("crop", now, before)[0].status
    assert status == (FAIL if lost or orphans else PASS)


def test_a_row_twice_and_a_silent_refusal_are_seen():
    rows = frame_of("crop", [("a0", "a", "kept"), ("a0", "b", "dropped")]).assign(reason="")
    found = {
        c.name: c for c in stage_checks.ledger_checks("crop", rows, frame_of("extract", BEFORE))
    }
    assert found["crop_one_row_an_item"].status == FAIL
    assert found["crop_refusals_have_reasons"].rows == ("a0",)


def test_load_reads_hostile_tables(tmp_path):
    name = 'x "y"\n\udcff,<script>.mp4'
    for video, size in (("a-1", 5), ("b-2", "")):
        row = tables.row("probe", item=video, parent=name, outcome="kept", file=name, bytes=size)
        tables.write_stage(tmp_path / f"{video}.csv", "probe", [row])
    rows = stage_tables.load([str(tmp_path / f"{v}.csv") for v in ("a-1", "b-2")], "probe")
    assert rows["video"].tolist() == ["a-1", "b-2"]
    assert rows["file"][0] == 'x "y"\n\\xff,<script>.mp4'
    assert rows["bytes"][0] == 5 and np.isnan(rows["bytes"][1])


def test_load_says_which_column_is_missing(tmp_path):
    tables.write_table(tmp_path / "v.csv", ["item", "parent"], [])
    with pytest.raises(tables.LedgerError, match="confidence"):
        stage_tables.load([str(tmp_path / "v.csv")], "crop")


def test_scene_share_sees_texture_that_stays_and_not_flat_fills():
    rng = np.random.default_rng(1)
    scene = rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)
    where = np.zeros((40, 50), bool)
    where[:, :30] = True
    assert reopened_images.scene_share(scene, scene, where) > 0.9
    assert reopened_images.scene_share(np.zeros_like(scene), np.zeros_like(scene), where) == 0
    other = rng.integers(0, 255, scene.shape, dtype=np.uint8)
    assert reopened_images.scene_share(other, scene, where) < 0.01
    assert reopened_images.scene_share(scene, scene, np.zeros_like(where)) == 0


def test_threads_keep_order_and_pass_errors_on():
    assert list(reopened_images.in_threads(lambda n: n * n, range(50), "t", workers=3)) == [
        n * n for n in range(50)
    ]
    with pytest.raises(ZeroDivisionError):
        list(reopened_images.in_threads(lambda n: 1 / n, [1, 0], "t", workers=2))


def test_thumbnails_are_shared_among_reasons():
    rows = pd.DataFrame({"reason": ["A"] * 90 + ["B"] * 5 + ["C"] * 5})
    chosen = thumbnails.spread(rows, 12)
    assert chosen["reason"].value_counts().to_dict() == {"A": 4, "B": 4, "C": 4}
    assert chosen.index[0] == 0 and chosen.index[3] >= 60  # along the rows, not the first four
    assert len(thumbnails.spread(rows, 0)) == 0


def rows_of(spec):
    """The data of a histogram's bars."""
    return (spec.get("data") or spec["layer"][0]["data"])["values"]


def marks(spec):
    return json.dumps(spec)


def test_histogram_counts_every_value_once():
    values = np.array([1, 2, 2, 3, np.nan, np.inf, 50.0])
    spec = charts.histogram(values, "t", "x", bins=7).spec
    assert sum(row["count"] for row in rows_of(spec)) == 5
    spec = charts.histogram(values, "t", "x", limits=(0, 10), bins=5).spec
    assert [row["count"] for row in rows_of(spec)][-1] == 1  # 50 is in the last bin


@pytest.mark.parametrize("values", [[], [3.0], [0.0, 0.0]])
def test_histogram_of_little(values):
    assert charts.histogram(np.array(values), "t", "x").spec["width"] == "container"


def test_charts_stay_small_and_carry_no_markup():
    many = pd.DataFrame({"x": np.arange(50_000.0), "y": np.arange(50_000.0), "video": "v"})
    spec = charts.scatter(many, "t", x="x", y="y", x_title="x", y_title="y").spec
    assert len(marks(spec)) < 60_000
    counts = {f"reason {n} \udcff": n for n in range(200)}
    spec = charts.bars(counts, "t").spec
    assert len(marks(spec)) < 20_000 and "\\\\xff" in marks(spec)


def test_same_data_same_chart():
    values = pd.Series([1.0, 2, 3])
    assert charts.histogram(values, "t", "x").spec == charts.histogram(values, "t", "x").spec


@pytest.mark.parametrize(
    ("status", "figure", "bound", "said"),
    [
        (PASS, "0 of 164", "0", "no fault in 164"),
        (PASS, "0 of 1,640", "0", "no fault in 1,640"),
        (PASS, "0 of 0", "0", "nothing to look at"),
        (PASS, "0 of 73", "0.35 to 1", "no fault in 73 (bound: 0.35 to 1)"),
        (FAIL, "2 of 164", "0", "not so for 2 of 164"),
        (PASS, "0", "0", "none"),
        (WARN, "12", "0", "not so for 12"),
        (FAIL, "0", "at least 1", "0 (bound: at least 1)"),
        (FAIL, "2 of 70", "2 a cut-out", "not so for 2 of 70 (bound: 2 a cut-out)"),
        (WARN, "2 of 48; largest 9.1%", "0", "not so for 2 of 48; largest 9.1%"),
        (PASS, "highest 0.1%", "at most 2%", "highest 0.1% (bound: at most 2%)"),
    ],
)
def test_a_check_says_in_words_what_it_found(status, figure, bound, said):
    assert checks.in_words(Check("a", status, figure, bound, "why")) == said


@pytest.mark.parametrize(
    ("name", "figure", "bound"),
    [("clips_refused", "2 of 7", "0"), ("some_video_is_usable", "0 of 7", "at least 1")],
)
def test_where_the_title_names_what_is_counted_the_figure_stands_as_it_is(name, figure, bound):
    assert checks.figure_in_words(Check(name, FAIL, figure, bound, "why")) == figure


def test_a_check_that_names_what_it_counts_is_one_that_some_report_has():
    sources = "".join(path.read_text() for path in (ROOT / "scripts").rglob("*.py"))
    assert [n for n in checks._NAMED_BY_COUNT if sources.count(f'"{n}"') < 2] == []


@pytest.mark.parametrize("name", ["IMG 0042.MOV", "a%20b.mp4", "Çelik.mov", "plain-1.mp4"])
def test_rows_are_named_as_people_know_them(name):
    (row,) = checks.none_of("a", [name], 1, "why").rows
    assert " " not in row and checks.as_named(row) == name
