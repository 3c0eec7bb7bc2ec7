"""Stage 3 on small generated crops, with a segmenter whose answers are known."""

import hashlib
import importlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferrari.images import image_files
from ferrari.ledger import balance, tables
from ferrari.matting import alpha_refinement, closed_form, cutouts, person_gate
from ferrari.networks import segmenters
from ferrari.networks.backends.ram import Presence
from ferrari.networks.weight_files import ModelError
from ferrari.processes.devices import DeviceMemoryError
from ferrari.processes.model_verdicts import IsolationError
from ferrari.provenance.reuse import NOTHING, Earlier
from tests.deadly import ENDS, Notes, room

stage = importlib.import_module("03_mask_subject")
VIDEO = "clip-0123456789"
SETTINGS = {
    "segmenter": "isnet",
    "weights": None,
    "weights_sha256": None,
    "image_size": 640,
    "input": "square",
    "person_gate": "off",
    "held_objects": "keep",
    "refine": True,
    "matting": "closed_form",
    "foreground": True,
    "edge_px": 4,
    "min_subject": 0.02,
    "max_subject": 0.98,
    "max_other_person": 0.01,
    "ram_tags": ["person"],
    "ram_threshold": 0.68,
    "batch": 4,
    "device": "cpu",
    "timeout_s": 60,
    "memory_mb": 8192,
}
SUBJECT, SCENE = (220, 40, 30), (20, 90, 200)


def picture(radius=24, size=(96, 72)):
    """A crop with a round subject in its middle."""
    high, wide = size
    y, x = np.ogrid[:high, :wide]
    inside = (y - high / 2) ** 2 + (x - wide / 2) ** 2 < radius**2
    return np.where(inside[..., None], SUBJECT, SCENE).astype(np.uint8)


def red_is_the_subject(crops_rgb, boxes=None):
    """The stand-in's alpha: 1 where red is more than blue."""
    return [(crop[..., 0] > crop[..., 2]).astype(np.float32) for crop in crops_rgb]


class Dataset:
    """A dataset folder with a crop table of one video."""

    def __init__(self, root: Path):
        self.root, self.lines = root, []
        self.table = root / "02_yolo_crops" / f"{VIDEO}.csv"
        self.out = root / "03_masked_subjects" / f"{VIDEO}.csv"

    def add(self, image=None, data=None, outcome="kept", **fields):
        item = f"{VIDEO}-f{len(self.lines):06d}-p0"
        path = f"02_yolo_crops/{VIDEO}/{item}.png"
        if image is not None:
            data = image_files.encode_png(image)
        if data is not None:
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        box = {"x1": 110, "y1": 55, "x2": 160, "y2": 140, "crop_x1": 100, "crop_y1": 50}
        box |= {"crop_x2": 172, "crop_y2": 146}
        fields = {"path": path, "sha256": hashlib.sha256(data or b"").hexdigest(), **box, **fields}
        self.lines.append(
            tables.row("crop", item=item, parent=item[:-3], outcome=outcome, **fields)
        )
        return item

    def run(self, weights_given="weights.onnx", review=(), earlier=NOTHING, **settings):
        tables.write_stage(self.table, "crop", self.lines)
        self.digests = stage.mask_video(
            crops_csv=self.table,
            dataset=self.root,
            out_csv=self.out,
            weights=weights_given,
            settings={**SETTINGS, **settings},
            subject_class="person",
            review=review,
            earlier=earlier,
        )
        rows = tables.read_stage(self.out, "mask")
        assert balance.balance("mask", rows, self.lines).balanced
        return {row["item"]: row for row in rows}

    def earlier(self):
        """What the next run may take over."""
        rows = {row["parent"]: [row] for row in tables.read_stage(self.out, "mask")}
        return Earlier(self.root, self.out.with_suffix(""), self.digests, rows)


@pytest.fixture(scope="module", autouse=True)
def matting():
    """Loaded once, here, so that not every test's own process has to."""
    from ferrari.matting import foreground  # noqa: F401


@pytest.fixture
def dataset(tmp_path):
    return Dataset(tmp_path / "dataset")


