"""Loaders of the Hugging Face formats and of conversations."""

from __future__ import annotations

import argparse
import json
import os
import sys
import types
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

from PIL import Image

from tests.conformance.handed import Handed, defined, grey, rgb


def _hugging_face(builder: str, **where: str) -> Iterator[Handed]:
    from datasets import load_dataset

    for line in load_dataset(builder, split="train", **where):
        yield Handed(line.get("item", ""), line["text"], rgb(line["image"]), grey(line["mask"]), 1)


def imagefolder(folder: Path, checkout: Path) -> Iterator[Handed]:
    """`datasets`, imagefolder."""
    return _hugging_face("imagefolder", data_dir=str(folder))


def parquet(folder: Path, checkout: Path) -> Iterator[Handed]:
    """`datasets`, parquet."""
    return _hugging_face(str(folder))


def webdataset_in_datasets(folder: Path, checkout: Path) -> Iterator[Handed]:
    """`datasets`, webdataset."""
    from datasets import load_dataset

    for line in load_dataset(str(folder), split="train"):
        mask = grey(line["mask.png"])
        yield Handed(line["__key__"], line["txt"], rgb(line["png"]), mask, 1)


def webdataset(folder: Path, checkout: Path) -> Iterator[Handed]:
    """The `webdataset` library."""
    from webdataset import WebDataset

    tars = [str(path) for path in sorted((folder / "data").glob("train-*.tar"))]
    for line in WebDataset(tars, shardshuffle=False).decode("pil"):
        mask = grey(line["mask.png"])
        yield Handed(line["__key__"], line["txt"], rgb(line["png"]), mask, 1)


def trl(folder: Path, checkout: Path) -> Iterator[Handed]:
    """TRL: `datasets` reads the JSON lines, `prepare_multimodal_messages` joins text and image."""
    from datasets import load_dataset
    from trl.data_utils import prepare_multimodal_messages

    os.chdir(folder)
    for line in load_dataset("json", data_files="train.jsonl", split="train"):
        images = [Image.open(path) for path in line["images"]]
        user, assistant = prepare_multimodal_messages(line["messages"], images=images)
        shown = [part["image"] for part in user["content"] if part["type"] == "image"]
        caption = "".join(part["text"] for part in assistant["content"])
        yield Handed(Path(line["images"][0]).stem, caption, rgb(shown[0]), None, 1)


def llamafactory(folder: Path, checkout: Path) -> Iterator[Handed]:
    """LLaMA-Factory: its parser, loader and converter, and the image plug-in's own reading."""
    os.environ["DISABLE_VERSION_CHECK"] = "1"
    from transformers import ProcessorMixin, Seq2SeqTrainingArguments  # noqa: F401

    sys.modules["torchaudio"] = module = types.ModuleType("torchaudio")  # used for sound only
    module.__spec__ = ModuleSpec("torchaudio", None)
    from llamafactory.data.loader import _load_single_dataset
    from llamafactory.data.mm_plugin import get_mm_plugin
    from llamafactory.data.parser import get_dataset_list
    from llamafactory.hparams import DataArguments, ModelArguments

    names = ["subject_train"]
    data = DataArguments(dataset_dir=str(folder), media_dir=str(folder), dataset=names[0])
    model, training = ModelArguments(model_name_or_path="none"), Seq2SeqTrainingArguments()
    plugin = get_mm_plugin("base")
    for attributes in get_dataset_list(names, str(folder)):
        for line in _load_single_dataset(attributes, model, data, training):
            path = line["_images"][0]
            prompts = [turn["content"].count("<image>") for turn in line["_prompt"]]
            if sum(prompts) != len(line["_images"]):
                raise ValueError(
                    f"{path}: {prompts} placeholders for {len(line['_images'])} images"
                )
            read = plugin._regularize_images([path], image_max_pixels=10**9, image_min_pixels=0)[
                "images"
            ]
            yield Handed(Path(path).stem, line["_response"][0]["content"], rgb(read[0]), None, 1)


def llava(folder: Path, checkout: Path) -> Iterator[Handed]:
    """LLaVA: LazySupervisedDataset of train.py, with its own shaping of the conversation."""
    import copy

    import torch
    from torch.utils.data import Dataset

    class Pixels:
        """An image processor that changes nothing."""

        def preprocess(self, picture, return_tensors):
            return {"pixel_values": [picture]}

    given = {"json": json, "os": os, "copy": copy, "torch": torch, "Dataset": Dataset}
    given |= {"Image": Image, "Dict": dict, "Sequence": list, "DataArguments": object}
    given |= {"rank0_print": print, "transformers": argparse.Namespace(PreTrainedTokenizer=object)}
    given["conversation_lib"] = argparse.Namespace(
        default_conversation=argparse.Namespace(version="v1")
    )
    given["preprocess"] = lambda sources, *_, **__: {"input_ids": sources, "labels": sources}
    constants = "DEFAULT_IMAGE_TOKEN", "DEFAULT_IM_START_TOKEN", "DEFAULT_IM_END_TOKEN"
    defined(checkout / "llava/constants.py", constants, given)
    names = "preprocess_multimodal", "LazySupervisedDataset"
    made = defined(checkout / "llava/train/train.py", names, given)["LazySupervisedDataset"]
    settings = argparse.Namespace(
        image_folder=str(folder),
        image_processor=Pixels(),
        image_aspect_ratio="square",
        is_multimodal=True,
        mm_use_im_start_end=False,
    )
    dataset = made(str(folder / "train.json"), None, settings)
    for index in range(len(dataset)):
        line = dataset[index]
        human, gpt = line["input_ids"]
        if not human["value"].startswith("<image>\n") or human["value"].count("<image>") != 1:
            raise ValueError(f"the question is {human['value']!r}")
        item = dataset.list_data_dict[index]["id"]
        yield Handed(item, gpt["value"], rgb(line["image"]), None, 1)
