# Helpers only: where things lie, which clips there are, what a rule's params are made of.
# Contract: `config` is checked before anything else happens; no rule is defined here, and nothing is
# written: parsing is all that `-n`, `--lint`, `--dag` and `--report` do.

import gc
import os
import sys
import time
from pathlib import Path

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

from ferrari.backgrounds import scene_bank
from ferrari.captions import caption_text, overrides
from ferrari.common import settings
from ferrari.common.atomic_files import sha256_file
from ferrari.common.errors import FerrariError
from ferrari.jobs import error_advice, run_events, run_lock, run_watch
from ferrari.jobs.stage_command import (
    offer_warm_workers,
    runs_a_group,
    set_environment,
    stage_command,
    tell_tokens,
)
from ferrari.ledger import clips_gone, pinned_clips, shards, stages
from ferrari.ledger.item_ids import VIDEO_ID, RawFolder, look_through
from ferrari.networks import weight_files
from ferrari.processes.devices import (
    DeviceError,
    cuda_devices,
    nvdec_engines,
    nvdec_problem,
)
from ferrari.provenance import bank_stays, last_run, older_packages
from ferrari.provenance.code_digest import code_digest
from ferrari.provenance.reuse import item_digest
from ferrari.review import decisions
from ferrari.subject import modes, pins, sightings_file
from ferrari.video import raw_files, twins

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
    # as Python does, takes a sixth of the time. On again when jobs start (`collect_again`).
    gc.disable()

SCHEMA = workflow.source_path("../config/config.schema.yaml")
settings.read_text(config, SCHEMA)
try:
    settings.require_said_once(workflow.config_settings.configfiles)
    settings.check(config, SCHEMA)
except settings.SettingsError as error:
    raise WorkflowError(str(error)) from error

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
RAW = config["raw_videos"] or f"{DATASET}/{stages.RAW}"
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
try:
    RAW_FOLDER = look_through(RAW, IGNORE) if os.path.isdir(RAW) else RawFolder()
except OSError as error:
    raise WorkflowError(str(error), error_advice.of_error(error)) from error
VIDEOS = RAW_FOLDER.videos
#: Of each clip that is named as a low-resolution copy, the clips that it may be one of.
NAMED_TWINS = twins.named_twins(VIDEOS)
try:
    SHARD = shards.Shard.of(config["shard"])
except FerrariError as error:
    raise WorkflowError(str(error)) from error
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
try:
    REVIEW = decisions.load_for_run(DATASET)
except decisions.DecisionsError as error:
    raise WorkflowError(str(error)) from error


def decided_so_far(wildcards):
    """A digest of all rows of review/decisions.csv, for the page that shows them."""
    path = decisions.place(DATASET)
    return sha256_file(path)[:16] if path.exists() else ""


def require_clips():
    """While a graph is built: without clips a run ends before its first job, a dry run warns.

    Other commands (--lint, --dag, --report) execute nothing, and have nothing to say.
    """
    if workflow.executor_plugin is None:
        return
    say_other_settings()
    if VIDEOS:
        return
    state = "holds no files" if os.path.isdir(RAW) else "does not exist"
    if RAW_FOLDER.left_out:
        state = (
            "holds no clip: all in it are files of the system, or match intake.ignore"
        )
    text = (
        f"the folder of raw clips {RAW} {state}: put your clips there, or point the setting "
        "raw_videos at the folder that has them"
    )
    if not workflow.dryrun:
        raise WorkflowError(text)
    say_once(text)


def say_once(text):
    """A warning of the run's own process, once however often the graph is asked."""
    said = vars(workflow).setdefault("ferrari_said", set())
    if workflow.is_main_process and text not in said:
        said.add(text)
        logger.warning(text)


def say_other_settings():
    """While a graph is built: a set that was last made with other settings files than this run has.

    Whoever forgets `--configfile`, or names another one, would make the whole set anew. A file that
    was edited says nothing: that is meant.
    """
    last = None if IS_MODULE else last_run.of(config["audit"])
    if last is None or not last.had_file:
        return
    given = [os.path.relpath(file) for file in workflow.config_settings.configfiles]
    before = last.config_files
    if given and (not before or list(before) == given):
        return
    differing = last_run.differences(last.config, config)
    if differing:
        more = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
        now = f"the settings files {' '.join(given)}" if given else "no settings file"
        say_once(
            f"OTHER SETTINGS: this set was last made with others ({'; '.join(differing[:4])}{more}), "
            f"and this run has {now}. Stop it unless you mean it; the last had "
            f"--configfile {' '.join(map(str, before or (last.settings_file,)))}"
        )