@pytest.fixture
def segmenter(monkeypatch, tmp_path):
    """Replace the loaded segmenter; returns a function that sets what it does."""
    loaded = Notes(tmp_path)

    def put(alpha=red_is_the_subject, presence=None):
        net = segmenters.Segmenter("isnet", "cpu test", "ab" * 32, alpha, presence)

        def load(*arguments, **options):
            loaded.add((arguments, options))
            return net

        monkeypatch.setattr(segmenters, "load", load)
        return loaded

    put()
    return put


def test_a_cut_out_lies_at_crop_size_with_its_row(dataset, segmenter):
    item = dataset.add(picture())
    row = dataset.run()[item]
    rgba = image_files.read(dataset.root / row["path"])
    assert row["outcome"] == "kept" and row["parent"] == item and row["reason"] == ""
    assert row["path"] == f"03_masked_subjects/{VIDEO}/{item}.png"
    assert rgba.shape == (96, 72, 4)
    assert hashlib.sha256((dataset.root / row["path"]).read_bytes()).hexdigest() == row["sha256"]
    assert (row["width"], row["height"]) == ("72", "96")
    share = np.pi * 24**2 / (96 * 72)
    assert float(row["subject_fraction"]) == pytest.approx(share, rel=0.05)
    assert [int(row[key]) for key in ("x1", "y1", "x2", "y2")] == [13, 25, 60, 72]
    assert (row["segmenter"], row["device"], row["weights_sha256"]) == (
        "isnet",
        "cpu test",
        "ab" * 32,
    )
    assert (row["refined"], row["foreground"], row["detail"]) == ("1", "1", "")
    solid = rgba[..., 3] == 255
    assert (rgba[solid][:, :3] == SUBJECT).all()
    assert rgba[..., 2].max() < 120, "the scene's blue shines through"


def test_every_refusal_has_its_reason_its_figures_and_its_copy(dataset, segmenter):
    empty, full = dataset.add(picture(radius=3)), dataset.add(picture(radius=200))
    broken = dataset.add(data=image_files.encode_png(picture())[:-200])
    missing = dataset.add()
    grey = dataset.add(picture()[..., 0])
    good = dataset.add(picture())
    rows = dataset.run()
    found = {item: (row["outcome"], row["reason"]) for item, row in rows.items()}
    assert found == {
        empty: ("quarantined", "EMPTY_MASK"),
        full: ("quarantined", "FULL_MASK"),
        broken: ("quarantined", "UNREADABLE_CROP"),
        missing: ("quarantined", "UNREADABLE_CROP"),
        grey: ("quarantined", "UNREADABLE_CROP"),
        good: ("kept", ""),
    }
    assert list(rows) == [line["item"] for line in dataset.lines]
    assert float(rows[empty]["value"]) < float(rows[empty]["threshold"]) == 0.02
    assert float(rows[full]["value"]) == 1.0 and float(rows[full]["threshold"]) == 0.98
    for item, reason in ((empty, "EMPTY_MASK"), (full, "FULL_MASK"), (broken, "UNREADABLE_CROP")):
        assert rows[item]["path"] == f"bad_frames/{VIDEO}/{reason}/{item}.png"
        source = dataset.root / f"02_yolo_crops/{VIDEO}/{item}.png"
        assert (dataset.root / rows[item]["path"]).read_bytes() == source.read_bytes()
        assert rows[item]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert rows[missing]["path"] == "" and str(dataset.root) not in dataset.out.read_text()
    assert [p.name for p in dataset.out.with_suffix("").iterdir()] == [f"{good}.png"]


def test_a_crop_without_the_subjects_class_is_dropped_with_its_score(dataset, segmenter):
    def presence(crops_rgb):
        return [
            Presence(bool(c[0, 0, 2] > 100), 0.25 if c[0, 0, 2] <= 100 else 0.9, 0.68, "man")
            for c in crops_rgb
        ]

    segmenter(presence=presence)
    there = dataset.add(picture())
    other = picture()
    other[other[..., 2] > 100] = (20, 90, 50)
    absent = dataset.add(other)
    rows = dataset.run()
    assert rows[there]["outcome"] == "kept"
    row = rows[absent]
    assert (row["outcome"], row["reason"]) == ("dropped", "SUBJECT_CLASS_ABSENT")
    assert (row["value"], row["threshold"]) == ("0.25", "0.68") and "man" in row["detail"]
    assert (dataset.root / row["path"]).is_file()


