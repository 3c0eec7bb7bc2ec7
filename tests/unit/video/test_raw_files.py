"""Raw files are read without waiting, and known again."""

import errno
import os
import socket
import subprocess
import sys
import threading

import pytest

from ferrari.processes.limited_call import run_limited
from ferrari.video import raw_files
from tests.settings import ENVIRONMENT


def refuse(path):
    """What `read` says of the path, within a second: opening a FIFO must not wait."""
    said = []

    def run():
        try:
            raw_files.read(path)
        except raw_files.NoFileError as error:
            said.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(5)
    assert said, "it waits, or it takes this for a file"
    return said[0]


def test_what_is_no_file_is_said_and_nothing_waits(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "link.mp4").symlink_to("pipe.mp4")
    (tmp_path / "nowhere.mp4").symlink_to("gone")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "null.mp4").symlink_to("/dev/null")
    for name in ("pipe", "link", "folder", "null"):
        assert "no regular file" in refuse(tmp_path / f"{name}.mp4")
    assert "No such file" in refuse(tmp_path / "nowhere.mp4")
    assert "symbolic links" in refuse(tmp_path / "loop.mp4")


def test_a_socket_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("camera.mp4")
        assert "cannot be read" in refuse(tmp_path / "camera.mp4")


def test_a_file_in_a_folder_that_may_be_listed_and_not_entered_is_not_gone(tmp_path):
    """As copies from other systems leave them (mode 644 for folders): the run ended at each."""

    def read_as_nobody():
        if os.geteuid() == 0:
            os.setuid(65534)
        assert os.listdir(folder) == ["a.mp4"]
        return refuse(folder / "a.mp4"), raw_files.state(folder / "a.mp4")

    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "a.mp4").touch()
    for above in (tmp_path, *tmp_path.parents[:-2]):
        if os.geteuid() == 0:
            above.chmod(0o755)
    folder.chmod(0o644)
    try:
        said, state = run_limited(read_as_nobody, timeout_s=20, memory_mb=4096)
    finally:
        folder.chmod(0o755)
    assert (said, state) == ("cannot be read: Permission denied", "Permission denied")


def test_a_path_that_is_too_long_for_the_system_is_not_gone(tmp_path):
    assert "File name too long" in refuse(tmp_path.joinpath(*["f" * 200] * 30))


@pytest.mark.parametrize("answer", [errno.ENOTCONN, errno.ESTALE, errno.EIO, errno.EHOSTDOWN])
def test_a_clip_on_a_mount_that_went_away_is_gone_and_no_row(tmp_path, monkeypatch, answer):
    """The row would stay when the mount is back: its clip looks as it did when the run began."""
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"film")
    seen = raw_files.read(clip)
    for ask in (raw_files.read, seen.check_still):
        with monkeypatch.context() as away, pytest.raises(raw_files.RawFileChangedError):
            for call in ("open", "stat", "lstat"):
                away.setattr(os, call, answering(answer))
            ask(clip)


@pytest.mark.parametrize("answers", [True, False])
def test_a_disk_that_fails_half_way_is_a_row_only_if_it_still_answers(
    tmp_path, monkeypatch, answers
):
    """A bad block stays bad; a mount that went away comes back."""
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"film")
    wanted = raw_files.NoFileError if answers else raw_files.RawFileChangedError
    with monkeypatch.context() as failing, pytest.raises(wanted):
        failing.setattr(raw_files, "sha256_file", answering(errno.EIO))
        if not answers:
            failing.setattr(os, "lstat", answering(errno.ENOTCONN))
        raw_files.read(clip)


def answering(number):
    def refused(path, *_):
        raise OSError(number, os.strerror(number), path)

    return refused


def test_a_file_of_the_kernel_that_waits_is_taken_as_empty():
    assert raw_files.read("/proc/version").size == 0


def test_the_state_of_what_stage_0_refuses_has_no_time(tmp_path):
    """A link to /proc/self/mem is another file to each process; a terminal changes when written."""
    (tmp_path / "kernel.mp4").symlink_to("/proc/self/mem")
    (tmp_path / "empty.mp4").touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    ask = "import sys; from ferrari.video import raw_files; print(raw_files.state(sys.argv[1]))"
    states = {}
    for name in ("kernel", "empty", "pipe"):
        path = tmp_path / f"{name}.mp4"
        states[name] = raw_files.state(path)
        if name != "kernel":
            os.utime(path, ns=(1, 1))
        other = subprocess.run(
            [sys.executable, "-c", ask, path], env=ENVIRONMENT, capture_output=True, check=True
        )
        assert other.stdout.decode().strip() == states[name]
    assert states == {"kernel": "0 bytes", "empty": "0 bytes", "pipe": "no regular file"}
    (tmp_path / "nowhere.mp4").symlink_to("gone")
    assert raw_files.state(tmp_path / "nowhere.mp4") == "No such file or directory"


def test_the_state_of_a_clip_changes_with_its_size_and_its_time(tmp_path):
    path = tmp_path / "a.mp4"
    seen = []
    for content, when_ns in ((b"one", 1), (b"one", 2), (b"other", 2)):
        path.write_bytes(content)
        os.utime(path, ns=(when_ns, when_ns))
        seen.append(raw_files.state(path))
    assert seen == ["3 bytes, 1 ns", "3 bytes, 2 ns", "5 bytes, 2 ns"]


def test_a_file_is_known_again_until_it_is_written_to_or_replaced(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"one")
    os.utime(path, ns=(1, 1))
    seen = raw_files.read(path)
    seen.check_still(path)
    assert seen.size == 3
    path.write_bytes(b"two")
    with pytest.raises(raw_files.NoFileError, match="changed"):
        seen.check_still(path)
    seen = raw_files.read(path)
    path.rename(tmp_path / "b.mp4")
    with pytest.raises(raw_files.RawFileChangedError, match="Put it back or leave it"):
        seen.check_still(path)
    with pytest.raises(raw_files.RawFileChangedError, match="is gone"):
        raw_files.read(path)
    os.mkfifo(path)
    with pytest.raises(raw_files.NoFileError, match="changed"):
        seen.check_still(path)
