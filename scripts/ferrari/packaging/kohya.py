"""Package for kohya sd-scripts: images with a caption file each, masks beside, `dataset.toml`.

`img/<repeats>_<token> <class>/` holds the images and their `.txt`; `mask/` the masks under the
same stems, apart, since every image in an image folder is trained on. The TOML joins the two as
`conditioning_data_dir`, which makes the loader a masked-loss one (white = trained); of images with
alpha it says `alpha_mask`, since a subset must not have both.
"""

from __future__ import annotations

import filecmp
import json
from collections.abc import Mapping
from pathlib import Path

from ferrari.common.atomic_files import link_or_copy
from ferrari.packaging.base import TRAIN, Subject
from ferrari.packaging.folder_formats import TextFiles

_TOML = """\
# Masked-loss training of kohya sd-scripts. The paths are relative to the folder that the trainer
# is started in: start it in this folder, or make them absolute. {needs}
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
  {masks}
  caption_extension = ".txt"
  num_repeats = {repeats}
"""
_README = """\
Training set for kohya sd-scripts.

{how}
Without masks:
  --train_data_dir <this folder>/img --caption_extension .txt

{image_dir}/  images, each with a one-line caption of the same name in a .txt
mask/  masks under the same names: white is the subject, black is left out of the loss
{val}
The images may be hard links to the pipeline's own files (setting package.link): do not edit them
in place. When the pipeline packages again it replaces this folder; a trainer's .npz caches are
kept for images whose pixels and caption are unchanged, other files are not.
"""
_MASKED = """\
With masks (the background does not count in the loss):
  start sd-scripts (e.g. sdxl_train_network.py) in this folder with
  --dataset_config dataset.toml --masked_loss
  The paths in dataset.toml are relative to the folder in which the trainer is started. Without
  --masked_loss the trainer refuses the file, so masks are never dropped in silence."""
_ALPHA = """\
With masks (the background does not count in the loss):
  start sd-scripts (e.g. sdxl_train_network.py) in this folder with
  --dataset_config dataset.toml
  The images' alpha is the mask: dataset.toml says alpha_mask = true, and does not name mask/, since
  the trainer refuses both in one subset. The paths in it are relative to the folder in which the
  trainer is started."""
_README_VAL = "val/  images, captions and masks for validation; dataset.toml does not name them\n"


class Kohya(TextFiles):
    """The `kohya` format."""

    name = "kohya"
    takes_alpha = True

    def __init__(self, settings: Mapping, subject: Subject) -> None:
        super().__init__(settings, subject)
        self._images = f"img/{self.repeats}_{subject.words}"

    def images_folder(self, split: str) -> str:
        """`img/<repeats>_<token> <class>/`; for validation without repeats, below `val/`."""
        return self._images if split == TRAIN else "val/img"

    def masks_folder(self, split: str) -> str:
        """`mask/`."""
        return "mask" if split == TRAIN else "val/mask"

    def finish(self, folder: Path, old: Path) -> dict[str, str]:
        """`dataset.toml` and `README.txt`; sound latent caches of the old package are kept."""
        named = 'conditioning_data_dir = "mask"'
        toml = _TOML.format(
            image_dir=json.dumps(self._images),  # a JSON string of ASCII is a TOML string
            needs="Alpha is the mask." if self.alpha else "Needs --masked_loss.",
            masks="alpha_mask = true" if self.alpha else named,
            repeats=self.repeats,
            resolution=self.resolution,
            smallest=min(256, self.resolution // 64 * 64),
            largest=max(1024, -(-2 * self.resolution // 64) * 64),
        )
        (folder / "dataset.toml").write_text(toml, encoding="utf-8")
        readme = _README.format(
            image_dir=self._images,
            how=_ALPHA if self.alpha else _MASKED,
            val=_README_VAL if (folder / "val").is_dir() else "",
        )
        (folder / "README.txt").write_text(readme, encoding="utf-8")
        self._keep_caches(folder, old)
        return {}

    def _keep_caches(self, folder: Path, old: Path) -> None:
        """Carry over `<item>_*.npz`, but only where they still are of this image and caption."""
        for cache in sorted(old.glob("img/*/*.npz")):
            item = cache.stem.partition("_")[0]  # items hold no underscore
            before = cache.with_name(item)
            pairs = (
                (before.with_suffix(".png"), folder / self.image_path(item, TRAIN)),
                (before.with_suffix(".txt"), folder / self.caption_path(item, TRAIN)),
            )
            if all(a.is_file() and b.is_file() and _same(a, b) for a, b in pairs):
                link_or_copy(cache, folder / self._images / cache.name)


def _same(first: Path, second: Path) -> bool:
    return first.samefile(second) or filecmp.cmp(first, second, shallow=False)
