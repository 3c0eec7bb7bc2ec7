"""Known weights: which file a name means, whether it matches its pin, and whether it may load.

`config/models.yaml` lists them. A pickled file can run any program when it is loaded, so it loads
only if its SHA-256 is one that the list, or the user's `weights_sha256`, pins.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import os
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ferrari.common import near_paths
from ferrari.common.atomic_files import file_states, sha256_path
from ferrari.common.counts import first_of
from ferrari.common.errors import FerrariError
from ferrari.common.places import ROOT
from ferrari.processes import run_memory

TABLE = ROOT / "config" / "models.yaml"
#: In the environment: a folder of weights that are only read, laid out as <cache>/weights is. A
#: container image brings them so; what is mounted over its cache would hide them there.
GIVEN = "FERRARI_WEIGHTS"
#: Endings under which a loader would unpickle, whatever the content.
PICKLE_ENDINGS = frozenset({".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".torchscript"})


#: Of so many that lie in a folder the names are said.
_NAMED = 5


class ModelError(FerrariError, ValueError):
    """Weights are unknown, missing, not what their pin says, must not be loaded, or are no use for
    what is asked of them.
    """


class UnpinnedPickleError(ModelError):
    """A pickled file whose SHA-256 nobody has pinned."""


@dataclass(frozen=True)
class Weights:
    """A set of weights: a file or a folder, with what the list knows of it.

    `path` is where it lies, or where it will lie once fetched; `sha256` its pin, or None; `entry`
    its entry in models.yaml, empty for a file of the user's own.
    """

    name: str
    path: Path
    sha256: str | None = None
    entry: Mapping = field(default_factory=dict)


@functools.cache
def table(path: Path = TABLE) -> dict:
    """The list: {'models': {name: entry}, 'segmenters': {name: {backend, weights}}}, and
    'face_detectors' and 'face_embeddings' as 'segmenters'.
    """
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8"))


def resolve(name_or_path: str | os.PathLike, cache: str | os.PathLike = "cache") -> Weights:
    """The weights that a setting names: an entry of the list first, else a path.

    Raises ModelError for what is neither, with the nearest names.
    """
    text = os.fspath(name_or_path)
    known = table()["models"]
    if text in known:
        entry = known[text]
        return Weights(text, _place(text, entry, Path(cache)), entry.get("sha256"), entry)
    path = Path(text)
    if path.exists() or _reads_as_a_path(path):
        return Weights(path.stem, path)
    near = difflib.get_close_matches(text, known, n=3) or sorted(known)
    raise ModelError(f"no weights named {text!r} and no such file; known here: {', '.join(near)}")


def _reads_as_a_path(name: Path) -> bool:
    return bool(name.suffix) or name.parent != Path(".")


def seen_from(work: str | os.PathLike, config: Mapping) -> dict:
    """The settings of the set in the folder `work`, for a process that runs elsewhere: the cache
    and the user's own weights, where they are told from that folder, with it before them.
    """
    placed = {**config, "cache": str(Path(work, config["cache"]))}
    for section in ("detect", "mask"):
        own = config[section]["weights"]
        if not own or own in table()["models"]:
            continue
        path = Path(work, own)
        if path.exists() or _reads_as_a_path(Path(own)):  # else a name that is misspelt
            placed[section] = {**config[section], "weights": str(path)}
    return placed


def given_is_missing(work: str | os.PathLike = "") -> str:
    """One line that the environment names a folder of weights which is none, seen from the set's
    folder `work`, in which runs run; "" where it does not. They would be fetched without a word.
    """
    given = os.environ.get(GIVEN)
    if not given or (folder := Path(work, given)).is_dir():
        return ""
    return (
        f"{GIVEN}: there is no folder {near_paths.told(folder)}, so weights come from the cache or "
        f"are fetched; correct it, or unset it.{near_paths.hint(folder)}"
    )


def _place(name: str, entry: Mapping, cache: Path) -> Path:
    """Where an entry's file lies: in the repository if that is a source, in the folder of weights
    that the environment names if it is there, else in the cache.
    """
    for source in entry.get("sources") or ():
        if "local" in source:
            return ROOT / source["local"]
    below = Path(name) / entry["file"]
    given = os.environ.get(GIVEN)
    if given and (Path(given) / below).exists():
        return Path(given) / below
    return cache / "weights" / below


def for_segmenter(settings: Mapping, cache: str | os.PathLike = "cache") -> list[Weights]:
    """What the segmenter of the `mask` settings loads: its weights, and for `ram` SAM's after them.

    A file of the user's own takes the input preparation of the segmenter's own weights.
    """
    name = settings["segmenter"]
    known = table()["segmenters"]
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1) or sorted(known)
        raise ModelError(f"mask.segmenter {name!r} is unknown; did you mean {', '.join(near)}?")
    own = resolve(known[name]["weights"], cache)
    wanted = settings.get("weights")
    chosen = resolve(wanted, cache) if wanted else own
    if not chosen.entry:
        prepared = {key: own.entry[key] for key in ("input", "output", "tags") if key in own.entry}
        chosen = replace(chosen, entry=prepared)
    chosen = _pinned(chosen, settings)
    prompted = known[name].get("prompts")
    return [chosen, resolve(prompted, cache)] if prompted else [chosen]


#: What `mask.person_gate: auto` means where it means anything.
_GATE = "selfie"


def gate_of(settings: Mapping, subject_class: str) -> tuple[str, str]:
    """The segmenter that the `mask` settings hold a matte against, or "" and why there is none.

    "" and "" where none is asked for, or where the segmenter itself knows people.
    """
    wanted = settings["person_gate"]
    if wanted in (False, "off"):
        return "", ""
    name = _GATE if wanted == "auto" else wanted
    if wanted == "auto" and table()["segmenters"][settings["segmenter"]].get("finds") != "anything":
        return "", ""
    if subject_class != "person":
        return "", f"mask.person_gate knows people alone, and detect.class is {subject_class!r}"
    return name, ""


def for_mask(
    settings: Mapping, subject_class: str, cache: str | os.PathLike = "cache"
) -> tuple[list[Weights], Weights | None]:
    """What stage 3 loads: the segmenter's weights as `for_segmenter`, and those of the gate."""
    own = for_segmenter(settings, cache)
    name, _ = gate_of(settings, subject_class)
    gate = resolve(table()["segmenters"][name]["weights"], cache) if name else None
    return own, gate