def raw_file(wildcards):
    """Path of a clip's raw file."""
    return os.path.join(RAW, VIDEOS[wildcards.video])


def raw_state(wildcards):
    """The state of a clip's raw file: as a param, it reruns stage 0 when the file changes.

    Raw files are no inputs of a rule: Snakemake takes braces in an input's name for wildcards, and
    a dangling link or a FIFO has to become a row, not an error.
    """
    return raw_files.state(raw_file(wildcards))


def of_named_twins(pattern):
    """An input function: `pattern` for each clip that a clip may be a low-resolution copy of."""
    return lambda wildcards: [
        pattern.replace("{video}", video)
        for video in NAMED_TWINS.get(wildcards.video, ())
    ]


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


def lost_tables(wildcards):
    """Tables of clips that are gone, though others of the clip, or the final table, are there; and
    what says who the subject is.

    Snakemake by itself takes a missing file for one that is not needed where what was made of it
    is there. What nothing was made of yet needs no naming, and would be 70,000 names.
    """
    finished = SHARD is None and os.path.exists(f"{FINAL}/final.csv")
    lost = []
    beside = (f"{TRACKS}/{{video}}.csv", f"{IDENTITY}/{{video}}.csv", SEEN)
    patterns = (*TABLES.values(), *beside)
    for video, *tables in zip(
        VIDEOS, *(every(pattern)(wildcards) for pattern in patterns)
    ):
        if video not in OWN:
            continue
        missing = [table for table in tables if not os.path.exists(table)]
        if finished or len(missing) < len(tables):
            lost += missing
    answer = (f"{DATASET}/{file}" for file in stages.OF_WHO)
    return [*lost, *(file for file in answer if not os.path.exists(file))]


def settled(value):
    """A setting with the keys of its parts sorted: a param's text must not depend on their order."""
    if isinstance(value, dict):
        return {key: settled(value[key]) for key in sorted(value)}
    return value


#: What captions and packages call the subject; who it is, is no matter of theirs.
SUBJECT_WORDS = settled({key: config["subject"][key] for key in ("token", "class")})
#: Keys of a section that are limits: they decide about rows that reach them, and no others.
LIMITS = ("timeout_s", "memory_mb")
#: Keys that decide only how fast a result is reached. They are resources of a rule, not params.
MEANS = ("batch", "device")
#: Keys of `detect` that choose among what was found, and cut: no frame is searched again for them.
CHOICE = ("policy", "pad", "min_side", "duplicate_delta", "duplicate_block")


def what_matters(section, but=()):
    """A section of the config without its limits and what changes only how fast it goes."""
    left_out = {*LIMITS, *MEANS, *but}
    return settled({k: v for k, v in config[section].items() if k not in left_out})


def limits(section):
    """The limits of a section: jobs look for themselves which rows a raised one opens again."""
    return {key: config[section][key] for key in LIMITS}


def tokens(name):
    """How many tokens of a kind the run was given (`--resources`, a profile); None: nobody said."""
    given = workflow.global_resources.get(name)
    return None if given is None or given.value is None else int(given.value)


tell_tokens(tokens("gpu"), tokens("nvdec"))
if tokens("gpu") is None and cuda_devices():
    # Of jobs that hold the card themselves, one on each: networks beside each other gain little.
    workflow.register_resource("gpu", cuda_devices())
if tokens("nvdec") is None and config["extract"]["decoder"] != "cpu":
    if not nvdec_problem():
        workflow.register_resource("nvdec", cuda_devices() * nvdec_engines(0))


