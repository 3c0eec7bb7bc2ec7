"""The pipeline on real people, broken files and odd formats (FERRARI_SHARED); takes minutes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ferrari.ledger import item_ids, tables
from tests.shared import SHARED, shared
from tests.workflow.demo_run import Demo
from tests.workflow.test_verify import look
from tools.link_real_footage import prepare

pytestmark = [pytest.mark.real, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A finished run; FERRARI_REAL names the folder of one that is there already (`make real`)."""
    if os.environ.get("FERRARI_REAL"):
        folder = Path(os.environ["FERRARI_REAL"]).resolve()
        return Demo(folder, config=folder / "real.yaml")
    shared("media")
    folder = tmp_path_factory.mktemp("real")
    prepare(SHARED, folder)
    run = Demo(folder, config=folder / "real.yaml")
    run.run("--cores", str(os.cpu_count()), "--resources", "gpu=1")
    return run


def test_every_file_has_exactly_one_verdict(real):
    rows = tables.read_table(real.dataset / "videos.csv")
    files = sorted(path.name for path in (real.dataset / "00_raw_videos").iterdir())
    assert sorted(row["file"] for row in rows) == files and all(row["verdict"] for row in rows)


def test_no_log_holds_a_traceback(real):
    logs = [path for path in (real.folder / "logs").rglob("*.log")]
    assert logs
    assert [p.name for p in logs if "Traceback" in p.read_text(errors="replace")] == []


def test_people_are_found_in_nearly_every_frame(real):
    for file in sorted((real.dataset / "00_raw_videos").glob("asl__*")):
        video = item_ids.video_id(file.name)
        frames = tables.read_stage(real.dataset / f"01_extracted_frames/{video}.csv", "extract")
        crops = tables.read_stage(real.dataset / f"02_yolo_crops/{video}.csv", "crop")
        seen = {item_ids.frame_of(row["item"]) for row in tables.kept(crops)}
        assert frames and len(seen) >= 0.95 * len(tables.kept(frames)), file.name


def test_the_second_run_does_nothing(real):
    assert "Nothing to be done" in real.run("--cores", "1")


def test_verify_finds_nothing_wrong_with_what_became_of_every_shared_file(tmp_path):
    folders = [SHARED / name for name in ("media", "wild") if (SHARED / name).is_dir()]
    if not folders:
        pytest.skip(f"no footage at {SHARED}; set FERRARI_SHARED")
    run = Demo(tmp_path)
    for folder in folders:
        raw = run.dataset / "00_raw_videos" / folder.name
        shutil.copytree(folder, raw, copy_function=os.symlink)
    few = {"extract": {"fps": 1.0, "max_frames": 8}, "qc": {"enforce": False}}
    run.run("--cores", str(os.cpu_count()), overlay=few)
    found = [(one.check, one.where, one.why) for one in look(run.dataset).findings.listed()]
    assert found == []
    assert len(tables.read_table(run.dataset / "videos.csv")) >= 150
