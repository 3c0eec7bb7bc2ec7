"""A command that is given no settings takes those of the set's last run, and says so."""

from __future__ import annotations

import json

import pytest
import yaml

from ferrari.common import settings
from ferrari.provenance import last_run
from tools import (
    dashboards,
    decide,
    doctor,
    get_weights,
    plan_run,
    propose_mask,
    smoke,
    tidy,
    trace_item,
    verify,
)


def record(work, name, overlay, **facts):
    """The record of one run below `work`; its folder."""
    folder = work / "audit/runs" / name
    folder.mkdir(parents=True)
    config = settings.completed(overlay)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    known = {"start": f"at {name}", "targets": [], "config_files": ["my.yaml"], "command": "it"}
    (folder / "run.json").write_text(json.dumps(known | facts))
    return folder


def test_the_last_run_that_made_something_counts(tmp_path):
    record(tmp_path, "1", {"subject": {"token": "old"}})
    made = record(tmp_path, "2", {"subject": {"token": "ohwx"}})
    record(tmp_path, "3", {"subject": {"token": "sks"}}, targets=["verified"])
    (tmp_path / "audit/runs/4").mkdir()
    (tmp_path / "audit/runs/4/run.json").write_text("{")
    last = last_run.of(tmp_path / "audit")
    assert (last.folder, last.config["subject"]["token"]) == (made, "ohwx")
    assert (last.config_files, last.had_file) == (("my.yaml",), True)


@pytest.mark.parametrize(
    ("later", "named"),
    [
        ([], "1"),
        ([{"status": "success"}], None),
        ([{"status": "success", "targets": ["all"]}], None),
        ([{"status": "success", "targets": ["qc7"]}], "1"),  # of one report: the rest still waits
        ([{"status": "success", "shard": "2/4"}], "1"),  # of some of the clips
        ([{"status": "success"}, {"status": None}], "3"),
        ([{"status": "success", "targets": ["verified"]}], "1"),  # it looked, and made nothing
    ],
)
def test_a_run_that_did_not_get_to_its_end_is_named_until_a_whole_one_did(tmp_path, later, named):
    for number, facts in enumerate([{"status": "failed"}, *later], start=1):
        record(tmp_path, str(number), {}, **facts)
    found = last_run.unfinished(tmp_path / "audit")
    assert (found and found[0].name) == named


