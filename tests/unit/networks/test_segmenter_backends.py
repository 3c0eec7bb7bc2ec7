"""Adapters of stage 3's runtimes, with stand-ins for what a test machine does not have."""

import os
import sys
import types

import cv2
import numpy as np
import onnxruntime
import pytest

from ferrari.common.atomic_files import sha256_path
from ferrari.networks import segmenters, weight_files
from ferrari.networks.backends import (
    device_memory,
    onnx_runtime,
    ram,
    sam,
    torch_runtime,
    ultralytics_runtime,
    yolo_postprocessing,
    yolo_segmenter,
)
from ferrari.networks.network import NetworkRequest, open_here
from ferrari.processes.devices import DeviceError, DeviceMemoryError
from tests.unit.networks import onnx_files
from tests.unit.networks.test_segmenters import ALPHA, UNIT, save_net


@pytest.fixture
def weights(tmp_path):
    """A file that is no pickle, for models that are not loaded."""
    path = tmp_path / "some.onnx"
    path.write_bytes(b"\x08\x07")
    return path


@pytest.fixture
def engine(weights):
    """The same of a kind that only ultralytics reads."""
    return weights.rename(weights.with_suffix(".engine"))


# --- ONNX Runtime on CUDA, as far as it can be tried without a card ------------------------------


@pytest.fixture
def on_cuda(monkeypatch, tmp_path):
    """Open a network as if onnxruntime had CUDA, which is its CPU here; `asked` of each session."""
    path = onnx_files.u_net(tmp_path / "net.onnx")
    start, asked = onnxruntime.InferenceSession, []

    def session(graph, sess_options=None, providers=(), **more):
        options = sess_options
        made = start(graph, options, providers=["CPUExecutionProvider"], **more)
        if providers[0] != "CPUExecutionProvider":
            asked.append((options, providers))
            monkeypatch.setattr(made, "get_providers", lambda: [providers[0][0]])
        return made

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(device_memory, "_total", lambda index: 24 << 30)

    def load(batch=4):
        request = NetworkRequest.of(path, "onnxruntime", "cuda:1", "", outputs=(0,), batch=batch)
        return onnx_runtime.load(request)

    load.asked = asked
    return load


def test_a_session_on_cuda_gives_the_same_bytes_in_each_process_and_keeps_to_its_share(on_cuda):
    net = on_cuda()
    (((options, providers)),) = on_cuda.asked
    ((name, asked),) = providers
    assert name == "CUDAExecutionProvider" and asked["device_id"] == 1
    assert asked["cudnn_conv_algo_search"] == "HEURISTIC" and asked["use_tf32"] == 0
    assert asked["arena_extend_strategy"] == "kSameAsRequested"
    assert asked["gpu_mem_limit"] == 2560 << 20 and options.use_deterministic_compute
    assert net.about["device"] == "cuda onnxruntime" and net.about["batch"] == 4
    pictures = [np.full((64, 64, 3), 51 * k, np.uint8) for k in range(6)]
    assert [outputs[0].shape for outputs in net.stream(pictures)] == [(1, 64, 64)] * 6


def test_a_full_gpu_is_told_apart_from_other_errors(on_cuda, monkeypatch):
    states = onnxruntime.capi.onnxruntime_pybind11_state
    texts = iter(["Failed to allocate memory for requested buffer of size 1", "Bad dimensions 700"])

    def fail(*_):
        raise states.RuntimeException(next(texts))

    net = on_cuda(batch=1)._run.__self__
    monkeypatch.setattr(net, "_share", 0)
    broken = types.SimpleNamespace(run=fail, get_inputs=net._session.get_inputs)
    monkeypatch.setattr(net, "_session", broken)
    picture = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(DeviceMemoryError):
        net.run([picture])
    with pytest.raises(states.RuntimeException, match="700"):
        net.run([picture])


def test_only_onnx_files_run_on_cuda(engine):
    with pytest.raises(DeviceError, match="no ONNX file"):
        open_here(NetworkRequest.of(engine, "onnxruntime", "cuda:0", sha256_path(engine)))


