# What happens before the first job and after the last one: messages, the run's lock, its record.
# Contract: no job depends on this file, because handlers do not run in a module or with --no-hooks.
# No rule here.

import time
from pathlib import Path

from snakemake.jobs import Job
from snakemake.scheduling.job_scheduler import JobScheduler

from ferrari.jobs import clock, run_events, run_watch, scheduling_mends

#: Logs written before this time belong to an earlier run.
BEGAN = time.time()
#: The events of the run, which others may read while it is running.
EVENTS = run_events.EventLog()

# Not in `begin`: a run that only brings a page up to date has no handlers.
scheduling_mends.failures_are_noted_unread(logger)
scheduling_mends.ends_without_a_lock(JobScheduler)

#: Whether the command that started the run shows its progress and, at its end, the errors of failed
#: jobs: then the handlers do not.
WATCHED = workflow.is_main_process and run_watch.is_watched(logger)


def begin(log):
    """Before the first job: lock the dataset for this run, and begin its record."""
    collect_again()
    mend_scheduling()
    say_subject()
    say_devices()
    say_gate()
    require_decoder()
    require_own_jobs()
    if makes_something():
        require_dataset()
    try:
        with ending_the_run():
            if makes_something():
                EVENTS.begin(workflow, logger, log)
            RECORD.start()
    except WorkflowError:
        EVENTS.end("failed")
        raise


def makes_something():
    """Whether the run may write into the dataset, and so needs the lock."""
    targets = set(workflow.dag_settings.targets)
    return not targets or not targets <= last_run.ONLY_LOOK


def say_subject():
    """Before the first job: warn if the way the subject is determined needs attention."""
    for said in (SUBJECT.said, VOTERS.said()):
        if said:
            logger.warning(said)


def say_devices():
    """Before the first job: log the device of each network. If a device was named and is not available,
    the run ends here, with advice on what to install, and not in every job.
    """
    with ending_the_run():
        for line in DEVICES.told(faces=bool(FACED)):
            logger.info(line)


def say_gate():
    """Before the first job: say why there is no person gate, where one would be expected."""
    _, why = weight_files.gate_of(config["mask"], config["detect"]["class"])
    if why:
        logger.info(f"Mattes are not limited to people: {why}.")


def require_decoder():
    """Before the first job: a decoder that was named and is not available ends the run here."""
    choice = config["extract"]["decoder"]
    named = choice in ("nvdec", "decord")
    if not named or PYTHON != sys.executable or not workflow.local_exec:
        return
    from ferrari.video.decoding import registry

    with ending_the_run():
        registry.require(choice)


#: Tables over the whole set; their times say when it was last made.
DATED_BY = (stages.VIDEOS_CSV, stages.ENVIRONMENTS_CSV, stages.FINAL_CSV)


def require_dataset():
    """Before the first job: check that the dataset and the reports are writable and not dated in the
    future, and that no other run works on them (but runs of other shards may).
    """
    with ending_the_run():
        for folder in (".", DATASET, QC):
            error_advice.require_writable(folder)
        clock.require_not_behind(Path(DATASET), DATED_BY, Path(QC))
        pictures = [] if USES_CLIP_SCENES else user_pictures()
        clock.require_none_ahead(map(Path, (*ALL_WEIGHTS, *pictures)), Path(DATASET))
        run_lock.require(DATASET, shard=SHARD)
        if SHARD is None:  # else jobs of other shards may be at work
            clear_of_the_bucket()
        if RAW_FOLDER.listing:
            run_listing.hand_on(RAW, RAW_FOLDER.listing, DATASET)


def clear_of_the_bucket():
    """Remove what earlier runs and killed jobs left of the bucket: listings, fetched clips, and clips
    that stage 0 passed on to a stage 1 that did not need them.
    """
    fetched_clips.clear(DATASET)
    run_listing.clear(DATASET)


def require_own_jobs():
    """Before a shard's first job: check that all planned jobs belong to its own clips."""
    if SHARD is None:
        return
    planned = [
        (job.rule.name, job.wildcards_dict.get("video"))
        for job in workflow.dag.needrun_jobs()
        if job.rule.name != "all"
    ]
    with ending_the_run():
        SHARD.require_own(planned, OWN)


def end_well(log):
    """After the last job: complete the run's record, and print what happened to the clips."""
    RECORD.end("success", log)
    EVENTS.end("success")
    if SHARD is not None:
        logger.info(
            f"Shard {SHARD} is done: {len(OWN):,} of {len(VIDEOS):,} clips. When all shards are, run "
            "the same without the setting shard: it makes what concerns the whole set."
        )
        return
    if makes_something():
        clear_of_the_bucket()
    if set(workflow.dag_settings.targets) - {"all"}:
        return  # a single report, or nothing was made
    from ferrari.provenance.older_packages import not_asked_for
    from ferrari.reports.run_end import last_lines

    lines = last_lines(Path(DATASET), Path(QC), config["package"]["formats"])
    if lines:
        logger.info("\n".join(["", *lines, *not_asked_for(DATASET, config)]))


def failed_jobs():
    """The jobs that failed; those of a group one by one."""
    for job in workflow.scheduler.failed if workflow.scheduler else ():
        yield from job if job.is_group() else [job]


def forget_failed():
    """Delete the outputs of failed jobs that Snakemake restored from earlier runs.

    A job deletes its old table when it begins to work. If it fails before that, Snakemake restores
    the old table and records it as made with today's settings: the next run would consider it valid.
    """
    for job in failed_jobs():
        for path in job.output:
            if os.path.isfile(path):
                logger.info(f"{path} is removed: its job failed")
                os.unlink(path)


def end_failed(log):
    """After a failed run: complete its record, and print the errors from the jobs' logs."""
    forget_failed()
    RECORD.end("failed", log)
    EVENTS.end("failed")
    if WATCHED:
        return
    from ferrari.reports.run_end import failures

    said = "".join(Path(file).read_text("utf-8", "replace") for file in log)
    known = {Path(file) for job in failed_jobs() for file in job.log}
    lines = [*failures(Path("logs"), BEGAN, known), error_advice.of_run(said) or ""]
    if any(lines):
        logger.error("\n".join(lines))


def mend_scheduling():
    """Keep Snakemake quick however many jobs there are: before the first of them starts."""
    scheduling_mends.one_timer_at_a_time(JobScheduler)
    scheduling_mends.no_search_for_pipes(Job, workflow)


def collect_again():
    """Turn garbage collection on again, for objects made from now on."""
    gc.freeze()
    gc.enable()
