"""What the report on identity makes of judgements, votes and references, with known answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ferrari.qc import (
    identity_checks,
    identity_pictures,
    identity_tables,
    reference_checks,
    stage_tables,
)
from ferrari.reports.checks import FAIL, PASS, WARN
from ferrari.review import contract
from ferrari.subject import clip_table
from ferrari.subject.answer_file import Told
from ferrari.subject.identity_table import IdentityRow

QC = {"min_faces_judged": 0.1, "max_between": 0.2, "max_unsure": 0.25}
ABOVE, BELOW = 0.45, 0.36


def subject(number, score=0.7, **more):
    return track(number, "subject", "like_subject", score=score, threshold=ABOVE, **more)


def other(number, score=0.1, **more):
    return track(number, "not_subject", "unlike", score=score, threshold=BELOW, **more)


def between(number, score=0.4, **more):
    return track(number, "unsure", "between", score=score, threshold=ABOVE, **more)


def track(number, who, why, **more):
    told = {"by": "face", "sureness": 1.0, "faces": 4, "faces_seen": 5, "frames": 2} | more
    return IdentityRow(number, linked_track=number, who=who, why=why, **told)


@pytest.fixture
def judged(tmp_path):
    """A function that loads tables of judgements: the tracks of each clip, by its id."""

    def load(mode="references", **clips):
        for video, rows in clips.items():
            seen = sum(row.faces_seen for row in rows)
            clip = IdentityRow(None, mode, faces=seen, faces_seen=seen, frames=len(rows))
            clip_table.write(tmp_path / f"{video}.csv", clip, rows)
        return identity_tables.load([str(tmp_path / f"{video}.csv") for video in clips])

    return load


def crops(*rows):
    """Rows of crops; `item` is the clip's id and a number."""
    known = {"track": 0.0, "identity_by": "face", "identity_why": "like_subject", "reason": "OK"}
    known |= {"decision": ""}
    known |= {"identity_score": 0.7, "sureness": 1.0, "outcome": "kept", "path": "x.png"}
    known |= {"value": np.nan, "threshold": np.nan, "parent": ""}
    frame = pd.DataFrame([known | row for row in rows])
    return frame.assign(video=frame["item"].str[0])


def waits(item, **more):
    more = {"identity_why": "between", "identity_by": "face", "sureness": 0.0} | more
    return {"item": item, "outcome": "quarantined", "reason": "UNSURE_WHO", **more}


def refused(item, **more):
    return {"item": item, "outcome": "dropped", "reason": "NOT_SUBJECT", "path": "", **more}


def scores_apart(rows):
    found = identity_checks.judgement_checks(rows, crops({"item": "a1"}), QC)
    return next(check for check in found if check.name == "scores_apart")


def test_two_peaks_are_well(judged):
    rows = judged(a=[subject(0, 0.52), subject(1, 0.8), other(2, 0.31), other(3, -0.1)])
    found = scores_apart(rows)
    assert found.status == PASS
    assert found.figure == "0 of 4 tracks between; the subject from 0.52; others up to 0.31"


def test_one_track_between_few_is_no_reason_to_warn(judged):
    assert scores_apart(judged(a=[subject(0), between(1)])).status == PASS


def test_many_tracks_between_the_thresholds_are_named(judged):
    found = scores_apart(judged(a=[subject(0), subject(1), other(2), between(3), between(4)]))
    assert found.status == WARN and found.rows == ("a-t3", "a-t4")


def test_thresholds_of_two_runs_are_seen(judged):
    rows = judged(a=[subject(0), subject(1)], b=[subject(0)])
    assert identity_checks._one_threshold(identity_tables.tracks(rows)).status == PASS
    rows.loc[rows["video"] == "b", "threshold"] = 0.5
    found = identity_checks._one_threshold(identity_tables.tracks(rows))
    assert found.status == FAIL and found.rows == ("b-t0",)
    assert found.figure == "above 0.45, 0.5"


