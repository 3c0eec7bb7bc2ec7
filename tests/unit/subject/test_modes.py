"""How it is known who the subject is, from the settings and the folders that are there."""

from __future__ import annotations

import pytest

from ferrari.common.settings import SettingsError
from ferrari.subject import modes
from tests.settings import section

SFACE = {"above": 0.45, "below": 0.36}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("references", "mine", "others"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "b.png").touch()
        (tmp_path / name / "a.png").touch()
    return tmp_path


def chosen(class_name="person", **changed):
    return modes.choose(section("subject", **changed), class_name)


def test_the_folder_decides_where_nothing_is_said(here):
    found = chosen()
    assert (found.mode, found.references.path) == ("references", "references")
    assert found.references.files == ("a.png", "b.png")
    for file in ("a.png", "b.png"):
        (here / "references" / file).unlink()
    (here / "references").rmdir()
    assert chosen().mode == "cluster"


def test_a_named_folder_is_used_and_that_of_others_beside_it(here):
    found = chosen(references="mine", **{"not": "others"})
    assert (found.references.path, found.others.path) == ("mine", "others")
    assert found.others.setting == "subject.not"


def test_cluster_and_single_look_into_no_references(here):
    assert chosen(mode="cluster").references is None
    assert chosen(mode="single", **{"not": "others"}).others is None
    assert chosen(mode="cluster", **{"not": "others"}).others.path == "others"


@pytest.mark.parametrize("mode", [None, "references", "cluster", "single"])
def test_of_a_dog_nobody_is_judged_and_it_is_said(here, mode):
    found = chosen("dog", mode=mode)
    assert found.mode == "single" and "detect.class is dog" in found.said


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"references": "nowhere"}, r"subject\.references: the folder nowhere \("),
        ({"mode": "cluster", "not": "nowhere"}, r"subject\.not: the folder nowhere \("),
        ({"mode": "cluster", "voting_clips": 0}, "voting_clips is 0"),
    ],
)
def test_what_leads_nowhere_is_named(here, changed, told):
    with pytest.raises(SettingsError, match=told):
        chosen(**changed)


def test_the_nearest_folder_is_named(here):
    (here / "portraits").mkdir()
    with pytest.raises(SettingsError, match=r"Did you mean .*/portraits\?"):
        chosen(references="portrats")
    (here / "portraits.jpg").touch()
    with pytest.raises(SettingsError, match=r"portraits\.jpg .* is a file and no folder"):
        chosen(references="portraits.jpg")


def test_an_empty_folder_is_named(here):
    (here / "empty").mkdir()
    told = r"subject\.references: the folder empty \(.*\) holds no file; put pictures there, or "
    with pytest.raises(SettingsError, match=f"{told}set it to null$"):
        chosen(references="empty")
    with pytest.raises(SettingsError, match=f"{told}set subject.mode: cluster, and the subject"):
        chosen(mode="references", references="empty")
    with pytest.raises(
        SettingsError, match=r"subject\.not: the folder empty \(.*or set it to null"
    ):
        chosen(**{"mode": "cluster", "not": "empty"})


def test_an_empty_folder_that_nobody_has_named_may_be_deleted(here):
    """It is read because it is there: no setting leads to it."""
    for file in ("a.png", "b.png"):
        (here / "references" / file).unlink()
    told = "holds no file; put pictures there, or delete the folder, and the subject is whom most"
    with pytest.raises(SettingsError, match=told):
        chosen()
    (here / "references").rmdir()
    assert chosen().mode == "cluster"


def test_a_setting_that_is_null_is_not_to_be_set_to_null(here):
    (here / "references").rename(here / "elsewhere")
    with pytest.raises(SettingsError, match=r"folder references .*or set subject\.mode: cluster"):
        chosen(mode="references")


def test_thresholds_are_the_networks_unless_they_are_set():
    found = modes.thresholds(section("subject"), SFACE)
    assert (found.above, found.below) == (0.45, 0.36)
    found = modes.thresholds(section("subject", above=0.6, below=0.0), SFACE)
    assert (found.above, found.below) == (0.6, 0.0)


def test_a_face_cannot_be_the_subjects_and_somebody_elses():
    with pytest.raises(SettingsError, match=r"below is 0\.36 and"):
        modes.thresholds(section("subject", above=0.2), SFACE)


def test_what_judges_is_a_param_where_somebody_is_judged(here):
    subject = section("subject", above=0.5, below=0.3)
    found = modes.judging(modes.Chosen(modes.CLUSTER), subject, modes.thresholds(subject, {}))
    assert found["mode"] == "cluster" and (found["above"], found["below"]) == (0.5, 0.3)
    assert {"body_similarity", "body_gap_s", "sureness_decay"} < found.keys()
    assert modes.judging(modes.Chosen(modes.SINGLE), subject, modes.thresholds(subject, {})) is None
