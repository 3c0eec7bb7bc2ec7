"""Files in our folders that the dataset does not hold: those of trainers and desktops, leftovers.

Trainers write caches and size lists beside the images. These may come and go at any time and are
no fault: `verify` names them, stamps leave them out. Sources: sd-scripts and musubi-tuner (`*.npz`,
`*.safetensors` caches), ai-toolkit (`_latent_cache/`, `_t_e_cache/`, `.aitk_size.json`),
SimpleTuner and diffusion-pipe (`cache/`), OneTrainer (`*.pt` caches), Hugging Face `datasets`
(`.cache/`).
"""

from __future__ import annotations

from pathlib import PurePath

_DESKTOP = {".ds_store", ".directory", "thumbs.db", "ehthumbs.db", "desktop.ini"}


def is_leftover(name: str) -> bool:
    """True for a temporary name of `atomic_files`: of something unfinished, or replaced."""
    return name.startswith(".") and name.endswith((".part", ".old"))


def is_desktop_file(name: str) -> bool:
    """True for the name of a file that file managers leave in folders, such as `.DS_Store`."""
    return name.startswith("._") or name.lower() in _DESKTOP


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
