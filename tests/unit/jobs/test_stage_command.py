"""What a rule's command says is what the job is told, whatever is in the names."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.iocontainers import InputFiles, OutputFiles, Params, ResourceList, Wildcards
from snakemake.utils import format as snakemake_format

from ferrari.jobs import stage_command, stage_job

ODD = "a 'b' \"c\" {d} $e\n-f\udcff=ü.mp4"


def formatted(template: str, config_file: str, params: dict, inputs: list) -> list[str]:
    """The words of a command, as Snakemake and the shell make them."""
    text = snakemake_format(
        template,
        threads=3,
        resources=ResourceList(fromdict={"batch": 4, "device": "auto"}),
        wildcards=Wildcards(fromdict={"video": "clip-1"}),
        params=Params(fromdict=params),
        input=InputFiles(inputs),
        output=OutputFiles(fromdict={"table": "out/t.csv"}),
    )
    told = {"$FERRARI_PYTHON": "python", "$FERRARI_HOME": "home", "$FERRARI_CONFIG": config_file}
    words = shlex.split(text)
    for name, value in told.items():
        words = [word.replace(name, value) for word in words]
    return words


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"dataset": "dataset"}))
    return str(path)


def test_a_job_is_told_what_its_rule_says(config_file):
    settings = {"a": [1, 2.5, None, True], "b": {"c": ODD}}
    params = {"settings": settings, "raw": ODD, "none": None, "seed": -3, "weights": [{"x": 1}]}
    inputs = ["in/t.csv", "w 1.pt", "w2.pt"]
    means = ["batch", "device"]
    names = ["table", "weights*"]
    template = stage_command.stage_command("02_detect_people", names, list(params), means)
    words = formatted(template, config_file, params, inputs)
    assert words[:4] == ["python", "-I", "-S", "home/scripts/run_stage.py"]
    job = stage_job.parse(words[4:])
    assert (job.stage, job.rule, job.threads) == ("02_detect_people", "detect", 3)
    assert (job.log, job.cost) == ("logs/detect/clip-1.log", "benchmarks/detect/clip-1.tsv")
    assert job.params == params and job.params.raw == ODD
    assert job.settings("settings") == {**settings, "batch": 4, "device": "auto"}
    assert job.wildcards.video == "clip-1" and job.config == {"dataset": "dataset"}
    assert job.input.table == "in/t.csv" and job.output.table == "out/t.csv"
    assert list(job.input) == inputs and job.input.all("weights") == inputs[1:]


@pytest.mark.parametrize(
    ("names", "paths", "stand_for"),
    [
        ("", [], {}),
        ("a", ["1"], {"a": ["1"]}),
        ("a,b*", ["1"], {"a": ["1"], "b": []}),
        ("a,b*,c", ["1", "2", "3", "4"], {"a": ["1"], "b": ["2", "3"], "c": ["4"]}),
        ("a*", [], {"a": []}),
    ],
)
def test_files_are_told_apart_by_the_names_of_their_rule(names, paths, stand_for):
    found = stage_job.named_files(names, *paths)
    assert {name.rstrip("*"): found.all(name.rstrip("*")) for name in names.split(",") if name} == (
        stand_for
    )
    assert list(found) == paths


@pytest.mark.parametrize(
    ("names", "paths"),
    [("", ["1"]), ("a", []), ("a", ["1", "2"]), ("a,b*", [])],
)
def test_files_that_do_not_fit_their_names_are_refused(names, paths):
    with pytest.raises(ValueError, match="do not fit the names"):
        stage_job.named_files(names, *paths)


def test_two_names_that_may_each_stand_for_several_files_are_refused():
    # Two files could be one of each, or two of either: nobody could tell.
    for refuse in (
        lambda: stage_command.stage_command("01_extract_frames", ["a", "b*", "c*"], ["code"]),
        lambda: stage_job.named_files("a,b*,c*", "1", "2", "3"),
    ):
        with pytest.raises(ValueError, match=r"b\* and c\* may each stand for several"):
            refuse()


def test_a_name_that_stands_for_several_files_is_not_taken_for_one(config_file):
    files = stage_job.Files({"weights": ["a", "b"], "none": []})
    for name in ("weights", "none", "missing"):
        with pytest.raises(AttributeError, match=name):
            getattr(files, name)
    with pytest.raises(AttributeError, match="no param missing"):
        stage_job.Params().missing  # noqa: B018


def test_the_configuration_is_named_after_its_content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, text = stage_command.config_file({"b": 1, "a": ODD})
    assert stage_command.config_file({"a": ODD, "b": 1}) == (first, text)
    assert stage_command.config_file({"a": ODD, "b": 2})[0] != first


@pytest.fixture
def told(tmp_path, monkeypatch):
    """The configuration's file, as a process has told its jobs."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "FERRARI_PYTHON",
        "FERRARI_HOME",
        "FERRARI_CONFIG",
        "PYTHONPATH",
        "FERRARI_SETTINGS",
    ):
        monkeypatch.setenv(name, "")
    return Path(stage_command.set_environment("python", {"b": 1, "a": ODD}))


def test_telling_the_jobs_writes_nothing_and_the_first_job_writes_the_configuration(told):
    assert list(Path.cwd().iterdir()) == []
    stage_command.place_config()
    assert json.loads(told.read_text()) == {"a": ODD, "b": 1}


def test_jobs_that_begin_together_do_not_take_the_configuration_from_each_other(told):
    code = "from ferrari.jobs import stage_command as s; s.place_config()"
    jobs = [subprocess.Popen([sys.executable, "-c", code], env=job_environment()) for _ in range(6)]
    assert [job.wait() for job in jobs] == [0] * 6
    assert list(told.parent.iterdir()) == [told]
    assert json.loads(told.read_text()) == {"a": ODD, "b": 1}


def job_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(stage_command.SCRIPTS)}


def test_a_process_without_a_run_of_its_own_offers_no_warm_workers(monkeypatch):
    monkeypatch.setenv(stage_command.WARM, "a parent's")
    stage_command.offer_warm_workers(False)
    assert stage_command.WARM not in os.environ
    stage_command.offer_warm_workers(True)
    assert f"{os.getpid()}-" in os.environ.pop(stage_command.WARM)


def test_params_without_their_names_are_refused(config_file):
    template = stage_command.stage_command("02_yolo_crop", [], ["settings", "code"])
    words = formatted(template, config_file, {"settings": {}}, [])
    with pytest.raises(ValueError, match="shorter"):
        stage_job.parse(words[4:])
