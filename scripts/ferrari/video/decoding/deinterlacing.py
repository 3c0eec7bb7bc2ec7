"""Interlaced frames made whole by FFmpeg's bwdif."""

from __future__ import annotations

from fractions import Fraction

import av
from av import VideoFormat, VideoFrame
from av.filter import Graph

from ferrari.video.decoding.conversion import filter_errors
from ferrari.video.decoding.pyav_full_reader import SourceFrame

#: A frame's picture, and what is known of the frame that the decoder gave for it.
Sourced = tuple[VideoFrame, SourceFrame]


class Deinterlacer:
    """FFmpeg's bwdif on frames that are flagged interlaced; each output keeps its source.

    What a rebuilt frame says of itself is the filter's (another clock, no longer interlaced).

    A clip that changes size or pixel format on its way gets a new filter from there on.
    """

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._shape: tuple = ()
        self._sources: list[SourceFrame] = []

    def push(self, frame: VideoFrame, source: SourceFrame) -> list[Sourced]:
        """Take a frame; the frames that are ready."""
        ready: list[Sourced] = []
        shape = (frame.width, frame.height, frame.format.name, frame.time_base)
        if self._graph is None or shape != self._shape:
            ready, self._shape = self.flush(), shape
            self._graph = self._build(*shape)
        self._sources.append(source)
        with filter_errors():
            self._graph.push(frame)
            return ready + self._pull(self._graph)

    def flush(self) -> list[Sourced]:
        """The frames that the filter still holds."""
        if self._graph is None:
            return []
        with filter_errors():
            self._graph.push(None)
            ready = self._pull(self._graph)
        self._sources.clear()
        return ready

    @staticmethod
    def _build(width: int, height: int, pixels: str, time_base: Fraction | None) -> Graph:
        with filter_errors():
            graph = Graph()
            source = graph.add_buffer(
                width=width, height=height, format=VideoFormat(pixels), time_base=time_base
            )
            weaver = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
            sink = graph.add("buffersink")
            source.link_to(weaver)
            weaver.link_to(sink)
            graph.configure()
        return graph

    def _pull(self, graph: Graph) -> list[Sourced]:
        ready: list[Sourced] = []
        while self._sources:
            try:
                frame = graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            ready.append((frame, self._sources.pop(0)))
        return ready