def test_without_its_libraries_cuda_is_an_error_and_never_the_cpu(on_cuda, monkeypatch):
    opened = onnxruntime.InferenceSession

    def without(*args, **kwargs):
        made = opened(*args, **kwargs)
        monkeypatch.setattr(made, "get_providers", lambda: ["CPUExecutionProvider"])
        return made

    monkeypatch.setattr(onnxruntime, "InferenceSession", without)
    with pytest.raises(DeviceError, match="CUDA libraries are missing"):
        on_cuda()
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match="install onnxruntime-gpu"):
        on_cuda()


# --- ultralytics: the plumbing, with stand-ins for its models ------------------------------------


class Tensor(np.ndarray):
    """As much of a torch tensor as the adapters use."""

    def cpu(self):
        return self

    def float(self):
        return self.astype(np.float32).view(Tensor)

    def numpy(self):
        return np.asarray(self)


def tensor(values):
    return np.asarray(values, np.float32).view(Tensor)


class StandIn:
    """A SAM that notes what it is asked and gives the masks it was made with."""

    def __init__(self, masks=None):
        self.masks, self.asked = masks, []

    def predict(self, image, **options):
        self.asked.append((image, options))
        masks = None if self.masks is None else types.SimpleNamespace(data=tensor(self.masks))
        return [types.SimpleNamespace(masks=masks)]


def halves():
    left, right = np.zeros((20, 30)), np.zeros((20, 30))
    left[:, :15], right[:, 15:] = 1, 1
    return np.stack([left, right])


def test_sam_is_asked_with_the_subjects_box_in_opencvs_colour_order(monkeypatch, weights):
    model = StandIn(masks=halves()[1:])
    monkeypatch.setattr(
        sam, "ultralytics", lambda cache: types.SimpleNamespace(SAM=lambda _: model)
    )
    net = segmenters.load("sam", weights, "cpu")
    crop = np.zeros((20, 30, 3), np.uint8)
    crop[..., 0] = 255
    (alpha,) = net.alpha([crop], [(15.5, 1, 29, 19)])
    image, options = model.asked[0]
    assert image[0, 0].tolist() == [0, 0, 255]
    assert options["bboxes"] == [[15.5, 1, 29, 19]] and options["device"] == "cpu"
    np.testing.assert_array_equal(alpha, halves()[1])
    list(net.alpha([crop]))
    assert model.asked[1][1]["bboxes"] == [[0, 0, 30, 20]]


def test_sam_is_asked_for_everybody_within_the_crop(monkeypatch, weights):
    model = StandIn(masks=halves()[:1])
    monkeypatch.setattr(
        sam, "ultralytics", lambda cache: types.SimpleNamespace(SAM=lambda _: model)
    )
    net = segmenters.load("sam", weights, "cpu")
    crop = np.zeros((20, 30, 3), np.uint8)
    (found,) = net.apart([crop], [(0, 0, 15, 20)], [[(10, -5, 40, 19), (2, 2, 9, 9)]])
    asked = [options["bboxes"][0] for _, options in model.asked]
    assert asked == [[0, 0, 15, 20], [10, 0, 30, 19], [2, 2, 9, 9]]
    np.testing.assert_array_equal(found, [halves()[0]] * 2)
    (alone,) = net.apart([crop], [(0, 0, 15, 20)], [[]])
    assert not alone[1].any()


class StandInYolo:
    """A segmentation network that gives these boxes and masks (0..1) of its second class."""

    def __init__(self, boxes=(), masks=None, size=(20, 30)):
        how = {"names": {0: "person", 1: "dog"}, "stride": 1, "size": size}
        self.about = {
            "device": "cuda stand-in",
            "yolo": {**how, "end2end": True, "task": "detect" if masks is None else "segment"},
        }
        count = len(boxes)
        rows = np.hstack([np.reshape(boxes, (count, 4)), np.tile([0.9, 1.0], (count, 1))])
        self._outputs = (np.hstack([rows, np.eye(count)]).astype(np.float32),)
        if masks is not None:
            self._outputs += (np.asarray((masks - 0.5) * 60, np.float32),)

    def stream(self, images_rgb):
        for _ in images_rgb:
            yield self._outputs

    def segmenter(self, weights, class_name="dog"):
        return segmenters.load(
            "yolo-seg",
            weights,
            "cpu",
            segmenters.Asked(class_name=class_name),
            opener=lambda request: self,
        )


