"""What parses the workflow and runs nothing leaves nothing behind; and a workflow without clips."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from bench.stubs import NOBODY_JUDGED
from ferrari.ledger import stages
from ferrari.reports.titles import REPORTS
from tests import lint_workflow
from tests.workflow import small_run, warm_snakemake
from tests.workflow.browser import ask
from tests.workflow.demo_run import ROOT, Demo

pytestmark = pytest.mark.timeout(600)
#: Python keeps its own cache of what it imports beside it, whoever imports.
SETTINGS = (str(ROOT / "config/demo.yaml"), str(NOBODY_JUDGED))
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
SHOWING = (
    *(["-n"], ["--lint"], ["--dag"]),
    *(
        pytest.param([w], marks=pytest.mark.slow)
        for w in ("--rulegraph", "--summary", "--list-rules")
    ),
)
BARE = 'rule all:\n    """Nothing."""\n    input: []\n'


def state(folder: Path, *but: str) -> dict[str, tuple[int, int]]:
    """Time of change and size of every file and folder below; a file that came and went shows in
    its folder's time."""
    return {
        name: (path.lstat().st_mtime_ns, path.lstat().st_size if path.is_file() else 0)
        for path in [folder, *folder.rglob("*")]
        if not (name := path.relative_to(folder).as_posix()).startswith(but or "\0")
    }


def changed(before: dict, after: dict) -> set[str]:
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the repository in which only root could write anything."""
    copy = tmp_path_factory.mktemp("checkout") / "repository"
    others = shutil.ignore_patterns(".*", "__pycache__", "demo", "real", "work", "cache")
    shutil.copytree(ROOT, copy, ignore=others)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(path.stat().st_mode & 0o555)
    return copy


def show(snakefile: Path, folder: Path, *arguments: str) -> str:
    asked = ["--snakefile", str(snakefile), *arguments]
    done = warm_snakemake.run(asked, folder, ENVIRONMENT)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.mark.parametrize(
    "arguments", SHOWING, ids=lambda words: words[0] if isinstance(words, list) else None
)
def test_what_only_shows_the_workflow_writes_nothing(checkout, tmp_path, arguments):
    run, bare = tmp_path / "run", tmp_path / "bare"
    small_run.start(run)
    bare.mkdir()
    (bare / "Snakefile").write_text(BARE)
    before = state(run, "."), state(checkout)
    show(checkout / "Snakefile", run, *arguments, "--configfile", *SETTINGS)
    assert changed(before[0], state(run, ".")) == changed(before[1], state(checkout)) == set()
    show(bare / "Snakefile", bare, *arguments)
    assert left(run) == left(bare)


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "a bare workflow"])
def test_a_process_does_not_take_the_graph_apart_at_its_end(tmp_path, ours):
    """Python would look for cycles among all that there is: a sixth of a dry run's CPU time."""
    small_run.start(tmp_path)
    seen = "import atexit, gc\natexit.register(lambda: print(f'{gc.get_freeze_count()} frozen'))\n"
    (tmp_path / "Snakefile").write_text(
        seen + (f'include: "{ROOT / "Snakefile"}"\n' if ours else BARE)
    )
    configured = ("--configfile", *SETTINGS) if ours else ()
    said = show(tmp_path / "Snakefile", tmp_path, "-n", *configured)
    (frozen,) = re.findall(r"^(\d+) frozen$", said, flags=re.M)
    assert (int(frozen) > 100_000) == ours


def test_a_run_mends_what_grows_with_the_square_of_its_jobs(tmp_path):
    """A search for pipes through all clips, and a timer for each job that was started."""
    small_run.start(tmp_path)
    seen = (
        "import atexit\nfrom snakemake.jobs import Job\n"
        "from snakemake.scheduling.job_scheduler import JobScheduler\n"
        "mended = lambda: (Job.is_pipe_or_service_input, JobScheduler._schedule_reevalutation)\n"
        "atexit.register(lambda: print('by:', *(f.__module__ for f in mended())))\n"
    )
    (tmp_path / "Snakefile").write_text(seen + f'include: "{ROOT / "Snakefile"}"\n')
    table = f"dataset/{stages.VIDEOS_CSV}"
    asked = ("--cores", "1", table, "--configfile", *SETTINGS)
    said = show(tmp_path / "Snakefile", tmp_path, *asked)
    assert "by: ferrari.jobs.scheduling_mends ferrari.jobs.scheduling_mends" in said
    assert (tmp_path / table).is_file()


def left(folder: Path) -> set[str]:
    """What lies in `.snakemake/`, but for the names of logs, which hold the time."""
    return {p.relative_to(folder).as_posix() for p in folder.glob(".snakemake/**/*") if p.is_dir()}


