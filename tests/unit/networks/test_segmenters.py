"""The seam of stage 3, on networks of a few nodes that are built here."""

import cv2
import numpy as np
import pytest

from bench import matte_metrics
from ferrari.networks import segmenters, weight_files
from ferrari.networks.backends import alpha_net
from tests.shared import shared

UNIT = {"size": [16, 16], "mean": [0, 0, 0], "std": [255, 255, 255]}
ALPHA = {"index": 0, "activation": "none"}


def save_net(folder, make, shape=(1, 3, 16, 16), name="net"):
    """Save the network whose outputs `make(input, opset)` returns; gives the `.xml`."""
    import openvino as ov
    from openvino import opset13 as op

    folder.mkdir(exist_ok=True)
    node = op.parameter(list(shape), np.float32, name="input")
    ov.save_model(ov.Model(make(node, op), [node], name), folder / f"{name}.xml", False)
    return folder / f"{name}.xml"


def channel(index):
    """A network whose alpha is one plane of its input; its second output is a decoy."""

    def make(node, op):
        plane = op.gather(node, op.constant([index]), op.constant(1))
        return [plane, op.multiply(plane, op.constant(np.float32(0)))]

    return make


def test_a_net_sees_rgb_scaled_as_its_entry_says(tmp_path):
    colour = np.zeros((20, 30, 3), np.uint8)
    colour[:] = (200, 100, 50)
    for index, expected in enumerate((200, 100, 50)):
        path = save_net(tmp_path / str(index), channel(index))
        entry = {"input": {"size": [16, 16], "mean": [20, 10, 5], "std": [256, 512, 128]}}
        net = segmenters.load(
            "isnet", path, "cpu", segmenters.Asked({**entry, "output": ALPHA}), threads=1
        )
        wanted = (expected - entry["input"]["mean"][index]) / entry["input"]["std"][index]
        (alpha,) = net.alpha([colour])
        assert alpha.shape == (20, 30) and alpha.dtype == np.float32
        np.testing.assert_allclose(alpha, wanted, atol=0.004)  # bfloat16 has 8 bits


def test_alphas_come_back_in_order_at_each_crops_size(tmp_path):
    path = save_net(tmp_path, channel(0))
    net = segmenters.load(
        "isnet", path, "cpu", segmenters.Asked({"input": UNIT, "output": ALPHA}), threads=2
    )
    crops = [np.full((20 + k, 40 - k, 3), 10 * k, np.uint8) for k in range(12)]
    for crop, alpha in zip(crops, net.alpha(crops), strict=True):
        assert alpha.shape == crop.shape[:2]
        np.testing.assert_allclose(alpha, crop[0, 0, 0] / 255, atol=0.004)
    assert net.name == "isnet" and net.device.startswith("cpu openvino")
    assert len(net.weights_sha256) == 64 and net.presence is None


def test_the_picture_is_not_shifted_or_turned(tmp_path):
    path = save_net(tmp_path, channel(0))
    net = segmenters.load(
        "isnet", path, "cpu", segmenters.Asked({"input": UNIT, "output": ALPHA}), threads=1
    )
    crop = np.zeros((64, 32, 3), np.uint8)
    crop[:16, 16:] = 255  # the upper right eighth
    (alpha,) = net.alpha([crop])
    np.testing.assert_array_equal(alpha[2:12, 20:30] > 0.9, True)
    assert alpha.sum() == pytest.approx(16 * 16, rel=0.1)


def test_a_sigmoid_is_applied_where_the_entry_says(tmp_path):
    path = save_net(tmp_path, channel(0))
    entry = {
        "input": {**UNIT, "mean": [255, 255, 255]},
        "output": {**ALPHA, "activation": "sigmoid"},
    }
    net = segmenters.load("birefnet", path, "cpu", segmenters.Asked(entry), threads=1)
    (alpha,) = net.alpha([np.zeros((16, 16, 3), np.uint8)])
    np.testing.assert_allclose(alpha, 1 / (1 + np.e), atol=0.004)


def test_the_same_alpha_whatever_the_batch_and_the_threads(tmp_path):
    path = save_net(tmp_path, channel(1))
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (50, 40, 3), np.uint8) for _ in range(4)]
    entry = {"input": UNIT, "output": ALPHA}
    one = segmenters.load("isnet", path, "cpu", segmenters.Asked(entry), threads=1)
    two = segmenters.load("isnet", path, "cpu", segmenters.Asked(entry), threads=2)
    singly = [next(iter(one.alpha([crop]))) for crop in crops]
    np.testing.assert_array_equal(singly, list(two.alpha(crops)))


