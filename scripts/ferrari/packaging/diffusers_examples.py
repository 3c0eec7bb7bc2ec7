"""Formats for diffusers' example scripts: a flat folder of images and nothing else.

The scripts open every file in that folder as an image. So masks, prompt and validation lie outside.
"""

from __future__ import annotations

from pathlib import Path

from ferrari.images.image_and_mask import Fault
from ferrari.packaging.base import TRAIN
from ferrari.packaging.folder_formats import TAIL, FolderFormat
from ferrari.packaging.image_preparation import Sample


class _Flat(FolderFormat):
    def add_caption(self, folder: Path, sample: Sample) -> Fault | None:
        """Nothing: the trainer has one prompt for all."""
        return None


class DreamBooth(_Flat):
    """The `dreambooth` format: the instance folder of diffusers' DreamBooth examples."""

    name = "dreambooth"

    def images_folder(self, split: str) -> str:
        """`instance/`."""
        return "instance" if split == TRAIN else "val/images"

    def described(self) -> dict[str, str]:
        """The prompt, and how to use it."""
        prompt = f"a photo of {self.subject.words}"
        text = f"""\
Training set for the DreamBooth examples of diffusers:

  --instance_data_dir <this folder>/instance --instance_prompt "{prompt}"
  with prior preservation also: --class_prompt "a photo of {self.subject.subject_class}"

The prompt stands in prompt.txt, outside of instance/: the trainer opens all that is in there as an
image. Captions by image are not read by it, nor are masks (masks/). The LoRA examples take
--repeats, on the command line: nothing in a folder says it. For captions take the imagefolder
package. val/, if it is there, is for validation.
"""
        return {"prompt.txt": prompt + "\n", "README.txt": text + TAIL}


class TextualInversion(_Flat):
    """The `textualinversion` format: images padded to squares, which it would stretch."""

    name = "textualinversion"
    needs_squares = True

    def described(self) -> dict[str, str]:
        """The placeholder token, and how to use it."""
        token, initial = f"<{self.subject.token}>", self.subject.subject_class.split()[-1]
        text = f"""\
Training set for the textual inversion example of diffusers:

  --train_data_dir <this folder>/images --learnable_property object
  --placeholder_token "{token}" --initializer_token "{initial}" --repeats {self.repeats}

Images that were not square are padded to squares with the colour of package.alpha_colour, since the
trainer stretches them. It reads no captions and no masks (masks/). The placeholder token stands in
token.txt. val/, if it is there, is for validation.
"""
        return {"token.txt": token + "\n", "README.txt": text + TAIL}
