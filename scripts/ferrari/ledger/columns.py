"""The columns of every table and their kinds, and the three outcomes that a row may have."""

from __future__ import annotations

KEPT, DROPPED, QUARANTINED = "kept", "dropped", "quarantined"
OUTCOMES = (KEPT, DROPPED, QUARANTINED)
CORE = ("item", "parent", "outcome", "reason", "value", "threshold", "path", "sha256")

#: The stage's own columns, behind CORE. `path` is relative to the dataset folder throughout;
#: `decision` is the id of the row of review/decisions.csv that made this row what it is.
COLUMNS = {
    "probe": (
        *CORE,
        *("file", "bytes", "etag", "container", "codec", "pix_fmt", "coded_width", "coded_height"),
        *("width", "height", "sar", "rotation", "fps", "duration_s", "declared_duration_s"),
        "cropped",
        *("frames", "hidden_frames", "key_frames", "other_tracks"),
        *("bitrate_kbps", "vfr", "largest_gap_s", "start_s", "detail"),
    ),
    "videos": (),  # videos.csv: the probe's columns and two more, filled in below
    "extract": (
        *CORE,
        *("time_s", "pts", "time_base", "frame", "width", "height", "sharpness"),
        *("decoder", "decoder_reason", "decoder_version"),
        *("rotation", "sar", "interlaced", "transfer", "matrix", "bit_depth"),
        *("range", "primaries", "cropped", "log_footage"),
        *("frames_decoded", "decode_errors", "detail"),
        *("mean_change", "noise_change"),  # against the last kept frame; `value` is the block's
        *("proof_frames", "proof_difference"),  # compared with the CPU's decoder; levels of 255
    ),
    "detect": (
        *CORE,
        *("confidence", "class_name", "x1", "y1", "x2", "y2", "frame_width", "frame_height"),
        *("detector", "weights_sha256", "device", "detail"),
        "hardly_seen",  # boxes below detect.confidence within this one: somebody may be there too
        # Number of its row in the clip's table of tracks, and what that says for `detect.policy`.
        *("track", "track_area", "track_off_centre"),
    ),
    "crop": (
        *CORE,
        *("confidence", "class_name", "x1", "y1", "x2", "y2"),
        *("crop_x1", "crop_y1", "crop_x2", "crop_y2", "frame_width", "frame_height", "detail"),
        "hardly_seen",  # as in the detection's row
        *("compared_with", "mean_change", "noise_change"),  # of what repeats a crop
        # Number of its row in the clip's table of identities, and why it is the subject or is not.
        *("track", "identity_by", "identity_why", "identity_score", "sureness"),
        "decision",
    ),
    "mask": (
        *CORE,
        *("width", "height", "subject_fraction", "edge_fraction", "x1", "y1", "x2", "y2"),
        *("segmenter", "weights_sha256", "device", "refined", "foreground", "detail"),
        *("lightness", "side", "phash", "embedding"),
        "decision",
        # Other people in the crop, and shares of the alpha: taken out as theirs, and in doubt.
        *("others", "others_taken", "others_unsure"),
        # The person gate: its network, whose matte it let through, pixels outside the person that
        # it kept or took away, and those of limbs that it took from the person's mask.
        *("person_gate", "gate_sha256", "matte_of", "gate_iou"),
        *("held_px", "removed_px", "restored_px"),
        *("mended_path", "mended_sha256"),  # the mask that a person drew in the network's place
    ),
    # One row a pinned clip or picture; `video` is empty for pictures of the user's folder.
    "environments": (
        *("environment", "video", "raw_sha256", "outcome", "reason", "value", "threshold"),
        *("path", "sha256", "detail"),
    ),
    "augment": (
        *CORE,
        *("variant", "kind", "wanted_kind", "colour_name", "colour_rgb", "seed"),
        *("environment", "environment_sha256", "width", "height", "offset_x", "offset_y"),
        *("scale", "background", "mask_path", "mask_sha256", "detail"),
    ),
    "caption": (
        *CORE,
        *("caption", "caption_source", "framing", "facing", "background", "kind", "clip_tokens"),
        *("mask_path", "mask_sha256", "width", "height", "removed_words"),
        *("replaced_caption", "allowed_problems", "decision"),
    ),
    "final": (
        *CORE,
        *("video", "caption", "framing", "facing", "background", "kind"),
        *("mask_path", "mask_sha256", "width", "height"),
        *("side", "light", "split", "group", "caption_source", "detail", "decision"),
    ),
    "package": (
        *CORE,
        *("caption", "caption_path", "caption_sha256", "mask_path", "mask_sha256"),
        *("width", "height", "split", "scale", "upscaled"),
        *("source_sha256", "source_mask_sha256", "source_width", "source_height"),
    ),
}

