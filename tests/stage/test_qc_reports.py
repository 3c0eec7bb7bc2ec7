"""Each QC report on a sound dataset passes, and sees each single fault that is put into it."""

from __future__ import annotations

import base64
import copy
import html
import importlib
import io
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from build_qc_index import build_index
from ferrari.images import image_files
from ferrari.ledger import tables
from ferrari.ledger.columns import COLUMNS
from ferrari.ledger.item_ids import frame_of
from ferrari.ledger.reason_words import sentence
from ferrari.qc import looks_apart
from ferrari.reports import page as report_page
from ferrari.reports.checks import FAIL, PASS, QualityGateError, enforce
from tests.stage import fabricate as fab
from tests.stage import reports

#: One damaged frame a clip is part of the dataset; the same figure is drawn in all clips.
EXPECTED_WARNINGS = {"frames_quarantined", "near_duplicates_across_clips", "clips_refused"}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A sound dataset with all reports built on it; not to be changed."""
    data = fab.fabricate(tmp_path_factory.mktemp("sound"))
    data.found = {name: reports.run(data, name) for name in reports.NAMES}
    reports.run_index(data)
    return data


@pytest.fixture
def data(pristine, tmp_path, monkeypatch):
    """A copy to break. Its reports are built without pages, which these tests do not read."""
    monkeypatch.setattr(report_page, "page", lambda report: "")
    monkeypatch.setitem(pristine.settings["qc"], "thumbnails", 0)
    for folder in (pristine.dataset, pristine.raw):
        shutil.copytree(folder, tmp_path / folder.name)
    moved = {
        stage: [p.replace(str(pristine.dataset), str(tmp_path / "dataset")) for p in paths]
        for stage, paths in pristine.tables.items()
    }
    return fab.Fabricated(
        tmp_path / "dataset",
        tmp_path / "raw",
        tmp_path / "qc_reports",
        copy.deepcopy(pristine.settings),
        pristine.videos,
        moved,
    )


def cells(data, stage, change, where=lambda row: row["outcome"] == "kept", only_first=True):
    """Change the rows `where` of the first good clip's table (the first such row, or all)."""

    def edit(rows):
        chosen = [row for row in rows if where(row)]
        for row in chosen[:1] if only_first else chosen:
            row.update(change(row))
        return rows

    data.edit(stage, data.good[0], edit)


def without(data, stage, where):
    """Take rows out of the first good clip's table."""
    data.edit(stage, data.good[0], lambda rows: [row for row in rows if not where(row)])


def file_of(data, stage, column="path"):
    """The first kept file of a stage in the first good clip."""
    rows = tables.read_table(data.table(stage, data.good[0]))
    return data.dataset / next(row for row in rows if row["outcome"] == "kept")[column]


def redraw(data, stage, paint, column="path", digest="sha256"):
    """Paint over an image and put its new SHA-256 into its row, as a faulty stage would."""
    path = file_of(data, stage, column)
    pixels = image_files.read(path).copy()
    encoded = image_files.encode_png(paint(pixels))
    path.write_bytes(encoded)
    cells(data, stage, lambda row: {digest: fab.sha256_bytes(encoded)})
    return path


def drop_frames(data, count, **figures):
    """Drop the last frames of a clip as duplicates, with these figures of their comparison."""
    path = Path(data.table("extract", data.good[0]))
    items = [row["item"] for row in tables.read_table(path) if row["outcome"] == "kept"][-count:]
    change = {
        "outcome": "dropped",
        "reason": "DUPLICATE_FRAME",
        "path": "",
        "threshold": 4,
        **figures,
    }
    cells(data, "extract", lambda row: change, lambda row: row["item"] in items, only_first=False)
    for item in items:
        next(data.dataset.glob(f"01_extracted_frames/*/{item}.webp")).unlink()


def walker(data, step, boxes=None):
    """Add a person beside the subject of a clip, who goes so many pixels between two frames."""

    def change(rows, extra, ids):
        walking = []
        for number, row in enumerate(row for row in rows if row["outcome"] == "kept"):
            left = 4 + step * number
            box = dict(zip(("x1", "y1", "x2", "y2"), (left, 20, left + 20, 80), strict=True))
            walking.append({**row, **extra, **box, **ids(frame_of(row["item"]))})
            row.update(boxes(number) if boxes else {})
        return rows + walking

    clip, other = data.good[0], {"outcome": "dropped", "reason": "NOT_TARGET"}
    other |= {"path": "", "sha256": ""}
    found = {"track": "1"}
    data.edit("detect", clip, lambda rows: change(rows, found, lambda f: {"item": f"{f}-d1"}))
    path = data.table("tracks", clip)
    rows = tables.read_table(path)
    tables.write_table(path, list(rows[0]), [*rows, rows[-1] | found])
    ids = lambda f: {"item": f"{f}-p1", "parent": f"{f}-d1"}  # noqa: E731
    data.edit("crop", clip, lambda rows: change(rows, other, ids))


def track_cells(data, track, change):
    """Change cells of one row of the first clip's table of tracks."""
    path = data.table("tracks", data.good[0])
    rows = tables.read_table(path)
    rows = [row | change if row["track"] == track else row for row in rows]
    tables.write_table(path, list(rows[0]), rows)


def judged(track, change):
    """A fault: cells of one row of the first clip's table of judgements; of the clip, without."""

    def put(data):
        path = data.table("identity", data.good[0])
        rows = tables.read_table(path)
        rows = [row | change if row["track"] == track else row for row in rows]
        tables.write_table(path, list(rows[0]), rows)

    return put


def unjudged(data, track):
    """Take rows out of the first clip's table of judgements."""
    path = data.table("identity", data.good[0])
    rows = tables.read_table(path)
    tables.write_table(path, list(rows[0]), [row for row in rows if row["track"] != track])


