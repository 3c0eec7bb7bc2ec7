"""Files in our folders that nobody put there: those of systems, trainers and desktops, leftovers.

Trainers write caches and size lists beside the images. These may come and go at any time and are
no fault: `verify` names them, stamps leave them out. Sources: sd-scripts and musubi-tuner (`*.npz`,
`*.safetensors` caches), ai-toolkit (`_latent_cache/`, `_t_e_cache/`, `.aitk_size.json`),
SimpleTuner and diffusion-pipe (`cache/`), OneTrainer (`*.pt` caches), Hugging Face `datasets`
(`.cache/`).

What systems and NAS servers keep in a folder of clips (deleted files, previews, snapshots) are no
clips of anybody's either. Sources of the names: Synology DSM (`@eaDir`, `#recycle`, `#snapshot`),
QNAP QTS (`@Recycle`, `@Recently-Snapshot`, `.@__thumb`), Windows (`$RECYCLE.BIN`, `System Volume
Information`, `FOUND.000`), ext4 (`lost+found`), macOS (`.Trashes`, `.Spotlight-V100`, `__MACOSX`
in archives, `._name`), the freedesktop.org trash (`.Trash-1000`), NetApp (`~snapshot`).
"""

from __future__ import annotations

import re
from pathlib import PurePath

_DESKTOP = {".ds_store", ".directory", "thumbs.db", "ehthumbs.db", "desktop.ini"}


def is_leftover(name: str) -> bool:
    """True for a temporary name of `atomic_files`: something unfinished, or something replaced."""
    return name.startswith(".") and name.endswith((".part", ".old"))


def is_desktop_file(name: str) -> bool:
    """True for the name of a file that file managers leave in folders, such as `.DS_Store`."""
    return name.startswith("._") or name.lower() in _DESKTOP


_SYSTEM_FOLDER = re.compile(
    r"@eadir|#recycle|#snapshot|@recycle|@recently-snapshot|@__thumb|@tmp|@sharesnap|"
    r"\$recycle\.bin|recycler|recycled|system volume information|found\.[0-9]{3}|msocache|"
    r"lost\+found|lost\.dir|~snapshot|__macosx|network trash folder|temporary items"
)
_SYSTEM_FILE = re.compile(
    r"thumbs\.db(:encryptable)?|ehthumbs(_vista)?\.db|desktop\.ini|zbthumbnail\.info|picasa\.ini|"
    r"autorun\.inf|icon\r|sync\.ffs_db"
)


def system_pattern(name: str, folder: bool) -> str:
    """What says that a system, a NAS or a tool keeps a file or folder of this name; else empty.

    The name itself, or a pattern for files that a dot hides: `._*` is what macOS keeps of a file on
    other file systems.
    """
    known = _SYSTEM_FOLDER if folder else _SYSTEM_FILE
    if known.fullmatch(name.lower()) or (folder and name.startswith(".")):
        return name
    if name.startswith("._"):
        return "._*"
    return ".*" if name.startswith(".") else ""


_SUFFIXES = (".npz", ".safetensors", ".pt", ".lock")
_NAMES = frozenset({".aitk_size.json", "aitk_size.json", "metadata_lat.json", "metadata_cap.json"})
_FOLDERS = frozenset({"_latent_cache", "_t_e_cache", "_clip_vision_cache", "cache", ".cache"})


def is_trainer_file(path: str | PurePath) -> bool:
    """True for a path (relative to a package's folder) that a trainer makes, not this pipeline."""
    path = PurePath(path)
    return (
        path.name in _NAMES
        or path.name.endswith(_SUFFIXES)
        or not _FOLDERS.isdisjoint(path.parts[:-1])
    )
