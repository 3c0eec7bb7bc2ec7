"""What stage 5 makes of a captioner's words, and of a caption that a person wrote."""

from __future__ import annotations

import importlib

import pytest

from ferrari.captions.by_hand import Rules
from ferrari.captions.overrides import Override

stage = importlib.import_module("05_caption_images")
STYLE = stage.Style(("{token} {class}, {background}",), 0, Rules("sks", "man"))
LINE = {"item": "i", "parent": "c", "background": "plain olive background", "kind": "flat"}
LINE |= dict.fromkeys(("path", "sha256", "mask_path", "mask_sha256", "width", "height"), "")
CROP = {"item": "c", "x1": "10", "y1": "10", "x2": "30", "y2": "70"}
CROP |= {"frame_width": "100", "frame_height": "100"}


@pytest.mark.parametrize(
    ("words", "source", "caption"),
    [
        ("in a red shirt", "transformers", "sks man, plain olive background, in a red shirt"),
        ("", "template", "sks man, plain olive background"),
        # Words that break a rule are left out, and said to be: better none than a refused image.
        ("a sks who waves", "template", "sks man, plain olive background"),
    ],
)
def test_words_of_a_captioner(words, source, caption):
    row = stage.caption_row(LINE, CROP, STYLE, lambda item: (words, []))
    assert (row["outcome"], row["caption_source"], row["caption"]) == ("kept", source, caption)
    left_out = words if source == "template" else ""
    assert row["removed_words"] == "; ".join(left_out.split())


@pytest.mark.parametrize(("about", "holds"), [("", True), ("a" * 64, True), ("b" * 64, False)])
def test_a_caption_by_hand_is_about_the_file_that_it_was_written_of(about, holds):
    written = Override("i", "sks man", sha256=about)
    found = stage._written_about({"i": written}, "i", "a" * 64)
    assert (found == written) if holds else found is None
