"""How far a run is, as its events tell: counts, rate, the time that is left."""

import pytest

from ferrari.jobs.run_progress import RunProgress, TimeLeft

START = {"event": "start", "pid": 1, "cores": 2, "log": "x.log"}


def run_of(jobs, *events):
    """A run of these jobs that began at moment 1000, and what came then: (kind, time, id, rule)."""
    found = RunProgress()
    told = [START | {"jobs": jobs, "time": 1000.0}]
    for kind, time, number, *rule in events:
        event = {"event": kind, "time": 1000.0 + time, "id": number, "log": "logs/x.log"}
        told.append(event | {"rule": rule[0] if rule else "", "of": f"clip-{number}"})
    list(found.take(told))
    return found


def test_counts_by_rule():
    run = run_of(
        {"probe": 3, "mask": 2},
        ("began", 0, 1, "probe"),
        ("began", 0, 2, "probe"),
        ("ended", 2, 1),
        ("failed", 3, 2),
        ("began", 3, 3, "mask"),
    )
    assert run.done == {"probe": 1}
    assert run.to_do == {"probe": 1, "mask": 1}, "of the clip that failed nothing comes"
    assert run.blocked == {"mask": 1}
    assert [job.of for job in run.running.values()] == ["clip-3"]
    assert [(job.rule, job.of, job.log) for job in run.failed.values()] == [
        ("probe", "clip-2", "logs/x.log")
    ]


def test_what_ends_is_given_back():
    run = RunProgress()
    events = [
        START | {"jobs": {"mask": 1}, "time": 1.0},
        {"event": "began", "id": 4, "rule": "mask", "of": "a", "time": 2.0},
        {"event": "ended", "id": 4, "time": 3.0},
        {"event": "ended", "id": 5, "time": 3.0},  # whose beginning was lost
    ]
    assert [(job.rule, job.of) for job in run.take(events)] == [("mask", "a")]


def test_a_job_that_is_tried_again_did_not_fail():
    run = run_of({"mask": 1}, ("began", 0, 1, "mask"), ("failed", 1, 1), ("began", 2, 1, "mask"))
    assert not run.failed and len(run.running) == 1
    run = run_of(
        {"mask": 1},
        *[("began", 0, 1, "mask"), ("failed", 1, 1), ("began", 2, 1, "mask"), ("ended", 4, 1)],
    )
    assert run.done == {"mask": 1} and not run.to_do


def test_the_end_leaves_nothing_at_work():
    run = run_of({"mask": 1}, ("began", 0, 1, "mask"))
    list(run.take([{"event": "end", "time": 1009.0, "status": "failed"}]))
    assert run.status == "failed" and not run.running and run.last == 1009.0


def test_the_rate_is_of_the_last_five_minutes():
    steps = [(n, 10.0 * n) for n in range(60)]
    events = [("began", at, n, "probe") for n, at in steps]
    events += [("ended", at + 1, n) for n, at in steps]
    run = run_of({"probe": 100}, *sorted(events, key=lambda event: event[1]))
    assert run.rate(1600.0) == pytest.approx(6.0, abs=0.1)
    assert run.rate(1060.0 + 600.0) == pytest.approx(4.8, abs=0.21), "a minute without a job"
    assert run.rate(1000.0) == 0.0, "no time has passed"


def test_time_left_from_jobs_of_the_same_rule():
    """Two at a time, 4 s each: 8 of them are left, so 16 s."""
    events = []
    for n in range(0, 12, 2):
        at = 4.0 * (n // 2)
        events += [("began", at, n, "mask"), ("began", at, n + 1, "mask")]
        events += [("ended", at + 4, n), ("ended", at + 4, n + 1)]
    run = run_of({"mask": 20}, *events)
    left = run.time_left(1024.0)
    assert left.seconds == pytest.approx(16.0) and left.without == ()


def test_a_job_at_work_has_spent_some_of_its_time():
    run = run_of(
        {"mask": 3},
        *[("began", 0, 1, "mask"), ("ended", 10, 1), ("began", 10, 2, "mask")],
    )
    assert run.time_left(1016.0).seconds == pytest.approx(14.0)
    assert run.time_left(1030.0).seconds == pytest.approx(10.0), "it takes longer than the others"


def test_time_is_unknown_while_much_was_never_measured():
    run = run_of({"probe": 4, "mask": 4}, ("began", 0, 1, "probe"), ("ended", 1, 1))
    assert run.time_left(1002.0) == TimeLeft(None, ("mask",))
    assert run_of({"probe": 4}).time_left(1002.0).seconds is None


def first_run(clips, done):
    """A first run, one job at a time: each stage takes 3 s a clip, and `done` clips are through;
    seventeen jobs over the whole set wait, each of a rule of its own.
    """
    stages = ("probe", "extract", "detect", "crop", "mask", "augment", "caption")
    jobs = dict.fromkeys(stages, clips) | {f"whole-{n}": 1 for n in range(17)}
    events = []
    for number in range(done * len(stages)):
        rule = stages[number % len(stages)]
        events += [("began", 3 * number, number, rule), ("ended", 3 * number + 3, number)]
    return run_of(jobs, *events), 1000.0 + 3 * done * len(stages)


def test_a_first_run_tells_its_time_from_the_second_clip_on():
    """`time left not known yet` stood until the last job: a third of the jobs of seven clips are
    over the whole set, and none of those had ended.
    """
    for done in range(1, 7):
        run, now = first_run(7, done)
        left = run.time_left(now)
        assert left.seconds == pytest.approx((7 - done) * 21.0)
        assert left.without == tuple(f"whole-{n}" for n in range(17)), "a lower bound"
    run, now = first_run(7, 0)
    assert run.time_left(now).seconds is None


def test_where_nothing_that_is_left_was_measured_no_time_is_told():
    run, now = first_run(7, 7)
    assert run.time_left(now).seconds is None, "at least 0 s is no word for reports to come"


def test_a_few_rules_that_were_never_measured_make_it_a_lower_bound():
    run = run_of({"mask": 100, "qc5": 1}, ("began", 0, 1, "mask"), ("ended", 2, 1))
    left = run.time_left(1002.0)
    assert left.without == ("qc5",) and left.seconds == pytest.approx(198.0)


def test_what_was_known_before_counts_until_it_is_measured():
    run = run_of({"mask": 2, "qc5": 1}, ("began", 0, 1, "mask"), ("ended", 2, 1))
    assert run.time_left(1002.0) == TimeLeft(2.0, ("qc5",))
    run.costs = {"qc5": 7.0, "mask": 900.0}
    left = run.time_left(1002.0)
    assert left.seconds == pytest.approx(9.0) and left.without == ()


def test_nothing_left_takes_no_time():
    run = run_of({"mask": 1}, ("began", 0, 1, "mask"), ("ended", 2, 1))
    assert run.time_left(1002.0).seconds == 0.0


def test_a_clock_that_is_put_back_gives_no_negative_time():
    run = run_of({"mask": 3}, ("began", 50, 1, "mask"), ("ended", 20, 1))
    assert run.time_left(1020.0).seconds == 0.0
    assert run.rate(990.0) == 0.0
