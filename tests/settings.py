"""The default configuration, with some settings changed: what the stage tests run with."""

import copy
import os
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
#: For a program that a test starts and that imports `ferrari` or the tests' own helpers.
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "scripts"), str(ROOT)))}


@cache
def _defaults() -> dict:
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


def unloadable_model(folder: Path) -> dict:
    """Settings of `caption` with a model that is only found not to load when a job loads it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "no such"}')
    tensors = b'{"w":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'
    cut_off = len(tensors).to_bytes(8, "little") + tensors + bytes(8)
    (folder / "model.safetensors").write_bytes(cut_off)
    return {"caption": {"backend": "transformers", "model": str(folder.resolve())}}


def section(name: str, **changed) -> dict:
    """A section of config.yaml with `changed` settings."""
    defaults = copy.deepcopy(_defaults()[name])
    unknown = set(changed) - set(defaults)
    assert not unknown, f"{name} has no {unknown}"
    return {**defaults, **changed}