#: For each setting that names a part of a model of faces: the section of the list it is from.
_FACE_PARTS = {"detector": "face_detectors", "embedding": "face_embeddings"}


def for_faces(settings: Mapping, cache: str | os.PathLike = "cache") -> list[Weights]:
    """What a model of faces loads: the weights of its `detector`, then those of its `embedding`.

    Raises ModelError for a name that the list does not have.
    """
    return [resolve(entry["weights"], cache) for entry in _face_entries(settings)]


def face_backends(settings: Mapping) -> list[str]:
    """What runs a model's `detector`, and what runs its `embedding`."""
    return [entry["backend"] for entry in _face_entries(settings)]


def _face_entries(settings: Mapping) -> list[Mapping]:
    found = []
    for key, section in _FACE_PARTS.items():
        known = table()[section]
        if settings[key] not in known:
            raise ModelError(f"{key} {settings[key]!r} of faces is none of {', '.join(known)}")
        found.append(known[settings[key]])
    return found


def require_terms(weights: Weights, accept_noncommercial: bool) -> None:
    """Raise ModelError for weights that may not be used commercially, unless that is accepted."""
    if weights.entry.get("noncommercial") and not accept_noncommercial:
        raise ModelError(
            f"the weights {weights.name} are not for commercial use ({weights.entry['licence']}): "
            "set models.accept_noncommercial: true if yours is none, or name other weights"
        )