@pytest.mark.parametrize(("score", "status"), [(0.7, PASS), (0.69, FAIL)])
def test_whoever_goes_on_at_a_place_is_like_enough(judged, score, status):
    """By either of two thresholds: the row has the one that counted."""
    told = {"by": "body", "score": score, "threshold": 0.7}
    rows = judged(a=[subject(0), track(1, "subject", "same_place", **told)])
    found = identity_checks.judgement_checks(rows, crops({"item": "a1"}), QC)
    (check,) = [one for one in found if one.name == "judgements_follow_scores"]
    assert check.status == status
    assert check.rows == (() if status == PASS else ("a-t1",))


def test_what_was_too_small_is_unsure_where_its_track_is(judged):
    rows = judged(a=[subject(0), between(1)])
    small = {"outcome": "dropped", "reason": "TOO_SMALL"}
    seen = crops({"item": "a1", **small}, {"item": "a2", "track": 1.0, **small})
    assert identity_tables.fates(seen, rows)["who"].tolist() == ["subject", "unsure"]
    found = identity_checks._fates(rows, seen)
    assert found.status == PASS


def test_somebody_unsure_in_a_track_of_somebody_else_does_not_follow(judged):
    rows = judged(a=[other(0), subject(1)])
    found = identity_checks._fates(rows, crops(waits("a1"), waits("a2", track=1.0)))
    assert found.status == FAIL and found.rows == ("a1",)


def test_a_crop_that_a_person_kept_or_dropped_says_nothing_of_its_track(judged):
    rows = judged(a=[other(0), subject(1)])
    kept = {"item": "a1", "reason": "OK", "decision": "r1"}
    dropped = {"item": "a2", "track": 1.0, "reason": "DROPPED_BY_REVIEW", "decision": "r2"}
    assert identity_checks._fates(rows, crops(kept, dropped)).status == PASS
    assert identity_checks._fates(rows, crops({**kept, "decision": ""})).status == FAIL


def test_figures_of_a_clip(judged):
    rows = judged(a=[subject(0), other(1), between(2)], b=[])
    seen = crops(
        {"item": "a1", "sureness": 0.8, "identity_by": "track"},
        {"item": "a2"},
        refused("a3", track=1.0),
        waits("a4", track=2.0),
    )
    clip, empty = identity_tables.per_clip(rows, seen, ["a", "b"]).to_dict("records")
    assert (clip["considered"], clip["kept"], clip["dropped"], clip["quarantined"]) == (4, 2, 1, 1)
    assert (clip["subject_tracks"], clip["other_tracks"], clip["unsure_tracks"]) == (1, 1, 1)
    assert (clip["by_face"], clip["by_track"], clip["by_body"], clip["crops"]) == (1, 1, 0, 2)
    assert clip["least_sureness"] == 0.8 and clip["faces_seen"] == 15
    assert empty["considered"] == 0 and empty["crops"] == 0 and empty["mode"] == "references"


def delivery(rows, seen):
    videos = identity_tables.per_clip(rows, seen, sorted(set(rows["video"])))
    found = identity_checks.delivery_checks(rows, videos, QC)
    return {check.name: check for check in found}


def test_references_of_somebody_else_deliver_nothing_and_say_so(judged):
    rows = judged(a=[other(0)], b=[other(0)])
    found = delivery(rows, crops(refused("a1"), refused("b1")))
    assert found["subject_found"].status == FAIL
    assert found["subject_found"].figure == "in 0 of 2 clips with people"
    assert found["clips_show_the_subject"].status == PASS, "it is said once"


def test_where_nobody_is_named_it_is_said_by_that_check(judged):
    rows = judged("cluster", a=[track(0, "unsure", "nobody_named", by="")])
    nobody = waits("a1", identity_by="", identity_why="nobody_named")
    assert delivery(rows, crops(nobody))["subject_found"].status == PASS
    found = reference_checks.named(Told(said="no clear majority"), rows, references())
    assert found.status == FAIL and found.figure == "no clear majority"
    assert found.rows == ("a-t0",)


def test_a_track_is_called_as_it_is_decided_about():
    video = "asl-again-4b2098bf6e"
    assert contract.track_of(identity_tables.name_of(video, 12.0)) == (video, 12)


