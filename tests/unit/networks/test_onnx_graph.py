"""Changed ONNX graphs give the bits that the exported ones give, on ONNX Runtime's own CPU."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from ferrari.networks import weight_files
from ferrari.networks.backends import device_memory, onnx_file, onnx_graph, onnx_runtime
from ferrari.networks.input_tensors import planes, scale_table
from ferrari.networks.network import Batched, NetworkRequest, open_here
from ferrari.networks.weight_files import ModelError
from ferrari.processes.devices import DeviceMemoryError
from tests.shared import shared
from tests.unit.networks import onnx_files

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def plainly(graph, *inputs):
    """The first output for each input, in a session that nothing was done for."""
    graph = str(graph) if isinstance(graph, Path) else graph
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    output, fed = session.get_outputs()[0].name, session.get_inputs()[0].name
    return [session.run([output], {fed: tensor})[0] for tensor in inputs]


def opened(path, **more):
    """The network as on a card, but on ONNX Runtime's CPU."""
    digest = weight_files.digest(path)
    asked = {"mean": MEAN, "std": STD, "outputs": (0,), "threads": 2, **more}
    return open_here(NetworkRequest.of(path, "onnxruntime", "cpu", digest, **asked))


def first_of(net, pictures):
    return [outputs[0].copy() for outputs in net.stream(pictures)]


def pictures_of(*shapes):
    rng = np.random.default_rng(7)
    return [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]


@pytest.mark.parametrize("kind", [onnx_file.FLOAT, onnx_file.HALF], ids=["float", "half"])
def test_pictures_are_scaled_in_the_graph_as_beside_it(tmp_path, kind):
    path = onnx_files.u_net(tmp_path / "net.onnx", kind=kind)
    dtype = np.float16 if kind == onnx_file.HALF else np.float32
    pictures = pictures_of(*[(64, 64)] * 3)
    table = scale_table(MEAN, STD)
    tensors = [planes(picture, table).astype(dtype) for picture in pictures]
    wanted = plainly(path, *tensors)
    model = onnx_file.read(path)
    onnx_graph.feed_pictures(model, MEAN, STD)
    graph, fed = model.SerializeToString(), [picture[None] for picture in pictures]
    found = plainly(graph, *fed)
    # ONNX Runtime's CPU has no half precision: it leaves out that the input is rounded to it.
    allowed = 1e-3 if kind == onnx_file.HALF else 0
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=allowed, rtol=0)


def test_every_byte_becomes_the_same_float(tmp_path):
    path = onnx_files.save(tmp_path / "net.onnx", [("Identity", ["x"], "y", {})], {}, ["y"],
                           (1, 3, 16, 16))  # fmt: skip
    picture = np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 3, axis=-1)
    for mean, std in ((MEAN, STD), ((0, 0, 0), (255, 255, 255)), ((128,) * 3, (256,) * 3)):
        (found,) = first_of(opened(path, mean=mean, std=std), [picture])
        np.testing.assert_array_equal(found, planes(picture, scale_table(mean, std))[0])


