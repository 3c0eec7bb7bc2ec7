"""The demo network: YOLO11-seg at width 0.15 whose mask prototypes see stride 2 and 4 features.

Stock YOLO makes its prototypes from stride 8 features alone, at a quarter of the picture's size; at
320 pixels that rounds off fingers and the gap between arm and body. Here they come at half size,
with skip connections, as in a U-Net.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from ultralytics.cfg import get_cfg
from ultralytics.nn.modules import Segment
from ultralytics.nn.modules.conv import Conv
from ultralytics.nn.tasks import SegmentationModel

STEM_LAYER, P2_LAYER = 0, 2
YAML = Path(__file__).with_name("person-seg.yaml")


class SkipProto(nn.Module):
    """Mask prototypes at half the picture's size from features of stride 2, 4 and 8."""

    def __init__(self, stem: int, p2: int, p3: int, masks: int) -> None:
        super().__init__()
        self.cv1, self.up1 = Conv(p3, 32, 3), nn.Upsample(scale_factor=2)
        self.cv2, self.up2 = Conv(32 + p2, 24, 3), nn.Upsample(scale_factor=2)
        self.cv3, self.cv4 = Conv(24 + stem, 16, 3), nn.Conv2d(16, masks, 1)

    def forward(self, stem: torch.Tensor, p2: torch.Tensor, p3: torch.Tensor) -> torch.Tensor:
        """(B, C, H/2, W/2), (.., H/4, W/4), (.., H/8, W/8) -> (B, masks, H/2, W/2)."""
        x = self.cv2(torch.cat((self.up1(self.cv1(p3)), p2), 1))
        return self.cv4(self.cv3(torch.cat((self.up2(x), stem), 1)))


class _Bound(nn.Module):
    """A `SkipProto` under the one-input signature that `Segment.forward` calls."""

    def __init__(self, proto: SkipProto) -> None:
        super().__init__()
        self.proto, self.fine = proto, ()

    def forward(self, p3: torch.Tensor) -> torch.Tensor:
        stem, p2 = self.fine
        self.fine = ()
        return self.proto(stem, p2, p3)


class SkipSegment(Segment):
    """`Segment` that takes (stem, p2, p3, p4, p5) and hands the first two to its prototypes."""

    def forward(self, x: list[torch.Tensor]):
        """As `Segment.forward`, with the two fine feature maps in front."""
        self.proto.fine = tuple(x[:2])
        return super().forward(list(x[2:]))


def build() -> SegmentationModel:
    """The untrained network, with its prototypes exchanged and ultralytics' default loss gains."""
    model = SegmentationModel(str(YAML), ch=3, nc=1, verbose=False)
    head = model.model[-1]
    channels = []
    with torch.no_grad():
        x = torch.zeros(1, 3, 64, 64)
        for k, layer in enumerate(model.model[: P2_LAYER + 1]):
            x = layer(x)
            if k in (STEM_LAYER, P2_LAYER):
                channels.append(x.shape[1])
    p3 = head.cv2[0][0].conv.in_channels
    head.proto = _Bound(SkipProto(*channels, p3, head.nm))
    head.__class__ = SkipSegment
    head.f = [STEM_LAYER, P2_LAYER, *head.f]
    model.save = sorted({*model.save, STEM_LAYER, P2_LAYER})
    model.names = {0: "person"}
    model.args = get_cfg(overrides={"task": "segment", "overlap_mask": False, "imgsz": 320})
    return model
