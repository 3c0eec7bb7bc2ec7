"""Writes files whose container decides what is shown: edit lists, several tracks, pictures."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

from tests.generator.encode import Encoding, encode, encoding_of, frames_of, write_clip
from tests.generator.faults import FileTruth
from tests.generator.spec import ClipSpec


def cut_without_encoding(path: Path, spec: ClipSpec, start: int) -> FileTruth:
    """A clip cut at frame `start` by copying packets: the key frames before it are there, hidden.

    Frame k of what is shown is frame `start + k` of the spec.
    """
    whole = path.with_name(path.name + ".whole.mp4")
    write_clip(spec, whole)
    with av.open(str(whole)) as source, av.open(str(path), "w") as sink:
        stream = source.streams.video[0]
        copy = sink.add_stream_from_template(stream)
        hidden = round(start / stream.average_rate / stream.time_base)
        for packet in source.demux(stream):
            if packet.size:
                packet.pts, packet.dts = packet.pts - hidden, packet.dts - hidden
                packet.stream = copy
                sink.mux(packet)
    whole.unlink()
    shown = spec.n_frames - start
    return FileTruth(path, "OK", shown, spec.fps, spec, bool(spec.figures), {"hidden": start})


def edited(path: Path, spec: ClipSpec, parts: Sequence[tuple[int, int]]) -> FileTruth:
    """An mp4 whose edit list shows these parts of the spec, one after the other: (first frame,
    frames) of each.
    """
    write_clip(spec, path, replace(encoding_of(spec), b_frames=0))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        ticks = 1 / (Fraction(spec.fps) * stream.time_base)
    ms = Fraction(1000) / Fraction(spec.fps)
    entries = [struct.pack(">IiI", int(n * ms), int(first * ticks), 1 << 16) for first, n in parts]
    box = struct.pack(">I4sII", 16 + 12 * len(parts), b"elst", 0, len(parts)) + b"".join(entries)
    data = bytearray(path.read_bytes())
    place = data.index(b"elst") - 4
    (size,) = struct.unpack_from(">I", data, place)
    data[place : place + size] = box
    for holder in (b"edts", b"trak", b"moov"):  # which lies behind all frames
        start = data.rindex(holder, 0, place) - 4
        (held,) = struct.unpack_from(">I", data, start)
        struct.pack_into(">I", data, start, held + len(box) - size)
    path.write_bytes(data)
    shown = sum(n for _, n in parts)
    return FileTruth(path, "OK", shown, spec.fps, spec, bool(spec.figures), {"parts": list(parts)})


def slideshow(path: Path, spec: ClipSpec, seconds: int) -> FileTruth:
    """A clip each of whose frames is shown for many seconds."""
    fps = f"1/{seconds}"
    write_clip(spec, path, replace(encoding_of(spec), fps=fps))
    return FileTruth(path, "OK", spec.n_frames, fps, spec, bool(spec.figures))


def joined(path: Path, parts: Sequence[tuple[ClipSpec, Encoding]]) -> list[float]:
    """A transport stream of parts, one after the other on one clock, as `cat` joins them.

    Returns when each frame is shown, in seconds.
    """
    path.write_bytes(b"")
    count = 0
    times: list[float] = []
    for number, (spec, encoding) in enumerate(parts):
        part = path.with_name(f"{path.name}.{number}.ts")
        pts = range(count, count + spec.n_frames)
        encode(part, frames_of(spec), replace(encoding, pts=pts))
        with open(path, "ab") as whole:
            whole.write(part.read_bytes())
        with av.open(str(part)) as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
        times += sorted(float(packet.pts * packet.time_base) for packet in packets)
        part.unlink()
        count += spec.n_frames
    return times


def recordings(path: Path, parts: Sequence[tuple[ClipSpec, Encoding]]) -> Path:
    """Files, each with times of its own, joined as `cat` does; the container is that of `path`."""
    whole = b""
    for spec, encoding in parts:
        whole += encode(path, frames_of(spec), encoding).read_bytes()
    path.write_bytes(whole)
    return path


def clock_set_back(path: Path, spec: ClipSpec, encoding: Encoding, place: int, by_s: int) -> Path:
    """A transport stream whose clock is `by_s` seconds earlier from packet `place` on."""
    source = encode(path.with_name(f"{path.name}.whole.ts"), frames_of(spec), encoding)
    part, whole = path.with_name(f"{path.name}.part.ts"), b""
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        for some, late_s in ((packets[:place], by_s), (packets[place:], 0)):
            with av.open(str(part), "w", options={"mpegts_copyts": "1"}) as sink:
                copy = sink.add_stream_from_template(stream)
                for packet in some:
                    packet.pts += round(late_s / packet.time_base)
                    packet.dts += round(late_s / packet.time_base)
                    packet.stream = copy
                    sink.mux(packet)
            whole += part.read_bytes()
    path.write_bytes(whole)
    for left in (source, part):
        left.unlink()
    return path


def without_transport_packets(path: Path, frame: int, which: slice) -> None:
    """Take packets of a transport stream out of the data of one frame, in the order of decoding."""
    data, size = path.read_bytes(), 188
    packets = [data[place : place + size] for place in range(0, len(data), size)]
    film = [k for k, p in enumerate(packets) if int.from_bytes(p[1:3], "big") & 0x1FFF == 0x100]
    starts = [place for place, k in enumerate(film) if packets[k][1] & 0x40]
    starts.append(len(film))
    gone = set(film[starts[frame] : starts[frame + 1]][which])
    path.write_bytes(b"".join(p for k, p in enumerate(packets) if k not in gone))


def aspect_switch(path: Path, spec: ClipSpec, aspects: Sequence[str]) -> FileTruth:
    """A transport stream of parts, one after the other, each with a sample aspect of its own."""
    parts = [(spec, replace(encoding_of(spec), sar=sar, b_frames=0)) for sar in aspects]
    joined(path, parts)
    facts = {"aspects": list(aspects)}
    return FileTruth(path, "OK", spec.n_frames * len(aspects), spec.fps, spec, True, facts)


def tracks(
    path: Path,
    sizes: Sequence[tuple[int, int]],
    dispositions: Sequence[Disposition],
    codecs: Sequence[str] = (),
    n_frames: int = 10,
) -> Path:
    """A file with a video track of each size, flagged as said; track k is of grey k * 60."""
    with av.open(str(path), "w") as sink:
        streams = []
        for number, (width, height) in enumerate(sizes):
            codec = codecs[number] if codecs else "libx264"
            stream = sink.add_stream(codec, rate=25)
            stream.width, stream.height = width, height
            stream.pix_fmt = {"png": "rgb24", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
            stream.disposition = dispositions[number]
            streams.append(stream)
        for index in range(n_frames):
            for number, stream in enumerate(streams):
                if index and dispositions[number] & Disposition.attached_pic:
                    continue
                grey = np.full((stream.height, stream.width, 3), number * 60, np.uint8)
                frame = av.VideoFrame.from_ndarray(grey)
                frame.pts = index
                sink.mux(stream.encode(frame))
        for stream in streams:
            sink.mux(stream.encode(None))
    return path


def unknown_codec(path: Path, spec: ClipSpec, letters: bytes = b"CRAW") -> Path:
    """A clip whose index names a codec, by four letters, that nobody has a decoder for."""
    write_clip(spec, path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"avc1", letters).replace(b"avcC", b"xxxx"))
    return path


def picture(path: Path, spec: ClipSpec, codec: str, pix_fmt: str, n_frames: int = 1) -> Path:
    """Pictures of a picture codec in whatever container the name asks for."""
    spec = replace(spec, n_frames=n_frames, cuts=(), frozen_runs=())
    encoding = replace(encoding_of(spec), codec=codec, pix_fmt=pix_fmt, b_frames=0, options={})
    return encode(path, frames_of(spec), encoding)


def cut_packets(path: Path, whole: Path, first: int) -> Path:
    """A copy of a clip from its packet number `first` on, whatever that one builds on."""
    with av.open(str(whole)) as source, av.open(str(path), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size and number >= first:
                packet.stream = stream
                sink.mux(packet)
    return path


def with_empty_samples(
    path: Path, spec: ClipSpec, before: Sequence[int], codec: str = "mpeg4"
) -> list[Fraction]:
    """An mp4 with a sample of no bytes before each of these frames, for as long as a frame.

    Returns the time of each frame in seconds. FFmpeg leaves such samples out of H.264 itself.
    """
    whole = path.with_name(path.name + ".whole.mp4")
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    options = {} if codec == "libx265" else {"qscale": "3"}
    encoding = replace(encoding_of(spec), codec=codec, pix_fmt=pix_fmt, b_frames=0)
    encode(whole, frames_of(spec), replace(encoding, options=options))
    times, empty, slot = [], [], 0
    with av.open(str(whole)) as source, av.open(str(path), "w") as sink:
        stream = source.streams.video[0]
        copy = sink.add_stream_from_template(stream)
        step = round(1 / Fraction(spec.fps) / stream.time_base)
        packets = [packet for packet in source.demux(stream) if packet.size]
        for number, packet in enumerate(packets):
            fillers = [av.Packet(_FILLERS[codec])] if number in before else []
            for each in (*fillers, packet):
                each.pts = each.dts = slot * step
                each.time_base, each.duration, each.stream = stream.time_base, step, copy
                if each is packet:
                    times.append(slot / Fraction(spec.fps))
                else:
                    empty.append(slot)
                sink.mux(each)
                slot += 1
    whole.unlink()
    data = bytearray(path.read_bytes())
    sizes = data.index(b"stsz") + 16
    for number in empty:  # their bytes become the end of the sample before them
        place = sizes + 4 * number
        taken = sum(struct.unpack_from(">II", data, place - 4))
        struct.pack_into(">II", data, place - 4, taken, 0)
    path.write_bytes(data)
    return times


#: What decoders pass over at the end of a packet: user data, bytes behind the picture, padding.
_FILLERS = {
    "mpeg4": b"\0\0\1\xb2none",
    "mjpeg": b"\0\0\0\0",
    "libx265": b"\0\0\0\3\x4c\1\x80",
}