@pytest.mark.parametrize(
    ("spec", "shape", "expected"),
    [
        ([1024, 512], (10, 10), (1024, 512)),
        ({"short_side": 512, "multiple": 32}, (256, 256), (512, 512)),
        ({"short_side": 512, "multiple": 32}, (900, 600), (768, 512)),
        ({"short_side": 512, "multiple": 32}, (100, 9000), (512, 2048)),
    ],
    ids=["fixed", "square", "portrait", "very long"],
)
def test_the_size_a_net_is_fed(spec, shape, expected):
    assert alpha_net.network_size({"size": spec}, *shape) == expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((400, 300), (1024, 768)),
        ((400, 301), (1024, 832)),
        ((1920, 1080), (1024, 576)),
        ((300, 400), (768, 1024)),
        ((10, 10), (1024, 1024)),
        ((3000, 100), (1024, 256)),
        ((1, 9000), (256, 1024)),
    ],
)
def test_a_fixed_size_net_is_fed_the_pictures_own_shape(shape, expected):
    spec = {"size": [1024, 1024], "multiple": 64}
    assert alpha_net.network_size(spec, *shape, aspect=True) == expected
    assert alpha_net.network_size(spec, *shape) == (1024, 1024)


def test_modnet_takes_pictures_of_any_size(tmp_path):
    path = save_net(tmp_path, channel(0), shape=(1, 3, -1, -1))
    spec = {"size": {"short_side": 32, "multiple": 16}, "mean": [0, 0, 0], "std": [255, 255, 255]}
    net = segmenters.load(
        "modnet", path, "cpu", segmenters.Asked({"input": spec, "output": ALPHA}), threads=1
    )
    shapes = [(40, 80), (90, 30), (32, 32)]
    alphas = list(net.alpha([np.full((*shape, 3), 51, np.uint8) for shape in shapes]))
    assert [alpha.shape for alpha in alphas] == shapes
    np.testing.assert_allclose(np.concatenate([a.ravel() for a in alphas]), 0.2, atol=0.004)


