# What single clips and the whole set wait for: the scenes' clips, and who the subject is.
# Contract: which clips are asked is drawn by hash while the Snakefile is read, and pinned by name: a
# new clip is no input of a step over the whole set; no rule here.

from ferrari.backgrounds import scene_bank
from ferrari.ledger import pinned_clips
from ferrari.subject import modes, pins

USES_CLIP_SCENES = not config["augment"]["environment_folder"]


def user_pictures():
    """The files of the user's own folder of backgrounds."""
    folder = config["augment"]["environment_folder"]
    if not os.path.isdir(folder):
        raise WorkflowError(f"augment.environment_folder: there is no folder {folder}")
    return [os.path.join(folder, file) for file in scene_bank.pictures(folder).values()]


#: The clips whose scenes are lent to all.
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
JUDGING = settled(modes.judging(SUBJECT, config["subject"], THRESHOLDS))

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
    return of_clip(lambda video: FIRST if video in AWAITED else depth)


def where_faces_are_searched(there, elsewhere):
    """An input or a param of a clip's job: `there`, or `elsewhere` where no faces are searched.

    A function only where clips differ, since it is asked for each job.
    """
    if len(FACED) in (0, len(VIDEOS)):
        return there if FACED else elsewhere
    return of_clip(lambda video: there if video in FACED else elsewhere)


#: The files of the networks that search a clip.
DETECT_WEIGHTS = where_faces_are_searched(
    weights_files("detect") + (weights_files("subject") if FACED else []),
    weights_files("detect"),
)


def picture_states(wildcards):
    """The states of all pictures: as a param, they name the subject anew when a file changes."""
    return {
        name: [
            raw_files.state(os.path.join(folder.path, file)) for file in folder.files
        ]
        for name, folder in PICTURES.items()
    }