def references(change, count=1):
    """A fault: cells of the first pictures of the subject."""

    def put(data):
        path = data.of_the_set("references.csv")
        rows = tables.read_table(path)
        rows = [row | change if place < count else row for place, row in enumerate(rows)]
        tables.write_table(path, list(rows[0]), rows)

    return put


SOMEBODY_ELSE = {"who": "not_subject", "why": "unlike", "score": 0.1, "threshold": fab.BELOW}


def somebody_else(data):
    """The one person of the first clip is not the subject."""
    judged("0", SOMEBODY_ELSE)(data)
    refused = {"outcome": "dropped", "reason": "NOT_SUBJECT", "path": "", "sha256": ""}
    cells(data, "crop", lambda row: refused, only_first=False)


def unsure(data, count, keep=True):
    """The first crops of the first clip wait for somebody to look at them."""
    waiting = {"outcome": "quarantined", "reason": "UNSURE_WHO", "identity_why": "face_differs"}
    for _ in range(count):
        cells(data, "crop", lambda row: waiting | ({} if keep else {"path": ""}))


def leak(data):
    """Bring the crop's pixels back under alpha 0."""
    crop = image_files.read(file_of(data, "crop"))
    redraw(data, "mask", lambda rgba: np.dstack([crop, rgba[..., 3]]))


def leak_on_canvas(data):
    """Bring the crop's pixels back around the subject in a variant."""
    crop = image_files.read(file_of(data, "crop"))

    def paint(picture):
        picture[20 : 20 + crop.shape[0], 9 : 9 + crop.shape[1]] = crop
        return picture

    redraw(data, "augment", paint)


