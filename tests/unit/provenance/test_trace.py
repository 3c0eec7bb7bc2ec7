"""Traces over a made-up dataset: what is found, by which name, how it is told, and how fast."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from ferrari.common import settings
from ferrari.ledger import tables
from ferrari.ledger.columns import COLUMNS
from ferrari.ledger.item_ids import Item, parse, video_id
from ferrari.ledger.reason_words import advice, sentence
from ferrari.ledger.stages import FINAL_CSV
from ferrari.provenance import trace_facts, trace_text
from ferrari.provenance.trace import Dataset, UnknownItemError
from ferrari.provenance.trace_text import render
from tests.settings import ENVIRONMENT
from tests.unit.large_dataset import PACKAGES, write_tables
from tools.trace_item import main, open_dataset

ROOT = Path(__file__).parents[3]
FRAMES = 5


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A working folder with three clips' tables, and their raw files."""
    folder = tmp_path_factory.mktemp("work")
    raw = folder / "dataset/00_raw_videos"
    raw.mkdir(parents=True)
    for file in write_tables(folder / "dataset", clips=3, frames=FRAMES).values():
        (raw / file).write_text("raw")
    return folder


@pytest.fixture
def dataset(work):
    return Dataset(work / "dataset", work / "dataset/00_raw_videos")


VIDEO = video_id("clip 0001.mp4")
FRAME, FOUND, CROP = (f"{VIDEO}-f000003{end}" for end in ("", "-d0", "-p0"))
IMAGE = f"{CROP}-v2"


def test_where_the_subject_faces_is_said_once(dataset):
    """It was `facingfacing left`."""
    step = next(step for step in dataset.trace(IMAGE).steps if step.stage == "caption")
    step.row |= {"facing": "facing left", "caption": "sks man, half body, facing left"}
    facts = dict(trace_facts.step_facts(step, dataset.trace(IMAGE)))
    assert "; facing left from the detector; background" in facts["because"]


@pytest.mark.parametrize(
    ("text", "item"),
    [
        (FRAME, Item(VIDEO, FRAME)),
        (FOUND, Item(VIDEO, FRAME, FOUND)),
        (CROP, Item(VIDEO, FRAME, FOUND, CROP)),
        (IMAGE, Item(VIDEO, FRAME, FOUND, CROP, IMAGE)),
        (
            f"{VIDEO}-f1234567-p10-v11",
            Item(VIDEO, *(f"{VIDEO}-f1234567{end}" for end in ("", "-d10", "-p10", "-p10-v11"))),
        ),
        (f"{VIDEO}-lost002", Item(VIDEO, f"{VIDEO}-lost002")),
        (VIDEO, None),
        (f"{FRAME}-v1", None),
        (f"{FOUND}-v1", None),
        ("../../etc/passwd", None),
    ],
)
def test_ids_tell_their_ancestry(text, item):
    assert parse(text) == item


@pytest.mark.parametrize(
    ("asked", "item"),
    [
        (IMAGE, IMAGE),
        (CROP, CROP),
        (FOUND, FOUND),
        (FRAME, FRAME),
        (VIDEO, VIDEO),
        ("clip 0001.mp4", VIDEO),
        ("{work}/dataset/00_raw_videos/clip 0001.mp4", VIDEO),
        (f"dataset/04_augmented/{VIDEO}/mask/{IMAGE}.png", IMAGE),
        (f"{IMAGE}.txt", IMAGE),
        (f"{IMAGE}_0512x0512_sdxl.npz", IMAGE),
        (f"{FRAME}.webp", FRAME),
        (f"bad_videos/LOW_RESOLUTION/{VIDEO}.mp4", VIDEO),
    ],
)
def test_an_item_goes_by_its_id_and_by_its_files_names(work, dataset, asked, item):
    assert dataset.trace(asked.format(work=work)).item == item


def test_an_image_is_walked_back_to_its_raw_file(dataset):
    trace = dataset.trace(IMAGE)
    assert [step.stage for step in trace.steps] == [
        *("probe", "extract", "detect", "crop", "mask", "augment", "caption", "final"),
    ]
    walked = [VIDEO, FRAME, FOUND, CROP, CROP, *[IMAGE] * 3]
    assert [step.row["item"] for step in trace.steps] == walked
    assert trace.raw["there"] and trace.raw["same_size"] and not trace.fates
    assert {held["package"] for held in trace.packages} == {"kohya", "imagefolder"}
    assert all(step.made["code"] == "c0de" and not step.warnings for step in trace.steps)
    text = render(trace, everything=True)
    for told in ("an image of the final dataset", "pyav-cpu", "242421110728702", "band of 8 px"):
        assert told in text


