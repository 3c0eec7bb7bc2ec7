"""Stage 4 on small made-up clips: every cut-out accounted for, the subject untouched, the
bank without subjects, the same bytes whatever else is there."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from ferrari.backgrounds import palette, recipes
from ferrari.common.atomic_files import sha256_file
from ferrari.images import image_files
from ferrari.images.image_files import ImageReadError
from ferrari.ledger import balance, stages, tables
from ferrari.ledger.columns import COLUMNS
from ferrari.ledger.item_ids import crop_item, detection_item, frame_item, variant_item

augment_video = importlib.import_module("04_replace_background").augment_video
draw_environments = importlib.import_module("04_draw_environments").draw_environments

MARKER = (255, 0, 255)  # the subject's colour; no scene holds any red
SETTINGS = {
    "variants": 4,
    "weights": {"flat": 3, "noise": 1, "environment": 2, "synthetic": 2},
    "environment_blur": 0.03,
    "scale": [0.75, 1.0],
    "shift": 0.5,
}
HEIGHT, WIDTH = 120, 200


class Clip:
    """A clip's tables and files of stages 1 to 3 in a dataset folder."""

    def __init__(self, dataset: Path, video: str, frames: int = 2, box=(60, 20, 110, 110)) -> None:
        self.dataset, self.video, self.box = dataset, video, box
        self.rng = np.random.default_rng(list(video.encode()))
        self.rows = {"probe": [], "extract": [], "detect": [], "crop": [], "mask": []}
        about = {"item": video, "parent": f"{video}.mp4", "sha256": f"raw of {video}"}
        self.rows["probe"].append(tables.row("probe", outcome="kept", **about))
        for ordinal in range(frames):
            self._frame(ordinal)
        self.write()

    def table(self, stage: str) -> Path:
        return self.dataset / stages.table(stage, self.video)

    def write(self) -> None:
        for stage, rows in self.rows.items():
            tables.write_stage(self.table(stage), stage, rows)

    def _save(self, stage: str, item: str, data: bytes, shape) -> dict[str, str]:
        file = self.table(stage).with_suffix("") / item
        file.parent.mkdir(parents=True, exist_ok=True)
        digest = image_files.write_checked(file, data, shape)
        return {"path": file.relative_to(self.dataset).as_posix(), "sha256": digest}

    def _frame(self, ordinal: int) -> None:
        frame, (x1, y1, x2, y2) = frame_item(self.video, ordinal), self.box
        crop = crop_item(frame, 0)
        frame_rgb = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
        frame_rgb[..., 1:] = self.rng.integers(60, 200, 2)
        frame_rgb[y1:y2, x1:x2] = MARKER
        cutout = np.zeros((y2 - y1, x2 - x1, 4), dtype=np.uint8)
        cutout[5:-5, 5:-5] = (*MARKER, 255)
        cutout[5:-5, 5] = (*MARKER, 100)
        common = {"outcome": "kept"}
        saved = self._save(
            "extract", f"{frame}.png", image_files.encode_png(frame_rgb), frame_rgb.shape
        )
        self.rows["extract"].append(
            tables.row("extract", item=frame, parent=self.video, **common, **saved)
            | {"width": WIDTH, "height": HEIGHT, "sharpness": 1.5}
        )
        corners = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
        found = detection_item(frame, 0)
        self.rows["detect"].append(
            tables.row("detect", item=found, parent=frame, **common, **corners)
        )
        self.rows["crop"].append(
            tables.row("crop", item=crop, parent=found, **common, **corners)
            | {f"crop_{key}": value for key, value in corners.items()}
            | {"frame_width": WIDTH, "frame_height": HEIGHT}
        )
        saved = self._save("mask", f"{crop}.png", image_files.encode_png(cutout), cutout.shape)
        self.rows["mask"].append(tables.row("mask", item=crop, parent=crop, **common, **saved))


def clip_id(number: int) -> str:
    return f"clip{number}-{number:010x}"


@pytest.fixture
def clips(tmp_path):
    return [Clip(tmp_path / "dataset", clip_id(number)) for number in range(3)]


