"""What a run did, read from the logs of its jobs."""

from __future__ import annotations

from bench import one_more
from tests.generator.encode import write_clip


def log(folder, name, text):
    path = folder / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_jobs_those_at_work_and_images_are_counted(tmp_path):
    log(tmp_path, "mask/a", "3 of 3 items to work on")
    log(tmp_path, "mask/b", "nothing to do: the table is what this job would make")
    log(tmp_path, "qc/qc5", "mattes: 3 of 40 images opened, the others were seen before\n"
        "edges: 2 of 9 images opened, the others were seen before")  # fmt: skip
    found = one_more.of_logs(tmp_path, 4.0)
    assert found.jobs == {"mask": 2, "qc/qc5": 1} and found.idle["mask"] == 1
    assert found.images == {"qc/qc5": (5, 49)}
    found.cpu_s = 2.5
    text = one_more.told(one_more.Run(60, found.jobs, found.idle, {}, 90), found, 40)
    assert "All but one of 40 clips: 60 s (90 s of CPU time). One more: 4.0 s (2.5 s)." in text
    assert "| mask | 2 | 2 | 1 |  |" in text and "| qc/qc5 | 1 | 1 | 1 | 5 of 49 |" in text


def test_clips_that_are_there_are_not_drawn_again(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(one_more, "write_clip", lambda spec, path: drawn.append(path.touch()))
    assert one_more.draw(tmp_path / "raw", 2) == one_more.draw(tmp_path / "raw", 2)
    assert len(drawn) == 2 and one_more.write_clip is not write_clip
