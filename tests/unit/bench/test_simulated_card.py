"""The simulated card: what it says of its time, and that nothing of the product leads to it."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import numpy as np
import pytest

import run_stage
from bench import part_gpu_twelve, prepare, simulated_card, simulated_runs, slow_cores
from bench.measure import PeerMissingError
from bench.simulated_card import Card, SimulatedNetwork
from ferrari.common import settings
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
    ((numbers, clarity),) = known.embed([(picture, face)])
    assert np.linalg.norm(numbers) == pytest.approx(1) and clarity == 1


def test_its_server_is_where_jobs_look_for_one(monkeypatch):
    """The server's name was spelt a second time here, and jobs found none with the card."""
    monkeypatch.setenv(stage_command.WARM, "of an earlier run")
    place = simulated_card.server_place()
    assert place == run_stage._of_this_python(os.environ[stage_command.WARM])


def test_the_owners_cores_are_as_much_slower_as_the_card_s_times_are_longer():
    """What takes one of the owner's cores a second takes a slowed one `scale` seconds."""
    owners = simulated_runs.the_owners()
    assert owners.times == pytest.approx(simulated_runs.scale() * simulated_runs.CORE_S)
    assert owners.times * prepare.threads() == pytest.approx(simulated_runs.CORES_WITH_SMT)


def test_a_run_on_slow_cores_is_slowed_from_its_start_and_has_the_owners_jobs(tmp_path):
    card = Card(0.01, 0.03, 0.001, 0.0, 0.0, 1, False, "")
    command = simulated_runs._command(tmp_path, card, simulated_runs.Cores(24, 7.5))
    assert command[1:4] == ["-m", "bench.slow_cores", "7.5"]
    assert command.index("bench.slow_cores") < command.index("bench.simulated_card")
    assert command[command.index("--cores") + 1] == "24"
    assert "gpu=1" in command
    plain = simulated_runs._command(tmp_path, card, simulated_runs.these())
    assert "bench.slow_cores" not in plain


def test_what_it_was_is_asked_for_with_settings_that_exist():
    asked = settings.completed(part_gpu_twelve.AS_IT_WAS)
    assert asked["mask"]["matting"] == "pymatting" and asked["mask"]["person_gate"] == "off"
    assert asked["extract"]["linking_fps"] == 0 and asked["subject"]["mode"] == "single"


def test_without_slow_cores_the_part_is_skipped_and_says_why(monkeypatch):
    monkeypatch.setattr(slow_cores, "why_not", lambda: "no right to it")
    with pytest.raises(PeerMissingError, match="no right to it"):
        part_gpu_twelve.require_slow_cores()


def test_nothing_of_the_product_leads_to_it():
    for folder in ("scripts", "rules", "config", "profiles"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".smk", ".yaml"):
                assert "simulated" not in path.read_text(encoding="utf-8"), path
