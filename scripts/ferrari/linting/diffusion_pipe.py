"""diffusion-pipe: images and masks named in its TOML file. Read in its `dataset.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ferrari.linting.findings import Finding, Trap
from ferrari.linting.training_folder import from_folder, images_in, mappings, toml_files

PIPE_MASK_MISSING = Trap(
    "diffusion-pipe/mask-missing",
    "it has no mask in {folder}: all of it is trained on, with one line in a log",
    "write {folder}/{name}",
)

PIPE_NO_FOLDER = Trap(
    "diffusion-pipe/no-folder", "the folder {path} is not there", "correct the path"
)


class DiffusionPipe:
    """diffusion-pipe: a TOML file with `[[directory]]` tables."""

    NAME = "diffusion-pipe"

    @staticmethod
    def is_here(folder: Path) -> bool:
        """True if a TOML file in the folder has `[[directory]]` tables with a path."""
        return any(True for _ in _directories(folder))

    @staticmethod
    def lint(folder: Path) -> Iterator[Finding]:
        """All findings of a folder."""
        for path, told in _directories(folder):
            images = folder / str(told["path"])
            if not images.is_dir():
                yield PIPE_NO_FOLDER.found(from_folder(folder, path), path=told["path"])
                continue
            if not told.get("mask_path"):
                continue
            masks = {p.stem for p in images_in(folder / str(told["mask_path"]))}
            for image in images_in(images):
                if image.stem not in masks:
                    yield PIPE_MASK_MISSING.found(
                        from_folder(folder, image),
                        folder=told["mask_path"],
                        name=f"{image.stem}.png",
                    )


def _directories(folder: Path) -> Iterator[tuple[Path, Mapping]]:
    for path, content in toml_files(folder):
        for told in mappings(content.get("directory")):
            if "path" in told:
                yield path, told