def test_a_veil_over_the_whole_crop_is_no_share_of_a_subject(dataset, segmenter):
    """Its mean is above the bound: the row would say that 0.3 is less than 0.02."""
    segmenter(lambda crops_rgb, boxes: [np.full(c.shape[:2], 0.3, np.float32) for c in crops_rgb])
    item = dataset.add(picture())
    row = dataset.run()[item]
    assert (row["reason"], row["value"], row["threshold"]) == ("EMPTY_MASK", "0.0", "0.02")


@pytest.mark.parametrize(("kind", "bound"), [("EMPTY_MASK", "min"), ("FULL_MASK", "max")])
def test_a_share_that_the_refinement_takes_over_a_bound_is_out_of_bounds(
    dataset, segmenter, kind, bound
):
    """The report holds kept cut-outs against the bounds: one beyond them would be a FAIL there."""
    grow = 6 if kind == "EMPTY_MASK" else -6
    item = dataset.add(picture())

    def coarse(crops_rgb, boxes):
        kernel = np.ones((abs(grow), abs(grow)), np.uint8)
        change = cv2.dilate if grow > 0 else cv2.erode
        return [change(alpha, kernel) for alpha in red_is_the_subject(crops_rgb)]

    segmenter(coarse)
    net = float(coarse([picture()], None)[0].mean())
    share = float(dataset.run()[item]["subject_fraction"])
    assert share < net if kind == "EMPTY_MASK" else share > net
    row = dataset.run(**{f"{bound}_subject": (share + net) / 2})[item]
    assert (row["reason"], float(row["value"])) == (kind, share)
    assert float(row["threshold"]) == (share + net) / 2


def test_a_share_of_the_bound_itself_is_within_it(dataset, segmenter):
    """Its row would give the bound as the share that is below it: 0.1 of a crop, and 1e-8 less."""
    image = picture()
    alpha = np.zeros(image.shape[:2], np.float32)
    alpha[20:60, 10:60] = 1
    bound = round(float(alpha.mean()), 6)
    alpha[30, 30] -= 5e-8 * alpha.size
    segmenter(lambda crops_rgb, boxes: [alpha for _ in crops_rgb])
    item = dataset.add(image)
    assert float(alpha.mean()) < bound
    assert dataset.run(min_subject=bound, refine=False)[item]["outcome"] == "kept"


def test_a_second_run_leaves_no_refusal_of_the_first(dataset, segmenter):
    item = dataset.add(picture(radius=9))
    first = dataset.run(min_subject=0.5)[item]
    assert first["reason"] == "EMPTY_MASK"
    other = dataset.root / "bad_frames" / VIDEO / "DECODE_ERROR" / "frame.webp"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"another stage's")
    assert dataset.run()[item]["outcome"] == "kept"
    assert not (dataset.root / first["path"]).exists() and other.exists()


def test_each_row_says_what_the_person_gate_decided(dataset, segmenter, monkeypatch):
    def not_scene(images, boxes=None):
        return [
            (np.abs(image.astype(int) - SCENE).sum(2) > 60).astype(np.float32) for image in images
        ]

    def load(name, *arguments, **options):
        alpha = red_is_the_subject if name == "selfie" else not_scene
        return segmenters.Segmenter(name, "cpu test", name[0] * 64, alpha)

    monkeypatch.setattr(segmenters, "load", load)
    image = picture()
    image[5:15, 5:15] = (30, 200, 60)  # stands out, and touches nobody
    alone = dataset.add(image)
    nobody = dataset.add(np.where(image == SUBJECT, (30, 200, 60), image).astype(np.uint8))
    rows = dataset.run(person_gate="auto", weights_given=["isnet.onnx", "selfie.onnx"])
    kept = rows[alone]
    assert (kept["person_gate"], kept["gate_sha256"]) == ("selfie", "s" * 64)
    assert (kept["matte_of"], kept["held_px"], kept["removed_px"]) == ("segmenter", "0", "100")
    assert kept["restored_px"] == "0" and float(kept["gate_iou"]) > 0.9
    alpha = image_files.read(dataset.root / kept["path"])[..., 3]
    assert not alpha[5:15, 5:15].any()
    refused = rows[nobody]
    assert (refused["reason"], refused["matte_of"]) == ("EMPTY_MASK", "person")