COLUMNS["videos"] = (*COLUMNS["probe"], "verdict", "duplicate_of", "decision")

#: Pairs of columns that name a file and its digest, in any table.
FILE_COLUMNS = (
    ("path", "sha256"),
    ("mask_path", "mask_sha256"),
    ("caption_path", "caption_sha256"),
    ("mended_path", "mended_sha256"),
)

#: Kinds of cells. A flag is 0 or 1; an exact number is a whole one that a float may round; a
#: measure is a number or a text, as the row's reason has it. Empty cells are of every kind.
TEXT, FLAG, WHOLE, EXACT, REAL, MEASURE = "text", "flag", "whole", "exact", "real", "measure"

#: The kind of each column: a name means the same in every table.
KINDS = {
    **dict.fromkeys(("value", "threshold"), MEASURE),
    **dict.fromkeys(("vfr", "interlaced", "refined", "foreground", "upscaled"), FLAG),
    **dict.fromkeys(("pts", "seed"), EXACT),
    **dict.fromkeys(
        (
            *("bytes", "coded_width", "coded_height", "width", "height", "rotation", "frames"),
            *("proof_frames", "key_frames"),
            *("hidden_frames", "frame", "bit_depth", "frames_decoded", "decode_errors"),
            *("crop_x1", "crop_y1", "crop_x2", "crop_y2", "frame_width", "frame_height"),
            *("variant", "offset_x", "offset_y", "clip_tokens", "source_width", "source_height"),
            *("track", "others", "held_px", "removed_px", "restored_px"),
        ),
        WHOLE,
    ),
    **dict.fromkeys(
        (
            *("fps", "duration_s", "declared_duration_s", "bitrate_kbps", "largest_gap_s"),
            "proof_difference",
            *("start_s", "time_s", "sharpness", "confidence", "x1", "y1", "x2", "y2"),
            *("subject_fraction", "edge_fraction", "scale", "lightness"),
            *("mean_change", "noise_change", "track_area", "track_off_centre"),
            *("identity_score", "sureness", "gate_iou"),
            *("others_taken", "others_unsure"),
        ),
        REAL,
    ),
    **dict.fromkeys(
        (
            *("item", "parent", "outcome", "reason", "path", "sha256", "detail"),
            *("file", "etag", "container", "codec", "pix_fmt", "sar", "verdict", "duplicate_of"),
            *("other_tracks", "time_base"),
            *("decoder", "decoder_reason", "decoder_version", "transfer", "matrix"),
            *("range", "primaries", "cropped", "log_footage"),
            *("class_name", "detector", "segmenter", "weights_sha256", "device"),
            *("phash", "embedding", "side", "light", "video", "raw_sha256"),
            *("environment", "environment_sha256", "kind", "wanted_kind", "colour_name"),
            *("colour_rgb", "background", "mask_path", "mask_sha256"),
            *("caption", "caption_source", "framing", "facing", "removed_words"),
            *("replaced_caption", "allowed_problems", "split", "group"),
            *("caption_path", "caption_sha256", "source_sha256", "source_mask_sha256"),
            *("compared_with", "decision", "identity_by", "identity_why", "hardly_seen"),
            *("person_gate", "gate_sha256", "matte_of"),
            *("mended_path", "mended_sha256"),
        ),
        TEXT,
    ),
}
