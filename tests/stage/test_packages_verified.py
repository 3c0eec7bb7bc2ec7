"""What `verify` says of packages of every format: nothing while sound, then what changed."""

from pathlib import Path

import pytest

from ferrari.ledger import tables as ledger_tables
from ferrari.provenance import table_stamps
from ferrari.verification.disk_files import Hasher
from ferrari.verification.findings import Findings, Layout
from ferrari.verification.tables import Tables
from ferrari.verification.whole_set import WholeSet
from tests.stage.final_set import Clip, package, select
from tests.stage.test_packages_formats import FOLDERS, FORMATS, SHARDS

CHECKS = ("packages_as_final", "rows_name_their_files", "files_present", "files_unchanged")


@pytest.fixture(scope="module")
def packaged(tmp_path_factory):
    """Three images, packaged in every format with masks on a grid; with stamps."""
    dataset = tmp_path_factory.mktemp("packaged")
    select(dataset, [Clip(dataset, "a.mp4", frames=1, variants=3)])
    for form in FORMATS:
        package(dataset, form, fit="square", resolution=64, mask_grid=8, link=False)
        stamp(dataset, form)
    return dataset


def stamp(dataset: Path, form: str) -> None:
    table = dataset / f"05_final_training/{form}.csv"
    final = str(dataset / "05_final_training/final.csv")
    arguments = {"rule": "package", "code": "", "settings": {}, "inputs": [final]}
    table_stamps.write(table=table, dataset=dataset, **arguments)


def told(dataset: Path, form: str) -> set[tuple[str, str]]:
    """(check, where) of what is found wrong with one package."""
    layout = Layout(dataset=dataset, raw=dataset, formats=(form,), videos={})
    findings = Findings()
    with Hasher() as hasher:
        tables = Tables(layout, hasher, findings)
        tables.look()
        whole = WholeSet(layout, tables, findings)
        whole.check_final()
        whole.check_package(form, hasher)
    wanted = (*CHECKS, "no_unlisted_files")
    return {(one.check, one.where) for one in findings.listed() if one.check in wanted}


@pytest.mark.parametrize("form", FORMATS)
def test_a_sound_package_passes_and_a_changed_one_does_not(packaged, form):
    assert told(packaged, form) == set()
    line = ledger_tables.read_stage(packaged / f"05_final_training/{form}.csv", "package")[1]
    path = packaged / line["path"]
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    try:
        assert told(packaged, form) == {("files_unchanged", line["path"])}
    finally:
        path.write_bytes(data)


def looked(dataset: Path) -> list[tuple[str, str, str]]:
    """(check, where, why) of what a look at the tables of all packages finds."""
    findings = Findings()
    with Hasher() as hasher:
        layout = Layout(dataset=dataset, raw=dataset, formats=tuple(FORMATS), videos={})
        Tables(layout, hasher, findings).look()
    return [(one.check, one.where, one.why) for one in findings.listed()]


def test_no_table_that_a_set_should_have_is_stale(packaged):
    assert not [where for check, where, _ in looked(packaged) if check == "nothing_of_clips_gone"]


def test_why_a_table_cannot_be_what_was_read_is_told_as_it_is(packaged):
    final = packaged / "05_final_training/final.csv"
    aside = final.rename(packaged / "aside.csv")
    final.mkdir()
    try:
        told = {why for check, _, why in looked(packaged) if check == "inputs_as_stamped"}
    finally:
        final.rmdir()
        aside.rename(final)
    assert told == {"05_final_training/final.csv, which it read, cannot be read: Is a directory"}


@pytest.mark.parametrize("form", ["imagefolder", "llava", "llamafactory", "trl"])
def test_a_caption_changed_among_many_is_found_under_a_new_stamp(packaged, form):
    line = ledger_tables.read_stage(packaged / f"05_final_training/{form}.csv", "package")[1]
    path = packaged / line["caption_path"]
    text = path.read_text()
    path.write_text(text.replace(line["caption"], "sks person, another", 1))
    stamp(packaged, form)
    try:
        assert {check for check, _ in told(packaged, form)} == {"packages_as_final"}
    finally:
        path.write_text(text)
        stamp(packaged, form)


def test_the_manifest_says_what_a_changed_image_was_made_of(packaged):
    table = packaged / "05_final_training/kohya.csv"
    rows = ledger_tables.read_stage(table, "package")
    final = ledger_tables.read_stage(packaged / "05_final_training/final.csv", "final")
    assert [row["source_sha256"] for row in rows] == [row["sha256"] for row in final]
    rows[0]["source_sha256"] = "0" * 64
    text = table.read_bytes()
    ledger_tables.write_stage(table, "package", rows)
    stamp(packaged, "kohya")
    try:
        assert told(packaged, "kohya") == {("packages_as_final", rows[0]["item"])}
    finally:
        table.write_bytes(text)
        stamp(packaged, "kohya")


def test_every_format_is_among_these():
    from ferrari.common.settings import DEFAULTS

    schema = (DEFAULTS.parent / "config.schema.yaml").read_text()
    (line,) = (text for text in schema.splitlines() if "enum: [kohya" in text)
    names = line.partition("enum: [")[2].partition("]")[0].split(", ")
    assert set(names) == set(FOLDERS) | set(SHARDS)
