"""The registry of reasons: each code that a row may give for not being kept, the stages that may
give it, and its outcome.

Each code is written out only here; each constant is named after it. What the codes mean to a
person, and what to do about them, is in `reason_words`: this module is part of every stage's code
digest, and a better sentence must not rerun a whole dataset.
"""

from __future__ import annotations

from dataclasses import dataclass

from ferrari.ledger.columns import DROPPED, QUARANTINED

OK = "OK"  # of a kept row, at the stages that say so: the file was written and read back

CORRUPT_CONTAINER = "CORRUPT_CONTAINER"
NO_VIDEO_STREAM = "NO_VIDEO_STREAM"
NOT_A_VIDEO = "NOT_A_VIDEO"
UNSUPPORTED_CODEC = "UNSUPPORTED_CODEC"
ENCRYPTED = "ENCRYPTED"
ZERO_DURATION = "ZERO_DURATION"
LOW_RESOLUTION = "LOW_RESOLUTION"
UNREADABLE = "UNREADABLE"
NOT_FETCHED = "NOT_FETCHED"
TOO_LARGE = "TOO_LARGE"
DECODER_CRASHED = "DECODER_CRASHED"
DECODE_TIMEOUT = "DECODE_TIMEOUT"
OUT_OF_MEMORY = "OUT_OF_MEMORY"

SYSTEM_FILE = "SYSTEM_FILE"
IGNORED = "IGNORED"

LOW_RESOLUTION_TWIN = "LOW_RESOLUTION_TWIN"
DUPLICATE_FRAME = "DUPLICATE_FRAME"
DECODE_DAMAGE = "DECODE_DAMAGE"
LOST_SPAN = "LOST_SPAN"
HDR = "HDR"
UNKNOWN_COLOURS = "UNKNOWN_COLOURS"
MAX_FRAMES = "MAX_FRAMES"
EXTRACTOR_REJECTED = "EXTRACTOR_REJECTED"
#: Of a row EXTRACTOR_REJECTED, in the column `value`: why no frame came out.
NO_CLEAN_FRAME, NO_DECODER = "NO_CLEAN_FRAME", "NO_DECODER"
REJECTION_VALUES = (NO_CLEAN_FRAME, NO_DECODER, DECODER_CRASHED, DECODE_TIMEOUT, OUT_OF_MEMORY)

DUPLICATE_SUBJECT = "DUPLICATE_SUBJECT"
NO_SUBJECT = "NO_SUBJECT"
NOT_SUBJECT = "NOT_SUBJECT"
NOT_TARGET = "NOT_TARGET"
TOO_SMALL = "TOO_SMALL"
UNREADABLE_FRAME = "UNREADABLE_FRAME"
UNSURE_WHO = "UNSURE_WHO"
MODEL_CRASHED = "MODEL_CRASHED"
MODEL_TIMEOUT = "MODEL_TIMEOUT"

EMPTY_MASK = "EMPTY_MASK"
FULL_MASK = "FULL_MASK"
OTHER_PERSON = "OTHER_PERSON"
SUBJECT_CLASS_ABSENT = "SUBJECT_CLASS_ABSENT"
UNREADABLE_CROP = "UNREADABLE_CROP"

NO_FRAME = "NO_FRAME"
NO_TRUSTED_FRAME = "NO_TRUSTED_FRAME"
SCENE_HIDDEN = "SCENE_HIDDEN"
UNREADABLE_PICTURE = "UNREADABLE_PICTURE"

UNREADABLE_CUTOUT = "UNREADABLE_CUTOUT"

UNREADABLE_IMAGE = "UNREADABLE_IMAGE"
SHA_MISMATCH = "SHA_MISMATCH"
MASK_MISMATCH = "MASK_MISMATCH"
CAPTION_INVALID = "CAPTION_INVALID"
OVERRIDE_INVALID = "OVERRIDE_INVALID"

DROPPED_BY_REVIEW = "DROPPED_BY_REVIEW"

DUPLICATE_VIDEO = "DUPLICATE_VIDEO"
DUPLICATE_IMAGE = "DUPLICATE_IMAGE"
NEAR_DUPLICATE = "NEAR_DUPLICATE"
OVER_BUDGET = "OVER_BUDGET"

#: Of detections that are not, or may not be, the subject. Nobody is cut out of them.
NOT_THE_SUBJECTS = (NOT_TARGET, NOT_SUBJECT, UNSURE_WHO)
#: What a model that is served in a process of its own can end with (see `isolated_model`).
MODEL_FAILURES = (MODEL_CRASHED, MODEL_TIMEOUT, OUT_OF_MEMORY)


