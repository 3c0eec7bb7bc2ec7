"""Whether the network in a file of weights is one that a setting can use, by what the file says.

An ONNX file and an OpenVINO export say what goes in and comes out, exports of YOLO what they are
for and which classes they know, a PyTorch file of which class its model is. No network is loaded
for that, and nothing is unpickled. What a file does not say passes: running it tells.
"""

from __future__ import annotations

import ast
import json
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferrari.networks import weight_files
from ferrari.networks.weight_files import ModelError, Weights

#: What ultralytics builds a SAM by: the ending of its file's name.
SAM_FILES = (
    *("sam_h.pt", "sam_l.pt", "sam_b.pt", "mobile_sam.pt", "sam2_t.pt", "sam2_s.pt", "sam2_b.pt"),
    *("sam2_l.pt", "sam2.1_t.pt", "sam2.1_s.pt", "sam2.1_b.pt", "sam2.1_l.pt"),
)
#: What ultralytics' classes of models are made for, as far as it is known here.
_TASKS = {
    "PoseModel": "pose",
    "OBBModel": "obb",
    "ClassificationModel": "classify",
    "DetectionModel": "detect",
    "SegmentationModel": "segment",
}
#: The beginning of a TensorRT engine of ultralytics: the length of its notes, then those.
_LENGTH = 4
_MOST_NOTES = 1 << 20

#: Sizes along each axis, None for one that may be any; None of what is not known at all.
Shape = Sequence[int | None] | None


@dataclass(frozen=True)
class Graph:
    """What a network is fed first, and whether that is floats; what it gives; what its exporter
    noted. (Old files list weights among the inputs.)
    """

    fed: Shape
    takes_floats: bool
    outputs: Sequence[Shape]
    notes: Mapping[str, Any]


def unfit(weights: Weights, loader: str, class_name: str) -> str:
    """Why a loader (as `weight_kinds` names them) can make nothing of the network in a file or a
    folder that it can open, as a clause behind its name; "" where nothing speaks against it.

    Raises ModelError where a sentence of its own says it, OSError.
    """
    path = weights.path
    if loader == "sam":
        return _no_sam(path)
    if loader in ("yolo", "yolo_seg"):
        return _no_yolo(path, loader == "yolo_seg", class_name)
    graph = _graph(path)
    if graph is None:
        return ""
    if loader == "ram":
        return _no_tagger(weights, graph)
    return _takes_no_pictures(graph) or _no_alpha(weights.entry, graph)


def fed_alike(size: Sequence[int]) -> list[str]:
    """The segmenters whose network is fed pictures of that height and width."""
    table = weight_files.table()
    entries = {name: table["models"][one["weights"]] for name, one in table["segmenters"].items()}
    return [
        name
        for name, entry in entries.items()
        if "tags" not in entry and entry.get("input", {}).get("size") == list(size)
    ]


def is_alpha(output: Shape, fed: Shape) -> bool:
    """Whether an output may be the alpha of the picture that a network is fed: one plane of about
    its shape. Both are given with the batch's axis; what is not known may be anything.
    """
    if output is None:
        return True
    if len(output) < 3 or any(size not in (1, None) for size in output[1:-2]):
        return False
    if 1 in output[-2:]:
        return False
    sides = (*output[-2:], *(fed[-2:] if fed else (None, None)))
    if any(side is None for side in sides):
        return True
    high, wide, fed_high, fed_wide = (side or 0 for side in sides)
    return abs(high * fed_wide - wide * fed_high) <= 0.1 * high * fed_wide


def told(shape: Shape) -> str:
    """'1 x 3 x ? x ?'."""
    return " x ".join("?" if size is None else str(size) for size in shape or ())


# --- what each loader needs -------------------------------------------------------------------


