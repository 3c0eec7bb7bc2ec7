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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        (b"", "is empty"),
        (b"<html>404", "is an HTML page (a failed download?)"),
    ],
)
def test_weights_that_are_none_are_told_before_a_run(tmp_path, content, said):
    unloadable_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(caption_model.CaptionerError) as refused:
        required(str(tmp_path))
    assert f"has weights that are none: model.safetensors {said}" in str(refused.value)


def test_weights_that_are_cut_off_are_told_before_libraries_load_them(tmp_path):
    unloadable_model(tmp_path)
    file = tmp_path / "model.safetensors"
    with pytest.raises(caption_model.CaptionerError, match=r"is cut off: it has 71 of 99 bytes"):
        caption_model.require_whole(tmp_path)
    file.write_bytes(file.read_bytes() + bytes(28))
    caption_model.require_whole(tmp_path)
    file.write_bytes((9).to_bytes(8, "little") + b'{"w": 1}' + bytes(9))
    with pytest.raises(caption_model.CaptionerError, match="is damaged"):
        caption_model.require_whole(tmp_path)


def test_a_model_that_nobody_names_and_a_file_are_told(tmp_path):
    (tmp_path / "blip.safetensors").touch()
    with pytest.raises(caption_model.CaptionerError, match=r"safetensors is a file and no folder"):
        required(str(tmp_path / "blip.safetensors"))
    with pytest.raises(caption_model.CaptionerError, match=r"caption\.model names no folder"):
        required(None)


def test_what_loading_alone_can_tell_passes(tmp_path):
    caption_model.require(unloadable_model(tmp_path / "model")["caption"])
    caption_model.require(section("caption", backend="template", model="nowhere"))
