"""The names of stages, reports and jobs for people."""

from __future__ import annotations

from ferrari.ledger.stages import WORDS

#: The reports by name: number, heading, and the question that each one answers.
REPORTS = {
    "qc0_failed_video_diagnostics": (
        "QC0",
        "Raw videos",
        "Did every raw file get one verdict, and was each refused file set aside with its reason?",
    ),
    "qc3_extraction_summary": (
        "QC3",
        "Extracted frames",
        "Has every raw video its folder and table, does every frame decode, and do the counts "
        "follow from each clip's length?",
    ),
    "qc_identity": (
        "Identity",
        "Who the subject is",
        "Was everybody judged, on faces that could be told apart, and is only the subject cut out?",
    ),
    "qc4_yolo_crops_summary": (
        "QC4",
        "Crops",
        "Was each frame searched, and is there one crop on the disk for each subject kept, with "
        "sound boxes and figures?",
    ),
    "qc5_masks_summary": (
        "QC5",
        "Cut-outs",
        "Is each cut-out whole, as large as its crop, neither empty nor full, and free of the "
        "scene it came from?",
    ),
    "qc6_augmentation_summary": (
        "QC6",
        "Augmented images",
        "Are all variants there, in the proportions asked for, with the subject's pixels untouched "
        "and nothing of the clip's own scene?",
    ),
    "qc7_final_summary": (
        "QC7",
        "Final dataset",
        "Is every final image sound, and does every caption say what its picture holds, once?",
    ),
    "qc8_similarity": (
        "QC8",
        "Similarity",
        "How alike are the images of the final dataset, within a clip and across clips, and does "
        "each image left out have a neighbour that stayed?",
    ),
    "verify_dataset": (
        "Verify",
        "Whole dataset",
        "Is the dataset what the pipeline wrote, to the last bit, and is nothing else in it?",
    ),
}

#: Stages of the ledger in the order of flow, the report whose figures hold their sums, and how the
#: columns of those begin.
FLOW = (
    ("probe", "qc0_failed_video_diagnostics", ""),
    ("extract", "qc3_extraction_summary", ""),
    ("detect", "qc4_yolo_crops_summary", "detect_"),
    ("crop", "qc4_yolo_crops_summary", ""),
    ("mask", "qc5_masks_summary", ""),
    ("augment", "qc6_augmentation_summary", ""),
    ("caption", "qc7_final_summary", ""),
    ("final", "qc7_final_summary", "final_"),
)

#: What the jobs of other rules make.
_OTHERS = {
    "videos": "Table of the clips",
    "who": "Who the subject is",
    "environments": "Scenes for backgrounds",
    "select_final": "Selection",
    "package": "Packages",
    "ledger": "Ledger in one file",
    "croissant": "Description of the dataset",
    "fetch_weights": "Networks' weights",
    "qc0_page": "QC0: Raw videos, page",
    "qc_index": "Index of the reports",
    "review_page": "Review page",
    "verified": "Record of Verify",
}
_TITLES = {
    **{stage: WORDS[stage].rows for stage, *_ in FLOW},
    **{
        name if name == "qc_identity" else name.partition("_")[0]: f"{label}: {heading}"
        for name, (label, heading, _) in REPORTS.items()
    },
    **_OTHERS,
}

#: How words of a check's name are spelt, where not as they stand.
_SPELT = {
    **{"rgb": "RGB", "rgba": "RGBA", "fps": "fps", "ascii": "ASCII"},
    **{"cutouts": "cut-outs", "cutout": "cut-out"},
}


def check_title(name: str) -> str:
    """A check's name as words: 'crops_readable' is 'Crops readable'."""
    words = [_SPELT.get(word, word) for word in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def of_rule(rule: str) -> str:
    """The name of a rule's jobs for people; an unknown rule's own name."""
    return _TITLES.get(rule, rule.replace("_", " "))


def about(name: str) -> tuple[str, str, str]:
    """(label, heading, question) of a report; an unknown one is called by its name."""
    if name in REPORTS:
        return REPORTS[name]
    label, _, rest = name.partition("_")
    return label.upper(), rest.replace("_", " ").capitalize() or name, ""