def halo(data):
    """Two pixels of the crop's scene around the mask in each variant: a hundredth of the canvas."""
    for video in data.good:
        rows = tables.read_table(data.table("augment", video))
        for row in rows:
            path, mask = (
                data.dataset / row["path"],
                image_files.read(data.dataset / row["mask_path"]),
            )
            crop = image_files.read(data.dataset / f"02_yolo_crops/{video}/{row['parent']}.png")
            scene = np.zeros((*mask.shape, 3), np.uint8)
            left, top = int(row["offset_x"]), int(row["offset_y"])
            scene[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
            ring = (cv2.dilate(mask, np.ones((5, 5), np.uint8)) > 0) & (mask == 0)
            ring[:top] = ring[:, :left] = False
            ring[top + crop.shape[0] :] = ring[:, left + crop.shape[1] :] = False
            picture = np.where(ring[..., None], scene, image_files.read(path))
            path.write_bytes(image_files.encode_png(picture))
            row["sha256"] = fab.sha256_bytes(path.read_bytes())
        tables.write_table(data.table("augment", video), COLUMNS["augment"], rows)


def dot(picture):
    """One pixel of the subject, one value off."""
    picture[20 + 60, 9 + 40, 1] ^= 1
    return picture


def thicker(mask):
    """A mask with a spot outside of the cut-out."""
    mask[2, 2] = 255
    return mask


def flicker(data):
    """Every other cut-out of a clip holds a much smaller subject."""
    rows = tables.read_table(data.table("mask", data.good[0]))
    for number, row in enumerate(row for row in rows if row["outcome"] == "kept"):
        if number % 2:
            path = data.dataset / row["path"]
            rgba = image_files.read(path).copy()
            rgba[50:] = 0
            path.write_bytes(image_files.encode_png(rgba))
            row["sha256"] = fab.sha256_bytes(path.read_bytes())
    data.edit("mask", data.good[0], lambda _: rows)


def somebody_beside(data):
    """The right half of a cut-out is another person: that is where their box is."""
    left, top, right, bottom = fab.CROP
    middle = (left + right) / 2
    theirs = {"x1": middle, "y1": top, "x2": right, "y2": bottom}

    def edit(rows):
        first = next(row for row in rows if row["outcome"] == "kept")
        first["x2"] = middle - 5
        about = {"item": first["item"][:-1] + "1", "outcome": "dropped", "reason": "NOT_TARGET"}
        return [*rows, first | about | {"path": "", "sha256": ""} | theirs]

    data.edit("crop", data.good[0], edit)
    cells(data, "mask", lambda row: {"others": 1, "others_taken": 0.0, "others_unsure": 0.004})


def caption(text):
    """A fault: this caption in one row, the final table following it."""

    def put(data):
        found = {}
        cells(data, "caption", lambda row: found.setdefault("row", row) and {"caption": text})

        def follow(rows):
            for row in rows:
                if row["item"] == found["row"]["item"]:
                    row["caption"] = text
            return rows

        data.edit("final", "", follow)

    return put


def probe_reason(reason, only_first=True):
    def put(data):
        for video in data.good[: 1 if only_first else None]:

            def edit(rows):
                path = f"bad_videos/{reason}/{rows[0]['item']}.mp4"
                (data.dataset / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(data.raw / rows[0]["file"], data.dataset / path)
                rows[0] |= {"outcome": "quarantined", "reason": reason, "path": path}
                return rows

            data.edit("probe", video, edit)

    return put


def reject_without_copy(data):
    row = tables.row(
        "extract",
        item=data.good[0],
        parent=data.good[0],
        outcome="quarantined",
        reason="EXTRACTOR_REJECTED",
        path="bad_videos/EXTRACTOR_REJECTED/gone.mp4",
    )
    data.edit("extract", data.good[0], lambda rows: [row])


def no_embedding(row):
    return {"embedding": ""}


def bad_copy(data):
    return next(iter(sorted((data.dataset / "bad_videos" / "LOW_RESOLUTION").iterdir())))


QC0, QC3, IDENTITY, QC4, QC5, QC6, QC7, QC8 = reports.NAMES
FAULTS = {
    # name: (report, what is broken, checks that must not pass)
    "raw file without verdict": (
        QC0,
        lambda d: (d.raw / "new.mp4").write_bytes(b"x"),
        {"one_verdict_a_file"},
    ),
    "verdict without file": (
        QC0,
        lambda d: (d.raw / fab.GOOD[0]).unlink(),
        {"verdicts_have_files"},
    ),
    "raw file changed": (
        QC0,
        lambda d: (d.raw / fab.GOOD[0]).write_bytes(b"other"),
        {"raw_files_unchanged"},
    ),
    "a second film in a file": (
        QC0,
        lambda d: cells(
            d, "probe", lambda row: {"other_tracks": "track 1 (h264 64x48): another film track"}
        ),
        {"one_film_a_file"},
    ),
    "unknown verdict": (QC0, probe_reason("UGLY"), {"verdicts_known"}),
    "copy missing": (QC0, lambda d: bad_copy(d).unlink(), {"refused_files_copied"}),
    "copy cut short": (QC0, lambda d: bad_copy(d).write_bytes(b"x"), {"refused_files_whole"}),
    "rejected by the extractor, no copy": (QC0, reject_without_copy, {"refused_files_copied"}),
    "no usable video": (
        QC0,
        probe_reason("CORRUPT_CONTAINER", only_first=False),
        {"some_video_is_usable"},
    ),
    "frame missing": (
        QC3,
        lambda d: file_of(d, "extract").unlink(),
        {"kept_files_exist", "frames_readable", "frames_unchanged", "frame_sizes_as_recorded"},
    ),
    "frame empty": (
        QC3,
        lambda d: file_of(d, "extract").write_bytes(b""),
        {"no_empty_files", "frames_readable", "frames_unchanged", "frame_sizes_as_recorded"},
    ),
    "frame cut short": (
        QC3,
        lambda d: file_of(d, "extract").write_bytes(file_of(d, "extract").read_bytes()[:-200]),
        {"frames_readable", "frames_unchanged", "frame_sizes_as_recorded"},
    ),
    "frame replaced": (
        QC3,
        lambda d: cells(d, "extract", lambda row: {"sha256": "0" * 64}),
        {"frames_unchanged"},
    ),
    "frame of another size": (
        QC3,
        lambda d: cells(d, "extract", lambda row: {"width": 999}),
        {"frame_sizes_as_recorded"},
    ),
    "file without row": (
        QC3,
        lambda d: file_of(d, "extract").with_name("stray one.webp").write_bytes(b"x"),
        {"no_files_without_row"},
    ),
    "folder missing": (
        QC3,
        lambda d: shutil.rmtree(next(d.dataset.glob("01_extracted_frames/tiny-*/"))),
        {"folder_per_video"},
    ),
    "folder of a clip that is gone": (
        QC0,
        lambda d: (d.dataset / "01_extracted_frames" / "gone-0123456789").mkdir(),
        {"clips_gone"},
    ),
    "table missing": (
        QC3,
        lambda d: d.tables["extract"].remove(d.table("extract", d.good[0])),
        {"table_per_video", "extract_ledger_balances", "no_files_without_row"},
    ),
    "clip lost": (
        QC3,
        lambda d: (
            without(d, "extract", lambda row: True),
            [f.unlink() for f in d.dataset.glob(f"01_extracted_frames/{d.good[0]}/*")],
        ),
        {"extract_ledger_balances"},
    ),
    "sharpness not measured": (
        QC3,
        lambda d: cells(d, "extract", lambda row: {"sharpness": "inf"}),
        {"sharpness_measured"},
    ),
    "too few samples": (
        QC3,
        lambda d: cells(d, "probe", lambda row: {"duration_s": 60}),
        {"fps_sane"},
    ),
    "too many samples": (
        QC3,
        lambda d: cells(d, "probe", lambda row: {"duration_s": 1}),
        {"fps_sane"},
    ),
    "time runs back": (
        QC3,
        lambda d: cells(d, "extract", lambda row: {"time_s": 3.2}),
        {"times_in_order"},
    ),
    "log footage": (
        QC3,
        lambda d: cells(d, "extract", lambda row: {"log_footage": "its transfer is V-Log"}),
        {"no_log_footage"},
    ),
    "a card that was not held against the CPU": (
        QC3,
        lambda d: cells(d, "extract", lambda row: {"decoder": "pyav-nvdec"}, only_first=False),
        {"decoders_proved"},
    ),
    "a card whose pixels are not the CPU's": (
        QC3,
        lambda d: cells(
            d,
            "extract",
            lambda row: {"decoder": "pyav-nvdec", "proof_frames": 20, "proof_difference": 2.5},
            only_first=False,
        ),
        {"decoders_proved"},
    ),
    "clips that the CPU took over because pixels differed": (
        QC3,
        lambda d: cells(
            d,
            "extract",
            lambda row: {"proof_frames": 20, "proof_difference": 9.0},
            only_first=False,
        ),
        {"decoders_agree"},
    ),
    "nothing but duplicates": (
        QC3,
        lambda d: (
            cells(
                d,
                "extract",
                lambda row: {"outcome": "dropped", "reason": "DUPLICATE_FRAME", "path": ""},
                where=lambda row: True,
                only_first=False,
            ),
            [f.unlink() for f in d.dataset.glob(f"01_extracted_frames/{d.good[0]}/*")],
        ),
        {"duplicate_ratio_within_bounds"},
    ),
    "a third dropped though it moves": (
        QC3,
        lambda d: drop_frames(d, 4, value=3.1),
        {"duplicate_ratio_within_bounds"},
    ),
    "clip that nobody looked at": (
        IDENTITY,
        lambda d: (unjudged(d, "0"), unjudged(d, "")),
        {"judgements_per_video"},
    ),
    "track without judgement": (
        IDENTITY,
        lambda d: unjudged(d, "0"),
        {
            *("one_judgement_a_track", "tracks_count_their_crops", "judged_frames_add_up"),
            "crops_follow_judgements",
        },
    ),
    "judgement of no track": (
        IDENTITY,
        judged("0", {"linked_track": "7"}),
        {"one_judgement_a_track", "judged_frames_add_up"},
    ),
    "somebody else is cut out": (
        IDENTITY,
        judged("0", SOMEBODY_ELSE),
        {"crops_follow_judgements"},
    ),
    "subject by a score that falls short": (
        IDENTITY,
        judged("0", {"score": "0.3"}),
        {"judgements_follow_scores"},
    ),
    "threshold of an earlier run": (
        IDENTITY,
        judged("0", {"threshold": "0.5"}),
        {"one_threshold_for_all"},
    ),
    "frame of a track lost": (
        IDENTITY,
        judged("0", {"frames": "6"}),
        {"tracks_count_their_crops", "judged_frames_add_up"},
    ),
    "faces not searched": (
        IDENTITY,
        judged("", {"faces_seen": "", "faces": ""}),
        {"faces_searched"},
    ),
    "frame not judged": (IDENTITY, judged("", {"frames": "6"}), {"frames_with_people_judged"}),
    "mode of an earlier run": (IDENTITY, judged("", {"mode": "cluster"}), {"one_mode_for_all"}),
    "somebody of subject.not let in": (
        IDENTITY,
        judged("0", {"why": "like_negative", "score": "0.6"}),
        {"negatives_refused"},
    ),
    "nobody named": (
        IDENTITY,
        judged("0", {"why": "nobody_named", "score": "", "threshold": ""}),
        {"subject_named"},
    ),
    "faces too small": (
        IDENTITY,
        lambda d: [judged("", {"faces_seen": "900", "faces": "1"})(d)],
        {"faces_judged"},
    ),
    "stranger among the references": (
        IDENTITY,
        references({"outcome": "quarantined", "reason": "STRANGER", "value": "0.1"}),
        {"references_without_strangers"},
    ),
    "reference that is unlike the others": (
        IDENTITY,
        references({"value": "0.4"}),
        {"references_agree"},
    ),
    "reference that cannot be read": (
        IDENTITY,
        references({"outcome": "quarantined", "reason": "UNREADABLE_PICTURE", "value": ""}),
        {"reference_files_used"},
    ),
    "one reference left": (
        IDENTITY,
        references({"outcome": "dropped", "reason": "DUPLICATE_PICTURE", "value": ""}, 3),
        {"references_enough"},
    ),
    "no reference left": (
        IDENTITY,
        references({"outcome": "dropped", "reason": "DUPLICATE_PICTURE", "value": ""}, 4),
        {"references_enough"},
    ),
    "clip of somebody else": (IDENTITY, somebody_else, {"clips_show_the_subject"}),
    "three of seven unsure": (IDENTITY, lambda d: unsure(d, 3), {"unsure_share_per_video"}),
    "unsure without a picture": (
        IDENTITY,
        lambda d: unsure(d, 1, keep=False),
        {"unsure_pictures_kept"},
    ),
    "known by clothes alone": (
        IDENTITY,
        lambda d: cells(d, "crop", lambda row: {"identity_by": "body"}, only_first=False),
        {"clips_known_by_a_face"},
    ),
    "crop without evidence": (
        IDENTITY,
        lambda d: cells(d, "crop", lambda row: {"identity_by": ""}),
        {"crops_follow_judgements"},
    ),
    "a subject that stands still beside somebody who walks": (
        QC4,
        lambda d: walker(d, step=6),
        {"subject_moves_if_others_do"},
    ),
    "crop of another size": (
        QC4,
        lambda d: redraw(d, "crop", lambda crop: crop[:-1]),
        {"crop_sizes_equal_boxes"},
    ),
    "box outside its frame": (
        QC4,
        lambda d: cells(d, "crop", lambda row: {"x1": -9}),
        {"boxes_inside_frames", "crops_hold_their_boxes"},
    ),
    "box without area": (
        QC4,
        lambda d: cells(d, "crop", lambda row: {"x1": 70, "x2": 60}),
        {"boxes_inside_frames"},
    ),
    "box outside its crop": (
        QC4,
        lambda d: cells(d, "crop", lambda row: {"x1": 3}),
        {"crops_hold_their_boxes"},
    ),
    "confidence above 1": (
        QC4,
        lambda d: cells(d, "crop", lambda row: {"confidence": 1.2}),
        {"confidences_sound"},
    ),
    "confidence below the setting": (
        QC4,
        lambda d: cells(d, "crop", lambda row: {"confidence": 0.2}),
        {"confidences_sound"},
    ),
    "class not named": (
        QC4,
        lambda d: cells(d, "crop", lambda row: {"class_name": ""}),
        {"metadata_complete"},
    ),
    "frame without a row": (
        QC4,
        lambda d: without(d, "detect", lambda row: row["reason"] == "NO_SUBJECT"),
        {"detect_ledger_balances", "frames_followed"},
    ),
    "detection without a row": (
        QC4,
        lambda d: without(d, "crop", lambda row: row["parent"].endswith("00-d0")),
        {"crop_ledger_balances", "no_files_without_row"},
    ),
    "crop of no detection": (
        QC4,
        lambda d: cells(d, "crop", lambda row: {"parent": f"{row['parent']}7"}),
        {"crop_ledger_balances", "metadata_complete"},
    ),
    "detection of no track": (
        QC4,
        lambda d: cells(d, "detect", lambda row: {"track": "3"}),
        {"detections_have_tracks", "tracks_count_their_detections"},
    ),
    "track that begins too late": (
        QC4,
        lambda d: track_cells(d, "0", {"from_s": "0.4"}),
        {"tracks_hold_their_detections"},
    ),
    "frame that nobody was followed in": (
        QC4,
        lambda d: track_cells(d, "", {"frames": "5"}),
        {"frames_followed"},
    ),
    "film that ended the detector": (
        QC4,
        lambda d: track_cells(d, "", {"unsearched": "2"}),
        {"films_searched"},
    ),
    "detector not named": (
        QC4,
        lambda d: cells(d, "detect", lambda row: {"detector": ""}),
        {"metadata_complete"},
    ),
    "hardly a subject": (
        QC4,
        lambda d: (
            cells(
                d,
                "crop",
                lambda row: {"outcome": "dropped", "reason": "TOO_SMALL", "path": ""},
                where=lambda row: not row["parent"].endswith("00-d0"),
                only_first=False,
            ),
            [f.unlink() for f in d.dataset.glob(f"02_yolo_crops/{d.good[0]}/*[1-9]-p0.png")],
        ),
        {"detection_rate_per_video"},
    ),
    "scene under alpha 0": (QC5, leak, {"no_scene_under_alpha"}),
    "cut-out without alpha": (
        QC5,
        lambda d: redraw(d, "mask", lambda rgba: rgba[..., :3]),
        {"cutouts_rgba", "cutout_sizes_equal_crops"},
    ),
    "cut-out of another size": (
        QC5,
        lambda d: redraw(d, "mask", lambda rgba: rgba[:, 1:]),
        {"cutout_sizes_equal_crops"},
    ),
    "cut-out all opaque": (
        QC5,
        lambda d: redraw(d, "mask", lambda rgba: np.dstack([rgba[..., :3], rgba[..., 3] | 255])),
        {"alpha_has_both_ends"},
    ),
    "hardly a subject in the crop": (
        QC5,
        lambda d: cells(d, "mask", lambda row: {"subject_fraction": 0.001}),
        {"subject_share_within_bounds"},
    ),
    "somebody else in a cut-out": (QC5, somebody_beside, {"no_pixels_of_other_people"}),
    "masks flicker": (QC5, flicker, {"masks_steady_along_clips", "masks_do_not_flicker"}),
    "mask row of no crop": (
        QC5,
        lambda d: cells(
            d, "mask", lambda row: {"parent": "x"}, where=lambda r: r["outcome"] != "kept"
        ),
        {"mask_ledger_balances"},
    ),
    "variant missing": (
        QC6,
        lambda d: (
            [file_of(d, "augment", c).unlink() for c in ("mask_path", "path")],
            without(d, "augment", lambda row: row["item"].endswith("f000000-p0-v0")),
        ),
        {"variants_complete"},
    ),
    "subject changed by one value": (
        QC6,
        lambda d: redraw(d, "augment", dot),
        {"subject_pixels_unchanged"},
    ),
    "subject elsewhere than recorded": (
        QC6,
        lambda d: cells(d, "augment", lambda row: {"offset_x": 8}),
        {"subject_pixels_unchanged", "masks_equal_alpha"},
    ),
    "mask with a spot": (
        QC6,
        lambda d: redraw(d, "augment", thicker, "mask_path", "mask_sha256"),
        {"masks_equal_alpha"},
    ),
    "own scene by name": (
        QC6,
        lambda d: cells(d, "augment", lambda row: {"environment": d.good[0]}),
        {"no_scene_of_its_own"},
    ),
    "own scene in pixels": (QC6, leak_on_canvas, {"no_scene_pixels"}),
    "own scene around the masks": (
        QC6,
        halo,
        {"no_scene_pixels", "fringe_outside_holds_no_scene", "background_does_not_tell_the_clip"},
    ),
    "kind without weight": (
        QC6,
        lambda d: cells(d, "augment", lambda row: {"wanted_kind": "ufo", "kind": "ufo"}),
        {"no_kind_that_is_off"},
    ),
    "kind replaced": (
        QC6,
        lambda d: cells(d, "augment", lambda row: {"wanted_kind": "environment"}),
        {"kinds_replaced"},
    ),
    "recipe without seed": (
        QC6,
        lambda d: cells(d, "augment", lambda row: {"seed": ""}),
        {"recipes_complete"},
    ),
    "final image missing": (
        QC7,
        lambda d: file_of(d, "caption").unlink(),
        {"images_readable", "images_unchanged", "images_rgb_and_masks_fit"},
    ),
    "final image grey": (
        QC7,
        lambda d: d.edit(
            "final",
            "",
            lambda rows: [rows[0] | {"path": rows[0]["mask_path"], "sha256": "0"}, *rows[1:]],
        ),
        {"images_unchanged", "images_rgb_and_masks_fit", "final_agrees_with_captions"},
    ),
    "no token": (
        QC7,
        caption("a person, full body, plain navy blue background"),
        {"token_exactly_once"},
    ),
    "token twice": (
        QC7,
        caption("sks sks person, plain navy blue background"),
        {"token_exactly_once"},
    ),
    "context word": (
        QC7,
        caption("sks person in a kitchen, plain navy blue background"),
        {"no_context_word"},
    ),
    "two lines": (
        QC7,
        caption("sks person,\nplain navy blue background"),
        {"captions_one_line"},
    ),
    "too long": (
        QC7,
        caption("sks person, " + "very " * 80 + ", plain navy blue background"),
        {"captions_within_75_tokens"},
    ),
    "another background": (
        QC7,
        caption("sks person, full body, plain red background"),
        {"captions_name_their_background", "no_context_word"},  # "background" is a scene's word
    ),
    "caption from another recipe": (
        QC7,
        lambda d: cells(d, "augment", lambda row: {"background": "plain red background"}),
        {"captions_agree_with_recipes"},
    ),
    "caption changed at the end": (
        QC7,
        lambda d: d.edit("final", "", lambda rows: [rows[0] | {"framing": "other"}, *rows[1:]]),
        {"final_agrees_with_captions"},
    ),
    "final row lost": (
        QC7,
        lambda d: d.edit("final", "", lambda rows: rows[1:]),
        {"final_ledger_balances"},
    ),
    "nothing final": (
        QC7,
        lambda d: d.edit("final", "", lambda rows: []),
        {"final_ledger_balances", "some_image_is_final"},
    ),
    "cut-out redrawn after it was described": (
        QC8,
        lambda d: redraw(d, "mask", lambda rgba: rgba[:, ::-1]),
        {"embeddings_follow_from_pixels"},
    ),
    "images too small to train on": (
        QC7,
        lambda d: d.settings["package"].update(resolution=1024),
        {"image_size"},
    ),
    "embedding lost": (QC8, lambda d: cells(d, "mask", no_embedding), {"embeddings_sound"}),
}


@pytest.mark.parametrize("name", reports.NAMES)
def test_a_sound_dataset_passes(pristine, name):
    found = pristine.found[name]
    assert {check.name for check in found.values() if check.status != PASS} <= EXPECTED_WARNINGS
    assert len(found) >= 7


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_seen_by_its_check_and_no_other(data, fault):
    report, break_it, expected = FAULTS[fault]
    break_it(data)
    found = reports.run(data, report)
    seen = {name for name, check in found.items() if check.status != PASS}
    assert seen - EXPECTED_WARNINGS == expected


def test_a_fail_names_its_rows_and_closes_the_gate(data):
    leak(data)
    found = reports.run(data, QC5)["no_scene_under_alpha"]
    assert found.status == FAIL
    assert found.rows == (f"{data.good[0]}-f000000-p0",)
    with pytest.raises(QualityGateError, match=found.rows[0]):
        enforce([data.outputs(QC5).csv])


def test_quarantine_and_odd_rates_only_warn(data):
    cells(data, "probe", lambda row: {"duration_s": 60})
    found = reports.run(data, QC3)
    assert {c.name for c in found.values() if c.status == "WARN"} == {
        "fps_sane",
        "frames_quarantined",
    }
    enforce([data.outputs(QC3).csv])


def test_repeats_of_a_still_picture_are_no_reason_to_warn(data):
    drop_frames(data, 5, value=1.4, noise_change=0.9)
    assert reports.run(data, QC3)["duplicate_ratio_within_bounds"].status == PASS


def test_repeats_in_strong_noise_are_no_reason_to_warn(data):
    drop_frames(data, 4, value=4.9, noise_change=6.3)
    assert reports.run(data, QC3)["duplicate_ratio_within_bounds"].status == PASS


def test_somebody_who_sits_still_is_no_poster(data):
    """Who breathes has a box that wanders by a few pixels."""
    walker(data, step=6, boxes=lambda number: {"y1": 14.25 + 1.5 * (number % 3)})
    assert reports.run(data, QC4)["subject_moves_if_others_do"].status == PASS


def test_somebody_who_fills_the_frame_is_no_poster(data):
    """Sides on the frame's edge cannot move."""
    walker(data, step=6, boxes=lambda number: {"x1": 0.5, "x2": 159.5, "y2": 120})
    assert reports.run(data, QC4)["subject_moves_if_others_do"].status == PASS


def test_a_still_subject_beside_still_ones_says_nothing(data):
    walker(data, step=0)
    assert reports.run(data, QC4)["subject_moves_if_others_do"].status == PASS


def test_a_crop_that_repeats_another_still_shows_that_there_is_a_subject(data):
    repeat = {"outcome": "dropped", "reason": "DUPLICATE_SUBJECT", "path": "", "compared_with": "x"}
    first = data.good[0]
    cells(
        data, "crop", lambda row: repeat,
        where=lambda row: row["outcome"] == "kept" and not row["parent"].endswith("00-d0"),
        only_first=False,
    )  # fmt: skip
    for path in data.dataset.glob(f"02_yolo_crops/{first}/*[1-9]-p0.png"):
        path.unlink()
    found = reports.run(data, QC4)
    assert found["detection_rate_per_video"].status == PASS
    assert found["crop_ledger_balances"].status == PASS


def test_crops_that_a_person_dropped_still_show_that_somebody_was_found(data):
    """What a person drops is no reason to doubt the detector."""
    cells(
        data, "crop", lambda row: {"outcome": "dropped", "reason": "DROPPED_BY_REVIEW"},
        where=lambda row: row["outcome"] == "kept", only_first=False,
    )  # fmt: skip
    assert reports.run(data, QC4)["detection_rate_per_video"].status == PASS


def test_rows_set_aside_are_told_by_their_reasons(data):
    """A clip whose colours are not taken was called damaged."""
    victim = file_of(data, "extract")
    cells(data, "extract", lambda row: {"outcome": "quarantined", "reason": "HDR", "path": ""})
    victim.unlink()
    said = reports.run(data, QC3)["frames_quarantined"].explanation
    assert "1 HDR" in said and "damaged" not in said


def test_the_card_of_the_final_dataset_has_its_images_and_not_its_captions(data):
    out, clip = data.outputs(QC7), data.good[0]
    over = {"outcome": "dropped", "reason": "DUPLICATE_IMAGE"}
    data.edit(
        "final", clip, lambda rows: [{**r, **(over if r["video"] == clip else {})} for r in rows]
    )
    reports.run(data, QC7)
    rows = tables.read_table(data.final)
    kept = sum(row["outcome"] == "kept" for row in rows)
    page = data.reports / "index.html"
    build_index(reports=[out.csv], videos=[out.videos_csv], out_html=str(page))
    assert 0 < kept < len(rows)
    assert f"{kept} kept, {len(rows) - kept} refused." in page.read_text("utf-8")


def test_a_refused_caption_by_hand_is_named_with_its_problems(data):
    by_hand = {"outcome": "quarantined", "reason": "OVERRIDE_INVALID", "value": "TOKEN_MISSING"}
    cells(data, "caption", lambda row: {"caption_source": "override", **by_hand})
    found = reports.run(data, QC7)["overrides_within_the_rules"]
    assert found.status == "WARN" and len(found.rows) == 1
    assert "TOKEN_MISSING" in found.explanation


def test_kinds_out_of_proportion_fail(data):
    for video in data.good:
        data.edit(
            "augment", video, lambda rows: [row | {"wanted_kind": row["kind"]} for row in rows]
        )
    weights = {"flat": 0.01, "noise": 5, "environment": 0.01, "synthetic": 0.01}
    settings = data.settings["augment"] | {"weights": weights}
    data.settings = data.settings | {"augment": settings}
    assert reports.run(data, QC6)["kinds_in_proportion"].status == FAIL


@pytest.mark.parametrize(
    ("share", "images_", "tolerance", "bound"),
    [(0.5, 10_000, 0.15, 0.15), (0.5, 16, 0.15, 0.4426), (0.0, 50, 0.02, 0.02), (0.3, 0, 0.1, 1)],
)
def test_chance_widens_the_bound_where_images_are_few(share, images_, tolerance, bound):
    module = importlib.import_module("qc_augmented")
    assert module.allowed_deviation(share, images_, tolerance) == pytest.approx(bound, abs=1e-3)


def test_pages_are_whole_and_hold_no_way_out(pristine):
    for page in sorted(pristine.reports.glob("*.html")):
        text = page.read_text("utf-8")
        assert len(text) < 3_000_000
        assert "<script>alert" not in text and '<img src="x"' not in text
        own = re.sub(r"<script>.*?</script>", "", text, flags=re.S)  # Vega names its own sites
        assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", own)
        assert str(pristine.dataset) not in text
    assert (pristine.reports / "index.html").exists()


def test_qc0_shows_a_hostile_name_as_text(pristine):
    text = (pristine.reports / f"{QC0}.html").read_text("utf-8")
    assert "=cmd|&#34;a&#34;&#39;&lt;script&gt;alert(1)&lt;/script&gt;\\nb\\xff\\u202e.mp4" in text
    lines = (pristine.reports / f"{QC0}_videos.csv").read_text("utf-8")
    assert "\n'=cmd" not in lines and ",\"'=cmd|" in lines


def test_same_dataset_same_bytes(pristine, tmp_path):
    again = fab.Fabricated(**{**vars(pristine_fields(pristine)), "reports": tmp_path})
    for name in (QC0, IDENTITY, QC6):
        reports.run(again, name)
    for page in sorted(tmp_path.iterdir()):
        assert page.read_bytes() == (pristine.reports / page.name).read_bytes(), page.name


def pristine_fields(data):
    """A plain copy of the dataclass, without what the fixture put on top."""
    return fab.Fabricated(
        data.dataset, data.raw, data.reports, data.settings, data.videos, data.tables
    )


def test_figures_per_video_sum_to_the_ledger(pristine):
    lines = tables.read_table(pristine.outputs(QC4).videos_csv)
    assert len(lines) == len(pristine.videos)
    assert sum(int(line["kept"]) for line in lines) == 7 * len(pristine.good)
    assert all(
        int(line["considered"]) == sum(int(line[key]) for key in ("kept", "dropped", "quarantined"))
        for line in lines
    )


def test_index_says_each_status_and_the_flow(pristine):
    text = (pristine.reports / "index.html").read_text("utf-8")
    for name in reports.NAMES:
        assert f'href="{name}.html"' in text
    ledger_table = re.search(r'<table id="ledger">(.*?)</table>', text, re.S).group(1)
    rows = re.findall(r"<tr><td>(.*?)</td>(.*?)</tr>", ledger_table, re.S)
    assert [title for title, _ in rows] == [
        *("Raw videos", "Frames", "Detections", "Crops", "Cut-outs", "Augmented images"),
        *("Captions", "Final images"),
    ]
    frames = re.findall(r'<td class="num">([\d,]+)</td>', rows[1][1])
    assert frames == ["30", "24", "3", "3"]


def test_refused_clips_are_named_by_qc0_and_first_on_the_index(pristine):
    check = pristine.found[QC0]["clips_refused"]
    assert (check.status, check.figure, len(check.rows)) == ("WARN", "2 of 5", 2)
    assert "tiny.mp4: probe.min_short_side: 144 takes it as it is" in check.explanation
    text = (pristine.reports / "index.html").read_text("utf-8")
    assert text.index("Clips refused: 2 of 5") < text.index("The ledger")
    assert "tiny.mp4" in text and "probe.min_short_side: 144 takes it" in text


def test_where_no_clip_was_refused_nothing_is_said(data):
    for video in set(data.videos) - set(data.good):
        cells_of(data, video, {"outcome": "kept", "reason": "OK", "path": ""})
    check = reports.run(data, QC0)["clips_refused"]
    assert (check.status, check.figure) == ("PASS", "0 of 5")


def test_one_line_tells_of_a_clip_that_is_gone(data):
    for folder in ("01_extracted_frames", "02_yolo_crops", "03_masked_subjects"):
        (data.dataset / folder / "gone-0123456789").mkdir()
    found = {name: reports.run(data, name) for name in reports.NAMES}
    named = [c.name for checks in found.values() for c in checks.values() if "gone-" in str(c.rows)]
    assert named == ["clips_gone"]
    reports.run_index(data)
    text = (data.reports / "index.html").read_text("utf-8")
    assert (
        "Clips that are gone, of which files are left in the dataset: 1 (gone-0123456789)" in text
    )


def test_a_flicker_is_shown_between_its_neighbours_with_a_picture_each(data, monkeypatch):
    pages = []
    monkeypatch.setattr(report_page, "page", lambda report: pages.append(report) or "")
    flicker(data)
    assert reports.run(data, QC5)["masks_do_not_flicker"].status == "WARN"
    (gallery,) = [one for one in pages[0].galleries if one.title == "Flicker"]
    assert [thumb.reason for thumb in gallery.thumbs[:3]] == ["before", "FLICKER", "after"]
    assert all(thumb.uri.startswith("data:image/webp") for thumb in gallery.thumbs)
    assert "bound" in gallery.thumbs[1].detail and not gallery.thumbs[0].detail


def test_groups_as_far_apart_as_two_people_are_shown_with_a_picture_each(data, monkeypatch):
    pages = []
    monkeypatch.setattr(report_page, "page", lambda report: pages.append(report) or "")
    monkeypatch.setattr(looks_apart, "LEAST", 1)
    data.settings["qc"]["two_people"] = 0.5
    check = reports.run(data, QC8)["groups_as_far_apart_as_two_people"]
    assert check.status == "WARN" and int(check.figure.split()[0]) == len(check.rows) >= 2
    (gallery,) = [one for one in pages[0].galleries if "two people" in one.title]
    assert [thumb.item for thumb in gallery.thumbs] == list(check.rows)
    assert all(thumb.uri.startswith("data:image/webp") for thumb in gallery.thumbs)


def test_what_a_set_that_is_too_small_needs_is_said(data):
    data.settings["package"]["resolution"] = 1024
    check = reports.run(data, QC7)["image_size"]
    assert check.figure == "72 of 72 have fewer pixels than 1024 x 1024; median 112 x 140 px"
    assert "Set package.resolution: 64," in check.explanation


def test_the_index_begins_with_packages_of_an_older_set(data):
    out = data.outputs(QC7)
    reports.run(data, QC7)
    said = "imagefolder: of an earlier run (token <b>), not made any more"
    page = data.reports / "index.html"
    build_index(
        reports=[out.csv],
        videos=[out.videos_csv],
        out_html=str(page),
        older_packages=[said],
    )
    text = page.read_text("utf-8")
    assert text.index(html.escape(said)) < text.index("The ledger") and "<b>" not in text


def test_the_index_names_sound_clips_that_gave_no_image_and_says_why(data):
    """Their images were all refused at last: no clip is, and nothing else said it."""
    clip, out = data.good[0], data.outputs(QC0)
    cells = {"outcome": "dropped", "reason": "DUPLICATE_IMAGE"}
    data.edit(
        "final", clip, lambda rows: [{**r, **(cells if r["video"] == clip else {})} for r in rows]
    )
    reports.run(data, QC0)
    page = data.reports / "index.html"
    build_index(
        reports=[out.csv],
        videos=[out.videos_csv],
        out_html=str(page),
        dataset=str(data.dataset),
    )
    text = html.unescape(page.read_text("utf-8"))
    assert "Clips without an image, though their files are sound: 1 of" in text
    (row,) = tables.read_table(data.table("probe", clip))
    file = row["file"]
    assert f"1 DUPLICATE_IMAGE ({file}): {sentence('DUPLICATE_IMAGE')}" in text


def cells_of(data, video, cells):
    data.edit("probe", video, lambda rows: [{**row, **cells} for row in rows])


def test_refused_pictures_are_embedded(pristine):
    text = (pristine.reports / f"{QC5}.html").read_text("utf-8")
    refused = text[text.index('id="refused"') : text.index('id="samples"')]
    uris = re.findall(r'src="data:image/webp;base64,([^"]+)"', refused)
    assert len(uris) == 3 and refused.count("EMPTY_MASK") >= 3
    assert html.unescape(refused).count(sentence("EMPTY_MASK")) == 3
    assert Image.open(io.BytesIO(base64.b64decode(uris[0]))).size == (80, 108)


def test_reports_of_an_empty_run(tmp_path):
    data = fab.Fabricated(
        tmp_path / "dataset", tmp_path / "raw", tmp_path / "qc", _defaults(), {}, {}
    )
    data.raw.mkdir()
    data.tables = {stage: [] for stage in (*COLUMNS, "tracks", "identity")}
    tables.write_stage(Path(data.final), "final", [])
    fab.nobody_yet(data)
    found = {name: reports.run(data, name) for name in reports.NAMES}
    reports.run_index(data)
    failed = {c.name for checks in found.values() for c in checks.values() if c.status == FAIL}
    assert failed == {"some_video_is_usable", "some_frame_is_kept", "some_image_is_final"}


def _defaults():
    return fab.yaml.safe_load(Path("config/config.yaml").read_text("utf-8"))


def test_neighbours_are_frames_apart_whichever_detection_was_the_subject():
    module = importlib.import_module("qc_masked_subjects")
    half = np.zeros((100, 50), np.uint8)
    half[:50] = 255
    whole = np.full((100, 50), 255, np.uint8)
    grids = [module.frame_grid(a, (0, 0, 50, 100, 100, 100)) for a in (whole, half, whole, whole)]
    kept = fab_frame(["v-f000001-p0", "v-f000002-p3", "v-f000003-p0", "w-f000001-p0"])
    pairs = module.neighbours(kept, fab_frame([], grid=grids))
    assert pairs["item"].tolist() == ["v-f000002-p3", "v-f000003-p0"]  # none across clips
    assert pairs["iou"].tolist() == pytest.approx([0.5, 0.5], abs=0.03)
    assert pairs["growth"].tolist() == pytest.approx([2, 2], abs=0.1)


def fab_frame(items, **columns):
    """A frame of items (the clip is their first letter), or of other columns."""
    named = {"video": [item[0] for item in items], "item": items} if items else columns
    return pd.DataFrame(named)