@pytest.mark.parametrize("masks", [None, np.zeros((0, 7, 9))], ids=["none", "none left"])
def test_no_mask_of_sam_is_an_empty_alpha(monkeypatch, engine, masks):
    model = StandIn(masks)
    monkeypatch.setattr(sam, "ultralytics", lambda _: types.SimpleNamespace(SAM=lambda _: model))
    (alpha,) = segmenters.load("sam", engine, "cpu").alpha([np.zeros((7, 9, 3), np.uint8)])
    assert alpha.shape == (7, 9) and not alpha.any()


@pytest.mark.parametrize("class_name", ["dog", "person"], ids=["no box", "none of the class"])
def test_no_instance_is_an_empty_alpha(weights, class_name):
    boxes = [(0, 0, 9, 7)] if class_name == "person" else []
    net = StandInYolo(boxes, np.ones((len(boxes), 7, 9)), (7, 9))
    (alpha,) = net.segmenter(weights, class_name).alpha([np.zeros((7, 9, 3), np.uint8)])
    assert alpha.shape == (7, 9) and not alpha.any()


@pytest.mark.parametrize(("box", "best"), [((0, 0, 14, 20), 0), ((16, 2, 30, 20), 1)])
def test_yolo_gives_the_instance_that_fits_the_box(weights, box, best):
    net = StandInYolo([(0, 0, 15, 20), (15, 0, 30, 20)], halves()).segmenter(weights)
    (alpha,) = net.alpha([np.zeros((20, 30, 3), np.uint8)], [box])
    np.testing.assert_allclose(alpha, halves()[best], atol=1e-6)
    assert net.device == "cuda stand-in", "rows say what the network really ran on"


def test_a_yolo_mask_is_cut_off_well_outside_both_boxes_only(weights):
    net = StandInYolo([(30, 5, 50, 15)], np.ones((1, 20, 100)), (20, 100)).segmenter(weights)
    (alpha,) = net.alpha([np.zeros((20, 100, 3), np.uint8)], [(40, 0, 60, 20)])
    assert np.flatnonzero(alpha.any(axis=0)).tolist() == list(range(28, 62))


def test_yolo_tells_the_subject_from_others_whose_boxes_it_is_given(weights):
    net = StandInYolo([(0, 0, 15, 20), (15, 0, 30, 20)], halves()).segmenter(weights)
    crops = [np.zeros((20, 30, 3), np.uint8)] * 3
    subjects = [(16, 2, 30, 20)] * 3
    others = [[(-20, 0, 14, 20)], [], [(14, 0, 29, 20)]]  # beyond the crop; none; the subject again
    found = list(net.apart(crops, subjects, others))
    for (alpha, claims), claimed in zip(found, [halves()[0], 0, 0], strict=True):
        np.testing.assert_allclose(alpha, halves()[1], atol=1e-6)
        np.testing.assert_allclose(claims, np.broadcast_to(claimed, (20, 30)), atol=1e-6)


