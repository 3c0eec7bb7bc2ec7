"""A folder that is no captioner's is told before the first job, whose captions come last."""

from __future__ import annotations

import pytest

from ferrari.networks import caption_model
from tests.settings import section, unloadable_model


def required(folder):
    caption_model.require(section("caption", backend="transformers", model=folder))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (None, "is not there. It must be a folder with config.json"),
        ({}, "is not a model folder (no config.json in it)"),
        ({"config.json": "{"}, "has a config.json that cannot be read ("),
        ({"config.json": "[]"}, "has a config.json that names no kind of model (model_type)"),
        (
            {"config.json": '{"model_type": "blip"}', "pytorch_model.bin": ""},
            "has no weights as .safetensors, and pickled ones are not loaded",
        ),
    ],
)
def test_what_is_no_model_is_told_with_what_it_lacks(tmp_path, files, said):
    folder = tmp_path / "blip"
    for name, text in (files or {}).items():
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    if files == {}:
        folder.mkdir()
    with pytest.raises(caption_model.CaptionerError) as refused:
        required(str(folder))
    assert str(refused.value).startswith(f"caption.model: {folder} {said}")
    assert "or set caption.backend: template" in str(refused.value)


def test_a_model_that_nobody_names_and_a_file_are_told(tmp_path):
    (tmp_path / "blip.safetensors").touch()
    with pytest.raises(caption_model.CaptionerError, match=r"safetensors is a file and no folder"):
        required(str(tmp_path / "blip.safetensors"))
    with pytest.raises(caption_model.CaptionerError, match=r"caption\.model names no folder"):
        required(None)


def test_what_loading_alone_can_tell_passes(tmp_path):
    caption_model.require(unloadable_model(tmp_path / "model")["caption"])
    caption_model.require(section("caption", backend="template", model="nowhere"))
