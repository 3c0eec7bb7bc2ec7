"""Loaders of kohya's trainers and of diffusers' examples."""

from __future__ import annotations

import argparse
import os
import random
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.conformance.handed import Handed, defined, signed, unit


def kohya(folder: Path, checkout: Path) -> Iterator[Handed]:
    """sd-scripts: its config reader and dataset, batch by batch; --masked_loss unless alpha is."""
    sys.path.insert(0, str(checkout))
    for name, pipeline in (
        ("lpw_stable_diffusion", "StableDiffusionLongPromptWeightingPipeline"),
        ("sdxl_lpw_stable_diffusion", "SdxlStableDiffusionLongPromptWeightingPipeline"),
    ):  # sampling pipelines, which need another version of diffusers
        module = sys.modules[f"library.{name}"] = types.ModuleType(name)
        setattr(module, pipeline, object)
    import torch
    from library import config_util, strategy_base

    class NoTokens(strategy_base.TokenizeStrategy):
        def tokenize(self, text):
            return [torch.zeros(1, 77)]

    os.chdir(folder)
    strategy_base.TokenizeStrategy.set_strategy(NoTokens())
    config = config_util.load_user_config("dataset.toml")
    masked_loss = "conditioning_data_dir" in Path("dataset.toml").read_text()  # as README.txt says
    sanitizer = config_util.ConfigSanitizer(True, True, masked_loss, True)
    blueprint = config_util.BlueprintGenerator(sanitizer).generate(config, argparse.Namespace())
    group, _ = config_util.generate_dataset_group_by_blueprint(blueprint.dataset_group)
    group.set_current_strategies()
    for dataset in group.datasets:
        for index in range(len(dataset)):
            batch = dataset[index]
            masks = batch.get("alpha_masks")
            for at, caption in enumerate(batch["captions"]):
                if masks is None:
                    weights = signed(batch["conditioning_images"][at])[..., 0]
                else:
                    weights = unit(masks[at][None])[..., 0]
                yield Handed("", caption, signed(batch["images"][at]), weights, 1)


def musubi(folder: Path, checkout: Path) -> Iterator[Handed]:
    """musubi-tuner: its config reader and image dataset, as its latents are made."""
    sys.path.insert(0, str(checkout / "src"))
    from musubi_tuner.dataset import config_utils

    os.chdir(folder)
    generator = config_utils.BlueprintGenerator(config_utils.ConfigSanitizer())
    config = config_utils.load_user_config("dataset.toml")
    arguments = argparse.Namespace(debug_dataset=False)
    blueprint = generator.generate(config, arguments, architecture="hv")
    group = config_utils.generate_dataset_group_by_blueprint(blueprint.dataset_group)
    for dataset in group.datasets:
        for _, batch in dataset.retrieve_latent_cache_batches(1):
            for info in batch:
                picture, item = np.asarray(info.content), Path(info.item_key).stem
                yield Handed(item, info.caption, picture, None, dataset.num_repeats)


class _Words:
    """A tokenizer that leaves text as it is."""

    model_max_length = 77

    def __call__(self, text, **_):
        return argparse.Namespace(input_ids=[text], attention_mask=None)


def _example() -> dict:
    import torch
    from PIL.ImageOps import exif_transpose
    from torch.utils.data import Dataset
    from torchvision import transforms

    given = {"Path": Path, "os": os, "np": np, "random": random, "torch": torch, "Image": Image}
    return given | {
        "Dataset": Dataset,
        "transforms": transforms,
        "exif_transpose": exif_transpose,
        "tokenize_prompt": lambda tokenizer, prompt, *_, **__: tokenizer(prompt),
    }


def dreambooth(folder: Path, checkout: Path) -> Iterator[Handed]:
    """diffusers: DreamBoothDataset of train_dreambooth.py; the prompt is the same for all."""
    script = checkout / "examples/dreambooth/train_dreambooth.py"
    prompt = (folder / "prompt.txt").read_text().strip()
    made = defined(script, ["DreamBoothDataset"], _example())["DreamBoothDataset"]
    side = min(Image.open(path).width for path in (folder / "instance").iterdir())
    dataset = made(folder / "instance", prompt, _Words(), size=side)
    for line in (dataset[index] for index in range(len(dataset))):
        picture = signed(line["instance_images"])
        yield Handed("", line["instance_prompt_ids"][0], picture, None, 1)


def textualinversion(folder: Path, checkout: Path) -> Iterator[Handed]:
    """diffusers: TextualInversionDataset of textual_inversion.py, as the README has it started.

    The caption is what is left of its template's text: the token.
    """
    script = checkout / "examples/textual_inversion/textual_inversion.py"
    given = _example()
    given["PIL_INTERPOLATION"] = {
        "linear": Image.Resampling.BILINEAR,
        "bilinear": Image.Resampling.BILINEAR,
        "bicubic": Image.Resampling.BICUBIC,
        "lanczos": Image.Resampling.LANCZOS,
    }
    names = "imagenet_templates_small", "imagenet_style_templates_small", "TextualInversionDataset"
    given = defined(script, names, given)
    token = (folder / "token.txt").read_text().strip()
    said = {template.format(token) for template in given["imagenet_templates_small"]}
    side = min(Image.open(path).width for path in (folder / "images").iterdir())
    options = (folder / "README.txt").read_text()
    repeats = int(options.partition("--repeats ")[2].split()[0])
    dataset = given["TextualInversionDataset"](
        folder / "images",
        _Words(),
        size=side,
        repeats=repeats,
        flip_p=0.0,
        placeholder_token=token,
    )
    for line in (dataset[index] for index in range(len(dataset))):
        caption = token if line["input_ids"] in said else line["input_ids"]
        yield Handed("", caption, signed(line["pixel_values"]), None, 1)
