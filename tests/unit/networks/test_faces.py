"""The seam for faces, on networks that are small enough to see through."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from ferrari.networks import faces, tilted_heads, weight_files
from ferrari.networks.backends import yunet
from ferrari.networks.weight_files import ModelError
from ferrari.processes.failures import Failure
from ferrari.processes.isolated_model import Isolated
from ferrari.processes.model_verdicts import Limits
from tests.unit.networks import face_nets

RED, GREEN = (255, 0, 0), (0, 255, 0)


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """The small networks are what models.yaml lists; their folder."""
    table = face_nets.entries(tmp_path)
    monkeypatch.setattr(weight_files, "table", lambda: table)
    return tmp_path


def painted(height, width, *patches):
    """A black picture with squares: each x, y, side and colour."""
    picture = np.zeros((height, width, 3), np.uint8)
    for x, y, side, colour in patches:
        picture[y : y + side, x : x + side] = colour
    return picture


def test_a_face_has_its_box_and_landmarks_in_pixels_of_the_picture(listed):
    model = face_nets.model(listed)
    picture = painted(100, 150, (80, 40, 8, RED))  # a cell of the finest grid; sides are no 32s
    (face,) = model.find(picture)
    assert face.box_xyxy == pytest.approx((52, 12, 116, 76)) and face.score == pytest.approx(1)
    corner = np.array([52, 12])
    np.testing.assert_allclose(face.landmarks_xy, corner + face_nets.LANDMARKS * 64, atol=1e-4)
    assert face.landmarks_xy.dtype == np.float32 and face.short_side == pytest.approx(64)
    assert model.find(painted(100, 150, (80, 40, 8, GREEN))) == []


def test_a_large_picture_is_searched_at_a_size_of_its_own(listed):
    picture = painted(960, 1280, (160, 320, 16, RED))
    (face,) = face_nets.model(listed).find(picture)
    assert face.box_xyxy == pytest.approx((104, 264, 232, 392))


def test_a_face_too_small_for_the_whole_picture_is_found_in_its_person(listed):
    model = face_nets.model(listed)
    picture = painted(1080, 1920, (1000, 200, 10, RED))
    assert model.find(picture) == []
    person = (970.0, 180.0, 1040.0, 400.0)
    face = faces.faces_of_person(model, picture, person)[0]
    x1, y1, x2, y2 = face.box_xyxy
    assert abs((x1 + x2) / 2 - 1005) < 4 and abs((y1 + y2) / 2 - 205) < 4
    assert faces.faces_of_person(model, picture, (100.0, 180.0, 170.0, 400.0)) == []


def test_a_face_in_two_boxes_is_given_to_one_person(listed):
    """Two people close together: each one's face is in the other's box too."""
    picture = painted(320, 320, (104, 40, 8, RED), (160, 48, 8, RED))
    left, right = (40.0, 30.0, 200.0, 310.0), (90.0, 35.0, 250.0, 310.0)
    for people in ([left, right], [right, left]):
        (found,) = faces.faces_of_people(face_nets.model(listed), [(picture, people)])
        middles = [[round((f.box_xyxy[0] + f.box_xyxy[2]) / 2) for f in of] for of in found]
        assert sorted(map(len, found)) == [1, 1]
        assert abs(middles[people.index(left)][0] - 108) <= 4
        assert abs(middles[people.index(right)][0] - 164) <= 4


def test_only_whose_faces_they_are_is_searched_in_turned_pictures(listed, monkeypatch):
    """One in two boxes once, one that is nobody's not at all; each in the part that showed it."""
    left, right = (40.0, 30.0, 200.0, 310.0), (90.0, 35.0, 250.0, 310.0)
    crowd = painted(320, 320, (104, 40, 8, RED), (160, 48, 8, RED))
    chest = painted(320, 320, (104, 40, 8, RED), (104, 181, 8, RED))
    asked = []

    def numbered(find, pictures, given):
        asked.extend(zip(pictures, given, strict=True))
        return [[replace(face, score=number) for face in of] for number, of in enumerate(given)]

    monkeypatch.setattr(tilted_heads, "found_again", numbered)
    model = face_nets.model(listed)
    found = faces.faces_of_people(model, [(crowd, [left, right]), (chest, [left])])
    assert [len(of) for _, of in asked] == [1, 1, 1]
    for part, (face,) in asked:
        x1, y1, x2, y2 = map(round, face.box_xyxy)
        assert part[(y1 + y2) // 2, (x1 + x2) // 2].tolist() == list(RED)
    assert [[[face.score for face in of] for of in those] for those in found] == [[[0], [1]], [[2]]]


def test_a_box_that_the_edge_cuts_off_or_that_is_a_line_has_no_face(listed):
    model = face_nets.model(listed)
    outside = ((-50.0, -50.0, -10.0, -5.0), (200.0, 200.0, 300.0, 300.0))
    for box in (*outside, (90.0, 90.0, 300.0, 300.0), (50.0, 5.0, 50.0, 60.0)):
        assert faces.faces_of_person(model, painted(96, 96), box) == []


def test_embeddings_have_unit_length_and_are_those_of_each_face(listed):
    model = face_nets.model(listed)
    picture = painted(160, 320, (240, 80, 8, RED), (64, 64, 8, RED))
    found = sorted(model.find(picture), key=lambda face: face.box_xyxy)
    picture[:, :160], picture[:, 160:] = (200, 0, 0), (0, 30, 40)
    embeddings = model.embed(picture, found)
    assert embeddings.shape == (2, 4) and embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings[1], [0, 0.6, 0.8, 0], atol=1e-5)
    assert embeddings[0] @ [1, 0, 0, 0] == pytest.approx(1, abs=1e-4)
    assert model.embed(picture, []).shape == (0, 4)