def test_of_crops_that_lost_the_person_a_second_look_is_taken(
    dataset, segmenter, monkeypatch, tmp_path
):
    """The first look takes crops with a green corner for empty; the second one takes no crop so."""
    looks = Notes(tmp_path)

    def first(crops_rgb, boxes=None):
        alphas = red_is_the_subject(crops_rgb)
        return [a * (c[0, 0, 1] < 150) for a, c in zip(alphas, crops_rgb, strict=True)]

    def again(crops_rgb):
        looks.add(len(crops_rgb))
        return red_is_the_subject(crops_rgb)

    def load(name, *arguments, **options):
        alpha, more = (red_is_the_subject, None) if name == "selfie" else (first, again)
        return segmenters.Segmenter(name, "cpu test", name[0] * 64, alpha, again=more)

    monkeypatch.setattr(segmenters, "load", load)
    difficult = picture(radius=22)
    difficult[:2, :2] = (20, 190, 60)
    images = [difficult, picture(radius=26), difficult, picture(radius=20)]
    items = [dataset.add(image) for image in images]
    rows = dataset.run(person_gate="auto", weights_given=["isnet.onnx", "selfie.onnx"])
    assert [rows[item]["matte_of"] for item in items] == ["second_look", "segmenter"] * 2
    assert looks.read() == ["2"]
    for item, image in zip(items, images, strict=True):  # each has the matte of its own crop
        alpha = image_files.read(dataset.root / rows[item]["path"])[..., 3]
        red = red_is_the_subject([image])[0] > 0
        assert (alpha > 127)[red].mean() > 0.98 and (alpha > 127)[~red].mean() < 0.02
    once = [dict(rows[item]) for item in items]
    given = {"person_gate": "auto", "weights_given": ["isnet.onnx", "selfie.onnx"]}
    assert [dict(row) for row in dataset.run(batch=1, **given).values()] == once


@pytest.mark.parametrize("shared", [False, True])
def test_what_the_segmenter_lacks_of_the_person_is_restored_where_nobody_else_is(shared):
    """The right end of a red disc is lacking; `shared`: somebody's box lies over it."""
    image = picture(radius=30)
    red = red_is_the_subject([image])[0]
    columns = np.flatnonzero(red.any(0))
    end = int(columns[0] + 0.8 * len(columns))

    def lacking(crops_rgb, boxes_xyxy=None):
        for alpha in red_is_the_subject(crops_rgb):
            alpha[:, end:] = 0
            yield alpha

    looking = segmenters.Segmenter("isnet", "cpu test", "i" * 64, lacking)
    sure = segmenters.Segmenter("selfie", "cpu test", "s" * 64, red_is_the_subject)
    box = (float(columns[0]), 0.0, float(columns[-1]), float(image.shape[0]))
    others = [(float(end - 1), 0.0, 200.0, float(image.shape[0]))] if shared else []
    gate = person_gate.PersonGate(sure, 256, "keep")
    ((_, matte, _),) = cutouts._mattes(looking, [(image, box, others)], gate)
    lacked = int(red[:, end:].sum())
    assert matte.matte_of == "segmenter" and lacked > 300
    assert matte.restored_px == (0 if shared else pytest.approx(lacked, rel=0.05))
    assert (matte.alpha[:, end:] >= 0.5).sum() == matte.restored_px


def test_the_gates_weights_must_be_given(dataset, segmenter):
    dataset.add(picture())
    with pytest.raises(ModelError, match="0 weights for the person gate"):
        dataset.run(person_gate="auto")


def test_nothing_kept_loads_no_network(dataset, segmenter):
    loaded = segmenter()
    dataset.add(outcome="dropped", reason="NOT_TARGET", path="")
    assert dataset.run() == {}
    assert loaded.read() == [] and dataset.out.with_suffix("").is_dir()


