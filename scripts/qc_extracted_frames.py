"""QC3: does every raw video have its folder and table, does every frame decode, are the counts
plausible?

Opens each kept frame again and compares it with its row, compares each clip's number of samples
with its length, and charts sharpness and luma change. It never judges a picture.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ferrari.common.counts import number_of
from ferrari.ledger.columns import QUARANTINED
from ferrari.ledger.reasons import DUPLICATE_FRAME, LOST_SPAN, MAX_FRAMES, OK
from ferrari.ledger.refused_files import BAD_FRAMES
from ferrari.ledger.stages import FOLDERS
from ferrari.qc import reopened_images, stage_checks, stage_tables
from ferrari.reports import charts, thumbnails
from ferrari.reports.checks import FAIL, PASS, WARN, Check, none_of
from ferrari.reports.page import Report, ReportFiles, publish
from ferrari.video.decoding.trust import JUDGE, MOST_LEVELS

NAME = "qc3_extraction_summary"
FOLDER = FOLDERS["extract"]
#: Largest change of a block (levels of luma) that is as well noise: what compression and a sensor
#: make of one picture again and again stays below it at all but the poorest qualities.
STILL_BLOCK = 2.5
FPS_TOLERANCE = 0.1  # share of the expected samples, on top of two samples at the ends
MIN_DOUBTFUL = 4  # samples of a clip
SAMPLES = 12


def report_frames(
    *,
    tables: Sequence[str],
    previous: Sequence[str],
    dataset: str,
    qc_settings: dict,
    extract_settings: dict,
    out: ReportFiles,
) -> None:
    """Write QC3 from the extract `tables` and the probe tables (`previous`)."""
    root = Path(dataset)
    rows, probe = stage_tables.load(tables, "extract"), stage_tables.load(previous, "probe")
    ids = stage_tables.videos_of(previous)
    kept = stage_tables.kept(rows)
    seen = reopened_images.inspect(
        root, kept, ("path", "sha256", "width", "height"), look, "frames opened again"
    )
    videos = per_clip(rows, probe, ids, extract_settings)
    found = [
        table_check(tables, ids),
        *stage_checks.folder_checks(root, FOLDER, kept, ids),
        *reopened_images.readable_checks("frames", kept, seen),
        *frame_checks(kept, seen, qc_settings),
        *clip_checks(videos, rows, qc_settings),
        lost_check(videos, rows),
        log_check(rows, len(videos)),
        *decoder_checks(rows),
        *stage_checks.ledger_checks("extract", rows, probe),
    ]
    refused = stage_tables.refused(rows)
    pictured = refused[refused["path"].str.startswith(f"{BAD_FRAMES}/")]
    publish(
        Report(
            name=NAME,
            checks=found,
            counts=stage_tables.counts(rows, ids, "Frames kept"),
            videos=videos,
            charts=pictures(rows, videos, qc_settings, extract_settings),
            refused=thumbnails.of_rows(dataset, pictured, qc_settings["thumbnails"]),
            refused_total=len(refused),
            refused_hint="Duplicates and samples beyond max_frames are not written to disk; "
            "quarantined frames are, in bad_frames/. A lost stretch of time has no picture.",
            samples=thumbnails.of_rows(dataset, kept.assign(reason=""), SAMPLES),
        ),
        out,
    )


def look(dataset: Path, cells: tuple) -> dict:
    """Open one frame: fault, sha_ok, size_ok."""
    path, sha256, width, height = cells
    opened = reopened_images.reopen(dataset, path)
    return {
        "fault": opened.fault,
        "sha_ok": opened.sha256 == sha256,
        "size_ok": opened.mode == "RGB" and opened.size == (width, height),
    }


def per_clip(
    rows: pd.DataFrame, probe: pd.DataFrame, ids: Sequence[str], settings: dict
) -> pd.DataFrame:
    """Counts, samples against those expected, duplicates, sharpness, loss, decoder of each clip."""
    table = stage_tables.per_video(rows, ids).set_index("video")
    samples = rows[rows["time_s"].notna() & ~rows["reason"].isin([MAX_FRAMES, LOST_SPAN])]
    by_video = samples.groupby("video")
    table["samples"] = by_video.size().reindex(ids, fill_value=0)
    low, high = expected_samples(probe.drop_duplicates("video").set_index("video"), settings)
    usable = table["considered"] > 0
    table["expected_min"] = low.reindex(ids).where(usable)
    table["expected_max"] = high.reindex(ids).where(usable)
    duplicates = samples[samples["reason"] == DUPLICATE_FRAME].groupby("video").size()
    table["duplicates"] = duplicates.reindex(ids, fill_value=0)
    table["duplicate_ratio"] = (table["duplicates"] / table["samples"]).where(table["samples"] > 0)
    moving = repeats_that_moved(samples).groupby("video").size()
    table["moving_duplicates"] = moving.reindex(ids, fill_value=0)
    table["median_sharpness"] = stage_tables.kept(rows).groupby("video")["sharpness"].median()
    table["in_order"] = by_video["time_s"].apply(lambda t: bool((t.diff().dropna() > 0).all()))
    table["in_order"] = table["in_order"].astype("boolean").fillna(True).astype(bool)
    lost = rows[rows["reason"] == LOST_SPAN].groupby("video")["value"].sum()
    table["lost_s"] = lost.reindex(ids, fill_value=0.0).fillna(0.0).round(3)
    table["decode_errors"] = rows.groupby("video")["decode_errors"].max()
    table["decoder"] = rows[rows["decoder"] != ""].groupby("video")["decoder"].first()
    table["decoder"] = table["decoder"].fillna("")
    return table.rename_axis("video").reset_index()


def repeats_that_moved(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples that were dropped as duplicates although a block changed by more than noise."""
    changed = samples["value"] >= samples["noise_change"].fillna(0).clip(lower=STILL_BLOCK)
    return samples[(samples["reason"] == DUPLICATE_FRAME) & changed]


