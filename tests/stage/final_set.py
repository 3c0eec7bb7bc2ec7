"""Small made-up clips with the tables and files of stages 0 to 4, for the tests of stage 5."""

import importlib
from pathlib import Path

import numpy as np

from ferrari.common.atomic_files import sha256_bytes
from ferrari.curation.embeddings import described
from ferrari.images import image_files
from ferrari.ledger import stages, tables
from ferrari.ledger.columns import KEPT
from ferrari.ledger.item_ids import crop_item, detection_item, frame_item, variant_item, video_id
from tests.settings import section

SUBJECT = {"token": "sks", "class": "person"}
CAPTION = {
    "template": "{token} {class}, {framing}{facing}, {background}",
    "backend": "template",
    "model": None,
    "device": "cpu",
    "timeout_s": 60,
    "memory_mb": 8192,
    "context_words": [],
}
CURATE = section("curate")
PACKAGE = {
    "repeats": 4,
    "resolution": 512,
    "link": True,
    "fit": "none",
    "image": "rgb",
    "alpha_colour": [10, 20, 30],
    "mask_grid": None,
    "question": "Describe the image.",
    "shard_images": 1000,
    "card": False,
    "checksums": False,
}
BACKGROUNDS = ("plain olive background", "empty room with sand walls background")

caption_video = importlib.import_module("05_caption_images").caption_video
list_videos = importlib.import_module("list_videos").list_videos
select_final = importlib.import_module("05_select_final").select_final
package_dataset = importlib.import_module("05_package_dataset").package_dataset


class Clip:
    """One clip of `frames` frames with one crop and `variants` images each."""

    def __init__(self, dataset: Path, name: str, frames=2, variants=2, raw=b"", size=(40, 24)):
        self.dataset, self.video, self.size = dataset, video_id(name), size
        self.raw_sha256 = sha256_bytes(raw or name.encode())
        self.rng = np.random.default_rng(list(name.encode()))
        self.rows = {"probe": [], "crop": [], "mask": [], "augment": []}
        self.rows["probe"].append(
            tables.row(
                "probe",
                item=self.video,
                parent=self.video,
                outcome=KEPT,
                sha256=self.raw_sha256,
                file=name,
            )
        )
        for ordinal in range(frames):
            self._frame(ordinal, variants)
        self.write()

    def table(self, stage: str) -> Path:
        return self.dataset / stages.table(stage, self.video)

    def write(self) -> None:
        for stage, rows in self.rows.items():
            tables.write_stage(self.table(stage), stage, rows)

    def _frame(self, ordinal: int, variants: int) -> None:
        frame = frame_item(self.video, ordinal)
        crop = crop_item(frame, 0)
        box = {"x1": 397, "y1": 1, "x2": 555, "y2": 385, "frame_width": 768, "frame_height": 432}
        kept = {"outcome": KEPT}
        self.rows["crop"].append(
            tables.row("crop", item=crop, parent=detection_item(frame, 0), **kept, **box)
        )
        cutout = self.rng.integers(0, 256, (*self.size, 4), dtype=np.uint8)
        file = self._save("03_masked_subjects", f"{crop}.png", cutout)
        known = described(cutout, (0, 0, cutout.shape[1], cutout.shape[0]))
        self.rows["mask"].append(
            tables.row("mask", item=crop, parent=crop, **kept, **file, **known)
        )
        for variant in range(variants):
            self._variant(crop, variant)

    def _variant(self, crop: str, variant: int) -> None:
        item = variant_item(crop, variant)
        picture = self.rng.integers(0, 256, (*self.size, 3), dtype=np.uint8)
        mask = np.zeros(self.size, dtype=np.uint8)
        mask[5:30, 4:20] = 255
        mask_file = self._save("04_augmented", f"mask/{item}.png", mask)
        self.rows["augment"].append(
            tables.row(
                "augment",
                item=item,
                parent=crop,
                outcome=KEPT,
                variant=variant,
                kind="flat",
                background=BACKGROUNDS[variant % 2],
                height=self.size[0],
                width=self.size[1],
                mask_path=mask_file["path"],
                mask_sha256=mask_file["sha256"],
                **self._save("04_augmented", f"{item}.png", picture),
            )
        )

    def _save(self, stage: str, name: str, picture: np.ndarray) -> dict[str, str]:
        path = f"{stage}/{self.video}/{name}"
        data = image_files.encode_png(picture)
        return {
            "path": path,
            "sha256": image_files.write_checked(self.dataset / path, data, picture.shape),
        }

    def caption(self, subject=SUBJECT, overrides=None, **settings) -> list[dict[str, str]]:
        """Run the captioning stage; its rows."""
        caption_video(
            augment_csv=self.table("augment"),
            masks_csv=self.table("mask"),
            crops_csv=self.table("crop"),
            dataset=self.dataset,
            out_csv=self.table("caption"),
            settings={**CAPTION, **settings},
            subject=subject,
            seed=7,
            overrides=overrides,
        )
        return tables.read_stage(self.table("caption"), "caption")


def select(dataset: Path, clips: list[Clip], review=(), **curate) -> list[dict[str, str]]:
    """Caption the clips, choose the final set (`curate` settings changed); its rows.

    `review` are decisions of a person about clips and images.
    """
    for clip in clips:
        clip.caption()
    out = dataset / "05_final_training/final.csv"
    list_videos(
        probe_csvs=[str(clip.table("probe")) for clip in clips],
        frames_csvs=[],
        raw_folder=str(dataset / "00_raw_videos"),
        dataset=str(dataset),
        out_csv=str(dataset / "videos.csv"),
        review=[row for row in review if row.stage == "videos"],
    )
    select_final(
        caption_csvs=[str(clip.table("caption")) for clip in clips],
        mask_csvs=[str(clip.table("mask")) for clip in clips],
        videos_csv=dataset / "videos.csv",
        dataset=dataset,
        out_csv=out,
        settings={**CURATE, **curate},
        seed=1,
        review=[row for row in review if row.stage == "final"],
    )
    return tables.read_stage(out, "final")


def package(dataset: Path, form: str, subject=SUBJECT, **changed) -> list[dict[str, str]]:
    """Package the final set; the manifest's rows. `gate` and `enforce` may be among `changed`."""
    call = {key: changed.pop(key) for key in ("gate", "enforce", "about") if key in changed}
    out = dataset / f"05_final_training/{form}.csv"
    package_dataset(
        final_csv=dataset / "05_final_training/final.csv",
        dataset=dataset,
        out_csv=out,
        format=form,
        settings={**PACKAGE, **changed},
        subject=subject,
        **call,
    )
    return tables.read_stage(out, "package")
