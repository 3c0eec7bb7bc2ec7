"""Writes the hostile files that a folder of raw clips holds sooner or later, with their truth."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.generator.encode import encoding_of, write_clip
from tests.generator.spec import ClipSpec

ODD_NAME = "odd näme 'q' \"d\" 日本 (1).mp4"
HTML = """<!DOCTYPE html>
<html><head><title>404 Not Found</title></head>
<body><h1>Not Found</h1><p>The video that you asked for is not here.</p></body></html>
"""
#: Clips that were written, by what is drawn and the ending of the file's name.
_WRITTEN: dict[tuple[str, str], bytes] = {}


@dataclass(frozen=True)
class FileTruth:
    """What a written file is.

    `verdict` is stage 0's (OK for a playable clip); `n_frames` the frames that a sound decoder
    gives (0 where none); `fps` a string such as "25" or ""; `spec` the clip drawn in it, for the
    truth of any frame; `subject` whether its frames show a figure; `facts` what else a test may
    check.
    """

    path: Path
    verdict: str
    n_frames: int = 0
    fps: str = ""
    spec: ClipSpec | None = None
    subject: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data, with the file's name in place of its path."""
        data = asdict(self) | {"spec": self.spec.to_json() if self.spec else None}
        del data["path"]
        return data | {"file": self.path.name}


def _write(spec: ClipSpec, path: Path) -> None:
    """`write_clip`, which draws and encodes a clip of a kind once a process."""
    kind = repr(spec), path.suffix
    if kind not in _WRITTEN:
        with tempfile.TemporaryDirectory() as folder:
            _WRITTEN[kind] = write_clip(spec, Path(folder) / f"clip{path.suffix}").read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_WRITTEN[kind])


def good(path: Path, spec: ClipSpec) -> FileTruth:
    """A sound clip."""
    _write(spec, path)
    return FileTruth(path, "OK", spec.n_frames, spec.fps, spec, bool(spec.figures))


def truncated(path: Path, spec: ClipSpec, share: float = 0.6) -> FileTruth:
    """An mp4 cut off before its index (moov) was written: CORRUPT_CONTAINER."""
    _write(spec, path)
    whole = path.read_bytes()
    end = min(int(len(whole) * share), whole.rindex(b"moov") - 4)
    path.write_bytes(whole[:end])
    return FileTruth(
        path, "CORRUPT_CONTAINER", facts={"bytes_left": end, "bytes_whole": len(whole)}
    )


def garbage(path: Path, seed: int, size: int = 65536) -> FileTruth:
    """Random bytes under a video's name: CORRUPT_CONTAINER."""
    path.write_bytes(np.random.default_rng(seed).bytes(size))
    return FileTruth(path, "CORRUPT_CONTAINER", facts={"bytes": size})


def html(path: Path) -> FileTruth:
    """An error page saved under a video's name: NOT_A_VIDEO."""
    path.write_text(HTML, encoding="utf-8")
    return FileTruth(path, "NOT_A_VIDEO")


def zero_duration(path: Path, spec: ClipSpec) -> FileTruth:
    """An mp4 whose index promises H.264 video, with no frame behind it: ZERO_DURATION."""
    encoding = replace(
        encoding_of(spec), container_options={"movflags": "empty_moov+frag_keyframe"}
    )
    write_clip(replace(spec, n_frames=1, cuts=(), frozen_runs=()), path, encoding)
    data, offset = path.read_bytes(), 0
    while data[offset + 4 : offset + 8] != b"moof":
        offset += int.from_bytes(data[offset : offset + 4], "big")
    path.write_bytes(data[:offset])
    return FileTruth(path, "ZERO_DURATION", facts={"bytes": offset})


def low_resolution(path: Path, spec: ClipSpec) -> FileTruth:
    """A sound clip whose short side is under 480: LOW_RESOLUTION.

    Raises:
        ValueError: the spec is not that small.
    """
    if min(spec.width, spec.height) >= 480:
        raise ValueError(f"{spec.width}x{spec.height} is not low resolution")
    return replace(good(path, spec), verdict="LOW_RESOLUTION")


def audio_only(path: Path, seconds: float = 2.0, rate_hz: int = 48000) -> FileTruth:
    """An mp4 with a tone and no picture: NO_VIDEO_STREAM."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=rate_hz, layout="mono")
        size = stream.codec_context.frame_size or 1024
        for start in range(0, int(seconds * rate_hz), size):
            t = (start + np.arange(size)) / rate_hz
            tone = (0.2 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate_hz, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return FileTruth(path, "NO_VIDEO_STREAM")


def exact_duplicate(path: Path, of: FileTruth) -> FileTruth:
    """A byte-for-byte copy of another clip: DUPLICATE_VIDEO."""
    shutil.copyfile(of.path, path)
    return replace(of, path=path, verdict="DUPLICATE_VIDEO", facts={"copy_of": of.path.name})


def one_frame(path: Path, spec: ClipSpec) -> FileTruth:
    """A sound clip of a single frame."""
    return good(path, replace(spec, n_frames=1, cuts=(), frozen_runs=()))


def odd_size(path: Path, spec: ClipSpec) -> FileTruth:
    """A sound clip of odd width and height (H.264 4:4:4, which alone allows that)."""
    spec = replace(spec, width=spec.width | 1, height=spec.height | 1)
    write_clip(spec, path, replace(encoding_of(spec), pix_fmt="yuv444p"))
    return FileTruth(path, "OK", spec.n_frames, spec.fps, spec, bool(spec.figures))


def many_frames(path: Path, spec: ClipSpec, copies: int) -> FileTruth:
    """A long clip at the cost of a short one: the spec's packets muxed `copies` times in a row.

    Frame k of the file shows frame k % spec.n_frames of the spec.
    """
    short = path.with_name(path.name + ".part.mp4")
    write_clip(spec, short, replace(encoding_of(spec), b_frames=0, gop=spec.n_frames))
    with av.open(str(short)) as source, av.open(str(path), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        packets = [(bytes(p), p.pts, p.duration, p.is_keyframe) for p in source.demux() if p.size]
        base, step = source.streams.video[0].time_base, packets[0][2]
        for index in range(copies * len(packets)):
            data, _, duration, key = packets[index % len(packets)]
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, base
            packet.pts = packet.dts = index * step
            packet.duration, packet.is_keyframe = duration, key
            sink.mux(packet)
    short.unlink()
    return FileTruth(path, "OK", copies * spec.n_frames, spec.fps, spec, bool(spec.figures))
