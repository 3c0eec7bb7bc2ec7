"""Stage 3 where a person drew a mask: it takes the network's place, and undo gives all back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ferrari.common import settings
from ferrari.common.atomic_files import sha256_file
from ferrari.images import image_files
from ferrari.ledger import tables
from ferrari.ledger.columns import COLUMNS
from ferrari.matting import mask_proposals
from ferrari.matting.mask_proposals import ProposalError
from ferrari.networks import weight_files
from ferrari.provenance.trace_facts import _mask_facts
from ferrari.review import decision_table, decisions, effects, mended, writing
from ferrari.review.mended import MendedMaskError
from tests.settings import ROOT
from tests.stage import test_mask
from tests.stage.test_mask import SCENE, picture
from tests.unit.review.rows import decided

dataset, segmenter, matting = test_mask.dataset, test_mask.segmenter, test_mask.matting


def drawn(shape=(96, 72)):
    """A mask that no network gave: a rectangle left of the middle."""
    mask = np.zeros(shape, np.uint8)
    mask[20:70, 10:40] = 255
    return mask


def decide(dataset, item, mask=None):
    png = image_files.encode_png(drawn() if mask is None else mask)
    saved = mended.save(dataset.root, item, png)
    return decided("mask", item, "cutout", value=saved.path, target_sha256=saved.target_sha256)


def files(dataset):
    return {path.name: sha256_file(path) for path in dataset.out.with_suffix("").iterdir()}


def state(dataset, *rows):
    decision_table.place(dataset.root).unlink(missing_ok=True)
    writing.append(dataset.root, rows)
    found = effects.of_dataset(dataset.root, decisions.load(dataset.root))
    return [effect.state for effect in found]


@pytest.fixture
def pair(dataset, segmenter):
    """Two crops, and their rows and files as the network has them."""
    items = dataset.add(picture()), dataset.add(picture(20))
    return (*items, dataset.run(), files(dataset))


def test_a_mask_by_hand_takes_the_networks_place_and_its_edge_is_refined(
    dataset, pair, monkeypatch
):
    item, other, plain, before = pair
    row = decide(dataset, item)
    monkeypatch.setattr(test_mask.stage.cutouts, "loader", None)  # nobody may ask for a network
    found = dataset.run(review=[row], earlier=dataset.earlier())
    mine = found[item]
    assert found[other] == plain[other]
    assert (mine["outcome"], mine["matte_of"], mine["decision"]) == ("kept", "hand", row.id)
    assert (mine["segmenter"], mine["weights_sha256"], mine["device"]) == ("", "", "")
    assert mine["mended_path"] == row.value
    assert mine["mended_sha256"] == sha256_file(dataset.root / row.value)
    alpha = image_files.read(dataset.root / mine["path"])[..., 3]
    inner, outer = alpha[30:60, 20:30], alpha[:, 50:]
    assert (inner == 255).all() and (outer == 0).all(), "beyond the band it is what was drawn"
    assert mine["refined"] == "1" and (alpha != drawn()).any(), "in the band it is refined"
    assert state(dataset, row) == ["applied"]
    facts = dict(_mask_facts(mine, {}, None))
    assert facts["mask"] == f"by hand: {row.value}" and not facts["segmenter"]
    assert files(dataset)[f"{other}.png"] == before[f"{other}.png"]


def test_undo_brings_the_first_bytes_back(dataset, pair):
    item, _, plain, before = pair
    dataset.run(review=[decide(dataset, item)], earlier=dataset.earlier())
    assert files(dataset) != before
    assert dataset.run(earlier=dataset.earlier()) == plain and files(dataset) == before


def test_a_fresh_run_gives_the_bytes_of_one_that_went_on(dataset, pair):
    row = decide(dataset, pair[0])
    gone_on = dataset.run(review=[row], earlier=dataset.earlier())
    bytes_then = files(dataset)
    assert dataset.run(review=[row]) == gone_on and files(dataset) == bytes_then


def test_what_was_mended_may_be_dropped_and_comes_back_mended(dataset, pair, monkeypatch):
    item = pair[0]
    mask = decide(dataset, item)
    mended_rows = dataset.run(review=[mask], earlier=dataset.earlier())
    drop = decided("drop", item, "cutout", target_sha256=mended_rows[item]["sha256"])
    monkeypatch.setattr(test_mask.stage, "Isolated", None)  # neither network nor matting
    rows = dataset.run(review=[mask, drop], earlier=dataset.earlier())
    assert (rows[item]["reason"], rows[item]["decision"]) == ("DROPPED_BY_REVIEW", drop.id)
    assert state(dataset, mask, drop) == ["applied", "applied"]
    assert dataset.run(review=[mask], earlier=dataset.earlier()) == mended_rows
    again = mask._replace(id="another-row")
    rows = dataset.run(review=[again], earlier=dataset.earlier())
    assert rows[item]["decision"] == "another-row", "the same file, by another row"


def test_a_crop_that_the_network_could_not_cut_out_is_kept_by_hand(dataset, segmenter):
    item = dataset.add(picture(radius=3))
    plain = dataset.run()
    assert plain[item]["reason"] == "EMPTY_MASK"
    row = decide(dataset, item)
    mine = dataset.run(review=[row], earlier=dataset.earlier())[item]
    assert mine["outcome"] == "kept" and state(dataset, row) == ["applied"]
    assert not (dataset.root / plain[item]["path"]).exists()
    nothing = decide(dataset, item, np.zeros((96, 72), np.uint8))
    mine = dataset.run(review=[nothing], earlier=dataset.earlier())[item]
    assert (mine["reason"], mine["mended_path"]) == ("EMPTY_MASK", nothing.value)
    assert state(dataset, nothing) == ["applied"]


def test_a_mask_of_another_crop_than_there_is_now_is_stale(dataset, pair):
    item = pair[0]
    row = decide(dataset, item)
    other = np.full((96, 72, 3), SCENE, np.uint8)
    other[30:70, 20:50] = test_mask.SUBJECT
    data = image_files.encode_png(other)
    (dataset.root / dataset.lines[0]["path"]).write_bytes(data)
    dataset.lines[0]["sha256"] = sha256_file(dataset.root / dataset.lines[0]["path"])
    plain = dataset.run()
    assert dataset.run(review=[row]) == plain and state(dataset, row) == ["stale"]


def test_a_mask_that_changed_under_the_run_ends_the_job(dataset, pair):
    item = pair[0]
    row = decide(dataset, item)
    (dataset.root / row.value).write_bytes(image_files.encode_png(drawn()[:, ::-1].copy()))
    with pytest.raises(MendedMaskError, match="another file now than its name says"):
        dataset.run(review=[row], earlier=dataset.earlier())


def test_other_people_in_the_crop_are_told_and_not_taken_out(dataset, segmenter):
    item = test_mask.add_two(dataset)
    dataset.run()
    shape = image_files.read(dataset.root / dataset.lines[0]["path"]).shape[:2]
    row = decide(dataset, item, np.full(shape, 255, np.uint8) * (np.arange(shape[1]) < 60))
    mine = dataset.run(review=[row])[item]
    assert (mine["others"], float(mine["others_taken"])) == ("1", 0.0)


@pytest.fixture
def config(monkeypatch):
    """A configuration whose segmenters' weights are all there, as far as anybody asks."""
    weights = [weight_files.Weights("u2net", Path("weights.onnx"))]
    monkeypatch.setattr(mask_proposals, "_weights", lambda config, name: weights)
    monkeypatch.setattr(weight_files, "ready", lambda config, section: ["weights.onnx"])
    detect, threads = {"class": "person"}, {"mask": 1}
    return {"mask": test_mask.SETTINGS, "detect": detect, "cache": "cache", "threads": threads}


