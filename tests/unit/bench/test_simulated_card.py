"""The simulated card: what it says of its time, and that nothing of the product leads to it."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import numpy as np
import pytest

import run_stage
from bench import simulated_card
from bench.simulated_card import Card, SimulatedNetwork
from ferrari.jobs import stage_command
from ferrari.networks.backends.face_net import FaceNet
from ferrari.networks.backends.yolo_finder import YoloFinder
from ferrari.networks.backends.yunet import YuNet
from tests.settings import ROOT


def network(folder, runtime="ultralytics", batch=4, path="simulated.pt"):
    card = Card(0.01, 0.03, 0.001, 0.0, 0.0, 1, True, str(folder))
    asked = SimpleNamespace(path=path, runtime=runtime, device="cuda:0", sha256="", batch=batch)
    return SimulatedNetwork(card, asked)


def test_it_is_busy_for_whole_batches_and_says_so(tmp_path):
    pictures = [np.zeros((64, 64, 3), np.uint8)] * 6
    start = time.time()
    assert len(list(network(tmp_path).stream(pictures))) == 6
    noted = simulated_card.busy(tmp_path)
    assert noted["pictures"] == 6
    assert 2 * 4 * 0.01 <= noted["busy_s"] <= noted["span_s"] <= time.time() - start


def test_a_network_that_takes_one_at_a_time_sleeps_for_each(tmp_path):
    mattes = list(network(tmp_path, "onnxruntime").stream([np.zeros((64, 32, 3), np.uint8)] * 3))
    assert [matte.shape for (matte,) in mattes] == [(1, 64, 32)] * 3
    assert simulated_card.busy(tmp_path)["busy_s"] >= 3 * 0.03
    assert 0.2 < float(mattes[0][0].mean()) < 0.8


def test_a_process_opens_the_card_once(tmp_path, monkeypatch):
    """It took the start of a process for each network: one process with five of them stood still
    for as long as five processes that start side by side.
    """
    slept = []
    monkeypatch.setattr(simulated_card, "_opened", set())
    monkeypatch.setattr(simulated_card.time, "sleep", slept.append)
    asked = SimpleNamespace(path="a.pt", runtime="torch", device="cuda:0", sha256="", batch=1)
    for _ in range(3):
        SimulatedNetwork(Card(0.0, 0.0, 0.0, 5.0, 0.5, 1, True, str(tmp_path)), asked)
    assert slept == [5.5, 0.5, 0.5]


def test_its_answers_cost_the_cores_nothing(tmp_path):
    """Mattes drawn anew for each picture took 20 ms of a core a crop, of 100 that were measured."""
    (one,), (other,) = network(tmp_path, "onnxruntime").stream(
        [np.zeros((64, 32, 3), np.uint8)] * 2
    )
    assert one is other


def test_it_sees_a_person_in_the_middle(tmp_path):
    finder = YoloFinder(network(tmp_path), "simulated.pt", "person", 640)
    (found,) = finder.find([np.zeros((1080, 1920, 3), np.uint8)], 0.05, 0.5)
    (box,) = found.boxes_xyxy
    assert box == pytest.approx((0.34 * 1920, 130, 0.66 * 1920, 950), abs=40)


def test_it_sees_one_face_and_knows_it(tmp_path):
    """Networks for faces came into stage 2, and the bench with a simulated card ended at once."""
    path = "face_detection_yunet_2023mar_int8bq.onnx"
    finder = YuNet(network(tmp_path, "onnxruntime", path=path), {"threshold": 0.8})
    picture = np.zeros((200, 300, 3), np.uint8)
    ((face,),) = finder.find([picture])
    assert 30 < face.box_xyxy[2] - face.box_xyxy[0] < 90
    path = "face_recognition_sface_2021dec_int8bq.onnx"
    entry = {"input": {"size": [112, 112]}, "dimensions": 128}
    known = FaceNet(network(tmp_path, "onnxruntime", path=path), entry)
    (numbers,) = known.embed([(picture, face)])
    assert np.linalg.norm(numbers) == pytest.approx(1)


def test_its_server_is_where_jobs_look_for_one(monkeypatch):
    """The server's name was spelt a second time here, and jobs found none with the card."""
    monkeypatch.setenv(stage_command.WARM, "of an earlier run")
    place = simulated_card.server_place()
    assert place == run_stage._of_this_python(os.environ[stage_command.WARM])


def test_nothing_of_the_product_leads_to_it():
    for folder in ("scripts", "rules", "config", "profiles"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".smk", ".yaml"):
                assert "simulated" not in path.read_text(encoding="utf-8"), path