def test_a_face_is_as_clear_as_what_the_network_gives_for_it_is_long(listed):
    """The network here gives a picture's colour: lengths of 200, 50 and 10."""
    weight_files.table()["models"]["tell"]["clear"] = [20, 80]
    model = face_nets.model(listed)
    picture = painted(100, 150, (80, 40, 8, RED))
    (face,) = model.find(picture)
    pictures = [np.zeros_like(picture) for _ in range(3)]
    for one, colour in zip(pictures, ((200, 0, 0), (0, 30, 40), (0, 6, 8)), strict=True):
        one[:] = colour
    found = model.embedded([(one, face) for one in pictures])
    assert [one.clarity for one in found] == pytest.approx([1.0, 0.5, 0.0], abs=0.02)
    assert [np.linalg.norm(one.embedding) for one in found] == pytest.approx([1, 1, 1])


def test_a_network_that_takes_bgr_is_given_it(listed):
    weight_files.table()["models"]["tell"]["input"]["channels"] = "bgr"
    model = face_nets.model(listed)
    picture = painted(100, 150, (80, 40, 8, RED))
    found = model.find(picture)
    picture[:] = (0, 30, 40)
    np.testing.assert_allclose(model.embed(picture, found)[0], [0.8, 0.6, 0, 0], atol=1e-5)


def test_results_do_not_depend_on_what_comes_together_or_in_which_order(listed):
    model = face_nets.model(listed)
    rng = np.random.default_rng(5)
    items = []
    for size in ((96, 128), (200, 90), (96, 128), (300, 310)):
        noise = rng.integers(0, 90, (*size, 3), np.uint8)
        noise[16:32, 24:40] = RED
        items.append((noise, [(8.0, 4.0, 60.0, 90.0), (0.0, 0.0, float(size[1]), float(size[0]))]))
    apart = [faces.recognise(model, [item])[0] for item in items]
    together = faces.recognise(model, items)
    backwards = faces.recognise(face_nets.model(listed), items[::-1])[::-1]  # loaded anew
    assert sum(len(of) for people in apart for of in people) >= 4
    for one, other, another in zip(apart, together, backwards, strict=True):
        assert as_bytes(one) == as_bytes(other) == as_bytes(another)


def as_bytes(people):
    return [
        [(f.face.box_xyxy, f.face.landmarks_xy.tobytes(), f.embedding.tobytes()) for f in of]
        for of in people
    ]


