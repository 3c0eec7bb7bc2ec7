"""Known weights: the list, what may load."""

import hashlib
import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest

from ferrari.common.atomic_files import sha256_bytes, sha256_path
from ferrari.networks import segmenters, weight_files, weight_kinds


class Bomb:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


KINDS = {"face_detector", "face_embedding", *set().union(*weight_kinds._KINDS.values())}
SOURCES = (
    {"url"},
    {"local"},
    {"npm", "version", "index", "key"},
    {"npm", "version", "tfjs", "output"},
    {"pypi", "version", "wheel_sha256", "folder"},
    {"pypi", "version", "wheel_sha256", "folder", "python"},
)


def test_every_entry_says_what_it_is_and_every_pickle_is_pinned():
    table = weight_files.table()
    for name, entry in table["models"].items():
        assert entry["kind"] in KINDS, name
        assert entry["licence"], name
        for digest, length in (("sha256", 64), ("md5", 32)):
            if entry.get(digest) is not None:
                assert len(entry[digest]) == length and int(entry[digest], 16) >= 0, name
        for source in entry["sources"]:
            assert set(source) in SOURCES, name
        if entry["file"].endswith(".pt"):
            assert entry.get("sha256"), f"{name} is a pickle and could never load"


def test_no_two_entries_share_a_digest():
    """YAML anchors hand digests down: an entry that forgot its own would show up here."""
    for key in ("sha256", "md5"):
        digests = [e[key] for e in weight_files.table()["models"].values() if e.get(key)]
        assert len(digests) == len(set(digests))


def test_every_segmenter_has_weights_and_what_its_backend_needs():
    table = weight_files.table()
    for name, segmenter in table["segmenters"].items():
        entry = table["models"][segmenter["weights"]]
        if segmenter["backend"] in ("alpha_net", "ram"):
            assert {"size", "mean", "std"} == set(entry["input"]) - {"multiple"}, name
            assert {"index", "activation"} == set(entry["output"]), name


def test_every_network_for_faces_says_what_is_needed_to_use_it():
    table = weight_files.table()
    for section, backend in (("face_detectors", "yunet"), ("face_embeddings", "face_net")):
        for name, network in table[section].items():
            entry = table["models"][network["weights"]]
            assert network["backend"] == backend and 0 < entry["threshold"] < 1, name
            assert entry["sha256"] and entry["licence"], name
            if section == "face_embeddings":
                assert entry["input"]["alignment"] == "five_points" and entry["dimensions"], name
    chosen = weight_files.for_faces({"detector": "yunet", "embedding": "sface"})
    assert [weights.name for weights in chosen] == ["yunet", "sface"]


def test_weights_that_are_not_for_commercial_use_are_asked_for_first():
    ours = weight_files.Weights("ours", Path("a"), entry={"licence": "MIT"})
    weight_files.require_terms(ours, accept_noncommercial=False)
    entry = {"licence": "research only", "noncommercial": True}
    theirs = weight_files.Weights("theirs", Path("a"), entry=entry)
    with pytest.raises(weight_files.ModelError, match=r"research only.*accept_noncommercial: true"):
        weight_files.require_terms(theirs, accept_noncommercial=False)
    weight_files.require_terms(theirs, accept_noncommercial=True)


def test_weights_that_an_image_brings_come_before_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(weight_files.GIVEN, str(tmp_path))
    cached = Path("cache/weights/isnet/isnet-general-use.fp16.onnx")
    assert weight_files.resolve("isnet").path == cached
    brought = tmp_path / "isnet/isnet-general-use.fp16.onnx"
    brought.parent.mkdir()
    brought.touch()
    assert weight_files.resolve("isnet").path == brought
    assert weight_files.is_ours(weight_files.resolve("demo-person-seg"))  # in the repository anyway
    with pytest.raises(weight_files.ModelError, match="size"):
        weight_files.verify(weight_files.resolve("isnet"))


def test_a_folder_of_weights_that_is_none_is_told(tmp_path, monkeypatch):
    """It was passed over, and the weights were fetched."""
    monkeypatch.delenv(weight_files.GIVEN, raising=False)
    assert weight_files.given_is_missing() == ""
    (tmp_path / "weights").mkdir()
    monkeypatch.setenv(weight_files.GIVEN, str(tmp_path / "weights"))
    assert weight_files.given_is_missing() == ""
    monkeypatch.setenv(weight_files.GIVEN, "weights")
    assert weight_files.given_is_missing(tmp_path) == "", "from where runs run"
    monkeypatch.setenv(weight_files.GIVEN, str(tmp_path / "wieghts"))
    told = weight_files.given_is_missing()
    assert told.startswith(f"FERRARI_WEIGHTS: there is no folder {tmp_path / 'wieghts'}, so")
    assert told.endswith(f"Did you mean {tmp_path / 'weights'}?") and "\n" not in told


