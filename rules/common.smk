# What all rules share: the settings, where things lie, which clips there are, functions for inputs.
# Contract: `config` is checked before anything else happens; no rule is defined here, and nothing is
# written: parsing is all that `-n`, `--lint`, `--dag` and `--report` do.
# Without rules too: params.smk, devices.smk and awaited.smk, which follow, and handlers.smk. What can be
# decided without Snakemake is decided in the library, where unit tests reach it.

import atexit
import gc
import os
import sys
from contextlib import contextmanager
from functools import cache

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# The library lies in scripts/. It comes first, so that neither an installed package of the same name
# nor the `scripts` of a workflow that includes this one is taken for it.
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
    """What goes wrong inside, with the settings, the files or the machine, ends the run before its
    first job, with its message and what to do.
    """
    try:
        yield
    except FerrariError as error:
        raise WorkflowError(str(error)) from error
    except OSError as error:
        raise WorkflowError(str(error), error_advice.of_error(error)) from error


#: Another workflow uses the rules: its handlers run, those of our Snakefile do not.
IS_MODULE = not workflow.modifier.is_main_snakefile()

if IS_MODULE:
    # Snakemake reads no `configfile:` of a module that is given a config.
    config = settings.completed(config)
    if workflow.modifier.modify_path("dataset") != "dataset":
        raise WorkflowError(
            "the module has a prefix, of which its jobs would know nothing; leave it out, and set "
            "dataset, qc_reports, audit and cache in the module's config"
        )
else:
    # Building the graph makes millions of objects and hardly a cycle; looking for cycles among them,
    # as Python does, takes a sixth of the time. On again when jobs start (`collect_again`). Python
    # would look once more at its very end, and take the whole graph apart: that takes another sixth.
    gc.disable()
    atexit.register(gc.freeze)

SCHEMA = workflow.source_path("../config/config.schema.yaml")
settings.read_text(config, SCHEMA)
with ending_the_run():
    settings.require_said_once(workflow.config_settings.configfiles)
    settings.check(config, SCHEMA, workflow.config_settings.configfiles)
    raw_place.require_apart(config)

#: What runs the stages: this Python, or that of the environment that Snakemake deploys for them.
PYTHON = "python" if workflow.deployment_settings.deployment_method else sys.executable
CONFIG_FILE = set_environment(PYTHON, config)
if vars(workflow).setdefault("ferrari_config_file", CONFIG_FILE) != CONFIG_FILE:
    raise WorkflowError(
        "the workflow is used twice in one run, with different settings: jobs get them from the "
        "environment of the run, and logs/ is one folder; start a run for each"
    )
#: One fork server serves the jobs of this process: of a run, or of a group of jobs that a cluster
#: runs, which has a Snakemake of its own on its node. A single job there has no use for one.
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
#: The table of a clip, by stage, in the order of flow.
TABLES = {
    stage: f"{DATASET}/{stages.table(stage, '{video}')}" for stage in stages.FOLDERS
}

IGNORE = config["intake"]["ignore"]
if workflow.is_main_process:
    run_listing.forget()
with ending_the_run():
    RAW_FOLDER = look_through(RAW, IGNORE) if raw_place.is_there(RAW) else RawClips()
VIDEOS = RAW_FOLDER.videos
#: Of each clip that could not be fetched out of its bucket, when.
NOT_FETCHED = fetched_clips.failures(DATASET) if RAW_FOLDER.objects else {}
#: Of each clip that is named as a low-resolution copy, the clips that it may be one of.
NAMED_TWINS = twins.named_twins(VIDEOS)
with ending_the_run():
    SHARD = shards.Shard.of(config["shard"])
#: The clips that this run works on, where several machines have a part of the set each; else all.
OWN = frozenset(VIDEOS) if SHARD is None else SHARD.clips(VIDEOS, NAMED_TWINS)
run_lock.tell_jobs(SHARD)
#: Clips that are no longer there, though tables tell of them.
GONE = clips_gone.known_by_tables(DATASET, VIDEOS)
#: Stands for the names of all that is no clip by its name: the table of clips has a row for each.
LEFT_OUT = item_digest(sorted(RAW_FOLDER.left_out))