@pytest.fixture(scope="module")
def reported(small, checkout, tmp_path_factory) -> Demo:
    """A finished run with the archive that `--report` makes of it, which changed nothing else."""
    run = small.copy(tmp_path_factory.mktemp("reported") / "run")
    run.repository = checkout
    but = (".snakemake/log", "report.zip")
    before = state(run.folder, *but), state(checkout)
    asked = run.words("--report", "report.zip")
    done = warm_snakemake.run(asked, run.folder, ENVIRONMENT)
    assert done.returncode == 0, done.stdout[-4000:]
    assert changed(before[0], state(run.folder, *but)) <= {".", ".snakemake"}
    assert changed(before[1], state(checkout)) == set()
    return run


def test_a_report_holds_each_page_with_its_caption_and_no_index(reported):
    with zipfile.ZipFile(reported.folder / "report.zip") as archive:
        names = archive.namelist()
        overview = archive.read("report/report.html").decode()
    pages = {Path(name).name for name in names if "/data/raw/" in name}
    described = {name: about for name, about in REPORTS.items() if name != "verify_dataset"}
    assert pages == {f"{name}.html" for name in described}
    for name, (label, heading, question) in described.items():
        caption = " ".join((ROOT / f"report/{name}.rst").read_text().split())
        assert caption.startswith(question), "the caption opens with the page's own question"
        assert question[:40] in overview, name
        assert f'"{label}"' in overview and f'"{heading}"' in overview
    assert "a subject-only, captioned image dataset came out" in overview


@pytest.fixture
def pages(reported, tmp_path) -> list[Path]:
    """The pages of the archive, unpacked."""
    with zipfile.ZipFile(reported.folder / "report.zip") as archive:
        archive.extractall(tmp_path)
    return sorted(tmp_path.glob("*/data/raw/*/*.html"))


def test_a_page_holds_no_link_but_to_itself(pages):
    hrefs = [re.findall(r'<a [^>]*href="([^"]*)"', page.read_text("utf-8")) for page in pages]
    assert hrefs and all(hrefs)
    assert [href for found in hrefs for href in found if not href.startswith("#")] == []


def test_the_index_is_linked_where_it_lies_beside_a_page_alone(reported, pages):
    beside = (reported.folder / "qc_reports" / pages[0].name).as_uri()
    *alone, with_index = ask("links", *(path.as_uri() for path in pages), beside)
    for path, hrefs in zip(pages, alone, strict=True):
        assert hrefs and all(href.startswith("#") for href in hrefs), path.name
    assert "index.html" in with_index


# --- locks ----------------------------------------------------------------------------------------


def test_a_killed_runs_lock_has_not_to_be_unlocked(small, tmp_path):
    copy = small.copy(tmp_path / "copy")
    lock = copy.folder / ".snakemake/locks/0.output.lock"
    lock.write_text("dataset/videos.csv\n")
    assert "Nothing to be done" in copy.run("--cores", "1")


# --- without clips --------------------------------------------------------------------------------


def test_the_linter_has_nothing_to_say_of_a_fresh_clone():
    done = lint_workflow.lint()
    assert done.returncode == 0 and "in a good condition" in done.stdout
    assert "raw clips" not in done.stdout


@pytest.fixture(params=["no folder", "an empty folder", "a folder of pictures"])
def without_clips(request, tmp_path) -> Demo:
    run = Demo(tmp_path / "run")
    run.folder.mkdir()
    raw = run.dataset / "00_raw_videos"
    if request.param != "no folder":
        raw.mkdir(parents=True)
    if request.param == "a folder of pictures":
        (raw / "me.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        (raw / "notes.txt").write_text("Take one\n")
    return run


def test_without_clips_a_dry_run_warns_and_shows_the_graph(without_clips):
    output = without_clips.run("-n")
    assert output.count("put your clips there") == 1
    assert re.search(r"^select_final +1$", output, re.M)


@pytest.mark.parametrize(
    ("without_clips", "arguments"),
    [
        ("no folder", ()),
        ("an empty folder", ()),
        ("a folder of pictures", ()),
        ("no folder", ("qc_reports/index.html",)),
        ("an empty folder", ("--no-hooks",)),
    ],
    indirect=["without_clips"],
)
def test_without_clips_a_run_ends_before_its_first_job(without_clips, arguments):
    output = without_clips.run("--cores", "1", *arguments, check=False)
    assert "put your clips there" in output and "localrule" not in output
    assert not list(without_clips.folder.glob("*/*.csv"))


@pytest.mark.parametrize("without_clips", ["no folder"], indirect=True)
def test_without_clips_the_graph_is_drawn(without_clips):
    assert "digraph" in without_clips.run("--dag")
