# What all rules share: the settings, the paths, the list of clips, and functions for inputs.
# Contract: `config` is validated before anything else. This file defines no rule and writes nothing,
# because `-n`, `--lint`, `--dag` and `--report` parse it too.
# params.smk, devices.smk, awaited.smk (included below) and handlers.smk define no rules either. What does
# not need Snakemake is in the library, where unit tests reach it.

import atexit
import gc
import os
import sys
from contextlib import contextmanager
from functools import cache

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# The library is in scripts/. It comes first on the path, so that neither an installed package of the
# same name nor the `scripts` of a workflow that includes this one is imported in its place.
RULES_FOLDER = workflow.current_basedir.get_path_or_uri(secret_free=True)
SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(RULES_FOLDER)), "scripts")
if not os.path.isdir(SCRIPTS):
    raise WorkflowError(
        f"the rules come from {RULES_FOLDER}, which is no folder on this machine: the jobs need the "
        "scripts beside them, so clone the repository and name the Snakefile of the clone"
    )
sys.path.insert(0, SCRIPTS)

from ferrari.common import settings
from ferrari.common.atomic_files import sha256_file
from ferrari.common.errors import FerrariError
from ferrari.jobs import error_advice, run_lock
from ferrari.jobs.rule_functions import of_clip
from ferrari.jobs.stage_command import (
    offer_warm_workers,
    runs_a_group,
    set_environment,
    stage_command,
)
from ferrari.ledger import (
    clips_gone,
    lost_tables,
    raw_listing,
    raw_place,
    shards,
    stages,
)
from ferrari.ledger.item_ids import VIDEO_ID
from ferrari.ledger.raw_listing import NoClipsError, RawClips, look_through
from ferrari.provenance import last_run
from ferrari.provenance.code_digest import code_digest
from ferrari.provenance.reuse import item_digest
from ferrari.review import decision_table, decisions
from ferrari.storage import run_listing
from ferrari.subject import sightings_file
from ferrari.video import fetched_clips, raw_files, twins


@contextmanager
def ending_the_run():
    """An error in this block (settings, files, machine) ends the run before its first job, with the
    error's message and advice.
    """
    try:
        yield
    except FerrariError as error:
        raise WorkflowError(str(error)) from error
    except OSError as error:
        raise WorkflowError(str(error), error_advice.of_error(error)) from error


#: True if another workflow uses these rules as a module: then our Snakefile's handlers do not run.
IS_MODULE = not workflow.modifier.is_main_snakefile()

if IS_MODULE:
    # Snakemake ignores the `configfile:` of a module that is given a config.
    config = settings.completed(config)
    if workflow.modifier.modify_path("dataset") != "dataset":
        raise WorkflowError(
            "the module has a prefix, which its jobs cannot know of; leave it out, and set "
            "dataset, qc_reports, audit and cache in the module's config"
        )
else:
    # Building the graph makes millions of objects and hardly any cycles. Garbage collection would take
    # a sixth of the time, so it is off until jobs start (`collect_again`). At exit Python would
    # collect once more and take the whole graph apart, another sixth: `freeze` prevents that.
    gc.disable()
    atexit.register(gc.freeze)

SCHEMA = workflow.source_path("../config/config.schema.yaml")
settings.read_text(config, SCHEMA)
with ending_the_run():
    settings.require_said_once(workflow.config_settings.configfiles)
    settings.check(config, SCHEMA, workflow.config_settings.configfiles)
    raw_place.require_apart(config)

#: The interpreter of the stages: this one, or that of the environment that Snakemake deploys.
PYTHON = "python" if workflow.deployment_settings.deployment_method else sys.executable
CONFIG_FILE = set_environment(PYTHON, config)
if vars(workflow).setdefault("ferrari_config_file", CONFIG_FILE) != CONFIG_FILE:
    raise WorkflowError(
        "the workflow is used twice in one run, with different settings: jobs get them from the "
        "environment of the run, and logs/ is one folder; start a run for each"
    )
#: Whether a fork server runs the jobs of this process: those of a run, or of a job group on a cluster
#: node, which has its own Snakemake. A single job on a node does not need one.
SERVED = (workflow.is_main_process or runs_a_group(sys.argv)) and config["warm_workers"]
offer_warm_workers(SERVED)

DATASET = config["dataset"]
QC = config["qc_reports"]
RAW = raw_place.of(config)
FRAMES, DETECTIONS, CROPS, MASKS, AUGMENTED = (
    f"{DATASET}/{stages.FOLDERS[stage]}"
    for stage in ("extract", "detect", "crop", "mask", "augment")
)
TRACKS, SIGHTINGS, IDENTITY = (
    f"{DATASET}/{folder}"
    for folder in (stages.TRACKS, stages.SIGHTINGS, stages.IDENTITY)
)
FINAL = f"{DATASET}/{stages.FINAL}"
SEEN = f"{SIGHTINGS}/{{video}}{sightings_file.ENDING}"
#: The path of a clip's table, by stage, in the order of the workflow.
TABLES = {
    stage: f"{DATASET}/{stages.table(stage, '{video}')}" for stage in stages.FOLDERS
}

IGNORE = config["intake"]["ignore"]
if workflow.is_main_process:
    run_listing.forget()
with ending_the_run():
    RAW_FOLDER = look_through(RAW, IGNORE) if raw_place.is_there(RAW) else RawClips()
VIDEOS = RAW_FOLDER.videos
#: For each clip that could not be fetched from its bucket: the time of the failure.
NOT_FETCHED = fetched_clips.failures(DATASET) if RAW_FOLDER.objects else {}
#: For each clip named like a camera's low-resolution copy: the clips that it may be a copy of.
NAMED_TWINS = twins.named_twins(VIDEOS)
with ending_the_run():
    SHARD = shards.Shard.of(config["shard"])
