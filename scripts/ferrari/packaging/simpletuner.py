"""SimpleTuner: a folder and a JSON list of backends."""

from __future__ import annotations

import json

from ferrari.packaging.folder_formats import TAIL, TextFiles


class SimpleTuner(TextFiles):
    """The `simpletuner` format: SimpleTuner, whose `repeats` counts what follows the first time."""

    name = "simpletuner"

    def described(self) -> dict[str, str]:
        """`multidatabackend.json`; the ids say how often an epoch sees each image."""
        images_id, masks_id = (f"{name}-{self.repeats}x" for name in ("subject", "subject-masks"))
        common = {
            "type": "local",
            "metadata_backend": "discovery",
            "resolution": self.resolution,
            "resolution_type": "pixel_area",
            "crop": False,
            "crop_style": "center",  # its default cuts image and mask at random places, each apart
        }
        backends = [
            {
                "id": images_id,
                "dataset_type": "image",
                "instance_data_dir": "images",
                "caption_strategy": "textfile",
                "disable_multiline_split": True,
                "cache_dir_vae": f"cache/vae/{images_id}",
                "repeats": self.repeats - 1,
                "conditioning_data": masks_id,
                **common,
            },
            {
                "id": masks_id,
                "dataset_type": "conditioning",
                "conditioning_type": "mask",
                "source_dataset_id": images_id,
                "instance_data_dir": "masks",
                "caption_strategy": "instanceprompt",
                "instance_prompt": self.subject.words,
                "cache_dir_vae": f"cache/vae/{masks_id}",
                "repeats": self.repeats - 1,
                **common,
            },
            {
                "id": "text-embeds",
                "type": "local",
                "dataset_type": "text_embeds",
                "default": True,
                "cache_dir": "cache/text",
            },
        ]
        text = f"""\
Training set for SimpleTuner: start it in this folder, with multidatabackend.json as the data
backend's configuration.

Each image is seen {self.repeats} times an epoch: the trainer's `repeats` counts what follows the
first time, so it is {self.repeats - 1}. The masks are a conditioning dataset of type mask, joined
to the images by source_dataset_id. val/, if it is there, is for validation, and is not named.
"""
        listed = json.dumps(backends, indent=2) + "\n"
        return {"multidatabackend.json": listed, "README.txt": text + TAIL}