def test_a_clip_known_by_the_set_alone_is_named(judged):
    rows = judged(a=[subject(0)], b=[track(0, "subject", "only_person", by="set")])
    seen = crops({"item": "a1"}, {"item": "b1", "identity_by": "set"})
    assert delivery(rows, seen)["clips_known_by_a_face"].rows == ("b",)


def test_without_people_all_is_well(judged):
    rows = judged(a=[], b=[])
    nothing, found = stage_tables.load([], "crop"), stage_tables.load([], "detect")
    videos = identity_tables.per_clip(rows, nothing, ["a", "b"])
    checks = [
        *identity_checks.table_checks(rows, ["a", "b"]),
        *identity_checks.face_checks(rows, found, QC),
        *identity_checks.judgement_checks(rows, nothing, QC),
        *identity_checks.delivery_checks(rows, videos, QC),
        reference_checks.named(Told(said="no voting clip shows a face"), rows, references()),
    ]
    assert {check.status for check in checks} == {PASS}


def test_faces_that_nearly_all_are_too_small_are_told(judged):
    found = pd.DataFrame([{"video": "a", "item": "a1", "parent": "a1", "outcome": "kept"}])
    rows = judged(a=[subject(0, faces=1, faces_seen=40)])
    rows.loc[rows["track"].isna(), "faces"] = 1
    checks = {check.name: check for check in identity_checks.face_checks(rows, found, QC)}
    assert checks["faces_judged"].status == WARN
    assert checks["faces_judged"].figure == "1 of 40 faces"
    assert checks["faces_searched"].status == PASS


# --- who says who it is -------------------------------------------------------------------------


def people(*clips, subject=None):
    lines = [
        {"person": float(n), "clips": float(c), "tracks": 3.0, "subject": str(int(n == subject))}
        for n, c in enumerate(clips)
    ]
    return pd.DataFrame(lines, columns=list(identity_tables.PEOPLE_COLUMNS))


@pytest.mark.parametrize(
    ("clips", "status", "said"),
    [
        ((9,), PASS, "the person in 9 voting clips"),
        ((9, 4), PASS, "the person in 9 voting clips; the next of 2 people is in 4"),
        ((9, 5), WARN, "the person in 9 voting clips; the next of 2 people is in 5"),
    ],
)
def test_who_leads_a_vote(clips, status, said):
    found = reference_checks.leads(people(*clips, subject=0))
    assert (found.status, found.figure) == (status, said)


def test_a_vote_without_a_winner_says_who_was_there():
    assert reference_checks.vote_said(people(5, 5, 1)) == "nobody; 3 people, in 5, 5, 1 clips"
    assert reference_checks.leads(people()).status == PASS


def test_more_than_one_person_where_nobody_is_judged_is_a_warning(judged):
    rows = judged("single", a=[])
    told = Told(said="nobody is judged; 2 clips were looked at")
    for count, status in ((0, PASS), (1, PASS), (2, WARN)):
        pictures = references()
        (found,) = reference_checks.checks(told, pictures, people(*[1] * count), rows)
        assert (found.name, found.status) == ("one_person_where_nobody_is_judged", status)


def test_a_few_clips_that_are_gone_do_not_matter():
    assert reference_checks.voters(Told(voters=("a", "b"), gone=("c",))).status == PASS
    found = reference_checks.voters(Told(voters=("a",), gone=("b", "c")))
    assert found.status == WARN and found.rows == ("b", "c")


def references(*rows):
    known = {"setting": "subject.references", "sha256": "", "outcome": "kept", "reason": ""}
    known |= {"value": 0.6, "threshold": ABOVE, "detail": ""}
    lines = [known | {"file": f"{n}.png"} | row for n, row in enumerate(rows)]
    return pd.DataFrame(lines, columns=list(identity_tables.REFERENCE_COLUMNS))


def of_pictures(*rows):
    found = [
        *reference_checks.picture_checks(references(*rows)),
        reference_checks.unused(references(*rows)),
    ]
    return {check.name: check for check in found}


