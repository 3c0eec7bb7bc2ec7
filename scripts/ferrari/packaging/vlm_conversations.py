"""Formats for fine-tuning vision-language models: conversations in JSON that name their images.

One question, which holds one `<image>` where the trainer wants it, and the caption as the answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ferrari.images.image_and_mask import Fault
from ferrari.packaging.base import Subject
from ferrari.packaging.caption_lists import CaptionList
from ferrari.packaging.folder_formats import TAIL, FolderFormat
from ferrari.packaging.image_preparation import Sample

_REPEATS = "Repeats are not said here: the trainer's number of epochs says how often it sees all.\n"


class _Conversations(FolderFormat):
    ending = "json"

    def __init__(self, settings: Mapping, subject: Subject) -> None:
        super().__init__(settings, subject)
        self.question = str(settings["question"])
        self._lists: dict[str, CaptionList] = {}

    def caption_path(self, item: str, split: str) -> str:
        """One file a split; its digest is in the package's stamp."""
        return f"{split}.{self.ending}"

    def add_caption(self, folder: Path, sample: Sample) -> Fault | None:
        """One conversation; read back, all together, by `finish`."""
        name = self.caption_path(sample.item, sample.split)
        captions = self._lists.setdefault(sample.split, CaptionList(name))
        captions.add(folder, self.entry(sample))
        return None

    def entry(self, sample: Sample) -> dict[str, object]:
        """The conversation about one image."""
        raise NotImplementedError

    def finish(self, folder: Path, old: Path) -> dict[str, str]:
        """Compare the files with what was given, and describe the whole."""
        for captions in self._lists.values():
            captions.finish(folder)
        return super().finish(folder, old)

    @property
    def splits(self) -> list[str]:
        """The splits that there are."""
        return sorted(self._lists)

    def _messages(self, question: str, caption: str) -> list[dict[str, str]]:
        return [
            {"role": "user", "content": question},
            {"role": "assistant", "content": caption},
        ]


class Llava(_Conversations):
    """The `llava` format."""

    name = "llava"

    def entry(self, sample: Sample) -> dict[str, object]:
        """`image` is relative to the package's folder."""
        return {
            "id": sample.item,
            "image": self.image_path(sample.item, sample.split),
            "conversations": [
                {"from": "human", "value": f"<image>\n{self.question}"},
                {"from": "gpt", "value": sample.line["caption"]},
            ],
        }

    def described(self) -> dict[str, str]:
        """How to start the trainer."""
        text = """\
Conversations for LLaVA and trainers that read its JSON:

  --data_path <this folder>/train.json --image_folder <this folder>

val.json, if it is there, is for validation; its images lie in val/. Masks (masks/) are not read.
"""
        return {"README.txt": text + _REPEATS + TAIL}


class LlamaFactory(_Conversations):
    """The `llamafactory` format: sharegpt with `dataset_info.json`."""

    name = "llamafactory"

    def entry(self, sample: Sample) -> dict[str, object]:
        """One `<image>` for the one image, relative to `media_dir`."""
        return {
            "messages": self._messages(f"<image>{self.question}", sample.line["caption"]),
            "images": [self.image_path(sample.item, sample.split)],
        }

    def described(self) -> dict[str, str]:
        """`dataset_info.json` with a data set a split."""
        info = {
            f"subject_{split}": {
                "file_name": f"{split}.json",
                "formatting": "sharegpt",
                "columns": {"messages": "messages", "images": "images"},
                "tags": {
                    "role_tag": "role",
                    "content_tag": "content",
                    "user_tag": "user",
                    "assistant_tag": "assistant",
                },
            }
            for split in self.splits
        }
        text = """\
Conversations for LLaMA-Factory:

  dataset: subject_train
  dataset_dir: <this folder>
  media_dir: <this folder>

Without media_dir the images are not found, which the trainer only warns of. subject_val
(eval_dataset), if it is there, is for validation. Masks (masks/) are not read.
"""
        listed = json.dumps(info, indent=2) + "\n"
        return {"dataset_info.json": listed, "README.txt": text + _REPEATS + TAIL}


class Trl(_Conversations):
    """The `trl` format: `messages` and `images`, as JSON Lines."""

    name = "trl"
    ending = "jsonl"

    def entry(self, sample: Sample) -> dict[str, object]:
        """No `<image>`: the trainer puts it in itself."""
        return {
            "messages": self._messages(self.question, sample.line["caption"]),
            "images": [self.image_path(sample.item, sample.split)],
        }

    def described(self) -> dict[str, str]:
        """How to load it."""
        text = """\
Conversations for TRL's SFTTrainer. In this folder (the paths of images count from where Python is
started):

  from datasets import Image, List, load_dataset
  data = load_dataset("json", data_files={"train": "train.jsonl"})["train"]
  data = data.cast_column("images", List(Image()))

val.jsonl, if it is there, is for validation; its images lie in val/. Masks (masks/) are not read.
"""
        return {"README.txt": text + _REPEATS + TAIL}
