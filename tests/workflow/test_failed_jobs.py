"""What a job that fails before it has begun leaves of an earlier run: nothing that is believed."""

from __future__ import annotations


def test_a_job_that_fails_at_once_is_done_by_the_next_run(small, tmp_path):
    """With another setting: Snakemake restores the table, and writes down that it is of today."""
    run = small.copy(tmp_path / "copy")
    (table,) = (run.dataset / "subject/detections").glob("walk-one-*.csv")
    target = str(table.relative_to(run.folder))
    other = {"detect": {"confidence": 0.5}}
    # Jobs read their settings from a file that the first of them writes. One is done, and then
    # nobody can read it.
    state = run.folder / ".snakemake/ferrari"
    before = set(state.glob("config-*.json"))
    probed = str((run.dataset / "videos" / table.name).relative_to(run.folder))
    run.run("--cores", "1", "--force", probed, overlay=other)
    (settings,) = set(state.glob("config-*.json")) - before
    settings.write_text("no settings")
    said = run.run("--cores", "1", target, overlay=other, check=False)
    assert "Error in rule detect" in said and "its job failed" in said
    settings.unlink()
    assert run.planned(target, overlay=other) == {"detect": 1}