#: The reports in the order of flow; each has a CSV of checks, one of figures per clip, and a page.
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


#: What a person decided (review/decisions.csv). No input of a rule: one row would rerun every clip.
#: Each job has as a param the digest of the rows in force that concern its stage and its clip.
with ending_the_run():
    REVIEW = decisions.load_for_run(DATASET)


def decided(stage):
    """A param of a clip's job: the digest of its rows. A function only if any clip has one."""
    if not REVIEW.of(stage):
        return ""
    return of_clip(lambda video: REVIEW.digest(stage, video))


def decided_so_far(wildcards):
    """A digest of all rows of review/decisions.csv, for the page that shows them."""
    path = decision_table.place(DATASET)
    return decisions.DECIDED + sha256_file(path)[:16] if path.exists() else ""


@cache
def without_clips():
    """What is to be said where there is no clip to work on; else ""."""
    takes = raw_listing.takes_animations(config)
    try:
        raw_listing.require_clips(RAW, RAW_FOLDER, animations=takes)
    except NoClipsError as error:
        return str(error)
    return ""


def require_clips():
    """While a graph is built: without clips a run ends before its first job, a dry run warns.

    Other commands (--lint, --dag, --report) execute nothing, and have nothing to say.
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
    """A warning of the run's own process, once however often the graph is asked."""
    said = vars(workflow).setdefault("ferrari_said", set())
    if workflow.is_main_process and text not in said:
        said.add(text)
        logger.warning(text)


def say_other_settings():
    """While a graph is built: a set that was last made with other settings files than this run has.

    Whoever forgets `--configfile`, or names another one, would make the whole set anew.
    """
    last = None if IS_MODULE else last_run.of(config["audit"])
    given = [os.path.relpath(file) for file in workflow.config_settings.configfiles]
    text = last and last_run.other_settings(last, config, given)
    if text:
        say_once(text)


def raw_file(video):
    """Path of a clip's raw file, or its address in a bucket."""
    return raw_place.join(RAW, VIDEOS[video])


def raw_state(video):
    """The state of a clip's raw file: as a param, it reruns stage 0 when the file changes.

    Raw files are no inputs of a rule: Snakemake takes braces in an input's name for wildcards, and
    a dangling link or a FIFO has to become a row, not an error. Of a clip in a bucket the listing
    tells, and a note where it could not be fetched the last time: then it is tried again.
    """
    listed = RAW_FOLDER.objects.get(video)
    if listed is None:
        return raw_files.state(raw_file(video))
    return listed.state + NOT_FETCHED.get(video, "")


def of_named_twins(*patterns):
    """An input: all `patterns` for each clip that a clip may be a low-resolution copy of. A function
    only if there is such a clip: 10,000 others would be asked.
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

    A function, since of a list Snakemake hashes the whole for each of its items where some other
    input stands for the output of a rule. That is the square of the number of clips.
    """

    def tables(wildcards):
        require_clips()
        return [pattern.replace("{video}", video) for video in VIDEOS]

    return tables


def upstream(pattern):
    """A param function: the tables of `pattern`, which the inputs of a rule are made from.

    They come before the rule without being named, and each naming costs 10,000 clips a second and
    10 MB a run (docs/decisions/0017). `input` is taken so that Snakemake keeps no record of them.
    """
    tables = every(pattern)
    return lambda wildcards, input: tables(wildcards)


def of_shard(wildcards):
    """The last tables of this shard's clips."""
    require_clips()
    return [f"{FINAL}/captions/{video}.csv" for video in VIDEOS if video in OWN]


def lost(wildcards):
    """Tables of this run's clips that are gone, though others of the clip, or the final table, are
    there; and what says who the subject is.
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
