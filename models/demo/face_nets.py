"""The demo's two networks for faces, and how they become ONNX files.

The detector has YuNet's outputs, so what reads YuNet reads it; the embedding takes faces that are
upright by their landmarks, as any embedding in models.yaml does. Both are plain stacks of
convolutions, written as ONNX by the product's own writer: same weights, same bytes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ferrari.networks.backends import onnx_file
from ferrari.networks.backends.yunet import STRIDES

#: Numbers in an embedding.
DIMENSIONS = 64
#: What each cell of the detector says: class, object, box, five landmarks (backends.yunet).
WIDTHS = (1, 1, 4, 10)
_NAMES = ("cls", "obj", "bbox", "kps")


def _conv(inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> list:
    conv = nn.Conv2d(
        inside, outside, kernel, stride, kernel // 2 if stride == 1 or kernel == 3 else 0,
        groups=groups, bias=False,
    )  # fmt: skip
    return [conv, nn.BatchNorm2d(outside), nn.ReLU()]


def _light(inside: int, outside: int, stride: int = 1, kernel: int = 3) -> list:
    """A convolution of each channel by itself, then one that mixes channels."""
    return [*_conv(inside, inside, kernel, stride, inside), *_conv(inside, outside, 1)]


class Detector(nn.Module):
    """(B, 3, H, W) BGR 0..255, sides a multiple of 32 -> YuNet's 12 outputs, a row a cell."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList([
            nn.Sequential(*_conv(3, 16, 3, 2), *_light(16, 24, 2), *_light(24, 24),
                          *_light(24, 48, 2), *_light(48, 48), *_light(48, 48)),
            nn.Sequential(*_light(48, 64, 2), *_light(64, 64, kernel=5),
                          *_light(64, 64, kernel=5)),
            nn.Sequential(*_light(64, 96, 2), *_light(96, 96, kernel=5),
                          *_light(96, 96, kernel=5)),
        ])  # fmt: skip
        self.heads = nn.ModuleList(
            [nn.Sequential(*_light(c, 48), nn.Conv2d(48, sum(WIDTHS), 1)) for c in (48, 64, 96)]
        )
        for head in self.heads:
            nn.init.constant_(head[-1].bias[:2], -3.0)  # most cells are no face

    def forward(self, bgr: torch.Tensor) -> list[torch.Tensor]:
        """Of each level (B, 16, H / stride, W / stride): logits, box, landmarks."""
        x, found = bgr, []
        for level, head in zip(self.levels, self.heads, strict=True):
            x = level(x)
            found.append(head(x))
        return found


