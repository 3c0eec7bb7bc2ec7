"""ai-toolkit: a folder and a YAML configuration."""

from __future__ import annotations

from ferrari.packaging.folder_formats import TAIL, TextFiles


class AiToolkit(TextFiles):
    """The `aitoolkit` format: ai-toolkit, which reads a folder with all that lies below it."""

    name = "aitoolkit"
    takes_alpha = True

    @staticmethod
    def caption_text(caption: str) -> str:
        """Without the space after commas: the trainer parts text at them and joins it with `, `."""
        return caption.replace(", ", ",")

    def described(self) -> dict[str, str]:
        """`datasets.yaml`, the part of a job's file that names the data."""
        masks = "alpha_mask: true" if self.alpha else 'mask_path: "masks"'
        yaml = f"""\
# Put this list into the process of your job's file. Relative paths count from the folder that the
# trainer is started in: start it in this one, or make them absolute.
datasets:
  - folder_path: "images"
    {masks}
    mask_min_value: 0.0
    caption_ext: "txt"
    caption_dropout_rate: 0.0
    resolution: [{self.resolution}]
    num_repeats: {self.repeats}
    buckets: true
    cache_latents_to_disk: false
"""
        text = """\
Training set for ai-toolkit: put the list in datasets.yaml into the process of your job's file.

White in a mask is trained on, black not at all. masks/ lies outside of images/, since the trainer
takes every image below a folder for one to train on. It writes .aitk_size.json into images/. The
captions have no space after a comma: the trainer puts one there, and would train on two.
val/, if it is there, is for validation; datasets.yaml does not name it.
"""
        return {"datasets.yaml": yaml, "README.txt": text + TAIL}