def test_a_name_resolves_into_the_cache_and_a_path_to_itself(tmp_path):
    known = weight_files.resolve("yolo11n", tmp_path)
    assert known.path == tmp_path / "weights" / "yolo11n" / "yolo11n.pt"
    assert known.sha256.startswith("0ebbc80d")
    own = weight_files.resolve("my/own.onnx", tmp_path)
    assert (own.path, own.sha256, own.entry) == (Path("my/own.onnx"), None, {})
    demo = weight_files.resolve("demo-person-seg", tmp_path)
    assert demo.path == weight_files.ROOT / "models/demo/person-seg_openvino_model"


def test_an_unknown_name_says_what_was_meant():
    with pytest.raises(weight_files.ModelError, match="yolo11s"):
        weight_files.resolve("yolo11ss")
    with pytest.raises(weight_files.ModelError, match="did you mean isnet"):
        weight_files.for_segmenter({"segmenter": "isnett", "weights": None})


def test_own_weights_take_the_segmenters_preparation_and_the_users_pin(tmp_path):
    settings = {"segmenter": "birefnet", "weights": "a/b.onnx", "weights_sha256": "ab" * 32}
    (chosen,) = weight_files.for_segmenter(settings, tmp_path)
    assert chosen.sha256 == "ab" * 32
    assert chosen.entry["output"]["activation"] == "sigmoid"
    assert "sha256" not in chosen.entry and "bytes" not in chosen.entry


def test_ram_needs_its_own_weights_and_sams(tmp_path):
    pair = weight_files.for_segmenter({"segmenter": "ram", "weights": None}, tmp_path)
    assert [weights.name for weights in pair] == ["ram", "sam2.1_b"]


def zip_holding(path, name):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"x")


def tar_holding(path, name):
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())


@pytest.mark.parametrize(
    ("name", "make", "expected"),
    [
        ("a.pt", lambda p: p.write_bytes(b"harmless"), True),
        ("a.bin", lambda p: p.write_bytes(b"harmless"), True),
        ("a.onnx", lambda p: p.write_bytes(pickle.dumps([1])), True),
        ("noending", lambda p: p.write_bytes(pickle.dumps([1], protocol=2)), True),
        ("a.weights", lambda p: zip_holding(p, "archive/data.pkl"), True),
        ("b.weights", lambda p: zip_holding(p, "archive/readme.txt"), False),
        ("c.weights", lambda p: tar_holding(p, "pickle"), True),
        ("d.weights", lambda p: tar_holding(p, "readme.txt"), False),
        ("a2.onnx", lambda p: p.write_bytes(b"\x08\x07\x12\x07pytorch"), False),
        ("empty.onnx", lambda p: p.write_bytes(b""), False),
    ],
)
def test_pickles_are_known_by_ending_and_by_content(tmp_path, name, make, expected):
    make(tmp_path / name)
    assert weight_files.is_pickle(tmp_path / name) is expected


def test_an_openvino_folder_is_no_pickle_but_one_with_a_pickle_in_it_is(tmp_path):
    (tmp_path / "net.xml").write_text("<net/>")
    (tmp_path / "net.bin").write_bytes(b"\x80\x02 weights that begin like a pickle")
    assert not weight_files.is_pickle(tmp_path)
    (tmp_path / "extra.pt").write_bytes(b"")
    assert weight_files.is_pickle(tmp_path)


@pytest.mark.parametrize("segmenter", ["yolo-seg", "sam", "isnet"])
def test_a_pickle_that_would_create_a_file_does_not_run(tmp_path, segmenter):
    created = tmp_path / "created"
    weights = tmp_path / "sam2.1_t.pt"
    weights.write_bytes(pickle.dumps(Bomb(created)))
    with pytest.raises(weight_files.UnpinnedPickleError) as refused:
        segmenters.load(segmenter, weights, "cpu", cache=tmp_path)
    assert f"weights_sha256: {sha256_path(weights)}" in str(refused.value)
    assert not created.exists()
    pickle.loads(weights.read_bytes())  # it was armed
    assert created.exists()


def test_a_pinned_pickle_passes(tmp_path):
    weights = tmp_path / "a.pt"
    weights.write_bytes(pickle.dumps([1]))
    digest = sha256_path(weights)
    assert weight_files.require_pinned(weights, weight_files.pins(digest.upper())) == digest
    assert digest not in weight_files.pins(None)