def test_references_that_agree_pass():
    found = of_pictures({}, {"value": 0.5}, {"value": 0.7})
    assert {check.status for check in found.values()} == {PASS}
    assert found["references_agree"].figure == "lowest 0.50"


def test_one_picture_is_few_and_its_size_is_no_likeness():
    alone = {"value": 90.0, "threshold": np.nan, "detail": "the only picture"}
    found = of_pictures(alone)
    assert found["references_enough"].status == WARN
    assert found["references_agree"].status == PASS
    assert found["references_agree"].figure == "nothing to compare"


def test_a_picture_sent_twice_is_no_reason_to_warn():
    twice = {"outcome": "dropped", "reason": "DUPLICATE_PICTURE", "value": np.nan}
    assert of_pictures({}, {}, {}, twice)["reference_files_used"].status == PASS


def test_pictures_of_others_are_not_counted_as_references():
    other = {"setting": "subject.not"}
    found = of_pictures({}, {}, {}, other, other | {"outcome": "dropped", "reason": "SMALL_FACE"})
    assert found["references_enough"].figure == "3 used"
    assert found["reference_files_used"].rows == ("4.png",)


def test_where_nobody_is_named_the_pictures_that_were_not_used_are_told(judged):
    """The page told them; the message that ended the run did not."""
    rows = judged("cluster", a=[track(0, "unsure", "nobody_named", by="")])
    small = {"setting": "subject.not", "outcome": "dropped", "reason": "SMALL_FACE"}
    small |= {"file": "woman.png", "value": 51.9, "threshold": 64.0}
    blind = {"outcome": "quarantined", "reason": "NO_REFERENCE_FACE", "value": np.nan}
    twice = {"outcome": "dropped", "reason": "DUPLICATE_PICTURE", "value": np.nan}
    told = Told(said="no clear majority")
    found = reference_checks.named(told, rows, references(small, blind, twice, {}))
    assert found.explanation.endswith(
        " Not used: woman.png (a face of less than 64 px: 51.9 (bound 64)), 1.png (no face)."
    )
    assert "needs 64 px" in found.explanation
    assert "the folder that subject.not names" in found.explanation
    many = reference_checks.named(told, rows, references(*[blind] * 7))
    assert many.explanation.endswith("4.png (no face) and 2 more.")
    nothing = reference_checks.named(told, rows, references()).explanation
    assert "such as strangers, and name it in subject.not" in nothing
    assert "Not used" not in nothing and "into the folder references of this set" in nothing


def test_what_is_not_used_comes_first_with_its_reason():
    bad = {"outcome": "quarantined", "reason": "UNREADABLE_PICTURE", "detail": "HEIC is not read"}
    rows = reference_checks.listed(references({}, bad))
    assert rows["file"].tolist() == ["1.png", "0.png"]
    assert rows["why"].tolist() == ["no pictures that can be read; HEIC is not read", ""]


# --- what is shown ------------------------------------------------------------------------------


def test_the_most_urgent_doubts_come_first_a_picture_a_track():
    rows = crops(
        *(waits(f"a{n}", identity_why="no_face") for n in range(3)),
        waits("a3", track=1.0, identity_why="between"),
        waits("a4", track=2.0, identity_why="faces_disagree"),
        waits("a5", track=0.0, identity_why="a_reason_of_tomorrow"),
    )
    found = identity_pictures.doubtful(rows, 60)
    assert found["item"].tolist() == ["a5", "a4", "a3", "a1"]
    assert len(identity_pictures.doubtful(rows, 2)) == 2