def place(section):
    """Where the network of `detect`, `mask` or `caption` runs, as what is installed here can."""
    from ferrari.networks import detectors, faces, placement, segmenters

    settings = config[section]
    if section == "caption":
        return placement.of_torch(settings["device"])
    weights = [str(w.path) for w in weights_of(section)]
    if section == "subject":
        return faces.places_of(weights, config["detect"]["device"])[0]
    if section == "detect":
        return detectors.place_of(settings, weights, config["mask"])
    own = weight_files.for_segmenter(settings, config["cache"])
    weights = [
        str(w.path) for w in own
    ]  # without the person gate's, which go where they can
    return segmenters.place_of(settings["segmenter"], weights, settings["device"])


def device(section):
    """Where the jobs of a section are told to run their network: the setting, or `cpu` where
    nothing else can come of it (gpu=0; a card that nothing installed can use).

    Whether what is installed works is asked where the driver shows a card, of the Python that runs
    the jobs too: an environment that Snakemake deploys is taken to fit.
    """
    wanted = config[section]["device"]
    if tokens("gpu") == 0 and wanted.startswith("cuda"):
        raise WorkflowError(
            f"{section}.device is {wanted}, but the run is given no GPU (gpu=0): leave gpu=0 out, or "
            f"set {section}.device: auto or cpu"
        )
    if tokens("gpu") == 0 or not cuda_devices():
        return "cpu" if wanted == "auto" and workflow.local_exec else wanted
    if wanted != "auto" or PYTHON != sys.executable or not workflow.is_main_process:
        return wanted
    return "cpu" if place(section).device == "cpu" else wanted


def on_gpu(section):
    """How many tokens `gpu` a job of a section takes: 1 if it opens the card itself, else 0.

    Where the run's fork server serves the jobs, its one process a card has it open, and so many
    jobs at once as there are cores are what keeps it busy.
    """
    wanted = device(section)
    if wanted == "cpu" or (wanted == "auto" and not cuda_devices()):
        return 0
    return 0 if SERVED and workflow.local_exec else 1


def say_devices():
    """Before the first job: what each network runs on, once. A device that was named and cannot be
    had ends the run here, with what to install, and not in every job.

    Only where the jobs run on this machine, on this Python.
    """
    if PYTHON != sys.executable or not workflow.local_exec or not cuda_or_named():
        return
    sections = ["detect", *(["subject"] if FACED else []), "mask"]
    sections += ["caption"] if config["caption"]["backend"] == "transformers" else []
    for section in sections:
        device_of = "detect" if section == "subject" else section
        if tokens("gpu") == 0 and config[device_of]["device"] == "auto":
            logger.info(f"{section}: its network runs on the CPU (gpu=0)")
            continue
        try:
            found = place(section)
        except DeviceError as error:
            raise WorkflowError(f"{device_of}.device: {error}") from error
        logger.info(f"{section}: its network runs on {found.device} ({found.runtime})")


def require_decoder():
    """Before the first job: a decoder that was named and cannot be had ends the run here."""
    choice = config["extract"]["decoder"]
    named = choice in ("nvdec", "decord")
    if not named or PYTHON != sys.executable or not workflow.local_exec:
        return
    from ferrari.video.decoding import registry
    from ferrari.video.decoding.base import DecoderUnavailableError

    try:
        registry.require(choice)
    except DecoderUnavailableError as error:
        raise WorkflowError(str(error)) from error


def cuda_or_named():
    """Whether there is anything to say of devices: a card, or a setting that names one."""
    named = (config[section]["device"] for section in ("detect", "mask", "caption"))
    return cuda_devices() or any(device.startswith("cuda") for device in named)


def weights_of(section):
    """The weights that `detect`, `mask` or `subject` (faces) loads, as weight_files.Weights."""
    try:
        found = weight_files.wanted(config, section)
        for (
            weights
        ) in found:  # Snakemake takes a missing input for unchanged where the output is
            weight_files.require_place(weights, section)
            weight_files.require_terms(
                weights, config["models"]["accept_noncommercial"]
            )
        return found
    except weight_files.ModelError as error:
        raise WorkflowError(str(error)) from error


#: What an entry of models.yaml says of a set of weights without changing what comes out of it.
REMARKS = {"licence", "sources", "above", "below"}