def _pinned(weights: Weights, settings: Mapping) -> Weights:
    """The weights under the user's own pin, if there is one: it holds for listed weights too."""
    pin = settings.get("weights_sha256")
    return replace(weights, sha256=pin) if pin else weights


def require_place(weights: Weights, section: str) -> None:
    """Raise ModelError if the user's own weights are not there, or are a folder in which no network
    lies; listed ones can be fetched.
    """
    path = weights.path
    if weights.entry.get("sources"):
        return
    if not path.exists():
        raise ModelError(
            f"{section}.weights: there is no file or folder at {near_paths.told(path)}. Put your "
            f"weights there, give their path, or a name that {TABLE.name} lists."
            f"{near_paths.hint(path)}"
        )
    if path.is_dir() and not _is_export(path):
        inside = [one.name for one in sorted(path.iterdir()) if _may_be_weights(one)]
        named = f" In it lie: {first_of(inside, _NAMED)}." if inside else ""
        raise ModelError(
            f"{section}.weights: {near_paths.told(path)} is a folder and no export of a network: "
            "an OpenVINO export holds one .xml file. Give the path of the file or export itself."
            f"{named}"
        )


def _is_export(folder: Path) -> bool:
    """Whether a folder is a network: OpenVINO's, or one that ultralytics knows by its name."""
    return folder.name.endswith("_model") or len(list(folder.glob("*.xml"))) == 1


def _may_be_weights(path: Path) -> bool:
    if path.is_dir():
        return _is_export(path)
    return path.suffix.lower() in {".onnx", ".engine", *PICKLE_ENDINGS}


#: Settings of the section `subject` that name the parts of the model of faces.
FACE_SETTINGS = {"detector": "face_detector", "embedding": "face_embedding"}


def face_settings(config: Mapping) -> dict[str, str]:
    """`detector` and `embedding`, as the whole configuration names them."""
    return {key: config["subject"][setting] for key, setting in FACE_SETTINGS.items()}


def sections(config: Mapping) -> list[str]:
    """The sections whose networks a run with this configuration loads, `subject` for faces.

    Faces are left out where no clip is asked for them: nobody is judged, or the subject is none.
    """
    subject = config["subject"]
    judged = subject["mode"] != "single" or subject["voting_clips"]
    faces = config["detect"]["class"] == "person" and judged
    return ["detect", *(["subject"] if faces else []), "mask"]


def wanted(config: Mapping, section: str) -> list[Weights]:
    """What `detect`, `mask` or `subject` (faces) loads under the whole configuration, in the order
    it is loaded.

    Raises ModelError that names the setting's section.
    """
    try:
        if section == "subject":
            return for_faces(face_settings(config), config["cache"])
        if section == "mask":
            own, gate = for_mask(config["mask"], config["detect"]["class"], config["cache"])
            return [*own, gate] if gate else own
        if config["detect"]["backend"] == "mask":
            return for_segmenter(config["mask"], config["cache"])
        return [_pinned(resolve(config["detect"]["weights"], config["cache"]), config["detect"])]
    except ModelError as error:
        raise ModelError(f"{section}: {error}") from error


def ready(config: Mapping, section: str) -> list[str]:
    """Paths of what `wanted` names, each verified against its pin; raises ModelError."""
    found = wanted(config, section)
    for weights in found:
        verify(weights)
    return [str(weights.path) for weights in found]


def is_ours(weights: Weights) -> bool:
    """True if the weights lie in this repository: part of the code, nothing that a run fetches."""
    return any("local" in source for source in weights.entry.get("sources") or ())


def pins(*own: str | None) -> frozenset[str]:
    """Every SHA-256 that the list pins, and those of `own` that are set, in lower case."""
    listed = (entry.get("sha256") for entry in table()["models"].values())
    return frozenset(pin.lower() for pin in (*listed, *own) if pin)


