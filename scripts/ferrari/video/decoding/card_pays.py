"""Is it worth decoding a clip on the card? A rule of the clip alone: the same in every run.

What counts is the time of a CPU core, for the cores are what all other stages wait for. The CPU
decodes what samples and the linking film need. The card costs a core the start of a context, the
packets, the frames that are downloaded, and the proof: three groups of pictures or more, decoded by
both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Milliseconds a core takes to decode a million pixels, with 10 bits a quarter more: measured with
#: one thread on 1080p and 2160p at 7 to 35 Mbit/s. A card has one video engine or a few, and
#: its time is best spent where it spares the cores most. So H.264 (3.8 ms) and older codecs stay on
#: the CPU. So does AV1, which FFmpeg gives to libdav1d.
CORE_MS = {"hevc": 4.9, "vp9": 4.4}
_DEEP = 1.25
#: Estimates, for no card was at hand: a CUDA context, a packet, a million pixels downloaded.
_START_S, _PACKET_MS, _DOWNLOAD_MS = 0.6, 0.05, 1.0
_GROUPS_PROVED, _SHARE_PROVED = 3, 0.05  # as `proof` chooses them
_AT_LEAST = 2  # times what the card costs has to be what it saves


@dataclass(frozen=True)
class CodedClip:
    """What stage 0 knows of a clip: `codec` by FFmpeg's name, `group` frames from key frame to key
    frame on the average."""

    codec: str
    pix_fmt: str
    megapixels: float
    frames: int
    group: float
    fps: float

    @classmethod
    def of(cls, probed: Mapping[str, str]) -> CodedClip:
        """From a row of the probe table."""
        frames = int(probed["frames"] or 0)
        size = int(probed["coded_width"] or 0) * int(probed["coded_height"] or 0)
        groups = max(1, int(probed["key_frames"] or 0))
        fps = float(probed["fps"] or 25)
        group = max(1.0, frames / groups)
        return cls(probed["codec"], probed["pix_fmt"], size / 1e6, frames, group, fps)


def why_not(clip: CodedClip, pictures_fps: float) -> str:
    """Why the CPU had better decode the clip for so many pictures a second, or ""."""
    if clip.codec not in CORE_MS:
        return f"of {clip.codec} it would spare the CPU too little"
    cpu_s, card_s = core_seconds(clip, pictures_fps)
    if cpu_s < _AT_LEAST * card_s:
        return (
            f"decoding takes a core {cpu_s:.1f} s, and starting and proving the card {card_s:.1f} s"
        )
    return ""


def core_seconds(clip: CodedClip, pictures_fps: float) -> tuple[float, float]:
    """What a core spends on the clip where the CPU decodes it, and where the card does."""
    frame_ms = CORE_MS[clip.codec] * (_DEEP if "10" in clip.pix_fmt else 1) * clip.megapixels
    step = max(1.0, clip.fps / pictures_fps)  # frames from picture to picture
    pictures = clip.frames / step
    cpu_ms = clip.frames * _share_decoded(step, clip.group) * frame_ms
    proved = min(clip.frames, max(_GROUPS_PROVED * clip.group, _SHARE_PROVED * clip.frames))
    boundaries = 2 * clip.frames / clip.group  # each group's last picture and the key frame behind
    downloads_ms = (pictures + proved + boundaries) * clip.megapixels * _DOWNLOAD_MS
    card_ms = _START_S * 1000 + clip.frames * _PACKET_MS + downloads_ms + proved * frame_ms
    return cpu_ms / 1000, card_ms / 1000


def _share_decoded(step: float, group: float) -> float:
    """The share of a clip's frames that has to be decoded: up to the last of each group."""
    if step < group:
        return 1 - step / (2 * group)
    return (group + 1) / (2 * step)