def weights_entries(section):
    """The param that stands for the weights of a section: digests, and how pictures are prepared."""
    return [
        {key: value for key, value in weights.entry.items() if key not in REMARKS}
        for weights in weights_of(section)
    ]


def weights_files(section):
    """Those of them that have to be there first; the repository's own are pinned by their entry."""
    return [str(w.path) for w in weights_of(section) if not weight_files.is_ours(w)]


PINNED = pinned_clips.pinned_or_drawn(
    f"{DATASET}/{stages.PINNED_CSV}",
    VIDEOS,
    config["seed"],
    config["augment"]["environment_clips"],
    "environments",
)

# --- who the subject is -----------------------------------------------------------------------------

try:
    SUBJECT = modes.choose(config["subject"], config["detect"]["class"])
    FACES = weight_files.wanted(config, "subject")
    THRESHOLDS = modes.thresholds(config["subject"], FACES[1].entry)
    #: The clips that say who the subject is, or of which is told how many people they show.
    VOTERS = (
        pins.Voters(())
        if SUBJECT.mode == modes.REFERENCES or SUBJECT.said
        else pins.voters(
            f"{DATASET}/{stages.SUBJECT_PINNED_CSV}",
            VIDEOS,
            config["seed"],
            config["subject"]["voting_clips"],
        )
    )
except FerrariError as error:
    raise WorkflowError(str(error)) from error

#: In these clips faces are searched.
FACED = frozenset(VIDEOS if SUBJECT.mode != modes.SINGLE else VOTERS.clips)
#: What is fetched before the networks of stages 2 and 3 can run.
ALL_WEIGHTS = [
    file
    for section in ("detect", "mask", *(["subject"] if FACED else []))
    for file in weights_files(section)
]
FACE_NETWORKS = {
    **weight_files.face_settings(config),
    "weights": weights_entries("subject") if FACED else [],
}
#: The folders of pictures that say who the subject is, and who is not, by their settings.
PICTURES = {
    folder.setting: folder for folder in (SUBJECT.references, SUBJECT.others) if folder
}
#: What judges each detection; None where nobody is judged. Stage 2 searches nothing anew for it.
JUDGING = (
    settled(
        {
            "mode": SUBJECT.mode,
            "above": THRESHOLDS.above,
            "below": THRESHOLDS.below,
            **{
                key: config["subject"][key]
                for key in ("body_similarity", "body_gap_s", "sureness_decay")
            },
        }
    )
    if SUBJECT.mode != modes.SINGLE
    else None
)


#: The clips that steps over the whole set wait for, while all other clips wait for those steps;
#: the stages of such a clip that they wait for, and the priority of all that is waited for.
AWAITED = frozenset((*PINNED, *VOTERS.clips))
AWAITED_STAGES = ("probe", "extract", "detect")
FIRST = 100


def soon(stage):
    """The priority of a stage's job: the further a clip has come, the sooner it goes on.

    So work of all kinds is there all the time, and a card is busy while the cores cut. Else
    Snakemake takes the jobs with the largest inputs: weights are inputs, so all clips would be
    searched before one is cut.
    """
    depth = list(stages.FOLDERS).index(stage)
    if stage not in AWAITED_STAGES:
        return depth
    return lambda wildcards: FIRST if wildcards.video in AWAITED else depth


def detect_weights(wildcards):
    """The weights of the detector, and where faces are searched those of the networks for them."""
    faces = weights_files("subject") if wildcards.video in FACED else []
    return weights_files("detect") + faces


def networks_for_faces(wildcards):
    """What a clip's table depends on of the networks for faces; None where none are searched."""
    return FACE_NETWORKS if wildcards.video in FACED else None


def picture_states(wildcards):
    """The states of all pictures: as a param, they name the subject anew when a file changes."""
    return {
        name: [
            raw_files.state(os.path.join(folder.path, file)) for file in folder.files
        ]
        for name, folder in PICTURES.items()
    }


def say_subject():
    """Before the first job: how it is known who the subject is, where that needs a word."""
    for said in (SUBJECT.said, VOTERS.said()):
        if said:
            logger.warning(said)