class Embedding(nn.Module):
    """(B, 3, 64, 64) RGB, (0..255 - 127.5) / 127.5 -> (B, DIMENSIONS), of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv(3, 24, 3, 2), *_conv(24, 40, 3, 2), *_light(40, 40), *_conv(40, 72, 3, 2),
            *_light(72, 72), *_light(72, 112, 2), *_light(112, 112), *_conv(112, 112, 4, 4, 112),
            nn.Conv2d(112, DIMENSIONS, 1),
        )  # fmt: skip

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.body(rgb).flatten(1)


# --- ONNX ------------------------------------------------------------------------------------


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> tuple[np.ndarray, np.ndarray]:
    """The weights and biases of a convolution with the normalisation behind it made part of it."""
    weight = conv.weight.detach().double()
    bias = torch.zeros(conv.out_channels).double() if conv.bias is None else conv.bias.double()
    if norm is not None:
        gain = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
        weight = weight * gain[:, None, None, None]
        bias = (bias - norm.running_mean.double()) * gain + norm.bias.double()
    return weight.detach().float().numpy(), bias.detach().float().numpy()


class _Graph:
    """An ONNX graph that grows."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.model = onnx_file.empty(13, 8)
        self.model.graph.name = "faces"
        onnx_file.add_input(self.model, "input", shape)
        self._count = 0

    def add(self, kind: str, inputs: list[str], about: dict, name: str = "") -> str:
        self._count += 1
        made = name or f"t{self._count}"
        onnx_file.add_node(self.model, kind, inputs, made, about)
        return made

    def constant(self, values: np.ndarray) -> str:
        self._count += 1
        onnx_file.add_constant(self.model, f"w{self._count}", np.ascontiguousarray(values))
        return f"w{self._count}"

    def stack(self, layers: nn.Sequential, last: str, name: str = "") -> str:
        """The layers of a stack behind `last`; the last one's output is called `name`."""
        listed = list(layers)
        for at, layer in enumerate(listed):
            if isinstance(layer, nn.Conv2d):
                behind = listed[at + 1] if at + 1 < len(listed) else None
                norm = behind if isinstance(behind, nn.BatchNorm2d) else None
                weight, bias = (self.constant(part) for part in _folded(layer, norm))
                about = {
                    "kernel_shape": list(layer.kernel_size), "strides": list(layer.stride),
                    "pads": [*layer.padding, *layer.padding], "group": layer.groups,
                    "dilations": [1, 1],
                }  # fmt: skip
                end = name if at == len(listed) - 1 else ""
                last = self.add("Conv", [last, weight, bias], about, end)
            elif isinstance(layer, nn.ReLU):
                last = self.add("Relu", [last], {})
        return last

    def output(self, name: str, shape: tuple[int, ...]) -> None:
        value = self.model.graph.output.add(name=name)
        value.type.tensor_type.elem_type = onnx_file.FLOAT
        onnx_file.set_shape(value, shape)

    def written(self) -> bytes:
        return self.model.SerializeToString(deterministic=True)


def detector_file(net: Detector, side: int = 320) -> bytes:
    """The detector as ONNX for pictures of side x side, of which `onnx_graph.free` frees it."""
    graph = _Graph((1, 3, side, side))
    last, parts = "input", []
    for index, stride in enumerate(STRIDES):
        last = graph.stack(net.levels[index], last)
        parts.append(_head(graph, net.heads[index], last, stride))
    for kind, name in enumerate(_NAMES):
        for level, stride in enumerate(STRIDES):
            cells = (side // stride) ** 2
            graph.output(parts[level][kind], (1, cells, WIDTHS[kind]))
            assert parts[level][kind] == f"{name}_{stride}"
    return graph.written()


def _head(graph: _Graph, head: nn.Sequential, last: str, stride: int) -> list[str]:
    """The four outputs of a level: (1, cells, values) each."""
    listed = list(head)
    body = graph.stack(nn.Sequential(*listed[:-1]), last)
    weight, bias = listed[-1].weight.detach().numpy(), listed[-1].bias.detach().numpy()
    made, start = [], 0
    for name, wide in zip(_NAMES, WIDTHS, strict=True):
        part = slice(start, start + wide)
        about = {"kernel_shape": [1, 1], "strides": [1, 1], "pads": [0, 0, 0, 0], "group": 1,
                 "dilations": [1, 1]}  # fmt: skip
        inputs = [body, graph.constant(weight[part]), graph.constant(bias[part])]
        values = graph.add("Conv", inputs, about)
        if name in ("cls", "obj"):
            values = graph.add("Sigmoid", [values], {})
        rows = graph.add("Transpose", [values], {"perm": [0, 2, 3, 1]})
        shape = graph.constant(np.array([1, -1, wide], np.int64))
        made.append(graph.add("Reshape", [rows, shape], {}, f"{name}_{stride}"))
        start += wide
    return made


def embedding_file(net: Embedding, side: int) -> bytes:
    """The embedding as ONNX, for upright faces of side x side."""
    graph = _Graph((1, 3, side, side))
    last = graph.stack(net.body, "input")
    shape = graph.constant(np.array([1, -1], np.int64))
    graph.output(graph.add("Reshape", [last, shape], {}, "embedding"), (1, DIMENSIONS))
    return graph.written()
