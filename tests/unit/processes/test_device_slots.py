"""Slots of a device: so many holders at a time and no more, however they end."""

import fcntl
import logging
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from ferrari.processes import device_client, device_slots
from ferrari.processes.device_slots import Cards, hold
from ferrari.processes.model_verdicts import Limits
from tests import device_loads
from tests.fake_nvidia import DRIVER, Machine


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FERRARI_LOCKS", str(tmp_path / "ferrari"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def holder(kind="cuda", device=0, slots=1) -> int:
    """Another process that holds a slot when this returns."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with hold(kind, device, slots):
            os.write(writer, b"!")
            signal.pause()
    os.close(writer)
    assert os.read(reader, 1) == b"!"
    os.close(reader)
    return pid


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def is_free(*slots) -> bool:
    """Whether a slot can be had at once."""
    got = threading.Event()

    def take():
        with hold(*slots):
            got.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    return got.wait(0.3)


def test_what_one_job_forks_has_one_slot_and_nobody_else_has_it_meanwhile():
    one = Cards(((0, 1),))
    with device_slots.of_one_job("cuda", one):
        forks = [holder(), holder()]  # the second does not wait for the first
        lock = device_slots.folder() / "cuda-0-0.lock"
        assert lock.read_text() == str(forks[1])
        assert is_locked(0)
        end(forks[0])
        assert is_locked(0)
        end(forks[1])
    assert is_free("cuda", 0, 1), "with the job it is free"


def test_what_one_job_forks_has_one_slot_of_several_whatever_becomes_free_meanwhile():
    """The next fork took the first slot that was free: the job held two until its end."""
    other = holder(slots=2)
    with device_slots.of_one_job("cuda", Cards(((0, 2),))):
        forks = [holder(slots=2)]
        end(other)
        forks += [holder(slots=2), holder(slots=2)]
        try:
            assert [is_locked(slot) for slot in range(2)] == [False, True]
        finally:
            for pid in forks:
                end(pid)
        assert is_locked(1), "its slot is the job's"
    assert not is_locked(1), "with the job it is free"


def is_locked(slot: int) -> bool:
    """Whether any process has the slot of the first card, this one's job included."""
    with (device_slots.folder() / f"cuda-0-{slot}.lock").open("a") as another:
        try:
            fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_jobs_do_not_share_their_slots():
    with device_slots.of_one_job("cuda", Cards(((0, 1),))):
        pid = holder()
        other = os.fork()
        if other == 0:  # another job: it has opened the files itself
            try:
                device_slots._of_job = None
                with device_slots.of_one_job("cuda", Cards(((0, 1),))):
                    os._exit(is_free("cuda", 0, 1))
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == 0
        end(pid)


def test_a_slot_is_free_again_however_its_holder_ends():
    pid = holder()
    assert not is_free("cuda", 0, 1)
    end(pid)
    with hold("cuda", 0, 1) as slot:
        assert slot == 0
    assert is_free("cuda", 0, 1)


def test_there_are_as_many_as_asked_for_of_each_kind_and_device():
    pids = [holder(slots=2), holder(slots=2)]
    try:
        assert not is_free("cuda", 0, 2)
        assert is_free("cuda", 0, 3) and is_free("cuda", 1, 1) and is_free("nvdec", 0, 1)
        assert not is_free("cuda", 0, 1), "a run with fewer slots counts those of the others"
    finally:
        for pid in pids:
            end(pid)


def test_children_that_outlive_the_holder_do_not_keep_its_slot():
    with hold("cuda", 0, 1):
        child = os.fork()
        if child == 0:
            signal.pause()
    try:
        assert is_free("cuda", 0, 1)
    finally:
        end(child)


