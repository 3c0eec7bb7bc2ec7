"""Lay out a run on the real footage of a shared folder: links to its clips, and its weights' paths.

    python scripts/tools/link_real_footage.py ../shared real

writes real/dataset/00_raw_videos (symbolic links to media/people/asl__*, media/broken and
media/derived) and real/real.yaml, the overlay that names the weights.
"""

import sys
from pathlib import Path

import yaml

CLIPS = ("people/asl__*.mkv", "broken/*", "derived/*")


def prepare(shared: Path, root: Path) -> int:
    """Link the clips, write the overlay; returns the number of clips."""
    shared = shared.resolve()
    media, weights = shared / "media", shared / "weights"
    if not media.is_dir():
        raise SystemExit(f"no footage at {media}; set FERRARI_SHARED to the folder that holds it")
    raw = root / "dataset/00_raw_videos"
    raw.mkdir(parents=True, exist_ok=True)
    clips = [path for pattern in CLIPS for path in sorted(media.glob(pattern))]
    for clip in clips:
        link = raw / clip.name
        if not link.is_symlink():
            link.symlink_to(clip)
    overlay = {
        # The clips show many people, and no weights for faces are laid out.
        "subject": {"mode": "single", "voting_clips": 0},
        "detect": {"weights": str(weights / "yolo11n_int8_openvino_model")},
        "mask": {"weights": str(weights / "isnet-general-use.fp16.onnx")},
    }
    (root / "real.yaml").write_text(yaml.safe_dump(overlay))
    return len(clips)


if __name__ == "__main__":
    print(prepare(Path(sys.argv[1]), Path(sys.argv[2])), "files linked")
