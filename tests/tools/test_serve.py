"""make review, make dashboard: which set and settings, and what is said where neither starts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from ferrari.review import decision_table
from scripts.tools import serve
from tests.settings import ENVIRONMENT, ROOT
from tests.tools.stand_in import snakemake
from tests.unit.dashboard.served import SETTINGS, reports_in

TOKEN = "a-token-of-the-test"


@pytest.fixture
def work(tmp_path):
    (tmp_path / "dataset/review").mkdir(parents=True)
    (tmp_path / "my.yaml").write_text(SETTINGS)
    return tmp_path


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "8000.5"])
def test_what_is_no_port_is_refused_in_words(port, capsys):
    with pytest.raises(SystemExit):
        serve.parsed(["review", f"--port={port}"])
    assert f"'{port}' is no port: they are numbers from 1 to 65535" in capsys.readouterr().err


def test_a_dashboard_is_served_until_ctrl_c(work):
    """By make, as people start it: one line with the address, and one at the end."""
    reports_in(work / "qc_reports")
    (work / "dataset/review/decisions.csv").write_text("id,when,wh")
    command = [
        *("make", "--no-print-directory", "-o", ".venv/.ready", "dashboard"),
        *(f"WORK={work}", f"CONFIG={work / 'my.yaml'}", "WHO=ana maria"),
    ]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**ENVIRONMENT, "FERRARI_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        address, _, rest = process.stdout.readline().partition(" ")
        assert rest.strip() == "(Ctrl-C ends it)" and address.endswith(f"/?t={TOKEN}")
        answer = httpx.get(address)
        assert answer.status_code == 303 and answer.headers["location"] == f"/live?t={TOKEN}"
        assert httpx.get(address.replace(TOKEN, "other")).status_code == 403
    finally:
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert out.startswith("ended; what was decided is in ") and len(out.splitlines()) == 1
    assert "was cut off, and is now in" in err


def test_the_address_is_the_first_line_of_all(work, capsys, monkeypatch):
    """`make review 2>&1 | head -1` gave the line about the settings; and where the rest comes in a
    piece of its own, nobody reads it, which ends the server.
    """
    monkeypatch.setattr(serve.serve, "run", lambda *_: None)
    monkeypatch.setattr(serve, "bring_up_to_date", lambda *_: True)
    monkeypatch.setattr(serve.last_run, "files_for", lambda *_: ([work / "my.yaml"], "settings of"))
    printed = []
    monkeypatch.setattr(serve, "print", lambda *a, **_: printed.append(a[0]), raising=False)
    assert serve.main(["review", "--work", str(work), "--host", "0.0.0.0"]) == 0
    first, *notes = printed[0].splitlines()
    assert first.startswith("http://") and "(Ctrl-C ends it)" in first
    assert notes[0] == "settings of" and notes[1].startswith("This server listens on 0.0.0.0")


@pytest.mark.parametrize("state", ["modules", "page"])
def test_ctrl_c_before_the_server_began_ends_it_in_a_word(work, tmp_path, state):
    """While modules load, and while the page is brought up to date: it printed a traceback."""
    at_it = tmp_path / "at_it"
    waits = f"open({str(at_it)!r}, 'w')\nimport time\ntime.sleep(60)\n"
    modules = snakemake(tmp_path, waits)
    if state == "modules":
        (tmp_path / "modules/uvicorn.py").write_text(waits)
    process = subprocess.Popen(
        [sys.executable, serve.__file__, "review", "--work", str(work)],
        env={**ENVIRONMENT, "PYTHONPATH": modules},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not at_it.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    said = [line for line in err.splitlines() if "settings" not in line]
    assert said == {"modules": [], "page": ["stopped"]}[state]
    assert process.returncode == {"modules": -signal.SIGINT, "page": 130}[state]


def test_a_port_that_is_taken_is_said_in_a_sentence(work, capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert serve.main(["dashboard", "--work", str(work), "--port", str(port)]) == 1
    assert f"port {port} of 127.0.0.1 cannot be had" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_what_is_no_port_is_said(work, capsys, port):
    with pytest.raises(SystemExit):
        serve.main(["dashboard", "--work", str(work), f"--port={port}"])
    assert "argument --port" in capsys.readouterr().err


def test_settings_that_are_not_there_are_said(work, capsys):
    assert serve.main(["review", "--work", str(work), "--config", str(work / "none.yaml")]) == 1
    assert "none.yaml cannot be read" in capsys.readouterr().err


def test_a_set_that_is_not_there_is_said(work, capsys):
    assert serve.main(["dashboard", "--work", str(work / "typo")]) == 1
    assert "there is no folder" in capsys.readouterr().err and not (work / "typo").exists()
    assert serve.main(["dashboard", "--work", f"{work}s"]) == 1
    assert capsys.readouterr().err.rstrip().endswith(f"Did you mean {work}?")


def ended(status: int):
    """Stands for Snakemake."""

    def run(command, **_):
        return subprocess.CompletedProcess(command, status, "MissingInputException\n", "")

    return run


def test_without_a_page_review_says_what_makes_one(work, capsys, monkeypatch):
    monkeypatch.setattr(subprocess, "run", ended(1))
    assert serve.main(["review", "--work", str(work), "--config", str(work / "my.yaml")]) == 1
    err = capsys.readouterr().err
    assert "MissingInputException" in err and "`make run` makes it" in err
    (work / "dataset/videos").mkdir(parents=True)
    assert serve.main(["review", "--work", str(work), "--config", str(work / "my.yaml")]) == 1
    assert "Run the pipeline on the set" in capsys.readouterr().err


def test_a_page_of_before_is_shown_and_that_is_said(work, capsys, monkeypatch):
    reports_in(work / "qc_reports")
    monkeypatch.setattr(subprocess, "run", ended(1))
    monkeypatch.setattr(serve, "serve_set", lambda given, the_set, said: 0)
    assert serve.main(["review", "--work", str(work)]) == 0
    assert "was not brought up to date" in capsys.readouterr().err


def test_the_set_is_the_one_of_the_settings(work, monkeypatch):
    elsewhere = work / "other.yaml"
    elsewhere.write_text("dataset: made\nraw_videos: /films\nqc_reports: pages\n")
    seen = []
    monkeypatch.setattr(serve, "serve_set", lambda given, the_set, said: seen.append(the_set) or 0)
    words = ["dashboard", "--work", str(work), "--config", str(elsewhere), "--no-runs"]
    assert serve.main([*words, "--who", "ana"]) == 0
    (the_set,) = seen
    assert (the_set.dataset, the_set.qc) == (work / "made", work / "pages")
    assert str(the_set.raw) == "/films"
    assert the_set.config_files == (work / "my.yaml", elsewhere)  # laid over the set's own
    assert (the_set.who, the_set.may_start_runs) == ("ana", False)
    assert decision_table.place(the_set.dataset) == work / "made/review/decisions.csv"


def test_only_the_page_s_own_rule_may_run(work):
    given = serve.parsed(["review", "--work", str(work)])
    config = {"dataset": "dataset", "qc_reports": "qc_reports", "raw_videos": None}
    command = serve.page_command(serve.reviewed_set(given, config, []), "qc_reports/review.html")
    at = command.index("--allowed-rules")
    assert command[at + 1 : at + 3] == ["review_page", "--cores"] and command[0] == sys.executable
    assert "--no-hooks" in command, "a look is no run, whose settings other commands would take"


def test_the_page_s_rule_names_its_inputs_by_path():
    """Of an input that is another rule's output Snakemake runs that rule too, allowed or not: then
    whoever wants to look would start what his decisions ask for.
    """
    text = (ROOT / "rules/qc.smk").read_text()
    rule = text.partition(f"rule {serve.PAGE_RULE}:\n")[2].partition("\nrule ")[0]
    inputs = rule.partition("    input:\n")[2].partition("    output:\n")[0]
    assert inputs.strip() and "rules." not in inputs