def require_dataset():
    """Before the first job: the dataset and the reports can be written, and by this run alone, or
    by runs of other shards beside it.
    """
    try:
        for folder in (".", DATASET, QC):
            error_advice.require_writable(folder)
        run_lock.require(DATASET, shard=SHARD)
    except OSError as error:
        raise WorkflowError(str(error), error_advice.of_error(error)) from error
    except run_lock.RunningError as error:
        raise WorkflowError(str(error)) from error


def require_own_jobs():
    """Before a shard's first job: all that would be done is its own clips'.

    Who the subject is and which scenes there are is asked of clips of all shards, and weights are
    fetched into one cache: two machines that do so at once would get in each other's way.
    """
    if SHARD is None:
        return
    planned = [job for job in workflow.dag.needrun_jobs() if job.rule.name != "all"]
    others = sorted(
        (
            f"{job.rule.name} of {job.wildcards_dict['video']}"
            if "video" in job.wildcards_dict
            else job.rule.name
        )
        for job in planned
        if job.wildcards_dict.get("video") not in OWN
    )
    if others:
        more = f" and {len(others) - 4} more" if len(others) > 4 else ""
        raise WorkflowError(
            f"shard {SHARD} would do what is not its own: {', '.join(others[:4])}{more}. Run the "
            "target `pins` once, with the same settings and without the setting shard, before the "
            "shards; what concerns the whole set is made after them, without it too"
        )


#: Logs that were written before are an earlier run's.
BEGAN = time.time()
#: What others read of the run while it goes on.
EVENTS = run_events.EventLog()
#: Whether the command that started the run shows how far it is, and says at its end what jobs said
#: that failed.
WATCHED = workflow.is_main_process and run_watch.is_watched(logger)


def begin(log):
    """Before the first job: the run has the dataset to itself, and its record is begun.

    What jobs need comes from elsewhere: a module's handlers do not run, nor do any with --no-hooks.
    """
    collect_again()
    say_subject()
    say_devices()
    say_gate()
    require_decoder()
    require_own_jobs()
    targets = set(workflow.dag_settings.targets)
    makes = not targets or not targets <= last_run.ONLY_LOOK
    if makes:
        require_dataset()
    try:
        if makes:
            EVENTS.begin(workflow, logger, log)
        RECORD.start()
    except OSError as error:
        EVENTS.end("failed")
        raise WorkflowError(str(error), error_advice.of_error(error)) from error


def say_gate():
    """Why mattes go through no person gate, where one would be expected."""
    _, why = weight_files.gate_of(config["mask"], config["detect"]["class"])
    if why:
        logger.info(f"Mattes are not limited to people: {why}.")


def say_end():
    """After the last job: what came of the clips, where people look first."""
    EVENTS.end("success")
    if SHARD is not None:
        logger.info(
            f"Shard {SHARD} is done: {len(OWN):,} of {len(VIDEOS):,} clips. When all shards are, run "
            "the same without the setting shard: it makes what concerns the whole set."
        )
        return
    if set(workflow.dag_settings.targets) - {
        "all"
    }:  # a single report, or nothing was made
        return
    from ferrari.reports.run_end import last_lines

    lines = last_lines(Path(DATASET), Path(QC), config["package"]["formats"])
    if lines:
        logger.info("\n".join(["", *lines]))


def forget_failed():
    """Take away what failed jobs left of earlier runs.

    A job takes its table away before it works. If it ends sooner, Snakemake puts the old table back
    and writes down that it was made with today's settings: the next run would take it for true.
    """
    failed = workflow.scheduler.failed if workflow.scheduler else ()
    for job in failed:
        for each in job if job.is_group() else [job]:
            for path in each.output:
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
    lines = [*failures(Path("logs"), BEGAN), error_advice.of_run(said) or ""]
    if any(lines):
        logger.error("\n".join(lines))


def collect_again():
    """Look for cycles again, among what is made from now on."""
    gc.freeze()
    gc.enable()


USES_CLIP_SCENES = not config["augment"]["environment_folder"]


def user_pictures():
    """The files of the user's own folder of backgrounds."""
    folder = config["augment"]["environment_folder"]
    if not os.path.isdir(folder):
        raise WorkflowError(f"augment.environment_folder: there is no folder {folder}")
    return [os.path.join(folder, file) for file in scene_bank.pictures(folder).values()]
