"""The columns of every stage's table, and the three outcomes that a row may have."""

from __future__ import annotations

KEPT, DROPPED, QUARANTINED = "kept", "dropped", "quarantined"
OUTCOMES = (KEPT, DROPPED, QUARANTINED)
CORE = ("item", "parent", "outcome", "reason", "value", "threshold", "path", "sha256")

#: The stage's own columns, behind CORE. `path` is relative to the dataset folder throughout.
COLUMNS = {
    "probe": (
        *CORE,
        *("file", "bytes", "container", "codec", "pix_fmt", "coded_width", "coded_height"),
        *("width", "height", "sar", "rotation", "fps", "duration_s", "declared_duration_s"),
        *("frames", "bitrate_kbps", "vfr", "largest_gap_s", "start_s", "detail"),
    ),
    "videos": (),  # videos.csv: the probe's columns and two more, filled in below
    "extract": (
        *CORE,
        *("time_s", "pts", "frame", "width", "height", "sharpness"),
        *("decoder", "decoder_reason", "decoder_version"),
        *("rotation", "sar", "interlaced", "transfer", "matrix", "bit_depth"),
        *("frames_decoded", "decode_errors", "detail"),
    ),
    "crop": (
        *CORE,
        *("confidence", "class_name", "x1", "y1", "x2", "y2"),
        *("crop_x1", "crop_y1", "crop_x2", "crop_y2", "frame_width", "frame_height"),
        *("detector", "weights_sha256", "device", "detail"),
    ),
    "mask": (
        *CORE,
        *("width", "height", "subject_fraction", "edge_fraction", "x1", "y1", "x2", "y2"),
        *("segmenter", "weights_sha256", "device", "refined", "foreground", "detail"),
        *("lightness", "side", "phash", "embedding"),
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
        *("replaced_caption", "allowed_problems"),
    ),
    "final": (
        *CORE,
        *("video", "caption", "framing", "facing", "background", "kind"),
        *("mask_path", "mask_sha256", "width", "height"),
        *("side", "light", "split", "group"),
    ),
    "package": (
        *CORE,
        *("caption", "caption_path", "caption_sha256", "mask_path", "mask_sha256"),
        *("width", "height", "split", "scale", "upscaled"),
        *("source_sha256", "source_mask_sha256", "source_width", "source_height"),
    ),
}

COLUMNS["videos"] = (*COLUMNS["probe"], "verdict", "duplicate_of")

#: Pairs of columns that name a file and its digest, in any table.
FILE_COLUMNS = (
    ("path", "sha256"),
    ("mask_path", "mask_sha256"),
    ("caption_path", "caption_sha256"),
)
