"""YuNet and SFace on real people (FERRARI_SHARED): what is found, and how alike faces are."""

from __future__ import annotations

from itertools import combinations

import av
import cv2
import numpy as np
import pytest

from ferrari.images import face_alignment, head_pose
from ferrari.images.boxes import clip, overlap
from ferrari.networks import detectors, weight_files
from ferrari.networks import faces as face_models
from ferrari.networks.backends import onnx_file, tfjs_graph
from ferrari.subject.face_weights import USABLE
from tests.shared import SHARED, shared

pytestmark = pytest.mark.real

MEDIA = SHARED / "media"
SETTINGS = {"detector": "yunet", "embedding": "sface", "device": "cpu", "batch": 1}
#: Who is alone in which clips.
MAN = ("again", "brother", "help", "no", "student", "yes")
WOMAN = ("book", "learn", "school", "walk")
PEOPLE = {
    **{name: [f"identity/{name}.mp4"] for name in
       ("d0", "d3", "d6", "d10", "d12", "d13", "d18", "s18", "s20")},
    "man": [f"people/asl__{name}.mkv" for name in MAN],
    "woman": [f"people/asl__{name}.mkv" for name in WOMAN],
}  # fmt: skip
NOBODY = (
    "people/php-ffmpeg__portrait.MOV",
    "people/php-ffmpeg__sample.3gp",
    "people/tika__testWEBM.webm",
    "format/exoplayer__dolbyVision-hdr.MOV",
    "format/exoplayer__sample_android_slow_motion.mp4",
)


@pytest.fixture(scope="module")
def weights():
    chosen = weight_files.for_faces(SETTINGS)
    shared("media/identity")
    return [str(shared(f"weights/face/{one.entry['file']}")) for one in chosen]


@pytest.fixture(scope="module")
def model(weights):
    return face_models.load(SETTINGS, weights, threads=2, cache="cache")


@pytest.fixture(scope="module")
def models(weights, model, tmp_path_factory):
    """With each of the embeddings."""
    source = SHARED / "weights" / "face" / "faceres.json"
    converted = tfjs_graph.to_onnx(
        source.read_bytes(), source.with_suffix(".bin").read_bytes(), "global_pooling/Mean"
    )
    file = tmp_path_factory.mktemp("faceres") / "faceres.onnx"
    file.write_bytes(converted)
    settings = {**SETTINGS, "embedding": "faceres"}
    other = face_models.load(settings, [weights[0], str(file)], threads=2, cache="cache")
    return {"sface": model, "faceres": other}


@pytest.fixture(scope="module")
def people():
    """Six frames of each clip of each person, first to last: HxWx3 uint8 RGB."""
    return {name: [sampled(clip, 6) for clip in clips] for name, clips in PEOPLE.items()}


