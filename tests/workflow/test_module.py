"""The workflow as a module of another, which has clips, settings and a package `scripts` too."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import yaml

from bench.stubs import NOBODY_JUDGED
from tests.workflow import small_run, warm_snakemake
from tests.workflow.demo_run import ROOT

pytestmark = pytest.mark.timeout(900)
SNAKEFILE = """
from scripts.greetings import greeting

configfile: "config.yaml"

module ferrari:
    snakefile: "{root}/Snakefile"
    config: config["ferrari"]

use rule * from ferrari as ferrari_*

rule count:
    default_target: True
    input:
        table="dataset/05_final_training/kohya.csv",
        imagefolder="dataset/05_final_training/imagefolder.csv",
    output:
        "count.txt",
    params:
        greeting=greeting(),
    script:
        "scripts/count_images.py"
"""
COUNT = """
from helpers import rows
from scripts.greetings import greeting

assert greeting() == snakemake.params.greeting
with open(snakemake.output[0], "w") as stream:
    stream.write(f"{greeting()}: {rows(snakemake.input.table)}")
"""
SETTINGS = {
    **yaml.safe_load((ROOT / "config/demo.yaml").read_text()),
    **yaml.safe_load(NOBODY_JUDGED.read_text()),
}


@pytest.fixture
def other(tmp_path):
    """The other workflow's folder; its `config.yaml` has our settings in a section."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "__init__.py").touch()
    (scripts / "greetings.py").write_text('def greeting():\n    return "so many"\n')
    (scripts / "helpers.py").write_text(
        "def rows(path):\n    return len(open(path).read().splitlines()) - 1\n"
    )
    (scripts / "count_images.py").write_text(COUNT)
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=ROOT))
    settings(tmp_path)
    return tmp_path


def settings(folder: Path, **changed) -> None:
    ours = {**SETTINGS, **changed}
    (folder / "config.yaml").write_text(yaml.safe_dump({"threads": 3, "ferrari": ours}))


def snakemake(folder: Path, *arguments: str) -> tuple[int, str]:
    done = warm_snakemake.run(arguments, folder)
    return done.returncode, done.stdout


def digests(dataset: Path) -> dict[str, str]:
    return {
        path.relative_to(dataset).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in dataset.rglob("*")
        if path.is_file() and ".snakemake" not in path.parts
    }


@pytest.mark.slow
def test_another_workflow_runs_the_small_set_to_its_packages(other, small):
    """To the same bytes as a run of its own, but for Croissant, which is not asked for."""
    small_run.write_clips(other / "dataset/00_raw_videos")
    status, output = snakemake(other, "--cores", "2")
    assert status == 0, output[-4000:]
    made, own = digests(other / "dataset"), digests(small.dataset)
    of_croissant = {"croissant.json", "stamps/croissant.json"}
    assert own.keys() ^ made.keys() == of_croissant
    assert {name for name in made if made[name] != own[name]} == set()
    images = len((other / "dataset/05_final_training/kohya.csv").read_text().splitlines())
    assert (other / "count.txt").read_text() == f"so many: {images - 1}"
    assert "the fork server" not in output, "jobs have found their warm worker"
    status, output = snakemake(other, "--cores", "2")
    assert status == 0 and "Nothing to be done" in output


def test_a_setting_that_is_none_of_ours_is_refused(other):
    settings(other, detect={"confidense": 0.5})
    status, output = snakemake(other, "-n")
    assert status and "'detect.confidense' was unexpected; did you mean confidence?" in output


def test_without_clips_the_other_workflow_is_told(other):
    status, output = snakemake(other, "-n")
    assert status == 0 and "put your clips there" in output
    status, output = snakemake(other, "--cores", "1")
    assert status and "put your clips there" in output and "localrule" not in output


def edit(folder: Path, before: str, after: str) -> None:
    text = (folder / "Snakefile").read_text()
    assert before in text
    (folder / "Snakefile").write_text(text.replace(before, after))


def test_a_prefix_of_which_jobs_would_not_know_is_refused(other):
    edit(
        other, '    config: config["ferrari"]\n', '    config: config["ferrari"]\n    prefix: "p"\n'
    )
    status, output = snakemake(other, "-n")
    assert status and "the module has a prefix" in output


def test_two_of_it_in_one_run_are_refused(other):
    again = """
module second:
    snakefile: "{root}/Snakefile"
    config: {"dataset": "second"}

use rule * from second as second_*
""".replace("{root}", str(ROOT))
    edit(other, "\nrule count:", f"{again}\nrule count:")
    status, output = snakemake(other, "-n")
    assert status and "used twice in one run" in output


def test_rules_without_the_scripts_beside_them_are_refused(other, tmp_path):
    """As `github(...)` fetches them."""
    fetched = tmp_path / "fetched"
    for folder in ("rules", "config"):
        shutil.copytree(ROOT / folder, fetched / folder)
    shutil.copy(ROOT / "Snakefile", fetched)
    edit(other, f'"{ROOT}/Snakefile"', f'"{fetched}/Snakefile"')
    status, output = snakemake(other, "-n")
    assert status and "clone the repository" in output