def _takes_no_pictures(graph: Graph) -> str:
    fed = graph.fed
    if fed is not None and (len(fed) != 4 or fed[1] not in (3, None)):
        return f"takes {told(fed)}, and not the three planes of a picture (1 x 3 x height x width)"
    return "" if graph.takes_floats else "takes other numbers than floats"


def _no_alpha(entry: Mapping, graph: Graph) -> str:
    if "names" in graph.notes and "task" in graph.notes:
        return f"is a YOLO network ({graph.notes['task']})"
    fed, index = graph.fed, entry["output"]["index"]
    if index >= len(graph.outputs):
        return f"gives {len(graph.outputs)} outputs, and the one with the number {index} is read"
    output = graph.outputs[index]
    if not is_alpha(output, fed):
        return f"gives {told(output)} for {told(fed)}, which is no alpha of a picture"
    size = entry["input"]["size"]
    own = fed[-2:] if fed else (None, None)
    if None in own or (not isinstance(size, Mapping) and list(own) == list(size)):
        return ""
    meant = fed_alike([side or 0 for side in own])
    hint = f" (is it one for mask.segmenter: {' or '.join(meant)}?)" if meant else ""
    return f"takes pictures of {told(own)} alone{hint}"


def _no_tagger(weights: Weights, graph: Graph) -> str:
    from ferrari.networks.backends import ram

    output = graph.outputs[0]
    listed = len(ram.read_tags(weights.path.with_name(weights.entry["tags"])))
    if output is not None and None not in output[1:]:
        ram.require_count(weights.path, math.prod(size or 0 for size in output[1:]), listed)
    return _takes_no_pictures(graph)


def _no_sam(path: Path) -> str:
    if path.is_dir():
        return "is a folder"
    if model := _model_in(path):
        return f"holds a {model} of ultralytics, and no SAM"
    return "" if path.name.endswith(SAM_FILES) else "has another name than SAM's files"


def _no_yolo(path: Path, masks: bool, class_name: str) -> str:
    from ferrari.networks.backends import yolo_postprocessing

    notes = _yolo_notes(path)
    if notes is None:
        return ""
    if notes.get("other"):
        return str(notes["other"])
    if fault := yolo_postprocessing.unfit_task(str(notes.get("task", "detect")), masks):
        return fault
    if "names" in notes:
        yolo_postprocessing.class_index(notes["names"], class_name, path)
    return ""


# --- what files say ---------------------------------------------------------------------------


def _yolo_notes(path: Path) -> Mapping[str, Any] | None:
    """`task` and `names` as ultralytics noted them, as far as they are known; `other`, why it is no
    YOLO network at all. None of a file that cannot be asked.
    """
    if path.suffix == ".engine":
        return _engines_notes(path)
    if path.is_file() and zipfile.is_zipfile(path) and path.suffix != ".onnx":
        model = _model_in(path)
        if model is None:
            return None
        if not model or model.startswith("RTDETR"):
            return {"other": f"holds {model or 'no model of ultralytics'}, and no YOLO network"}
        return {"task": _TASKS[model]} if model in _TASKS else None
    graph = _graph(path)
    if graph is None:
        return None
    if not isinstance(graph.notes.get("names"), dict):
        return {"other": "does not say which classes it knows, as exports of YOLO do"}
    return graph.notes


def _engines_notes(path: Path) -> Mapping[str, Any] | None:
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH), "little")
        text = stream.read(length) if length <= _MOST_NOTES else b""
    try:
        notes = json.loads(text)
    except ValueError:  # an engine of somebody else
        return None
    if not isinstance(notes, dict) or not isinstance(notes.get("names"), dict):
        return None
    return {**notes, "names": {int(number): name for number, name in notes["names"].items()}}


def _model_in(path: Path) -> str | None:
    """The class of ultralytics' models that a PyTorch file holds, "" where it holds none of them;
    None of a file that cannot be asked. Nothing is unpickled.
    """
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1 or any(name.endswith("/constants.pkl") for name in names):
            return None  # TorchScript, which has code in place of classes
        data = archive.read(pickles[0])
    if b"ultralytics" not in data:
        return ""
    found = re.search(rb"ultralytics\.nn\.tasks\W{1,4}(\w+?Model)\b", data)
    return found[1].decode() if found else None


