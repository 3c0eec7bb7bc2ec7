"""Package for kohya sd-scripts: images with a caption file each, masks beside, `dataset.toml`.

`img/<repeats>_<token> <class>/` holds the images and their `.txt`; `mask/` the masks under the
same stems, apart, since every image in an image folder is trained on. The TOML joins the two as
`conditioning_data_dir`, which makes the loader a masked-loss one (white = trained).
"""

from __future__ import annotations

import filecmp
import json
from collections.abc import Mapping
from pathlib import Path

from scripts.lib.files import link_or_copy, sha256_bytes
from scripts.lib.final_check import CAPTION_INVALID, Fault
from scripts.lib.packages import Subject

_TOML = """\
# Masked-loss training of kohya sd-scripts. The paths are relative to the folder that the trainer
# is started in: start it in this folder, or make them absolute. Needs --masked_loss.
[general]
caption_extension = ".txt"
enable_bucket = true
bucket_no_upscale = true
bucket_reso_steps = 64
min_bucket_reso = {smallest}
max_bucket_reso = {largest}

[[datasets]]
resolution = {resolution}
batch_size = 1

  [[datasets.subsets]]
  image_dir = {image_dir}
  conditioning_data_dir = "mask"
  caption_extension = ".txt"
  num_repeats = {repeats}
"""
_README = """\
Training set for kohya sd-scripts.

With masks (the background does not count in the loss):
  start sd-scripts (e.g. sdxl_train_network.py) in this folder with
  --dataset_config dataset.toml --masked_loss
  The paths in dataset.toml are relative to the folder in which the trainer is started. Without
  --masked_loss the trainer refuses the file, so masks are never dropped in silence.
Without masks:
  --train_data_dir <this folder>/img --caption_extension .txt

{image_dir}/  images (RGB PNG), each with a one-line caption of the same name in a .txt
mask/  masks under the same names: white is the subject, black is left out of the loss

The images may be hard links to the pipeline's own files (setting package.link): do not edit them
in place. When the pipeline packages again it replaces this folder; a trainer's .npz caches are
kept for images whose pixels and caption are unchanged, other files are not.
"""


class Kohya:
    """The `kohya` format; `settings` is the configuration's `package` section."""

    name = "kohya"

    def __init__(self, settings: Mapping, subject: Subject) -> None:
        self._resolution = int(settings["resolution"])
        self._repeats = int(settings["repeats"])
        self._images = f"img/{self._repeats}_{subject.token} {subject.subject_class}"

    def image_path(self, item: str) -> str:
        """`img/<repeats>_<token> <class>/<item>.png`."""
        return f"{self._images}/{item}.png"

    def mask_path(self, item: str) -> str:
        """`mask/<item>.png`."""
        return f"mask/{item}.png"

    def caption_path(self, item: str) -> str:
        """The `.txt` of the image's name beside it."""
        return f"{self._images}/{item}.txt"

    def caption_sha256(self, caption: str) -> str:
        """The file holds the caption and nothing else."""
        return sha256_bytes(caption.encode())

    def begin(self, folder: Path) -> None:
        """Make the folders of images and masks."""
        (folder / self._images).mkdir(parents=True)
        (folder / "mask").mkdir()

    def add_caption(self, folder: Path, line: Mapping[str, str]) -> Fault | None:
        """One line of UTF-8; no line break at its end, which some trainers keep."""
        path = folder / self.caption_path(line["item"])
        path.write_bytes(line["caption"].encode())
        if path.read_text(encoding="utf-8") != line["caption"]:
            path.unlink()
            return CAPTION_INVALID, "what was read back is not what was written"
        return None

    def finish(self, folder: Path, old: Path) -> None:
        """`dataset.toml` and `README.txt`; sound latent caches of the old package are kept."""
        image_dir = json.dumps(self._images)  # a JSON string of ASCII is a TOML string
        toml = _TOML.format(
            image_dir=image_dir,
            repeats=self._repeats,
            resolution=self._resolution,
            smallest=min(256, self._resolution // 64 * 64),
            largest=max(1024, -(-2 * self._resolution // 64) * 64),
        )
        (folder / "dataset.toml").write_text(toml, encoding="utf-8")
        readme = _README.format(image_dir=self._images)
        (folder / "README.txt").write_text(readme, encoding="utf-8")
        self._keep_caches(folder, old)

    def _keep_caches(self, folder: Path, old: Path) -> None:
        """Carry over `<item>_*.npz`, but only where they still are of this image and caption."""
        for cache in sorted(old.glob("img/*/*.npz")):
            item = cache.stem.partition("_")[0]  # items hold no underscore
            before = cache.with_name(item)
            pairs = (
                (before.with_suffix(".png"), folder / self.image_path(item)),
                (before.with_suffix(".txt"), folder / self.caption_path(item)),
            )
            if all(a.is_file() and b.is_file() and _same(a, b) for a, b in pairs):
                link_or_copy(cache, folder / self._images / cache.name)


def _same(first: Path, second: Path) -> bool:
    return first.samefile(second) or filecmp.cmp(first, second, shallow=False)
