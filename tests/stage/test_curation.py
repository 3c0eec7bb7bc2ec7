"""The final set under a budget, without near-duplicates, and split: its rows and what QC8 says."""

from __future__ import annotations

import base64
import copy
import importlib
import shutil

import numpy as np
import pytest

from ferrari.curation.embeddings import EmbeddingError, decode
from ferrari.curation.neighbours import distance
from ferrari.ledger import tables
from ferrari.ledger.columns import COLUMNS
from ferrari.reports import page
from ferrari.reports.checks import read
from ferrari.reports.page import ReportFiles
from tests.settings import section
from tests.stage.final_set import CURATE, Clip, select, select_final

qc_similarity = importlib.import_module("qc_similarity")
PIXELS = "embeddings_follow_from_pixels"  # where a test changes embeddings
FINAL = "05_final_training/final.csv"


@pytest.fixture(scope="module")
def captioned(tmp_path_factory):
    """Three clips of 4, 3 and 2 cut-outs with two images each, captioned."""
    dataset = tmp_path_factory.mktemp("set") / "dataset"
    names = (("one.mp4", 4), ("two.mp4", 3), ("three.mp4", 2))
    made = [Clip(dataset, name, frames=frames) for name, frames in names]
    select(dataset, made)
    return made


@pytest.fixture
def clips(captioned, tmp_path):
    """A copy to change, in `tmp_path`."""
    shutil.copytree(captioned[0].dataset, tmp_path, dirs_exist_ok=True)
    copies = copy.deepcopy(captioned)
    for clip in copies:
        clip.dataset = tmp_path
    return copies


def choose(dataset, clips, **curate):
    """The final rows with `curate` settings changed."""
    select_final(
        caption_csvs=[str(clip.table("caption")) for clip in clips],
        mask_csvs=[str(clip.table("mask")) for clip in clips],
        videos_csv=dataset / "videos.csv",
        dataset=dataset,
        out_csv=dataset / FINAL,
        settings={**CURATE, **curate},
        seed=1,
    )
    return tables.read_stage(dataset / FINAL, "final")


@pytest.fixture(autouse=True)
def no_page(monkeypatch):
    monkeypatch.setattr(page, "page", lambda report: "")
    monkeypatch.setattr(qc_similarity, "pictures", lambda *given: [])
    monkeypatch.setattr(qc_similarity, "galleries", lambda *given: [])


def change_masks(clip, change):
    """Rewrite a clip's mask table with `change(row)` on each row."""
    for row in clip.rows["mask"]:
        change(row)
    tables.write_stage(clip.table("mask"), "mask", clip.rows["mask"])


def kept_by(rows, column):
    found = {}
    for row in tables.kept(rows):
        found.setdefault(row[column], []).append(row["item"])
    return found


def crop(item):
    return item.rpartition("-v")[0]


def report(dataset, clips, **curate):
    """QC8 on the final table as it lies there; the names of the checks that do not pass."""
    out = dataset / "qc8_similarity.csv"
    qc_similarity.report_similarity(
        final=str(dataset / FINAL),
        masks=[str(clip.table("mask")) for clip in clips],
        dataset=str(dataset),
        qc_settings=section("qc", thumbnails=0),
        curate_settings={**CURATE, **curate},
        out=ReportFiles(out, dataset / "videos8.csv", dataset / "qc8.html"),
    )
    return {check.name for check in read(out) if check.status != "PASS"}


def edit(dataset, change):
    """Rewrite the final table with `change(rows)` done."""
    rows = tables.read_table(dataset / FINAL)
    change(rows)
    tables.write_table(dataset / FINAL, COLUMNS["final"], rows)


# --- the rows ---------------------------------------------------------------------------------


