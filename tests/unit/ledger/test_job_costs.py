"""What jobs took, out of Snakemake's files."""

from __future__ import annotations

import pytest

from ferrari.ledger import job_costs

HEAD = "s\th:m:s\tmax_rss\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + "2.25\t0:00:02\t9.5\n", 2.25),
        (HEAD + "1.0\t0:00:01\t9.5\n3.5\t0:00:03\tNA\n", 3.5),
        (HEAD, None),
        (HEAD + "\n", None),
        (HEAD + "-\t-\t-\n", None),
        ("", None),
        ("other\n1\n", None),
    ],
)
def test_seconds_of_a_job(tmp_path, text, told):
    (tmp_path / "a.tsv").write_text(text)
    assert job_costs.seconds(tmp_path / "a.tsv") == told


def test_a_job_that_never_ended_is_unknown(tmp_path):
    assert job_costs.seconds(tmp_path / "none.tsv") is None


def test_clips_add_their_stages_up(tmp_path):
    for stage, text in (("probe", HEAD + "1.5\t0\t1\n"), ("mask", HEAD + "2.25\t0\t1\n")):
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "a.tsv").write_text(text)
    assert job_costs.of_clips(tmp_path, ["a", "b"]) == {"a": 3.75, "b": 0.0}


def test_short_jobs_count_as_others_do(tmp_path):
    """A job that finds nothing to do leaves the cost of the last one that worked."""
    for place, took in (("mask/a", 0.04), ("mask/b", 6.0), ("mask/c", 0.1), ("videos", 0.04)):
        path = tmp_path / f"benchmarks/{place}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{HEAD}{took}\t0\t1\n")
    assert job_costs.known(tmp_path) == {"mask": 0.1, "videos": 0.04}
