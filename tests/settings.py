"""The default configuration, with some settings changed: what the stage tests run with."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def section(name: str, **changed) -> dict:
    """A section of config.yaml with `changed` settings."""
    defaults = yaml.safe_load((ROOT / "config/config.yaml").read_text())[name]
    unknown = set(changed) - set(defaults)
    assert not unknown, f"{name} has no {unknown}"
    return {**defaults, **changed}