#: The clips that this run works on: its shard's, if several machines share the set, else all.
OWN = frozenset(VIDEOS) if SHARD is None else SHARD.clips(VIDEOS, NAMED_TWINS)
run_lock.tell_jobs(SHARD)
#: Clips that have tables but are no longer in the raw folder.
GONE = clips_gone.known_by_tables(DATASET, VIDEOS)
#: A digest of the names of all files that are not clips; the table of clips has a row for each.
LEFT_OUT = item_digest(sorted(RAW_FOLDER.left_out))

#: The reports in the order of the workflow. Each is a page and two CSVs: checks, and figures per clip.
REPORTS = (
    "qc0_failed_video_diagnostics",
    "qc3_extraction_summary",
    "qc_identity",
    "qc4_yolo_crops_summary",
    "qc5_masks_summary",
    "qc6_augmentation_summary",
    "qc7_final_summary",
    "qc8_similarity",
)


#: A person's decisions (review/decisions.csv). The file is not an input: one new row would rerun every
#: clip. Instead, each job has a param: the digest of the rows in force for its stage and its clip.
with ending_the_run():
    REVIEW = decisions.load_for_run(DATASET)


def decided(stage):
    """A param of a clip's job: the digest of its decisions. "" if no clip has any at this stage."""
    if not REVIEW.of(stage):
        return ""
    return of_clip(lambda video: REVIEW.digest(stage, video))


def decided_so_far(wildcards):
    """A digest of review/decisions.csv, for the page that shows all its rows."""
    path = decision_table.place(DATASET)
    return decisions.DECIDED + sha256_file(path)[:16] if path.exists() else ""


@cache
def without_clips():
    """The error message if there is no clip to work on, else ""."""
    takes = raw_listing.takes_animations(config)
    try:
        raw_listing.require_clips(RAW, RAW_FOLDER, animations=takes)
    except NoClipsError as error:
        return str(error)
    return ""


def require_clips():
    """Called while the graph is built: without clips, a run ends before its first job; a dry run warns.

    Commands that execute nothing (--lint, --dag, --report) do neither.
    """
    if workflow.executor_plugin is None:
        return
    say_other_settings()
    fault = without_clips()
    if fault and not workflow.dryrun:
        raise WorkflowError(fault)
    if fault:
        say_once(fault)


def say_once(text):
    """Log a warning once, from the run's main process only; input functions are called many times."""
    said = vars(workflow).setdefault("ferrari_said", set())
    if workflow.is_main_process and text not in said:
        said.add(text)
        logger.warning(text)


def say_other_settings():
    """Called while the graph is built: warn if the set was last made with other settings files.

    A forgotten or mistyped `--configfile` would make the whole set anew.
    """
    last = None if IS_MODULE else last_run.of(config["audit"])
    given = [os.path.relpath(file) for file in workflow.config_settings.configfiles]
    text = last and last_run.other_settings(last, config, given)
    if text:
        say_once(text)


def raw_file(video):
    """A clip's raw file: its path, or its address in a bucket."""
    return raw_place.join(RAW, VIDEOS[video])


def raw_state(video):
    """The state of a clip's raw file: as a param, it reruns stage 0 when the file changes.

    Raw files are not inputs of a rule: Snakemake takes braces in a file name for wildcards, and a
    dangling link or a FIFO has to become a row, not an error. For a clip in a bucket, the state
    comes from the listing. A failed fetch is part of the state, so that the next run tries again.
    """
    listed = RAW_FOLDER.objects.get(video)
    if listed is None:
        return raw_files.state(raw_file(video))
    return listed.state + NOT_FETCHED.get(video, "")


def of_named_twins(*patterns):
    """An input of a clip's job: all `patterns`, for each clip that it may be a low-resolution copy of.

    It is a function only if the set has such a clip: Snakemake would call it for 10,000 others.
    """
    if not NAMED_TWINS:
        return []
    return of_clip(
        lambda video: [
            pattern.replace("{video}", twin)
            for twin in NAMED_TWINS.get(video, ())
            for pattern in patterns
        ]
    )


def every(pattern):
    """An input function: `pattern` with each clip's id in place of {video}.

    A list would be slower: if another input is a rule's output, Snakemake hashes the whole list once
    for each of its items, which is quadratic in the number of clips.
    """

    def tables(wildcards):
        require_clips()
        return [pattern.replace("{video}", video) for video in VIDEOS]

    return tables


def upstream(pattern):
    """A param function: the tables of `pattern`, from which the inputs of a rule are made.

    As indirect inputs they exist before the rule runs. Naming them as inputs would cost a second and
    10 MB in a run of 10,000 clips (docs/decisions/0017). The parameter `input` makes Snakemake keep
    no record of the param.
    """
    tables = every(pattern)
    return lambda wildcards, input: tables(wildcards)


def of_shard(wildcards):
    """The tables of the last stage for this shard's clips."""
    require_clips()
    return [f"{FINAL}/captions/{video}.csv" for video in VIDEOS if video in OWN]


def lost(wildcards):
    """Missing tables that have to be made again: of clips with other tables, or of all clips if the
    final table exists; and missing files that say who the subject is.
    """
    missing = lost_tables.of_clips(
        [video for video in VIDEOS if video in OWN],
        [
            *TABLES.values(),
            f"{TRACKS}/{{video}}.csv",
            f"{IDENTITY}/{{video}}.csv",
            SEEN,
        ],
        finished=SHARD is None and os.path.exists(f"{FINAL}/final.csv"),
    )
    answer = [f"{DATASET}/{file}" for file in stages.OF_WHO]
    return missing + [file for file in answer if not os.path.exists(file)]


include: "params.smk"
include: "devices.smk"
include: "awaited.smk"
