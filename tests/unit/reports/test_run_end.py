"""What a run that failed says of its jobs."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

from ferrari.ledger import clip_fates, tables
from ferrari.reports import checks
from ferrari.reports.checks import FAIL, PASS, WARN, Check
from ferrari.reports.run_end import failures, last_lines

FAILED = """3 of 4 items
Traceback (most recent call last):
  File "package.py", line 51, in main
    enforce(gate)
GateError: 1 check failed, so nothing is packaged:
  qc_identity: nobody is named

WHAT TO DO: name somebody
"""


def test_what_jobs_said_is_told_once_and_nothing_of_an_earlier_run(tmp_path):
    for name, text in {
        "package/a.log": FAILED,
        "package/b.log": FAILED,
        "mask/c.log": "nothing to do\n",
        "mask/d.log": "Traceback (most recent call last):\n  File x\nKeyboardInterrupt\n",
        "old.log": FAILED.replace("somebody", "nobody"),
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        os.utime(path, (5, 5) if name == "old.log" else (20, 20))
    where, message = failures(tmp_path, 10.0)
    assert where == f"\n{tmp_path / 'package/a.log'}:"
    assert message.startswith("GateError: 1 check failed") and message.endswith("name somebody")
    assert failures(tmp_path, 30.0) == [] and failures(tmp_path / "none", 0.0) == []


def test_of_thousands_of_messages_a_screen_is_told(tmp_path):
    for n in range(30):
        (tmp_path / f"{n:02}.log").write_text(FAILED.replace("nobody", f"clip {n}"))
    told = failures(tmp_path, 0.0)
    assert told[-1] == f"\n... and 22 messages more, in {tmp_path}" and len(told) == 17


def test_clips_that_gave_no_image_are_not_counted(tmp_path):
    """A clip that is sound and shows somebody else gives none."""

    def row(stage, item, outcome="kept", **more):
        return tables.row(stage, item=item, parent="", outcome=outcome, **more)

    final = tmp_path / "05_final_training/final.csv"
    final.parent.mkdir()
    images = [row("final", f"i{n}", video="me") for n in range(3)]
    images.append(row("final", "i3", "dropped", reason="NEAR_DUPLICATE", video="others"))
    tables.write_stage(final, "final", images)
    sound = [row("videos", one, file=f"{one}.mp4", verdict="OK") for one in ("me", "others")]
    tables.write_stage(tmp_path / "videos.csv", "videos", sound)
    told = last_lines(tmp_path, tmp_path / "qc_reports", [])
    assert told[0] == "3 captioned images, from 1 of 2 clips."
    assert told[1] == "Clips without an image, though their files are sound: 1 of 2."
    elsewhere = last_lines(tmp_path, tmp_path / "qc_reports", [], tmp_path)
    typed = f'  What became of one: make trace ITEM="others.mp4" WORK={tmp_path}'
    assert typed in elsewhere, "as it can be typed"
    assert not any(line.startswith("  refused ") for line in told), "nothing was refused"
    (tmp_path / "bad_frames/UNSURE_WHO").mkdir(parents=True)
    (tmp_path / "bad_videos/NOT_A_VIDEO").mkdir(parents=True)
    (tmp_path / "bad_videos/NOT_A_VIDEO/a.txt").touch()
    told = last_lines(tmp_path, tmp_path / "qc_reports", [])
    assert f"  refused      {tmp_path}/bad_videos" in told, "an empty folder holds nothing"


def test_each_check_that_is_not_passed_is_a_line_but_for_refused_clips(tmp_path):
    """Of those each has a line already."""
    (tmp_path / "05_final_training").mkdir()
    tables.write_stage(tmp_path / "05_final_training/final.csv", "final", [])
    tables.write_stage(tmp_path / "videos.csv", "videos", [])
    found = {"alpha_present": PASS, "alpha_sound": WARN, "files_there": FAIL}
    found[clip_fates.CHECK] = WARN
    checks.write(
        tmp_path / "qc_reports/qc5_masks_summary.csv",
        [Check(name, status, "2 of 9", "0", f"It is {name}") for name, status in found.items()],
    )
    told = last_lines(tmp_path, tmp_path / "qc_reports", [])
    questions = [line for line in told if line.startswith((PASS, WARN, FAIL))]
    assert [line.split()[0] for line in questions] == [WARN, FAIL]
    assert [line.rsplit(" ", 1)[1] for line in questions] == ["alpha_sound", "files_there"]


def test_the_images_are_counted_without_holding_their_rows(tmp_path):
    """Of 10,000 clips there are hundreds of thousands."""
    final = tmp_path / "05_final_training/final.csv"
    final.parent.mkdir()
    images = [
        tables.row("final", item=f"i{n}", parent="", outcome="kept", video=f"v{n % 7}")
        for n in range(3000)
    ]
    tables.write_stage(final, "final", images)
    tables.write_stage(tmp_path / "videos.csv", "videos", [])
    last_lines(tmp_path, tmp_path / "qc_reports", [])  # what is read once
    tracemalloc.start()
    told = last_lines(tmp_path, tmp_path / "qc_reports", [])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert told[0].startswith("3,000 captioned images, from 7 of") and peak < 1e6


def test_where_all_lies_is_true_wherever_the_reader_stands(tmp_path, monkeypatch):
    """A run is in the set's folder, and names its folders as they are below that."""
    dataset = Path("dataset")
    (tmp_path / "set/dataset/05_final_training").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "set")
    tables.write_stage(dataset / "05_final_training/final.csv", "final", [])
    tables.write_stage(dataset / "videos.csv", "videos", [])
    (dataset / "05_final_training/kohya").mkdir()
    for name in ("bad_videos", "bad_frames"):
        (dataset / name).mkdir()
        (dataset / name / "a").touch()
    told = last_lines(dataset, Path("qc_reports"), ["kohya"])
    monkeypatch.chdir(tmp_path)
    ways = [word.rstrip(",") for line in told for word in line.split() if "/" in word]
    assert len(ways) == 5 and all(way.startswith(f"{tmp_path / 'set'}/") for way in ways), told
