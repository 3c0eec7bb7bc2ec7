"""`make verify`: which words reach Snakemake, and what reaches the person."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.tools import dashboards, verify
from tests.settings import ROOT
from tests.tools.stand_in import snakemake


def stand_in(tmp_path, monkeypatch, *, verdict=None, status=0, log=""):
    """A Snakemake that says its words and noise, writes a verdict or a log, and ends."""
    modules = snakemake(
        tmp_path,
        "import os, pathlib, sys\n"
        "pathlib.Path('words').write_text('\\n'.join(sys.argv[1:]))\n"
        "print('Using workflow specific profile profiles/default')\n"
        f"verdict = {verdict!r}\n"
        "if verdict:\n"
        "    pathlib.Path('logs').mkdir()\n"
        "    pathlib.Path('logs/verified.log').write_text(verdict)\n"
        f"log = {log!r}\n"
        "if log:\n"
        "    pathlib.Path('.snakemake/log').mkdir(parents=True)\n"
        "    pathlib.Path('.snakemake/log/now.snakemake.log').write_text(log)\n"
        f"status = {status}\n"
        "if status < 0:\n"
        "    os.kill(os.getpid(), -status)\n"
        "sys.exit(status)\n",
    )
    monkeypatch.setenv("PYTHONPATH", modules)
    work = tmp_path / "my set"
    (work / "dataset/videos").mkdir(parents=True)
    return work


@pytest.mark.parametrize("names", [[], ["a.yaml"], ["a.yaml", "b.yaml"]])
def test_each_settings_file_is_a_word_of_its_own(tmp_path, monkeypatch, names):
    """In a folder whose name has a space: a shell that split or joined words would show it."""
    work = stand_in(tmp_path, monkeypatch)
    files = [str(tmp_path / name) for name in names]
    for file in files:
        Path(file).write_text("seed: 1\n")
    subprocess.run(
        [
            *("make", "--no-print-directory", "-o", ".venv/.ready", "verify", f"WORK={work}"),
            *("CORES=1", f"CONFIG={' '.join(files)}"),
        ],
        **{"cwd": ROOT, "capture_output": True, "text": True, "check": True},
    )
    asked = ["--configfile", *files] if files else []
    assert (work / "words").read_text().splitlines() == [
        *("--snakefile", str(ROOT / "Snakefile"), "verified", "--quiet", "rules", "host"),
        *("progress", "--forcerun", "verify", "--cores", "1", *asked),
    ]


@pytest.mark.parametrize(("status", "verdict"), [(0, "Verified: all.\n"), (1, "2 failed\n")])
def test_the_verdict_is_all_that_is_said(tmp_path, monkeypatch, status, verdict):
    work = stand_in(tmp_path, monkeypatch, verdict=verdict, status=status)
    done = subprocess.run(
        [sys.executable, verify.__file__, "--work", str(work), "--cores", "1"],
        **{"capture_output": True, "text": True, "check": False},
    )
    assert (done.returncode, done.stdout) == (status, verdict)
    assert (
        done.stderr
        == f"no run is recorded in {work}: the default settings are used; WORK= names a set\n"
    )


def test_a_verification_that_was_killed_says_so(tmp_path, monkeypatch, capfd):
    """Its job leaves no message, and what Snakemake says of it is left out."""
    killed = "Command 'python verify_dataset.py' died with <Signals.SIGKILL: 9>.\n"
    work = stand_in(tmp_path, monkeypatch, status=1, log=killed)
    assert verify.main(["--work", str(work), "--cores", "1"]) == 1
    told = capfd.readouterr()
    assert "WHAT TO DO: a job" in told.err and "was killed from outside" in told.err


def test_a_run_that_was_killed_itself_says_so(tmp_path, monkeypatch, capfd):
    work = stand_in(tmp_path, monkeypatch, status=-9)
    assert verify.main(["--work", str(work), "--cores", "1"]) == -9
    assert "WHAT TO DO: the run itself was killed" in capfd.readouterr().err


def test_an_earlier_run_that_was_killed_is_not_told_again(tmp_path, monkeypatch, capfd):
    work = stand_in(tmp_path, monkeypatch, status=1)
    log = work / ".snakemake/log/earlier.snakemake.log"
    log.parent.mkdir(parents=True)
    log.write_text("Command 'python x' died with <Signals.SIGKILL: 9>.\n")
    os.utime(log, (1e9, 1e9))
    assert verify.main(["--work", str(work), "--cores", "1"]) == 1
    assert "killed" not in capfd.readouterr().err


def test_an_older_verdict_that_cannot_be_taken_away_is_not_told_again(tmp_path, capsys):
    """As on a disk that is read-only; here a folder is in the log's place."""
    (tmp_path / "logs/verified.log").mkdir(parents=True)
    (tmp_path / "dataset/videos").mkdir(parents=True)
    assert verify.main(["--work", str(tmp_path), "--cores", "1"]) == 2
    told = capsys.readouterr()
    assert "verified.log" in told.err and "WHAT TO DO" in told.err and not told.out


def test_of_a_folder_without_a_set_it_is_said_how_a_set_is_named(tmp_path, monkeypatch, capsys):
    work = stand_in(tmp_path, monkeypatch, status=1)
    near = work.parent / "anna/dataset/videos.csv"
    near.parent.mkdir(parents=True)
    near.touch()
    for tool in (verify, dashboards):
        assert tool.main(["--work", str(tmp_path), "--cores", "1"]) == 2
        said = capsys.readouterr().err
        assert f"Nothing was made in {tmp_path}/dataset yet" in said
        assert f"name its folder: WORK=folder (WORK={tmp_path}/anna)" in said