def test_the_subjects_box_is_given_in_the_crops_own_pixels(dataset, segmenter, tmp_path):
    seen = Notes(tmp_path)

    def alpha(crops_rgb, boxes_xyxy):
        for box in boxes_xyxy:
            seen.add(box)
        return red_is_the_subject(crops_rgb)

    segmenter(alpha)
    dataset.add(picture())
    dataset.run()
    assert seen.read()[1:] == ["(10.0, 5.0, 60.0, 90.0)"]


def test_a_batch_that_does_not_fit_is_halved_and_says_so(dataset, segmenter, caplog, tmp_path):
    sizes = Notes(tmp_path)

    def alpha(crops_rgb, boxes_xyxy):
        sizes.add(len(crops_rgb))
        if len(crops_rgb) > 1:
            raise DeviceMemoryError("CUDA out of memory")
        return red_is_the_subject(crops_rgb)

    segmenter(alpha)
    items = [dataset.add(picture(radius=r)) for r in (20, 22, 24)]
    rows = dataset.run(batch=3)
    assert sizes.read()[1:] == list("31211")
    assert [rows[item]["outcome"] for item in items] == ["kept"] * 3
    assert "2 at once" in rows[items[0]]["detail"]
    assert "memory ran out" in caplog.text


def test_one_crop_that_does_not_fit_is_our_failure_not_the_crops(dataset, segmenter):
    def alpha(crops_rgb, boxes_xyxy):
        raise DeviceMemoryError("CUDA out of memory")

    segmenter(alpha)
    dataset.add(picture())
    with pytest.raises(DeviceMemoryError):
        dataset.run()
    assert not dataset.out.exists() and not dataset.out.with_suffix("").exists()


def test_a_refinement_that_fails_is_told_in_the_row(dataset, segmenter, monkeypatch):
    monkeypatch.setattr(closed_form, "MAX_ITERATIONS", 0)
    item = dataset.add(picture())
    row = dataset.run()[item]
    assert (row["outcome"], row["refined"]) == ("kept", "0")
    assert "did not converge" in row["detail"]


def test_refinement_and_foreground_can_be_turned_off(dataset, segmenter):
    item = dataset.add(picture())
    row = dataset.run(refine=False, foreground=False)[item]
    rgba = image_files.read(dataset.root / row["path"])
    assert (row["refined"], row["foreground"], row["edge_fraction"]) == ("0", "0", "0.0")
    np.testing.assert_array_equal(rgba[..., 3] == 255, picture()[..., 0] > 100)


def test_the_same_crops_give_the_same_bytes_in_any_batch(dataset, segmenter):
    rng = np.random.default_rng(0)
    for _ in range(5):
        noisy = picture().astype(int) + rng.integers(-15, 16, (96, 72, 1))
        dataset.add(np.clip(noisy, 0, 255).astype(np.uint8))
    first = [dict(row) for row in dataset.run(batch=5).values()]
    table = dataset.out.read_bytes()
    assert [dict(row) for row in dataset.run(batch=2).values()] == first
    assert dataset.out.read_bytes() == table


def test_a_crop_that_is_not_what_stage_2_wrote_is_quarantined(dataset, segmenter):
    item, other = dataset.add(picture()), dataset.add(picture())
    path = dataset.root / f"02_yolo_crops/{VIDEO}/{item}.png"
    path.write_bytes(image_files.encode_png(picture(radius=20)))
    rows = dataset.run()
    row = rows[item]
    assert (row["outcome"], row["reason"]) == ("quarantined", "UNREADABLE_CROP")
    assert "SHA-256" in row["detail"] and rows[other]["outcome"] == "kept"
    assert hashlib.sha256((dataset.root / row["path"]).read_bytes()).hexdigest() == row["sha256"]


def two_people():
    """A crop of 96 x 120: a red subject at the left, and somebody in yellow whom the red hides."""
    y, x = np.mgrid[:96, :120]
    crop = np.full((96, 120, 3), SCENE, np.uint8)
    crop[(abs(x - 76) < 18) & (y > 12)] = (210, 190, 30)
    crop[(abs(x - 36) < 22) & (y > 6)] = SUBJECT
    return crop


SUBJECTS_BOX = {"x1": 114, "y1": 57, "x2": 158, "y2": 146}
TWO = {**SUBJECTS_BOX, "crop_x2": 220, "crop_y2": 146}
THEIRS = {"x1": 158, "y1": 63, "x2": 194, "y2": 146}