def sampled(clip, count):
    with av.open(str(MEDIA / clip)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [frames[round(at)] for at in np.linspace(0, len(frames) - 1, count)]


def flat(people):
    return [frame for clips in people.values() for frames in clips for frame in frames]


def test_every_face_is_found_and_nothing_else(model, people):
    found = [model.find(frame) for frame in flat(people)]
    assert sum(len(faces) == 1 for faces in found) == len(found) == 114
    empty = [frame for clip in NOBODY for frame in sampled(clip, 6)]
    assert len(empty) == 30 and not any(model.find(frame) for frame in empty)


def test_every_face_is_found_in_its_persons_box(model, people):
    """But one, on some CPUs: of a face that fills the picture the box may be so narrow that the
    face goes on below the part of it in which a head is looked for.
    """
    yolo = detectors.load(
        {"backend": "yolo", "weights_sha256": None, "device": "cpu", "class": "person",
         "image_size": 640, "confidence": 0.4, "iou": 0.5, "batch": 1},
        [str(SHARED / "weights" / "yolo11n_int8_openvino_model")], {}, threads=2, cache="cache",
    )  # fmt: skip
    frames = flat(people)
    boxes = [
        [found.box_xyxy for found in of if found.confidence >= 0.4] for of in yolo.detect(frames)
    ]
    given = face_models.faces_of_people(model, list(zip(frames, boxes, strict=True)))
    given = [[of for of in of_people if of] for of_people in given]
    assert sum(map(len, given)) in (113, 114) and len(given) == 114
    for frame, of_people in zip(frames, given, strict=True):
        if not of_people:
            continue
        (whole,) = model.find(frame)
        ((face,),) = of_people
        assert overlap(face.box_xyxy, whole.box_xyxy) > 0.6
        assert max(map(abs, vars(head_pose.pose(face.landmarks_xy)).values())) < 60


@pytest.mark.parametrize("side", [16, 24, 32, 64])
def test_small_faces_are_found_in_their_persons_box(model, people, side):
    found = []
    for frame in flat(people):
        (face,) = model.find(frame)
        scale = side / face.short_side
        if scale < 1:
            small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            x1, y1, x2, y2 = (edge * scale for edge in face.box_xyxy)
            wide, high = x2 - x1, y2 - y1
            person = clip((x1 - wide, y1 - high / 2, x2 + wide, y2 + 3 * high), *small.shape[1::-1])
            found.append(len(face_models.faces_of_person(model, small, person)) == 1)
    print(f"\n{side} pixels: {sum(found)} of {len(found)}")
    assert np.mean(found) >= 0.98


@pytest.mark.parametrize(("name", "area"), [("sface", 0.9999), ("faceres", 1.0)])
def test_faces_of_one_person_are_nearer_than_those_of_two(models, people, name, area):
    """Half a clip against its other half, and the clips of the two who are in several."""
    model = models[name]
    embedded = [
        [np.concatenate([model.embed(f, model.find(f)) for f in frames]) for frames in clips]
        for clips in people.values()
    ]
    within = [(clip[:3] @ clip[3:].T).ravel() for clips in embedded for clip in clips]
    across = [(a @ b.T).ravel() for clips in embedded for a, b in combinations(clips, 2)]
    whole = [np.concatenate(clips) for clips in embedded]
    others = np.concatenate([(a @ b.T).ravel() for a, b in combinations(whole, 2)])
    same = np.concatenate(within + across)
    found = float(np.mean(same[:, None] > others))
    print(f"\n{name}: area under the curve {found:.5f}")
    for text, pairs in (("one person", same), ("two people", others)):
        spread = np.quantile(pairs, [0, 0.01, 0.05, 0.5, 0.95, 0.99, 1]).round(3)
        print(f"{text}: {pairs.size} pairs, from 0 to 100 %: {spread.tolist()}")
    assert (same.size, others.size) == (927, 5400) and found >= area
    assert np.mean(same > model.threshold) > 0.99 and np.mean(others < model.threshold) > 0.999


@pytest.mark.parametrize("roll", [-60, -45, 45, 60])
def test_a_head_that_is_tilted_is_as_like_itself(model, people, roll):
    """Whoever leans over is no stranger, and no more like others who do. Of one the landmarks tell
    a profile at first, which stays as it is.
    """
    found = []
    for clips in people.values():
        frame = clips[0][0]
        (face,) = model.find(frame)
        x1, y1, x2, y2 = face.box_xyxy
        around = cv2.getRotationMatrix2D(((x1 + x2) / 2, (y1 + y2) / 2), -roll, 1.0)
        turned = cv2.warpAffine(frame, around, frame.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        tilted = model.find(turned)[:1]
        if tilted:  # the network misses some who lie
            found.append((model.embed(frame, [face])[0], model.embed(turned, tilted)[0]))
    upright, leaning = (np.stack(some) for some in zip(*found, strict=True))
    own, others = (upright * leaning).sum(1), leaning @ leaning.T
    print(f"\n{roll}: {len(own)} of {len(people)} found, {own.min():.2f} and more")
    assert len(own) >= 4 and np.median(own) > 0.9 and (own > 0.55).sum() >= len(own) - 1
    assert others[np.triu_indices(len(own), 1)].max() < 0.45


@pytest.mark.parametrize("name", ["sface", "faceres"])
def test_a_face_that_is_blurred_or_dark_is_not_clear(models, people, name):
    """So it does not say that somebody is another. As it was filmed each is clear."""
    model, clear, spoilt = models[name], [], {"blurred": [], "dark": []}
    for clips in people.values():
        frame = clips[0][0]
        (face,) = model.find(frame)
        pictures = {
            "blurred": cv2.blur(frame, (max(3, round(0.55 * face.short_side)), 1)),
            "dark": (frame * 0.04).astype(np.uint8),
        }
        clear.append(model.embedded([(frame, face)])[0].clarity)
        for how, picture in pictures.items():
            spoilt[how].append(model.embedded([(picture, face)])[0].clarity)
    print(f"\n{name}: {min(clear):.2f} and more;", {how: max(of) for how, of in spoilt.items()})
    assert min(clear) > 0.8
    assert all(np.median(of) < USABLE for of in spoilt.values()), spoilt


def test_faces_are_those_of_opencv(weights, model, people):
    """Boxes and landmarks of FaceDetectorYN, and the picture that FaceRecognizerSF embeds."""
    graph = np.frombuffer(onnx_file.read(weights[0]).SerializeToString(), np.uint8)
    net = np.frombuffer(onnx_file.read(weights[1]).SerializeToString(), np.uint8)
    none = np.zeros(0, np.uint8)
    recogniser = cv2.FaceRecognizerSF.create("onnx", net, none)
    for frame in flat(people)[::19]:
        scale = 640 / max(frame.shape[:2])
        picture = face_models._resized(frame, scale) if scale < 1 else frame
        size = picture.shape[1::-1]
        finder = cv2.FaceDetectorYN.create("onnx", graph, none, size, 0.8, 0.3)
        (theirs,) = finder.detect(np.ascontiguousarray(picture[..., ::-1]))[1]
        ((ours,),) = model.find_in([(picture, 1.0)])
        x, y, wide, high = theirs[:4]
        np.testing.assert_allclose(ours.box_xyxy, (x, y, x + wide, y + high), atol=0.01)
        np.testing.assert_allclose(ours.landmarks_xy.ravel(), theirs[4:14], atol=0.01)
        if ours.short_side < 150:
            aligned = face_alignment.aligned(picture, ours.landmarks_xy).astype(int)
            upright = recogniser.alignCrop(np.ascontiguousarray(picture[..., ::-1]), theirs)
            assert np.abs(aligned - upright[..., ::-1]).mean() < 1
            feature = recogniser.feature(upright).ravel()
            assert feature @ model.embed(picture, [ours])[0] > 0.999 * np.linalg.norm(feature)
