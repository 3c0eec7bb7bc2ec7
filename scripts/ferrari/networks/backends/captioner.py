"""A captioner behind the seam: any image-to-text model in a local folder, through transformers.

Nothing is ever downloaded, no code of the folder runs, and pickled weights do not load. Decoding
is greedy, so that the same picture gives the same words.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ferrari.common.atomic_files import file_states
from ferrari.networks import caption_model
from ferrari.networks.backends import torch_runtime
from ferrari.networks.caption_model import CaptionerError
from ferrari.processes import devices
from ferrari.processes.devices import index_of, ran_on

MAX_NEW_TOKENS = 40
PROMPT = (
    "Describe only the person: clothing, hair, pose and expression, in one short sentence. "
    "Do not mention the background."
)


#: What is said of a picture, as UTF-8 in an array: what a card's process sends back.
Outputs = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class CaptionerRequest:
    """A model to be loaded from a folder on a device ('cpu', 'cuda:N'); pickles, as a
    `network.NetworkRequest` does, and like it may be called in the process that has the card.

    `states` are what the folder's files looked like: gigabytes are not read to tell them apart.
    """

    path: str
    device: str
    states: tuple[tuple[str, int, int, int], ...] = ()

    @classmethod
    def of(cls, folder: str | Path | None, device: str) -> CaptionerRequest:
        """The model in `folder` for a setting `device`; DeviceError for one that is not there."""
        where = devices.resolve(device, lambda cuda: torch_runtime.problem(index_of(cuda)))
        states = tuple(file_states([folder])) if folder else ()
        return cls(str(folder or ""), where, states)

    def __call__(self) -> tuple[Mapping, Callable[[Sequence[np.ndarray]], list[Outputs]]]:
        """Load it in this process: its device and batch, and what it makes of HxWx3 uint8 RGB
        pictures.
        """
        if self.device != "cpu":
            torch_runtime.start(self.device, threads=0)
            torch_runtime.take(self.device, self, 0)
        with torch_runtime.memory_errors():
            model = ImageToText(self.path, device=self.device)

        def run(images_rgb: Sequence[np.ndarray]) -> list[Outputs]:
            with torch_runtime.memory_errors():
                said = [model.describe(image) for image in images_rgb]
            return [(np.frombuffer(text.encode(), np.uint8),) for text in said]

        return {"device": ran_on(self.device, "transformers"), "batch": 1}, run


def words(outputs: Outputs) -> str:
    """What is said of a picture, out of the model's outputs for it."""
    return outputs[0].tobytes().decode()


class ImageToText:
    """An image-to-text model from a folder: `describe` turns RGB pixels into a sentence."""

    def __init__(self, folder: str | Path | None, device: str = "cpu") -> None:
        """Load the folder's model; raises CaptionerError where it or transformers is missing."""
        self._folder = _checked_folder(folder)
        import torch

        self._torch, self._device = torch, device
        self._processor, self._tokenizer = self._load_processor()
        self._model = self._load_model().to(device).eval()

    def describe(self, image_rgb: np.ndarray) -> str:
        """What the model says of an HxWx3 uint8 RGB image, special tokens left out."""
        inputs = self._inputs(image_rgb).to(self._device)
        with self._torch.inference_mode():
            tokens = self._model.generate(
                **inputs, max_new_tokens=MAX_NEW_TOKENS, do_sample=False, num_beams=1
            )
        prompt_length = inputs["input_ids"].shape[1] if "input_ids" in inputs else 0
        prompted = prompt_length and not self._model.config.is_encoder_decoder
        tokens = tokens[:, prompt_length:] if prompted else tokens
        return self._tokenizer.decode(tokens[0], skip_special_tokens=True).strip()

    def _inputs(self, image_rgb: np.ndarray) -> Any:
        from PIL import Image

        image = Image.fromarray(image_rgb)
        if not getattr(self._processor, "chat_template", None):
            return self._processor(images=image, return_tensors="pt")
        content = [{"type": "image"}, {"type": "text", "text": PROMPT}]
        text = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        return self._processor(images=image, text=text, return_tensors="pt")

    def _load_processor(self) -> tuple[Any, Any]:
        from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer

        local = {"local_files_only": True, "trust_remote_code": False}
        with _explained(self._folder):
            processor = AutoProcessor.from_pretrained(self._folder, **local)
            if hasattr(processor, "tokenizer"):
                return processor, processor.tokenizer
            images = AutoImageProcessor.from_pretrained(self._folder, **local)
            return images, AutoTokenizer.from_pretrained(self._folder, **local)

    def _load_model(self) -> Any:
        from transformers import AutoModelForImageTextToText

        with _explained(self._folder):
            return AutoModelForImageTextToText.from_pretrained(
                self._folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
            )


class _explained:
    """Turns what transformers raises for an unfit folder into a CaptionerError with a way out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, (OSError, ValueError, KeyError, ImportError)):
            raise CaptionerError(
                f"caption.model {self._folder} did not load as an image-to-text model: {error}\n"
                f"{caption_model.ADVICE}"
            ) from error


def _checked_folder(folder: str | Path | None) -> Path:
    if importlib.util.find_spec("transformers") is None:
        raise CaptionerError(
            "caption.backend is transformers, but that package is not installed; install the "
            "extra dependency with: pip install '.[captioner]'; or set caption.backend: template"
        )
    found = caption_model.require_folder(folder)
    caption_model.require_whole(found)
    return found
