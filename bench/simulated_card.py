"""A card that is not there, to see how busy the workflow would keep one.

    python -m bench.simulated_card CARD.json [what snakemake takes...]

Its networks sleep for the card's time (a sleep takes no core, as a card takes none) and answer with
a box and a matte in the middle of the picture; whatever else the workflow does is the real thing.
It runs Snakemake in this process, with a fork server that has been told of the card: no setting of
the workflow leads here.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench import card_idle
from ferrari.networks.backends import yunet

#: Beside each other: what `about` of a network says of its device, and what rows say then.
RUNTIME = "simulated"


@dataclass(frozen=True)
class Card:
    """A card's times in seconds: for a picture (`small_s`: of the networks for faces and of the
    person gate's), until a process has it open, and for each network that is loaded then; how many
    cards there are; whether jobs share them (False: each job has its own networks, as before there
    was a process for a card); and the folder where it notes when it was busy.
    """

    yolo_s: float
    isnet_s: float
    small_s: float
    start_s: float
    load_s: float
    devices: int
    shared: bool
    notes: str


_opened: set[int] = set()  # processes that have the card open


class SimulatedNetwork:
    """A network on the card; see `networks.network.Network`. Pictures of one shape get one answer,
    computed once: the cores must not pay for what a card does.
    """

    def __init__(self, card: Card, request) -> None:
        kind = next((kind for kind in _SMALL if kind in Path(request.path).name), "")
        finds = request.runtime != "onnxruntime"
        self._answer = _SMALL.get(kind) or (_box if finds else _matte)
        self._each_s = card.small_s if kind else card.yolo_s if finds else card.isnet_s
        self._notes = Path(card.notes) / f"busy-{os.getpid()}"
        self._what = kind or ("detector" if finds else "segmenter")
        # ISNet's file is exported for one picture, YuNet gets them in sizes of their own. Of YOLO a
        # batch takes as long as a full one, since its shape is fixed.
        batched = finds or kind in ("face_recognition", "selfie")
        self._full = finds
        self.about = {
            "device": f"{request.device.partition(':')[0]} {RUNTIME}",
            "weights_sha256": request.sha256,
            "batch": request.batch if batched else 1,
        }
        if finds:
            self.about["yolo"] = {
                "names": {0: "person"}, "stride": 32, "size": None, "end2end": True,
                "task": "detect",
            }  # fmt: skip
        began = time.time()
        time.sleep(card.load_s + (0 if os.getpid() in _opened else card.start_s))
        _opened.add(os.getpid())
        self._note(began, 0)

    def stream(self, images_rgb) -> Iterator[tuple[np.ndarray, ...]]:
        """The outputs of pictures; as many as a batch holds together."""
        images, most = list(images_rgb), int(self.about["batch"])
        for start in range(0, len(images), most):
            part = images[start : start + most]
            began = time.time()
            time.sleep(self._each_s * (most if self._full else len(part)))
            self._note(began, len(part))
            yield from (self._answer(image.shape) for image in part)

    def _note(self, began: float, pictures: int) -> None:
        """What the card did since `began`: so many pictures, or for none a network's load."""
        with open(self._notes, "a") as notes:
            notes.write(f"{began} {time.time()} {pictures} {self._what}\n")


@functools.cache
def _box(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """One sure person in the middle of a network's input: as large as people often are."""
    height, width = shape[:2]
    box = (0.34 * width, 0.16 * height, 0.66 * width, 0.84 * height)
    return (np.array([[*box, 0.9, 0]], np.float32),)


@functools.cache
def _matte(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """An ellipse with an edge as soft as hair."""
    height, width = shape[:2]
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return (np.clip((0.8 - np.hypot(x, y)) * 24 + 0.5, 0, 1).astype(np.float32)[None],)


@functools.cache
def _face(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """YuNet's outputs for one sure face in the middle of a picture."""
    outputs = []
    for values in yunet.WIDTHS:
        for stride in yunet.STRIDES:
            high, wide = shape[0] // stride, shape[1] // stride
            grid = np.zeros((high, wide, values), np.float32)
            if stride == yunet.STRIDES[0]:
                grid[high // 2, wide // 2] = _FACE[values]
            outputs.append(grid.reshape(-1, values))
    return tuple(outputs)


def _same_face(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """The numbers of one and the same person."""
    return (np.ones(128, np.float32),)


#: What a cell of YuNet's says of a face of some 50 pixels, by the number of its values: two eyes, a
#: nose and the corners of a mouth.
_FACE = {1: 1.0, 4: (0.0, 0.0, 2.0, 2.0), 10: (-1.5, -1, 1.5, -1, 0, 0, -1, 1.5, 1, 1.5)}
#: The small networks of the defaults, by a part of their file's name.
_SMALL = {"face_detection": _face, "face_recognition": _same_face, "selfie": _matte}


def install(card: Card) -> None:
    """Have this process, and its forks, take the card for real."""
    from ferrari.networks import network, on_device
    from ferrari.networks.backends import onnx_runtime, torch_runtime
    from ferrari.processes import devices

    devices.cuda_devices = lambda: card.devices
    devices.nvdec_problem = lambda: "the card is simulated"
    onnx_runtime.runtime_problem = lambda *_: ""
    torch_runtime.problem = lambda *_: ""
    for runtime in ("onnxruntime", "torch", "ultralytics"):
        network._RUNTIMES[runtime] = lambda request: SimulatedNetwork(card, request)
    if not card.shared:
        on_device.OnDevice.__call__ = lambda self, request: network.open_here(request)


def server_place() -> str:
    """Where the jobs of a Snakemake in this process look for their fork server."""
    from ferrari.jobs import stage_command

    stage_command.offer_warm_workers(True)
    return f"{os.environ[stage_command.WARM]}-{zlib.crc32(os.fsencode(sys.executable)):08x}"


def main(card: Card, arguments: Sequence[str]) -> int:
    """Run Snakemake, with a fork server of our own where its jobs look for one."""
    install(card)
    place = server_place()
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    reader, writer = os.pipe()
    run = os.getpid()
    if os.fork() == 0:
        os.setsid()
        log = os.open(f"{place}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        from ferrari.jobs import fork_server

        fork_server.main(place, str(run), str(writer))
        os._exit(0)
    os.close(writer)
    if os.read(reader, 1) != b"L":
        raise RuntimeError(f"the fork server did not start: {place}.log")
    from snakemake.cli import main as snakemake

    return snakemake(list(arguments)) or 0


def busy(folder: Path) -> Mapping[str, float]:
    """What the cards noted: seconds that they were busy, pictures, when the first picture began,
    and the seconds between that and the end of the last.
    """
    spans = [span for span in card_idle.of_card(folder) if span.pictures]
    began = min(span.began for span in spans)
    return {
        "busy_s": sum(span.ended - span.began for span in spans),
        "pictures": sum(span.pictures for span in spans),
        "began": began,
        "span_s": max(span.ended for span in spans) - began,
    }


def to_file(card: Card, path: Path) -> Path:
    """Write the card down for `main`."""
    path.write_text(json.dumps(asdict(card)))
    return path


if __name__ == "__main__":
    sys.exit(main(Card(**json.loads(Path(sys.argv[1]).read_text())), sys.argv[2:]))
