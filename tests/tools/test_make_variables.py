"""A variable on make's command line that its target does not take ends the call, before anything
is done; what README and docs write is taken.
"""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.settings import ROOT
from tools import make_variables
from tools.make_variables import Variables, fault

TEXT = (ROOT / "Makefile").read_text()
DOCS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "Makefile")]
DOCS += sorted((ROOT / "docs").glob("*.md")) + sorted((ROOT / ".github").rglob("*.yml"))
WRITTEN = re.compile(r"\bmake ([a-z][a-z0-9-]*)((?: +[A-Z_]+=(?:\"[^\"]*\"|<[^>]*>|[^\s`]*))+)")


def make(*words, **environment):
    return subprocess.run(
        ["make", "-n", "--no-print-directory", "-o", ".venv/.ready", *words],
        **{"cwd": ROOT, "capture_output": True, "text": True, "check": False},
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", **environment},
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["plan", "WOKR=/x"], "WOKR is not known; did you mean WORK?"),
        (["plan", "work=/x"], "work is not known; did you mean WORK?"),
        (["run", "CORE=2"], "CORE is not known; did you mean CORES?"),
        (["tidy", "YESS=1"], "YESS is not known; did you mean YES?"),
        (["demo", "WORK=/x"], "make demo does not take WORK, which is for: "),
        (["WORK=/x"], "make help does not take WORK, which is for: "),
        (["merge", "SET=/x"], "SET is not known: make merge takes FROM, WORK"),
        (["clean", "NOW=1"], "NOW is not known: make clean takes no variable"),
        (["weights", "ZZ=$(shell exit 1)'; #"], "ZZ is not known: make weights takes CONFIG, WORK"),
    ],
)
def test_a_variable_that_is_not_taken_ends_the_call(words, said):
    done = make(*words)
    assert done.returncode == 2 and said in done.stderr and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "WORK=/a b", "CONFIG=x.yaml", "CORES=2"],
        ["decide", "DROP=x", "WHY=it's=so", "SCOPE=reference"],
        ["plan", "decide", "DROP=x", "WORK=/x"],
        ["lint", "SHELL=/bin/bash"],
        ["setup", "PYTHON=no-such-python"],
    ],
)
def test_what_is_taken_goes_through(words):
    done = make(*words)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_environment_is_nobodys_typing_error():
    assert make("plan", WOKR="/x", HOME="/root").returncode == 0


def test_what_another_make_hands_down_was_typed_for_that_one(tmp_path):
    outer = tmp_path / "Makefile"
    outer.write_text(f"all:\n\t$(MAKE) -C {ROOT} -o .venv/.ready plan WORK=/x\n")
    assert '--work "/x"' in make("-f", str(outer), "PREFIX=/usr").stdout


def test_a_target_that_is_not_there_is_for_make_to_name():
    assert "No rule to make target 'plam'" in make("plam", "WORK=/x").stderr


def test_what_is_written_anywhere_is_taken():
    found = []
    for file in DOCS:
        for target, words in WRITTEN.findall(file.read_text()):
            names = re.findall(r"([A-Z_]+)=", re.sub(r'"[^"]*"', "", words))
            found.append((file.name, target))
            assert fault(names, [target], TEXT) == "", f"{file}: make {target}{words}"
    assert {"new", "plan", "decide", "trace", "smoke", "doctor"} <= {target for _, target in found}


def test_what_the_help_lines_name_is_taken():
    variables, named = Variables(TEXT), {}
    for target, told in re.findall(r"^([a-z0-9-]+):.*?##:? (.*)$", TEXT, re.M):
        named[target] = {*re.findall(r"\b([A-Z]{2,}(?:_[A-Z]+)*)=", told)}
        assert named[target] <= variables.taken_by(target) | set(variables.own), target
    assert {"WORK", "CLIPS"} <= named["new"]


@pytest.mark.parametrize(
    ("config", "work"),
    [
        ("/sets/carl/my.yaml", "/sets/carl"),
        ("../carl/my.yaml /x/other.yaml", str(ROOT.parent / "carl")),
        ("/sets/carl/other.yaml", "."),
        ("my.yaml", "."),
        ("config/my.yaml", "."),
    ],
)
@pytest.mark.parametrize("target", ["smoke", "plan", "weights", "doctor", "tidy"])
def test_a_sets_own_settings_name_the_set(config, work, target):
    """`make smoke CONFIG=carl/my.yaml` went into the checkout, where no plan of carl looks."""
    assert f'--work "{work}" ' in make(target, f"CONFIG={config}").stdout
    assert '--work "/other" ' in make(target, f"CONFIG={config}", "WORK=/other").stdout


@pytest.mark.parametrize("target", ["run", "doctor", "tidy", "check-gpu"])
def test_settings_that_lie_beside_a_sets_own_name_the_set(tmp_path, target):
    """`make doctor CONFIG=carl/night.yaml` told of the checkout's cache, and not of carl's."""
    carl = tmp_path / "carl"
    carl.mkdir()
    (carl / "my.yaml").touch()
    words = re.compile(r"--(?:work|set) \"(.*?)\" .*--config (.*?) *(?:--.*)?$", re.M)
    for config, work in (
        (f"{carl}/night.yaml", str(carl)),
        (f"{tmp_path}/all.yaml {carl}/night.yaml", str(carl)),
        (f"{carl}/night.yaml /sets/anna/my.yaml", "/sets/anna"),
        (f"{tmp_path}/all.yaml", "."),
    ):
        found = words.search(make(target, f"CONFIG={config}").stdout)
        assert found and (found[1], found[2]) == (work, config)


def test_a_makefile_is_read_as_make_reads_it():
    text = (
        "CORES ?= 2\nLONG = $(FIRST) \\\n  $(SECOND)\none two: dep ## ONE=x\n\t@run $(ONE) \\\n"
        "\t  $(if $(TWO),--two)\nthree: export X := $(value THREE)\n"
        "three: ## with FERRARI_FOUR\n\trun $(LONG) $(CORES)\n"
    )
    variables = make_variables.Variables(text)
    assert variables.taken_by("one") == variables.taken_by("two") == {"ONE", "TWO"}
    assert variables.taken_by("three") == {"THREE", "FIRST", "SECOND", "FERRARI_FOUR"}
