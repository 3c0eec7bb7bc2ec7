"""What a report saw is not opened again, unless anything about it is another."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from ferrari.common.atomic_files import sha256_bytes
from ferrari.qc import reopened_images, seen_before


@pytest.fixture
def images(tmp_path):
    """Three files, and their rows."""
    rows = []
    for n in range(3):
        (tmp_path / f"{n}.bin").write_bytes(bytes([n]) * 10)
        rows.append({"path": f"{n}.bin", "sha256": sha256_bytes(bytes([n]) * 10), "other": n})
    yield tmp_path, pd.DataFrame(rows, index=[7, 5, 9])
    seen_before.forget()


def inspected(images, maker="code", columns=("path", "sha256"), also=()):
    """The answers about all images, and which were opened for them."""
    root, rows = images
    opened = []

    def look(dataset, cells):
        opened.append(cells[0])
        data = (dataset / cells[0]).read_bytes()
        good = sha256_bytes(data) == cells[1]
        share = np.nan if data[0] == 1 else data[0] / 3
        return {"fault": "", "sha_ok": good, "share": share, "grid": data, "px": int(data[0])}

    seen_before.remember_in(root / "stamps", "qc", maker)
    seen = reopened_images.inspect(root, rows, columns, look, "images opened again", also)
    return seen, sorted(opened)


def test_the_second_time_nothing_is_opened_and_the_answers_are_the_same(images):
    first, opened = inspected(images)
    assert opened == ["0.bin", "1.bin", "2.bin"] and list(first.index) == [7, 5, 9]
    second, opened = inspected(images)
    assert opened == []
    pd.testing.assert_frame_equal(first, second)


def test_one_image_more_is_the_only_one_opened(images):
    inspected(images)
    root, rows = images
    (root / "3.bin").write_bytes(b"abc")
    more = {"path": "3.bin", "sha256": sha256_bytes(b"abc"), "other": 3}
    rows = pd.concat([pd.DataFrame([more], index=[0]), rows])
    seen, opened = inspected((root, rows))
    assert opened == ["3.bin"] and list(seen["px"]) == [97, 0, 1, 2]


def test_what_changed_is_opened_again(images):
    root, _ = images
    inspected(images)
    os.utime(root / "1.bin", (5, 5))
    assert inspected(images)[1] == ["1.bin"], "its time"
    (root / "1.bin").write_bytes(b"longer than before")
    changed, opened = inspected(images)
    assert opened == ["1.bin"] and list(changed["sha_ok"]) == [True, False, True], "its size"
    assert inspected(images)[1] == ["1.bin"], "what is at fault is looked at each time"
    assert len(inspected(images, maker="other code")[1]) == 3
    assert len(inspected(images, maker="other code", also=["other"])[1]) == 3


def test_a_damaged_file_of_answers_is_told_and_all_is_opened(images, caplog):
    root, _ = images
    inspected(images)
    (kept,) = (root / "stamps").iterdir()
    kept.write_bytes(b"PAR1 and no more")
    assert len(inspected(images)[1]) == 3 and "cannot be read" in caplog.text
    assert inspected(images)[1] == []


def test_without_a_place_nothing_is_kept(images):
    root, rows = images
    seen_before.forget()

    def look(dataset, cells):
        return {"fault": "", "sha_ok": True}

    reopened_images.inspect(root, rows, ("path",), look, "images")
    assert not (root / "stamps").exists()