def test_a_clip_is_followed_to_all_that_came_from_it(dataset):
    fates = {fate.table: fate for fate in dataset.trace(VIDEO).fates}
    extract = fates[f"01_extracted_frames/{VIDEO}.csv"]
    assert extract.counts == {"dropped DUPLICATE_FRAME": 1, "kept": FRAMES}
    assert extract.refused[0]["value"] == "0.5" and extract.refused[0]["threshold"] == "1.5"
    assert (
        fates[FINAL_CSV].counts == {"kept": 4 * FRAMES}
        and len(fates[FINAL_CSV].final) == 4 * FRAMES
    )
    below = {fate.stage: fate.counts for fate in dataset.trace(CROP).fates}
    assert below["mask"] == {"kept": 1} and below["augment"] == below["final"] == {"kept": 4}


def test_another_clip_whose_id_begins_alike_is_not_mixed_in():
    item = Item("a-0123456789")
    owns = re.compile(item.below()).fullmatch
    assert owns(b"a-0123456789-f000001-p0-v1") and owns(b"a-0123456789-lost001")
    assert not owns(b"a-0123456789-f000001-abcdef0123-f000000")
    frame = re.compile(Item("a-0123456789", "a-0123456789-f000001").below()).fullmatch
    assert frame(b"a-0123456789-f000001-p0") and not frame(b"a-0123456789-f0000010-p0")


def test_lists_are_cut_with_a_word_on_how_to_see_the_rest(dataset):
    text = render(dataset.trace(VIDEO, limit=3))
    assert f"and {4 * FRAMES - 3} more: add --all" in text
    assert "more: add --all" not in render(dataset.trace(VIDEO, limit=None))


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("clip 0O01.mp4", "clip 0001.mp4"),
        (f"{VIDEO}-f000090-p0-v0", f"{VIDEO}-f{FRAMES:06d}"),
        (f"{FRAME}-p4", CROP),
        (f"{FRAME}-d4", FOUND),
        (f"{CROP}-v9", IMAGE),
    ],
)
def test_what_is_not_there_is_said_with_the_nearest_that_is(work, capsys, asked, near):
    assert main([asked, "--work", str(work)]) == 1
    said = capsys.readouterr().err
    assert "is known as" in said and near in said


def test_nothing_alike_is_no_error_of_its_own(dataset):
    with pytest.raises(UnknownItemError) as caught:
        dataset.trace("???")
    assert caught.value.near == []


def test_a_detection_is_followed_to_its_crop_and_to_no_others():
    below = re.compile(parse(f"{FRAME}-d1").below()).fullmatch
    own = [f"{FRAME}-{end}" for end in ("d1", "p1", "p1-v0", "p1-v12")]
    others = [FRAME, *(f"{FRAME}-{end}" for end in ("d0", "d12", "p0", "p0-v1", "p11", "p12-v1"))]
    assert all(below(item.encode()) for item in own)
    assert not any(below(item.encode()) for item in others)


