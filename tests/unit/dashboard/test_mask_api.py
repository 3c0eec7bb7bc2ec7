"""Masks over HTTP: drawn ones are files that a decision may name; proposals are only shown."""

from __future__ import annotations

import base64
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

from ferrari.dashboard import mask_api
from ferrari.images import image_files
from ferrari.matting import mask_proposals
from ferrari.matting.mask_proposals import Proposal, ProposalError
from ferrari.review import contract, decisions, mended
from tests.unit.dashboard.served import drop


@pytest.fixture
def crop(clip):
    """A crop with the size of its window and with a file, as stage 2 leaves one."""
    height, width = clip.size
    line = clip.rows["crop"][0]
    line |= {"crop_x1": 10, "crop_y1": 20, "crop_x2": 10 + width, "crop_y2": 20 + height}
    line |= clip._save("02_yolo_crops", f"{line['item']}.png", np.zeros((*clip.size, 3), np.uint8))
    clip.write()
    return line


@pytest.fixture
def drawn(clip):
    """A mask as a brush in a page gives it."""
    mask = np.zeros(clip.size, np.uint8)
    mask[4:20, 3:9] = 255
    return mask


def text(picture) -> str:
    return base64.b64encode(image_files.encode_png(picture)).decode()


def ask(client, **body):
    return client.post("/api/propose-mask", json=body)


def test_a_drawn_mask_is_saved_and_a_decision_names_it(client, clip, crop, drawn):
    told = ask(client, target=crop["item"], png=text(drawn)).json()
    assert told["target_sha256"] == crop["sha256"]
    assert (image_files.read(clip.dataset / told["value"]) == drawn).all()
    assert mended.name_of(crop["item"], told["sha256"]) == told["value"]
    row = drop(crop["item"], scope="cutout", decision="mask", value=told["value"])
    row |= {"target_sha256": told["target_sha256"]}
    assert client.post("/api/decisions", json={"rows": [row]}).status_code == 200
    (written,) = decisions.load(clip.dataset).rows
    assert (written.decision, written.value) == (contract.MASK, told["value"])


def test_a_decision_without_its_mask_is_refused(client, clip, crop):
    place = mended.name_of(crop["item"], "a" * 64)
    row = drop(crop["item"], scope="cutout", decision="mask", value=place)
    row |= {"target_sha256": crop["sha256"]}
    answer = client.post("/api/decisions", json={"rows": [row]})
    assert answer.status_code == 422 and "cannot be read" in answer.json()["error"]
    assert not decisions.place(clip.dataset).exists()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "target"),
        ({"target": "x"}, "either png or segmenter"),
        ({"target": "x", "png": "AAAA", "segmenter": "sam"}, "either png or segmenter"),
        ({"png": "not base64!"}, "no base64"),
        ({"png": "AAAA"}, "no PNG"),
        ({"png": text(np.zeros((3, 3), np.uint8))}, "is 3x3 px"),
        ({"png": text(np.full((40, 24, 3), (9, 0, 0), np.uint8))}, "has colours"),
        ({"target": "../../x", "png": text(np.zeros((40, 24), np.uint8))}, "is no crop"),
    ],
)
def test_what_is_no_mask_of_a_crop_is_refused(client, clip, crop, body, said):
    named = {"target": crop["item"]} if "png" in body else {}
    answer = ask(client, **{**named, **body})
    assert answer.status_code == 422 and said in answer.json()["error"]
    assert not (clip.dataset / contract.MASKS).exists()


def test_neighbours_are_proposed_and_nothing_is_written(client, clip, crop, drawn, monkeypatch):
    other = Proposal("walk-0-f1-p0", drawn, 0.91, 0.95, 12)
    monkeypatch.setattr(mask_proposals, "along_track", lambda *_: [other])
    (one,) = ask(client, target=crop["item"], png=text(drawn), along_track=True).json()["proposals"]
    assert one["target"] == other.crop and (one["box_iou"], one["changed_px"]) == (0.91, 12)
    assert (image_files.decode(base64.b64decode(one["png"])) == drawn).all()
    assert not (clip.dataset / contract.MASKS).exists()


def test_where_nothing_can_be_proposed_that_is_said(client, crop, drawn, monkeypatch):
    def none(*_):
        raise ProposalError("its track is not known")

    monkeypatch.setattr(mask_proposals, "along_track", none)
    answer = ask(client, target=crop["item"], png=text(drawn), along_track=True)
    assert answer.status_code == 422 and answer.json()["error"] == "its track is not known"


def test_another_segmenter_runs_in_a_process_of_its_own(client, crop, drawn, monkeypatch):
    asked = []

    def run(words, **_):
        asked.append(words)
        out = next(word for word in words if word.startswith("--out="))[6:]
        image_files.write_checked(out, image_files.encode_png(drawn), drawn.shape)
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(mask_api.subprocess, "run", run)
    told = ask(client, target=crop["item"], segmenter="u2netp").json()
    assert base64.b64decode(told["proposals"][0]["png"]) == image_files.encode_png(drawn)
    assert asked[0][-2:] == ["--", crop["item"]] and "--segmenter=u2netp" in asked[0]


def test_a_segmenter_that_there_is_not_is_said(client, crop, monkeypatch):
    done = subprocess.CompletedProcess([], 1, "", "nosuch is no segmenter\n")
    monkeypatch.setattr(mask_api.subprocess, "run", lambda *_, **__: done)
    answer = ask(client, target=crop["item"], segmenter="nosuch")
    assert answer.status_code == 422 and answer.json()["error"] == "nosuch is no segmenter"