def expected_samples(probe: pd.DataFrame, settings: dict) -> tuple[pd.Series, pd.Series]:
    """Least and most samples that a clip of this length gives at `extract.fps`.

    A gap in the clip's clock holds no frames, so the least leaves out the longest one; a sample
    needs a frame, so a clip of a lower rate gives no more than its own frames.
    """
    fps = float(settings["fps"])
    rate = np.minimum(fps, probe["fps"].fillna(fps).where(probe["fps"] > 0, fps))
    gap = probe["largest_gap_s"].fillna(0).where(lambda gap: gap > 2 / rate, 0)
    least = ((probe["duration_s"] - gap).clip(lower=0) * rate * (1 - FPS_TOLERANCE) - 2).clip(0)
    most = probe["duration_s"] * fps * (1 + FPS_TOLERANCE) + 2
    limit = settings.get("max_frames") or np.inf
    return np.floor(least.clip(upper=limit)), np.ceil(most.clip(upper=limit))


def table_check(tables: Sequence[str], ids: Sequence[str]) -> Check:
    """Every raw video has a table of this stage."""
    missing = sorted(set(ids) - set(stage_tables.videos_of(tables)))
    return none_of("table_per_video", missing, len(ids), "Each raw video has a table of frames.")


def frame_checks(kept: pd.DataFrame, seen: pd.DataFrame, qc_settings: dict) -> list[Check]:
    """Sizes as recorded; sharpness measured on every frame."""
    wrong = kept["item"][~reopened_images.flags(seen, "size_ok")]
    sharpness = kept["sharpness"]
    unmeasured = kept["item"][~(np.isfinite(sharpness) & (sharpness >= 0))]
    floor = qc_settings["min_sharpness"]
    soft = kept["item"][sharpness < floor]
    return [
        none_of(
            "frame_sizes_as_recorded",
            wrong,
            len(kept),
            "Each frame is RGB and of the size in its row.",
        ),
        none_of(
            "sharpness_measured",
            unmeasured,
            len(kept),
            "Each kept frame has a finite sharpness (variance of the Laplacian).",
        ),
        none_of(
            "sharpness_above_floor",
            soft,
            len(kept),
            f"Frames less sharp than qc.min_sharpness ({floor:g}); they are not dropped.",
            otherwise=WARN,
        ),
    ]


