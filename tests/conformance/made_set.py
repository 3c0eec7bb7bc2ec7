"""A final set of squares, which loaders keep as they are, and of images of no round size, with a
clip for validation, which no loader may train on.
"""

from pathlib import Path

import numpy as np

from ferrari.images import image_files
from ferrari.ledger import tables
from ferrari.ledger.columns import KEPT
from tests.stage import final_set

SIDE = 192  # px, also package.resolution: below 200 ai-toolkit draws no blur for its masks
ODD = (200, 300)  # height and width; neither a multiple of 64


class Drawn(final_set.Clip):
    """Clips whose images show a shaded oval, the subject, before a colour with some grain.

    Only the subject is blue: handed.overlap finds it again, whatever a trainer cut and scaled.
    """

    def __init__(self, dataset: Path, name: str, size: tuple[int, int]):
        super().__init__(dataset, name, frames=2, variants=2, size=size)

    def _save(self, stage: str, name: str, picture: np.ndarray) -> dict[str, str]:
        if stage != "04_augmented":
            return super()._save(stage, name, picture)
        high, wide = picture.shape[:2]
        y, x = np.mgrid[0:high, 0:wide]
        y, x = y / high - 0.5, x / wide - 0.5
        oval = (x / 0.25) ** 2 + (y / 0.4) ** 2 < 1
        if picture.ndim == 2:
            return super()._save(stage, name, (oval * 255).astype(np.uint8))
        shade = np.stack([y + 0.5, 0.5 - x, 0.7 + 0 * x], axis=-1) * 255
        ground = self.rng.integers(10, 70, 3) + self.rng.integers(-9, 10, picture.shape)
        drawn = np.where(oval[..., None], shade, ground)
        return super()._save(stage, name, drawn.clip(0, 255).astype(np.uint8))


def make(dataset: Path) -> Path:
    """Tables and images of three clips, up to the final table; the dataset's folder."""
    clips = [
        Drawn(dataset, "alpha.mp4", (SIDE, SIDE)),
        Drawn(dataset, "beta.mp4", ODD),
        Drawn(dataset, "gamma.mp4", (SIDE, SIDE)),
    ]
    final_set.select(dataset, clips)
    path = dataset / "05_final_training/final.csv"
    rows = tables.read_stage(path, "final")
    for row in rows:
        row["split"] = "val" if "gamma" in row["item"] else "train"
    tables.write_stage(path, "final", rows)
    return dataset


def package(dataset: Path, form: str, **settings) -> Path:
    """The package of that format, in 3 repeats; its folder."""
    final_set.package(dataset, form, **{"resolution": SIDE, "repeats": 3, **settings})
    return dataset / "05_final_training" / form


def final(dataset: Path, split: str = "train") -> dict[str, dict]:
    """By item: the caption, the RGB pixels and the mask that the final table names."""
    return _read(
        dataset, tables.read_stage(dataset / "05_final_training/final.csv", "final"), split
    )


def packaged(dataset: Path, form: str) -> dict[str, dict]:
    """By item what to train on, as the package's own files have it; alpha is the mask if it is."""
    table = dataset / f"05_final_training/{form}.csv"
    return _read(dataset, tables.read_stage(table, "package"), "train")


def _read(dataset: Path, lines: list[dict[str, str]], split: str) -> dict[str, dict]:
    found = {}
    for line in lines:
        if line["outcome"] == KEPT and line["split"] == split:
            found[line["item"]] = {
                "caption": line["caption"],
                "image": image_files.read(dataset / line["path"]),
                "mask": image_files.read(dataset / line["mask_path"]),
            }
    return found