def bank(clips, folder=None) -> Path:
    out_csv = clips[0].dataset / "environments.csv"
    draw_environments(
        probe_csvs=[clip.table("probe") for clip in clips],
        frames_csvs=[clip.table("extract") for clip in clips],
        detections_csvs=[clip.table("detect") for clip in clips],
        folder=folder,
        dataset=clips[0].dataset,
        out_csv=out_csv,
    )
    return out_csv


def augment(clip, bank_csv, seed=1, **changed):
    out_csv = clip.dataset / "04_augmented" / f"{clip.video}.csv"
    augment_video(
        probe_csv=clip.table("probe"),
        masks_csv=clip.table("mask"),
        crops_csv=clip.table("crop"),
        bank_csv=bank_csv,
        dataset=clip.dataset,
        out_csv=out_csv,
        settings={**SETTINGS, **changed},
        seed=seed,
    )
    return tables.read_stage(out_csv, "augment")


def digests(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): sha256_file(file) for file in files}


def test_every_cutout_gets_its_variants_and_the_ledger_balances(clips):
    rows = augment(clips[0], bank(clips))
    cutouts = tables.read_stage(clips[0].table("mask"), "mask")
    assert balance.balance("augment", rows, cutouts).balanced
    assert [line["item"] for line in rows] == [
        variant_item(line["item"], variant) for line in cutouts for variant in range(4)
    ]
    folder = clips[0].dataset / "04_augmented" / clips[0].video
    on_disk = {f"04_augmented/{clips[0].video}/{name}" for name in digests(folder)}
    assert on_disk == {line[key] for line in rows for key in ("path", "mask_path")}


def test_files_are_what_their_rows_say_and_the_subject_is_untouched(clips):
    for line in augment(clips[0], bank(clips)):
        picture = image_files.read_verified(clips[0].dataset / line["path"], line["sha256"])
        mask = image_files.read_verified(clips[0].dataset / line["mask_path"], line["mask_sha256"])
        assert picture.shape == (int(line["height"]), int(line["width"]), 3)
        assert mask.shape == picture.shape[:2]
        assert (picture[mask == 255] == MARKER).all()
        left, top = int(line["offset_x"]), int(line["offset_y"])
        expected = np.zeros_like(mask)
        expected[top + 5 : top + 85, left + 5 : left + 45] = 255
        expected[top + 5 : top + 85, left + 5] = 100
        assert np.array_equal(mask, expected)


def test_the_background_can_be_painted_again_from_the_row(clips):
    rows = [line for line in augment(clips[0], bank(clips)) if line["kind"] == "flat"]
    assert rows
    for line in rows:
        picture = image_files.read(clips[0].dataset / line["path"])
        mask = image_files.read(clips[0].dataset / line["mask_path"])
        colour = palette.BY_NAME[line["colour_name"]]
        assert (picture[mask == 0] == colour.rgb).all()
        assert line["colour_rgb"] == "#{:02x}{:02x}{:02x}".format(*colour.rgb)
        assert line["background"] == f"plain {colour.name} background"


def test_a_clip_never_stands_in_a_scene_of_its_own(clips):
    bank_csv = bank(clips)
    for clip in clips:
        rows = augment(clip, bank_csv, weights={"environment": 1}, variants=6)
        used = {line["environment"] for line in rows}
        assert used == {other.video for other in clips} - {clip.video}
        known = {line["environment"]: line["sha256"] for line in tables.read_table(bank_csv)}
        assert all(line["environment_sha256"] == known[line["environment"]] for line in rows)
        assert {line["background"] for line in rows} == {"blurred background"}


def test_without_a_foreign_scene_the_substitute_is_recorded(clips):
    rows = augment(clips[0], bank(clips[:1]), weights={"environment": 1})
    assert {(line["wanted_kind"], line["kind"], line["detail"]) for line in rows} == {
        ("environment", "synthetic", recipes.NO_ENVIRONMENT)
    }


