"""musubi-tuner: a folder and a TOML file."""

from __future__ import annotations

from ferrari.packaging.folder_formats import TAIL, TextFiles


class Musubi(TextFiles):
    """The `musubi` format: musubi-tuner, which knows no masks."""

    name = "musubi"

    def described(self) -> dict[str, str]:
        """`dataset.toml`; the cache has a folder of its own."""
        toml = f"""\
# Paths are relative to the folder that the trainer is started in: start it in this one.
[general]
resolution = [{self.resolution}, {self.resolution}]
caption_extension = ".txt"
batch_size = 1
enable_bucket = true
bucket_no_upscale = true

[[datasets]]
image_directory = "images"
cache_directory = "cache"
num_repeats = {self.repeats}
"""
        text = """\
Training set for musubi-tuner: give it dataset.toml as --dataset_config, in this folder.

The trainer has no masked loss: all of an image is trained on. masks/ is there for other uses, and
dataset.toml does not name it (the key mask_directory would be refused). val/, if it is there, is
for validation, and dataset.toml does not name it.
"""
        return {"dataset.toml": toml, "README.txt": text + TAIL}
