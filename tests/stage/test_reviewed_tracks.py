"""What a person says of a track: whose it is, where it is cut; and undo gives all back."""

from __future__ import annotations

import pytest

from ferrari.common.atomic_files import sha256_file
from ferrari.ledger import item_ids, tables
from ferrari.provenance.reuse import NOTHING
from ferrari.review import decision_table, decisions, effects, writing
from ferrari.review.applying import track_digest
from ferrari.subject import clip_table, identity_table
from tests.stage.people_clip import LARGE, SMALL, VIDEO, Clip
from tests.stage.test_who_is_who import ANNA, BERT, RULES
from tests.unit.review.rows import decided


@pytest.fixture
def clip(tmp_path):
    """Somebody whose face is not seen, beside one whose face is another's; four frames."""
    clip = Clip(tmp_path)
    clip.write(4)
    clip.found(*[[SMALL, LARGE]] * 4)
    clip.seen(None, BERT, subject=ANNA)
    return clip


def crop(clip, *review):
    """Judge and cut, going on behind what the run before left."""
    earlier = clip.earlier("crop") if "crop" in clip.digests else NOTHING
    return clip.crop(earlier, identity=RULES, min_side=50, review=review)


def of_track(rows, track):
    return [row for row in rows if row["track"] == str(track)]


def said(decision, rows, track, **cells):
    digest = track_digest(row["parent"] for row in of_track(rows, track))
    return decided(decision, f"{VIDEO}-t{track}", "track", target_sha256=digest, **cells)


def states(clip, *rows):
    decision_table.place(clip.dataset).unlink(missing_ok=True)
    writing.append(clip.dataset, rows)
    return [e.state for e in effects.of_dataset(clip.dataset, decisions.load(clip.dataset))]


def all_files(clip):
    folders = ("02_yolo_crops", "bad_frames", "subject/identity")
    paths = [path for name in folders for path in (clip.dataset / name).rglob("*.*")]
    return {path.relative_to(clip.dataset): sha256_file(path) for path in paths}


def test_a_persons_word_about_a_track_overrules_faces_and_undo_gives_all_back(clip):
    plain, before = crop(clip), all_files(clip)
    assert {row["reason"] for row in of_track(plain, 0)} == {"UNSURE_WHO"}
    yes, no = said("is_subject", plain, 0), said("not_subject", plain, 1)
    rows = crop(clip, yes, no)
    mine = of_track(rows, 0)
    assert [(row["reason"], row["identity_by"]) for row in mine] == [("OK", "review")] * 4
    assert {row["decision"] for row in mine} == {yes.id}
    other = of_track(rows, 1)
    assert {(row["reason"], row["decision"]) for row in other} == {("NOT_SUBJECT", no.id)}
    assert states(clip, yes, no) == ["applied", "applied"]
    assert not list((clip.dataset / f"bad_frames/{VIDEO}").rglob("*.png"))
    assert crop(clip) == plain and all_files(clip) == before


def test_a_track_is_cut_at_a_frame_and_its_piece_is_the_subject(clip):
    plain = crop(clip)
    cut = said("split_track", plain, 0, value=item_ids.frame_item(VIDEO, 2))
    halves = crop(clip, cut)
    piece = next(row["track"] for row in halves[::-1] if row["parent"].endswith("d0"))
    yes = said("is_subject", halves, piece)
    rows = crop(clip, cut, yes)
    faceless = [row for row in rows if row["parent"].endswith("d0")]
    assert [row["reason"] for row in faceless] == ["UNSURE_WHO"] * 2 + ["OK"] * 2
    table = {row["track"]: row for row in clip_table.read(clip.identity, identity_table.COLUMNS)}
    assert table[piece]["decision"] == f"{cut.id} {yes.id}"
    assert states(clip, cut, yes) == ["applied", "applied"]
    assert crop(clip) == plain


def test_a_track_that_is_another_now_and_a_cut_that_cuts_nothing_are_told(clip):
    plain = crop(clip)
    first = said("split_track", plain, 0, value=item_ids.frame_item(VIDEO, 0))
    gone = said("is_subject", plain[:-2], 1)
    assert crop(clip, first, gone) == plain
    assert states(clip, first, gone) == ["cannot", "stale"]


def test_a_single_crop_of_somebody_unsure_may_be_kept(clip):
    plain, before = crop(clip), all_files(clip)
    one = of_track(plain, 0)[1]
    keep = decided("keep", one["item"])
    rows = crop(clip, keep)
    kept = [row for row in rows if row["outcome"] == "kept"]
    assert [row["item"] for row in kept] == [one["item"]] and kept[0]["decision"] == keep.id
    assert not (clip.dataset / one["path"]).exists() and states(clip, keep) == ["applied"]
    assert crop(clip) == plain and all_files(clip) == before