def test_a_track_that_is_unsure_and_waits_for_nobody_is_shown_and_says_why(tmp_path, judged):
    """Counted as unsure, it was nowhere to be seen: all of it was too small."""
    small = {"reason": "TOO_SMALL", "outcome": "dropped", "identity_why": "beside_subject"}
    rows = crops(
        {"item": "a1"},
        {"item": "a2", "track": 1.0, **small},
        waits("a3", track=2.0, identity_why="no_face"),
        {"item": "a4", "track": 2.0, **small},
    )
    whole = judged(a=[subject(0), between(1), between(2), between(3, frames=0)])
    assert identity_pictures.unsure_but_settled(whole, rows)["item"].tolist() == ["a2"]
    where = identity_pictures.Pictures(tmp_path, {})
    (gallery,) = identity_pictures.doubts(whole, rows, references(), where, 60)
    assert "1 of 1 tracks are shown" in gallery.note and " 1 track more: unsure too" in gallery.note
    assert "but nothing is to be decided" in gallery.note and "make review" in gallery.note
    assert identity_checks.counts(whole, rows, ["a"])["Unsure, with nothing to decide"] == 1
    table = identity_pictures.page_tables(whole, rows, references(), references())[-1]
    assert table.rows[["track", "waiting"]].to_numpy().tolist() == [["a-t1", 0], ["a-t2", 1]]
    assert [thumb.item for thumb in gallery.thumbs][-2:] == ["a3", "a2"]
    assert gallery.thumbs[-1].detail.startswith("left out: TOO_SMALL")
    assert "left out" not in gallery.thumbs[-2].detail


def test_the_weakest_evidence_comes_first():
    rows = crops(
        {"item": "a1"},
        {"item": "a2", "track": 1.0, "identity_by": "track", "sureness": 0.9},
        {"item": "a3", "track": 1.0, "identity_by": "track", "sureness": 0.6},
        {"item": "a4", "track": 2.0, "identity_by": "body", "sureness": 0.7},
        {"item": "a5", "track": 3.0, "identity_by": "set", "sureness": 0.5},
        waits("a6", track=4.0),
    )
    assert identity_pictures.weakest(rows, 9)["item"].tolist() == ["a5", "a4", "a3", "a1"]


def test_without_references_the_surest_faces_stand_for_the_subject(tmp_path):
    rows = crops(
        {"item": "a1", "identity_score": 0.6},
        {"item": "a2", "identity_score": 0.8},
        {"item": "b1", "identity_score": 0.7},
        {"item": "b2", "identity_score": 0.9, "identity_by": "body"},
    )
    where = identity_pictures.Pictures(Path(tmp_path), {})
    shown = identity_pictures.beside(rows, references(), where)
    assert [thumb.item for thumb in shown] == ["a2", "b1"]


def test_no_chart_is_empty(judged):
    nobody = judged("cluster", a=[track(0, "unsure", "nobody_named", by="", faces_seen=0)])
    waiting = crops(waits("a1", identity_why="nobody_named"))
    videos = identity_tables.per_clip(nobody, waiting, ["a"])
    found = identity_pictures.distributions(nobody, waiting, videos)
    assert [chart.title for chart in found] == ["Why", "Clips"]
    nothing = stage_tables.load([], "crop")
    empty = identity_tables.per_clip(judged(b=[]), nothing, ["b"])
    assert identity_pictures.distributions(judged(b=[]), nothing, empty) == []


def test_tracks_that_a_person_joined_add_up_together(judged):
    """Tracks 0 and 2 are one now; of track 1, which was cut, a piece is joined to track 3."""
    rows = [
        subject(0, frames=4, joined="2"),
        replace(other(1, frames=1), linked_track=1),
        replace(other(2, frames=3), linked_track=1, joined="3"),
    ]
    numbers = [0.0, 0.0, 2.0, 2.0, 1.0, 1.0, 3.0, 3.0]
    found = pd.DataFrame({"video": "a", "track": numbers, "outcome": "kept"})
    followed = pd.DataFrame({"video": "a", "track": [0.0, 1.0, 2.0, 3.0]})
    now = [0.0] * 4 + [1.0] + [2.0] * 3
    seen = crops(*({"item": f"a{place}", "track": number} for place, number in enumerate(now)))

    def statuses(table):
        checks = identity_checks.sum_checks(table, followed, found, seen)
        return {check.name: check.status for check in checks}

    assert set(statuses(judged(a=rows)).values()) == {PASS}
    untold = [replace(row, joined="") for row in rows]
    told = statuses(judged(a=untold))
    assert told["judged_frames_add_up"] == told["one_judgement_a_track"] == FAIL