def test_no_subject_is_in_any_plate_nor_in_any_background(clips):
    bank_csv = bank(clips)
    for line in tables.read_table(bank_csv):
        plate = image_files.read_verified(clips[0].dataset / line["path"], line["sha256"])
        assert plate[..., 0].max() == 0, "the marker's red leaked into the plate"
    for line in augment(clips[0], bank_csv, weights={"environment": 1}):
        picture = image_files.read(clips[0].dataset / line["path"])
        mask = image_files.read(clips[0].dataset / line["mask_path"])
        assert picture[mask == 0][:, 0].max() == 0


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-20]), id="truncated"),
        pytest.param(lambda path: path.unlink(), id="missing"),
        pytest.param(
            lambda path: path.write_bytes(image_files.encode_png(np.zeros((90, 50, 4), np.uint8))),
            id="another picture",
        ),
    ],
)
def test_a_spoilt_cutout_is_quarantined_and_the_others_are_made(clips, spoil):
    cutouts = tables.read_stage(clips[0].table("mask"), "mask")
    spoil(clips[0].dataset / cutouts[0]["path"])
    rows = augment(clips[0], bank(clips))
    assert balance.balance("augment", rows, cutouts).balanced
    assert [(line["outcome"], line["reason"]) for line in rows] == [
        *[("quarantined", "UNREADABLE_CUTOUT")] * 4,
        *[("kept", "")] * 4,
    ]
    assert not any(line["path"] for line in rows[:4])


def test_a_cutout_without_alpha_is_quarantined(clips):
    line = clips[0].rows["mask"][0]
    shape = (90, 50, 3)
    file = clips[0].dataset / line["path"]
    line["sha256"] = image_files.write_checked(
        file, image_files.encode_png(np.zeros(shape, np.uint8)), shape
    )
    clips[0].write()
    rows = augment(clips[0], bank(clips))
    assert [line["reason"] for line in rows] == ["UNREADABLE_CUTOUT"] * 4 + [""] * 4


def test_a_damaged_plate_is_our_defect_and_says_what_to_do(clips):
    bank_csv = bank(clips)
    for line in tables.read_table(bank_csv):
        (clips[0].dataset / line["path"]).write_bytes(b"x")
    with pytest.raises(ImageReadError, match=r"environments\.csv"):
        augment(clips[0], bank_csv, weights={"environment": 1})
    assert not (clips[0].dataset / "04_augmented" / f"{clips[0].video}.csv").exists()
    assert not (clips[0].dataset / "04_augmented" / clips[0].video).exists()


def test_a_clip_without_cutouts_gets_an_empty_table(clips):
    clips[0].rows["mask"] = []
    clips[0].write()
    assert augment(clips[0], bank(clips)) == []


def test_same_bytes_again_and_without_the_other_cutouts(clips):
    bank_csv = bank(clips)
    folder = clips[0].dataset / "04_augmented"
    augment(clips[0], bank_csv)
    first = digests(folder)
    augment(clips[0], bank_csv)
    assert digests(folder) == first
    del clips[0].rows["mask"][0]
    clips[0].write()
    augment(clips[0], bank_csv)
    again = digests(folder)
    again.pop(f"{clips[0].video}.csv")
    assert again and again.items() <= first.items()


def test_another_seed_other_pictures(clips):
    bank_csv = bank(clips)
    first, second = augment(clips[0], bank_csv), augment(clips[0], bank_csv, seed=2)
    assert all(a["sha256"] != b["sha256"] for a, b in zip(first, second, strict=True))


def test_a_clip_that_lent_no_scene_can_go_and_no_variant_is_made_anew(tmp_path):
    """What a cut-out's rows are made from are the scenes that it is offered, not those refused."""
    dataset = tmp_path / "dataset"
    good, other = Clip(dataset, clip_id(0)), Clip(dataset, clip_id(1))
    hidden = Clip(dataset, clip_id(2), box=(2, 2, 198, 118))

    def made_from(clips):
        return augment_video(
            probe_csv=good.table("probe"),
            masks_csv=good.table("mask"),
            crops_csv=good.table("crop"),
            bank_csv=bank(clips),
            dataset=dataset,
            out_csv=dataset / "04_augmented" / f"{good.video}.csv",
            settings=SETTINGS,
            seed=1,
        )

    whole = made_from([good, other, hidden])
    assert made_from([good, other]) == whole, "the clip whose scene was hidden is gone"
    assert made_from([good, hidden]) != whole, "the clip that lent one is gone"


