"""The stages in the order of the workflow, and the paths below the dataset's folder."""

from __future__ import annotations

from typing import NamedTuple

RAW, FINAL = "00_raw_videos", "05_final_training"
#: Stages with one table a clip, and the folder of those tables.
FOLDERS = {
    "probe": "videos",
    "extract": "01_extracted_frames",
    "detect": "subject/detections",
    "crop": "02_yolo_crops",
    "mask": "03_masked_subjects",
    "augment": "04_augmented",
    "caption": f"{FINAL}/captions",
}
#: The last stage of a clip; refused clips pass through it too.
LAST_STAGE = list(FOLDERS)[-1]


class Words(NamedTuple):
    """What people call a stage: by its number, and the name of one of its rows and of all of
    them.
    """

    number: int
    row: str
    rows: str


#: In the order of flow. Finding people, telling who each is and cutting one out are parts of
#: stage 2; what becomes of each image is the end of stage 5.
WORDS = {
    "probe": Words(0, "raw clip", "Raw videos"),
    "extract": Words(1, "frame", "Frames"),
    "detect": Words(2, "detection", "Detections"),
    "identity": Words(2, "track", "Tracks"),
    "crop": Words(2, "crop", "Crops"),
    "mask": Words(3, "cut-out", "Cut-outs"),
    "augment": Words(4, "image", "Augmented images"),
    "caption": Words(5, "caption", "Captions"),
    "final": Words(5, "final verdict", "Final images"),
}
#: All that write tables; those without a folder in FOLDERS write one over the whole set.
ORDER = (
    *("probe", "videos", "extract", "detect", "crop", "mask", "environments", "augment"),
    *("caption", "final", "package"),
)
#: Where the tables of tracks lie, beside those of detections.
TRACKS = "subject/tracks"
#: What is seen of people and their faces, and who is who: a file a clip each.
SIGHTINGS, IDENTITY = "subject/sightings", "subject/identity"
#: Who the subject is: the pictures' table, the people of a vote, the template, and what was said.
REFERENCES_CSV, PEOPLE_CSV = "subject/references.csv", "subject/people.csv"
WHO_NPZ, WHO_JSON = "subject/who.npz", "subject/who.json"
#: The pictures' table where they do not say who it is: the job failed, and none of its outputs is
#: there. It goes with the next answer.
REFUSED_REFERENCES_CSV = "subject/references_refused.csv"
OF_WHO = (REFERENCES_CSV, PEOPLE_CSV, WHO_NPZ, WHO_JSON)
#: The clips that vote on it.
SUBJECT_PINNED_CSV = "subject_pinned.csv"
VIDEOS_CSV, FINAL_CSV = "videos.csv", f"{FINAL}/final.csv"
#: The bank of scenes: its table, its plates, and the clips that it was drawn from.
ENVIRONMENTS_CSV, ENVIRONMENTS = "environments.csv", "environments"
PINNED_CSV = "environments_pinned.csv"


def table(stage: str, video: str) -> str:
    """Path, relative to the dataset, of the table that a stage writes for one clip."""
    return f"{FOLDERS[stage]}/{video}.csv"