def test_another_segmenters_mask_is_proposed_and_accepted_as_one_by_hand(
    dataset, segmenter, config
):
    item = dataset.add(picture())
    dataset.run()
    segmenter(lambda crops_rgb, boxes: [drawn().astype(np.float32) / 255 for _ in crops_rgb])
    alpha = mask_proposals.segmented_anew(config, dataset.root, item, "u2net")
    assert (alpha == drawn()).all(), "as the network has it: the run refines it"
    saved = mask_proposals.accepted(dataset.root, item, alpha)
    assert saved == mask_proposals.accepted(dataset.root, item, image_files.encode_png(alpha))
    row = decided("mask", item, "cutout", value=saved.path, target_sha256=saved.target_sha256)
    assert dataset.run(review=[row])[item]["matte_of"] == "hand"


def test_what_another_segmenter_does_not_see_either_is_said(dataset, segmenter, config):
    item = dataset.add(picture())
    dataset.run()
    segmenter(lambda crops_rgb, boxes: [np.zeros((96, 72), np.float32) for _ in crops_rgb])
    with pytest.raises(ProposalError, match=r"makes no cut-out of .* either: EMPTY_MASK"):
        mask_proposals.segmented_anew(config, dataset.root, item, "u2net")


def test_a_table_of_crops_of_an_earlier_version_is_said_to_be_one(dataset, config):
    """The command ended in a KeyError on a set that was not run since."""
    item = dataset.add(picture())
    columns = [name for name in COLUMNS["crop"] if name != "hardly_seen"]
    older = [tables.narrowed(line, columns) for line in dataset.lines]
    tables.write_table(dataset.table, columns, older)
    with pytest.raises(tables.LedgerError, match=r"lacks the columns \['hardly_seen'\]"):
        mask_proposals.segmented_anew(config, dataset.root, item, "u2net")


def test_only_segmenters_whose_weights_are_here_and_may_be_used_are_offered(tmp_path):
    config = settings.load(ROOT / "config/demo.yaml")
    config["cache"] = str(tmp_path)
    at_hand = mask_proposals.segmenters_at_hand(config)
    assert at_hand == ["yolo-seg"], "the repository's own network"
    config["cache"] = "nowhere"
    with pytest.raises(weight_files.ModelError, match="u2net needs the weights"):
        mask_proposals.segmented_anew(config, tmp_path, "x", "u2net")
