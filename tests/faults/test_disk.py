"""Faults of the disk and of its permissions."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from dataclasses import replace

import pytest

from ferrari.common.atomic_files import write_bytes
from ferrari.jobs import error_advice
from ferrari.processes.limited_call import run_limited
from tests.faults.injecting import (
    FILLER,
    assert_resumes,
    attempt,
    mount,
    tmpfs,
    undo,
    unwrapped,
)
from tests.generator import faults
from tests.stage.clip_run import Run
from tests.stage.test_probe import SPEC
from tests.workflow.small_run import FINAL

pytestmark = pytest.mark.timeout(600)
LIMITS = {"timeout_s": 20, "memory_mb": 4096}


def test_a_full_disk(demo, tmp_path):
    """Disk full while images are written: the job fails and says which disk, with what is free."""
    copy = demo.copy(tmp_path / "copy")
    undo(copy, "augment", "portrait-hall")
    with tmpfs(copy.dataset, spare_kb=300):
        output = attempt(copy)
        assert "No space left on device" in output
        assert "WHAT TO DO: the disk that holds 'dataset/04_augmented/" in output
        assert "MiB free now): free some space" in output and "what is half-written" in output
        assert not list(copy.dataset.glob("04_augmented/portrait-hall-*.csv"))
        (copy.dataset / FILLER).unlink()
        assert_resumes(copy, demo)


def test_a_disk_that_fills_up_in_the_decoding_process(tmp_path):
    """Disk full in the decoding process: the same error, with number and name, and no verdict."""
    raw = faults.good(tmp_path / "clip.mp4", replace(SPEC, width=640, height=480)).path
    run = Run(tmp_path / "dataset")
    run.probe(raw)
    with tmpfs(run.dataset, spare_kb=40):
        with pytest.raises(OSError, match="No space left on device") as full:
            run.extract_probed(raw, fps=25)
        assert "/01_extracted_frames/" in str(full.value.filename)
        assert "is full (" in unwrapped(error_advice.of_error(full.value))
        assert not list(run.dataset.glob("01_extracted_frames/*"))
        (run.dataset / FILLER).unlink()
        assert len(run.extract_probed(raw, fps=25)) > 1


def test_a_disk_without_any_space_left(demo, tmp_path):
    """Disk full to the last byte: one error before the first job, in place of one for each job."""
    copy = demo.copy(tmp_path / "copy")
    undo(copy, "caption", "portrait-hall")
    with tmpfs(copy.dataset, spare_kb=0):
        output = attempt(copy)
        assert "is full (0.0 MiB free now): free some space" in output
        assert "localrule caption" not in output


def test_a_read_only_folder(demo, tmp_path):
    """Read-only dataset: one error before the first job, which says so."""
    copy = demo.copy(tmp_path / "copy")
    undo(copy, "caption", "portrait-hall")
    mount("--bind", str(copy.dataset), str(copy.dataset))
    try:
        mount("-o", "remount,bind,ro", str(copy.dataset))
        output = attempt(copy)
        assert "the disk that holds 'dataset' is read-only: mount it writable" in output
        assert "localrule caption" not in output
    finally:
        subprocess.run(["umount", "--lazy", str(copy.dataset)], check=True)
    assert copy.planned(FINAL)["caption"] == 1, "it can be gone on with"


def test_a_folder_of_somebody_else(tmp_path):
    """A folder that the user may not write: the error names it, the user and what to change."""

    def write_as_nobody():
        if os.geteuid() == 0:
            os.setuid(65534)
        write_bytes(tmp_path / "closed/t.csv", b"x")

    (tmp_path / "closed").mkdir(mode=0o555)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        if os.geteuid() == 0:
            folder.chmod(0o755)
    with pytest.raises(PermissionError) as refused:
        run_limited(write_as_nobody, **LIMITS)
    text = unwrapped(error_advice.of_error(refused.value))
    assert "may not use" in text and "closed/" in text and "change its owner" in text


def test_a_limit_on_the_size_of_files(tmp_path):
    """`ulimit -f` too low: the decoding process's error keeps its number and the file's name."""

    def write_with_limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        write_bytes(tmp_path / "frame.webp", bytes(1 << 20))

    with pytest.raises(OSError) as refused:
        run_limited(write_with_limit, **LIMITS)
    assert refused.value.errno == errno.EFBIG
    assert refused.value.filename == str(tmp_path / "frame.webp")
    assert "frame.webp' is larger" in unwrapped(error_advice.of_error(refused.value))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_inodes(tmp_path):
    """No inodes left, with space to spare: the advice speaks of files, not of space."""
    small = tmp_path / "small"
    small.mkdir()
    mount("-t", "tmpfs", "-o", "nr_inodes=8", "tmpfs", str(small))
    try:
        with pytest.raises(OSError) as refused:
            for number in range(20):
                write_bytes(small / f"{number}.png", b"x")
        assert "no inodes left" in unwrapped(error_advice.of_error(refused.value))
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)