def _graph(path: Path) -> Graph | None:
    """Of an ONNX file, an OpenVINO graph or the folder that holds one; None of anything else."""
    if path.is_dir():
        graphs = sorted(path.glob("*.xml"))
        return _openvino_graph(graphs[0]) if len(graphs) == 1 else None
    if path.suffix == ".xml":
        return _openvino_graph(path)
    return _onnx_graph(path) if path.suffix == ".onnx" else None


def _onnx_graph(path: Path) -> Graph:
    from ferrari.networks.backends import onnx_file

    model = onnx_file.outline(path)
    fed = onnx_file.first_input(model)
    outputs = [onnx_file.shape(value) for value in model.graph.output]
    takes_floats = onnx_file.input_kind(model) in (onnx_file.FLOAT, onnx_file.HALF)
    return Graph(onnx_file.shape(fed), takes_floats, outputs, onnx_file.notes(model))


def _openvino_graph(path: Path) -> Graph:
    from xml.etree import ElementTree

    inputs: list[tuple[Shape, bool]] = []
    outputs: list[Shape] = []
    notes: dict[str, Any] = {}
    end = 0  # of what the layers read from the file of numbers
    try:
        for _, part in ElementTree.iterparse(path):
            if part.tag == "layer":
                end = max(end, _end_of_numbers(part))
                if part.get("type") == "Parameter":
                    inputs.append((_sizes(part.find("output/port")), _is_of_floats(part)))
                elif part.get("type") == "Result":
                    outputs.append(_sizes(part.find("input/port")))
                part.clear()
            elif part.tag == "framework":  # in rt_info: the notes of the ONNX file it was made of
                notes |= {note.tag: _value(note.get("value", "")) for note in part}
    except (ElementTree.ParseError, ValueError) as error:
        raise ModelError(f"{path} is no OpenVINO graph, or a damaged one ({error})") from error
    if not inputs or not outputs:
        raise ModelError(f"{path} is no OpenVINO graph: there is no network in it")
    _require_numbers(path.with_suffix(".bin"), end)
    return Graph(*inputs[0], outputs, {**notes, **_notes_in(path.parent)})


def _end_of_numbers(layer: Any) -> int:
    """Where in the .bin file ends what a layer reads from it; 0 of one that reads nothing there."""
    about = layer.find("data")
    if about is None or layer.get("type") != "Const":
        return 0
    return int(about.get("offset", 0)) + int(about.get("size", 0))


def _require_numbers(path: Path, end: int) -> None:
    """Raise ModelError where the numbers of a graph are not there up to `end`."""
    if not end:
        return
    if not path.is_file():
        raise ModelError(f"{path.parent} lacks the numbers of its graph: {path.name} is not there")
    if (missing := end - path.stat().st_size) > 0:
        raise ModelError(f"{path} is cut off: it ends {missing:,} bytes too early")


def _notes_in(folder: Path) -> Mapping[str, Any]:
    """What ultralytics notes beside a graph that it exports."""
    file = folder / "metadata.yaml"
    if not file.is_file():
        return {}
    import yaml

    try:
        notes = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{file} is damaged, it cannot be read as YAML ({reason})") from error
    return notes if isinstance(notes, dict) else {}


def _is_of_floats(layer: Any) -> bool:
    about = layer.find("data")
    return about is None or about.get("element_type", "f32") in ("f32", "f16")


def _sizes(port: Any) -> Shape:
    """The shape in a port of a layer; -1 is a size that may be any."""
    if port is None:
        return None
    sizes = [int(size.text or -1) for size in port.iterfind("dim")]
    return [None if size < 0 else size for size in sizes]


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