def test_settings_come_from_the_person_then_the_last_run_then_the_defaults(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("subject: {token: mine}\n")
    config, said, file = last_run.settings_for(tmp_path, [])
    assert config["subject"]["token"] == "sks" and "default settings" in said and file is None
    folder = record(tmp_path, "1", {"subject": {"token": "ohwx"}})
    config, said, file = last_run.settings_for(tmp_path, [])
    assert config["subject"]["token"] == "ohwx" and file == folder / "config.yaml"
    assert "settings of the run of at 1" in said and "CONFIG=" in said
    config, said, file = last_run.settings_for(tmp_path, [mine])
    assert (config["subject"]["token"], said, file) == ("mine", "", None)


def test_the_sets_own_file_counts_under_what_a_person_names_and_where_no_run_is_recorded(tmp_path):
    own, mine = tmp_path / "my.yaml", tmp_path / "mine.yaml"
    own.write_text("subject: {token: own, class: man}\n")
    mine.write_text("subject: {token: mine}\n")
    config, said, file = last_run.settings_for(tmp_path, [])
    assert (config["subject"]["token"], file) == ("own", own) and "no run is recorded" in said
    config, said, file = last_run.settings_for(tmp_path, [mine])
    assert (config["subject"]["token"], config["subject"]["class"], file) == ("mine", "man", None)
    assert f"settings of {own}" in said
    assert last_run.files_for(tmp_path, [own]) == ([own], "")


def test_a_run_goes_by_the_sets_own_file_and_only_without_one_by_the_last_run(tmp_path):
    own = tmp_path / "my.yaml"
    assert last_run.files_to_run(tmp_path, [])[0] == []
    folder = record(tmp_path, "1", {})
    files, said = last_run.files_to_run(tmp_path, [])
    assert files == [folder / "config.yaml"] and "settings of the run of at 1" in said
    own.touch()
    assert last_run.files_to_run(tmp_path, []) == ([own], "")
    assert last_run.files_to_run(tmp_path, [str(own)]) == ([own], "")
    files, said = last_run.files_to_run(tmp_path, ["/a.yaml"])
    assert [str(file) for file in files] == [str(own), "/a.yaml"]
    assert said == f"settings of {own}, with those of /a.yaml laid over them"


@pytest.mark.parametrize("tool", [doctor, smoke, get_weights, plan_run])
def test_what_is_asked_before_a_run_goes_by_the_settings_of_the_run(tmp_path, monkeypatch, tool):
    """Of a set without a my.yaml, `make doctor` told of the defaults and `make plan` of its own."""
    folder, asked = record(tmp_path, "1", {}), []

    def load(*files):
        asked.extend(files)
        raise settings.SettingsError("enough")

    monkeypatch.setattr(tool.settings, "load", load)
    assert tool.main(["--work", str(tmp_path)]) > 0
    assert asked == [folder / "config.yaml"]


def test_a_run_that_took_the_settings_of_the_one_before_had_the_files_of_that(tmp_path):
    """`make dashboards` gives Snakemake the last record's settings; nobody chose others."""
    first = record(tmp_path, "1", {})
    second = record(tmp_path, "2", {}, config_files=[str(first / "config.yaml")])
    record(tmp_path, "3", {}, config_files=[str(second / "config.yaml")])
    assert last_run.of(tmp_path / "audit").config_files == ("my.yaml",)
    gone = str(tmp_path / "audit/runs/0/config.yaml")
    record(tmp_path, "4", {}, config_files=[gone])
    assert last_run.of(tmp_path / "audit").config_files == (gone,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("", "names no setting"),
        ("extract:\n\tfps: 3\n", ", line 2 is no YAML"),
    ],
)
@pytest.mark.parametrize(
    "tool",
    [
        *(dashboards, decide, doctor, get_weights, plan_run),
        *(propose_mask, tidy, trace_item, verify),
    ],
    ids=str,
)
def test_a_settings_file_that_says_nothing_is_told_in_one_way(tmp_path, capsys, tool, text, said):
    file = tmp_path / "own.yaml"
    if text is not None:
        file.write_text(text)
    item = ["an-item"] if tool in (trace_item, propose_mask) else []
    assert tool.main([*item, "--work", str(tmp_path), "--config", str(file)]) == 2
    told = capsys.readouterr().err
    assert f"the settings file {file}" in told and said in told and "Traceback" not in told


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ({}, []),
        ({"subject": {"token": "ohwx"}}, ["subject.token: ohwx, now sks"]),
        ({"package": {"formats": ["kohya"]}},
         ['package.formats: ["kohya"], now ["kohya", "imagefolder"]']),
        ({"threads": {"mask": 4}, "mask": {"batch": 1, "device": "cpu"}, "cache": "c"}, []),
        ({"detect": {"of another version": 1}}, []),
    ],
)  # fmt: skip
def test_differences_are_those_that_change_what_is_in_a_set(overlay, said):
    assert last_run.differences(settings.completed(overlay), settings.load()) == said


def test_dashboards_name_the_target_before_the_settings(tmp_path):
    words = dashboards.command(settings.load(), [tmp_path / "my.yaml"], 2)
    assert words.index("qc_reports/index.html") < words.index("--configfile")
    assert words[words.index("--configfile") + 1] == str(tmp_path / "my.yaml")


@pytest.mark.parametrize(
    ("given", "overlay", "said"),
    [
        ([], {"subject": {"token": "sks"}}, "no settings file"),
        (["other.yaml"], {"subject": {"token": "sks"}}, "the settings files other.yaml"),
        (["my.yaml"], {"subject": {"token": "sks"}}, ""),  # it was edited, which is meant
        ([], {"subject": {"token": "ohwx"}}, ""),  # the same settings, by another way
    ],
)
def test_a_set_made_with_other_settings_is_said(tmp_path, given, overlay, said):
    record(tmp_path, "1", {"subject": {"token": "ohwx"}})
    last = last_run.of(tmp_path / "audit")
    text = last_run.other_settings(last, settings.completed(overlay), given)
    assert (said in text) if said else (text == "")
    assert not said or ("subject.token: ohwx, now sks" in text and "--configfile my.yaml" in text)
