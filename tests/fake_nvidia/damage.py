"""How much of the damage inside pictures is seen where the card decodes?

python -m tests.fake_nvidia.damage [CLIPS]

Each clip has twelve groups of pictures; in one of them, one or two pictures have changed data and
sound headers. The engine shows what the CPU's decoder makes of them, concealed.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from tests.fake_nvidia import DRIVER, VIDEO, Machine, clips, outcomes


def counted(folder: Path, count: int) -> Counter[str]:
    """What became of so many damaged clips."""
    paths = [folder / f"damaged{number}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        picture = int(np.random.default_rng([number, 61]).integers(1, clips.LONG.n_frames - 2))
        clips.damaged_inside(path, [picture, picture + number % 2], clips.LONG, "veryfast")
    cpu = Machine(folder / "cpu").answer("extract", "cpu", folder / "cpu/dataset", *paths)
    machine = Machine(folder / "driver", DRIVER, VIDEO)
    machine.learn(*paths)
    card = machine.answer("extract", "nvdec_first", folder / "dataset", *paths)
    return Counter(_fate(card[path.name], cpu[path.name]) for path in paths)


def _fate(card: list[outcomes.Row], cpu: list[outcomes.Row]) -> str:
    harmful = {row["reason"] for row in cpu} & {"DECODE_DAMAGE", "LOST_SPAN"}
    kind = "spoils samples" if harmful else "spoils no sample"
    if {row["decoder"] for row in card if row["decoder"]} == {"pyav-cpu"}:
        return f"{kind}: seen, the CPU decoded the clip"
    return f"{kind}: not seen"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for fate, times in sorted(counted(Path(place), int(*sys.argv[1:2] or [40])).items()):
            print(f"{times:4} {fate}")
