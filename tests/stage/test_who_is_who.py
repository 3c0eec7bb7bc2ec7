"""Stage 2, second half, where it is known who the subject is: fates, evidence, reuse."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.common.atomic_files import sha256_file
from ferrari.images import image_files
from ferrari.images.boxes import Detection
from ferrari.ledger import balance, tables
from ferrari.subject import clip_table, identity_table
from ferrari.verification import identities as verification
from ferrari.verification.clip import CUT, changed_cells
from tests.stage.people_clip import LARGE, SMALL, VIDEO, Clip
from tests.unit.review.rows import decided

RULES = {"mode": "references", "above": 0.45, "below": 0.36}
RULES |= {"body_similarity": 0.7, "body_gap_s": 30, "sureness_decay": 0.95}
ANNA, BERT, CLEO, _ = np.eye(4, dtype=np.float32)


def like(person: np.ndarray, similarity: float) -> np.ndarray:
    """A face that is so similar to a person's, and to nobody else's."""
    rest = np.array([0, 0, 0, np.sqrt(1 - similarity**2)], np.float32)
    return (similarity * person + rest).astype(np.float32)


@pytest.fixture
def clip(tmp_path):
    return Clip(tmp_path)


def fates(rows):
    return [row["reason"] for row in rows]


def test_the_subject_is_cut_out_and_somebody_else_is_dropped_whoever_is_larger(clip):
    clip.write(2)
    clip.found([SMALL, LARGE], [SMALL, LARGE])
    clip.seen(ANNA, BERT, subject=ANNA)
    rows = clip.crop(identity=RULES, min_side=50)
    assert fates(rows) == ["OK", "NOT_SUBJECT"] * 2
    subject, other = rows[:2]
    assert (subject["identity_by"], subject["identity_why"]) == ("face", "like_subject")
    assert [float(subject[name]) for name in ("identity_score", "sureness")] == [1.0, 1.0]
    assert (other["outcome"], other["identity_why"]) == ("dropped", "unlike")
    assert (float(other["value"]), float(other["threshold"])) == (0.0, 0.36)
    assert [row["track"] for row in rows] == ["0", "1"] * 2
    assert balance.balance("crop", rows, clip.rows("detect")).balanced


def test_the_policy_has_no_say_where_somebody_is_known(clip):
    clip.write(1)
    clip.found([SMALL, LARGE])
    clip.seen(ANNA, BERT, subject=ANNA)
    rows = [clip.crop(identity=RULES, min_side=50, policy=p) for p in ("largest", "most_central")]
    assert rows[0] == rows[1] and "NOT_TARGET" not in fates(rows[0])


def test_who_may_be_the_subject_is_put_aside_with_the_picture(clip):
    clip.write(1)
    clip.found([SMALL, LARGE])
    clip.seen(like(ANNA, 0.4), None, subject=ANNA)
    between, faceless = clip.crop(identity=RULES, min_side=50, pad=0)
    assert fates([between, faceless]) == ["UNSURE_WHO"] * 2
    assert (between["outcome"], float(between["value"]), float(between["threshold"])) == (
        "quarantined", 0.4, 0.45
    )  # fmt: skip
    assert (faceless["identity_why"], faceless["value"], faceless["threshold"]) == (
        "no_face", "", ""
    )  # fmt: skip
    assert faceless["detail"].startswith("no face is seen")
    for row in (between, faceless):
        assert row["path"].startswith(f"bad_frames/{VIDEO}/UNSURE_WHO/{row['item']}")
        assert sha256_file(clip.dataset / row["path"]) == row["sha256"]
    x1, y1, x2, y2 = (int(between[f"crop_{key}"]) for key in ("x1", "y1", "x2", "y2"))
    copy = image_files.read(clip.dataset / between["path"])
    np.testing.assert_array_equal(copy, image_files.read(clip.file(0))[y1:y2, x1:x2])


def test_of_boxes_too_small_to_use_only_somebody_elses_are_told_by_who_it_is(clip):
    tiny = Detection((0, 0, 20, 40), 0.95, "person")
    clip.write(1)
    clip.found([tiny, SMALL, LARGE])
    clip.seen(None, BERT, ANNA, subject=ANNA)
    unsure, other, _ = clip.crop(identity=RULES, min_side=96)
    assert fates([unsure, other]) == ["TOO_SMALL", "NOT_SUBJECT"]
    assert unsure["identity_why"] == "beside_subject" and unsure["path"] == ""


def test_where_nobody_was_named_all_are_put_aside(clip):
    clip.write(2)
    clip.found([LARGE], [LARGE])
    clip.seen(ANNA, subject=None)
    rows = clip.crop(identity=RULES, min_side=50)
    assert fates(rows) == ["UNSURE_WHO"] * 2
    assert {row["identity_why"] for row in rows} == {"nobody_named"}


def test_an_unsure_persons_frame_that_is_damaged_is_said(clip):
    clip.write(1)
    clip.found([LARGE])
    clip.seen(None, subject=ANNA)
    clip.file(0).write_bytes(b"no picture")
    (row,) = clip.crop(identity=RULES, min_side=50)
    assert (row["reason"], row["outcome"]) == ("UNREADABLE_FRAME", "quarantined")


def test_without_rules_the_columns_of_identity_are_empty(clip):
    clip.write(1)
    clip.found([SMALL, LARGE])
    rows = clip.crop(min_side=50)
    assert fates(rows) == ["NOT_TARGET", "OK"]
    names = ("track", "identity_by", "identity_why", "identity_score", "sureness")
    assert {row[name] for row in rows for name in names} == {""}
    (only,) = clip_table.read(clip.identity, identity_table.COLUMNS)
    assert (only["mode"], only["frames"], only["faces"]) == ("single", "1", "")


def test_the_table_of_identities_has_the_clip_and_a_row_a_track(clip):
    clip.write(3)
    clip.found([SMALL, LARGE], [SMALL, LARGE], [SMALL])
    clip.seen(ANNA, None, subject=ANNA)
    clip.crop(identity=RULES, min_side=50)
    whole, subject, other = clip_table.read(clip.identity, identity_table.COLUMNS)
    assert (whole["track"], whole["mode"], whole["faces"], whole["frames"]) == (
        "", "references", "3", "3"
    )  # fmt: skip
    assert (subject["who"], subject["by"], subject["faces"], subject["face_px"]) == (
        "subject", "face", "3", "80.0"
    )  # fmt: skip
    assert (other["who"], other["why"], other["faces"], other["frames"]) == (
        "unsure", "beside_subject", "0", "2"
    )  # fmt: skip
    assert [float(other[name]) for name in ("from_s", "to_s")] == [0.0, 0.5]


def test_a_threshold_that_changes_no_verdict_cuts_nothing_and_tells_the_new_figures(clip):
    clip.write(3)
    clip.found([SMALL, LARGE], [SMALL, LARGE], [SMALL, LARGE])
    clip.seen(like(ANNA, 0.4), ANNA, subject=ANNA)
    before = clip.crop(identity=RULES, min_side=50)
    earlier = clip.earlier("crop")
    for ordinal in range(3):
        clip.file(ordinal).unlink()  # whatever is cut again would be UNREADABLE_FRAME
    after = clip.crop(earlier, identity={**RULES, "above": 0.5}, min_side=50)
    assert fates(after) == fates(before) == ["UNSURE_WHO", "OK"] * 3
    assert [row["sha256"] for row in after] == [row["sha256"] for row in before]
    assert {row["threshold"] for row in after[::2]} == {"0.5"}
    assert all((clip.dataset / row["path"]).is_file() for row in after)


def test_a_crop_that_a_person_kept_tells_the_new_figures_too(clip):
    clip.write(2)
    clip.found([SMALL, LARGE], [SMALL, LARGE])
    clip.seen(like(ANNA, 0.4), ANNA, subject=ANNA)
    item = clip.crop(identity=RULES, min_side=50)[0]["item"]
    given = {"min_side": 50, "review": [decided("keep", item)]}
    clip.crop(identity=RULES, **given)
    poorer = {**RULES, "above": 0.5}
    after = clip.crop(clip.earlier("crop"), identity=poorer, **given)
    assert (after[0]["reason"], after[0]["threshold"]) == ("OK", "0.5")
    assert after == clip.crop(identity=poorer, **given), "as if it were all made anew"


def test_a_threshold_that_changes_a_verdict_works_from_that_frame_on(clip):
    late = Detection((10.0, 10.0, 110.0, 230.0), 0.5, "person")
    clip.write(3)
    clip.found([LARGE], [LARGE, late], [LARGE])
    clip.seen(ANNA, like(ANNA, 0.4), subject=ANNA)
    before = clip.crop(identity=RULES, min_side=50)
    earlier = clip.earlier("crop")
    clip.file(0).unlink()
    after = clip.crop(earlier, identity={**RULES, "below": 0.42}, min_side=50)
    assert fates(before) == ["OK", "OK", "UNSURE_WHO", "OK"]
    assert fates(after) == ["OK", "OK", "NOT_SUBJECT", "OK"], "the first frame was not read"
    assert not (clip.dataset / before[2]["path"]).exists(), "its copy is gone"


def test_sightings_of_another_table_of_detections_are_refused(clip):
    clip.write(2)
    clip.found([LARGE])
    clip.seen(ANNA, subject=ANNA)
    clip.found([LARGE], [LARGE])
    with pytest.raises(tables.LedgerError, match="no detection"):
        clip.crop(identity=RULES)


@pytest.mark.parametrize("name", ["sightings", "who"])
def test_a_damaged_file_of_faces_is_named_with_what_to_do(clip, name):
    clip.write(1)
    clip.found([LARGE])
    clip.seen(ANNA, subject=ANNA)
    path = getattr(clip, name)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(tables.LedgerError, match="delete it"):
        clip.crop(identity=RULES)


def test_faces_of_another_network_are_not_compared(clip):
    clip.write(1)
    clip.found([LARGE])
    clip.seen(ANNA, subject=np.ones(3, np.float32))
    with pytest.raises(tables.LedgerError, match="different networks"):
        clip.crop(identity=RULES)


def test_no_embedding_is_in_a_table(clip):
    clip.write(1)
    clip.found([SMALL, LARGE])
    clip.seen(ANNA, BERT, subject=ANNA)
    rows = clip.crop(identity=RULES, min_side=50)
    assert all("embedding" not in name for name in (*rows[0], *identity_table.COLUMNS))


def checked(clip):
    rows = {stage: clip.rows(stage) for stage in ("detect", "crop")}
    return [why for _, why in verification.faults(clip.dataset, VIDEO, rows)]


@pytest.mark.parametrize("rules", [RULES, None])
def test_verify_holds_sightings_and_identities_against_the_rows(clip, rules):
    clip.write(2)
    clip.found([SMALL, LARGE], [SMALL, LARGE])
    clip.seen(ANNA, None, subject=ANNA)
    clip.crop(identity=rules, min_side=50)
    assert checked(clip) == []
    clip.found([SMALL, LARGE], [SMALL])
    assert checked(clip) == ["has 4 detections of frames, their table keeps 3"]


def test_verify_counts_the_frames_of_each_track(clip):
    clip.write(2)
    clip.found([SMALL, LARGE], [SMALL, LARGE])
    clip.seen(ANNA, None, subject=ANNA)
    clip.crop(identity=RULES, min_side=50)
    rows = clip.rows("crop")
    tables.write_stage(clip.table("crop"), "crop", rows[:-1])
    assert checked(clip) == ["has 4 frames of people, the crops have 3 rows"]
    tables.write_stage(clip.table("crop"), "crop", [*rows[:-1], rows[-1] | {"identity_why": ""}])
    assert checked(clip) == [
        "has tracks, and there are crops that do not say why they are whose they are"
    ]


@pytest.mark.parametrize(
    "damage",
    [
        lambda table: b"no table",
        lambda table: table.replace(b",4,", b",t,"),  # one bit of a number is another
        lambda table: table + b'"' + b"a" * 200_000,
        lambda table: table[:20] + b"\xff" + table[21:],
    ],
)
def test_verify_names_a_damaged_table_of_identities_and_goes_on(clip, damage):
    clip.write(4)
    clip.found([LARGE], [LARGE], [LARGE], [LARGE])
    clip.seen(ANNA, subject=ANNA)
    clip.crop(identity=RULES)
    assert checked(clip) == []
    damaged = damage(clip.identity.read_bytes())
    assert damaged != clip.identity.read_bytes()
    clip.identity.write_bytes(damaged)
    assert checked(clip) == ["cannot be read"]


@pytest.mark.parametrize("flag", [b"\x01", b"\x40"])
def test_verify_names_a_file_of_sightings_of_which_one_bit_is_another_and_goes_on(clip, flag):
    """The archive says that it is encrypted, or of a version to come."""
    clip.write(1)
    clip.found([LARGE])
    clip.seen(ANNA, subject=ANNA)
    clip.crop(identity=RULES)
    data = bytearray(clip.sightings.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + (8 if flag == b"\x01" else 6)] ^= flag[0]
    clip.sightings.write_bytes(data)
    assert checked(clip) == ["cannot be read"]
    with pytest.raises(tables.LedgerError, match="delete it"):
        clip.crop(identity=RULES)


def test_verify_holds_what_a_crop_takes_over_against_its_detection(clip):
    clip.write(1)
    clip.found([LARGE])
    (crop,), (detection,) = clip.crop(), clip.rows("detect")
    assert changed_cells(detection, crop, CUT) == []
    for column in ("confidence", "class_name", "frame_width", "frame_height", "hardly_seen"):
        assert changed_cells(detection, crop | {column: "7"}, CUT) == [column]
