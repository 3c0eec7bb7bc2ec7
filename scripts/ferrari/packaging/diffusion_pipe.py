"""diffusion-pipe: a folder and a TOML file, masks in a folder of their own."""

from __future__ import annotations

from ferrari.packaging.folder_formats import TAIL, TextFiles


class DiffusionPipe(TextFiles):
    """The `diffusionpipe` format: diffusion-pipe."""

    name = "diffusionpipe"

    def described(self) -> dict[str, str]:
        """`dataset.toml`."""
        toml = f"""\
# Paths are relative to the folder that the trainer is started in: start it in this one.
resolutions = [{self.resolution}]
enable_ar_bucket = true
min_ar = 0.25
max_ar = 4.0
num_ar_buckets = 9
frame_buckets = [1]

[[directory]]
path = "images"
mask_path = "masks"
num_repeats = {self.repeats}
"""
        text = """\
Training set for diffusion-pipe: name dataset.toml as `dataset` in the trainer's own file.

White in a mask is trained on. Every image has its mask: the trainer would only warn of a missing
one. val/, if it is there, is for validation; dataset.toml does not name it.
"""
        return {"dataset.toml": toml, "README.txt": text + TAIL}