def clip_checks(videos: pd.DataFrame, rows: pd.DataFrame, qc_settings: dict) -> list[Check]:
    """Sampling rate, order in time, duplicates and quarantine, per clip."""
    judged = videos[videos["expected_min"].notna() & (videos["samples"] > 0)]
    odd = judged[
        (judged["samples"] < judged["expected_min"]) | (judged["samples"] > judged["expected_max"])
    ]
    quarantined = videos["video"][videos["quarantined"] > 0]
    count = int(videos["quarantined"].sum())
    return [
        none_of(
            "fps_sane",
            odd["video"],
            len(judged),
            "Clips with more or fewer samples than expected: extract.fps times the clip's length, "
            "less its longest gap (expected_min and expected_max in the table of videos).",
            otherwise=WARN,
            bound=f"within {FPS_TOLERANCE:.0%} and 2 samples",
        ),
        none_of(
            "times_in_order",
            videos["video"][~videos["in_order"]],
            len(videos),
            "Within a clip each sample is later than the one before. In a clip joined from parts, "
            "or with damaged timestamps, time may jump back; sampling starts anew there.",
            otherwise=WARN,
        ),
        duplicate_check(videos, qc_settings),
        Check(
            "frames_quarantined",
            WARN if count else PASS,
            f"{count:,} of {len(rows):,}",
            "0",
            f"Rows set aside, by reason: {_reasons_said(rows)}. Pictures of frames lie under "
            "bad_frames/, whole clips under bad_videos/; make trace says of a clip what to do.",
            tuple(quarantined[:20]),
        ),
        Check(
            "some_frame_is_kept",
            PASS if videos["kept"].sum() else FAIL,
            f"{int(videos['kept'].sum()):,}",
            "at least 1",
            "Without a frame the later stages have nothing to do.",
        ),
    ]


def _reasons_said(rows: pd.DataFrame) -> str:
    """'3 DECODE_DAMAGE, 1 HDR': the quarantined rows by reason, the most frequent first."""
    reasons = rows["reason"][rows["outcome"] == QUARANTINED].value_counts()
    named = sorted(reasons.items(), key=lambda item: (-item[1], str(item[0])))
    return ", ".join(f"{count:,} {reason}" for reason, count in named) or "none"


def duplicate_check(videos: pd.DataFrame, qc_settings: dict) -> Check:
    """Clips that lost nearly all samples as duplicates, or many in which something may move."""
    most, most_moving = qc_settings["max_duplicate_ratio"], qc_settings["max_moving_duplicates"]
    moving = videos["moving_duplicates"] / videos["samples"].clip(lower=1)
    doubtful = (moving > most_moving) & (videos["moving_duplicates"] >= MIN_DOUBTFUL)
    highest = videos["duplicate_ratio"].max()
    figure = f"highest {highest:.1%}, of those that may move {moving.max():.1%}"
    return none_of(
        "duplicate_ratio_within_bounds",
        videos["video"][doubtful | (videos["duplicate_ratio"] > most)],
        int((videos["samples"] > 0).sum()),
        "Clips with more of their samples dropped as duplicates than qc.max_duplicate_ratio (the "
        "picture stands still), or more than qc.max_moving_duplicates although a part of the "
        f"picture changed by {STILL_BLOCK:g} levels or more, which noise does not explain. Look at "
        "the clip; if something moves, lower extract.duplicate_block.",
        otherwise=WARN,
        bound=f"at most {most:.0%}, of those that may move {most_moving:.0%}",
        figure=figure if highest == highest else "no sample",
    )


def lost_check(videos: pd.DataFrame, rows: pd.DataFrame) -> Check:
    """Seconds of footage without a usable frame, in total and by clip."""
    spans = rows[rows["reason"] == LOST_SPAN]
    losing = videos[videos["video"].isin(spans["video"])].sort_values("lost_s", ascending=False)
    return none_of(
        "no_footage_lost",
        losing["video"],
        len(videos),
        "Clips with stretches of time without a usable frame, because of errors in the file. Each "
        "stretch is a row LOST_SPAN with its begin, end and first error; lost_s in the table of "
        "videos is their sum. If there is a better copy of the clip, replace it.",
        otherwise=WARN,
        bound="0 s",
        figure=f"{videos['lost_s'].sum():,.1f} s; stretches: {len(spans):,}, in "
        f"{number_of(len(losing), 'clip')}",
    )