def test_a_graph_for_one_picture_takes_several_with_the_same_bits(tmp_path):
    path = onnx_files.u_net(tmp_path / "net.onnx")
    pictures = pictures_of(*[(64, 64)] * 5)
    one, four = opened(path, batch=1), opened(path, batch=4)
    assert (one.about["batch"], four.about["batch"]) == (1, 4)
    alone = first_of(one, pictures)
    for ours, theirs in zip(first_of(four, pictures), alone, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    table = scale_table(MEAN, STD)
    for ours, theirs in zip(
        alone, plainly(path, *(planes(p, table) for p in pictures)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs[0], atol=1e-6)


def test_a_pictures_outputs_do_not_depend_on_what_comes_with_it(tmp_path):
    net = opened(onnx_files.u_net(tmp_path / "net.onnx"), batch=4)
    pictures = pictures_of(*[(64, 64)] * 4)
    together = first_of(net, pictures)
    for order in ([0], [1, 0], [3, 2, 1, 0], [2, 0, 1]):
        for index, output in zip(order, first_of(net, [pictures[i] for i in order]), strict=True):
            np.testing.assert_array_equal(output, together[index])


def test_pictures_of_other_shapes_are_seen_as_by_a_graph_made_for_them(tmp_path):
    net = opened(onnx_files.u_net(tmp_path / "net.onnx"), batch=2, any_size=True)
    shapes = [(64, 64), (128, 128), (128, 128), (128, 128), (32, 32), (64, 64)]
    pictures = pictures_of(*shapes)
    for picture, output in zip(pictures, first_of(net, pictures), strict=True):
        side = picture.shape[0]
        made = onnx_files.u_net(tmp_path / f"{side}.onnx", side)
        (wanted,) = first_of(opened(made), [picture])
        assert output.shape == (1, side, side)
        np.testing.assert_array_equal(output, wanted)
    assert first_of(net, pictures_of((32, 96)))[0].shape == (1, 32, 96)


@pytest.mark.parametrize(
    ("nodes", "constants", "why"),
    [
        (
            [("Reshape", ["x", "to"], "y", {})],
            {"to": np.array([1, 3, 64 * 64])},
            "it has a Reshape",
        ),
        ([("Concat", ["x", "x"], "y", {"axis": 0})], {}, "works along the batch"),
        ([("Softmax", ["x"], "y", {"axis": 0})], {}, "works along the batch"),
        (
            [("Concat", ["x", "x"], "z", {"axis": 1}), ("Add", ["z", "more"], "y", {})],
            {"more": np.zeros((1, 6, 64, 64), np.float32)},
            "has a constant of",
        ),
        (
            [("Resize", ["x", "", "", "to"], "y", {"mode": "linear"})],
            {"to": np.array([1, 6, 64, 64])},
            "enlarges",
        ),
    ],
    ids=["reshape", "along the batch", "softmax", "a constant for each pixel", "channels"],
)
def test_what_cannot_be_freed_is_said(tmp_path, nodes, constants, why):
    path = onnx_files.save(tmp_path / "net.onnx", nodes, constants, ["y"])
    with pytest.raises(ModelError, match=f"one size only.*{why}.*input: square"):
        opened(path, any_size=True)
    if why != "enlarges":
        expected = 4 if "constant" in why else 1
        assert opened(path, batch=4).about["batch"] == expected


def test_a_graph_that_takes_any_batch_stays_as_it_is(tmp_path):
    nodes = [("Transpose", ["x"], "y", {"perm": [0, 2, 3, 1]})]
    path = onnx_files.save(tmp_path / "a.onnx", nodes, {}, ["y"], ("N", 3, "H", "W"))
    net = opened(path, batch=3, any_size=True)
    assert net.about["batch"] == 3
    assert first_of(net, pictures_of((5, 7)))[0].shape == (5, 7, 3)
    unknown = [("Softplus", ["x"], "y", {})]
    path = onnx_files.save(tmp_path / "b.onnx", unknown, {}, ["y"], (2, 3, 8, 8))
    assert opened(path, batch=3).about["batch"] == 2


def test_what_is_no_onnx_file_is_named(tmp_path):
    for name, data in (("noise", b"\xff" * 40), ("empty", b"")):
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(data)
        with pytest.raises(ModelError, match=f"{name}.onnx is no ONNX file"):
            opened(path)


def test_what_an_export_of_ultralytics_says_of_itself(tmp_path):
    notes = {"names": {0: "person"}, "task": "segment", "stride": 32, "args": {"nms": False}}
    nodes = [("Identity", ["x"], "y", {}), ("Identity", ["x"], "z", {})]
    path = onnx_files.save(tmp_path / "net.onnx", nodes, {}, ["y", "z"], **notes)
    how = {
        "names": {0: "person"},
        "stride": 32,
        "size": (64, 64),
        "end2end": False,
        "task": "segment",
    }
    assert opened(path, outputs=()).about["yolo"] == how
    assert "yolo" not in opened(onnx_files.u_net(tmp_path / "other.onnx")).about


def test_pictures_of_one_shape_go_together_and_come_back_in_their_order():
    asked = []

    def run(images):
        asked.append([int(image[0, 0, 0]) for image in images])
        return [(image[:1, :1, 0] * 2,) for image in images]

    net = Batched({"batch": 2}, run)
    shapes = [(4, 4), (8, 4), (4, 4), (8, 4), (4, 4), (2, 2)]
    pictures = [np.full((*shape, 3), index, np.uint8) for index, shape in enumerate(shapes)]
    assert [int(output[0, 0]) for (output,) in net.stream(iter(pictures))] == [0, 2, 4, 6, 8, 10]
    assert asked == [[0, 2], [4], [1, 3], [5]]
    assert list(net.stream([])) == []


# --- memory ----------------------------------------------------------------------------------


def test_a_card_that_is_full_gets_half_as_many_then_all_the_room_there_is(tmp_path, monkeypatch):
    path = onnx_files.u_net(tmp_path / "net.onnx")
    monkeypatch.setattr(device_memory, "of", lambda device: device_memory.Card(24 << 30, 1 << 30))
    limits = []
    provider = onnx_runtime._provider

    def noting(device, limit):
        limits.append(limit)
        return provider(device, limit)

    monkeypatch.setattr(onnx_runtime, "_provider", noting)
    network = onnx_runtime.OnnxNetwork(
        NetworkRequest.of(path, "onnxruntime", "cpu", "", outputs=(0,), batch=4)
    )
    assert network.about["batch"] == 4
    pictures = pictures_of(*[(64, 64)] * 4)
    wanted = network.run(pictures)
    real, asked = network._compute, []

    def full(images):
        raise DeviceMemoryError("full")

    def short(images):
        asked.append((network._batch, network._share))
        if network._batch > 1 or network._share:
            raise DeviceMemoryError("full")
        return real(images)

    monkeypatch.setattr(network, "_compute", short)
    for ours, theirs in zip(network.run(pictures), wanted, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
    assert asked[:3] == [(4, 1 << 30), (2, 1 << 30), (1, 1 << 30)]
    assert set(asked[3:]) == {(1, 0)} and limits == [1 << 30, 0]
    network._batch = 4
    monkeypatch.setattr(network, "_compute", full)
    with pytest.raises(DeviceMemoryError):
        network.run(pictures)


@pytest.mark.parametrize(
    ("total", "asked", "batch", "share"),
    [(24 << 30, 4, 4, 2560), (8 << 30, 4, 2, 1280), (8 << 30, 1, 1, 1280), (0, 32, 16, 1280)],
    ids=["24 GB", "8 GB", "one", "not known"],
)
def test_small_cards_take_half(monkeypatch, total, asked, batch, share):
    monkeypatch.setattr(device_memory, "_total", lambda index: total)
    card = device_memory.of("cuda:0")
    assert (card.batch(asked), card.share >> 20) == (batch, share)
    assert device_memory.of("cpu").batch(asked) == asked


# --- real weights ----------------------------------------------------------------------------


def in_blocks(path, rows=4):
    """A network that gives a number for each of `rows` rows of weights (over three colours), whose
    weights are integers in blocks: (integer - zero point) * scale. Returns those floats too.
    """
    integers = np.arange(-6, 6, dtype=np.int8).reshape(rows, 3)
    scales, zeros = np.array([[0.5, 2], [1, 3], [4, 0.25], [1, 1]], np.float32), [[1, 0]] * rows
    floats = (integers - np.repeat(zeros, 2, 1)[:, :3]) * np.repeat(scales, 2, 1)[:, :3]
    nodes = [
        ("DequantizeLinear", ["integers", "scales", "zeros"], "flat", {"axis": 1, "block_size": 2}),
        ("Reshape", ["flat", "shape"], "weights", {}),
        ("GlobalAveragePool", ["x"], "mean", {}),
        ("Conv", ["mean", "weights"], "z", {}),
        ("Flatten", ["z"], "y", {"axis": 1}),
    ]
    constants = {
        "integers": integers, "scales": scales, "zeros": np.array(zeros, np.int8),
        "shape": np.array([rows, 3, 1, 1]),
    }  # fmt: skip
    return onnx_files.save(path, nodes, constants, ["y"]), floats


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime", "torch"])
def test_weights_that_are_integers_in_blocks_are_what_they_stand_for(tmp_path, runtime):
    path, floats = in_blocks(tmp_path / "net.onnx")
    assert onnx_file.needs_floats(path)
    picture = np.full((64, 64, 3), (10, 20, 40), np.uint8)
    digest = weight_files.digest(path)
    asked = {"std": (1.0,) * 3, "threads": 1, "exact": True, "batch": 3}
    net = open_here(NetworkRequest.of(path, runtime, "cpu", digest, **asked))
    for (found,) in net.stream([picture] * 2):
        np.testing.assert_allclose(found.ravel(), floats @ (10, 20, 40), rtol=1e-6)
    assert net.about["batch"] == 3


def test_old_files_list_weights_as_inputs_which_nobody_feeds(tmp_path):
    path, _ = in_blocks(tmp_path / "net.onnx")
    model = onnx_file.messages()["Model"].FromString(path.read_bytes())
    model.graph.input.add(name="weights").type.tensor_type.elem_type = onnx_file.FLOAT
    path.write_bytes(model.SerializeToString())
    read = onnx_file.read(path)
    assert [value.name for value in read.graph.input] == ["x"]
    assert {node.op_type for node in read.graph.node} == {"GlobalAveragePool", "Conv", "Flatten"}


def test_other_files_are_left_as_they_are(tmp_path):
    path = onnx_files.u_net(tmp_path / "net.onnx")
    assert not onnx_file.needs_floats(path)
    (tmp_path / "empty.onnx").touch()
    assert not onnx_file.needs_floats(tmp_path / "empty.onnx")
    as_it_is = onnx_file.messages()["Model"].FromString(path.read_bytes())
    assert onnx_file.read(path).SerializeToString() == as_it_is.SerializeToString()


def rows_of_cells(path, shape=(1, -1, 3), perm=(0, 2, 3, 1)):
    """A row of three numbers for each pixel, as detectors give them."""
    nodes = [
        ("Transpose", ["x"], "z", {"perm": list(perm)}),
        ("Reshape", ["z", "shape"], "y", {}),
    ]
    return onnx_files.save(path, nodes, {"shape": np.array(shape)}, ["y"])


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime", "torch"])
def test_rows_that_were_exported_for_one_picture_are_those_of_each(tmp_path, runtime):
    path = rows_of_cells(tmp_path / "net.onnx")
    digest = weight_files.digest(path)
    asked = {"std": (1.0,) * 3, "any_size": True, "batch": 2, "threads": 1}
    net = open_here(NetworkRequest.of(path, runtime, "cpu", digest, **asked))
    pictures = pictures_of((64, 64), (64, 64), (32, 96), (64, 64))
    for picture, (found,) in zip(pictures, net.stream(pictures), strict=True):
        np.testing.assert_array_equal(found, picture.reshape(-1, 3))
    assert net.about["batch"] == 2


@pytest.mark.parametrize(
    ("shape", "perm"),
    [((1, 64 * 64, 3), (0, 2, 3, 1)), ((2, -1, 3), (0, 2, 3, 1)), ((1, -1, 3), (1, 2, 3, 0))],
    ids=["of one size", "of two pictures", "across pictures"],
)
def test_rows_that_are_not_those_of_each_picture_are_told(tmp_path, shape, perm):
    path = rows_of_cells(tmp_path / "net.onnx", shape, perm)
    with pytest.raises(ModelError, match="takes pictures of one size only: it has a"):
        opened(path, any_size=True)


@pytest.mark.real
def test_isnet_changed_is_isnet(tmp_path):
    """At its own size the very bits of the file's own graph, padded or not; at others the alpha
    that OpenVINO gives on the CPU, within 2/255.
    """
    weights = shared("weights/isnet-general-use.fp16.onnx")
    picture = shared("media/gt/chroma_mdn_man/img/00440.jpg")
    entry = weight_files.table()["models"]["isnet"]["input"]
    scale = {"mean": tuple(entry["mean"]), "std": tuple(entry["std"])}
    image = cv2.imread(str(picture))[..., ::-1]
    square, own = cv2.resize(image, (1024, 1024)), cv2.resize(image, (512, 320))
    net = opened(weights, batch=2, any_size=True, **scale)
    model = onnx_file.read(weights)
    onnx_graph.keep_outputs(model, (0,))
    tensor = planes(square, scale_table(scale["mean"], scale["std"]))
    (wanted,) = plainly(model.SerializeToString(), tensor)
    (found,) = first_of(net, [square])
    np.testing.assert_array_equal(found, wanted[0])
    asked = {"outputs": (0,), "any_size": True, "threads": 2, **scale}
    digest = weight_files.digest(weights)
    on_cpu = open_here(NetworkRequest.of(weights, "openvino", "cpu", digest, **asked))
    for ours, theirs in zip(first_of(net, [own]), first_of(on_cpu, [own]), strict=True):
        assert np.quantile(np.abs(ours - theirs), 0.999) <= 2 / 255
