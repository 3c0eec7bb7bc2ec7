"""verify on what a person decided: each decision has its effect, each effect its decision."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from ferrari.images import image_files
from ferrari.ledger import stages, tables
from ferrari.ledger.item_ids import video_id
from ferrari.review import decision_table, mended, writing
from ferrari.verification.findings import Layout
from tests.stage import final_set
from tests.unit.review.rows import decided, undone

examine = importlib.import_module("verify_dataset").examine
CHECKS = (
    *("decisions_sound", "decisions_have_their_effect", "effects_have_their_decision"),
    "decisions_in_vain",
)


@pytest.fixture
def clips(tmp_path):
    return [final_set.Clip(tmp_path, name, frames=2) for name in ("walk.mp4", "wave.mp4")]


@pytest.fixture
def rows(tmp_path, clips):
    """A dropped image and a dropped clip, both in the table and carried out."""
    one = clips[0].rows["augment"][0]
    found = [
        decided("drop", one["item"], "image", target_sha256=one["sha256"]),
        decided("drop", clips[1].video, "clip", target_sha256=clips[1].raw_sha256),
    ]
    writing.append(tmp_path, found)
    final_set.select(tmp_path, clips, found)
    return found


def found(tmp_path) -> dict[str, int]:
    """Faults of the checks on decisions alone: the made dataset has no stamps."""
    findings = findings_of(tmp_path)
    return {name: findings.counts[name] for name in CHECKS if findings.counts[name]}


def faults(tmp_path, check) -> list[str]:
    return [fault.where for fault in findings_of(tmp_path).listed() if fault.check == check]


def findings_of(tmp_path):
    videos = {video_id(name): name for name in ("walk.mp4", "wave.mp4")}
    raw = tmp_path / "raw"
    raw.mkdir(exist_ok=True)
    return examine(Layout(tmp_path, raw, videos, (), not_ours=(raw,))).findings


def test_what_was_decided_and_carried_out_is_sound(tmp_path, rows):
    assert found(tmp_path) == {}


def test_rows_without_their_decisions_are_found(tmp_path, rows):
    decision_table.place(tmp_path).unlink()
    effects_of_two = 1 + 4 + 1  # the image, the images of the clip, the clip
    assert found(tmp_path) == {"effects_have_their_decision": effects_of_two}


def test_a_row_that_was_taken_back_and_whose_effect_stayed_is_found(tmp_path, rows):
    writing.append(tmp_path, [undone(rows[0])])
    assert found(tmp_path) == {"effects_have_their_decision": 1}


def test_a_decision_without_its_effect_is_found(tmp_path, clips, rows):
    last = clips[0].rows["augment"][-1]["item"]
    writing.append(tmp_path, [decided("drop", last, "image")])
    assert found(tmp_path) == {"decisions_have_their_effect": 1}


def test_decisions_in_vain_are_named(tmp_path, clips, rows):
    last = clips[0].rows["augment"][-1]["item"]
    writing.append(
        tmp_path,
        [
            decided("drop", last, "image", target_sha256="0" * 64),
            decided("drop", last[:-1] + "9", "image"),
        ],
    )
    assert found(tmp_path) == {"decisions_in_vain": 2}


def test_a_torn_table_is_found(tmp_path, rows):
    path = decision_table.place(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    assert found(tmp_path)["decisions_sound"] == 1


def test_a_dropped_reference_has_its_row_and_its_row_its_decision(tmp_path, rows):
    drop = decided("drop", "ab" * 32, "reference")
    line = {"file": "1.png", "sha256": drop.target, "outcome": "dropped"}
    line |= {"reason": "DROPPED_BY_REVIEW", "decision": drop.id}
    table = tmp_path / stages.REFERENCES_CSV
    tables.write_table(table, tuple(line), [line])
    writing.append(tmp_path, [drop])
    assert found(tmp_path) == {}
    tables.write_table(table, tuple(line), [line | {"outcome": "kept", "decision": ""}])
    assert found(tmp_path) == {"decisions_have_their_effect": 1}
    for other in ("other", rows[0].id):  # one that is in force, about an image
        tables.write_table(table, tuple(line), [line | {"decision": other}])
        assert found(tmp_path) == {"effects_have_their_decision": 1}


def test_a_mended_mask_is_proved_to_its_last_bit(tmp_path, clips, rows):
    clip = clips[0]
    crop, line = clip.rows["crop"][0], clip.rows["mask"][0]
    crop |= {"sha256": "cd" * 32, "crop_x1": 0, "crop_y1": 0, "crop_x2": 24, "crop_y2": 40}
    clip.write()
    mask = mended.save(tmp_path, crop["item"], image_files.encode_png(np.zeros((40, 24), np.uint8)))
    known = {"value": mask.path, "target_sha256": mask.target_sha256}
    row = decided("mask", crop["item"], "cutout", **known)
    writing.append(tmp_path, [row])
    assert found(tmp_path) == {"decisions_have_their_effect": 1}
    line |= {"mended_path": mask.path, "mended_sha256": mask.sha256, "decision": row.id}
    clip.write()
    assert found(tmp_path) == {} and not faults(tmp_path, "files_unchanged")
    assert not [where for where in faults(tmp_path, "no_unlisted_files") if "masks" in where]
    (tmp_path / mask.path).write_bytes(b"another")
    assert faults(tmp_path, "files_unchanged") == [mask.path]
    writing.append(tmp_path, [undone(row)])
    assert found(tmp_path) == {"effects_have_their_decision": 1}
