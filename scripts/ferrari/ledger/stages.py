"""The stages in the order of flow, and where their tables lie below the dataset's folder."""

from __future__ import annotations

FINAL = "05_final_training"
#: Stages with one table a clip, and the folder of those tables.
FOLDERS = {
    "probe": "videos",
    "extract": "01_extracted_frames",
    "crop": "02_yolo_crops",
    "mask": "03_masked_subjects",
    "augment": "04_augmented",
    "caption": f"{FINAL}/captions",
}
#: All that write tables; those that are no key of FOLDERS write them over the whole set.
ORDER = (
    *("probe", "videos", "extract", "crop", "mask", "environments", "augment", "caption"),
    *("final", "package"),
)
VIDEOS_CSV, ENVIRONMENTS_CSV, FINAL_CSV = "videos.csv", "environments.csv", f"{FINAL}/final.csv"
PINNED_CSV = "environments_pinned.csv"  # the clips that the bank of scenes is drawn from


def table(stage: str, video: str) -> str:
    """Path of the table that a stage writes of one clip, relative to the dataset."""
    return f"{FOLDERS[stage]}/{video}.csv"