def test_json_holds_the_same(work, capsys):
    assert main([IMAGE, "--work", str(work), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["item"] == IMAGE and told["steps"][1]["row"]["decoder"] == "pyav-cpu"


@pytest.fixture
def changed(tmp_path):
    """A small dataset that a test may damage."""
    named = write_tables(tmp_path / "dataset", clips=2, frames=2)
    video = next(iter(named))
    return tmp_path / "dataset", video, f"{video}-f000001-p0-v1"


def test_a_table_that_was_changed_is_told(changed):
    dataset, video, image = changed
    table = dataset / f"04_augmented/{video}.csv"
    table.write_bytes(table.read_bytes().replace(b"flat", b"noise"))
    trace = Dataset(dataset, dataset).trace(image)
    warned = {step.stage: " ".join(step.warnings) for step in trace.steps if step.warnings}
    assert "SHA-256 differs" in warned["augment"] and "run make verify" in warned["augment"]
    assert "another state of" in warned["caption"] and set(warned) == {"augment", "caption"}
    assert "WARNING" in render(trace)
    fates = {fate.stage: fate.warnings for fate in Dataset(dataset, dataset).trace(video).fates}
    assert fates["augment"] and not fates["mask"]


def test_images_of_a_clip_whose_id_begins_alike_are_not_counted(changed):
    dataset, video, _ = changed
    other = f"{video}-f000000-abcdef0123"
    (dataset / f"videos/{other}.csv").write_text("item\n")
    rows = list(tables.iter_stage(dataset / FINAL_CSV, "final"))
    rows += [rows[0] | {"item": f"{other}-f000000-p0-v0"}]
    rows.sort(key=lambda row: row["item"])
    tables.write_table(dataset / FINAL_CSV, COLUMNS["final"], rows)
    fates = {fate.stage: fate for fate in Dataset(dataset, dataset).trace(video).fates}
    assert fates["final"].counts == {"kept": 8}


def test_quoted_rows_are_counted_and_told_like_others(changed):
    """A carriage return in a cell has the whole row quoted; a comma in its value, that cell."""
    dataset, video, _ = changed
    table = dataset / f"04_augmented/{video}.csv"
    rows = list(tables.iter_stage(table, "augment"))
    refused = {"outcome": "quarantined", "reason": "UNREADABLE_CUTOUT", "value": 'a, "b"'}
    rows[0] |= {**refused, "detail": "two\r\nlines"}
    rows[1] |= refused
    tables.write_stage(table, "augment", rows)
    fates = {fate.stage: fate for fate in Dataset(dataset, dataset).trace(video).fates}
    assert fates["augment"].counts == {"kept": 6, "quarantined UNREADABLE_CUTOUT": 2}
    assert [row["value"] for row in fates["augment"].refused] == ['a, "b"'] * 2
    assert [row["item"] for row in fates["augment"].refused] == [row["item"] for row in rows[:2]]
    assert Dataset(dataset, dataset).trace(rows[0]["item"]).steps[5].row["value"] == 'a, "b"'


def test_a_missing_stamp_is_told(changed):
    dataset, video, image = changed
    (dataset / f"stamps/02_yolo_crops/{video}.json").unlink()
    trace = Dataset(dataset, dataset).trace(image)
    crop = next(step for step in trace.steps if step.stage == "crop")
    assert "cannot be read" in crop.warnings[0] and not crop.made


def gone_text(dataset, raw, item):
    return " ".join(render(Dataset(dataset, raw).trace(item)).split())


def test_of_a_clip_that_was_taken_out_the_first_sentence_says_so(changed, tmp_path):
    """Before the next run its images are still in the packages; after it, files are left over."""
    dataset, video, image = changed
    raw = tmp_path / "raw"
    raw.mkdir()
    for item in (video, f"{video}-f000001-p0", image):
        told = gone_text(dataset, raw, item)
        assert told.index(f"GONE: {raw}/clip 000") < told.index(" clip clip 000")
        assert "No run was made since" in told and "`make run` leaves it out" in told

    for table in ("videos.csv", FINAL_CSV, *(f"05_final_training/{p}.csv" for p in PACKAGES)):
        lines = (dataset / table).read_text().splitlines(keepends=True)
        (dataset / table).write_text("".join(line for line in lines if video not in line))
    for item in (video, image):
        told = gone_text(dataset, raw, item)
        assert "No package has anything of it. Files of it still lie in videos, 01_ext" in told
        assert "`make tidy` lists them" in told
    assert "an image of a clip that is gone" in told


def test_a_package_that_still_holds_a_clip_that_is_gone_is_not_kept_quiet(changed, tmp_path):
    dataset, video, _ = changed
    videos = (dataset / "videos.csv").read_text().splitlines(keepends=True)
    (dataset / "videos.csv").write_text("".join(line for line in videos if video not in line))
    told = gone_text(dataset, tmp_path, video)
    assert "The packages named below still hold images of it" in told


def test_a_clip_that_is_there_or_whose_folder_is_not_is_not_called_gone(work, changed):
    dataset, _, image = changed
    assert "GONE" not in render(
        Dataset(work / "dataset", work / "dataset/00_raw_videos").trace(IMAGE)
    )
    told = gone_text(dataset, dataset / "not mounted", image)
    assert "GONE" not in told and f"the folder {dataset}/not mounted is not there" in told


def test_what_is_asked_for_first_fits_a_screen_and_the_rest_comes_when_asked_for(dataset):
    trace = dataset.trace(IMAGE)
    short, whole = render(trace), render(trace, everything=True)
    assert len(short.splitlines()) <= 40
    assert "clip 0001.mp4" in short and "\n  kohya " in short
    assert "ALL=1" in short and "sha256" not in short and "made by" not in short
    assert "sha256" in whole and "made by" in whole and "ALL=1" not in whole
    assert whole.startswith(short[: short.index("Settings, weights")])


def test_a_frame_kept_with_the_reason_ok_is_kept_and_no_refused_one_is_counted_too(changed):
    """Stage 1 writes the reason OK; 'kept OK' was counted among those refused."""
    dataset, video, _ = changed
    table = dataset / f"01_extracted_frames/{video}.csv"
    rows = list(tables.iter_stage(table, "extract"))
    for row in rows:
        row["reason"] = row["reason"] or "OK"
    tables.write_stage(table, "extract", rows)
    trace = Dataset(dataset, dataset).trace(video)
    extract = next(fate for fate in trace.fates if fate.stage == "extract")
    assert extract.counts == {"dropped DUPLICATE_FRAME": 1, "kept": 2}
    assert "more: add --all" not in render(trace)


def test_film_that_is_left_out_of_a_clip_is_told_first(changed):
    """A clip's trace gave the length of the first of two joined recordings, and no more."""
    dataset, video, image = changed
    assert "not used" not in render(Dataset(dataset, dataset).trace(video))
    lost = "a second file behind the first, as cat joins them: another film track, which is lost"
    table = dataset / f"videos/{video}.csv"
    [row] = tables.iter_stage(table, "probe")
    tables.write_stage(table, "probe", [row | {"other_tracks": lost}])
    for item in (video, image):
        text = " ".join(render(Dataset(dataset, dataset).trace(item)).split())
        assert f"not used {lost}" in text


def test_a_refused_image_says_where_it_ended(changed):
    dataset, _, image = changed
    rows = list(tables.iter_stage(dataset / FINAL_CSV, "final"))
    for row in rows:
        if row["item"] == image:
            row |= {"outcome": "dropped", "reason": "DUPLICATE_IMAGE", "value": "another"}
    tables.write_table(dataset / FINAL_CSV, COLUMNS["final"], rows)
    text = render(Dataset(dataset, dataset).trace(image))
    assert "ended at stage final: dropped DUPLICATE_IMAGE (another)" in text
    assert f"which means   {sentence('DUPLICATE_IMAGE')}" in text
    assert f"what to do    {advice('DUPLICATE_IMAGE')}" in text


def test_the_dataset_is_found_by_the_runs_own_settings(tmp_path):
    overlays = [tmp_path / "one.yaml", tmp_path / "two.yaml"]
    overlays[0].write_text("dataset: set\nraw_videos: raw\nsubject: {token: ohwx}\n")
    overlays[1].write_text("subject: {class: man}\n")
    merged = settings.load(*overlays)
    assert (merged["subject"]["token"], merged["subject"]["class"]) == ("ohwx", "man")
    assert merged["subject"]["voting_clips"] == 24 and merged["seed"] == 1
    dataset = open_dataset(tmp_path, overlays)
    assert (dataset.root, dataset.raw) == (tmp_path / "set", str(tmp_path / "raw"))


def test_it_starts_without_heavy_libraries():
    code = (
        "import sys, tools.trace_item; "
        "print(sorted({'pandas', 'numpy', 'cv2', 'PIL', 'torch', 'av'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("clips", "frames"), [(1000, 25), (1, 25_000)], ids=["many", "one_huge"])
def test_a_hundred_thousand_images_take_about_a_second(tmp_path, clips, frames):
    """CPU time, which a busy machine does not stretch; docs/audit.md has what was measured."""
    video = list(write_tables(tmp_path / "dataset", clips, frames))[clips // 2]
    image = f"{video}-f{frames // 2:06d}-p0-v1"
    for item in (image, image.rpartition("-p")[0], video):
        began = _cpu_s_of_children()
        command = [sys.executable, "scripts/tools/trace_item.py", item, "--work", str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        took = _cpu_s_of_children() - began
        print(f"{item}: {took:.2f} s")
        assert done.returncode == 0 and took < 5, done.stderr


def _cpu_s_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_long_label_and_its_text_are_two_words():
    (line,) = trace_text._facts_lines([("DROPPED_BY_REVIEW", "A person dropped it.")])
    assert line == "  DROPPED_BY_REVIEW A person dropped it."


def test_trace_says_that_nothing_was_named(tmp_path, capsys):
    assert main(["--work", str(tmp_path), "--", ""]) == 1
    assert capsys.readouterr().err.startswith("ITEM= is missing")
