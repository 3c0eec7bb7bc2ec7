"""A stage's job keeps to its threads."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.settings import ENVIRONMENT

STAGE = """
import cv2

def run(job):
    with open(job.output.table, "w") as table:
        table.write(f"{cv2.getNumThreads()} {job.threads}")
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_opencv_takes_no_more_threads_than_the_job_has(tmp_path, threads):
    """By itself it takes all cores, in each of as many jobs as there are cores."""
    (tmp_path / "00_probe_video.py").write_text(STAGE)
    (tmp_path / "config.json").write_text(json.dumps({"dataset": str(tmp_path)}))
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
        "import cv2; cv2.setNumThreads(7); "
        "from ferrari.jobs import stage_job; sys.exit(stage_job.main(sys.argv[1:]))"
    )
    words = ["00_probe_video", "--rule", "probe", "--threads", str(threads)]
    words += ["--config", "config.json", "--video", "a", "--outputs", "table", "table"]
    words += ["--params", "settings,code", "[{}, {}]"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, env=ENVIRONMENT, check=False
    )
    assert done.returncode == 0, Path(tmp_path, "logs/probe/a.log").read_text()
    assert (tmp_path / "table").read_text() == f"{threads} {threads}"