def test_by_default_all_stay_and_all_are_for_training(tmp_path, clips):
    rows = choose(tmp_path, clips)
    assert len(rows) == 18 and {row["outcome"] for row in rows} == {"kept"}
    assert {(row["split"], row["group"]) for row in rows} == {("train", "")}
    assert {row["light"] for row in rows} <= {"dark", "medium", "bright"}
    assert {row["side"] for row in rows} == {"middle"}
    assert report(tmp_path, clips) == set()


def test_a_budget_keeps_so_many_and_names_the_nearest_of_what_stayed(tmp_path, clips):
    rows = choose(tmp_path, clips, max_images=5)
    stay = tables.kept(rows)
    gone = [row for row in rows if row["outcome"] != "kept"]
    assert len(rows) == 18 and len(stay) == 5 == len({crop(row["item"]) for row in stay})
    vectors = {row["item"]: decode(row["embedding"]) for clip in clips for row in clip.rows["mask"]}
    for row in gone:
        own = vectors[crop(row["item"])].astype(int)
        away = {
            one["item"]: float(distance(((vectors[crop(one["item"])] - own) ** 2).sum()))
            for one in stay
        }
        assert (row["outcome"], row["reason"]) == ("dropped", "OVER_BUDGET")
        assert away[row["value"]] == min(away.values())
        assert float(row["threshold"]) == pytest.approx(min(away.values()), abs=1e-4)
    assert report(tmp_path, clips, max_images=5) == set()
    before = (tmp_path / FINAL).read_bytes()
    choose(tmp_path, clips[::-1], max_images=5)
    assert (tmp_path / FINAL).read_bytes() == before


def test_room_beyond_the_cutouts_goes_to_second_images(tmp_path, clips):
    rows = choose(tmp_path, clips, max_images=12)
    counts = [len([row for row in rows if crop(row["item"]) == item and row["outcome"] == "kept"])
              for item in {crop(row["item"]) for row in rows}]  # fmt: skip
    assert sorted(counts) == [1] * 6 + [2] * 3
    siblings = [row for row in rows if row["reason"] == "OVER_BUDGET"]
    assert all(crop(row["item"]) == crop(row["value"]) for row in siblings)
    assert {row["threshold"] for row in siblings} == {"0.0"}
    assert report(tmp_path, clips, max_images=12) == set()


def test_what_was_refused_before_takes_no_room(tmp_path, clips):
    (tmp_path / clips[0].rows["augment"][0]["path"]).unlink()
    rows = choose(tmp_path, clips, max_images=9)
    assert [row["outcome"] for row in rows].count("quarantined") == 1
    assert len(tables.kept(rows)) == 9


def test_near_duplicates_across_clips_go(tmp_path, clips):
    same = clips[0].rows["mask"][0]["embedding"]
    change_masks(clips[1], lambda row: row.update(embedding=same))
    rows = choose(tmp_path, clips, near_duplicates=1.0)
    gone = [row for row in rows if row["reason"] == "NEAR_DUPLICATE"]
    assert {row["video"] for row in gone} in ({clips[0].video}, {clips[1].video})
    assert all(row["threshold"] == "0.0" and row["value"] for row in gone)
    assert report(tmp_path, clips, near_duplicates=1.0) <= {PIXELS}
    choose(tmp_path, clips)
    alike = {"near_duplicates_dropped", "near_duplicates_across_clips", PIXELS}
    assert report(tmp_path, clips, near_duplicates=1.0) == alike


def test_clips_stay_whole_and_clips_that_are_alike_together(tmp_path, clips):
    same = clips[0].rows["mask"][0]["embedding"]
    change_masks(clips[1], lambda row: row.update(embedding=same))
    rows = choose(tmp_path, clips, validation=0.5)
    groups = kept_by(rows, "group")
    assert len(groups) == 2 and set(kept_by(rows, "split")) == {"train", "val"}
    together = {row["group"] for row in rows if row["video"] != clips[2].video}
    assert len(together) == 1
    assert report(tmp_path, clips, validation=0.5) == {PIXELS, "near_duplicates_across_clips"}


