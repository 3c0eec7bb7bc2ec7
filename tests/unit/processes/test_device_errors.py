"""What the errors of CUDA's libraries mean, by their own texts."""

from __future__ import annotations

import pytest

from ferrari.common.errors import FerrariError
from ferrari.processes.devices import (
    DeviceMemoryError,
    context_is_lost,
    device_errors,
    device_is_full,
)

FULL = [
    # torch 2.6 and 2.15
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.69 GiB of "
    "which 1.19 GiB is free.",
    "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    # ONNX Runtime 1.26
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv "
    "node. Name:'/stage1/rebnconvin/conv_s1/Conv' Status Message: /onnxruntime_src/onnxruntime/"
    "core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, "
    "bool, onnxruntime::Stream*, bool, onnxruntime::WaitNotificationFn) Failed to allocate memory "
    "for requested buffer of size 268435456",
    "/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:342 void* onnxruntime::BFCArena::"
    "AllocateRawInternal(size_t, bool) Available memory of 0 is smaller than requested bytes of "
    "135383040",
    "CUDA failure 2: out of memory ; GPU=0 ; hostname=box ; file=/onnxruntime_src/onnxruntime/core/"
    "providers/cuda/cuda_allocator.cc ; line=80 ; expr=cudaMalloc((void**)&p, size);",
    "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=box ; file=cuda_stream.cc",
]
LOST = [
    "CUDA error: an illegal memory access was encountered\nSearch for `cudaErrorIllegalAddress' in",
    "CUDA error: unspecified launch failure",
    "CUDA error: uncorrectable ECC error encountered",
    "CUDA error: the launch timed out and was terminated",
    "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx( handle, opa, opb )`",
    "CUDA error: device-side assert triggered",
    "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
    "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=box ; "
    "file=/onnxruntime_src/onnxruntime/core/providers/cuda/gpu_data_transfer.cc ; line=73 ; "
    "expr=cudaStreamSynchronize(static_cast<cudaStream_t>(stream.GetHandle()));",
    "CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0 ; hostname=box ; file=conv.cc",
    "CUBLAS failure 14: CUBLAS_STATUS_INTERNAL_ERROR ; GPU=0 ; hostname=box ; file=matmul.cc",
    "CUDA failure 100: no CUDA-capable device is detected",
]
NEITHER = [
    "",
    "shape '[1, 84, 8400]' is invalid for input of size 12",
    "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: pictures for "
    "the following indices index: 1 Got: 63 Expected: 64",
    "mask.weights knows no class 'cat'",
]


@pytest.mark.parametrize("text", FULL)
def test_a_device_that_is_full_keeps_its_context(text):
    assert device_is_full(text) and not context_is_lost(text)


@pytest.mark.parametrize("text", LOST)
def test_a_context_is_lost_after_any_other_error_of_cuda(text):
    assert context_is_lost(text) and not device_is_full(text)


@pytest.mark.parametrize("text", NEITHER)
def test_other_errors_say_nothing_of_the_device(text):
    assert not context_is_lost(text) and not device_is_full(text)


class FromLibrary(Exception):
    """As ONNX Runtime's, which is no RuntimeError."""


@pytest.mark.parametrize("kind", [RuntimeError, FromLibrary])
def test_only_what_a_library_says_of_memory_becomes_ours(kind):
    with pytest.raises(DeviceMemoryError) as caught, device_errors(FromLibrary):
        raise kind(FULL[1])
    assert str(caught.value) == "CUDA error: out of memory" and caught.value.__cause__ is not None
    for text in (LOST[0], NEITHER[1]):
        with pytest.raises(kind) as passed, device_errors(FromLibrary):
            raise kind(text)
        assert not isinstance(passed.value, FerrariError)
