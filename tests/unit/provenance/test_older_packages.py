"""A package that the settings would not make as it is, is called one of an older set."""

from __future__ import annotations

import json

import pytest

from ferrari.common import settings
from ferrari.provenance import older_packages, table_stamps
from tests.unit.provenance.test_last_run import record
from tools import lint_package


@pytest.fixture
def work(tmp_path):
    """A set with two packages, made with the token sks, and the record of the run."""
    final = tmp_path / "dataset/05_final_training"
    final.mkdir(parents=True)
    (final / "final.csv").write_text("item\n")
    for name in ("kohya", "imagefolder"):
        package(tmp_path / "dataset", name)
    record(tmp_path, "1", {})
    return tmp_path


def package(dataset, name, token="sks"):
    config = settings.completed({"subject": {"token": token}})
    table = dataset / f"05_final_training/{name}.csv"
    table.with_suffix("").mkdir()
    table.write_text("item,outcome\n")
    section = {key: value for key, value in config["package"].items() if key != "formats"}
    table_stamps.write(
        table=table,
        dataset=dataset,
        rule="package",
        code="c",
        settings={"package": section, "subject": config["subject"], "about": None},
        inputs=[str(table.with_name("final.csv"))],
    )


def headlines(work, overlay):
    found = older_packages.find(work / "dataset", settings.completed(overlay))
    return {name: one.headline for name, one in found.items()}


def test_packages_of_these_settings_are_no_news(work):
    assert headlines(work, {}) == {}
    assert older_packages.not_asked_for(work / "dataset", settings.load()) == []


def test_a_format_that_is_not_asked_for_is_not_made_any_more(work):
    overlay = {"package": {"formats": ["kohya"]}, "subject": {"token": "sks"}}
    assert headlines(work, overlay) == {
        "imagefolder": "of an earlier run (token sks), not made any more: "
        "package.formats does not name it"
    }
    (said,) = older_packages.not_asked_for(work / "dataset", settings.completed(overlay))
    assert said.startswith("imagefolder: of an earlier run (token sks)")
    assert "`make tidy` deletes 05_final_training/imagefolder with its table" in said


def test_other_settings_and_other_images_are_named(work):
    overlay = {"package": {"resolution": 512}, "subject": {"token": "ohwx"}}
    assert headlines(work, overlay)["kohya"] == (
        "of an older set (token sks): package.resolution: 1024, now 512; "
        "subject.token: sks, now ohwx"
    )
    (work / "dataset/05_final_training/final.csv").write_text("item\nmore\n")
    assert headlines(work, {})["kohya"].endswith("final.csv has other images now")


def test_lint_package_says_it_too(work):
    folder = work / "dataset/05_final_training/imagefolder"
    assert lint_package.older_set(folder) == []
    record(work, "2", {"package": {"formats": ["kohya"]}})
    (finding,) = lint_package.older_set(folder)
    assert finding.check == "ferrari/older-set" and "(token sks), not made any more" in str(finding)
    assert lint_package.older_set(work) == []  # anybody's folder


def test_a_broken_stamp_is_left_to_verify(work):
    stamp = work / "dataset/stamps/05_final_training/imagefolder.json"
    stamp.write_text(json.dumps({"settings": {}}))
    assert headlines(work, {"package": {"formats": ["kohya"]}}) == {}
