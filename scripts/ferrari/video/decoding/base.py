"""The decoder seam: what a decoder is told, what it yields, and what it counts on its way.

A decoder yields `Frame`s in the order in which they are shown.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Protocol

import numpy as np

from ferrari.common.errors import FerrariError
from ferrari.video.colours import Untagged
from ferrari.video.lost_footage import DeclaredEnd
from ferrari.video.timestamps import PackedTimes


@dataclass(frozen=True)
class Proof:
    """How a decoder's frames compared with those of PyAV on the CPU, on samples of a clip.

    `difference` is the largest of any value of any pixel, in levels of 255.
    """

    frames: int
    difference: float


class DecoderUnavailableError(FerrariError, RuntimeError):
    """A decoder cannot take this clip on this machine; the message says why.

    `proof` is how far its frames are off, if that is what is wrong.
    """

    def __init__(self, message: str, proof: Proof | None = None) -> None:
        super().__init__(message)
        self.proof = proof


@dataclass(frozen=True)
class DecodePlan:
    """How to read one clip. A pass that finds the plan wrong starts again with a better one.

    With `fps` set, a decoder need only yield the clip's samples, at most `most` of them, and
    between these a frame for each slot of 1/`linking_fps` s in which there is one.
    """

    threads: int = 1  # decoder threads; damaged clips are read with one, for the same bytes always
    deinterlace: bool = False
    max_side: int | None = None
    max_pixels: int | None = None  # of a frame as stored; no larger one is decoded
    frame_s: Fraction = Fraction(1, 25)  # nominal time of a frame
    fps: float | None = None  # samples per second; None: every frame is decoded and yielded
    most: int | None = None
    linking_fps: float = 0.0  # of the linking film; 0: none
    untagged: Untagged = field(default_factory=Untagged)  # what frames do not say of their colours


class PlanChangedError(FerrariError):
    """The pass found something that its plan does not handle; start again with `plan`."""

    def __init__(self, plan: DecodePlan) -> None:
        super().__init__(plan)
        self.plan = plan


class Picture(Protocol):
    """What can be made of a decoded frame; pixels are converted only when they are asked for."""

    @property
    def facts(self) -> dict[str, object]:
        """Rotation, sar, matrix, bit depth and so on: columns of the table."""

    @property
    def unknown_colours(self) -> str:
        """Why `rgb` cannot have the right colours, or ""."""

    def luma(self) -> np.ndarray:
        """HxW uint8 as stored (not upright)."""

    def rgb(self) -> np.ndarray:
        """HxWx3 uint8 RGB, upright, square pixels, SDR."""

    def small(self, side: int) -> np.ndarray:
        """What `rgb` shows, its longer side at most `side` px, converted after it was shrunk."""

    def yuv(self) -> np.ndarray | None:
        """The picture of `rgb` as H*3/2 x W uint8 (see `ycbcr.i420`); None: go by way of `rgb`."""


@dataclass(frozen=True)
class Frame:
    """One decoded frame; `fetch` brings its picture, of a card from there, and is called once."""

    ordinal: int  # counts the clip's frames from 0, in the order shown
    pts: int | None  # in units of `time_base`, on the container's clock
    time_base: Fraction | None  # seconds
    is_key: bool
    depends_on_next: bool  # a B-frame: also made from the next frame that is none
    damaged: bool  # the decoder reported missing or concealed data
    interlaced: bool
    fetch: Callable[[], Picture]
    duration_s: Fraction = Fraction(0)  # 0: not known
    fault: str = ""  # why it is `damaged`
    lost_before: str = ""  # why frames before it did not come out, if it does not need them
    part: int = 0  # of the clip's parts, each of which has a clock that starts anew, from 0

    @property
    def time_s(self) -> Fraction | None:
        """When the frame is shown, exactly; None where the file does not say."""
        return None if self.pts is None or self.time_base is None else self.pts * self.time_base

    @cached_property
    def picture(self) -> Picture:
        """The frame's picture, kept from the first call on."""
        return self.fetch()


@dataclass
class Drifts:
    """How far the picture jumps where a group of pictures ends and the next key frame stands.

    What went wrong in a group stays to its end, and a key frame puts it right: there it shows.
    `ends_s` are the times of groups' last pictures, `levels` the change of luma (0-255) to the key
    frame behind it, in the block that changes most.
    """

    ends_s: array = field(default_factory=lambda: array("d"))
    levels: array = field(default_factory=lambda: array("d"))

    def add(self, end_s: float, level: float) -> None:
        """Note the next group's."""
        self.ends_s.append(end_s)
        self.levels.append(level)


@dataclass
class DecodeStats:
    """What a decoder met on its way, read by the caller while it runs."""

    frames: int = (
        0  # of the clip, up to where it was read; with DecodePlan.fps not all were decoded
    )
    errors: int = 0
    first_error: str = ""
    packets: int = 0
    #: The times of packets that have one, by the part of the clip whose clock they are of.
    packet_parts: Sequence[array | PackedTimes] = field(default_factory=lambda: [array("q")])
    time_base: Fraction | None = None  # of packet_parts
    fault_at_end: str = ""  # an error that no frame came after
    declared_end: DeclaredEnd | None = None  # where the clip ends by its own account
    #: With `DecodePlan.fps`: time of the clip's last frame, and for how long it is shown (seconds)
    end: tuple[Fraction, Fraction] | None = None
    drifts: Drifts = field(default_factory=Drifts)  # where a card decodes
    #: Of a decoder that has to prove what it gives: 8x8 uint8 luma of each sample, by its time (s)
    glimpses: dict[float, bytes] = field(default_factory=dict)

    def add_error(self, message: str) -> None:
        """Count an error; the first message is kept."""
        self.errors += 1
        self.first_error = self.first_error or message


#: Raises DecoderUnavailableError where the decoder's frames are not those of PyAV on the CPU.
Prove = Callable[[str, DecodePlan, DecodeStats], Proof]


@dataclass(frozen=True)
class Decoder:
    """A named way to decode: `open(path, plan, stats)` yields Frames.

    One that has to `prove` what it gives is no judge of a clip: whatever it reports says that it
    cannot take the clip, and no more. One with a CUDA `device` maps the memory of that card.
    """

    name: str
    version: str
    open: Callable[[str, DecodePlan, DecodeStats], Generator[Frame]]
    device: int | None = None
    prove: Prove | None = None