def test_a_severed_subject_stays_at_its_side(tmp_path):
    clip = Clip(tmp_path / "dataset", clip_id(7), box=(60, 20, 110, 120))
    for line in clip.rows["mask"]:
        file = clip.dataset / line["path"]
        cutout = image_files.read(file).copy()
        cutout[-6:, 5:-5] = (*MARKER, 255)  # the body runs out of the frame below
        line["sha256"] = image_files.write_checked(
            file, image_files.encode_png(cutout), cutout.shape
        )
    clip.write()
    rows = augment(clip, bank([clip]), scale=[0.5, 0.6], shift=1.0)
    assert all(int(line["offset_y"]) + 100 == int(line["height"]) > 100 for line in rows)
    assert len({line["offset_x"] for line in rows}) > 2


def test_bank_refusals_are_rows(tmp_path):
    dataset = tmp_path / "dataset"
    good = Clip(dataset, clip_id(0))
    hidden = Clip(dataset, clip_id(1), box=(2, 2, 198, 118))
    empty = Clip(dataset, clip_id(2), frames=0)
    doubtful, lost = Clip(dataset, clip_id(3), frames=1), Clip(dataset, clip_id(4))
    seen = doubtful.rows["detect"][0]
    doubtful.rows["detect"] = [
        tables.row(
            "detect",
            item=seen["parent"],
            parent=seen["parent"],
            outcome="dropped",
            reason="NO_SUBJECT",
            value=0.3,
        )
    ]
    doubtful.write()
    for line in lost.rows["extract"]:
        (dataset / line["path"]).write_bytes(b"x")
    rows = tables.read_table(bank([good, hidden, empty, doubtful, lost]))
    assert tuple(rows[0]) == COLUMNS["environments"]
    assert [(line["outcome"], line["reason"]) for line in rows] == [
        ("kept", ""),
        ("dropped", "SCENE_HIDDEN"),
        ("dropped", "NO_FRAME"),
        ("dropped", "NO_TRUSTED_FRAME"),
        ("quarantined", "UNREADABLE_FRAME"),
    ]
    assert float(rows[1]["value"]) < float(rows[1]["threshold"]) == 0.25
    assert [file.name for file in (dataset / "environments").iterdir()] == [f"{clip_id(0)}.png"]


def test_an_unreadable_best_frame_gives_way_to_the_next(tmp_path):
    clip = Clip(tmp_path / "dataset", clip_id(0), frames=2)
    (clip.dataset / clip.rows["extract"][0]["path"]).unlink()
    (line,) = tables.read_table(bank([clip]))
    assert (line["outcome"], line["detail"]) == ("kept", f"frame {frame_item(clip.video, 1)}")


def test_tables_that_do_not_belong_together_are_refused(clips):
    with pytest.raises(ValueError, match=clips[2].video):
        draw_environments(
            probe_csvs=[],
            frames_csvs=[clip.table("extract") for clip in clips],
            detections_csvs=[clip.table("detect") for clip in clips[:2]],
            folder=None,
            dataset=clips[0].dataset,
            out_csv=clips[0].dataset / "environments.csv",
        )


def test_the_users_folder_takes_the_clips_place(clips, tmp_path):
    folder = tmp_path / "my pictures"
    (folder / "more").mkdir(parents=True)
    picture = np.full((300, 1000, 3), (0, 130, 60), dtype=np.uint8)
    (folder / "more" / "Wall, “red”.png").write_bytes(image_files.encode_png(picture))
    (folder / "notes.txt").write_text("no picture")
    bank_csv = bank(clips, folder=folder)
    rows = {line["detail"]: line for line in tables.read_table(bank_csv)}
    wall = rows["more/Wall, “red”.png"]
    assert (wall["outcome"], wall["video"]) == ("kept", "")
    assert image_files.read(clips[0].dataset / wall["path"]).shape == (192, 640, 3)
    assert rows["notes.txt"]["reason"] == "UNREADABLE_PICTURE"
    made = augment(clips[0], bank_csv, weights={"environment": 1})
    assert {line["environment"] for line in made} == {wall["environment"]}


def test_no_table_holds_an_absolute_path(clips):
    bank_csv = bank(clips)
    augment(clips[0], bank_csv)
    for table in (bank_csv, clips[0].dataset / "04_augmented" / f"{clips[0].video}.csv"):
        assert str(clips[0].dataset) not in table.read_text()
