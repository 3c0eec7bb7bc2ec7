"""Who the subject is, in the graph: what a change plans anew, and what ends a run before it starts.

On stubs without footage and without networks.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from bench import stubs
from ferrari.ledger import item_ids, stages
from ferrari.review import writing
from ferrari.subject import pins
from tests.unit.review.rows import decided, undone
from tests.workflow import warm_snakemake
from tests.workflow.demo_run import Demo

pytestmark = pytest.mark.timeout(300)
CLIPS = 3
VIDEOS = [item_ids.video_id(stubs.file_name(number)) for number in range(CLIPS)]
REFERENCES = {"subject": {"mode": "references", "references": "pictures", "voting_clips": 24}}
CLUSTER = {"subject": {"mode": "cluster", "voting_clips": 24}}
SINGLE = {"subject": {"mode": "single", "voting_clips": 0}}


def finished(folder: Path, overlay: dict) -> Demo:
    """A few clips for which nothing is to be done under these settings."""
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures/one.png").write_bytes(b"a picture")
    (folder / "overlay.yaml").write_text(yaml.safe_dump(overlay))
    stubs.finished(folder, CLIPS, folder / "overlay.yaml", warm_snakemake.on_stubs)
    return Demo(folder)


@pytest.fixture(scope="module")
def referenced(tmp_path_factory) -> Demo:
    return finished(tmp_path_factory.mktemp("references") / "run", REFERENCES)


@pytest.fixture(scope="module")
def voted(tmp_path_factory) -> Demo:
    run = finished(tmp_path_factory.mktemp("vote") / "run", CLUSTER)
    pins.pin(run.dataset / stages.SUBJECT_PINNED_CSV, VIDEOS)
    return run


@pytest.fixture(scope="module")
def single(tmp_path_factory) -> Demo:
    return finished(tmp_path_factory.mktemp("single") / "run", SINGLE)


def per_clip(planned: dict[str, int]) -> dict[str, int]:
    """Jobs of the rules up to the crops."""
    return {rule: planned.get(rule, 0) for rule in ("probe", "extract", "detect", "who", "crop")}


def test_nothing_is_to_be_done(referenced, voted):
    assert referenced.planned(overlay=REFERENCES) == voted.planned(overlay=CLUSTER) == {}


@pytest.mark.parametrize(
    ("key", "value"), [("above", 0.5), ("below", 0.3), ("body_similarity", 0.8), ("body_gap_s", 9)]
)
def test_a_threshold_judges_anew_and_searches_nothing(referenced, key, value):
    changed = {"subject": REFERENCES["subject"] | {key: value}}
    jobs = per_clip(referenced.planned(overlay=changed))
    assert jobs == {"probe": 0, "extract": 0, "detect": 0, "who": 0, "crop": CLIPS}


def test_a_policy_changes_nothing_where_everybody_is_judged(referenced):
    changed = REFERENCES | {"detect": {"policy": "most_central"}}
    assert per_clip(referenced.planned(overlay=changed))["crop"] == 0


def test_without_second_looks_people_are_searched_anew(referenced):
    changed = REFERENCES | {"detect": {"second_look": False}}
    assert per_clip(referenced.planned(overlay=changed))["detect"] == CLIPS


def test_where_nobody_is_judged_second_looks_change_nothing(single):
    planned = single.planned(overlay=SINGLE | {"detect": {"second_look": False}})
    assert not any(per_clip(planned).values()), planned


def test_a_token_changes_captions_and_judges_nobody_anew(referenced):
    changed = {"subject": REFERENCES["subject"] | {"token": "ohwx"}}
    planned = referenced.planned(overlay=changed)
    assert planned["caption"] == CLIPS and per_clip(planned)["crop"] == 0


@pytest.mark.parametrize("how", ["changed", "added"])
def test_another_picture_names_the_subject_anew(referenced, tmp_path, how):
    copy = referenced.copy(tmp_path / "copy")
    name = "one.png" if how == "changed" else "two.png"
    (copy.folder / "pictures" / name).write_bytes(b"another picture")
    jobs = per_clip(copy.planned(overlay=REFERENCES))
    assert jobs == {"probe": 0, "extract": 0, "detect": 0, "who": 1, "crop": CLIPS}


def test_a_picture_dropped_by_a_person_judges_all_clips_anew_and_undo_nothing(referenced, tmp_path):
    copy = referenced.copy(tmp_path / "copy")
    drop = decided("drop", "0" * 64, "reference")
    writing.append(copy.dataset, [drop])
    jobs = per_clip(copy.planned(overlay=REFERENCES))
    assert jobs == {"probe": 0, "extract": 0, "detect": 0, "who": 1, "crop": CLIPS}
    writing.append(copy.dataset, [undone(drop)])
    assert copy.planned(overlay=REFERENCES) == {}


@pytest.mark.parametrize("which", ["referenced", "voted"])
def test_one_clip_more_is_that_clips_work_alone(request, tmp_path, which):
    overlay = {"referenced": REFERENCES, "voted": CLUSTER}[which]
    copy = request.getfixturevalue(which).copy(tmp_path / "copy")
    stubs.raw_files(copy.folder, CLIPS + 1)
    jobs = per_clip(copy.planned(overlay=overlay))
    assert jobs == {"probe": 1, "extract": 1, "detect": 1, "who": 0, "crop": 1}


def test_of_a_pin_that_names_clips_which_are_gone_the_others_decide(voted, tmp_path):
    copy = voted.copy(tmp_path / "copy")
    (copy.dataset / "00_raw_videos" / stubs.file_name(0)).unlink()
    assert per_clip(copy.planned(overlay=CLUSTER))["who"] == 1


def test_a_pin_of_another_dataset_ends_the_run(voted, tmp_path):
    copy = voted.copy(tmp_path / "copy")
    pinned = copy.dataset / stages.SUBJECT_PINNED_CSV
    pinned.unlink()
    pins.pin(pinned, ["somebody-elses-0123456789"])
    output = copy.run("-n", check=False, overlay=CLUSTER)
    assert "another dataset's" in output and "Traceback" not in output


def test_without_faces_no_weights_for_them_are_fetched(tmp_path):
    run = Demo(tmp_path)
    stubs.raw_files(run.folder, 1)
    assert "yunet" not in run.run("-n")
    with_faces = run.run("-n", overlay={"subject": {"mode": "single", "voting_clips": 1}})
    assert "yunet" in with_faces and "sface" in with_faces


def test_the_mode_is_references_where_their_folder_is(tmp_path):
    run = Demo(tmp_path)
    stubs.raw_files(run.folder, 2)
    wanted = {"subject": {"mode": None, "references": None, "not": None, "voting_clips": 1}}
    votes = "subject/who.npz"
    asked = ("-n", "-p", "dataset/subject/who.npz")
    assert run.planned(*asked, overlay=wanted).get("detect") == 1, votes
    (tmp_path / "references").mkdir()
    (tmp_path / "references/one.png").write_bytes(b"a picture")
    assert "detect" not in run.planned(*asked, overlay=wanted)


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        ({"mode": "references"}, "the folder references ("),
        ({"mode": None, "references": "nowhere"}, "the folder nowhere ("),
        ({"mode": "references", "references": "empty"}, "the folder empty ("),
        ({"mode": "cluster", "not": "nowhere", "voting_clips": 1}, "subject.not"),
        ({"mode": "cluster", "voting_clips": 0}, "subject.voting_clips is 0"),
        ({"mode": "cluster", "voting_clips": 1, "above": 0.2}, "subject.below is 0.36"),
        ({"face_embedding": "nothing"}, "'nothing'"),
        ({"above": 1.5}, "subject.above"),
    ],
)
def test_settings_that_lead_nowhere_end_the_run_before_its_first_job(tmp_path, subject, told):
    run = Demo(tmp_path)
    stubs.raw_files(run.folder, 1)
    (tmp_path / "empty").mkdir()
    output = run.run("-n", check=False, overlay={"subject": subject})
    assert told in output and "Traceback" not in output


def test_of_a_class_other_than_person_nobody_is_judged(tmp_path):
    run = Demo(tmp_path)
    stubs.raw_files(run.folder, 1)
    dogs = {"subject": {"mode": "cluster", "voting_clips": 24}, "detect": {"class": "dog"}}
    output = run.run("-n", overlay=dogs)
    assert "yunet" not in output and os.path.isdir(tmp_path)
