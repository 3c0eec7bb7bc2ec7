"""The pipeline on two real people (FERRARI_SHARED): who is in the set, and who is not.

A man is in six clips and a woman in four. References are frames of one clip of each, at twice their
size; the crops that count are those of all clips. Takes minutes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import av
import cv2
import pytest
import yaml

from ferrari.ledger import item_ids, stages, tables
from ferrari.subject import sightings_file, template_file
from tests.shared import SHARED, shared
from tests.workflow.demo_run import Demo

pytestmark = [pytest.mark.real, pytest.mark.timeout(3600)]
MAN = ("again", "brother", "help", "no", "student", "yes")
WOMAN = ("book", "learn", "school", "walk")
FACES = {"yunet": "face_detection_yunet_2023mar_int8bq.onnx"}
FACES |= {"sface": "face_recognition_sface_2021dec_int8bq.onnx"}
CLUSTER = {"mode": "cluster", "voting_clips": 24}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Demo:
    """The clips, both folders of pictures, and the weights; nothing done yet."""
    shared("media/people")
    folder = tmp_path_factory.mktemp("identity")
    for name, file in FACES.items():
        place = folder / "cache/weights" / name / file
        place.parent.mkdir(parents=True)
        place.symlink_to(SHARED / "weights/face" / file)
    raw = folder / "dataset/00_raw_videos"
    raw.mkdir(parents=True)
    for clip in (*MAN, *WOMAN):
        (raw / f"{clip}.mkv").symlink_to(SHARED / f"media/people/asl__{clip}.mkv")
    for who, clip in (("man", MAN[0]), ("woman", WOMAN[0])):
        pictures(raw / f"{clip}.mkv", folder / who)
    weights = SHARED / "weights"
    overlay = {
        "detect": {"weights": str(weights / "yolo11n_int8_openvino_model")},
        "mask": {"weights": str(weights / "isnet-general-use.fp16.onnx")},
        "augment": {"variants": 1},
    }
    (folder / "base.yaml").write_text(yaml.safe_dump(overlay))
    return Demo(folder, config=folder / "base.yaml")


def pictures(clip: Path, folder: Path) -> None:
    """Every twelfth frame of a clip, at twice its size."""
    folder.mkdir()
    with av.open(os.fspath(clip)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % 12 == 3:
                picture = cv2.resize(frame.to_ndarray(format="bgr24"), None, fx=2, fy=2)
                cv2.imwrite(str(folder / f"{number:03d}.png"), picture)


def fates(run: Demo, clips: tuple[str, ...]) -> Counter[str]:
    """How many detections in these clips have which fate."""
    found: Counter[str] = Counter()
    for clip in clips:
        path = run.dataset / stages.table("crop", item_ids.video_id(f"{clip}.mkv"))
        found.update(row["reason"] for row in tables.read_stage(path, "crop"))
    return found


def cropped(run: Demo, subject: dict) -> dict:
    """Run up to the crops; what was said of the subject."""
    # One after the other: behind a rule that `--until` names, Snakemake runs nothing more.
    for rule in ("crop", "who"):
        run.run("--cores", "2", "--until", rule, overlay={"subject": subject})
    return json.loads((run.dataset / stages.WHO_JSON).read_text())


@pytest.mark.parametrize(("subject", "own", "others"), [("man", MAN, WOMAN), ("woman", WOMAN, MAN)])
def test_one_of_two_people_is_in_the_set_and_the_other_is_not(run, subject, own, others):
    other = {"man": "woman", "woman": "man"}[subject]
    said = cropped(run, {"mode": "references", "references": subject, "not": other})
    assert said["named"]
    mine, theirs = fates(run, own), fates(run, others)
    whole = sum(mine.values()) - mine["TOO_SMALL"]
    assert mine["OK"] >= 0.9 * whole and not mine["NOT_SUBJECT"]
    assert theirs["OK"] == 0 and theirs["NOT_SUBJECT"] > 0.9 * (
        sum(theirs.values()) - theirs["TOO_SMALL"]
    )


def test_without_references_it_is_whom_most_clips_show(run):
    said = cropped(run, CLUSTER)
    assert said["named"] and "6 of 10 voting clips" in said["said"]
    assert fates(run, WOMAN)["OK"] == 0 and fates(run, MAN)["NOT_SUBJECT"] == 0
    people = tables.read_table(run.dataset / stages.PEOPLE_CSV)
    assert [(row["clips"], row["subject"]) for row in people] == [("6", "1"), ("4", "0")]


def test_two_people_equally_often_are_not_guessed(run, tmp_path):
    copy = Demo(tmp_path / "run", config=run.config)
    shutil.copytree(run.folder / "cache", copy.folder / "cache", symlinks=True)
    raw = copy.dataset / "00_raw_videos"
    raw.mkdir(parents=True)
    for clip in (*MAN[:2], *WOMAN[:2]):
        (raw / f"{clip}.mkv").symlink_to(SHARED / f"media/people/asl__{clip}.mkv")
    said = cropped(copy, CLUSTER)
    assert not said["named"] and said["why"] == "no_majority"
    assert set(fates(copy, (*MAN[:2], *WOMAN[:2]))) <= {"UNSURE_WHO", "TOO_SMALL"}


def test_in_single_nobody_is_judged_and_the_sample_tells_of_two(run):
    said = cropped(run, {"mode": "single", "voting_clips": 10})
    assert not said["named"] and "people: 2" in said["said"]
    assert set(fates(run, (*MAN, *WOMAN))) <= {"OK", "NOT_TARGET", "TOO_SMALL", "DUPLICATE_SUBJECT"}
    assert fates(run, WOMAN)["OK"] > 0


def test_embeddings_lie_in_the_folder_of_the_subject_alone(run):
    """Not in tables, packages, pages or descriptions, as the bytes of a number or as its digits."""
    subject = {"mode": "references", "references": "man", "not": "woman"}
    run.run("--cores", "2", overlay={"subject": subject, "qc": {"enforce": False}})
    known = [template_file.read(run.dataset / stages.WHO_NPZ).members[0]]
    for path in sorted((run.dataset / stages.SIGHTINGS).glob("*.npz")):
        known.append(sightings_file.read(path).sightings.faces.embeddings[0])
    marks = [row[:4].astype(kind).tobytes() for row in known for kind in ("<f4", "<f8")]
    marks += [f"{abs(row[5]):.7f}".encode() for row in known]
    held = [
        path.relative_to(run.folder).as_posix()
        for path in sorted(run.folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and "cache" not in path.parts
        and any(mark in path.read_bytes() for mark in marks)
    ]  # fmt: skip
    assert held and all(path.endswith(".npz") for path in held)
    assert {Path(path).parent.as_posix() for path in held} <= {
        "dataset/subject", f"dataset/{stages.SIGHTINGS}"
    }  # fmt: skip
