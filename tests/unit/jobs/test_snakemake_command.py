"""The command of a run, and the counts of a dry run."""

from __future__ import annotations

from pathlib import Path

from snakemake.cli import parse_args

from ferrari.common.places import ROOT
from ferrari.jobs import snakemake_command

STATS = """Building DAG of jobs...
Job stats:
job             count
------------  -------
all                 1
caption          1200
select_final        1
total               4

"""


def test_snakemake_reads_targets_options_and_settings_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = snakemake_command.command(
        *("qc/index.html", "--quiet", "rules", "host"),
        cores=3,
        config_files=[Path("own.yaml"), Path("/more.yaml")],
    )
    assert words[1:3] == ["-m", "snakemake"]
    _, given = parse_args(words[3:])
    assert Path(given.snakefile) == ROOT / "Snakefile" and given.cores == 3
    assert list(given.targets) == ["qc/index.html"]
    assert [Path(file) for file in given.configfile] == [
        tmp_path / "own.yaml",
        Path("/more.yaml"),
    ]


def test_without_settings_files_none_are_named():
    assert "--configfile" not in snakemake_command.command("-n", cores=1)


def test_jobs_of_a_dry_run_by_rule():
    assert snakemake_command.planned(STATS) == {"caption": 1200, "select_final": 1}
    assert snakemake_command.planned("Building DAG of jobs...\nNothing to be done.\n") == {}
