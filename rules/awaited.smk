# The few clips that all others wait for: those that lend scenes, and those that vote on the subject.
# Contract: these clips are drawn by hash while the Snakefile is parsed, and pinned by name. So a new
# clip never becomes an input of a step over the whole set. No rule here.

from ferrari.backgrounds import scene_bank
from ferrari.ledger import pinned_clips
from ferrari.subject import modes, pins

USES_CLIP_SCENES = not config["augment"]["environment_folder"]


def user_pictures():
    """The files of the user's own folder of backgrounds."""
    folder = config["augment"]["environment_folder"]
    with ending_the_run():
        found = scene_bank.pictures(folder)
    return [os.path.join(folder, file) for file in found.values()]


#: The clips whose scenes become backgrounds of other clips.
PINNED = pinned_clips.pinned_or_drawn(
    f"{DATASET}/{stages.PINNED_CSV}",
    VIDEOS,
    config["seed"],
    config["augment"]["environment_clips"],
    "environments",
)

with ending_the_run():
    SUBJECT = modes.choose(config["subject"], config["detect"]["class"])
    FACES = weight_files.wanted(config, "subject")
    THRESHOLDS = modes.thresholds(config["subject"], FACES[1].entry)
    #: The clips that vote on who the subject is, or in which people are only counted.
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

#: The clips in which faces are detected.
FACED = frozenset(VIDEOS if SUBJECT.mode != modes.SINGLE else VOTERS.clips)
#: The weights files that the networks of stages 2 and 3 need.
ALL_WEIGHTS = [
    file
    for section in ("detect", "mask", *(["subject"] if FACED else []))
    for file in weights_files(section)
]
FACE_NETWORKS = {
    **weight_files.face_settings(config),
    "weights": weights_entries("subject") if FACED else [],
}
#: The folders of reference pictures (of the subject, and of others), by their settings.
PICTURES = {
    folder.setting: folder for folder in (SUBJECT.references, SUBJECT.others) if folder
}
#: The rules for judging each detection; None if nobody is judged. A change reruns no detection.
JUDGING = settled(modes.judging(SUBJECT, config["subject"], THRESHOLDS))

#: The clips that the steps over the whole set wait for, while all other clips wait for those steps;
#: the stages of these clips that are waited for, and the priority of such jobs.
AWAITED = frozenset((*PINNED, *VOTERS.clips))
AWAITED_STAGES = ("probe", "extract", "detect")
FIRST = 100


def soon(stage):
    """The priority of a stage's job: later stages first.

    This keeps all stages at work at the same time, so that the card is busy while the cores crop.
    By default Snakemake prefers the jobs with the largest inputs. Weights are inputs, so it would
    run detection on all clips before it crops the first one.
    """
    depth = list(stages.FOLDERS).index(stage)
    if stage not in AWAITED_STAGES:
        return depth
    return of_clip(lambda video: FIRST if video in AWAITED else depth)


def where_faces_are_searched(there, elsewhere):
    """An input or param of a clip's job: `there` if faces are detected in the clip, else `elsewhere`.

    It is a function only if clips differ, because Snakemake calls it for each job.
    """
    if len(FACED) in (0, len(VIDEOS)):
        return there if FACED else elsewhere
    return of_clip(lambda video: there if video in FACED else elsewhere)


#: The weights files of the networks that run on a clip in stage 2.
DETECT_WEIGHTS = where_faces_are_searched(
    weights_files("detect") + (weights_files("subject") if FACED else []),
    weights_files("detect"),
)


def picture_states(wildcards):
    """The states of all reference pictures: as a param, they rerun `who` when a file changes."""
    return {
        name: [
            raw_files.state(os.path.join(folder.path, file)) for file in folder.files
        ]
        for name, folder in PICTURES.items()
    }