def add_two(dataset, theirs=THEIRS, reason="NOT_TARGET"):
    """A crop with two people, and the row of the other one, whose box is `theirs`."""
    item = dataset.add(two_people(), **TWO)
    about = {"parent": f"{item[:-2]}d1", "outcome": "dropped", "reason": reason, **theirs}
    dataset.lines.append(tables.row("crop", item=f"{item[:-1]}1", **about))
    return item


@pytest.mark.parametrize("fate", ["NOT_TARGET", "TOO_SMALL", "DUPLICATE_SUBJECT"])
def test_another_person_in_the_crop_is_cut_away_whatever_became_of_them(dataset, segmenter, fate):
    item = add_two(dataset, reason=fate)
    row = dataset.run()[item]
    assert row["outcome"] == "kept" and row["others"] == "1"
    rgba = image_files.read(dataset.root / row["path"])
    there, (_, x) = rgba[..., 3] > 0, np.mgrid[:96, :120]
    assert not (there & (x > 60)).any() and there[10:, 16:56].mean() > 0.98
    assert float(row["others_taken"]) == pytest.approx(0.42, abs=0.03)
    assert float(row["others_unsure"]) < 0.01


def test_without_a_box_of_theirs_both_stay_and_the_row_says_that_nobody_was_known(
    dataset, segmenter
):
    far = {"x1": 400, "y1": 63, "x2": 436, "y2": 146}
    item = add_two(dataset, theirs=far)
    row = dataset.run()[item]
    assert (row["others"], row["others_taken"], row["others_unsure"]) == ("0", "0.0", "0.0")
    rgba = image_files.read(dataset.root / row["path"])
    assert (rgba[20:, 70, 3] == 255).all()


def test_a_crop_that_may_be_somebody_else_is_quarantined_with_its_share(dataset, segmenter):
    """The network cut the wrong one out."""
    item = add_two(dataset)
    segmenter(lambda crops_rgb, boxes: [(c[..., 0] == 210).astype(np.float32) for c in crops_rgb])
    row = dataset.run()[item]
    assert (row["outcome"], row["reason"]) == ("quarantined", "OTHER_PERSON")
    assert float(row["value"]) > 0.9 and row["threshold"] == "0.01"
    assert row["value"] == row["others_unsure"] and row["others"] == "1"
    assert row["path"] == f"bad_frames/{VIDEO}/OTHER_PERSON/{item}.png"
    assert dataset.run(max_other_person=1.0)[item]["reason"] != "OTHER_PERSON"


def test_whom_the_detector_hardly_sees_in_the_subjects_box_is_not_delivered(dataset, segmenter):
    around_both = {**TWO, "x2": THEIRS["x2"]}
    alone = dataset.add(two_people(), **around_both)
    hint = " ".join(str(float(THEIRS[end])) for end in ("x1", "y1", "x2", "y2"))
    item = dataset.add(two_people(), **around_both, hardly_seen=hint)
    rows = dataset.run()
    assert (rows[alone]["outcome"], rows[alone]["others"]) == ("kept", "0")
    assert rows[item]["others"] == "1" and float(rows[item]["others_taken"]) > 0.4
    rgba = image_files.read(dataset.root / rows[item]["path"])
    assert not rgba[:, 62:, 3].any() and rgba[20:, 20:54, 3].all()


def test_a_network_that_knows_instances_is_asked_about_the_others(dataset, segmenter, monkeypatch):
    def apart(crops_rgb, boxes_xyxy, others_xyxy):
        assert [list(map(tuple, one)) for one in others_xyxy] in ([[]], [[(58, 13, 94, 96)]])
        for crop in crops_rgb:
            claims = (crop[..., 0] == 210).astype(np.float32)
            yield (crop[..., 0] > crop[..., 2]).astype(np.float32), claims

    net = segmenters.Segmenter("yolo-seg", "cpu test", "ab" * 32, None, None, apart)
    monkeypatch.setattr(segmenters, "load", lambda *given, **options: net)
    item = add_two(dataset)
    row = dataset.run()[item]
    assert row["others"] == "1" and float(row["others_taken"]) > 0.4


