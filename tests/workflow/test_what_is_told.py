"""What a run says where people look: refused clips, and what is left of clips that are gone."""

from __future__ import annotations

import shutil


def test_a_run_ends_with_the_clips_that_were_refused_and_what_is_left_of_those_gone(
    small, tmp_path
):
    run = small.copy(tmp_path / "run")
    index = run.folder / "qc_reports/index.html"
    index.unlink()
    told = run.run("--cores", "2", "--quiet", "rules", "host", "progress")
    assert "from 2 of 3 clips.\nClips refused: 1 of 3.\n  thumbnail.mp4: LOW_RESOLUTION" in told
    assert "probe.min_short_side: 120 takes it as it is" in told
    assert "Clips refused: 1 of 3" in index.read_text("utf-8")

    (run.dataset / "00_raw_videos/thumbnail.mp4").unlink()
    told = run.run("--cores", "2")
    assert "Clips refused" not in told
    assert told.count("WARN QC0, Nothing of clips gone: 1.") == 1

    for left in list(run.dataset.rglob("thumbnail-*")):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    told = run.run("--cores", "2")
    assert "captioned images, from 2 of 2 clips" in told and "clips gone" not in told
