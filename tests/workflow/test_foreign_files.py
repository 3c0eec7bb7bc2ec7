"""A folder as it comes off a NAS and a camera's card: what nobody put there, and small copies."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from ferrari.ledger import tables
from tests.generator import faults
from tests.workflow import small_run

pytestmark = pytest.mark.timeout(300)
VIDEOS = "dataset/videos.csv"
FULL, SMALL = "100GOPRO/GX010001.MP4", "100GOPRO/GL010001.LRV"


def verdicts(run) -> dict[str, tuple[str, str]]:
    rows = tables.read_stage(run.dataset / "videos.csv", "videos")
    files = {row["item"]: row["file"] for row in rows}
    return {row["file"]: (row["verdict"], files.get(row["duplicate_of"], "")) for row in rows}


def decoded(run) -> int:
    """Clips out of which stage 1 took frames in the last run."""
    logs = (run.folder / "logs/extract").glob("*.log")
    return sum("nothing to do" not in log.read_text() for log in logs)


def table_of(run, file: str):
    rows = tables.read_stage(run.dataset / "videos.csv", "videos")
    (item,) = [row["item"] for row in rows if row["file"] == file]
    return run.dataset / f"01_extracted_frames/{item}.csv"


def test_a_card_on_a_nas_is_its_clips_once(small, tmp_path):
    run = small.copy(tmp_path / "copy")
    raw = run.dataset / "00_raw_videos"
    before = verdicts(run)
    (raw / "100GOPRO").mkdir()
    spec = small_run.SPECS["walk one.mp4"]
    faults.good(raw / "full.mp4", replace(spec, width=1280, height=720, n_frames=20))
    faults.good(raw / "small.mp4", replace(spec, n_frames=20))
    (raw / "full.mp4").rename(raw / FULL)
    (raw / "small.mp4").rename(raw / SMALL)
    for place in ("#recycle/deleted.mp4", "@eaDir/GX010001.MP4/SYNOPHOTO_FILM_H.mp4"):
        (raw / place).parent.mkdir(parents=True)
        shutil.copyfile(raw / "walk one.mp4", raw / place)
    own = {"intake": {"ignore": ["wave*"]}}
    run.run("--cores", "2", VIDEOS, overlay=own)
    found = verdicts(run)
    assert found == {
        **before,
        FULL: ("OK", ""),
        SMALL: ("LOW_RESOLUTION_TWIN", FULL),
        "#recycle/deleted.mp4": ("SYSTEM_FILE", ""),
        "@eaDir/GX010001.MP4/SYNOPHOTO_FILM_H.mp4": ("SYSTEM_FILE", ""),
        "wave_two.mp4": ("IGNORED", ""),
    }
    (row,) = tables.read_stage(table_of(run, SMALL), "extract")
    assert (row["outcome"], row["reason"]) == ("dropped", "LOW_RESOLUTION_TWIN")
    assert not list(table_of(run, SMALL).with_suffix("").iterdir()), "no frame of it was decoded"
    copies = [path for path in (run.dataset / "bad_videos").rglob("*") if path.is_file()]
    assert [path.parent.name for path in copies] == ["LOW_RESOLUTION"], "only the thumbnail"

    shutil.rmtree(run.folder / "logs")
    assert run.planned(VIDEOS, overlay=own) == {}, "what is left out runs nothing"
    kept = table_of(run, FULL).read_bytes()
    (raw / FULL).rename(tmp_path / "kept aside.mp4")
    run.run("--cores", "2", VIDEOS, overlay=own)
    assert verdicts(run)[SMALL] == ("OK", ""), "a copy whose clip is gone is a clip"
    (tmp_path / "kept aside.mp4").rename(raw / FULL)
    (raw / SMALL).unlink()
    shutil.rmtree(run.folder / "logs")
    run.run("--cores", "2", VIDEOS, overlay=own)
    assert verdicts(run)[FULL] == ("OK", "") and decoded(run) == 0
    assert table_of(run, FULL).read_bytes() == kept