def verify(weights: Weights) -> str:
    """Check that the weights are there and are what their pins say; returns their SHA-256.

    Raises ModelError with the expected and the found size or digest.
    """
    if not weights.path.exists():
        raise ModelError(
            f"weights {weights.name} are not at {near_paths.told(weights.path)}; run the pipeline "
            "with a network to fetch them, or put the file there by hand"
        )
    check_file(weights.path, weights.entry)
    found = digest(weights.path)
    require_digest(weights.path, found, weights.sha256)
    return found


def require_digest(path: Path, found: str, expected: str | None) -> None:
    """Raise ModelError unless `expected` is None or equals `found`, the SHA-256 of `path`."""
    if expected and found != expected.lower():
        raise ModelError(_differs(path, "SHA-256", expected, found))


def check_file(path: Path, entry: Mapping) -> None:
    """Raise ModelError unless `path` has the size and the digests that its entry gives."""
    require_size(path, entry)
    if entry.get("sha256") and (found := digest(path)) != entry["sha256"]:
        raise ModelError(_differs(path, "SHA-256", entry["sha256"], found))
    if entry.get("md5") and not entry.get("sha256"):
        found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        if found != entry["md5"]:
            raise ModelError(_differs(path, "MD5", entry["md5"], found))


def require_size(path: Path, entry: Mapping) -> None:
    """Raise ModelError for a file of another size than its entry gives."""
    size = path.stat().st_size if path.is_file() else None
    if size is not None and entry.get("bytes", size) != size:
        expected = f"{entry['bytes']:,} bytes"
        raise ModelError(_differs(path, "size", expected, f"{size:,} bytes"))


def _differs(path: Path, what: str, expected: object, found: object) -> str:
    return (
        f"{near_paths.told(path)}: its {what} is {found}, expected {expected}; delete it to have "
        "it fetched anew, or correct the pin if you trust the file"
    )


def digest(path: str | os.PathLike) -> str:
    """SHA-256 of a file or folder of weights. It is read once a run, and again if it changes (see
    `file_states`): each job asks for it several times, and large weights take up to a second.
    """
    return _digest(os.fspath(path), tuple(file_states([path])))


@functools.lru_cache(maxsize=64)
def _digest(path: str, states: tuple) -> str:
    return run_memory.once(f"SHA-256 of {states}", lambda: sha256_path(path))


def is_pickle(path: str | os.PathLike) -> bool:
    """True if loading `path` may unpickle: by its ending, or by its content.

    A folder is one if any file in it is; the `.bin` beside an OpenVINO `.xml` is not.
    """
    path = Path(path)
    if path.is_dir():
        return any(is_pickle(file) for file in sorted(path.rglob("*")) if file.is_file())
    if path.suffix.lower() == ".bin" and path.with_suffix(".xml").exists():
        return False
    return path.suffix.lower() in PICKLE_ENDINGS or holds_pickle(path)


def holds_pickle(path: str | os.PathLike) -> bool:
    """True if a file is a pickle by its opening bytes, or a zip or tar archive that holds one, as
    torch writes them. Raises OSError.
    """
    with open(path, "rb") as stream:
        head = stream.read(2)
    if len(head) == 2 and head[0] == 0x80 and head[1] in range(2, 6):  # PROTO opcode, protocols 2-5
        return True
    if head == b"PK" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    if os.path.getsize(path) > 1024 and tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            return "pickle" in archive.getnames()
    return False


def require_pinned(path: str | os.PathLike, pinned: Iterable[str]) -> str:
    """SHA-256 of `path`; raises UnpinnedPickleError if it is a pickle and not among `pinned`."""
    found = digest(path)
    if is_pickle(path) and found not in set(pinned):
        raise UnpinnedPickleError(
            f"{path} is a pickled file, which can run any program when it is loaded, and its "
            f"SHA-256 is not pinned. If you trust it, set weights_sha256: {found} beside its "
            "`weights` setting; safer: export it to ONNX or OpenVINO, which need no pin"
        )
    return found
