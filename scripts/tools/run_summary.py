"""Say where a run's dataset and dashboards lie, and how much came out of it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.ledger import tables
from ferrari.ledger.reasons import OK
from ferrari.ledger.refused_files import BAD_FRAMES, BAD_VIDEOS
from ferrari.ledger.stages import FINAL, FINAL_CSV, VIDEOS_CSV


def summary(root: Path) -> str:
    """A few lines on the run below `root` (a folder with dataset/ and qc_reports/)."""
    dataset = root / "dataset"
    final = dataset / FINAL
    videos = tables.read_table(dataset / VIDEOS_CSV)
    usable = sum(row["verdict"] == OK for row in videos)
    images = len(tables.kept(tables.read_stage(dataset / FINAL_CSV, "final")))
    packages = sorted(path.stem for path in final.glob("*.csv") if (final / path.stem).is_dir())
    return "\n".join(
        [
            "",
            f"{len(videos)} raw files, {usable} of them usable clips, {images} captioned images.",
            f"  dashboards   {root / 'qc_reports/index.html'}   (open it in a browser)",
            f"  packages     {', '.join(str(final / name) for name in packages)}",
            f"  refused      {dataset / BAD_VIDEOS}, {dataset / BAD_FRAMES}",
            f"  every clip   {dataset / VIDEOS_CSV}",
        ]
    )


if __name__ == "__main__":
    print(summary(Path(sys.argv[1])))
