"""QC0, the page: raw, failed and extracted files, why files were refused, properties of the rest.

Made from the two CSV files of `analyze_failed_videos.py` alone.
"""

import csv

import pandas as pd

from ferrari.common.atomic_files import write_text
from ferrari.common.visible_text import shown
from ferrari.ledger import tables
from ferrari.ledger.clip_fates import COPIES, OTHER_FILES
from ferrari.ledger.reason_words import advice, sentence
from ferrari.ledger.reasons import OK
from ferrari.qc.stage_tables import NUMERIC
from ferrari.reports import charts, checks, page

NAME = "qc0_failed_video_diagnostics"
_COUNTS = ("considered", "kept", "dropped", "quarantined", "frames_extracted")


def build_qc0_page(*, checks_csv: str, videos_csv: str, out_html: str) -> None:
    """Write the page of QC0 from its checks and its figures per video."""
    videos = read_videos(videos_csv)
    refused = videos[videos["verdict"] != OK]
    report = page.Report(
        name=NAME,
        checks=checks.read(checks_csv),
        counts=counts(videos),
        videos=videos,
        charts=pictures(videos),
        tables=[refused_table(refused)],
        refused_total=len(refused),
        refused_hint="They are listed above; refused files are not decoded again for a picture.",
    )
    write_text(out_html, page.page(report))


def read_videos(videos_csv: str) -> pd.DataFrame:
    """The figures per video with numbers as numbers."""
    with open(videos_csv, encoding="utf-8", errors="surrogateescape", newline="") as stream:
        columns = next(csv.reader(stream))
    lines = [
        {key: shown(value, limit=1000) for key, value in line.items()}
        for line in tables.read_table(videos_csv)
    ]
    videos = pd.DataFrame(lines, columns=columns, dtype="str")
    for name in [name for name in columns if name in NUMERIC or name in _COUNTS]:
        videos[name] = pd.to_numeric(videos[name], errors="coerce")
    return videos


def counts(videos: pd.DataFrame) -> dict[str, object]:
    """The figures at the top of the page."""
    usable = videos[videos["verdict"] == OK]
    copies = int(videos["verdict"].isin(COPIES).sum())
    others = int(videos["verdict"].isin(OTHER_FILES).sum())
    clips = len(videos) - others
    return {
        "Raw files": len(videos),
        "Clips": clips,
        "Clips refused": clips - len(usable) - copies,
        "Copies": copies,
        "Other files": others,
        "Extracted": int((usable["frames_extracted"] > 0).sum()),
        "Frames": int(usable["frames_extracted"].sum()),
        "Footage": _hours(usable["duration_s"].sum()),
    }


def _hours(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"


def pictures(videos: pd.DataFrame) -> list[charts.Chart]:
    """Verdicts as bars; resolution, bitrate, length, codecs."""
    known = videos[videos["width"].notna()]
    codecs = (known["codec"] + " in " + known["container"]).value_counts()
    return [
        charts.bars(
            videos["verdict"].value_counts(),
            "Verdicts",
            note="OK, or why a file was refused.",
            count_title="files",
        ),
        charts.scatter(
            known,
            "Resolution",
            x="width",
            y="height",
            x_title="width, px (as shown)",
            y_title="height, px",
            label="file",
            colour="verdict",
        ),
        charts.scatter(
            known,
            "Bitrate and length",
            x="duration_s",
            y="bitrate_kbps",
            x_title="duration, s",
            y_title="bitrate, kbit/s",
            label="file",
            colour="verdict",
            log=True,
            note="Both scales are logarithmic.",
        ),
        charts.histogram(known["bitrate_kbps"], "Bitrate", "kbit/s", log=True, count_title="files"),
        charts.histogram(
            known["duration_s"], "Length of the clips", "s", log=True, count_title="files"
        ),
        charts.bars(codecs, "Codecs and containers", count_title="files"),
    ]


def refused_table(refused: pd.DataFrame) -> page.Table:
    """Refused files with their reasons, what these mean, and what to do."""
    refused = refused.assign(
        meaning=refused["verdict"].map(sentence), what_to_do=refused["verdict"].map(advice)
    )
    columns = ["file", "verdict", "meaning", "what_to_do", "detail", "value", "threshold", "path"]
    columns.append("video")
    rows = refused.sort_values(["verdict", "video"], kind="stable")[columns]
    note = "Each with its verdict, and the place of its copy below the dataset."
    return page.Table("Refused files", note, rows)


def run(job) -> None:
    """The job of the report (see `make_report`)."""
    build_qc0_page(
        checks_csv=job.input.csv, videos_csv=job.input.videos_csv, out_html=job.output.html
    )