@pytest.fixture
def parted(tmp_path):
    """Two tracks one after the other: a face that is not seen, then the subject's."""
    clip = Clip(tmp_path)
    clip.write(4)
    clip.found(*[[SMALL]] * 2, *[[LARGE]] * 2)
    rows = clip.rows("detect")
    for row in rows[2:4]:
        row["track"] = "1"
    tables.write_stage(clip.table("detect"), "detect", rows)
    clip.seen(None, ANNA, subject=ANNA)
    return clip


def joined(rows, one, other, **cells):
    sha256 = track_digest(row["parent"] for row in of_track(rows, other))
    return said("merge_tracks", rows, one, value=f"{VIDEO}-t{other} {sha256}", **cells)


def test_two_tracks_are_one_person_and_the_face_of_one_counts_for_both(parted):
    plain, before = crop(parted), all_files(parted)
    assert [row["reason"] for row in plain] == ["UNSURE_WHO"] * 2 + ["OK"] * 2
    merge = joined(plain, 0, 1)
    rows = crop(parted, merge)
    assert [row["reason"] for row in rows] == ["OK"] * 4
    assert {row["track"] for row in rows} == {"0"}
    (_, track) = clip_table.read(parted.identity, identity_table.COLUMNS)
    assert (track["decision"], track["frames"], track["who"]) == (merge.id, "4", "subject")
    assert (track["linked_track"], track["joined"]) == ("0", "1")
    assert states(parted, merge) == ["applied"]
    assert crop(parted) == plain and all_files(parted) == before


def test_what_was_said_of_a_part_is_said_of_the_whole(parted):
    plain = crop(parted)
    merge, no = joined(plain, 1, 0), said("not_subject", plain, 0)
    rows = crop(parted, merge, no)
    assert {(row["reason"], row["decision"]) for row in rows} == {("NOT_SUBJECT", no.id)}
    assert states(parted, merge, no) == ["applied", "applied"]
    whole = said("is_subject", rows, 0)
    rows = crop(parted, merge, whole)
    assert {row["reason"] for row in rows} == {"OK"} and states(parted, merge, whole) == [
        "applied",
        "applied",
    ]


def test_a_merge_that_contradicts_what_was_said_is_told_and_changes_nothing(parted):
    plain = crop(parted)
    rows = [joined(plain, 0, 1), said("is_subject", plain, 1), said("not_subject", plain, 0)]
    assert [row["reason"] for row in crop(parted, *rows)] == ["NOT_SUBJECT"] * 2 + ["OK"] * 2
    assert states(parted, *rows) == ["cannot", "applied", "applied"]
    (effect, *_) = effects.of_dataset(parted.dataset, decisions.load(parted.dataset))
    assert effect.reason == "the one is said to be the subject, the other not to be"


def test_two_who_are_in_one_frame_are_not_one_person(clip):
    plain = crop(clip)
    merge = joined(plain, 0, 1)
    assert crop(clip, merge) == plain and states(clip, merge) == ["cannot"]


def test_a_merged_track_may_be_cut_again(parted):
    plain = crop(parted)
    merge = joined(plain, 0, 1)
    whole = crop(parted, merge)
    cut = said("split_track", whole, 0, value=item_ids.frame_item(VIDEO, 1))
    rows = crop(parted, merge, cut)
    assert [row["track"] for row in rows] == ["0", "1", "1", "1"]
    assert [row["reason"] for row in rows] == ["UNSURE_WHO", "OK", "OK", "OK"]
    assert states(parted, merge, cut) == ["applied", "applied"]
    assert crop(parted) == plain


def test_what_a_part_is_said_to_be_speaks_against_joining_the_whole_to_another(tmp_path):
    clip = Clip(tmp_path)
    clip.write(3)
    clip.found([SMALL], [SMALL], [LARGE])
    rows = clip.rows("detect")
    for number, row in enumerate(rows[:3]):
        row["track"] = str(number)
    tables.write_stage(clip.table("detect"), "detect", rows)
    clip.seen(None, None, None, subject=ANNA)
    plain = crop(clip)
    first, yes = joined(plain, 0, 1), said("is_subject", plain, 0)
    whole = crop(clip, first, yes)
    assert [row["track"] for row in whole] == ["0", "0", "1"]
    second, no = joined(whole, 0, 1), said("not_subject", whole, 1)
    every = (first, yes, second, no)
    rows = crop(clip, *every)
    assert [row["track"] for row in rows] == ["0", "0", "1"], "the first is applied, the second not"
    assert [row["reason"] for row in rows] == ["OK", "OK", "NOT_SUBJECT"]
    assert states(clip, *every) == ["applied", "applied", "cannot", "applied"]
    assert {row["track"] for row in crop(clip, first, yes, second)} == {"0"}
    assert crop(clip) == plain
