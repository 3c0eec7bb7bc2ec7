"""What a dry run says, read; and when it is asked again."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from ferrari.dashboard import dry_run
from ferrari.dashboard.dry_run import DryRunError
from ferrari.jobs.planned_jobs import Planned
from ferrari.review import decision_table, decisions, writing
from tests.unit.dashboard.served import drop, set_in
from tests.unit.review.rows import IMAGE, WALK, WAVE, decided

NOW = f"{decisions.DECIDED}0123456789abcdef"
OUTPUT = f"""host: here
Building DAG of jobs...
Job stats:
job             count
------------  -------
all                 1
caption             2
select_final        1
total               4

[Sun Nov 29 20:00:00 2026]
rule caption:
    input: dataset/04_augmented/{WALK}.csv
    output: dataset/05_final_training/captions/{WALK}.csv
    jobid: 5
    reason: Params have changed since last execution: Union of exclusive params before and now \
across all output: before: '' now: '{NOW}'
    wildcards: video={WALK}
    resources: tmpdir=<TBD>

rule caption:
    wildcards: format=kohya, video={WAVE}

rule select_final:
    jobid: 2

Job stats:
job             count
------------  -------
all                 1
caption             2
select_final        1
total               4

This was a dry-run (flag -n). The order of jobs does not reflect the order of execution.
"""


def test_jobs_and_clips_of_a_dry_run():
    jobs = {"caption": 2, "select_final": 1}
    assert dry_run.answer(OUTPUT, {WALK: "walk\x1b one.mp4", "other-0123456789": "other.mp4"}) == {
        "clips": sorted([WALK, WAVE]),
        "jobs": jobs,
        "files": {WALK: "walk\\u001b one.mp4"},
        "titles": {"caption": "Captions", "select_final": "Selection"},
        "decided": {"clips": [WALK], "jobs": {"caption": 1}},
        "anyway": {"clips": [WAVE], "jobs": jobs | {"caption": 1}},
        "sentence": "Your decisions: 1 job, of 1 clip. Besides, 2 jobs that waited anyway, of 1 "
        "clip and over the whole set.",
    }


OF_CLIP, WHOLE = Planned("caption", WALK, (), ()), Planned("package", "", (), ())


@pytest.mark.parametrize(
    ("decided", "anyway", "said"),
    [
        ([], [], "The next run has nothing to do."),
        (
            [],
            [WHOLE],
            "Your decisions ask for nothing more. The next run has 1 job that waited anyway, over "
            "the whole set.",
        ),
        ([OF_CLIP] * 1200, [], "Your decisions: 1,200 jobs, of 1 clip."),
        (
            [OF_CLIP, WHOLE],
            [WHOLE] * 2,
            "Your decisions: 2 jobs, of 1 clip and over the whole set. Besides, 2 jobs that waited "
            "anyway, over the whole set.",
        ),
    ],
)
def test_a_forecast_in_words(decided, anyway, said):
    assert dry_run.in_words(decided, anyway) == said


def test_nothing_to_do_is_nothing():
    said = "Building DAG of jobs...\nNothing to be done (all requested files ...).\n"
    nothing = {"clips": [], "jobs": {}}
    told = {**nothing, "files": {}, "titles": {}, "decided": nothing, "anyway": nothing}
    assert dry_run.answer(said, {}) == {**told, "sentence": "The next run has nothing to do."}


@pytest.fixture
def asked(monkeypatch):
    """How often a dry run was asked for."""
    calls: list[list[str]] = []

    def run(command, **_):
        calls.append(command)
        return SimpleNamespace(returncode=0, stdout=OUTPUT)

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_the_answer_is_kept_until_something_changes(tmp_path, asked):
    the_set = set_in(tmp_path)
    forecast = dry_run.Forecast(the_set)
    assert forecast.look() == forecast.look() and len(asked) == 1
    row = decided("drop", IMAGE, "image")
    writing.append(the_set.dataset, [row])
    forecast.look()
    writing.append(the_set.dataset, [writing.undo(row, "ana")])
    forecast.look()
    assert len(asked) == 3
    the_set.config_files[0].write_text("subject: {token: ohwx}\n")
    forecast.look()
    (tmp_path / "audit/runs/1").mkdir(parents=True)
    (tmp_path / "audit/runs/1/run.json").write_text("{}")
    forecast.look()
    assert len(asked) == 5 and forecast.look() and len(asked) == 5
    the_set.raw.mkdir()
    (the_set.raw / "new.mp4").write_bytes(b"a clip that came")
    forecast.look()
    assert len(asked) == 6, "else the page says that nothing is to be done"


def test_a_run_whose_record_lies_elsewhere_is_noticed_too(tmp_path, asked):
    """With another folder for `audit`, what had been done was still said to be due."""
    the_set = set_in(tmp_path)
    the_set.config_files[0].write_text("audit: records\n")
    forecast = dry_run.Forecast(the_set)
    forecast.look()
    (tmp_path / "records/runs/1").mkdir(parents=True)
    (tmp_path / "records/runs/1/run.json").write_text("{}")
    forecast.look()
    assert len(asked) == 2


def test_a_dry_run_has_the_set_s_settings_last(tmp_path):
    the_set = set_in(tmp_path)
    assert dry_run.command(the_set)[-2:] == ["--configfile", str(the_set.config_files[0])]
    assert {"--dry-run", "--cores"} < set(dry_run.command(the_set))


def test_what_snakemake_says_where_it_cannot_is_handed_on(tmp_path, monkeypatch):
    done = SimpleNamespace(returncode=1, stdout="WorkflowError: no clips\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(DryRunError, match="no clips"):
        dry_run.Forecast(set_in(tmp_path)).look()


def test_a_page_asks_and_is_told(client, asked, clip, the_set):
    answer = client.get("/api/reruns").json()
    assert answer["jobs"] == {"caption": 2, "select_final": 1}
    image = clip.rows["augment"][0]["item"]
    client.post("/api/decisions", json={"rows": [drop(image)]})
    decision_table.place(the_set.dataset).open("a").write("half")
    refused = client.get("/api/reruns")
    assert refused.status_code == 503 and "cut off" in refused.json()["error"]