def log_check(rows: pd.DataFrame, clips: int) -> Check:
    """Clips that look like a camera's log profile, which nobody has graded."""
    flat = rows[rows["log_footage"] != ""].drop_duplicates("video")
    signs = sorted(set(flat["log_footage"]))
    return none_of(
        "no_log_footage",
        flat["video"],
        clips,
        "Clips that a camera may have recorded in a log profile: they look flat and grey until "
        "they are graded, and a dataset wants graded footage. Nothing was changed for it. What "
        f"speaks for it: {'; '.join(signs) or 'nothing'}.",
        otherwise=WARN,
    )


def decoder_checks(rows: pd.DataFrame) -> list[Check]:
    """Do the frames of other decoders match those of PyAV on the CPU, and which clips did it take
    over?
    """
    clips = rows[rows["decoder"] != ""].drop_duplicates("video")
    others = clips[clips["decoder"] != JUDGE]
    far = ~(others["proof_difference"] <= MOST_LEVELS) | ~(others["proof_frames"] > 0)
    handed_on = clips[(clips["decoder"] == JUDGE) & clips["proof_difference"].notna()]
    compared = int(others["proof_frames"].fillna(0).sum())
    off, worst = others["proof_difference"].max(), handed_on["proof_difference"].max()
    return [
        none_of(
            "decoders_proved",
            others["video"][far],
            len(others),
            "Of each clip that another decoder than PyAV on the CPU decoded, both decoded some "
            "groups of pictures: same times, number and pixels. Damage inside a frame that lies in "
            "none of them is not seen.",
            bound=f"at most {MOST_LEVELS:g} of 255 levels",
            figure=f"{number_of(len(others), 'clip')}, {number_of(compared, 'frame')}, "
            f"at most {off:g} levels"
            if len(others)
            else "no such clip",
        ),
        none_of(
            "decoders_agree",
            handed_on["video"],
            len(others) + len(handed_on),
            "Clips of which another decoder gave other pixels, or another number of frames, than "
            "PyAV on the CPU, which then decoded them; decoder_reason in their rows says what "
            "differed. One clip may be odd. If there are many, the card, its driver or the other "
            "decoder is not to be trusted: set extract.decoder: cpu.",
            otherwise=WARN,
            figure=f"{number_of(len(handed_on), 'clip')}, by up to {worst:g} levels"
            if len(handed_on)
            else f"0 of {len(others):,}",
        ),
    ]


def pictures(
    rows: pd.DataFrame, videos: pd.DataFrame, qc_settings: dict, extract_settings: dict
) -> list[charts.Chart]:
    """Outcomes, sharpness, luma change, duplicates, samples against the expected."""
    kept = stage_tables.kept(rows)
    compared = rows[rows["reason"].isin([OK, DUPLICATE_FRAME])]
    judged = videos[videos["expected_max"].notna()].assign(
        expected=lambda table: (table["expected_min"] + table["expected_max"]) / 2
    )
    return [
        charts.bars(
            stage_tables.reasons(rows), "Outcomes", note="Kept, or the rule that refused a sample."
        ),
        charts.histogram(
            kept["sharpness"],
            "Sharpness",
            "variance of the Laplacian",
            log=True,
            bounds=[qc_settings["min_sharpness"]] if qc_settings["min_sharpness"] > 0 else [],
            count_title="frames",
        ),
        charts.histogram(
            compared["value"].clip(upper=40),
            "Change against the last kept frame",
            "luma change of the block that changed most, 0-255",
            bounds=[float(extract_settings["duplicate_block"])],
            note="Left of the line: dropped as a duplicate, unless the light changed. Strong noise "
            "moves the line to the right. The last bin holds 40 and more.",
            count_title="samples",
        ),
        charts.histogram(
            videos["duplicate_ratio"],
            "Duplicates per clip",
            "share of a clip's samples",
            bounds=[qc_settings["max_duplicate_ratio"]],
            limits=(0, 1),
            bins=25,
            count_title="clips",
        ),
        charts.scatter(
            judged,
            "Samples against clip length",
            x="expected",
            y="samples",
            x_title="samples expected",
            y_title="samples taken",
        ),
        charts.clips(videos, "samples"),
    ]


def run(job) -> None:
    """The job of the report (see `make_report`)."""
    report_frames(
        tables=job.input.tables,
        previous=job.params.previous,
        dataset=job.config["dataset"],
        qc_settings=job.params.qc_settings,
        extract_settings=job.params.extract_settings,
        out=ReportFiles.of(job.output),
    )
