"""What lies where on the disk, and what each clip takes of it."""

from __future__ import annotations

import os
from pathlib import Path

from ferrari.common import settings
from ferrari.ledger import disk_use
from tests.settings import ROOT

A, B = "a-0123456789", "b-0123456789"


def put(path, count):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * count)


def test_a_file_counts_once_for_the_folder_that_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(Path(f"dataset/04_augmented/{A}/i.png"), 100)
    linked = Path("dataset/05_final_training/kohya/img/i.png")
    linked.parent.mkdir(parents=True)
    os.link(f"dataset/04_augmented/{A}/i.png", linked)
    put(Path("dataset/05_final_training/kohya.csv"), 7)
    put(tmp_path / "other_disk/a.png", 9)
    (tmp_path / "other_disk/link").symlink_to(tmp_path)
    Path("dataset/03_masked_subjects").symlink_to(tmp_path / "other_disk")
    put(Path("cache/weights/net.onnx"), 50)
    found = {one.folder: one for one in disk_use.by_folder(settings.load())}
    images, final = found["dataset/04_augmented"], found["dataset/05_final_training"]
    assert (images.bytes, images.files, final.bytes, final.files) == (100, 1, 7, 2)
    assert found["cache"].bytes == 50 and "hundreds of MB" in found["cache"].may_go
    moved = found["dataset/03_masked_subjects"]
    assert moved.files == 2 and 9 < moved.bytes < 300, "a link in it is not followed"
    assert "dataset/review" not in found


def test_bytes_of_clips(tmp_path):
    put(tmp_path / f"dataset/01_extracted_frames/{A}/f.webp", 10)
    put(tmp_path / f"dataset/01_extracted_frames/{A}.csv", 3)
    put(tmp_path / f"dataset/01_extracted_frames/{A}.linking.mkv", 20)
    put(tmp_path / f"dataset/bad_frames/{B}/NO_SUBJECT/f.webp", 5)
    assert disk_use.bytes_of_clips(tmp_path / "dataset") == {A: 33, B: 5}


def test_the_docs_say_of_each_folder_what_the_index_says():
    text = (ROOT / "docs/reruns.md").read_text()
    for name, (holds, may_go) in disk_use.PLACES.items():
        place = f"`{name[1:]}/`" if name.startswith(".") else f"`dataset/{name}/`"
        assert f"| {place} | {holds} | {may_go} |" in text, place
