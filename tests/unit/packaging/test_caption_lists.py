"""A list of captions is read back and held to what was given."""

from __future__ import annotations

import pytest

from ferrari.packaging.base import PackageError
from ferrari.packaging.caption_lists import CaptionList, captions_in

ENTRIES = [{"file_name": f"{name}.png", "text": f"sks man, {name}"} for name in ("one", "two")]


@pytest.mark.parametrize("name", ["metadata.jsonl", "train.json"])
def test_what_was_given_is_read_back(tmp_path, name):
    captions = CaptionList(name)
    for entry in ENTRIES:
        captions.add(tmp_path, entry)
    captions.finish(tmp_path)
    found = list(captions_in(tmp_path / name))
    assert found == [("one", "sks man, one"), ("two", "sks man, two")]


@pytest.mark.parametrize("name", ["metadata.jsonl", "train.json"])
def test_a_list_that_is_another_on_the_disk_is_an_error(tmp_path, name):
    captions = CaptionList(name)
    for entry in ENTRIES:
        captions.add(tmp_path, entry)
    path = tmp_path / name
    path.write_text(path.read_text().replace("sks man, two", "sks man, too"))
    with pytest.raises(PackageError, match=f"{name} does not read back as written"):
        captions.finish(tmp_path)
