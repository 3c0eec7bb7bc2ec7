"""What the machine has left, and its cards, told by an `nvidia-smi` that a test writes."""

import pytest

from ferrari.dashboard import machine
from ferrari.dashboard.machine import Machine


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Writes an `nvidia-smi` that is the only program on the path."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def write(script: str) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return write


def test_disk_and_memory(tmp_path, driver):
    told = Machine(tmp_path).state()
    assert 0 < told["disk_free"] <= told["disk"] and 0 < told["memory_free"] <= told["memory"]
    assert told["cards"] == []


def test_a_dataset_that_is_not_there_has_no_disk(tmp_path, driver):
    assert "disk" not in Machine(tmp_path / "none").state()


def test_cards(tmp_path, driver):
    driver("echo 'NVIDIA GeForce RTX 3090, 87, 4012, 24576'; echo 'Tesla T4, 0, 3, 15360'")
    assert Machine(tmp_path).state()["cards"] == [
        {"name": "NVIDIA GeForce RTX 3090", "load": "87", "used": "4012", "total": "24576"},
        {"name": "Tesla T4", "load": "0", "used": "3", "total": "15360"},
    ]


def test_cards_are_not_asked_at_each_look(tmp_path, driver):
    driver(f"echo x >> {tmp_path}/asked; echo 'T4, 1, 2, 3'")
    one = Machine(tmp_path)
    for _ in range(3):
        assert len(one.state()["cards"]) == 1
    assert (tmp_path / "asked").read_text() == "x\n"


@pytest.mark.parametrize("script", ["exit 9", "echo NVIDIA-SMI has failed", "exec /bin/sleep 20"])
def test_a_driver_that_fails_or_hangs_shows_no_card(tmp_path, driver, monkeypatch, script):
    monkeypatch.setattr(machine, "_PATIENCE_S", 0.3)
    driver(script)
    assert Machine(tmp_path).state()["cards"] == []
