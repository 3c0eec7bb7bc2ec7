"""SimpleTuner's own factory of data backends, its samplers and samples, without a model."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.handed import Handed, absent, signed, without


class _Options(argparse.Namespace):
    """The trainer's options: those that matter here, None for all others."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


class _Model:
    """What the data's side asks of the model that is to be trained."""

    AUTOENCODER_CLASS = None
    MAXIMUM_CANVAS_SIZE = None

    def get_transforms(self, dataset_type="image"):
        """Pixels in -1..1, RGB."""
        from torchvision import transforms

        normal = transforms.Normalize([0.5], [0.5])
        return transforms.Compose(
            [lambda image: image.convert("RGB"), transforms.ToTensor(), normal]
        )

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: False


def simpletuner(folder: Path, checkout: Path) -> Iterator[Handed]:
    """SimpleTuner: an epoch of its sampler, each image with the mask that it joins to it."""
    without(*absent("torchaudio", "spacy"), "simpletuner.helpers.models")
    from accelerate import Accelerator
    from simpletuner.helpers.data_backend.factory import FactoryRegistry
    from simpletuner.helpers.training.state_tracker import StateTracker

    class Registry(FactoryRegistry):
        """Without text embeddings, which need a model."""

        def configure_text_embed_backends(self, config):
            self.text_embed_backends = {"text-embeds": {"text_embed_cache": None}}
            self.default_text_embed_backend_id = "text-embeds"

        def _process_text_embeddings(self, *_):
            pass

    os.chdir(folder)
    model = _Model()
    StateTracker.set_args(_options())
    StateTracker.set_model(model)
    accelerator = Accelerator(cpu=True)
    StateTracker.set_accelerator(accelerator)
    Registry(_options(), accelerator, None, None, model).configure()
    yield from _epoch()


def _epoch() -> Iterator[Handed]:
    """All that the trainer draws until its epoch ends; repeats are its own count."""
    from simpletuner.helpers.data_backend.runtime import dataloader_iterator
    from simpletuner.helpers.image_manipulation.training_sample import TrainingSample
    from simpletuner.helpers.training.collate import fetch_conditioning_pixel_values
    from simpletuner.helpers.training.state_tracker import StateTracker
    from torch.utils.data import DataLoader

    loaders = {}
    for name, backend in StateTracker.get_data_backends(_types=["image"]).items():
        parts = backend["train_dataset"], backend["sampler"]
        loaders[name] = DataLoader(parts[0], sampler=parts[1], collate_fn=lambda batch: batch)
    while batch := dataloader_iterator.random_dataloader_iterator(1, loaders):
        ((line,), (condition,)) = (
            batch[0]["training_samples"],
            batch[0]["conditioning_samples"],
        )
        path, name = line["image_path"], line["data_backend_id"]
        made = TrainingSample.from_image_path(path, name).prepare(return_tensor=True)
        mask = fetch_conditioning_pixel_values(
            condition.image_path(), path, line, condition.data_backend_id, name
        )
        caption, weights = line["instance_prompt_text"], signed(mask)[..., 0]
        yield Handed(Path(path).stem, caption, signed(made.image), weights, 1)


def _options() -> _Options:
    return _Options(
        data_backend_config="multidatabackend.json",
        skip_file_discovery="",
        model_type="lora",
        model_family="sd1x",
        train_batch_size=1,
        gradient_accumulation_steps=1,
        resolution=192,
        resolution_type="pixel_area",
        minimum_image_size=0,
        aspect_bucket_alignment=64,
        aspect_bucket_rounding=2,
        aspect_bucket_worker_count=1,
        enable_multiprocessing=False,
        metadata_update_interval=3600,
        output_dir=".",
        cache_dir="cache",
        max_train_steps=1,
        caption_strategy="textfile",
        data_backend_sampling="uniform",
        conditioning_multidataset_sampling="combined",
    )
