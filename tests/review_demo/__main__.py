"""A whole review of the demo by keys alone.

    python -m tests.review_demo [--work DIR] [--number N] [--cores N]

Makes the demo in a folder of its own, or uses the one that is there; decides, runs, traces,
verifies and takes all back on a copy of it. Writes there `review-demo.json`, `review-demo.txt` (a
table), `review-demo.webp` (a film), `review-demo.png` (a sheet) and all pictures. Exit status: 0
all is as it has to be; 1 something is not, and what is said; 2 it cannot start.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from tests.review_demo import record, sequence, sets, whole_review


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="review_demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("review-demo"), help="its own folder")
    parser.add_argument("--number", type=int, default=10, help="decisions of each kind")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="of the runs")
    given = parser.parse_args()
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        print("chromium is not installed: apt-get install chromium", file=sys.stderr)
        return 2
    try:
        folder = sets.own_folder(given.work.absolute())
    except sets.ForeignFolderError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"the demo in {folder} ...", flush=True)
    demo = sets.finished(folder / "demo", sets.of_the_demo, given.cores)
    run = sets.fresh_copy(demo, folder / "reviewed")
    shutil.rmtree(folder / "pictures", ignore_errors=True)
    found = whole_review.prove(run, folder / "pictures", given.number, given.cores)
    return tell(folder, found)


def tell(folder: Path, found: record.Record) -> int:
    """Write what was found into `folder` and print the table; the exit status."""
    text = record.table(found) + "\n"
    told = asdict(found) | {"a_minute": found.a_minute, "faults": record.faults(found)}
    (folder / "review-demo.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    (folder / "review-demo.txt").write_text(text)
    sequence.write(folder / "pictures", found.pictures)
    for name in ("review-demo.webp", "review-demo.png"):
        (folder / "pictures" / name).replace(folder / name)
    print(text + f"\nthe film: {folder / 'review-demo.webp'}")
    return 1 if record.faults(found) else 0


if __name__ == "__main__":
    sys.exit(main())
