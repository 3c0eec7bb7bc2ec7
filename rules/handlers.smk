# What happens before the first job and after the last: what is said, the run's lock and its record.
# Contract: jobs need nothing of it, since a module's handlers do not run, nor do any with --no-hooks;
# no rule here.

import time
from pathlib import Path

from snakemake.jobs import Job
from snakemake.scheduling.job_scheduler import JobScheduler

from ferrari.jobs import clock, run_events, run_watch, scheduling_mends

#: Logs that were written before are an earlier run's.
BEGAN = time.time()
#: What others read of the run while it goes on.
EVENTS = run_events.EventLog()
#: Whether the command that started the run shows how far it is, and says at its end what jobs said
#: that failed.
WATCHED = workflow.is_main_process and run_watch.is_watched(logger)


def begin(log):
    """Before the first job: the run has the dataset to itself, and its record is begun."""
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
    """Whether the run may write into the dataset, and so has it to itself."""
    targets = set(workflow.dag_settings.targets)
    return not targets or not targets <= last_run.ONLY_LOOK


def say_subject():
    """Before the first job: how it is known who the subject is, where that needs a word."""
    for said in (SUBJECT.said, VOTERS.said()):
        if said:
            logger.warning(said)


def say_devices():
    """Before the first job: what each network runs on, once. A device that was named and cannot be
    had ends the run here, with what to install, and not in every job.
    """
    with ending_the_run():
        for line in DEVICES.told(faces=bool(FACED)):
            logger.info(line)


def say_gate():
    """Why mattes go through no person gate, where one would be expected."""
    _, why = weight_files.gate_of(config["mask"], config["detect"]["class"])
    if why:
        logger.info(f"Mattes are not limited to people: {why}.")


def require_decoder():
    """Before the first job: a decoder that was named and cannot be had ends the run here."""
    choice = config["extract"]["decoder"]
    named = choice in ("nvdec", "decord")
    if not named or PYTHON != sys.executable or not workflow.local_exec:
        return
    from ferrari.video.decoding import registry

    with ending_the_run():
        registry.require(choice)


#: Tables over the whole set, which tell when it was last made.
DATED_BY = (stages.VIDEOS_CSV, stages.ENVIRONMENTS_CSV, stages.FINAL_CSV)


def require_dataset():
    """Before the first job: the dataset and the reports can be written, no later than now, and by
    this run alone, or by runs of other shards beside it.
    """
    with ending_the_run():
        for folder in (".", DATASET, QC):
            error_advice.require_writable(folder)
        clock.require_not_behind(Path(DATASET), DATED_BY, Path(QC))
        run_lock.require(DATASET, shard=SHARD)
        if SHARD is None:  # else jobs of other shards may be at work
            clear_of_the_bucket()
        if RAW_FOLDER.listing:
            run_listing.hand_on(RAW, RAW_FOLDER.listing, DATASET)


def clear_of_the_bucket():
    """Remove what runs and killed jobs left of the bucket: their listings, clips that they fetched,
    and those that stage 0 handed on and stage 1 had nothing to do with.
    """
    fetched_clips.clear(DATASET)
    run_listing.clear(DATASET)


def require_own_jobs():
    """Before a shard's first job: all that would be done is its own clips'."""
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
    """After the last job: the run's record, and what came of the clips, where people look first."""
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
    """The jobs that failed, those of a batch one by one."""
    for job in workflow.scheduler.failed if workflow.scheduler else ():
        yield from job if job.is_group() else [job]


def forget_failed():
    """Take away what failed jobs left of earlier runs.

    A job takes its table away before it works. If it ends sooner, Snakemake puts the old table back
    and writes down that it was made with today's settings: the next run would take it for true.
    """
    for job in failed_jobs():
        for path in job.output:
            if os.path.isfile(path):
                logger.info(f"{path} is removed: its job failed")
                os.unlink(path)


def end_failed(log):
    """After a run that failed: its record, and what the jobs said, which else only logs tell."""
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
    scheduling_mends.no_search_for_pipes(Job, workflow.rules)


def collect_again():
    """Look for cycles again, among what is made from now on."""
    gc.freeze()
    gc.enable()
