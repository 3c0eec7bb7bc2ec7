"""Weights ahead of a run."""

from __future__ import annotations

import pytest
import yaml

from ferrari.networks import weight_files
from scripts.tools import get_weights


@pytest.fixture
def fetched(monkeypatch):
    """What was fetched, in place of fetching it."""
    calls = []

    def fetch(**asked):
        calls.append(asked)
        asked["target"].parent.mkdir(parents=True)
        asked["target"].touch()

    monkeypatch.setattr(get_weights.fetch_weights, "fetch_weights", fetch)
    return calls


def overlay(folder, **sections):
    file = folder / "my.yaml"
    file.write_text(yaml.safe_dump({"cache": str(folder / "kept"), **sections}))
    return str(file)


def test_what_the_settings_name_and_is_not_there_is_fetched_once(tmp_path, fetched):
    asked = ["--config", overlay(tmp_path, models={"timeout_s": 7})]
    assert get_weights.main(asked) == 0
    assert [call["name"] for call in fetched] == ["yolo11s", "yunet", "sface", "isnet", "selfie"]
    assert {call["timeout_s"] for call in fetched} == {7}
    assert fetched[0]["target"].parent == tmp_path / "kept/weights/yolo11s"
    assert get_weights.main(asked) == 0
    assert len(fetched) == 5


def test_those_of_a_set_go_where_its_run_looks(tmp_path, fetched):
    """And by the set's own settings file, as a plan goes by it."""
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({"cache": "kept"}))
    assert get_weights.main(["--work", str(tmp_path)]) == 0
    assert fetched[0]["target"].parent == tmp_path / "kept/weights/yolo11s"


def test_where_no_face_is_searched_no_weights_for_them_are_fetched(tmp_path, fetched):
    nobody = overlay(tmp_path, subject={"mode": "single", "voting_clips": 0})
    assert get_weights.main(["--config", nobody]) == 0
    assert [call["name"] for call in fetched] == ["yolo11s", "isnet", "selfie"]


def test_what_lies_in_the_repository_is_not_fetched(tmp_path, fetched):
    assert get_weights.main([str(tmp_path), "--config", "config/demo.yaml"]) == 0
    assert fetched == []


@pytest.mark.parametrize("named", ["relative", "absolute"])
def test_what_is_in_a_folder_of_shared_weights_is_not_fetched(
    tmp_path, fetched, monkeypatch, named
):
    """A relative one is seen from the set, as its runs see it."""
    (tmp_path / "my.yaml").write_text("cache: kept\n")
    isnet = tmp_path / "shared/isnet/isnet-general-use.fp16.onnx"
    isnet.parent.mkdir(parents=True)
    isnet.touch()
    given = "shared" if named == "relative" else str(tmp_path / "shared")
    monkeypatch.setenv(weight_files.GIVEN, given)
    assert get_weights.main(["--work", str(tmp_path)]) == 0
    assert [call["name"] for call in fetched] == ["yolo11s", "yunet", "sface", "selfie"]
    assert {call["target"].parents[1] for call in fetched} == {tmp_path / "kept/weights"}
    assert get_weights.main(["--work", str(tmp_path), str(tmp_path / "image")]) == 0
    assert len(fetched) == 4 + 5, "a folder that is named gets all of them"


def test_weights_of_one_s_own_are_looked_for_in_the_set(tmp_path, fetched):
    """One without an ending was no weights at all, as seen from elsewhere."""
    (tmp_path / "own").mkdir()
    (tmp_path / "my.yaml").write_text("detect: {weights: own}\n")
    assert get_weights.main(["--work", str(tmp_path)]) == 0
    assert [call["name"] for call in fetched] == ["yunet", "sface", "isnet", "selfie"]


def test_a_folder_of_shared_weights_that_is_none_is_told(tmp_path, fetched, monkeypatch, capsys):
    monkeypatch.setenv(weight_files.GIVEN, str(tmp_path / "none"))
    assert get_weights.main(["--config", overlay(tmp_path)]) == 0
    assert f"FERRARI_WEIGHTS: there is no folder {tmp_path / 'none'}" in capsys.readouterr().err


def test_weights_that_cannot_be_had_are_an_error(tmp_path, capsys):
    named = overlay(tmp_path, detect={"weights": "yolo11m-nonsense"})
    assert get_weights.main([str(tmp_path), "--config", named]) == 1
    assert "yolo11m-nonsense" in capsys.readouterr().err


@pytest.mark.parametrize("accepted", [False, True])
def test_weights_that_are_not_for_commercial_use_are_fetched_on_request(
    tmp_path, fetched, monkeypatch, capsys, accepted
):
    monkeypatch.setitem(weight_files.table()["models"]["isnet"], "noncommercial", True)
    models = overlay(tmp_path, models={"accept_noncommercial": accepted})
    assert get_weights.main(["--config", models]) == (0 if accepted else 1)
    assert len(fetched) == (5 if accepted else 0)
    assert ("accept_noncommercial: true" in capsys.readouterr().err) is not accepted


def test_weights_in_the_sets_folder_are_found(tmp_path, fetched, capsys):
    """A folder without an ending counts as weights only where it is found."""
    (tmp_path / "people").mkdir()
    (tmp_path / "my.yaml").write_text("detect: {weights: people}\n")
    assert get_weights.main(["--work", str(tmp_path)]) == 0, capsys.readouterr().err
    assert "people" not in [one["name"] for one in fetched]
