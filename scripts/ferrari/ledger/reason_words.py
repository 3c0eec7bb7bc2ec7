"""The meaning of each code of `reasons` in one plain sentence, and what to do about it.

Only for display: in the quality reports, `make trace` and docs/reasons.md. No stage imports this
module, so a better sentence reruns no stage.
"""

from __future__ import annotations

from dataclasses import dataclass

from ferrari.ledger import reasons
from ferrari.ledger.stages import FOLDERS, ORDER


@dataclass(frozen=True)
class Words:
    """`sentence` says what happened; `advice` what to do next."""

    sentence: str
    advice: str


def _made_anew(stage: str) -> str:
    """What to do about a stage's file that is no longer as the stage wrote it."""
    return f"Delete the clip's table in `{FOLDERS[stage]}/`, and the next run makes it anew."


_CODEC = "Convert the clip with another program (FFmpeg, HandBrake), or leave it out."
WORDS = {
    reasons.CORRUPT_CONTAINER: Words(
        "The file cannot be opened as a video, or none of its first frames decodes.",
        "Copy or download the clip again; if it plays elsewhere, convert it with FFmpeg.",
    ),
    reasons.NO_VIDEO_STREAM: Words(
        "The file opens, but holds no video: only sound, subtitles or nothing.",
        "Take the file out of the raw folder.",
    ),
    reasons.NOT_A_VIDEO: Words(
        "The file is no film: a picture, an animation, a text, an archive or a playlist.",
        "Take the file out of the raw folder; of a playlist, add the clips that it names. "
        "For animations there is `probe.animations`.",
    ),
    reasons.UNSUPPORTED_CODEC: Words(
        "FFmpeg has no decoder for the file's video, often a camera's own raw format.",
        "Export the clip from the camera's program, for example as ProRes or H.264.",
    ),
    reasons.ENCRYPTED: Words(
        "The video is encrypted, and there is no key.",
        "Use a copy without copy protection.",
    ),
    reasons.ZERO_DURATION: Words(
        "The frames of the file span no time.",
        "Copy or download the clip again; a single picture cannot be used.",
    ),
    reasons.LOW_RESOLUTION: Words(
        "The short side of the picture, as shown, is below `probe.min_short_side`.",
        "Use a larger copy of the clip, or lower `probe.min_short_side`.",
    ),
    reasons.UNREADABLE: Words(
        "The file system refuses to read the file, or it is not a regular file.",
        "Correct the file's permissions or the link; if the disk fails, restore the file.",
    ),
    reasons.NOT_FETCHED: Words(
        "The clip could not be fetched out of its bucket, though the bucket answers.",
        "Look at the row's detail: restore the object, or let the key read it (s3:GetObject). Each "
        "run tries again; `intake.ignore` leaves it out.",
    ),
    reasons.TOO_LARGE: Words(
        "The picture has more pixels than the limit allows, so it was not decoded.",
        "Scale the clip or the picture down; for clips, `probe.max_megapixels` is the limit.",
    ),
    reasons.DECODER_CRASHED: Words(
        "The decoder crashed on the file.",
        _CODEC,
    ),
    reasons.DECODE_TIMEOUT: Words(
        "Decoding the file took longer than the stage's `timeout_s` allows.",
        "Raise `timeout_s` of that stage (`probe` or `extract`) if the machine is slow.",
    ),
    reasons.SYSTEM_FILE: Words(
        "A file that the system, a NAS or a desktop keeps: deleted files, previews, snapshots.",
        "Nothing to do; move it to another folder if it is a clip that you want.",
    ),
    reasons.IGNORED: Words(
        "The name of the file, or of its folder, matches a pattern of `intake.ignore`.",
        "Nothing to do; take the pattern out of `intake.ignore` to use the file.",
    ),
    reasons.LOW_RESOLUTION_TWIN: Words(
        "The clip is a smaller copy that a camera or an editor made of another clip of the set.",
        "Nothing to do: the other clip is used. If that one is damaged, take it out of the raw "
        "folder, and this one is used.",
    ),
    reasons.DUPLICATE_FRAME: Words(
        "Nothing moves in the frame that the last one kept did not show: its most changed block is "
        "below the threshold.",
        "Nothing to do; lower `extract.duplicate_block` if something did move.",
    ),
    reasons.DECODE_DAMAGE: Words(
        "The frame was decoded from damaged data, so its pixels cannot be trusted.",
        "Copy or download the clip again if too many of its frames are lost.",
    ),
    reasons.LOST_SPAN: Words(
        "This stretch of the clip gave no frame that can be trusted.",
        "Copy or download the clip again if the lost seconds matter.",
    ),
    reasons.HDR: Words(
        "The frame has a high dynamic range, and `extract.hdr` is `refuse`.",
        "Set `extract.hdr: tonemap` to convert such clips.",
    ),
    reasons.UNKNOWN_COLOURS: Words(
        "The frame says that its colours are of a kind that is not converted to sRGB.",
        "Convert the clip to BT.709 with another program; the row's detail names what it has.",
    ),
    reasons.MAX_FRAMES: Words(
        "The clip reached `extract.max_frames`; the rest of it was not looked at.",
        "Raise `extract.max_frames` to use more of the clip.",
    ),
    reasons.EXTRACTOR_REJECTED: Words(
        "The clip opened, but no clean frame could be taken out of it.",
        _CODEC,
    ),
    reasons.NO_SUBJECT: Words(
        "The detector found nothing in the frame that reaches `detect.confidence`.",
        "Nothing to do if nobody is in the frame; else lower `detect.confidence`.",
    ),
    reasons.NOT_TARGET: Words(
        "The detection is not the one that `detect.policy` chooses.",
        "Nothing to do; set `detect.policy: all` to keep every detection.",
    ),
    reasons.NOT_SUBJECT: Words(
        "The person is somebody else than the subject.",
        "Nothing to do; if it is the subject, add references that show it as it is seen here, or "
        "lower `subject.below`.",
    ),
    reasons.UNSURE_WHO: Words(
        "Nothing says clearly enough whether the person is the subject.",
        "Look at the picture in `bad_frames/`; more references, or a lower `subject.above`, make "
        "more of them sure.",
    ),
    reasons.TOO_SMALL: Words(
        "The subject's box is smaller than `detect.min_side`.",
        "Nothing to do; lower `detect.min_side` to keep smaller subjects.",
    ),
    reasons.DUPLICATE_SUBJECT: Words(
        "Nothing has moved in the subject's box since the crop that `compared_with` names; what "
        "moves is elsewhere in the frame.",
        "Nothing to do; lower `detect.duplicate_block` if the subject did move.",
    ),
    reasons.UNREADABLE_FRAME: Words(
        "The frame's file is missing, damaged or not the one that stage 1 wrote.",
        _made_anew("extract"),
    ),
    reasons.EMPTY_MASK: Words(
        "The mask holds (almost) nothing: the subject's share is below `mask.min_subject`.",
        "Nothing to do if the crop shows no subject; else try another `mask.segmenter`, or, where "
        "`matte_of` is person, `mask.person_gate: off`.",
    ),
    reasons.FULL_MASK: Words(
        "The mask covers (almost) the whole crop: the share is above `mask.max_subject`.",
        "Try another `mask.segmenter`, or raise `detect.pad` so that more scene is around.",
    ),
    reasons.OTHER_PERSON: Words(
        "More of the cut-out than `mask.max_other_person` may be somebody else's who is in the "
        "crop.",
        "Nothing to do for single pictures; if there are many, film the subject apart, or raise "
        "the bound and look at what comes.",
    ),
    reasons.SUBJECT_CLASS_ABSENT: Words(
        "The tagger does not see the subject's class in the crop.",
        "Lower `mask.ram_threshold` or add to `mask.ram_tags` if the subject is there.",
    ),
    reasons.UNREADABLE_CROP: Words(
        "The crop's file is missing, damaged or not the one that stage 2 wrote.",
        _made_anew("crop"),
    ),
    reasons.NO_FRAME: Words(
        "The clip has no kept frame, so no scene can be drawn from it.",
        "Nothing to do: the other clips lend their scenes.",
    ),
    reasons.NO_TRUSTED_FRAME: Words(
        "In no frame of the clip is it certain where people are, so its scene is not used.",
        "Nothing to do: the other clips lend their scenes.",
    ),
    reasons.SCENE_HIDDEN: Words(
        "People hide too much of the clip's scene.",
        "Nothing to do: the other clips lend their scenes.",
    ),
    reasons.UNREADABLE_PICTURE: Words(
        "The file in `augment.environment_folder` cannot be read as a picture.",
        "Replace the picture, or take the file out of the folder.",
    ),
    reasons.UNREADABLE_CUTOUT: Words(
        "The cut-out's file is missing, damaged or not the one that stage 3 wrote.",
        _made_anew("mask"),
    ),
    reasons.UNREADABLE_IMAGE: Words(
        "The image's file is missing, cannot be decoded or has another size than its row says.",
        _made_anew("augment"),
    ),
    reasons.SHA_MISMATCH: Words(
        "The file of the image or its mask has changed since it was written.",
        _made_anew("augment"),
    ),
    reasons.MASK_MISMATCH: Words(
        "The mask is missing, empty, not grey or not of the image's size.",
        _made_anew("augment"),
    ),
    reasons.CAPTION_INVALID: Words(
        "The caption breaks a rule; the row's value says which.",
        "Correct `caption.template` or `subject` in the configuration.",
    ),
    reasons.OVERRIDE_INVALID: Words(
        "The caption written by hand breaks a rule; the row's value says which.",
        "Correct the image's line in `captions/overrides.csv`, or allow the rule there.",
    ),
    reasons.MODEL_CRASHED: Words(
        "The network's process crashed on this picture.",
        "Nothing to do for single pictures; if there are many, "
        "try `device: cpu`, and delete the clip's table so that it is made anew.",
    ),
    reasons.MODEL_TIMEOUT: Words(
        "The network took longer on this picture than the stage's `timeout_s` allows.",
        "Raise `timeout_s` of that stage (`detect`, `mask` or `caption`).",
    ),
    reasons.OUT_OF_MEMORY: Words(
        "The work took more memory than the stage's `memory_mb` allows.",
        "Raise `memory_mb` of that stage if the machine has more.",
    ),
    reasons.DROPPED_BY_REVIEW: Words(
        "A person dropped it; the row's detail says who and when, `decision` which row of "
        "`review/decisions.csv`.",
        "Nothing to do; take the decision back with `make decide UNDO=<its id>` to use it.",
    ),
    reasons.DUPLICATE_VIDEO: Words(
        "The clip is byte for byte another clip of the set.",
        "Nothing to do: the other clip is used.",
    ),
    reasons.DUPLICATE_IMAGE: Words(
        "The image is byte for byte another image of the set.",
        "Nothing to do: the other image is used.",
    ),
    reasons.NEAR_DUPLICATE: Words(
        "The image is closer to one of another clip than `curate.near_duplicates` allows; `value` "
        "names the nearest that stayed.",
        "Nothing to do; lower `curate.near_duplicates` to keep more of such images.",
    ),
    reasons.OVER_BUDGET: Words(
        "`curate.max_images` was reached with images that cover the set better.",
        "Nothing to do; raise `curate.max_images` to keep more.",
    ),
    reasons.NO_CLEAN_FRAME: Words(
        "The clip was decoded to its end, but no frame could be kept; their rows say why.",
        "Copy or download the clip again if they are damaged.",
    ),
    reasons.NO_DECODER: Words(
        "No decoder that `extract.decoder` allows takes the clip.",
        "Set `extract.decoder: auto`.",
    ),
}


def sentence(code: str) -> str:
    """What a code means, without the marks of code; empty for what is no code of the registry."""
    return WORDS[code].sentence.replace("`", "") if code in WORDS else ""


def advice(code: str) -> str:
    """What to do about a code; empty for what is no code of the registry."""
    return WORDS[code].advice.replace("`", "") if code in WORDS else ""


def table() -> str:
    """The registry as the Markdown tables of docs/reasons.md."""
    lines = ["| stage | code | outcome | what it means | what to do |", "|---|---|---|---|---|"]
    for stage in ORDER:
        for code in reasons.of_stage(stage):
            outcome, said = reasons.REASONS[code].outcome, WORDS[code]
            lines.append(f"| {stage} | {code} | {outcome} | {said.sentence} | {said.advice} |")
    lines += ["", "| `value` of EXTRACTOR_REJECTED | what it means | what to do |", "|---|---|---|"]
    for code in reasons.REJECTION_VALUES:
        lines.append(f"| {code} | {WORDS[code].sentence} | {WORDS[code].advice} |")
    return "\n".join(lines) + "\n"