def halved_and_enlarged(node, op):
    """A network as exports of one size are: it halves its input, and enlarges to sizes it knows."""
    pooled = op.max_pool(node, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
    high, wide = node.get_output_shape(0)[2:]
    sizes = op.constant(np.array([high, wide], np.int64))
    axes = op.constant(np.array([2, 3], np.int64))
    return [op.interpolate(pooled, sizes, "linear_onnx", "sizes", axes=axes)]


def test_a_net_for_one_size_takes_others_once_its_sizes_are_factors(tmp_path):
    from ferrari.networks.backends.openvino_runtime import OpenVinoNet

    path = save_net(tmp_path, halved_and_enlarged, shape=(1, 3, 64, 64))
    plain, free = OpenVinoNet(path, threads=2), OpenVinoNet(path, threads=2, any_size=True)
    rng = np.random.default_rng(0)
    own = rng.random((1, 3, 64, 64), np.float32)
    np.testing.assert_array_equal(plain.run([own])[0], free.run([own])[0])
    shapes = [(64, 32), (32, 64), (64, 64), (64, 32), (16, 64)] * 2
    inputs = [rng.random((1, 3, *shape), np.float32) for shape in shapes]
    together = free.run(inputs)
    for tensor, shape, output in zip(inputs, shapes, together, strict=True):
        assert output.shape == (1, 3, *shape)
        made = save_net(tmp_path / str(shape), halved_and_enlarged, shape=(1, 3, *shape))
        np.testing.assert_array_equal(OpenVinoNet(made).run([tensor])[0], output)


def test_a_second_look_is_of_the_crop_squashed_into_the_networks_square(tmp_path):
    """The network tells how wide its input is: the sum of a white row, in shares of 64."""

    def width(node, op):
        plane = op.gather(node, op.constant([0]), op.constant(1))
        rows = op.reduce_sum(plane, op.constant([3]), keep_dims=True)
        nothing = op.multiply(plane, op.constant(np.float32(0)))
        return [op.add(nothing, op.multiply(rows, op.constant(np.float32(1 / 64))))]

    path = save_net(tmp_path, width, shape=(1, 3, 64, 64))
    entry = {"input": {**UNIT, "size": [64, 64], "multiple": 16}, "output": ALPHA}
    crop = np.full((40, 20, 3), 255, np.uint8)
    net = segmenters.load("isnet", path, "cpu", segmenters.Asked(entry, aspect=True), threads=1)
    for look, wide in ((net.alpha([crop], None), 32), (net.again([crop]), 64)):
        (alpha,) = look
        assert alpha.shape == (40, 20)
        np.testing.assert_allclose(alpha, wide / 64, atol=0.004)
    squashed = segmenters.load("isnet", path, "cpu", segmenters.Asked(entry), threads=1)
    assert squashed.again is None  # there is no other shape that it takes


def test_what_is_asked_for_ends_where_the_asker_does(tmp_path):
    """Requests that nobody waited for would be handed out anew while they still compute."""
    from ferrari.networks.backends.openvino_runtime import OpenVinoNet

    net = OpenVinoNet(save_net(tmp_path, channel(0)), threads=2)
    inputs = [np.full((1, 3, 16, 16), k, np.float32) for k in range(9)]
    for _ in range(5):
        first = net.stream(inputs)
        assert float(next(first)[0].max()) == 0
        first.close()
    assert [float(output.max()) for output in net.run(inputs)] == list(range(9))


def test_a_network_leaves_it_to_the_system_on_which_cores_it_runs(tmp_path):
    """Jobs that run side by side would all be pinned to the same first cores."""
    from ferrari.networks.backends.openvino_runtime import OpenVinoNet

    compiled = OpenVinoNet(save_net(tmp_path, channel(0)), threads=1)._net._compiled
    assert compiled.get_property("ENABLE_CPU_PINNING") is False


def test_an_unknown_activation_is_named():
    with pytest.raises(ValueError, match="tanh"):
        alpha_net.activate(np.zeros(3), "tanh")


def test_weights_that_are_missing_wrong_or_too_few_are_refused(tmp_path):
    path = save_net(tmp_path, channel(0))
    with pytest.raises(weight_files.ModelError, match="not at"):
        segmenters.load("isnet", tmp_path / "none.onnx", "cpu")
    with pytest.raises(weight_files.ModelError, match="SHA-256"):
        segmenters.load("isnet", path, "cpu", segmenters.Asked(sha256="0" * 64))
    with pytest.raises(weight_files.ModelError, match="takes 2 weights"):
        segmenters.load("ram", path, "cpu")
    with pytest.raises(weight_files.ModelError, match="no segmenter"):
        segmenters.load("isnot", path, "cpu")


# --- real weights --------------------------------------------------------------------------------


@pytest.mark.real
def test_isnet_at_a_pictures_own_shape_is_the_same_recipe_computed_plainly(tmp_path):
    """Alpha within 2/255 of one request in full precision, with a graph for that size alone."""
    weights = shared("weights/isnet-general-use.fp16.onnx")
    picture = shared("media/gt/chroma_mdn_man/img/00440.jpg")
    from bench.floors import write_plain_alphas

    entry = weight_files.table()["models"]["isnet"]
    write_plain_alphas([picture], tmp_path, str(weights), entry, aspect=True)
    slow = cv2.imread(str(tmp_path / "00440.png"), 0).astype(int)
    net = segmenters.load("isnet", weights, "cpu", segmenters.Asked(aspect=True), threads=2)
    (alpha,) = net.alpha([cv2.imread(str(picture))[..., ::-1].copy()])
    assert np.quantile(np.abs(np.rint(alpha * 255) - slow), 0.999) <= 2


@pytest.mark.real
def test_isnet_cuts_a_real_person_out():
    weights = shared("weights/isnet-general-use.fp16.onnx")
    truth = shared("media/gt/chroma_mdn_man")
    from ferrari.matting import alpha_refinement

    names = ["00080", "00440", "01460"]
    crops = [cv2.imread(str(truth / "img" / f"{name}.jpg"))[..., ::-1].copy() for name in names]
    masks = [cv2.imread(str(truth / "mask" / f"{name}.png"), 0) / 255 for name in names]
    net = segmenters.load("isnet", weights, "cpu", threads=2)
    assert net.weights_sha256 == weight_files.table()["models"]["isnet"]["sha256"]
    for crop, mask, alpha in zip(crops, masks, net.alpha(crops), strict=True):
        assert matte_metrics.iou(alpha, mask) > 0.94
        refined = alpha_refinement.refine_alpha(crop, alpha, 8)
        assert refined.refined
        assert matte_metrics.mse(refined.alpha, mask) < matte_metrics.mse(alpha, mask)