def test_a_crop_is_masked_again_when_the_box_of_somebody_in_it_changes(dataset):
    item = add_two(dataset)
    (line,) = stage.with_others(dataset.lines)
    assert line["item"] == item and [one["x1"] for one in line["others"]] == [THEIRS["x1"]]
    before = stage.item_digest(line)
    dataset.lines[-1]["x1"] = 160
    (line,) = stage.with_others(dataset.lines)
    assert stage.item_digest(line) != before
    dataset.lines[-1] |= {"x1": 300, "x2": 340}
    (line,) = stage.with_others(dataset.lines)
    moved, dataset.lines[-1]["x2"] = stage.item_digest(line), 350
    (line,) = stage.with_others(dataset.lines)
    assert line["others"] == [] and stage.item_digest(line) == moved, "out of the crop's reach"


GREEN = (20, 200, 40)


def deadly_where_green(end):
    """A segmenter that is ended by a crop whose scene is green."""

    def alpha(crops_rgb, boxes=None):
        if any(tuple(crop[0, 0]) == GREEN for crop in crops_rgb):
            end()
        return red_is_the_subject(crops_rgb)

    return alpha


def green_picture():
    crop = picture()
    crop[crop[..., 2] > 100] = GREEN
    return crop


@pytest.mark.parametrize("how", ["segfault", "hang", "memory", "exit"])
def test_a_crop_that_ends_the_segmenter_is_quarantined_alone(dataset, segmenter, how):
    items = [dataset.add(picture(radius=r)) for r in (20, 22)]
    guilty = dataset.add(green_picture())
    items += [dataset.add(picture(radius=r)) for r in (24, 26)]
    end, reason, detail = ENDS[how]
    segmenter(deadly_where_green(end))
    limits = {"hang": {"timeout_s": 2}, "memory": {"memory_mb": room(300)}}.get(how, {})
    rows = dataset.run(**limits)
    row = rows[guilty]
    assert (row["outcome"], row["reason"]) == ("quarantined", reason) and detail in row["detail"]
    assert row["path"] == f"bad_frames/{VIDEO}/{reason}/{guilty}.png"
    source = dataset.root / f"02_yolo_crops/{VIDEO}/{guilty}.png"
    assert (dataset.root / row["path"]).read_bytes() == source.read_bytes()
    assert hashlib.sha256(source.read_bytes()).hexdigest() == row["sha256"]
    segmenter()  # as if nothing had ever happened
    undisturbed = dataset.run()
    assert [rows[item] for item in items] == [undisturbed[item] for item in items]
    assert not (dataset.root / row["path"]).exists()


def test_matting_that_crashes_costs_one_crop(dataset, segmenter, monkeypatch):
    """It is native code too, and sees what the net made of the crop."""
    refine = alpha_refinement.refine_alpha

    def crashes(image_rgb, alpha, edge_px, **engine):
        if tuple(image_rgb[0, 0]) == GREEN:
            ENDS["segfault"][0]()
        return refine(image_rgb, alpha, edge_px, **engine)

    monkeypatch.setattr(alpha_refinement, "refine_alpha", crashes)
    guilty, other = dataset.add(green_picture()), dataset.add(picture())
    rows = dataset.run()
    assert rows[guilty]["reason"] == "MODEL_CRASHED" and rows[other]["outcome"] == "kept"


def test_a_segmenter_that_ends_on_everything_fails_the_job_and_leaves_nothing(dataset, segmenter):
    def alpha(crops_rgb, boxes=None):
        ENDS["segfault"][0]()

    segmenter(alpha)
    dataset.add(picture())
    with pytest.raises(IsolationError, match=r"mask: .*harmless"):
        dataset.run()
    assert not dataset.out.exists() and not dataset.out.with_suffix("").exists()


def test_a_tagger_that_crashes_costs_one_crop(dataset, segmenter):
    def presence(crops_rgb):
        if tuple(crops_rgb[0][0, 0]) == GREEN:
            ENDS["segfault"][0]()
        return [Presence(True, 0.9, 0.68, "man") for _ in crops_rgb]

    segmenter(presence=presence)
    guilty, other = dataset.add(green_picture()), dataset.add(picture())
    rows = dataset.run()
    assert rows[guilty]["reason"] == "MODEL_CRASHED" and rows[other]["outcome"] == "kept"
