"""Runs each report on a fabricated dataset, with the arguments that the workflow gives it."""

from __future__ import annotations

import importlib

from ferrari.reports.checks import Check, read
from tests.stage.fabricate import SUBJECT, Fabricated

NAMES = (
    "qc0_failed_video_diagnostics",
    "qc3_extraction_summary",
    "qc_identity",
    "qc4_yolo_crops_summary",
    "qc5_masks_summary",
    "qc6_augmentation_summary",
    "qc7_final_summary",
    "qc8_similarity",
)


def _call(script: str, function: str, **arguments) -> None:
    getattr(importlib.import_module(script), function)(**arguments)


def run(data: Fabricated, name: str) -> dict[str, Check]:
    """Build one report; its checks by name."""
    outputs = data.outputs(name)
    common = {"dataset": str(data.dataset), "qc_settings": data.settings["qc"], "out": outputs}
    tables, settings = data.tables, data.settings
    if name.startswith("qc0"):
        videos_table = str(data.dataset / "videos.csv")
        _call(
            "list_videos",
            "list_videos",
            probe_csvs=tables["probe"],
            frames_csvs=tables["extract"],
            raw_folder=str(data.raw),
            dataset=str(data.dataset),
            out_csv=videos_table,
        )
        _call(
            "analyze_failed_videos",
            "analyze_failed_videos",
            videos_table=videos_table,
            probe_tables=tables["probe"],
            extract_tables=tables["extract"],
            raw_folder=str(data.raw),
            dataset=str(data.dataset),
            out_csv=outputs.csv,
            out_videos_csv=outputs.videos_csv,
        )
        _call(
            "build_qc0_failed_videos_html",
            "build_qc0_page",
            checks_csv=outputs.csv,
            videos_csv=outputs.videos_csv,
            out_html=outputs.html,
        )
    elif name.startswith("qc7"):
        _call(
            "qc_final_training",
            "report_final",
            tables=tables["caption"],
            previous=tables["augment"],
            final=data.final,
            subject_settings=SUBJECT,
            caption_settings=settings["caption"],
            resolution=settings["package"]["resolution"],
            **common,
        )
    elif name.startswith("qc8"):
        _call(
            "qc_similarity",
            "report_similarity",
            final=data.final,
            masks=tables["mask"],
            curate_settings=settings["curate"],
            **common,
        )
    elif name == "qc_identity":
        _call(
            "qc_identity",
            "report_identity",
            tables=tables["crop"],
            identities=tables["identity"],
            detections=tables["detect"],
            tracks=tables["tracks"],
            previous=tables["extract"],
            references=str(data.of_the_set("references.csv")),
            people=str(data.of_the_set("people.csv")),
            said=str(data.of_the_set("who.json")),
            references_folder=str(data.references),
            **common,
        )
    else:
        more = {"detections": tables["detect"], "tracks": tables["tracks"]}
        more = more if name.startswith("qc4") else {}
        script, function, stage, before, section = {
            "qc3": ("qc_extracted_frames", "report_frames", "extract", "probe", "extract"),
            "qc4": ("qc_yolo_crops", "report_crops", "crop", "extract", "detect"),
            "qc5": ("qc_masked_subjects", "report_masks", "mask", "crop", "mask"),
            "qc6": ("qc_augmented", "report_augmented", "augment", "mask", "augment"),
        }[name[:3]]
        _call(
            script,
            function,
            tables=tables[stage],
            previous=tables[before],
            **{f"{section}_settings": settings[section]},
            **more,
            **common,
        )
    return {check.name: check for check in read(data.outputs(name).csv)}


def run_index(data: Fabricated) -> str:
    """Build the index over all reports; the page's path."""
    out = data.reports / "index.html"
    _call(
        "build_qc_index",
        "build_index",
        reports=[data.outputs(name).csv for name in NAMES],
        videos=[data.outputs(name).videos_csv for name in NAMES],
        out_html=str(out),
        dataset=str(data.dataset),
    )
    return str(out)
