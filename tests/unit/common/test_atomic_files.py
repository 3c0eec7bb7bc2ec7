"""Files are there whole or not at all."""

import hashlib
import os
import time

import pytest

from ferrari.common import atomic_files


def test_digest_of_file_and_of_folder(tmp_path):
    (tmp_path / "d/sub").mkdir(parents=True)
    (tmp_path / "d/a").write_bytes(b"1")
    (tmp_path / "d/sub/b").write_bytes(b"2")
    digest = {n: hashlib.sha256(n.encode()).hexdigest() for n in "12"}
    expected = hashlib.sha256(f"{digest['1']}  a\n{digest['2']}  sub/b\n".encode()).hexdigest()
    assert atomic_files.sha256_path(tmp_path / "d") == expected
    assert atomic_files.sha256_path(tmp_path / "d/a") == digest["1"]


def test_a_failed_write_leaves_the_old_content_and_no_litter(tmp_path, monkeypatch):
    target = tmp_path / "t.csv"
    atomic_files.write_text(target, "old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        atomic_files.write_text(target, "new")
    assert target.read_text() == "old" and os.listdir(tmp_path) == ["t.csv"]


def test_a_folder_appears_whole_or_keeps_its_old_content(tmp_path):
    target = tmp_path / "clip"
    with atomic_files.whole_folder(target) as scratch:
        (scratch / "1").write_text("one")
        assert not target.exists()
    with pytest.raises(RuntimeError), atomic_files.whole_folder(target) as scratch:
        (scratch / "2").write_text("two")
        raise RuntimeError
    assert os.listdir(target) == ["1"] and os.listdir(tmp_path) == ["clip"]


def test_what_a_killed_run_left_behind_is_cleared(tmp_path):
    leftover = tmp_path / ".clip.part"
    leftover.mkdir()
    (leftover / "half").write_text("x")
    with atomic_files.whole_folder(tmp_path / "clip") as scratch:
        (scratch / "1").write_text("one")
    assert os.listdir(tmp_path / "clip") == ["1"]


def test_links_share_the_content_and_fall_back_to_a_copy(tmp_path, monkeypatch):
    source = tmp_path / "a"
    source.write_bytes(b"x" * 3_000_000)
    atomic_files.link_or_copy(source, tmp_path / "linked")
    assert os.path.samefile(source, tmp_path / "linked")
    (tmp_path / "older").write_text("what was there")
    atomic_files.link_or_copy(source, tmp_path / "older")
    assert os.path.samefile(source, tmp_path / "older")
    monkeypatch.setattr(os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError("no links")))
    atomic_files.link_or_copy(source, tmp_path / "copied")
    assert not os.path.samefile(source, tmp_path / "copied")
    assert (tmp_path / "copied").read_bytes() == source.read_bytes()


def test_what_killed_writes_of_a_file_left_goes_with_the_next_one(tmp_path):
    for name in (".t.csv.17.part", ".t.csv.18.part", ".other.csv.17.part"):
        (tmp_path / name).write_text("half")
    atomic_files.write_text(tmp_path / "t.csv", "whole")
    assert sorted(os.listdir(tmp_path)) == [".other.csv.17.part", "t.csv"]
    (tmp_path / ".t[.o]*.csv.1.part").write_text("half")
    atomic_files.write_text(tmp_path / "t[.o]*.csv", "a name that reads like a pattern")
    assert sorted(os.listdir(tmp_path)) == [".other.csv.17.part", "t.csv", "t[.o]*.csv"]
    atomic_files.clear_leftovers(tmp_path / "no folder/t.csv")


def test_a_symbolic_link_is_linked_as_what_it_leads_to(tmp_path):
    (tmp_path / "clip").write_bytes(b"x")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/link").symlink_to("../clip")
    atomic_files.link_or_copy(tmp_path / "raw/link", tmp_path / "bad/elsewhere/copy")
    assert not (tmp_path / "bad/elsewhere/copy").is_symlink()
    assert (tmp_path / "bad/elsewhere/copy").read_bytes() == b"x"


def test_a_file_that_takes_anothers_place_with_its_time_is_told_by_its_state(tmp_path):
    """Weights of one architecture have one size, and archives give all files the same time."""
    path = tmp_path / "weights.onnx"
    path.write_bytes(b"weights")
    before = atomic_files.file_states([path])
    time.sleep(0.05)  # the kernel's clock for files ticks every few milliseconds
    path.write_bytes(b"others!")
    os.utime(path, ns=(before[0][2], before[0][2]))
    assert atomic_files.file_states([path]) != before
    assert atomic_files.file_states([path]) == atomic_files.file_states([path])