def test_runs_that_see_different_cards_as_their_first_do_not_wait_for_each_other(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-8f/..x")
    pid = holder(device=0)
    try:
        assert device_slots.physical(1) == "GPU-8f..x"
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        assert is_free("cuda", 0, 1) and not is_free("cuda", 2, 1)
    finally:
        end(pid)


def test_the_log_says_who_is_waited_for(monkeypatch, caplog):
    monkeypatch.setattr(device_slots, "_SAID_AFTER_S", 0.0)
    caplog.set_level(logging.INFO)
    pid = holder()
    threading.Timer(0.2, end, [pid]).start()
    with hold("cuda", 0, 1):
        pass
    assert f"waiting for cuda-0: it is in use by process {pid}" in caplog.text
    assert "cuda-0 is free" in caplog.text


def test_the_log_says_nothing_of_a_short_wait(monkeypatch, caplog):
    monkeypatch.setattr(device_slots, "_SAID_AFTER_S", 60.0)
    caplog.set_level(logging.INFO)
    pid = holder()
    threading.Timer(0.3, end, [pid]).start()
    with hold("cuda", 0, 1):
        assert not caplog.text


def linked(place):
    place.symlink_to(place.parent)


def locked(place):
    place.mkdir(mode=0o500)


@pytest.mark.parametrize("make, why", [(linked, "no folder"), (Path.touch, "no folder"),
                                       (locked, "written to")])  # fmt: skip
def test_a_folder_that_cannot_be_ours_is_refused(tmp_path, monkeypatch, make, why):
    make(tmp_path / "ferrari")
    as_if_not_root(monkeypatch)
    with (
        pytest.raises(device_slots.SlotFolderError, match=f"{why}.*set FERRARI_LOCKS"),
        hold("cuda", 0, 1),
    ):
        pass


def as_if_not_root(monkeypatch):
    """Root may write anywhere: permissions alone say what others may."""
    monkeypatch.setattr(
        device_slots.os, "access", lambda path, how: (Path(path).stat().st_mode >> 6) & how == how
    )


def test_a_job_says_what_is_wrong_with_the_folder_and_starts_no_process_in_vain(tmp_path):
    (tmp_path / "ferrari").touch()
    cards = device_slots.Cards(((0, 1),))
    with pytest.raises(device_slots.SlotFolderError, match="no folder"):
        device_client.DeviceModel(device_loads.sound, Limits("mask", 20, 8192), cards)


def test_processes_of_other_sessions_agree_on_the_folder(tmp_path, monkeypatch):
    """A login has a run-time folder, a cron job has none, and a cluster's job other temporaries."""
    monkeypatch.delenv("FERRARI_LOCKS")
    monkeypatch.setattr(device_slots, "_PLACES", (tmp_path / "none", tmp_path))
    for name in ("XDG_RUNTIME_DIR", "TMPDIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    with hold("nvdec", 0, 1):
        assert list(tmp_path.glob("ferrari-*/nvdec-0-0.lock"))
    assert device_slots.folder().stat().st_mode & 0o77 == 0
    assert device_slots.folder().parent == tmp_path


def test_the_folder_is_looked_up_once_however_long_the_wait(monkeypatch):
    looked, real = [], device_slots.folder
    monkeypatch.setattr(device_slots, "folder", lambda: looked.append(1) or real())
    pid = holder()
    threading.Timer(0.2, end, [pid]).start()
    with hold("cuda", 0, 1):
        assert len(looked) == 1


def test_it_shows_whether_somebody_waits():
    pid = holder()
    waiting = threading.Thread(target=lambda: is_free("cuda", 0, 1))
    assert not device_slots.wanted("cuda", 0)
    waiting.start()
    while not device_slots.wanted("cuda", 0):
        time.sleep(0.01)
    end(pid)
    waiting.join()  # it gives up before its thread does, on a busy machine
    deadline = time.monotonic() + 10
    while device_slots.wanted("cuda", 0):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    "uuid, name",
    [("", "GPU-00000000-0000-0000-0000-000000000002"), ("none", "00000200.0")],
    ids=["by its UUID", "by where it sits"],
)
def test_a_card_has_one_name_however_it_is_numbered(tmp_path, uuid, name):
    uuids = {"FAKE_CUDA_UUID": uuid, "FAKE_CUDA_DEVICES": "2"}
    ask = "from ferrari.processes import device_slots as d\n"
    ask += "print(*map(d.physical, range(len(d.cards_shown()))))"
    names = []
    for shown in (None, "1", "1,0", "GPU-00000000-0000-0000-0000-000000000002"):
        machine = Machine(tmp_path / f"as {shown}", DRIVER, **uuids)
        machine.environment["PYTHONPATH"] = "scripts"
        machine.environment |= {} if shown is None else {"CUDA_VISIBLE_DEVICES": shown}
        names.append(machine.run("-c", ask).stdout.split())
    first = name.replace("2", "1")
    assert names == [[first, name], [name], [name, first], [name]]


def test_no_slots_at_all_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="0 slots"), hold("cuda", 0, 0):
        pass