@dataclass(frozen=True)
class Reason:
    """The stages whose rows give a reason, and the outcome that these rows have."""

    stages: tuple[str, ...]
    outcome: str


#: All reasons, in the order of the stages.
REASONS = {
    CORRUPT_CONTAINER: Reason(("probe",), QUARANTINED),
    NO_VIDEO_STREAM: Reason(("probe",), QUARANTINED),
    NOT_A_VIDEO: Reason(("probe",), QUARANTINED),
    UNSUPPORTED_CODEC: Reason(("probe",), QUARANTINED),
    ENCRYPTED: Reason(("probe",), QUARANTINED),
    ZERO_DURATION: Reason(("probe",), QUARANTINED),
    LOW_RESOLUTION: Reason(("probe",), QUARANTINED),
    UNREADABLE: Reason(("probe",), QUARANTINED),
    NOT_FETCHED: Reason(("probe",), QUARANTINED),
    TOO_LARGE: Reason(("probe", "environments"), QUARANTINED),
    DECODER_CRASHED: Reason(("probe",), QUARANTINED),
    DECODE_TIMEOUT: Reason(("probe",), QUARANTINED),
    SYSTEM_FILE: Reason(("videos",), DROPPED),
    IGNORED: Reason(("videos",), DROPPED),
    LOW_RESOLUTION_TWIN: Reason(("extract", "final"), DROPPED),
    DUPLICATE_FRAME: Reason(("extract",), DROPPED),
    DECODE_DAMAGE: Reason(("extract",), QUARANTINED),
    LOST_SPAN: Reason(("extract",), QUARANTINED),
    HDR: Reason(("extract",), QUARANTINED),
    UNKNOWN_COLOURS: Reason(("extract",), QUARANTINED),
    MAX_FRAMES: Reason(("extract",), DROPPED),
    EXTRACTOR_REJECTED: Reason(("extract",), QUARANTINED),
    NO_SUBJECT: Reason(("detect",), DROPPED),
    NOT_TARGET: Reason(("crop",), DROPPED),
    NOT_SUBJECT: Reason(("crop",), DROPPED),
    UNSURE_WHO: Reason(("crop",), QUARANTINED),
    TOO_SMALL: Reason(("crop",), DROPPED),
    DUPLICATE_SUBJECT: Reason(("crop",), DROPPED),
    UNREADABLE_FRAME: Reason(("detect", "crop", "environments"), QUARANTINED),
    EMPTY_MASK: Reason(("mask",), QUARANTINED),
    FULL_MASK: Reason(("mask",), QUARANTINED),
    OTHER_PERSON: Reason(("mask",), QUARANTINED),
    SUBJECT_CLASS_ABSENT: Reason(("mask",), DROPPED),
    UNREADABLE_CROP: Reason(("mask",), QUARANTINED),
    NO_FRAME: Reason(("environments",), DROPPED),
    NO_TRUSTED_FRAME: Reason(("environments",), DROPPED),
    SCENE_HIDDEN: Reason(("environments",), DROPPED),
    UNREADABLE_PICTURE: Reason(("environments",), QUARANTINED),
    UNREADABLE_CUTOUT: Reason(("augment",), QUARANTINED),
    UNREADABLE_IMAGE: Reason(("caption", "final", "package"), QUARANTINED),
    SHA_MISMATCH: Reason(("caption", "package"), QUARANTINED),
    MASK_MISMATCH: Reason(("caption", "package"), QUARANTINED),
    CAPTION_INVALID: Reason(("caption", "package"), QUARANTINED),
    OVERRIDE_INVALID: Reason(("caption",), QUARANTINED),
    MODEL_CRASHED: Reason(("detect", "mask", "caption"), QUARANTINED),
    MODEL_TIMEOUT: Reason(("detect", "mask", "caption"), QUARANTINED),
    OUT_OF_MEMORY: Reason(("probe", "detect", "mask", "caption"), QUARANTINED),
    DROPPED_BY_REVIEW: Reason(("crop", "mask", "final"), DROPPED),
    DUPLICATE_VIDEO: Reason(("final",), DROPPED),
    DUPLICATE_IMAGE: Reason(("final",), DROPPED),
    NEAR_DUPLICATE: Reason(("final",), DROPPED),
    OVER_BUDGET: Reason(("final",), DROPPED),
}


def of_stage(stage: str) -> tuple[str, ...]:
    """The codes that rows of a stage may give, in the registry's order."""
    return tuple(code for code, reason in REASONS.items() if stage in reason.stages)


def is_known(stage: str, outcome: str, code: str) -> bool:
    """True if a row of `stage` that is not kept may have this outcome for this reason."""
    reason = REASONS.get(code)
    return reason is not None and stage in reason.stages and outcome == reason.outcome
