"""Decisions of a person in a run: their clips' jobs alone, their rows, and undo gives all back."""

from __future__ import annotations

import json
import shutil

import pytest

from ferrari.images import image_files
from ferrari.ledger import tables
from ferrari.provenance.trace import Dataset
from ferrari.provenance.trace_text import render
from ferrari.reports import checks
from ferrari.review import decision_table, decisions, effects, mended, targets, writing
from tests.unit.review.rows import decided, undone
from tests.workflow.test_reruns import STAGES, clip_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def full_run(run) -> dict[str, tuple[int, int]]:
    """Run everything, and verify; by stage how many jobs, and how many of them had work."""
    shutil.rmtree(run.folder / "logs")
    run.run("--cores", "2")
    found = {}
    for stage in STAGES:
        texts = [path.read_text() for path in (run.folder / "logs" / stage).glob("*.log")]
        found[stage] = (len(texts), sum("nothing to do" not in text for text in texts))
    run.run("--cores", "2", "verified")
    return found


def without_decisions(run) -> dict[str, str]:
    return {name: sha for name, sha in run.digests().items() if name != decision_table.PLACE}


def of_the_other_clip(run) -> tuple[str, list]:
    """A crop of the other clip, and the decisions that its mask is mended (the upper half alone)
    and that one of its neighbour's images repeats the other.
    """
    root, video = run.dataset, clip_of(run, "wave")
    cutouts = tables.read_stage(root / f"03_masked_subjects/{video}.csv", "mask")
    captions = tables.read_stage(root / f"05_final_training/captions/{video}.csv", "caption")
    first, *rest = (row["item"] for row in cutouts)
    of_crop = {
        crop: [row["item"] for row in captions if row["item"].startswith(f"{crop}-v")]
        for crop in rest
    }
    alpha = image_files.read(root / cutouts[0]["path"])[..., 3].copy()
    alpha[len(alpha) // 2 :] = 0
    mask = mended.save(root, first, image_files.encode_png(alpha))
    one, other = next(images for images in of_crop.values() if len(images) == 2)
    known = {"value": mask.path, "target_sha256": mask.target_sha256}
    return first, [
        decided("mask", first, "cutout", **known),
        decided("duplicate_of", one, "image", value=other),
    ]


def test_decisions_change_their_rows_and_undoing_all_gives_the_first_bytes_back(small, tmp_path):
    run = small.copy(tmp_path / "copy")
    root, before = run.dataset, without_decisions(run)
    video = clip_of(run, "walk")
    table = root / f"05_final_training/captions/{video}.csv"
    images = [row["item"] for row in tables.read_stage(table, "caption")]
    crop, cutout, image, captioned = images[0], images[2], images[4], images[5]
    crop, cutout = crop.rpartition("-v")[0], cutout.rpartition("-v")[0]
    rows = [
        decided("drop", crop, "item", reason="blurred"),
        decided("drop", cutout, "cutout"),
        decided("drop", image, "image"),
        decided("caption", captioned, "image", value="{token} {class}, laughing, {background}"),
    ]
    rows = [
        row._replace(target_sha256=targets.target_digest(root, row.scope, row.target))
        for row in rows
    ]
    assert all(row.target_sha256 for row in rows)

    writing.append(root, rows[3:])
    jobs = full_run(run)
    assert jobs == {**dict.fromkeys(STAGES, (0, 0)), "caption": (1, 1)}, "a caption, and no network"

    by_hand, others = of_the_other_clip(run)
    writing.append(root, [*rows[:3], *others])
    jobs = full_run(run)
    both = dict.fromkeys(("mask", "augment", "caption"), (2, 2))
    assert jobs == {**dict.fromkeys(STAGES, (0, 0)), "crop": (1, 1), **both}
    log = (run.folder / f"logs/mask/{video}.log").read_text()
    assert "0 of " in log and "items to work on" in log, "no crop is masked again"
    log = (run.folder / f"logs/mask/{clip_of(run, 'wave')}.log").read_text()
    assert "1 of " in log, "but the one with a mask by hand"
    states = [e.state for e in effects.of_dataset(root, decisions.load(root))]
    assert states == ["applied"] * 6
    final = {r["item"]: r for r in tables.read_stage(root / "05_final_training/final.csv", "final")}
    assert final[image]["reason"] == "DROPPED_BY_REVIEW" and final[image]["decision"] == rows[2].id
    assert "laughing" in final[captioned]["caption"]
    assert final[captioned]["caption_source"] == "override"
    assert not [item for item in final if item.startswith((crop + "-v", cutout + "-v"))]
    found = {c.name: c for c in checks.read(run.folder / "qc_reports/qc7_final_summary.csv")}
    assert found["decisions_have_their_effect"].status == checks.PASS
    assert found["decisions_have_their_effect"].figure == "0 of 6"
    told = json.loads((root / "croissant.json").read_text())["rai:dataAnnotationProtocol"]
    assert told.startswith("A person looked and dropped 3 things")
    assert "named 1 duplicate, mended 1 mask, wrote 1 caption." in told
    traced = render(Dataset(root, root / "00_raw_videos").trace(image))
    assert f"drop of {image} by ana, {rows[2].when} ({rows[2].id})" in " ".join(traced.split())
    traced = render(Dataset(root, root / "00_raw_videos").trace(by_hand))
    assert f"by hand: {others[0].value}" in " ".join(traced.split())

    writing.append(root, [undone(row) for row in (*rows, *others)])
    shutil.move(root / "review/masks", tmp_path)  # which undo leaves
    full_run(run)
    assert without_decisions(run) == before
    assert run.planned() == {}
