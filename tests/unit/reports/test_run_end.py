"""What a run that failed says of its jobs."""

from __future__ import annotations

import os

from ferrari.reports.run_end import failures

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