def test_verify_names_what_differs(tmp_path):
    path = tmp_path / "a.onnx"
    with pytest.raises(weight_files.ModelError, match="are not at"):
        weight_files.verify(weight_files.Weights("a", path))
    path.write_bytes(b"abc")
    digest = sha256_bytes(b"abc")
    assert weight_files.verify(weight_files.Weights("a", path, digest, {"bytes": 3})) == digest
    with pytest.raises(weight_files.ModelError, match="size is 3 bytes, expected 4 bytes"):
        weight_files.verify(weight_files.Weights("a", path, None, {"bytes": 4}))
    with pytest.raises(weight_files.ModelError, match="SHA-256"):
        weight_files.verify(weight_files.Weights("a", path, "0" * 64))
    with pytest.raises(weight_files.ModelError, match="MD5"):
        weight_files.verify(weight_files.Weights("a", path, None, {"md5": "0" * 32}))
    good = hashlib.md5(b"abc").hexdigest()
    assert weight_files.verify(weight_files.Weights("a", path, None, {"md5": good})) == digest


def test_weights_are_read_once_a_process_and_again_when_they_change(tmp_path, monkeypatch):
    """A job asks four times: to verify them twice, to let them load, and for the row."""
    path = tmp_path / "net.onnx"
    path.write_bytes(b"one")
    reads = []

    def sha256_path(file):
        reads.append(Path(file).name)
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()

    monkeypatch.setattr(weight_files, "sha256_path", sha256_path)
    digest = hashlib.sha256(b"one").hexdigest()
    weights = weight_files.Weights("net", path, digest, {"sha256": digest})
    assert weight_files.verify(weights) == weight_files.require_pinned(path, []) == digest
    assert weight_files.digest(path) == digest and reads == ["net.onnx"]
    path.write_bytes(b"other")
    with pytest.raises(weight_files.ModelError, match="SHA-256"):
        weight_files.verify(weights)
    assert reads == ["net.onnx"] * 2


@pytest.mark.parametrize(
    ("changed", "subject_class", "gate", "said"),
    [
        ({}, "person", "selfie", ""),
        ({"segmenter": "u2netp"}, "person", "selfie", ""),
        ({"segmenter": "yolo-seg"}, "person", "", ""),  # knows people itself
        ({"segmenter": "selfie"}, "person", "", ""),
        ({"person_gate": "off"}, "person", "", ""),
        ({"person_gate": False}, "person", "", ""),  # what YAML makes of a bare off
        ({"person_gate": "u2net_human_seg"}, "person", "u2net_human_seg", ""),
        ({"segmenter": "yolo-seg", "person_gate": "selfie"}, "person", "selfie", ""),
        ({}, "dog", "", "detect.class is 'dog'"),
        ({"segmenter": "yolo-seg"}, "dog", "", ""),  # none would be expected
    ],
)
def test_which_mattes_have_a_person_gate(tmp_path, changed, subject_class, gate, said):
    settings = {"segmenter": "isnet", "weights": None, "person_gate": "auto", **changed}
    found, why = weight_files.gate_of(settings, subject_class)
    assert found == gate
    assert said in why and bool(said) == bool(why)
    config = {"mask": settings, "detect": {"class": subject_class}, "cache": tmp_path}
    names = [weights.name for weights in weight_files.wanted(config, "mask")]
    assert names[1:] == ([gate] if gate else [])


def test_a_folder_that_is_no_network_is_told_before_any_job_with_what_lies_in_it(tmp_path):
    """It was taken for a pickle, and with the pin that was asked for it ended in a traceback."""
    for name in ("yolo_int8_openvino_model", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "yolo_int8_openvino_model/yolo.xml").touch()
    (tmp_path / "isnet.onnx").touch()

    def require(path):
        weight_files.require_place(weight_files.resolve(path), "detect")

    with pytest.raises(weight_files.ModelError) as raised:
        require(tmp_path)
    said = str(raised.value)
    assert said.startswith(f"detect.weights: {tmp_path} is a folder and no export")
    assert said.endswith("In it lie: isnet.onnx, yolo_int8_openvino_model.")
    with pytest.raises(weight_files.ModelError, match=r"the file or export itself\.$"):
        require(tmp_path / "notes")
    require(tmp_path / "yolo_int8_openvino_model")
    require(tmp_path / "isnet.onnx")
    own_name = tmp_path / "export"
    own_name.mkdir()
    (own_name / "any.xml").touch()
    require(own_name)


def test_weights_are_found_from_another_folder(tmp_path):
    (tmp_path / "people").mkdir()
    config = {"detect": {"weights": "people"}, "mask": {"weights": "my/own.onnx"}, "cache": "cache"}
    assert weight_files.seen_from(tmp_path, config) == {
        "detect": {"weights": f"{tmp_path}/people"},
        "mask": {"weights": f"{tmp_path}/my/own.onnx"},
        "cache": f"{tmp_path}/cache",
    }
    for names in (("yolo11s", None), ("yolo11q", "/nets/own.onnx")):
        of_names = dict(zip(("detect", "mask"), ({"weights": name} for name in names), strict=True))
        config = {**of_names, "cache": "/c"}
        assert weight_files.seen_from(tmp_path, config) == config, "yolo11q is told to be no name"
