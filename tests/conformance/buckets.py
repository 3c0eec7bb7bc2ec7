"""Loaders of ai-toolkit, diffusion-pipe and OneTrainer, which sort images into buckets."""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.handed import Handed, absent, signed, unit, without


def aitoolkit(folder: Path, checkout: Path) -> Iterator[Handed]:
    """ai-toolkit: its DatasetConfig, dataset and batch, without a model."""
    import yaml

    sys.path.insert(0, str(checkout))
    without(
        *absent("albumentations", "torchao", "torchaudio", "optimum", "av"),
        "toolkit.control_generator",
        "toolkit.models.pixtral_vision",
        "toolkit.train_tools",
    )
    from toolkit.data_loader import get_dataloader_from_datasets

    class Model:
        """What the dataset asks of the model that is to be trained."""

        model_config = argparse.Namespace(latent_space_version="sd1", arch="sd1")
        vae = unet = adapter = None
        encode_control_in_text_embeddings = use_raw_control_images = False
        text_embedding_space_version, te_padding_side = "sd1", "right"

        def get_bucket_divisibility(self):
            return 16

    os.chdir(folder)
    listed = yaml.safe_load((folder / "datasets.yaml").read_text())["datasets"]
    for line in listed:
        line["num_workers"] = 0
    for batch in get_dataloader_from_datasets(listed, batch_size=1, sd=Model()):
        for item in batch.file_items:
            mask = None if item.mask_tensor is None else unit(item.mask_tensor)[..., 0]
            yield Handed(Path(item.path).stem, item.caption, signed(item.tensor), mask, 1)


def diffusionpipe(folder: Path, checkout: Path) -> Iterator[Handed]:
    """diffusion-pipe: DirectoryDataset's metadata and PreprocessMediaFile, up to the latents."""
    import toml

    sys.path.insert(0, str(checkout))
    without(*absent("deepspeed", "comfy", "comfy_api", "torchaudio"))
    from models.base import PreprocessMediaFile
    from utils import dataset as directories

    connect = sqlite3.connect  # its cache says `autocommit`, which Python has from 3.12 on
    sqlite3.connect = lambda path, autocommit=False: connect(path)
    os.chdir(folder)
    config = toml.load("dataset.toml")
    read = PreprocessMediaFile({}, round_height=16, round_width=16)
    for line in config["directory"]:
        made = directories.DirectoryDataset(line, config, "none", round_to_multiple=16)
        made.cache_metadata()
        made.cache_latents(lambda examples, rank: {"latents": [0]})
        for bucket in made.get_size_bucket_datasets():
            size, entries = bucket.size_bucket[-3:], bucket.metadata_dataset
            for entry in entries:
                path, (caption,) = Path(entry["image_spec"][1]), entry["caption"]
                ((image, _, mask),) = read(entry["image_spec"], entry["mask_file"], size)
                weights = None if mask is None else unit(mask[None])[..., 0]
                times = len(bucket) // len(entries)
                yield Handed(path.stem, caption, unit(image), weights, times)


def onetrainer(folder: Path, checkout: Path) -> Iterator[Handed]:
    """OneTrainer: its concepts and its own chain of mgds modules up to the crop, balanced."""
    sys.path[:0] = [str(checkout), str(checkout.parent / "mgds/src")]
    without(
        *absent("av"),
        "modules.util.multi_gpu_util",
        "modules.model",
        "modules.modelSetup",
        "modules.util.config.TrainConfig",
        "modules.util.enum.DataType",
    )
    import torch
    from modules.dataLoader.mixin.DataLoaderMgdsMixin import DataLoaderMgdsMixin
    from modules.dataLoader.mixin.DataLoaderText2ImageMixin import DataLoaderText2ImageMixin

    names = ["image_path", "image", "mask", "prompt"]

    class Loader(DataLoaderText2ImageMixin, DataLoaderMgdsMixin):
        """The parts that every model's loader shares; nothing is encoded."""

        def _preparation_modules(self, config, model):
            return []

        def _cache_modules(self, config, model, setup):
            sorted_names = [*names, "crop_resolution", "concept"]
            return self._cache_modules_from_names(
                model, setup, [], [], [], sorted_names, config, False
            )

        def _output_modules(self, config, model, setup):
            return self._output_modules_from_out_names(
                model, setup, names, config, train_dtype=model.train_dtype
            )

        def _debug_modules(self, config, model):
            return []

    os.chdir(folder)
    model = argparse.Namespace(train_dtype=argparse.Namespace(torch_dtype=lambda: torch.float32))
    kind = argparse.Namespace(
        has_mask_input=lambda: False,
        has_depth_input=lambda: False,
        has_conditioning_image_input=lambda: False,
    )
    config = _onetrainer_config(kind)
    progress = argparse.Namespace(epoch=0, epoch_sample=0)
    dataset = Loader()._create_dataset(config, model, None, progress, False, 64)
    dataset.start_next_epoch()
    for line in dataset:
        image, mask = unit(line["image"]), unit(line["mask"])[..., 0]
        yield Handed(Path(line["image_path"]).stem, line["prompt"], image, mask, 1)


def _onetrainer_config(kind: argparse.Namespace) -> argparse.Namespace:
    return argparse.Namespace(
        concepts=None,
        concept_file_name="concepts.json",
        masked_training=True,
        custom_conditioning_image=False,
        aspect_ratio_bucketing=True,
        resolution="192",
        frames="1",
        model_type=kind,
        validation=False,
        unmasked_probability=0.0,
        latent_caching=False,
        multi_gpu=False,
        batch_size=1,
        cache_dir="cache",
        debug_mode=False,
        train_device="cpu",
        dataloader_threads=1,
    )
