"""A small dataset with all stages' tables and files, drawn, not computed, for tests of the reports.

Sound as it stands: every report on it passes. A test breaks one thing and looks for the check
that must see it. Three usable clips, one of low resolution, one corrupt with a hostile name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import yaml

from ferrari.common.atomic_files import sha256_bytes, sha256_file
from ferrari.curation.embeddings import described
from ferrari.images import image_files
from ferrari.images.boxes import subject_box
from ferrari.ledger import tables as ledger_tables
from ferrari.ledger.columns import COLUMNS, DROPPED, KEPT, QUARANTINED
from ferrari.ledger.item_ids import (
    crop_item,
    detection_item,
    frame_item,
    variant_item,
    video_id,
)
from ferrari.reports.page import ReportFiles
from ferrari.subject import answer_file, clip_table, judgements
from ferrari.subject.identity_table import IdentityRow
from ferrari.subject.track_table import TrackRow

FRAME_WH, CROP = (160, 120), (40, 10, 120, 118)  # crop: x1, y1, x2, y2
FRAMES, VARIANTS = 8, 4
GOOD = ("anna walks.mp4", "garden/bert.mkv", "Çelik.mov")
HOSTILE = '=cmd|"a"\'<script>alert(1)</script>\nb\udcff\u202e.mp4'
LOW = "tiny.mp4"
SUBJECT = {"token": "sks", "class": "person"}
KINDS = ("flat", "noise", "environment", "synthetic")
PHRASES = {
    "flat": "plain navy blue background",
    "noise": "grainy red background",
    "environment": "blurred background",
    "synthetic": "smooth teal gradient background",
}
COLOURS = {"flat": ("navy blue", "#182258"), "noise": ("red", "#d41e26")} | {
    "synthetic": ("teal", "#107678")
}


@dataclass
class Fabricated:
    """Where everything lies. `tables[stage]` are the per-video tables, in order of video."""

    dataset: Path
    raw: Path
    reports: Path
    settings: dict
    videos: dict[str, str]
    tables: dict[str, list[str]] = field(default_factory=dict)

    @property
    def final(self) -> str:
        """Path of final.csv."""
        return str(self.dataset / "05_final_training" / "final.csv")

    @property
    def references(self) -> Path:
        """The folder with pictures of the subject."""
        return self.dataset.parent / "references"

    def of_the_set(self, name: str) -> Path:
        """A file that says who the subject is."""
        return self.dataset / "subject" / name

    @property
    def good(self) -> list[str]:
        """Ids of the clips that are usable."""
        return [video_id(name) for name in GOOD]

    def table(self, stage: str, video: str) -> str:
        """Path of one table."""
        return next(path for path in self.tables[stage] if Path(path).stem == video)

    def edit(self, stage: str, video: str, change) -> None:
        """Rewrite a table with `change(rows) -> rows` (rows are dictionaries of strings)."""
        path = self.final if stage == "final" else self.table(stage, video)
        ledger_tables.write_table(path, COLUMNS[stage], change(ledger_tables.read_table(path)))

    def outputs(self, name: str) -> ReportFiles:
        """The files of a report."""
        endings = (".csv", "_videos.csv", ".html")
        return ReportFiles(*(str(self.reports / f"{name}{ending}") for ending in endings))


def fabricate(root: Path) -> Fabricated:
    """Write the dataset below `root`."""
    settings = yaml.safe_load(Path("config/config.yaml").read_text("utf-8"))
    settings["package"]["resolution"] = 96  # what its small images are large enough for
    names = (*GOOD, LOW, HOSTILE)
    data = Fabricated(
        dataset=root / "dataset",
        raw=root / "raw",
        reports=root / "qc_reports",
        settings=settings,
        videos={video_id(name): name for name in sorted(names, key=video_id)},
    )
    for name in names:
        path = data.raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape") * 50)
    final = []
    for video, name in data.videos.items():
        final += _video(data, video, name)
    ledger_tables.write_stage(data.final, "final", final)
    _write_references(data)
    write_who(data, "4 of 4 pictures can be used")
    return data


def _video(data: Fabricated, video: str, name: str) -> list[ledger_tables.Row]:
    rng = np.random.default_rng(int(video[-10:], 16))
    good = name in GOOD
    probe = _probe(data, video, name, good)
    _write(data, "probe", "videos", video, [probe])
    frames = _frames(data, video, rng) if good else []
    _write(data, "extract", "01_extracted_frames", video, frames)
    detections = _detections(frames)
    _write(data, "detect", "subject/detections", video, detections)
    _write_tracks(data, video, frames, detections)
    crops = _crops(data, video, frames, detections)
    _write(data, "crop", "02_yolo_crops", video, crops)
    _write_identity(data, video, crops)
    cutouts = _cutouts(data, video, crops, rng)
    _write(data, "mask", "03_masked_subjects", video, cutouts)
    variants = _variants(data, video, cutouts, rng)
    _write(data, "augment", "04_augmented", video, variants)
    (data.dataset / "04_augmented" / video / "mask").mkdir(exist_ok=True)
    captions = [_caption(line) for line in variants]
    _write(data, "caption", "05_final_training/captions", video, captions)
    return [_final(line, video) for line in captions]


def _write(data: Fabricated, stage: str, folder: str, video: str, rows: list) -> None:
    path = data.dataset / folder / f"{video}.csv"
    images = path.parent if stage == "detect" else path.with_suffix("")
    images.mkdir(parents=True, exist_ok=True)
    ledger_tables.write_stage(path, stage, rows)
    data.tables.setdefault(stage, []).append(str(path))


def _probe(data: Fabricated, video: str, name: str, good: bool) -> ledger_tables.Row:
    raw = data.raw / name
    reason = "OK" if good else {LOW: "LOW_RESOLUTION"}.get(name, "CORRUPT_CONTAINER")
    facts = {"container": "mp4", "codec": "h264", "width": 1280, "height": 720, "fps": 25}
    facts |= {"duration_s": 5.2, "bitrate_kbps": 1500 + len(name) * 40, "largest_gap_s": 0.04}
    if name == LOW:
        facts |= {"width": 176, "height": 144, "bitrate_kbps": 90}
    if reason == "CORRUPT_CONTAINER":
        facts = {"detail": 'no moov atom </script><img src="x">'}
    where = ""
    if not good:
        where = f"bad_videos/{reason}/{video}.mp4"
        (data.dataset / where).parent.mkdir(parents=True, exist_ok=True)
        (data.dataset / where).write_bytes(raw.read_bytes())
    return ledger_tables.row(
        "probe",
        item=video,
        parent=name,
        outcome=KEPT if good else QUARANTINED,
        reason=reason,
        value=144 if name == LOW else "",
        threshold=480 if name == LOW else "",
        path=where,
        sha256=sha256_file(raw),
        file=name,
        bytes=raw.stat().st_size,
        **facts,
    )


def scene(rng: np.random.Generator, wh: tuple[int, int]) -> np.ndarray:
    """HxWx3 uint8: a sky, a ground and some texture."""
    width, height = wh
    ramp = np.linspace(0, 1, height)[:, None, None] * np.array([-60, 20, 40])
    grain = rng.normal(0, 9, (height, width, 3))
    return np.clip(rng.integers(90, 170, 3) + ramp + grain, 0, 255).astype(np.uint8)


def figure(wh: tuple[int, int], centre: float) -> np.ndarray:
    """HxW uint8 alpha of a head on a body with a soft edge; `centre` as a share of the width."""
    y, x = np.mgrid[0 : wh[1], 0 : wh[0]].astype(float)
    middle = centre * wh[0]
    head = np.hypot(x - middle, y - 0.26 * wh[1]) - 0.13 * wh[1]
    body = np.hypot((x - middle) / 0.26, (y - 0.78 * wh[1]) / 0.42) - 0.9 * wh[1]
    away = np.minimum(head, body * 0.26)
    return np.clip(128 - away * 90, 0, 255).astype(np.uint8)


def _frames(data: Fabricated, video: str, rng: np.random.Generator) -> list[ledger_tables.Row]:
    rows = []
    backdrop = scene(rng, FRAME_WH)
    for index in range(FRAMES + 2):
        item = frame_item(video, index)
        facts = {"time_s": index * 0.5, "pts": index * 512, "frame": index * 12}
        facts |= {"decoder": "pyav-cpu", "decode_errors": 0, "frames_decoded": 130}
        measured = {"value": round(float(rng.uniform(2, 14)), 4), "threshold": 1.5}
        if index == 3:
            measured["value"] = 0.4
            outcome, reason, where, digest = DROPPED, "DUPLICATE_FRAME", "", ""
        else:
            frame = backdrop.copy()
            alpha = figure((80, 108), 0.5 + 0.01 * index)[..., None] / 255
            skin = np.array([200, 150 + 5 * index, 110])
            window = frame[10:118, 40:120]
            window[:] = (alpha * skin + (1 - alpha) * window).astype(np.uint8)
            encoded = image_files.encode_webp(frame, 92)
            bad = index == 6
            folder = f"bad_frames/{video}/DECODE_DAMAGE" if bad else f"01_extracted_frames/{video}"
            outcome = QUARANTINED if bad else KEPT
            reason = "DECODE_DAMAGE" if bad else "OK"
            where, digest = f"{folder}/{item}.webp", save(data, f"{folder}/{item}.webp", encoded)
            if not bad:
                facts |= {"sharpness": round(float(rng.lognormal(5, 0.5)), 3)}
                facts |= {"width": FRAME_WH[0], "height": FRAME_WH[1]}
        rows.append(
            ledger_tables.row(
                "extract",
                item=item,
                parent=video,
                outcome=outcome,
                reason=reason,
                path=where,
                sha256=digest,
                **measured,
                **facts,
            )
        )
    return rows


def save(data: Fabricated, path: str, encoded: bytes) -> str:
    """Write an image below the dataset; its SHA-256."""
    target = data.dataset / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(encoded)
    return sha256_bytes(encoded)


def _write_tracks(data: Fabricated, video: str, frames: list, detections: list) -> None:
    """One person, who is there from the first frame to the last."""
    path = data.dataset / f"subject/tracks/{video}.csv"
    times = [line["time_s"] for line in frames if line["outcome"] == KEPT]
    kept = sum(line["outcome"] == KEPT for line in detections)
    known = ("end", 2.4, 0.1, 0.7, 0.95)
    track = TrackRow(0, times[0], times[-1], kept, kept, *known) if kept else None
    span = (times[0], times[-1]) if times else (None, None)
    clip = TrackRow(None, *span, len(times), len(times), consistency=0.95, unsearched=0)
    clip_table.write(path, clip, [track] if track else [])
    data.tables.setdefault("tracks", []).append(str(path))


#: What a face in each frame says of the one person.
KNOWN = {"identity_by": judgements.FACE, "identity_why": judgements.LIKE_SUBJECT}
ABOVE, BELOW = 0.45, 0.36


def _write_identity(data: Fabricated, video: str, crops: list) -> None:
    """The one person is the subject, by a face in each frame."""
    count = len(crops)
    faces = {"faces": count, "faces_seen": count, "frames": count}
    track = IdentityRow(
        **{"track": 0, "linked_track": 0, "who": judgements.SUBJECT, "by": judgements.FACE},
        **{"why": judgements.LIKE_SUBJECT, "score": 0.71, "threshold": ABOVE, "sureness": 1.0},
        **{"from_s": 0.0, "to_s": 4.5, "face_px": 72.0},
        **faces,
    )
    path = data.dataset / f"subject/identity/{video}.csv"
    clip = IdentityRow(None, "references", **faces)
    clip_table.write(path, clip, [track] if count else [])
    data.tables.setdefault("identity", []).append(str(path))


REFERENCES = ("setting", "file", "sha256", "outcome", "reason", "value", "threshold", "detail")
PEOPLE = ("person", "clips", "tracks", "subject")


def _write_references(data: Fabricated) -> None:
    """Four pictures of the subject that agree with each other."""
    rng = np.random.default_rng(1)
    rows = []
    for number in range(4):
        path = data.references / f"side {number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(image_files.encode_png(scene(rng, (120, 160))))
        row = {"setting": "subject.references", "file": path.name, "sha256": sha256_file(path)}
        row |= {"outcome": KEPT, "reason": "", "value": 0.6 + number / 20, "threshold": ABOVE}
        row |= {"detail": ""}
        rows.append(row)
    ledger_tables.write_table(data.of_the_set("references.csv"), REFERENCES, rows)
    ledger_tables.write_table(data.of_the_set("people.csv"), PEOPLE, [])


def nobody_yet(data: Fabricated) -> None:
    """Who the subject is, in a dataset without clips."""
    ledger_tables.write_table(data.of_the_set("references.csv"), REFERENCES, [])
    ledger_tables.write_table(data.of_the_set("people.csv"), PEOPLE, [])
    write_who(data, "no voting clip shows a face that can be judged", named=False)


def write_who(data: Fabricated, said: str, **changes: object) -> None:
    """Write what is said of who the subject is."""
    told = answer_file.Told(mode="references", named=True, said=said)
    answer_file.write(data.of_the_set("who.json"), replace(told, **changes))


def _detections(frames: list[ledger_tables.Row]) -> list[ledger_tables.Row]:
    left, top, right, bottom = CROP
    box = {"x1": left + 6.5, "y1": top + 4.25, "x2": right - 6.5, "y2": bottom - 2.0}
    size = {"frame_width": FRAME_WH[0], "frame_height": FRAME_WH[1]}
    about = {"detector": "demo", "weights_sha256": "0" * 64, "device": "cpu", **size}
    rows = []
    for number, frame in enumerate(line for line in frames if line["outcome"] == KEPT):
        item, fields = (
            detection_item(frame["item"], 0),
            {"outcome": KEPT, "class_name": "person", "track": 0},
        )
        fields |= {"confidence": round(0.6 + 0.04 * number, 4), **box}
        if number == 1:
            item, fields = frame["item"], {"outcome": DROPPED, "reason": "NO_SUBJECT"}
            fields |= {"value": 0.12, "threshold": 0.35}
        rows.append(ledger_tables.row("detect", item=item, parent=frame["item"], **fields, **about))
    return rows


def _crops(data: Fabricated, video: str, frames: list, detections: list) -> list[ledger_tables.Row]:
    paths = {frame["item"]: frame["path"] for frame in frames}
    rows = []
    for found in (line for line in detections if line["outcome"] == KEPT):
        item = crop_item(found["parent"], 0)
        left, top, right, bottom = CROP
        pixels = image_files.read(data.dataset / paths[found["parent"]])[top:bottom, left:right]
        path = f"02_yolo_crops/{video}/{item}.png"
        told = ("confidence", "class_name", "x1", "y1", "x2", "y2", "frame_width", "frame_height")
        rows.append(
            ledger_tables.row(
                "crop",
                item=item,
                parent=found["item"],
                outcome=KEPT,
                reason="OK",
                path=path,
                sha256=save(data, path, image_files.encode_png(pixels)),
                **{name: found[name] for name in told},
                **{"track": 0, "identity_score": 0.7, "sureness": 1.0, **KNOWN},
                **dict(zip(("crop_x1", "crop_y1", "crop_x2", "crop_y2"), CROP, strict=True)),
            )
        )
    return rows


def _cutouts(data: Fabricated, video: str, crops: list, rng) -> list[ledger_tables.Row]:
    rows = []
    for number, crop in enumerate(line for line in crops if line["outcome"] == KEPT):
        common = {"item": crop["item"], "parent": crop["item"], "segmenter": "demo"}
        if number == 2:
            rows.append(
                ledger_tables.row(
                    "mask",
                    outcome=QUARANTINED,
                    reason="EMPTY_MASK",
                    value=0.004,
                    threshold=0.02,
                    subject_fraction=0.004,
                    **common,
                )
            )
            continue
        pixels = image_files.read(data.dataset / crop["path"])
        height, width = pixels.shape[:2]
        alpha = figure((width, height), 0.5 + 0.01 * number)
        # At its edge a cut-out holds the subject's own colour, not that of the scene behind it.
        colour = np.where((alpha == 255)[..., None], pixels, pixels[height * 3 // 4, width // 2])
        rgba = np.dstack([np.where(alpha[..., None] > 0, colour, 0), alpha]).astype(np.uint8)
        path = f"03_masked_subjects/{video}/{crop['item']}.png"
        rows.append(
            ledger_tables.row(
                "mask",
                outcome=KEPT,
                reason="OK",
                path=path,
                sha256=save(data, path, image_files.encode_png(rgba)),
                width=width,
                height=height,
                subject_fraction=round(float(alpha.mean() / 255), 4),
                edge_fraction=round(float(((alpha > 0) & (alpha < 255)).mean()), 4),
                weights_sha256="0" * 64,
                device="cpu",
                **described(rgba, subject_box(alpha)),
                **common,
            )
        )
    return rows


def _variants(data: Fabricated, video: str, cutouts: list, rng) -> list[ledger_tables.Row]:
    rows = []
    other = next(one for one in data.good if one != video)
    for number, cutout in enumerate(line for line in cutouts if line["outcome"] == KEPT):
        rgba = image_files.read(data.dataset / cutout["path"])
        for variant in range(VARIANTS):
            kind = KINDS[(number + variant) % 4] if variant else "flat"
            name, colour = COLOURS.get(kind, ("", ""))
            item = variant_item(cutout["item"], variant)
            width, height, left, top = 112, 140, 9 + variant, 20
            canvas = _background(rng, kind, colour, (width, height))
            mask = np.zeros((height, width), np.uint8)
            window = (slice(top, top + rgba.shape[0]), slice(left, left + rgba.shape[1]))
            alpha = rgba[..., 3:].astype(int)
            mixed = (alpha * rgba[..., :3] + (255 - alpha) * canvas[window] + 127) // 255
            canvas[window], mask[window] = mixed, rgba[..., 3]
            path, mask_path = (f"04_augmented/{video}/{sub}{item}.png" for sub in ("", "mask/"))
            rows.append(
                ledger_tables.row(
                    "augment",
                    item=item,
                    parent=cutout["item"],
                    outcome=KEPT,
                    reason="OK",
                    path=path,
                    sha256=save(data, path, image_files.encode_png(canvas)),
                    variant=variant,
                    kind=kind,
                    wanted_kind=kind,
                    colour_name=name,
                    colour_rgb=colour,
                    seed=1234 + variant,
                    environment=other if kind == "environment" else "",
                    environment_sha256="1" * 64 if kind == "environment" else "",
                    width=width,
                    height=height,
                    offset_x=left,
                    offset_y=top,
                    scale=0.8,
                    background=PHRASES[kind],
                    mask_path=mask_path,
                    mask_sha256=save(data, mask_path, image_files.encode_png(mask)),
                )
            )
    return rows


def _background(rng, kind: str, colour: str, wh: tuple[int, int]) -> np.ndarray:
    if kind == "environment":
        return scene(rng, wh)
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    base = np.broadcast_to(rgb, (wh[1], wh[0], 3)).astype(float)
    if kind == "noise":
        base = base + rng.normal(0, 20, base.shape)
    if kind == "synthetic":
        base = base + np.linspace(-50, 50, wh[1])[:, None, None]
    return np.clip(base, 0, 255).astype(np.uint8)


def _caption(line: ledger_tables.Row) -> ledger_tables.Row:
    framing = "upper body" if str(line["item"])[-1] in "01" else "full body"
    shared = ("path", "sha256", "kind", "background", "mask_path", "mask_sha256", "width", "height")
    return ledger_tables.row(
        "caption",
        item=line["item"],
        parent=line["item"],
        outcome=KEPT,
        reason="OK",
        caption=f"sks person, {framing}, {line['background']}",
        caption_source="template",
        framing=framing,
        clip_tokens=9,
        **{name: line[name] for name in shared},
    )


def _final(line: ledger_tables.Row, video: str) -> ledger_tables.Row:
    shared = [name for name in COLUMNS["final"] if name in COLUMNS["caption"]]
    known = {"side": "middle", "light": "medium", "split": "train"}
    return ledger_tables.row("final", video=video, **{name: line[name] for name in shared}, **known)