@pytest.mark.parametrize("image_hw", [(60, 40), (33, 100), (320, 192)])
def test_soft_masks_land_on_the_pixels_that_the_letterbox_took_them_from(image_hw):
    """A ramp over the image, letterboxed to 64x96 and halved as logits, comes back as that ramp."""
    net_hw = (64, 96)
    gain = min(net_hw[0] / image_hw[0], net_hw[1] / image_hw[1])
    inner = [round(side * gain) for side in image_hw]
    start = [round((net - side) / 2 - 0.1) for net, side in zip(net_hw, inner, strict=True)]
    across = (np.arange(96) + 0.5 - start[1]) / inner[1]  # 0..1 over the image's width
    logits = cv2.resize(np.tile(8 * across - 4, (64, 1)), (48, 32), interpolation=cv2.INTER_AREA)
    alpha = yolo_segmenter.soft_mask(logits, net_hw, image_hw)
    expected = 1 / (1 + np.exp(4 - 8 * (np.arange(image_hw[1]) + 0.5) / image_hw[1]))
    inside = slice(3 * image_hw[1] // inner[1], -3 * image_hw[1] // inner[1])
    np.testing.assert_allclose(alpha[image_hw[0] // 2, inside], expected[inside], atol=0.01)


def test_an_engine_of_tensorrt_is_refused_with_what_helps(engine):
    with pytest.raises(DeviceError, match=r"NVIDIA GPU alone.*TensorRT is not installed.*\.onnx"):
        segmenters.load("yolo-seg", engine, "cpu")


def test_a_class_that_the_network_does_not_know_is_named(weights):
    with pytest.raises(weight_files.ModelError, match=r"no class 'cat'.*person, dog"):
        StandInYolo().segmenter(weights, "cat")


@pytest.fixture
def tagger(tmp_path, monkeypatch, weights):
    """RAM whose three scores are the mean red, green and blue; SAM gives a left half."""
    tags = "dog\nman\ncat\n"
    monkeypatch.setattr(
        sam, "ultralytics", lambda cache: types.SimpleNamespace(SAM=lambda _: StandIn(halves()))
    )

    def mean(node, op):
        return [op.reduce_mean(node, op.constant([2, 3]))]

    path = save_net(tmp_path / "ram", mean)
    path.with_name("tags.txt").write_text(tags)
    entry = {"input": UNIT, "output": ALPHA, "tags": "tags.txt"}

    def load(wanted=("man", "cat"), threshold=0.6):
        return segmenters.load(
            "ram",
            [path, weights],
            "cpu",
            segmenters.Asked(entry, ram_tags=wanted, ram_threshold=threshold),
        )

    load.tags = path.with_name("tags.txt")
    return load


def solid(*colour):
    return np.full((20, 30, 3), colour, np.uint8)


def test_ram_says_whether_the_subjects_class_is_there(tagger):
    net = tagger()
    dog, man, cat = net.presence([solid(255, 10, 0), solid(0, 200, 20), solid(0, 20, 160)])
    assert not dog.present and dog.score == pytest.approx(10 / 255, abs=0.004)
    assert dog.threshold == 0.6
    assert man.present and man.tag == "man" and man.score == pytest.approx(200 / 255, abs=0.004)
    assert cat.present and cat.tag == "cat"
    assert len(net.weights_sha256.split("+")) == 2
    (alpha,) = net.alpha([solid(0, 255, 0)], [(0, 0, 15, 20)])
    np.testing.assert_array_equal(alpha, halves()[0])


def test_a_score_that_a_row_tells_as_the_threshold_is_the_subject(tagger):
    """The row would say that 0.784314 is less than 0.784314."""
    judge = tagger(threshold=0.784314).presence.__self__._judge
    man = judge(np.array([0, 200 / 255, 0]))
    assert 200 / 255 < 0.784314 and (man.score, man.present) == (0.784314, True)


def test_what_does_not_run_on_a_card_names_no_section_that_it_may_not_be_of():
    """Networks of detectors and of faces come this way too."""
    with pytest.raises(DeviceError, match="set device: cpu in the network's section"):
        onnx_runtime.load(NetworkRequest("net.xml", "onnxruntime", "cuda:0", ""))


def test_ram_refuses_tags_and_lists_that_do_not_belong_to_it(tagger):
    with pytest.raises(weight_files.ModelError, match="no tag 'woman'"):
        tagger(wanted=("woman",))
    tagger.tags.write_text("dog\nman\ncat\nbird\n")
    with pytest.raises(weight_files.ModelError, match="3 tags, but its tag list has 4"):
        tagger().presence([solid(1, 2, 3)])
    tagger.tags.unlink()
    with pytest.raises(weight_files.ModelError, match="tag list is not at"):
        tagger()


def test_torchs_memory_error_becomes_ours_and_no_other(monkeypatch):
    emptied = []
    cuda = types.SimpleNamespace(empty_cache=lambda: emptied.append(True))
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    with pytest.raises(DeviceMemoryError), torch_runtime.memory_errors():
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total")
    assert emptied
    with pytest.raises(RuntimeError, match="another"), torch_runtime.memory_errors():
        raise RuntimeError("another")


def test_torch_chooses_nothing_by_timing_and_rounds_nothing():
    """Two processes on a card would give other bytes: what is set does not show on the CPU."""
    import torch

    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    strict = {(cudnn, "benchmark"): False, (cudnn, "deterministic"): True}
    strict |= {(cudnn, "allow_tf32"): False, (products, "allow_tf32"): False}
    before = {(owner, name): getattr(owner, name) for owner, name in strict}
    try:
        for (owner, name), value in strict.items():
            setattr(owner, name, not value)
        torch_runtime.start("cuda:0", 1)
        assert {(owner, name): getattr(owner, name) for owner, name in strict} == strict
    finally:
        for (owner, name), value in before.items():
            setattr(owner, name, value)


def test_a_card_gives_the_boxes_of_the_class_that_score_highest():
    """Of 6 boxes, 3 classes and 2 mask weights: those whose best class it is, in order, then 0."""
    import torch

    scores = np.array([[0.2, 0.9, 0.4, 0.9, 0.3, 0.5], [0.1, 0.1, 0.6, 0.1, 0.1, 0.5], [0.3] * 6])
    rest = np.arange(36).reshape(6, 6)
    output = np.vstack([rest[:4], scores, rest[4:]])[None].astype(np.float32)
    found = ultralytics_runtime.candidates(torch.from_numpy(output), 0, 3).numpy()[0]
    assert found[4].tolist() == [np.float32(0.9), np.float32(0.9), 0.5, np.float32(0.3), 0, 0]
    assert found[0].tolist() == [1, 3, 5, 4, 0, 2], "equals stay in order"
    assert found[5:].tolist() == [
        [24 + i for i in (1, 3, 5, 4, 0, 2)],
        [30 + i for i in (1, 3, 5, 4, 0, 2)],
    ]
    rows = yolo_postprocessing.rows_of_class(found, 0, 0.05, 2)
    wanted = yolo_postprocessing.rows_of_class(output[0], 0, 0.05, 2)
    assert sorted(rows.tolist()) == sorted(wanted.tolist())
    crowd = torch.rand(2, 7, 3000)
    assert ultralytics_runtime.candidates(crowd, 1, 3).shape == (2, 5, 1024)


def test_boxes_of_a_network_in_half_precision_are_not_rounded_to_half_pixels(tmp_path):
    """Beyond 512 px a half has steps of half a pixel."""
    ultralytics_runtime.ultralytics(tmp_path)
    import torch
    from ultralytics.nn.modules.head import Detect

    torch.manual_seed(0)
    head = Detect(1, ch=(4, 4, 4)).eval()
    head.stride = torch.tensor([8.0, 16.0, 32.0])
    features = [torch.rand(1, 4, 640 // stride, 640 // stride) for stride in (8, 16, 32)]
    head.requires_grad_(False)
    exact = head([feature.clone() for feature in features])[0][:, :4]
    ultralytics_runtime.decode_boxes_in_full_precision(types.SimpleNamespace(model=[head.half()]))
    found = head([feature.half() for feature in features])[0][:, :4]
    assert found.dtype == torch.float32
    assert float((found - exact).abs().max()) < 0.2
    steps = found[0, :2].flatten() * 2
    assert float((steps - steps.round()).abs().max()) > 0.1


def test_the_best_box_is_the_one_that_overlaps_most():
    boxes = np.array([[0, 0, 10, 10], [5, 5, 15, 15], [0, 0, 100, 100]], np.float32)
    assert yolo_postprocessing.best_box(boxes, (6, 6, 15, 15)) == 1
    assert yolo_postprocessing.best_box(boxes, (0, 0, 90, 90)) == 2
    assert ram.tag_index(["a", "b"], "b") == 1


@pytest.mark.slow
def test_sams_own_code_runs_on_weights_that_know_nothing(tmp_path):
    """MobileSAM with random weights: its mask means nothing, but the call is the real one."""
    ultralytics_runtime.ultralytics(tmp_path)
    import torch
    from ultralytics.models.sam.build import build_mobile_sam

    torch.manual_seed(0)
    path = tmp_path / "mobile_sam.pt"
    torch.save(build_mobile_sam().state_dict(), path)
    with pytest.raises(weight_files.UnpinnedPickleError):
        segmenters.load("sam", path, "cpu", cache=tmp_path)
    pin = sha256_path(path)
    net = segmenters.load("sam", path, "cpu", segmenters.Asked(pins=[pin]), cache=tmp_path)
    (alpha,) = net.alpha([np.zeros((40, 60, 3), np.uint8)], [(5, 5, 50, 35)])
    assert alpha.shape == (40, 60) and set(np.unique(alpha)) <= {0.0, 1.0}


# --- what a runtime says of a device ----------------------------------------------------


def onnxruntime_with(monkeypatch, providers, session):
    preloaded = []

    class Refusal(Exception):
        pass

    states = types.SimpleNamespace(Fail=Refusal, RuntimeException=Refusal, EPFail=Refusal)
    runtime = types.SimpleNamespace(
        get_available_providers=lambda: providers,
        set_default_logger_severity=lambda level: None,
        preload_dlls=lambda: preloaded.append(providers),
        InferenceSession=lambda graph, providers, enable_fallback: session(Refusal),
        capi=types.SimpleNamespace(onnxruntime_pybind11_state=states),
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    answer = onnx_runtime._tried(0)
    assert preloaded, "the libraries that are Python packages are found by nobody else"
    return answer


def test_onnxruntime_on_cuda_is_believed_when_a_graph_has_run(monkeypatch):
    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"

    def working(refusal):
        return types.SimpleNamespace(get_providers=lambda: [cuda], run=lambda outputs, inputs: [])

    def without_libraries(refusal):
        return types.SimpleNamespace(get_providers=lambda: [cpu])

    def full(refusal):
        raise refusal("CUDA failure 2: out of memory\n at line 1")

    assert onnxruntime_with(monkeypatch, [cuda, cpu], working) == ""
    assert "install onnxruntime-gpu" in onnxruntime_with(monkeypatch, [cpu], working)
    assert "cuDNN libraries" in onnxruntime_with(monkeypatch, [cuda], without_libraries)
    assert "(CUDA failure 2: out of memory)" in onnxruntime_with(monkeypatch, [cuda], full)


#: As ONNX Runtime 1.2x prints them, after "EP Error" or in its log.
IN_SOURCE = (
    "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:{} std::conditional_t<THRW, "
    "void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, SUCCTYPE, int) "
    "[with ERRTYPE = cudaError; bool THRW = true; std::conditional_t<THRW, void, Status> = void] "
)
TOO_NEW = (
    f"{IN_SOURCE.format(129)}{IN_SOURCE.format(121)}CUDA failure 36: API call is not supported in "
    "the installed CUDA driver ; GPU=-1 ; hostname=there ; file=/onnxruntime_src/onnxruntime/core/"
    "providers/cuda/cuda_execution_provider.cc ; line=336 ; expr=cudaSetDevice(info_.device_id); "
    "\n\n"
)
BROKEN = (
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv node. "
    "Name:'c1' Status Message: CUDA failure 700: an illegal memory access was encountered ; GPU=0 "
    "; hostname=there ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/x.h ; line=12"
)
NO_CUDNN = (
    "2026-05-01 10:00:00.1 [E:onnxruntime:Default, provider_bridge_ort.cc:2195 "
    "TryGetProviderInfo_CUDA] /onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:17 "
    "onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : "
    "Failed to load library libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot "
    "open shared object file: No such file or directory\n"
)
NOT_LOADED = (
    "/onnxruntime_src/onnxruntime/python/onnxruntime_pybind_state.cc:866 "
    "onnxruntime::python::CreateExecutionProviderInstance CUDA_PATH is set but CUDA wasnt able to "
    "be loaded.\n"
)


@pytest.mark.parametrize(
    "text, reason",
    [
        (TOO_NEW, "CUDA failure 36: API call is not supported in the installed CUDA driver"),
        (BROKEN, "CUDA failure 700: an illegal memory access was encountered"),
        ("CUDNN failure 4: CUDNN_STATUS_INTERNAL_ERROR ; GPU=0 ; hostname=there",
         "CUDNN failure 4: CUDNN_STATUS_INTERNAL_ERROR"),
        (NO_CUDNN, "libcudnn.so.9: cannot open shared object file: No such file or directory"),
        (NOT_LOADED, "CUDA_PATH is set but CUDA wasnt able to be loaded."),
        ("Got invalid dimensions for input: x\nexpected 3", "Got invalid dimensions for input: x"),
    ],
)  # fmt: skip
def test_the_reason_is_found_in_what_onnxruntime_says(text, reason):
    assert onnx_runtime.reason(text) == reason


@pytest.fixture
def real_onnxruntime(monkeypatch):
    """onnxruntime's own code, with a CUDA provider that `fails` as it does: here it has none."""
    session = onnxruntime.InferenceSession
    create = session._create_inference_session
    cuda = "CUDAExecutionProvider"

    def fails(with_cuda):
        def created(self, providers, *more):
            if providers[0] != "CPUExecutionProvider" and providers[0][0] == cuda:
                with_cuda()
            self._fallback_providers = ["CPUExecutionProvider"]
            create(self, ["CPUExecutionProvider"], *more)

        monkeypatch.setattr(session, "_create_inference_session", created)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [cuda])
    monkeypatch.setattr(device_memory, "_total", lambda index: 24 << 30)
    return fails


def raises(error):
    raise error


def test_what_hides_behind_ep_error_is_what_the_user_is_told(real_onnxruntime, tmp_path):
    real_onnxruntime(lambda: raises(RuntimeError(TOO_NEW)))
    answer = onnx_runtime._tried(0)
    assert answer == (
        "ONNX Runtime cannot use it (CUDA failure 36: API call is not supported in the installed "
        "CUDA driver); see nvidia-smi"
    )
    path = onnx_files.u_net(tmp_path / "net.onnx")
    with pytest.raises(RuntimeError, match=r"^ONNX Runtime: CUDA failure 36: .* driver$"):
        onnx_runtime.load(NetworkRequest.of(path, "onnxruntime", "cuda:0", ""))


def test_a_library_that_is_missing_is_named(real_onnxruntime, capfd):
    real_onnxruntime(lambda: os.write(2, NO_CUDNN.encode()))
    answer = onnx_runtime._tried(0)
    assert "CUDA provider (libcudnn.so.9: cannot open shared object file: No such" in answer
    assert "libcudnn" not in capfd.readouterr().err


def test_a_card_that_fails_in_a_run_is_an_error_and_never_the_cpu(on_cuda, monkeypatch):
    """Left to itself, onnxruntime goes on on the CPU, and rows would say that it was the card."""
    net = on_cuda(batch=1)._run.__self__
    started = net._session._sess

    class Broken:
        def run(self, *_):
            raise onnxruntime.capi.onnxruntime_pybind11_state.EPFail(BROKEN)

        def __getattr__(self, name):
            return getattr(started, name)

    monkeypatch.setattr(net._session, "_sess", Broken())
    with pytest.raises(RuntimeError, match=r"^ONNX Runtime: CUDA failure 700: .* encountered$"):
        net.run([np.zeros((64, 64, 3), np.uint8)])


def test_the_graph_that_a_device_is_tried_with_runs():
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(onnx_runtime._TINY, providers=providers)
    (output,) = session.run(None, {"x": np.full(1, -1, np.float32)})
    assert output.tolist() == [0]