def test_where_faces_are_is_told_without_embedding_them(listed):
    model = face_nets.model(listed)
    item = (painted(200, 200, (96, 40, 16, RED)), [(20.0, 20.0, 190.0, 190.0)])
    found, ((wanted,),) = faces.recognise(model, [faces.FindOnly(*item), item])
    ((face,),) = found
    assert face.embedding.size == 0 and wanted.embedding.any()
    assert face.face.box_xyxy == wanted.face.box_xyxy


def test_runtimes_of_a_card_give_the_same_faces(listed, monkeypatch):
    from ferrari.networks.placement import Place

    item = (painted(200, 200, (96, 40, 16, RED)), [(20.0, 20.0, 190.0, 190.0)])
    ((ours,),) = faces.recognise(face_nets.model(listed), [item])
    for runtime in ("onnxruntime", "torch"):
        places = [Place("cpu", runtime)] * 2
        monkeypatch.setattr(faces, "places_of", lambda *_, places=places: places)
        model = face_nets.model(listed)
        assert model.device == f"cpu {runtime}"
        ((theirs,),) = faces.recognise(model, [item])
        assert len(theirs) == len(ours) == 1
        np.testing.assert_allclose(theirs[0].face.box_xyxy, ours[0].face.box_xyxy, atol=1e-3)
        np.testing.assert_allclose(theirs[0].embedding, ours[0].embedding, atol=1e-5)


LIMITS = Limits("subject", memory_mb=2000, timeout_s=60, load_timeout_s=60)


def killed_by_green(load):
    """The model, whose process a picture with a green corner ends."""
    about, run = load()

    def deadly(items):
        if any((picture[0, 0] == GREEN).all() for picture, _ in items):
            os.kill(os.getpid(), signal.SIGSEGV)
        return run(items)

    return about, deadly


def test_a_picture_that_ends_the_process_costs_its_own_row_alone(listed):
    load = faces.loader(face_nets.SETTINGS, face_nets.weights(listed), 1, str(listed))
    boxes = [(8.0, 0.0, 120.0, 90.0)]
    good = (painted(96, 128, (24, 16, 8, RED)), boxes)
    deadly = (painted(96, 128, (0, 0, 8, GREEN)), boxes)
    with Isolated(partial(killed_by_green, load), faces.HARMLESS, LIMITS) as model:
        assert model.about["faces"] == "find+tell" and model.about["threshold"] == 0.9
        results, _ = model.outcomes([good, deadly, good], "frames")
    assert isinstance(results[1], Failure)
    assert [len(results[index][0]) for index in (0, 2)] == [1, 1]


def test_what_cannot_be_loaded_says_why(listed):
    load = partial(faces.load, threads=1, cache=str(listed))
    with pytest.raises(ModelError, match="detector 'eyes' of faces is none of find"):
        load({**face_nets.SETTINGS, "detector": "eyes"}, face_nets.weights(listed))
    find, tell = face_nets.weights(listed)
    with pytest.raises(ModelError, match="weights tell are not at"):
        load(face_nets.SETTINGS, [find, str(listed / "gone.onnx")])
    with pytest.raises(ModelError, match="SHA-256"):
        load(face_nets.SETTINGS, [tell, find])


def test_a_network_of_other_dimensions_is_refused(listed):
    weight_files.table()["models"]["tell"]["dimensions"] = 128
    model = face_nets.model(listed)
    picture = painted(100, 150, (80, 40, 8, RED))
    with pytest.raises(ModelError, match=r"gives 4 numbers of length .*, expected 128"):
        model.embed(picture, model.find(picture))


def test_outputs_that_are_not_yunets_are_refused():
    with pytest.raises(ModelError, match="not YuNet's"):
        yunet.decode((np.zeros((4, 1)),) * 12, 64, 64, 0.5)


def test_a_detector_that_is_not_said_to_set_faces_upright_is_asked_once(listed, monkeypatch):
    """The demo's own: what was measured of YuNet says nothing of others."""
    weight_files.table()["models"]["find"].pop("upright")
    asked_again = []
    monkeypatch.setattr(faces.tilted_heads, "found_again", lambda *given: asked_again.append(given))
    model, picture = face_nets.model(listed), painted(100, 150, (80, 40, 8, RED))
    assert model.find(picture) and not asked_again