@pytest.mark.parametrize("damaged", ["", base64.b64encode(b"short").decode()])
def test_a_damaged_embedding_stops_selection_and_says_where(tmp_path, clips, damaged):
    change_masks(clips[1], lambda row: row.update(embedding=damaged))
    assert len(tables.kept(choose(tmp_path, clips))) == 18, "not needed"
    with pytest.raises(EmbeddingError, match=clips[1].video):
        choose(tmp_path, clips, max_images=5)
    assert "embeddings_sound" in report(tmp_path, clips)


def test_an_image_whose_cutout_has_no_row_is_a_damaged_table(tmp_path, clips):
    clips[0].rows["mask"].pop()
    tables.write_stage(clips[0].table("mask"), "mask", clips[0].rows["mask"])
    with pytest.raises(tables.LedgerError, match="delete the table"):
        choose(tmp_path, clips)


# --- what QC8 must see ------------------------------------------------------------------------


def first(rows, outcome, change):
    next(row for row in rows if row["outcome"] == outcome).update(change)


def farther(rows):
    """A left-out image names another that stayed, and says that it is as far as the nearest."""
    row = next(row for row in rows if float(row["threshold"] or 0) > 0)
    row["value"] = next(
        one["item"] for one in rows if one["outcome"] == "kept" and one["item"] != row["value"]
    )


def over(rows):
    row = next(row for row in rows if row["outcome"] == "dropped")
    row.update(outcome="kept", reason="", value="", threshold="", split="train")


def parted(rows):
    """The images of one clip are in both splits."""
    one = next(row for row in rows if row["outcome"] == "kept" and row["split"] == "train")
    one["split"] = "val"


FAULTS = {
    "neighbour gone": (
        lambda rows: first(rows, "dropped", {"value": "nobody-f000000-p0-v0"}),
        {"neighbours_of_left_out_stay", "neighbours_of_left_out_are_the_nearest"},
    ),
    "not the nearest": (farther, {"neighbours_of_left_out_are_the_nearest"}),
    "another distance": (
        lambda rows: first(rows, "dropped", {"threshold": "77"}),
        {"neighbours_of_left_out_are_the_nearest"},
    ),
    "one too many": (over, {"budget_kept_and_used"}),
    "no split": (
        lambda rows: first(rows, "kept", {"split": "test"}),
        {"each_image_in_a_split", "no_clip_in_two_splits", "no_group_in_two_splits",
         "no_cutout_in_two_splits"},
    ),
    "siblings parted": (
        parted, {"no_clip_in_two_splits", "no_group_in_two_splits", "no_cutout_in_two_splits"}
    ),
    "same bytes": (
        lambda rows: [row.update(sha256="0" * 64) for row in tables.kept(rows)[:2]],
        {"no_image_twice"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_seen_by_its_check(tmp_path, clips, fault):
    change, expected = FAULTS[fault]
    few = fault in ("neighbour gone", "not the nearest", "another distance", "one too many")
    curate = {"max_images": 8 if few else None, "validation": 0.5}
    choose(tmp_path, clips, **curate)
    assert report(tmp_path, clips, **curate) == set()
    edit(tmp_path, change)
    assert report(tmp_path, clips, **curate) == expected


def test_an_embedding_that_is_not_that_of_the_pixels_is_seen(tmp_path, clips):
    other = base64.b64encode(np.arange(-64, 64, dtype=np.int8).tobytes()).decode()
    choose(tmp_path, clips)
    change_masks(clips[2], lambda row: row.update(embedding=other) if row["item"][-4] == "0" else 0)
    assert PIXELS in report(tmp_path, clips)


def test_alike_clips_in_two_splits_are_seen(tmp_path, clips):
    choose(tmp_path, clips, validation=0.5)
    same = clips[0].rows["mask"][0]["embedding"]
    for clip in clips[1:]:
        change_masks(clip, lambda row: row.update(embedding=same))
    assert "no_near_duplicates_in_two_splits" in report(tmp_path, clips, validation=0.5)
